//! Equal bytes are examined once: what the first examination said is said again at each later place.
//!
//! Members that lie inside one another would else be looked at once for each way that leads to them, which doubles with
//! each member.

use std::collections::HashMap;
use std::ops::Range;

use mantlet_formats::pass::pass;
use mantlet_formats::pickle::Storage;
use mantlet_vocab::{Finding, Gap, Place, Source};
use sha2::{Digest as _, Sha256};

use crate::engine::{Engine, SMALL};

/// Regions of one artifact that are remembered at a time.
const MAX_REGIONS: usize = 20_000;
/// Storages and gaps that one examination may leave behind and still be remembered.
const MAX_LEFT: usize = 256;
/// How long a region may be that is told by its digest when it lies deeper than two containers.
const LONG: u64 = 64 << 20;

/// What says that two examinations have the same answer: a digest of the bytes and of all else that was asked of them.
type Key = [u8; 32];

/// What an examination left behind.
#[derive(Debug, Clone)]
struct Left {
    /// How deep it began.
    depth: u8,
    /// Members that lead to it.
    nesting: usize,
    /// How the place is written in gaps.
    shown: String,
    findings: Range<usize>,
    user: Range<usize>,
    gaps: Vec<Gap>,
    storages: Vec<Storage>,
}

/// The regions that were examined.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    known: HashMap<Key, Left>,
    /// How many regions were examined, those not counted that were known.
    pub(crate) examined: u64,
}

/// Where an examination begins.
pub(crate) struct Before {
    key: Key,
    findings: usize,
    user: usize,
    gaps: usize,
    storages: usize,
    layers: u64,
}

impl Engine {
    /// Whether equal bytes were examined before under the same circumstances, in which case all that was said of them
    /// is said of this place as well. Else where the examination begins, when it is worth remembering.
    pub(crate) fn known(
        &mut self,
        source: &dyn Source,
        name: &str,
        place: &Place,
        depth: u8,
    ) -> Result<(), Option<Before>> {
        self.seen.examined += 1;
        let most = if depth > 2 { LONG } else { SMALL };
        if depth == 0 || source.len() > most || !self.stores.is_empty() {
            return Err(None);
        }
        let Some(key) = self.key(source, name, place) else { return Err(None) };
        if let Some(left) = self.seen.known.get(&key)
            && (left.depth <= depth || left.gaps.is_empty())
        {
            let left = left.clone();
            self.seen.examined -= 1;
            self.declared = false;
            self.repeat(left, place);
            return Ok(());
        }
        Err(Some(Before {
            key,
            findings: self.findings.len(),
            user: self.user_findings.len(),
            gaps: self.gap_log.len(),
            storages: self.storages.len(),
            layers: self.keras.met,
        }))
    }

    fn key(&self, source: &dyn Source, name: &str, place: &Place) -> Option<Key> {
        let mut digest = Sha256::new();
        let read = pass(source, u64::MAX, |step| digest.update(step.new_bytes()));
        if read.ok() != Some(source.len()) {
            return None;
        }
        let holder = place.nesting.iter().rev().nth(1).unwrap_or(&place.artifact).to_ascii_lowercase();
        let member = place.nesting.last().map_or("", String::as_str);
        let blob = |part: &String| part.contains("blobs/sha256/");
        let layer = place.nesting.iter().any(blob) || blob(&place.artifact);
        let ending = holder.rsplit('.').next().unwrap_or("");
        for text in [name, member, ending].into_iter().chain(self.carried.iter().map(String::as_str)) {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        digest.update([u8::from(self.declared), u8::from(self.served), u8::from(layer)]);
        Some(digest.finalize().into())
    }

    /// Says at `place` what was said where the same bytes were first.
    fn repeat(&mut self, left: Left, place: &Place) {
        let moved = |finding: &Finding| {
            let mut finding = finding.clone();
            let inner = finding.place.nesting.get(left.nesting..).unwrap_or(&[]).to_vec();
            finding.place.nesting = place.nesting.iter().cloned().chain(inner).collect();
            finding
        };
        for index in left.findings {
            let Some(finding) = self.findings.get(index).map(moved) else { break };
            if !self.has_room(place) {
                break;
            }
            self.findings.push(finding);
        }
        for index in left.user {
            let Some(finding) = self.user_findings.get(index).map(moved) else { break };
            if self.user_findings.len() >= crate::engine::MAX_FINDINGS {
                let why = "too many findings of your own rules already".into();
                self.gap(place, why, "make the rules more specific");
                break;
            }
            self.user_findings.push(finding);
        }
        let here = place.to_string();
        for gap in left.gaps {
            let what = gap.what.strip_prefix(&left.shown).map(|rest| format!("{here}{rest}"));
            self.add_gap(Gap { what: what.unwrap_or_else(|| here.clone()), ..gap });
        }
        self.storages.extend(left.storages);
    }

    /// Remembers what an examination left behind, unless it reached what does not lie within it.
    pub(crate) fn remember(&mut self, before: Option<Before>, place: &Place, depth: u8) {
        let Some(before) = before else { return };
        let unlike = self.keras.met != before.layers
            || self.storages.len() < before.storages
            || self.findings.len() < before.findings
            || self.storages.len() - before.storages > MAX_LEFT
            || self.gap_log.len() - before.gaps > MAX_LEFT
            || !self.logs_gaps()
            || self.is_over();
        if unlike {
            return;
        }
        // What is kept is bounded; where members lie inside one another, equal ones follow soon.
        if self.seen.known.len() >= MAX_REGIONS {
            self.seen.known.clear();
        }
        let left = Left {
            depth,
            nesting: place.nesting.len(),
            shown: place.to_string(),
            findings: before.findings..self.findings.len(),
            user: before.user..self.user_findings.len(),
            gaps: self.gap_log.get(before.gaps..).unwrap_or(&[]).to_vec(),
            storages: self.storages.get(before.storages..).unwrap_or(&[]).to_vec(),
        };
        self.seen.known.insert(before.key, left);
    }
}

#[cfg(test)]
mod tests {
    use mantlet_testkit::forge;
    use mantlet_vocab::{ArtifactSummary, MemorySource};

