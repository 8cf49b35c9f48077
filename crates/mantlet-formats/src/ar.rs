//! `ar` archives, as Debian packages and static libraries are: headers of sixty bytes, one after the other.

use mantlet_vocab::{Source, read_window};

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, without the slash that some writers end it with.
    pub name: String,
    /// Offset of its bytes.
    pub data: u64,
    /// How many there are.
    pub size: u64,
}

/// The first bytes of an archive.
pub const MAGIC: &[u8] = b"!<arch>\n";

/// The members, at most `max`, and what is wrong or was left out.
#[must_use]
pub fn members(source: &dyn Source, max: usize) -> (Vec<Member>, Option<String>) {
    let mut members = Vec::new();
    let mut at = MAGIC.len() as u64;
    while at < source.len() {
        if members.len() >= max {
            return (members, Some(format!("only the first {max} members are examined")));
        }
        let head = read_window(source, at, 60).unwrap_or_default();
        let field = |from: usize, to: usize| {
            head.get(from..to).map(|text| String::from_utf8_lossy(text).trim().to_owned())
        };
        let size = field(48, 58).and_then(|size| size.parse::<u64>().ok());
        let (Some(name), Some(size), true) = (field(0, 16), size, head.ends_with(b"`\n")) else {
            return (members, Some(format!("the member at {at:#x} has no header")));
        };
        let data = at + 60;
        if size > source.len().saturating_sub(data) {
            return (members, Some(format!("the member at {at:#x} is longer than the file")));
        }
        members.push(Member { name: name.trim_end_matches('/').to_owned(), data, size });
        at = data + size + size % 2;
    }
    (members, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn members_are_listed_and_lengths_are_checked() {
        let head =
            |name: &str, size: &str| format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
        let text = format!("!<arch>\n{}abc\n{}xy", head("a/", "3"), head("b", "2"));
        let (found, defect) = members(&MemorySource::new(text.as_bytes()), 10);
        let names: Vec<(&str, u64)> =
            found.iter().map(|member| (member.name.as_str(), member.size)).collect();
        assert_eq!((names, defect), (vec![("a", 3), ("b", 2)], None));
        let text = format!("!<arch>\n{}abc", head("a/", "99"));
        assert!(members(&MemorySource::new(text.as_bytes()), 10).1.is_some());
    }
}
