//! Rules of the user's own, from their files to findings in the depths of archives.

use std::path::PathBuf;
use std::sync::Arc;

use mantlet_scan::{Options, UserRules as _, scan_source};
use mantlet_testkit::{Kind, cases, forge};
use mantlet_vocab::{
    Coverage, Examination, Finding, MemorySource, Place, Severity, Source, SourceError, Verdict,
};
use mantlet_yara::{LoadError, Rules, abouts};
use proptest::prelude::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder for a test"));
        for (name, text) in files {
            let path = folder.path(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            std::fs::write(path, text).expect("it can be written");
        }
        folder
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn rules(&self) -> Result<Rules, LoadError> {
        Rules::load(&[self.0.path().to_owned()])
    }
}

fn rules(text: &str) -> Rules {
    Folder::new(&[("own.yar", text)]).rules().expect("the rules of a test")
}

fn fault(text: &str) -> String {
    Folder::new(&[("own.yar", text)]).rules().expect_err("the rules are at fault").to_string()
}

fn matches(rules: Rules, file: &str, bytes: &[u8]) -> (Vec<Finding>, Examination) {
    let options = Options { user_rules: Some(Arc::new(rules)), ..Options::default() };
    let examination = scan_source(file, &MemorySource::new(bytes), &options);
    let own = examination.findings.iter().filter(|finding| finding.name == "yara-match").cloned();
    (own.collect(), examination)
}

#[test]
fn the_room_keeps_its_cases() {
    let mut count = 0;
    for case in cases(abouts()[0].cases) {
        let (rule, file) = case.text.split_once("---\n").unwrap();
        let (found, _) = matches(rules(rule), "notes.txt", file.as_bytes());
        assert_eq!(!found.is_empty(), case.kind == Kind::Hit, "{}: {found:?}", case.title);
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn a_match_is_named_at_its_place_at_any_depth_and_its_bytes_are_not_shown() {
    let pickle = "PROTO 4\nSHORT_BINUNICODE \"token-7f3a\"\nSTOP\n";
    let indent = |text: &str| text.lines().map(|line| format!("  {line}\n")).collect::<String>();
    let zip = format!("member archive/data.pkl pickle\n{}", indent(pickle));
    let zip = forge("zip", &zip).unwrap();
    let zlib = format!("pickle\n{}", indent(pickle));
    let tar = forge("tar", &format!("member a/model.joblib zlib\n{}", indent(&zlib))).unwrap();
    let text = r#"rule leak : secret exfil {
        meta: severity = "malicious" description = "our token" remedy = "revoke it" atlas = "AML.T0048"
        strings: $token = /token-[0-9a-f]{4}/ condition: $token }"#;
    let (found, examination) = matches(rules(text), "bundle.tar", &tar);
    assert_eq!(found.len(), 1, "{found:#?}");
    let finding = &found[0];
    assert_eq!(finding.severity, Severity::Malicious);
    assert!(finding.place.to_string().starts_with("bundle.tar!a/model.joblib!zlib @ 0x"));
    assert_eq!((finding.why.as_str(), finding.help.as_str()), ("our token", "revoke it"));
    assert_eq!(finding.atlas, ["AML.T0048"]);
    assert_eq!(finding.facts["tags"], serde_json::json!(["secret", "exfil"]));
    assert_eq!(finding.facts["strings"]["$token"]["count"], 1);
    assert!(!serde_json::to_string(&found).unwrap().contains("7f3a"));
    assert_eq!(examination.verdict(Severity::Suspicious), Verdict::Found);
    // A member that is stored as it is lies in the archive in plain sight; it is told once, where it belongs.
    let (found, _) = matches(rules(text), "model.pt", &zip);
    let places: Vec<String> = found.iter().map(|finding| finding.place.to_string()).collect();
    assert_eq!(places, ["model.pt!archive/data.pkl @ 0x4"]);
}

#[test]
fn payloads_that_a_pickle_decodes_are_regions_too() {
    // The bytes are held as base64 and decoded by the pickle: the marker is nowhere in the file.
    let pickle = "PROTO 2\nGLOBAL pickle loads\nGLOBAL base64 b64decode\nTEXT \"gAKMBm1hcmtlcnEALg==\"\nTUPLE1\nREDUCE\nTUPLE1\nREDUCE\nSTOP\n";
    let bytes = forge("pickle", pickle).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"marker"));
    let (found, _) = matches(rules("rule m { strings: $a = \"marker\" condition: $a }"), "a.pkl", &bytes);
    assert_eq!(found.len(), 1);
    assert!(found[0].place.to_string().contains("computed bytes"), "{}", found[0].place);
}

/// A long file that is never in memory: zeros, with texts at places.
struct Sparse {
    len: u64,
    texts: Vec<(u64, &'static [u8])>,
    broken_at: Option<u64>,
}

impl Source for Sparse {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let count = usize::try_from(self.len.saturating_sub(offset)).expect("it fits").min(buffer.len());
        if self.broken_at.is_some_and(|at| (offset..offset + count as u64).contains(&at)) {
            return Err(SourceError { offset, reason: "the disk is broken".into() });
        }
        buffer[..count].fill(0);
        for (at, text) in &self.texts {
            for (index, byte) in text.iter().enumerate() {
                let position = at + index as u64;
                if (offset..offset + count as u64).contains(&position) {
                    buffer[(position - offset) as usize] = *byte;
                }
            }
        }
        Ok(count)
    }
}