    use super::*;
    use crate::Options;

    const HOSTILE: &str = "GLOBAL posix system\nMARK\nUNICODE id\nTUPLE\nREDUCE\nSTOP\n";

    /// A zip of stored members.
    fn zip(members: &[(String, &[u8])]) -> Vec<u8> {
        let (mut zip, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes) in members {
            let mut crc = flate2::Crc::new();
            crc.update(bytes);
            let (crc, len) = (crc.sum().to_le_bytes(), (bytes.len() as u32).to_le_bytes());
            let start = (zip.len() as u32).to_le_bytes();
            let middle =
                [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0], &crc[..], &len, &len, &[name.len() as u8, 0, 0, 0]];
            zip.extend([b"PK\x03\x04", &middle.concat()[..], name.as_bytes(), bytes].concat());
            let after = [&[0; 10][..], &start, name.as_bytes()].concat();
            directory.extend([b"PK\x01\x02\x14\0", &middle.concat()[..], &after].concat());
        }
        let (count, at) = ([members.len() as u8, 0], (zip.len() as u32).to_le_bytes());
        let size = (directory.len() as u32).to_le_bytes();
        let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &at, &[0, 0]];
        zip.extend([&directory[..], &end.concat()].concat());
        zip
    }

    /// A zip of three members that are equal but for their names, and so on, down to a pickle.
    fn tower(levels: usize, text: &str) -> Vec<u8> {
        let mut bytes = forge("pickle", text).expect("a pickle");
        for level in 0..levels {
            let end = if level == 0 { "pkl" } else { "zip" };
            let members: Vec<_> = (0..3).map(|index| (format!("{index}.{end}"), &bytes[..])).collect();
            bytes = zip(&members);
        }
        bytes
    }

    fn scanned(bytes: &[u8]) -> (u64, ArtifactSummary, Vec<Finding>) {
        let mut engine = Engine::new("tower.zip", &Options::default());
        let source = MemorySource::new(bytes);
        engine.begin(&source);
        engine.examine(&source, "tower.zip", &Place::artifact("tower.zip"), 0);
        let examined = engine.seen.examined;
        let (summary, findings, _) = Engine::new("tower.zip", &Options::default()).run(&source);
        (examined, summary, findings)
    }

    fn hostile(findings: &[Finding]) -> std::collections::BTreeSet<String> {
        let hostile = findings.iter().filter(|finding| finding.name == "pickle-unsafe-global");
        hostile.map(|finding| finding.place.nesting.join("!")).collect()
    }

    #[test]
    fn equal_members_are_examined_once_for_each_name_and_told_at_each_place() {
        let (examined, _, findings) = scanned(&tower(5, HOSTILE));
        // 363 members: three names on each of five levels, and the archive itself.
        assert_eq!(examined, 16);
        let places = hostile(&findings);
        assert_eq!(places.len(), 243);
        assert!(places.contains("2.zip!1.zip!0.zip!2.zip!1.pkl"));
    }

    #[test]
    fn the_bound_of_depth_is_met_once_for_each_name() {
        let (examined, summary, findings) = scanned(&tower(9, HOSTILE));
        assert_eq!(hostile(&findings).len(), 0);
        assert!(matches!(summary.coverage, mantlet_vocab::Coverage::Partial { .. }));
        // Of 29,524; the uppermost are too long to be remembered.
        assert!(examined < 100, "{examined}");
    }

    #[test]
    fn what_was_too_deep_at_first_is_examined_again_where_it_is_not() {
        let inner = tower(7, HOSTILE);
        let deeper = zip(&[("inner.zip".to_owned(), &inner)]);
        let both = zip(&[("deeper.zip".to_owned(), &deeper[..]), ("inner.zip".to_owned(), &inner)]);
        let (_, _, findings) = scanned(&both);
        let places = hostile(&findings);
        assert!(places.iter().all(|place| place.starts_with("inner.zip!")) && !places.is_empty());
    }

    #[test]
    fn members_that_lie_inside_one_another_are_not_all_opened() {
        // Each member goes on to the end, so that it holds all that follow; each cut at another place is another one.
        let mut bytes = Vec::new();
        for index in 0..40_u32 {
            let len = (4_000 - 37 * index).to_le_bytes();
            let head = [
                &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
                &len,
                &len,
                &[1, 0, 0, 0, b'a' + index as u8 % 26],
            ];
            bytes.extend([b"PK\x03\x04", &head.concat()[..]].concat());
        }
        bytes.resize(4_100, 0);
        let (examined, ..) = scanned(&bytes);
        assert!(examined < 120, "{examined}");
    }

    #[test]
    fn equal_bytes_under_another_name_are_examined_again() {
        let (examined, ..) = scanned(&tower(1, "NONE\nSTOP\n"));
        assert_eq!(examined, 4);
    }
}
