//! UBJSON as one stream of events, as XGBoost writes it: typed and counted containers, any size, constant
//! memory.

use crate::window::Window;

/// One step through a document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Item<'a> {
    Open {
        list: bool,
    },
    Close,
    Key(&'a str),
    Text(&'a str),
    Number(f64),
    /// Null, true or false.
    Other,
}

const MAX_DEPTH: usize = 64;
const MAX_STRING: u64 = 1 << 20;
/// Items of one document that no bytes of their own stand for.
const MAX_EMPTY: u64 = 1 << 20;

/// Why a document is not walked to its end.
pub(crate) enum Stop {
    Broken(&'static str, u64),
    Limit(String),
}

/// A container that is open: how many items are still to come when it says so, and of which type.
struct Level {
    list: bool,
    left: Option<u64>,
    of: Option<u8>,
}

/// Walks one value; gives the offset after it, or what is wrong and where.
pub(crate) fn walk(window: &mut Window<'_>, visit: &mut dyn FnMut(Item<'_>, u64)) -> Result<u64, Stop> {
    let mut open: Vec<Level> = Vec::new();
    let mut empty = MAX_EMPTY;
    loop {
        let at = window.offset();
        let fault = |what| Stop::Broken(what, at);
        let kind = match open.last_mut() {
            None => window.byte().ok_or(fault("it ends early"))?,
            Some(Level { left: Some(0), .. }) => b'}',
            Some(level) => {
                let counted = level.left.is_some();
                if let Some(left) = &mut level.left {
                    *left -= 1;
                }
                if level.list {
                    match level.of {
                        Some(kind) => kind,
                        None => window.byte().ok_or(fault("it ends early"))?,
                    }
                } else {
                    let ends = !counted && {
                        let ends = window.byte() == Some(b'}');
                        window.seek(at);
                        ends
                    };
                    if ends {
                        window.byte();
                        b'}'
                    } else {
                        let key = string(window).ok_or(fault("a key cannot be read"))?;
                        visit(Item::Key(&key), at);
                        match level.of {
                            Some(kind) => kind,
                            None => window.byte().ok_or(fault("it ends early"))?,
                        }
                    }
                }
            }
        };
        match kind {
            b'{' | b'[' => {
                if open.len() >= MAX_DEPTH {
                    return Err(fault("it is nested too deep"));
                }
                let level = container(window, kind == b'[').ok_or(fault("a container makes no sense"))?;
                if let (Some(count), Some(b'Z' | b'T' | b'F' | b'N')) = (level.left, level.of) {
                    empty = empty.checked_sub(count).ok_or_else(|| {
                        Stop::Limit(format!("only the first {MAX_EMPTY} items without bytes are examined"))
                    })?;
                }
                visit(Item::Open { list: level.list }, at);
                open.push(level);
                continue;
            }
            b'}' | b']' => {
                let level = open.pop().ok_or(fault("a bracket does not match"))?;
                if level.left.is_none() && level.list != (kind == b']') {
                    return Err(fault("a bracket does not match"));
                }
                visit(Item::Close, at);
            }
            b'S' | b'H' => {
                let text = string(window).ok_or(fault("a string cannot be read"))?;
                visit(Item::Text(&text), at);
            }
            b'C' => {
                window.byte().ok_or(fault("it ends early"))?;
                visit(Item::Other, at);
            }
            b'Z' | b'T' | b'F' => visit(Item::Other, at),
            b'N' => continue,
            _ => {
                let number = number(window, kind).ok_or(fault("a value of an unknown type"))?;
                visit(Item::Number(number), at);
            }
        }
        if open.is_empty() {
            return Ok(window.offset());
        }
    }
}

/// What follows the opening bracket: a type, a count.
fn container(window: &mut Window<'_>, list: bool) -> Option<Level> {
    let mut level = Level { list, left: None, of: None };
    let at = window.offset();
    if window.byte() == Some(b'$') {
        level.of = Some(window.byte()?);
        if window.byte() != Some(b'#') {
            return None;
        }
    } else {
        window.seek(at);
        if window.byte() != Some(b'#') {
            window.seek(at);
            return Some(level);
        }
    }
    let kind = window.byte()?;
    let count = number(window, kind).filter(|&count| count >= 0.0)? as u64;
    // Every item has a byte at least, unless its type says all.
    let width = level.of.map_or(1, |kind| width(kind).unwrap_or(u64::from(!b"ZTFN".contains(&kind))));
    if count.checked_mul(width)? > window.rest() {
        return None;
    }
    level.left = Some(count);
    Some(level)
}

const fn width(kind: u8) -> Option<u64> {
    Some(match kind {
        b'i' | b'U' | b'C' => 1,
        b'I' => 2,
        b'l' | b'd' => 4,
        b'L' | b'D' => 8,
        _ => return None,
    })
}

fn number(window: &mut Window<'_>, kind: u8) -> Option<f64> {
    Some(match kind {
        b'i' => f64::from(window.byte()?.cast_signed()),
        b'U' => f64::from(window.byte()?),
        b'I' => f64::from(i16::from_be_bytes(window.array()?)),
        b'l' => f64::from(i32::from_be_bytes(window.array()?)),
        b'L' => i64::from_be_bytes(window.array()?) as f64,
        b'd' => f64::from(f32::from_be_bytes(window.array()?)),
        b'D' => f64::from_be_bytes(window.array()?),
        _ => return None,
    })
}

/// A length and that many bytes, of which a bounded part is kept.
fn string(window: &mut Window<'_>) -> Option<String> {
    let kind = window.byte()?;
    let len = number(window, kind).filter(|&len| len >= 0.0)? as u64;
    let start = window.offset();
    let end = start.checked_add(len).filter(|_| len <= window.rest())?;
    let mut bytes = Vec::new();
    while window.offset() < end && (bytes.len() as u64) < MAX_STRING {
        let some = (end - window.offset()).min(32 << 10) as usize;
        bytes.extend_from_slice(window.take(some)?);
    }
    window.seek(end);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether bytes begin like an object with a named member.
pub(crate) fn is_ubjson(head: &[u8]) -> bool {
    let (len, rest) = match head {
        [b'{', b'L', 0, 0, 0, 0, 0, 0, 0, len, rest @ ..] => (*len, rest),
        [b'{', b'l', 0, 0, 0, len, rest @ ..] | [b'{', b'I', 0, len, rest @ ..] => (*len, rest),
        [b'{', b'i' | b'U', len, rest @ ..] => (*len, rest),
        _ => return false,
    };
    let name = rest.get(..usize::from(len)).unwrap_or_default();
    let next = rest.get(usize::from(len)).copied().unwrap_or(0);
    (1..64).contains(&len)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte))
        && name.len() == usize::from(len)
        && b"{[SHiUIlLdDZTFC".contains(&next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn items_without_bytes_are_bounded_in_all_containers_together() {
        let items = |lists: usize| {
            let text = [&b"["[..], &b"[$Z#l\0\x10\0\0".repeat(lists), b"]"].concat();
            let (source, mut items) = (MemorySource::new(&text), 0_u64);
            let walked = walk(&mut Window::new(&source, 0), &mut |_, _| items += 1);
            (walked, items)
        };
        assert!(matches!(items(1), (Ok(_), 0x10_0004)));
        let (walked, items) = items(9);
        assert!(matches!(walked, Err(Stop::Limit(_))) && items < 0x10_0010);
    }
}
