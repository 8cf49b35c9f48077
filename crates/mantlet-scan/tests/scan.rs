//! The station as a whole: every room's cases, hostile containers, folders, and the laws of a scan.

#[path = "parts/beside.rs"]
mod beside;
#[cfg(unix)]
#[path = "parts/hub.rs"]
mod hub;
#[path = "parts/kept.rs"]
mod kept;
#[path = "parts/oddities.rs"]
mod oddities;
#[path = "parts/packed.rs"]
mod packed;
#[path = "parts/pipe.rs"]
mod pipe;
#[path = "parts/surfaces.rs"]
mod surfaces;
#[path = "parts/diff.rs"]
mod versions;
#[path = "parts/wheels.rs"]
mod wheels;

use std::io::Write as _;
use std::path::PathBuf;

use mantlet_scan::{Options, Silent, scan, scan_source};
use mantlet_testkit::{Kind, cases, forge};
use mantlet_vocab::{Examination, MemorySource, Severity, Source, SourceError, Verdict};
use proptest::prelude::*;

fn scan_bytes(file: &str, bytes: &[u8]) -> Examination {
    scan_source(file, &MemorySource::new(bytes), &Options::default())
}

/// A case as its room needs it: weights with all their bytes, or against the untouched ones.
fn scan_case(case: &mantlet_testkit::Case, bytes: &[u8]) -> Examination {
    match case.forge.as_str() {
        "lowbits" => {
            let options = Options { full_content: true, ..Options::default() };
            scan_source(&case.file, &MemorySource::new(bytes), &options)
        }
        "deviation" => {
            let folder = tempfile::tempdir().expect("a folder for a test");
            let (base, model) = (folder.path().join("base"), folder.path().join("model"));
            std::fs::write(&base, forged("deviation", "same\n")).expect("it can be written");
            std::fs::write(&model, bytes).expect("it can be written");
            let (findings, gaps) = mantlet_scan::against(&base, &model, &mantlet_formats::Bounds::default());
            Examination { findings, gaps, ..Examination::default() }
        }
        _ => scan_bytes(&case.file, bytes),
    }
}

#[test]
fn weights_of_torch_are_compared_with_those_of_their_base() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let against = |change: &str| {
        let (base, model) = (folder.path().join("base.pt"), folder.path().join("model.pt"));
        std::fs::write(&base, forged("deviation", "torch\nsame\n")).expect("it can be written");
        std::fs::write(&model, forged("deviation", &format!("torch\n{change}\n")))
            .expect("it can be written");
        let (findings, gaps) = mantlet_scan::against(&base, &model, &mantlet_formats::Bounds::default());
        assert_eq!(gaps, []);
        findings.into_iter().map(|finding| finding.name).collect::<Vec<_>>()
    };
    assert_eq!(against("bits 4"), ["weights-tampered"]);
    assert_eq!(against("trained"), Vec::<String>::new());
    assert_eq!(against("same"), Vec::<String>::new());
}

#[test]
fn a_model_in_several_files_is_compared_with_its_base_tensor_by_tensor() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let shard = |name: &str, change: &str| {
        let bytes = forged("deviation", &format!("{change}\n"));
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("it can be made");
        std::fs::write(path, bytes).expect("it can be written");
    };
    shard("base/model-00001-of-00001.safetensors", "same");
    shard("tuned/one.safetensors", "bits 4");
    shard("same/other-name.safetensors", "same");
    std::fs::write(folder.path().join("tuned/config.json"), "{}").expect("it can be written");
    let against = |model: &str| {
        let bounds = mantlet_formats::Bounds::default();
        mantlet_scan::against(&folder.path().join("base"), &folder.path().join(model), &bounds)
    };
    let (found, gaps) = against("tuned");
    assert_eq!(gaps, []);
    assert_eq!(found.len(), 1);
    assert!(found[0].place.artifact.ends_with("one.safetensors"), "{}", found[0].place);
    assert_eq!(against("same"), (vec![], vec![]));
    // A file against a folder works as well, and a folder without weights is no comparison.
    assert_eq!(against("tuned/one.safetensors").0.len(), 1);
    std::fs::create_dir(folder.path().join("empty")).expect("it can be made");
    assert_eq!(against("empty").1.len(), 1);
}

fn forged(kind: &str, text: &str) -> Vec<u8> {
    forge(kind, text).expect("the text of a test forges")
}

fn names(examination: &Examination) -> Vec<&str> {
    examination.findings.iter().map(|finding| finding.name.as_str()).collect()
}

