//! What a wheel says of its members: the platform it is for, and the digest of each file.

use std::collections::HashMap;

use mantlet_formats::Bounds;
use mantlet_formats::inflate::{Inflated, Wrapper};
use mantlet_formats::requirements;
use mantlet_formats::zip::{Entry, Zip};
use mantlet_vocab::{Source, SubSource, read_window};
use sha2::{Digest as _, Sha256};

/// Longest record that is read.
const MAX_RECORD: usize = 8 << 20;

/// A wheel for some platform, with what its record lists.
pub(crate) struct Wheel {
    digests: HashMap<String, String>,
}

impl Wheel {
    /// The wheel in this archive, unless it is one for any platform: those have no programs to declare.
    pub(crate) fn read(source: &dyn Source, zip: &Zip, bounds: &Bounds) -> Option<Self> {
        let text = |end: &str| {
            let entry = zip.entries.iter().find(|entry| entry.listed && entry.name.ends_with(end))?;
            member(source, entry, bounds)
        };
        let about = text(".dist-info/WHEEL")?;
        let platform = about.lines().filter_map(|line| line.strip_prefix("Tag:")).any(|tag| {
            let platform = tag.trim().rsplit('-').next().unwrap_or("");
            platform != "any" && !platform.is_empty()
        });
        if !platform {
            return None;
        }
        let digests = text(".dist-info/RECORD")?
            .lines()
            .filter_map(|line| {
                let (rest, _) = line.rsplit_once(',')?;
                let (name, digest) = rest.rsplit_once(',')?;
                Some((name.trim_matches('"').to_owned(), digest.strip_prefix("sha256=")?.to_owned()))
            })
            .collect();
        Some(Self { digests })
    }

    /// Whether a member is a library that the record lists, so far by name.
    pub(crate) fn lists(&self, name: &str) -> bool {
        let file = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        let library =
            [".so", ".pyd", ".dylib", ".dll"].iter().any(|end| file.ends_with(end)) || file.contains(".so.");
        library && self.digests.contains_key(name)
    }

    /// Whether the record lists a member with the digest it has.
    pub(crate) fn vouches(&self, name: &str, member: &dyn Source) -> bool {
        self.lists(name) && digest(member).is_some_and(|digest| self.has(name, &digest))
    }

    fn has(&self, name: &str, digest: &[u8]) -> bool {
        self.digests.get(name).is_some_and(|listed| listed.trim_end_matches('=') == encoded(digest))
    }
}

/// The functions of a built package that other programs call by themselves, each as the member that may hold it and the
/// lines that call it.
pub(crate) fn hooks(source: &dyn Source, zip: &Zip, bounds: &Bounds) -> Vec<(String, String)> {
    let about = |entry: &&Entry| {
        let inside = [".dist-info/entry_points.txt", "EGG-INFO/entry_points.txt"];
        entry.listed && inside.iter().any(|end| entry.name.ends_with(end))
    };
    let mut found = Vec::new();
    for entry in zip.entries.iter().filter(about).take(16) {
        let Some(text) = member(source, entry, bounds) else { continue };
        let facts = requirements::analyse(&text, requirements::Kind::EntryPoints);
        for target in facts.hooks.iter().filter_map(|hook| requirements::called(&hook.target)) {
            let (module, call) = target;
            let path = module.replace('.', "/");
            let known = |entry: &&Entry| {
                let name =
                    entry.name.split_once(".data/purelib/").map_or(entry.name.as_str(), |(_, name)| name);
                name.strip_prefix(&path).is_some_and(|rest| matches!(rest, ".py" | "/__init__.py"))
            };
            found.extend(
                zip.entries.iter().filter(known).take(4).map(|entry| (entry.name.clone(), call.clone())),
            );
        }
    }
    found
}

fn digest(source: &dyn Source) -> Option<Vec<u8>> {
    let (mut hasher, mut buffer, mut at) = (Sha256::new(), vec![0; 64 << 10], 0);
    while at < source.len() {
        let count = source.read_at(at, &mut buffer).ok().filter(|&count| count > 0)?;
        hasher.update(&buffer[..count]);
        at += count as u64;
    }
    Some(hasher.finalize().to_vec())
}

fn member(source: &dyn Source, entry: &Entry, bounds: &Bounds) -> Option<String> {
    let packed = SubSource::new(source, entry.data?, entry.packed);
    let bytes = match entry.method {
        0 => read_window(&packed, 0, MAX_RECORD).ok()?,
        8 => {
            let inflated = Inflated::open(&packed, Wrapper::Raw, bounds, MAX_RECORD as u64);
            read_window(&inflated, 0, MAX_RECORD).ok()?
        }
        _ => return None,
    };
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Base64 of the URL alphabet without padding, as records have it.
fn encoded(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|index| u32::from(chunk.get(index).copied().unwrap_or(0)));
        let bits = a << 16 | b << 8 | c;
        for index in 0..=chunk.len() as u32 {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * index) & 63) as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_written_as_records_have_them() {
        assert_eq!(encoded(b"\xfb\xff"), "-_8");
        assert_eq!(encoded(&[0; 32]).len(), 43);
        let wheel = Wheel {
            digests: HashMap::from([("a/b.so".into(), encoded(&[7; 32])), ("run".into(), String::new())]),
        };
        assert!(wheel.lists("a/b.so") && !wheel.lists("run") && !wheel.lists("c.so"));
        assert!(wheel.has("a/b.so", &[7; 32]) && !wheel.has("a/b.so", &[8; 32]));
    }
}
