//! Ids of decisions given out, in as few bytes as they need: thousands of callers have hundreds each.

use std::collections::VecDeque;

/// An id: a UUID as its sixteen bytes, anything else as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Id {
    Uuid([u8; 16]),
    Other(Box<str>),
}

/// The last ids of one caller, oldest first.
pub(crate) type Ids = VecDeque<Id>;

/// Where hyphens stand in a UUID (RFC 9562, section 4).
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl Id {
    pub(crate) fn of(text: &str) -> Self {
        uuid(text).map_or_else(|| Self::Other(text.into()), Self::Uuid)
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Other(text) => f.write_str(text),
            Self::Uuid(bytes) => {
                for (place, byte) in bytes.iter().enumerate() {
                    if matches!(place, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

/// The bytes of a UUID that is written as this writes it.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 16];
    let mut at = 0;
    for byte in &mut bytes {
        if HYPHENS.contains(&at) {
            if text[at] != b'-' {
                return None;
            }
            at += 1;
        }
        *byte = digit(text[at])? << 4 | digit(text[at + 1])?;
        at += 2;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_they_came() {
        for text in [
            "7f2c1a90-0b1d-4e55-8a77-00ff10e2d3c4",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "e-1",
            "",
            "7F2C1A90-0b1d-4e55-8a77-00ff10e2d3c4",
            "7f2c1a90x0b1d-4e55-8a77-00ff10e2d3c4",
            "7f2c1a90-0b1d-4e55-8a77-00ff10e2d3cg",
            "7f2c1a900b1d4e558a7700ff10e2d3c4----",
        ] {
            assert_eq!(Id::of(text).to_string(), text);
        }
        assert!(matches!(Id::of("7f2c1a90-0b1d-4e55-8a77-00ff10e2d3c4"), Id::Uuid(_)));
        assert!(std::mem::size_of::<Id>() <= 24);
    }
}