#[test]
fn every_room_keeps_its_cases() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for about in mantlet_rules::abouts() {
        for case in cases(about.cases) {
            count += 1;
            // These need the model to run, which a scan does not do.
            if case.forge == "probe" {
                continue;
            }
            let bytes = forge(&case.forge, &case.text)
                .unwrap_or_else(|error| panic!("{}: {}: {error}", about.name, case.title));
            let examination = scan_case(&case, &bytes);
            let found = names(&examination);
            let spoke = found.contains(&about.name);
            if spoke != (case.kind == Kind::Hit) || (case.kind == Kind::Benign && !found.is_empty()) {
                wrong.push(format!("{}: {:?} `{}` found {found:?}", about.name, case.kind, case.title));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 80, "only {count} cases");
}

#[test]
fn every_prefix_of_every_case_ends_in_a_verdict() {
    for about in mantlet_rules::abouts() {
        for case in cases(about.cases) {
            let bytes = forged(&case.forge, &case.text);
            let step = (bytes.len() / 150).max(1);
            for end in (0..bytes.len()).step_by(step) {
                let begun = std::time::Instant::now();
                let examination = scan_bytes(&case.file, &bytes[..end]);
                let code = examination.verdict(Severity::Suspicious).exit_code();
                assert!(code <= 2, "{}: {} of {}", case.title, end, bytes.len());
                // Milliseconds, but for a machine that does other things.
                let taken = begun.elapsed();
                assert!(taken.as_secs() < 20, "{}: {end} bytes take {taken:?}", case.title);
                // One artifact, or the reason why there is none.
                assert_eq!(examination.artifacts.len() + examination.gaps.len(), 1, "{}", case.title);
            }
        }
    }
}

const EVIL: &str = "PROTO 2\nGLOBAL os system\nTEXT \"id\"\nTUPLE1\nREDUCE\nSTOP\n";

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[test]
fn a_call_is_found_wherever_a_loader_would_find_it() {
    let member = |options: &str| format!("member archive/data.pkl pickle {options}\n{}", indent(EVIL));
    let npy = format!("{{'descr': '|O', 'shape': (1,), }}\npickle\n{}", indent(EVIL));
    let hosts = [
        ("model.pkl", forged("pickle", EVIL)),
        ("model.safetensors", forged("pickle", EVIL)),
        ("no_extension", forged("pickle", EVIL)),
        ("old.pkl", b"cos\nsystem\n(S'id'\ntR.".to_vec()),
        ("old.txt", b"cos\nsystem\n(S'id'\ntR.".to_vec()),
        ("model.pt", forged("zip", &member(""))),
        ("model.bin", forged("zip", &member("deflate"))),
        ("model.pt", forged("zip", &member("later"))),
        ("model.pt", forged("zip", &member("encrypted"))),
        ("model.pt", forged("zip", &member("unlisted"))),
        ("model.pt", forged("zip", &member("crc=7"))),
        ("model.pt", forged("zip", &format!("{}no-end\n", member("")))),
        ("model.tar", forged("tar", &format!("member data pickle\n{}", indent(EVIL)))),
        ("a.npy", forged("npy", &npy)),
        ("a.npz", forged("zip", &format!("member a.npy npy\n{}", indent(&npy)))),
        ("model.joblib", forged("zlib", &format!("pickle\n{}", indent(EVIL)))),
        ("model.pkl.gz", forged("gzip", &format!("pickle\n{}", indent(EVIL)))),
        ("a.zip", forged("zip", &format!("member b.zip zip\n{}", indent(&member(""))))),
    ];
    for (file, bytes) in hosts {
        let examination = scan_bytes(file, &bytes);
        let finding = examination.findings.iter().find(|finding| finding.name == "pickle-unsafe-global");
        let finding = finding.unwrap_or_else(|| panic!("{file}: {examination:#?}"));
        assert_eq!(finding.severity, Severity::Malicious);
        assert!(finding.message.contains("os.system(\"id\")"), "{file}: {}", finding.message);
    }
}

#[test]
fn what_is_not_examined_is_never_clean() {
    let cases: [(&str, &[u8]); 6] = [
        ("model.7z", b"7z\xbc\xaf\x27\x1c00"),
        ("m.joblib", b"BZh91AY&SY0000"),
        ("m.joblib", b"\xfd7zXZ\0\0\0"),
        ("unknown.bin", b"\x01\x02\x03\x04\x05\xff\xfe"),
        ("config.json", br#"{"auto_map": {"AutoModel": "x--y.Z"}}"#),
        ("code.js", b"require('os')\n"),
    ];
    for (file, bytes) in cases {
        let examination = scan_bytes(file, bytes);
        assert_ne!(examination.verdict(Severity::Suspicious), Verdict::Clean, "{file}");
    }
    assert_eq!(scan(&[], &Options::default(), &mut Silent).verdict(Severity::Suspicious).exit_code(), 2);
}

#[test]
fn depth_and_expansion_are_bounded() {
    let mut nested = forged("pickle", "NONE\nSTOP\n");
    for _ in 0..20 {
        nested = zip_of("a.zip", &nested);
    }
    let examination = scan_bytes("a.zip", &nested);
    assert_eq!(examination.verdict(Severity::Suspicious), Verdict::NotFullyExamined);

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let mut options = Options::default();
    options.bounds.max_expanded = 8 << 20;
    let examination = scan_source("bomb.gz", &MemorySource::new(&bomb), &options);
    assert_eq!(examination.verdict(Severity::Suspicious), Verdict::NotFullyExamined);
}

/// A stored member by hand, since the forge writes text.
fn zip_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    forged("zip", &format!("member {name} hex\n  {hex}\n"))
}

/// Forty gigabytes that exist only where they were written.
struct Sparse {
    head: Vec<u8>,
    len: u64,
}

impl Source for Sparse {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let count = buffer.len().min(usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX));
        for (index, byte) in buffer[..count].iter_mut().enumerate() {
            *byte = self.head.get(offset as usize + index).copied().unwrap_or(0);
        }
        Ok(count)
    }
}

