//! The formats before GGUF: GGML, GGMF, GGJT and their LoRA adapters. They have no index; whether the parts
//! follow each other to the very end of the file shows whether they were read rightly.

use mantlet_vocab::Source;

use super::types;
use crate::window::Window;

/// The facts of a GGML file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ggml {
    /// `ggml`, `ggmf`, `ggjt` or `ggla`.
    pub family: &'static str,
    /// The layout that fits: the program it was made for.
    pub layout: Option<&'static str>,
    /// Number of tensors.
    pub tensors: u64,
    /// What is wrong, in words, with offsets.
    pub defects: Vec<(String, u64)>,
    /// What was not followed.
    pub limits: Vec<String>,
}

const MAX_PARTS: u64 = 4 << 20;

/// The facts of a GGML, GGMF, GGJT or GGLA file. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source) -> Ggml {
    let mut window = Window::new(source, 0);
    let family = match window.array::<4>() {
        Some([b't', b'j', b'g', b'g']) => "ggjt",
        Some([b'f', b'm', b'g', b'g']) => "ggmf",
        Some([b'a', b'l', b'g', b'g']) => "ggla",
        _ => "ggml",
    };
    let mut facts = Ggml { family, ..Ggml::default() };
    let layouts: &[&'static str] = match family {
        "ggla" => &["adapter"],
        "ggml" => &["whisper", "llama"],
        _ => &["llama"],
    };
    let mut furthest = (0, 0);
    for &layout in layouts {
        match read(&mut window, family, layout) {
            Ok(tensors) => {
                facts.layout = Some(layout);
                facts.tensors = tensors;
                return facts;
            }
            Err(reached) => furthest = furthest.max(reached),
        }
    }
    facts.tensors = furthest.0;
    if let Some(error) = &window.failed {
        facts.limits.push(error.to_string());
    } else if family == "ggml" && furthest.0 == 0 {
        facts.limits.push("the layout depends on the program it was made for, which is not known".into());
    } else {
        let what = format!("after {} tensors the file does not go on as the format demands", furthest.0);
        facts.defects.push((what, furthest.1));
    }
    facts
}

/// Reads to the end; how many tensors there are, or how many there were where it stopped making sense.
fn read(window: &mut Window<'_>, family: &str, layout: &str) -> Result<u64, (u64, u64)> {
    window.seek(4);
    let mut tensors = 0;
    let head = header(window, family, layout);
    if head.is_none() {
        return Err((0, window.offset()));
    }
    while window.rest() > 0 {
        let at = window.offset();
        if tensors >= MAX_PARTS || tensor(window, family != "ggml" && family != "ggmf").is_none() {
            return Err((tensors, at));
        }
        tensors += 1;
    }
    if tensors > 0 { Ok(tensors) } else { Err((0, window.offset())) }
}

fn number(window: &mut Window<'_>) -> Option<u32> {
    window.array().map(u32::from_le_bytes)
}

fn header(window: &mut Window<'_>, family: &str, layout: &str) -> Option<()> {
    if family != "ggml" && !(1..=3).contains(&number(window)?) {
        return None;
    }
    let words = match layout {
        "adapter" => return window.skip(8).then_some(()),
        "whisper" => {
            if !window.skip(44) {
                return None;
            }
            let (rows, columns) = (number(window)?, number(window)?);
            let bytes = u64::from(rows).checked_mul(u64::from(columns))?.checked_mul(4)?;
            if !window.skip(bytes) {
                return None;
            }
            number(window)?
        }
        _ => {
            let words = number(window)?;
            window.skip(24).then_some(words)?
        }
    };
    let scores = layout == "llama" && family != "ggml";
    for _ in 0..words {
        let len = number(window)?;
        if u64::from(len) > window.rest() || !window.skip(u64::from(len) + if scores { 4 } else { 0 }) {
            return None;
        }
    }
    Some(())
}

fn tensor(window: &mut Window<'_>, aligned: bool) -> Option<()> {
    let (axes, name, kind) = (number(window)?, number(window)?, number(window)?);
    if axes == 0 || axes > 4 || name > 1_024 {
        return None;
    }
    let mut shape = Vec::new();
    for _ in 0..axes {
        shape.push(u64::from(number(window)?));
    }
    if !window.skip(u64::from(name)) {
        return None;
    }
    if aligned {
        window.skip(window.offset().next_multiple_of(32) - window.offset()).then_some(())?;
    }
    let bytes = types::bytes(kind, &shape)?;
    window.skip(bytes).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn ggjt(tail: &[u8]) -> Ggml {
        let mut bytes = b"tjgg".to_vec();
        for number in [3_u32, 1, 8, 8, 1, 1, 8, 0] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(2_u32.to_le_bytes());
        bytes.extend(b"ab\0\0\0\0");
        for number in [1_u32, 1, 0, 4] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.push(b'w');
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend([0; 16]);
        bytes.extend(tail);
        analyse(&MemorySource::new(&bytes))
    }

    #[test]
    fn tensors_follow_each_other_to_the_end() {
        assert_eq!((ggjt(b"").tensors, ggjt(b"").defects.len()), (1, 0));
        assert_eq!(ggjt(b"hidden").defects.len(), 1);
        assert_eq!(analyse(&MemorySource::new(b"lmgg\x01\0\0\0")).limits.len(), 1);
    }
}