#[test]
fn large_regions_are_seen_through_windows_without_seams() {
    const WINDOW: u64 = 4 << 20;
    let seam = WINDOW - 3;
    let source = Sparse {
        len: 5 * WINDOW + 17,
        texts: vec![(0, b"head"), (seam, b"split-me"), (3 * WINDOW + 5, b"late"), (5 * WINDOW + 13, b"tail")],
        broken_at: None,
    };
    let text = "import \"hash\"
rule seam { strings: $a = \"split-me\" condition: #a == 1 and @a == 0x3ffffd }
rule ends { strings: $h = \"head\" $t = \"tail\" condition: $h at 0 and $t at filesize - 4 }
rule size { condition: filesize == 20971537 and uint32be(0x3ffffd) == 0x73706c69 }
rule small { condition: filesize < 1MB }
rule reads { condition: uint32be(12582917) == 0x6c617465 }
rule both { strings: $h = \"head\" $t = \"late\" condition: all of them }
rule digest { condition: hash.md5(0, filesize) != \"\" }";
    let place = Place::artifact("large.bin");
    let judged = rules(text).judge(&source, &place);
    let mut names: Vec<&str> =
        judged.findings.iter().map(|finding| finding.facts["rule"].as_str().unwrap()).collect();
    names.sort_unstable();
    // An integer that two windows share cannot be read by a condition; everything else is as in one piece.
    assert_eq!(names, ["both", "digest", "ends", "reads", "seam"]);
    assert_eq!(judged.gaps, []);
    let broken = Sparse { broken_at: Some(2 * WINDOW), ..source };
    let judged = rules(text).judge(&broken, &place);
    assert_eq!(judged.gaps.len(), 1);
    assert!(judged.gaps[0].0.contains("the disk is broken"), "{:?}", judged.gaps);
}

#[test]
fn a_rule_that_takes_too_long_is_a_gap() {
    let text = "rule slow { condition: for all i in (0..100000000) : (uint8(i % 100) != 1) }";
    let slow = rules(text).patience(std::time::Duration::from_millis(20));
    let judged = slow.judge(&MemorySource::new(&[0; 200]), &Place::artifact("a.bin"));
    assert_eq!(judged.findings, []);
    assert!(judged.gaps[0].0.contains("not done"), "{:?}", judged.gaps);
    let options = Options { user_rules: Some(Arc::new(slow)), ..Options::default() };
    let examination = scan_source("a.txt", &MemorySource::new(&[b' '; 200]), &options);
    assert!(matches!(examination.artifacts[0].coverage, Coverage::Partial { .. }));
}

#[test]
fn faults_name_the_file_the_line_and_the_remedy() {
    for (text, words) in [
        ("rule a { condition: true }\nrule b { condition: maybe }", vec!["own.yar:2:21", "correct the rule"]),
        ("rule a { strings: $x = \"a\" condition: true }", vec!["own.yar:1", "correct the rule"]),
        ("import \"pe\"\nrule a { condition: true }", vec!["own.yar:1", "hash, math and string"]),
        ("include \"other.yar\"", vec!["own.yar:1", "with --yara"]),
        ("rule a { condition: filesize and }", vec!["own.yar:1"]),
        ("// nothing", vec!["without a single rule"]),
        ("YARA\u{1}binary", vec!["compiled by another program"]),
    ] {
        let said = fault(text);
        for word in words {
            assert!(said.contains(word), "{text}: {said}");
        }
    }
    assert!(Folder::new(&[("a.txt", "x")]).rules().unwrap_err().to_string().contains("no `.yar`"));
    let missing = Rules::load(&[PathBuf::from("not-there.yar")]).unwrap_err();
    assert!(missing.to_string().contains("not-there.yar"));
}

#[test]
fn folders_are_read_in_order_and_each_file_is_a_namespace() {
    let same = "rule twin { strings: $a = \"mark\" condition: $a }";
    let folder = Folder::new(&[("b.yara", same), ("deep/a.yar", same), ("notes.md", "no rule")]);
    let loaded = folder.rules().unwrap();
    assert_eq!(loaded.len(), 2);
    let digest = loaded.digest();
    assert_eq!(digest, folder.rules().unwrap().digest());
    let (found, examination) = matches(loaded, "a.txt", b"a mark");
    let spaces: Vec<&str> = found.iter().map(|one| one.facts["namespace"].as_str().unwrap()).collect();
    assert!(spaces[0].ends_with("b.yara") && spaces[1].ends_with("a.yar"), "{spaces:?}");
    let again = matches(folder.rules().unwrap(), "a.txt", b"a mark").1;
    assert_eq!(serde_json::to_string(&again).unwrap(), serde_json::to_string(&examination).unwrap());
    std::fs::write(folder.path("b.yara"), same.replace("mark", "other")).unwrap();
    assert_ne!(digest, folder.rules().unwrap().digest());
}

#[test]
fn remarks_tell_what_was_not_understood() {
    let loaded = rules("rule a { meta: severity = \"critical\" condition: true }");
    assert!(loaded.remarks().iter().any(|remark| remark.contains("`critical`")), "{:?}", loaded.remarks());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_and_no_bytes_make_it_fall_over(text in "[ -~\\n]{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let folder = Folder::new(&[("own.yar", &text)]);
        let _ = folder.rules();
        let wide = rules("rule r { strings: $a = { 00 [0-4] ff } $b = /[a-f]{2,5}x?/ wide nocase condition: any of them or filesize == 3 }");
        let _ = wide.judge(&MemorySource::new(&bytes), &Place::artifact("a"));
    }
}
