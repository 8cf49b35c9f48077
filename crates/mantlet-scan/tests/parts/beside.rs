//! What lies beside models, in the forms that try to look harmless, each with its harmless twin.

use mantlet_scan::{Options, scan_source};
use mantlet_testkit::forge;
use mantlet_vocab::{Digest, Examination, MemorySource, Severity, Verdict};

use crate::{forged, names};

fn scan(name: &str, bytes: &[u8]) -> Examination {
    scan_source(name, &MemorySource::new(bytes), &Options::default())
}

fn verdict(name: &str, bytes: &[u8]) -> Verdict {
    let examination = scan(name, bytes);
    examination.verdict(Severity::Suspicious)
}

#[test]
fn blobs_are_what_their_digest_says() {
    let bytes = b"{\"schemaVersion\": 2}";
    let hex = Digest::of(bytes).to_string().replace("sha256:", "");
    assert_eq!(verdict(&format!("layout/blobs/sha256/{hex}"), bytes), Verdict::Clean);
    assert_eq!(verdict(&format!("layout/blobs/sha256/{hex}"), b"{\"schemaVersion\": 3}"), Verdict::Found);
}

#[test]
fn wide_text_is_read_as_its_loader_reads_it() {
    let wide =
        |text: &str| [vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    let hostile = "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
    assert_eq!(verdict("model.pmml", &wide(hostile)), Verdict::Found);
    assert_eq!(verdict("model.pmml", &wide("<?xml version=\"1.0\"?><a/>")), Verdict::Clean);
}

#[test]
fn what_follows_a_picture_is_examined() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xae\x42\x60\x82".to_vec();
    assert_eq!(verdict("logo.png", &png), Verdict::Clean);
    let evil =
        forge("pickle", "PROTO 2\nGLOBAL os system\nTEXT \"id\"\nTUPLE1\nREDUCE\nSTOP\n").expect("a pickle");
    let examination = scan("logo.png", &[png.as_slice(), &evil].concat());
    assert!(examination.findings.iter().any(|f| f.name == "pickle-unsafe-global"), "{examination:?}");
    assert!(examination.findings.iter().any(|f| f.name == "file-unclaimed"));
}

#[test]
fn vocabularies_of_sentencepiece_are_data() {
    let mut model = Vec::new();
    for index in 0..40_u8 {
        model.extend([0x0a, 9, 0x0a, 2, b'a', b'a' + index % 26, 0x15, 0, 0, 0, 0]);
    }
    model.extend([0x12, 2, 0x18, 1]);
    assert_eq!(verdict("tokenizer.model", &model), Verdict::Clean);
    model.extend([0xff; 9]);
    assert_ne!(verdict("tokenizer.model", &model), Verdict::Clean);
}

#[test]
fn a_second_archive_behind_the_first_is_seen() {
    let first = forge("tar", "member a text\n  x\n").expect("a tar");
    let text =
        "member data.pkl pickle\n  PROTO 2\n  GLOBAL os system\n  TEXT \"id\"\n  TUPLE1\n  REDUCE\n  STOP\n";
    let second = forge("tar", text).expect("a tar");
    assert_eq!(verdict("model.tar", &first), Verdict::Clean);
    let examination = scan("model.tar", &[first, second].concat());
    assert!(examination.findings.iter().any(|f| f.name == "pickle-unsafe-global"), "{examination:?}");
}

#[test]
fn large_texts_and_deep_nesting_end() {
    let vocabulary: String = (0..200_000).map(|i| format!("\"token{i}\": {i},")).collect();
    let json = format!("{{\"model\": {{\"vocab\": {{{vocabulary}\"z\": 0}}}}}}");
    assert_eq!(verdict("tokenizer.json", json.as_bytes()), Verdict::Clean);
    assert_ne!(verdict("config.json", "[".repeat(1 << 20).as_bytes()), Verdict::Clean);
    assert_ne!(verdict("config.yaml", "[".repeat(1 << 16).as_bytes()), Verdict::Clean);
    assert_ne!(verdict("x.py", format!("x = {}", "(".repeat(1 << 16)).as_bytes()), Verdict::Clean);
}

#[test]
#[cfg(unix)]
fn external_data_is_followed_through_links_but_those_of_a_cache_are_ordinary() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let model = forged("onnx", "node - Relu\nexternal w w.bin\n");
    let write = |path: &std::path::Path, bytes: &[u8]| {
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it can be made");
        std::fs::write(path, bytes).expect("it can be written");
    };
    let link = |target: &str, path: &std::path::Path| {
        std::os::unix::fs::symlink(target, path).expect("it can be linked");
    };
    let plain = folder.path().join("plain");
    write(&plain.join("model.onnx"), &model);
    write(&folder.path().join("secret"), &[0; 4]);
    link("../secret", &plain.join("w.bin"));
    let cached = folder.path().join("models--a--b");
    write(&cached.join("blobs/1"), &model);
    write(&cached.join("blobs/2"), &[0; 4]);
    std::fs::create_dir_all(cached.join("snapshots/x")).expect("it can be made");
    link("../../blobs/1", &cached.join("snapshots/x/model.onnx"));
    link("../../blobs/2", &cached.join("snapshots/x/w.bin"));
    let scan = |path: std::path::PathBuf| {
        let examination =
            mantlet_scan::scan(&[path], &mantlet_scan::Options::default(), &mut mantlet_scan::Silent);
        names(&examination).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(scan(plain.join("model.onnx")), ["onnx-external-escape"]);
    assert_eq!(scan(cached.join("snapshots/x/model.onnx")), [""; 0]);
}