#[test]
fn huge_files_are_read_only_where_it_matters() {
    let len = 40 << 30;
    // A bytes literal of almost forty gigabytes, then STOP is missing: the end is zeros.
    let mut head = b"\x80\x04\x8e".to_vec();
    head.extend((len - 100_u64).to_le_bytes());
    let pickle = Sparse { head, len };
    let examination = scan_source("huge.pkl", &pickle, &Options::default());
    assert_eq!(examination.verdict(Severity::Suspicious), Verdict::Found);

    let header = format!(r#"{{"a":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}}}"#, len - 1_000);
    let mut head = (header.len() as u64).to_le_bytes().to_vec();
    head.extend(header.as_bytes());
    let exact = len - 1_000 + head.len() as u64;
    let tensors = Sparse { head, len: exact };
    let examination = scan_source("huge.safetensors", &tensors, &Options::default());
    assert_eq!(examination.verdict(Severity::Suspicious), Verdict::Clean, "{examination:?}");

    let zeros = Sparse { head: Vec::new(), len };
    let examination = scan_source("huge.bin", &zeros, &Options::default());
    assert_eq!(examination.verdict(Severity::Suspicious), Verdict::NotFullyExamined);
}

#[test]
fn folders_links_and_threads() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("models");
    std::fs::create_dir_all(root.join("deep/er")).unwrap();
    for index in 0..40 {
        let text = if index % 10 == 3 { EVIL } else { "PROTO 2\nNONE\nSTOP\n" };
        std::fs::write(root.join(format!("deep/er/{index:02}.pkl")), forged("pickle", text)).unwrap();
    }
    std::fs::write(root.join("readme.md"), "A model.\n").unwrap();
    std::fs::write(folder.path().join("outside.pkl"), b"N.").unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(root.join("readme.md"), root.join("inside.md")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("outside.pkl"), root.join("out.pkl")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("broken.pkl")).unwrap();
    }
    let paths = [root.clone(), PathBuf::from("/no/such/model.pkl")];
    let run = |threads| {
        let options = Options { threads, ..Options::default() };
        serde_json::to_string(&scan(&paths, &options, &mut Silent)).unwrap()
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(7));
    let examination: Examination = serde_json::from_str(&one).unwrap();
    assert_eq!(examination.findings.iter().filter(|f| f.name == "pickle-unsafe-global").count(), 4);
    assert_eq!(examination.verdict(Severity::Suspicious), Verdict::Found);
    assert!(examination.gaps.iter().any(|gap| gap.what.contains("/no/such/model.pkl")));
    assert!(examination.gaps.iter().all(|gap| !gap.remedy.is_empty()));
    #[cfg(unix)]
    {
        assert!(examination.gaps.iter().any(|gap| gap.what.ends_with("out.pkl")));
        assert!(examination.gaps.iter().any(|gap| gap.what.ends_with("broken.pkl")));
        assert!(examination.artifacts.iter().any(|artifact| artifact.path.ends_with("inside.md")));
    }
}

#[test]
fn small_files_are_digested() {
    let bytes = forged("pickle", EVIL);
    let examination = scan_source("a.pkl", &MemorySource::new(&bytes), &Options::default());
    assert_eq!(examination.artifacts[0].digest, Some(mantlet_vocab::Digest::of(&bytes)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), which in 0_usize..8) {
        let heads: [&[u8]; 8] = [
            b"\x80\x04", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x40\0\0\0\0\0\0\0{\"", b"\x08\x07\x3a\x20",
            b"\x1f\x8b\x08", b"\x78\x9c", b"(",
        ];
        let bytes = [heads[which], &bytes].concat();
        for file in ["a.pkl", "a.pt", "a.npy", "a.safetensors", "a.onnx"] {
            scan_bytes(file, &bytes);
        }
    }

    #[test]
    fn mutated_cases_do_not_make_it_panic(
        room in 0_usize..200, case in 0_usize..40, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let abouts = mantlet_rules::abouts();
        let list = cases(abouts[room % abouts.len()].cases);
        let case = &list[case % list.len()];
        let mut bytes = forged(&case.forge, &case.text);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        scan_bytes(&case.file, &bytes);
    }

    #[test]
    fn random_opcodes_do_not_make_it_panic(
        opcodes in prop::collection::vec(prop::sample::select(&b"(.012NRabde}]lst)uo\x81\x85\x86\x87\x88\x8f\x90\x91\x92\x93\x94h\x00h\x01K\x05Cc"[..]), 0..200),
    ) {
        scan_bytes("a.pkl", &[b"\x80\x04cos\nsystem\n\x94\x8c\x02id\x94", opcodes.as_slice()].concat());
    }
}
