//! A file is not what its name says.

use mantlet_formats::Facts;
use mantlet_formats::route::Format;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "file-extension-lies",
    title: "a file is not what its name says",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0074", "AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A file is not what its name says.
pub(crate) struct FileExtensionLies;

impl Rule for FileExtensionLies {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Route(route) = facts else { return };
        for format in route.lies() {
            let runs = matches!(
                format,
                Format::Pickle
                    | Format::Zip
                    | Format::Tar
                    | Format::Elf
                    | Format::Pe
                    | Format::MachO
                    | Format::Script
                    | Format::Hdf5
                    | Format::Npy
            );
            // `ndarray.dump` and `pickle.dump` write such files, and `numpy.load` reads them as what they are.
            let usual = format == Format::Pickle && route.extension == "npy";
            let message = format!(
                "the name ends in `.{}`, the content is {}{}",
                route.extension,
                format.name(),
                if usual { ", which `numpy.load` reads with `allow_pickle=True` only" } else { "" }
            );
            let finding = ABOUT.finding(place.clone(), message);
            found.push(if runs && !usual { finding } else { finding.severity(Severity::Note) });
        }
    }
}
