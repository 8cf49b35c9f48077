//! An HDF5 file makes its reader open other files.

use mantlet_formats::Facts;
use mantlet_formats::hdf5::Elsewhere;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "hdf5-outside-file",
    title: "an HDF5 file makes its reader open other files",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0037"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// An HDF5 file makes its reader open other files.
pub(crate) struct Hdf5OutsideFile;

impl Rule for Hdf5OutsideFile {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Hdf5(file) = facts else { return };
        for escape in file.escapes.iter().take(32) {
            let how = match escape.how {
                Elsewhere::Link => "is a link into",
                Elsewhere::Storage => "has its bytes in",
                Elsewhere::Virtual => "is put together from",
            };
            let message = format!("`{}` {how} `{}`", escape.object, escape.file);
            found.push(ABOUT.finding(place.at(Span::at(escape.at)), message));
        }
    }
}
