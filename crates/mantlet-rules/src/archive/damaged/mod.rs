//! An archive or compressed file is damaged.

use mantlet_formats::Facts;
use mantlet_formats::zip::ZipFault;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "archive-damaged",
    title: "an archive or compressed file is damaged",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// An archive or compressed file is damaged.
pub(crate) struct ArchiveDamaged;

impl Rule for ArchiveDamaged {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        match facts {
            Facts::Zip(zip) => {
                for (fault, offset) in &zip.faults {
                    if matches!(fault, ZipFault::NoEnd | ZipFault::Directory | ZipFault::NoLocalHeader(_)) {
                        found.push(ABOUT.finding(place.at(Span::at(*offset)), fault.describe()));
                    }
                }
            }
            Facts::Tar(tar) => {
                found.extend(tar.defects.iter().map(|defect| ABOUT.finding(place.clone(), defect.clone())));
            }
            Facts::SevenZip(archive) => {
                found.extend(
                    archive.defects.iter().map(|defect| ABOUT.finding(place.clone(), defect.clone())),
                );
            }
            Facts::Damage(what) => found.push(ABOUT.finding(place.clone(), what.clone())),
            _ => {}
        }
    }
}
