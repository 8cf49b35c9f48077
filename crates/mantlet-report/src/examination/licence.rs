//! Identifiers of SPDX for licences as people write them: hubs in small letters, packages in words.

/// Licences that models, data and their code come under, by their identifier.
const KNOWN: [&str; 72] = [
    "0BSD",
    "AFL-3.0",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-Clear",
    "BSL-1.0",
    "BUSL-1.1",
    "C-UDA-1.0",
    "CC-BY-2.0",
    "CC-BY-2.5",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-NC-2.0",
    "CC-BY-NC-3.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-ND-3.0",
    "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-2.0",
    "CC-BY-NC-SA-3.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDLA-Permissive-1.0",
    "CDLA-Permissive-2.0",
    "CDLA-Sharing-1.0",
    "ECL-2.0",
    "EPL-1.0",
    "EPL-2.0",
    "etalab-2.0",
    "EUPL-1.1",
    "EUPL-1.2",
    "GFDL-1.3-only",
    "GFDL-1.3-or-later",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "Intel",
    "ISC",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "LGPLLR",
    "LPPL-1.3c",
    "MIT",
    "MIT-0",
    "MPL-1.1",
    "MPL-2.0",
    "MS-PL",
    "NCSA",
    "ODbL-1.0",
    "ODC-By-1.0",
    "OFL-1.1",
    "OSL-3.0",
    "PDDL-1.0",
    "PostgreSQL",
    "PSF-2.0",
    "Python-2.0",
    "Unicode-3.0",
    "Unlicense",
    "WTFPL",
    "X11",
    "Zlib",
];

/// What is written for them beside the identifier itself. A version that may be "or later" is left as it is written:
/// which of two identifiers it is, it does not say.
const WRITTEN: [(&str, &str); 18] = [
    ("apache 2", "Apache-2.0"),
    ("apache 2.0", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache license version 2.0", "Apache-2.0"),
    ("the mit license", "MIT"),
    ("mit license", "MIT"),
    ("bsd 3-clause", "BSD-3-Clause"),
    ("bsd 3-clause license", "BSD-3-Clause"),
    ("new bsd", "BSD-3-Clause"),
    ("3-clause bsd license", "BSD-3-Clause"),
    ("bsd 2-clause", "BSD-2-Clause"),
    ("mozilla public license 2.0", "MPL-2.0"),
    ("boost software license 1.0", "BSL-1.0"),
    ("c-uda", "C-UDA-1.0"),
    ("odc-by", "ODC-By-1.0"),
    ("odbl", "ODbL-1.0"),
    ("pddl", "PDDL-1.0"),
];

/// The identifier of what is written, when it is one without doubt.
pub(super) fn spdx(written: &str) -> Option<&'static str> {
    let written = written.trim();
    let known = KNOWN.into_iter().find(|id| id.eq_ignore_ascii_case(written));
    known.or_else(|| {
        WRITTEN.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(written)).map(|(_, id)| id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_becomes_an_identifier_only_without_doubt() {
        for (written, expected) in [
            ("apache-2.0", Some("Apache-2.0")),
            (" MIT License ", Some("MIT")),
            ("cc-by-nc-4.0", Some("CC-BY-NC-4.0")),
            ("odbl", Some("ODbL-1.0")),
            // Of version 3, or of any later one too?
            ("gpl-3.0", None),
            // Two clauses or three?
            ("bsd", None),
            ("openrail", None),
            ("llama3", None),
            ("MIT-like", None),
            ("", None),
        ] {
            assert_eq!(spdx(written), expected, "{written}");
        }
        for (name, id) in WRITTEN {
            assert!(
                KNOWN.contains(&id) && !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name)),
                "{name}"
            );
        }
    }
}