#[test]
fn a_cached_module_is_compared_with_the_source_beside_it() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let cache = folder.path().join("__pycache__");
    std::fs::create_dir(&cache).expect("it can be made");
    // `import math`, `x = math.sqrt(4)`, compiled and not to be compared with its source.
    let code = forged(
        "hex",
        "\
        a70d0d0a010000000000000000000000e30000000000000000000000000300000000000000f32e000000970064\
        0064016c005a00020065006a0100000000000000006402a6010000ab0100000000000000005a02640153002903\
        e9000000004ee9040000002903da046d617468da0473717274da0178a900f300000000fa046d2e7079fa083c6d\
        6f64756c653e720a000000010000007321000000f003010101d8000b800b800b800bd8040d804484498861814c\
        844c8001800180017208000000",
    );
    let names = |source: &str| {
        std::fs::write(folder.path().join("tiny.py"), source).expect("it can be written");
        std::fs::write(cache.join("tiny.cpython-310.pyc"), &code).expect("it can be written");
        let path = cache.join("tiny.cpython-310.pyc");
        let examination =
            mantlet_scan::scan(&[path], &mantlet_scan::Options::default(), &mut mantlet_scan::Silent);
        names(&examination).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(names("class Tiny:\n    hidden = 16\n").contains(&"archive-damaged".to_owned()));
    assert!(!names("import math\nx = math.sqrt(4)\n").contains(&"archive-damaged".to_owned()));
}

#[test]
fn numbers_beside_what_lists_them_are_data() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let numbers: Vec<u8> = (0..64_u32).flat_map(|n| (n as f32 / 7.0).to_le_bytes()).collect();
    let scanned = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("it can be written");
        let path = folder.path().join(name);
        let examination =
            mantlet_scan::scan(&[path], &mantlet_scan::Options::default(), &mut mantlet_scan::Silent);
        examination.verdict(Severity::Suspicious)
    };
    assert_eq!(scanned("__0_0.distcp", &numbers), Verdict::NotFullyExamined);
    std::fs::write(folder.path().join(".metadata"), b"x").expect("it can be written");
    assert_eq!(scanned("__0_0.distcp", &numbers), Verdict::Clean);
    // What is not searched to its end may hold a pickle, which is read from wherever the list says.
    let long: Vec<u8> = numbers.iter().copied().cycle().take((1 << 20) + 4).collect();
    assert_eq!(scanned("__0_1.distcp", &long), Verdict::NotFullyExamined);
    let index = [b"IxF2", numbers.as_slice()].concat();
    assert_eq!(scanned("index.faiss", &index), Verdict::Clean);
    assert_eq!(scanned("index.other", &index), Verdict::NotFullyExamined);
}

#[test]
fn what_a_picture_says_is_looked_into() {
    let picture = |key: &str, text: &str| {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.extend((key.len() as u32 + 1 + text.len() as u32).to_be_bytes());
        bytes.extend([b"tEXt", key.as_bytes(), b"\0", text.as_bytes(), b"1234"].concat());
        bytes.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
        verdict("cat.png", &bytes)
    };
    let node =
        |value: &str| format!("{{\"1\": {{\"class_type\": \"Eval\", \"inputs\": {{\"v\": \"{value}\"}}}}}}");
    assert_eq!(picture("prompt", &node("__import__('os').system('id')")), Verdict::Found);
    assert_eq!(picture("prompt", &node("a cat (small)")), Verdict::Clean);
    let program = "f0VMRgIBAQAAAAAAAAAAAAMAPgABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(picture("Software", program), Verdict::Found);
    assert_eq!(picture("Software", "Adobe ImageReady, and much more text of that kind"), Verdict::Clean);
}

#[test]
fn code_that_a_member_of_an_archive_names_is_looked_for_in_the_archive() {
    let archive = |kind: &str, more: &str| {
        let text = format!(
            "member m/config.json text\n  {{\"auto_map\": {{\"AutoModel\": \"modeling_x.XModel\"}}}}\n{more}"
        );
        let name = if kind == "zip" { "model.zip" } else { "model.tar" };
        let examination = scan(name, &forged(kind, &text));
        let gaps = examination.artifacts.iter().flat_map(|artifact| match &artifact.coverage {
            mantlet_vocab::Coverage::Partial { gaps } => gaps.clone(),
            mantlet_vocab::Coverage::Complete => Vec::new(),
        });
        gaps.filter(|gap| gap.why.contains("modeling_x.py")).count()
    };
    let module = "member m/modeling_x.py text\n  x = 1\n";
    assert_eq!((archive("zip", ""), archive("zip", module)), (1, 0));
    assert_eq!((archive("tar", ""), archive("tar", module)), (1, 0));
}

#[test]
fn what_an_entry_point_of_a_wheel_leads_to_is_judged_as_run_on_import() {
    let wheel = |group: &str, target: &str, code: &str| {
        let text = format!(
            "member p/load.py text\n  import subprocess\n  def start():\n      {code}\n\
             member p-1.dist-info/entry_points.txt text\n  [{group}]\n  p = {target}\n"
        );
        let examination = scan("p-1-py3-none-any.whl", &forged("zip", &text));
        examination.findings.iter().any(|finding| finding.severity >= Severity::Suspicious)
    };
    let runs = "subprocess.run('touch x; id > y', shell=True)";
    assert!(wheel("torch.backends", "p.load:start", runs));
    assert!(wheel("vllm.general_plugins", "p.load:start [gpu]", runs));
    assert!(!wheel("torch.backends", "p.load:start", "return 1"));
    assert!(!wheel("console_scripts", "p.load:start", runs), "somebody starts it");
    assert!(!wheel("torch.backends", "p.load:other", runs), "another function");
}
