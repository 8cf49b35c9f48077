//! Compressed files and 7z archives: unpacked within the bounds, then examined as what they hold.

use mantlet_formats::inflate::{Inflated, Wrapper};
use mantlet_formats::route::Format;
use mantlet_formats::{Facts, sevenz, zstd};
use mantlet_vocab::{Place, Source, SubSource, read_window};

use crate::engine::Engine;
use crate::members::shown;

/// Bytes of words in a frame of Zstandard that decoders skip.
const MAX_WORDS: u64 = 256;

/// The wrapper of a compressed format and the endings its file names drop.
pub(crate) const fn wrapper(format: Format) -> Option<(Wrapper, &'static [&'static str])> {
    Some(match format {
        Format::Gzip => (Wrapper::Gzip, &[".gz", ".gzip", ".z"]),
        Format::Zlib => (Wrapper::Zlib, &[".zlib", ".z", ".zz"]),
        Format::Bzip2 => (Wrapper::Bzip2, &[".bz2", ".bzip2"]),
        Format::Xz => (Wrapper::Xz, &[".xz"]),
        Format::Lzma => (Wrapper::Lzma, &[".lzma"]),
        Format::Lz4 => (Wrapper::Lz4, &[".lz4"]),
        Format::Zstd => (Wrapper::Zstd, &[".zst", ".zstd"]),
        _ => return None,
    })
}

/// The name that the header of a gzip file has, when it has no further fields before it.
fn gzip_name(source: &dyn Source) -> Option<String> {
    let head = read_window(source, 0, 1_024).ok()?;
    let named = head.get(3).is_some_and(|flags| flags & 8 != 0 && flags & 4 == 0);
    let rest = head.get(10..).filter(|_| named)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

impl Engine {
    pub(crate) fn compressed(
        &mut self,
        format: Format,
        source: &dyn Source,
        name: &str,
        place: &Place,
        depth: u8,
    ) {
        let Some((wrapper, endings)) = wrapper(format) else { return };
        let inflated = Inflated::open(source, wrapper, &self.bounds, self.budget);
        let lower = name.to_ascii_lowercase();
        let inner = endings
            .iter()
            .find(|end| lower.ends_with(**end))
            .and_then(|end| name.get(..name.len() - end.len()).map(str::to_owned));
        let inner = match inner {
            Some(inner) => inner,
            None if lower.ends_with(".tgz") => name[..name.len() - 4].to_owned() + ".tar",
            // The digest in the name of a blob is that of its packed bytes.
            None if name.contains("blobs/sha256/") => "layer".to_owned(),
            None => name.to_owned(),
        };
        if format == Format::Gzip
            && let Some(stored) =
                gzip_name(source).filter(|stored| stored.split(['/', '\\']).any(|part| part == ".."))
        {
            let what = format!("the name in its header, `{}`, leads out of the folder", shown(&stored));
            self.judge(&Facts::Damage(what), place);
        }
        self.inflated(&inflated, &inner, &place.member(format.name()), depth);
        if format == Format::Zstd {
            self.skipped_frames(source, place, depth);
        }
        if let Some(end) = inflated.consumed.filter(|&end| inflated.damage.is_none() && end < source.len()) {
            self.unclaimed(source, end, source.len(), place, depth);
        }
    }

    /// What joblib compressed before 0.10: a length in hexadecimal digits, then zlib.
    pub(crate) fn zfile(&mut self, source: &dyn Source, name: &str, place: &Place, depth: u8) {
        let head = read_window(source, 0, 24).unwrap_or_default();
        // Python 2 wrote one digit more.
        let start = if head.get(21) == Some(&b' ') { 22 } else { 21 };
        let inner = SubSource::new(source, start, u64::MAX);
        self.compressed(Format::Zlib, &inner, name, place, depth);
    }

    /// The frames of Zstandard that hold no compressed data, which decoders skip.
    fn skipped_frames(&mut self, source: &dyn Source, place: &Place, depth: u8) {
        for (start, end) in zstd::skipped(source) {
            // They are there for what a program says about its data: a few words are.
            let words = end.saturating_sub(start) <= MAX_WORDS
                && read_window(source, start, MAX_WORDS as usize).is_ok_and(|bytes| {
                    let said = bytes.get(..(end - start) as usize).unwrap_or(&bytes);
                    said.iter().all(|&byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'))
                        && !said.contains(&b'(')
                });
            if words {
                continue;
            }
            self.unclaimed(source, start, end, place, depth);
        }
    }

    /// Damage and bounds of one decompression.
    pub(crate) fn unpacking(&mut self, inflated: &Inflated<'_>, place: &Place) {
        self.budget = self.budget.saturating_sub(inflated.len());
        if let Some(damage) = &inflated.damage {
            self.judge(&Facts::Damage(format!("the compressed data is damaged: {damage}")), place);
        }
        if let Some(refused) = &inflated.refused {
            self.gap(place, refused.clone(), "unpack it and scan the inner file");
        }
        if inflated.cut {
            let why = format!("it unpacks to more than {} bytes", self.bounds.max_expanded);
            self.gap(place, why, "treat it as a decompression bomb, or raise the bounds of the scan");
        }
    }

    pub(crate) fn seven_zip(&mut self, source: &dyn Source, place: &Place, depth: u8) {
        let facts = sevenz::analyse(source, &self.bounds);
        self.limits(place, &facts.limits);
        for (index, folder) in facts.folders.iter().enumerate() {
            let members = facts.members.iter().filter(|member| member.folder == Some(index));
            if let Some(why) = &folder.closed {
                for member in members.take(16) {
                    self.gap(
                        &place.member(shown(&member.name)),
                        why.clone(),
                        "unpack it and scan the inner file",
                    );
                }
                continue;
            }
            let bounds = self.bounds;
            sevenz::open(source, folder, &bounds, self.budget, |bytes, steps| {
                for step in steps {
                    self.unpacking(step, place);
                }
                let held: usize = steps.iter().map(|step| step.window()).sum();
                self.bounds.max_window = bounds.max_window.saturating_sub(held);
                for member in members {
                    let inside = place.member(shown(&member.name));
                    let inner = SubSource::new(bytes, member.offset, member.len);
                    if inner.len() < member.len {
                        self.gap(&inside, "its bytes are not all there".into(), "do not use the archive");
                    }
                    if member.crc.is_some()
                        && inner.len() == member.len
                        && (self.bounds.full_content || member.len <= bounds.max_resident as u64)
                    {
                        self.look_at_member(&inner, false, member.crc, &member.name, &inside);
                    }
                    if !member.link {
                        self.examine(&inner, &member.name, &inside, depth + 1);
                    }
                }
                self.bounds.max_window = bounds.max_window;
            });
        }
        if facts.defects.is_empty() && facts.end < source.len() {
            self.unclaimed(source, facts.end, source.len(), place, depth);
        }
        self.judge(&Facts::SevenZip(facts), place);
    }

    /// Bytes of a file that no format claims: examined as a file of their own, and reported.
    pub(crate) fn unclaimed(&mut self, source: &dyn Source, start: u64, end: u64, place: &Place, depth: u8) {
        let inner = SubSource::new(source, start, end.saturating_sub(start));
        let facts = mantlet_formats::unclaimed::analyse(&inner, start, &self.bounds);
        if facts.padding {
            return;
        }
        if facts.opens {
            let inside = place.member(format!("bytes at {start:#x}"));
            self.examine(&inner, "unclaimed", &inside, depth + 1);
        }
        self.judge(&Facts::Unclaimed(facts), place);
    }
}
