//! Results that are kept: found again, never trusted from others, never wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mantlet_scan::{Cache, Options, Silent, scan};
use mantlet_vocab::Examination;

const EVIL: &[u8] = b"cos\nsystem\n(S'true'\ntR.";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("what a test needs");
        fs::create_dir(folder.path().join("models")).expect("what a test needs");
        let place = Self { folder };
        place.put("call.pkl", EVIL);
        place.put("list.pkl", b"\x80\x04]\x94.");
        place
    }
    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join("models").join(name), bytes).expect("what a test needs");
    }
    fn cache(&self) -> PathBuf {
        self.folder.path().join("kept")
    }
    fn open(&self, max: u64) -> Arc<Cache> {
        Arc::new(Cache::open(&self.cache(), max).expect("what a test needs"))
    }
    /// The report, and how many results were found again and added.
    fn scan(&self, options: Options) -> (Examination, u64, u64) {
        let cache = self.open(1 << 20);
        let options = Options { cache: Some(Arc::clone(&cache)), ..options };
        let examination = scan(&[self.folder.path().join("models")], &options, &mut Silent);
        (examination, cache.hits(), cache.stored())
    }
    fn entries(&self) -> Vec<PathBuf> {
        let mut entries: Vec<PathBuf> = fs::read_dir(self.cache())
            .expect("what a test needs")
            .map(|entry| entry.expect("what a test needs").path())
            .collect();
        entries.sort();
        entries
    }
}

fn json(examination: &Examination) -> String {
    serde_json::to_string(examination).expect("what a test needs")
}

#[test]
fn the_second_scan_is_the_first_byte_for_byte() {
    let place = Place::new();
    let without = scan(&[place.folder.path().join("models")], &Options::default(), &mut Silent);
    let (first, hits, stored) = place.scan(Options::default());
    assert_eq!((hits, stored), (0, 2));
    let (second, hits, stored) = place.scan(Options { threads: 2, ..Options::default() });
    assert_eq!((hits, stored), (2, 0));
    assert_eq!(json(&first), json(&without));
    assert_eq!(json(&second), json(&without));
}

#[test]
fn whatever_decides_is_part_of_the_key() {
    let place = Place::new();
    place.scan(Options::default());
    let hits = |options| place.scan(options).1;
    assert_eq!(hits(Options { full_content: true, ..Options::default() }), 0);
    assert_eq!(hits(Options { max_depth: 3, ..Options::default() }), 0);
    place.put("call.pkl", b"\x80\x04N.");
    let (changed, hits, stored) = place.scan(Options::default());
    assert_eq!((hits, stored), (1, 1));
    assert_eq!(changed.findings.len(), 0);
    // The name decides too: the same bytes as `.txt`.
    fs::rename(place.folder.path().join("models/list.pkl"), place.folder.path().join("models/list.txt"))
        .unwrap();
    assert_eq!(place.scan(Options::default()).1, 1);
}

#[test]
fn results_with_gaps_and_those_that_neighbours_decide_are_not_kept() {
    let place = Place::new();
    fs::remove_file(place.folder.path().join("models/call.pkl")).unwrap();
    place.put("unknown.bin", &[0xc1; 64]);
    place.put(".zarray", b"{}");
    place.put("0.0", b"\x80\x04]\x94.");
    for _ in 0..2 {
        let (examination, _, _) = place.scan(Options::default());
        assert_eq!(examination.artifacts.len(), 4);
    }
    assert_eq!(place.entries().len(), 2, "list.pkl and .zarray");
}

#[test]
fn damaged_swapped_and_foreign_entries_are_ignored_and_replaced() {
    let place = Place::new();
    let (first, _, _) = place.scan(Options::default());
    let entries = place.entries();
    let clean = entries.iter().find(|path| !fs::read_to_string(path).unwrap().contains("malicious")).unwrap();
    let found = entries.iter().find(|path| *path != clean).unwrap();
    let (clean_text, found_text) = (fs::read(clean).unwrap(), fs::read_to_string(found).unwrap());
    let attempts: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"{}".to_vec(),
        found_text.as_bytes()[..found_text.len() / 2].to_vec(),
        found_text.replace("malicious", "note").into_bytes(),
        found_text
            .replace("\\\"findings\\\"", "\\\"finding5\\\"")
            .replace("os.system", "os.nothin")
            .into_bytes(),
        clean_text,
        vec![b' '; 3 << 20],
    ];
    for attempt in attempts {
        fs::write(found, &attempt).unwrap();
        let (again, hits, stored) = place.scan(Options::default());
        assert_eq!(json(&again), json(&first));
        assert_eq!((hits, stored), (1, 1), "{} bytes", attempt.len());
        assert_eq!(fs::read_to_string(found).unwrap(), found_text);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_or_entry_that_others_could_write_is_not_trusted() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let place = Place::new();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    place.scan(Options::default());
    assert_eq!(fs::metadata(place.cache()).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in place.entries() {
        assert_eq!(fs::metadata(&entry).unwrap().permissions().mode() & 0o777, 0o600);
        mode(&entry, 0o666);
    }
    assert_eq!(place.scan(Options::default()).1, 0);
    // A link to an entry elsewhere is none.
    let entry = place.entries().remove(0);
    let elsewhere = place.folder.path().join("elsewhere");
    fs::rename(&entry, &elsewhere).unwrap();
    symlink(&elsewhere, &entry).unwrap();
    assert_eq!(place.scan(Options::default()).1, 1);
    mode(&place.cache(), 0o770);
    let fault = Cache::open(&place.cache(), 1).unwrap_err().to_string();
    assert!(fault.contains("chmod 700"), "{fault}");
    let link = place.folder.path().join("link");
    symlink(place.cache(), &link).unwrap();
    assert!(Cache::open(&link, 1).is_err());
    assert!(Cache::open(&place.folder.path().join("no/where"), 1).is_err());
}

#[test]
fn the_folder_stays_within_its_size_and_nothing_else_in_it_is_touched() {
    let place = Place::new();
    for number in 0..40 {
        place.put(&format!("{number}.pkl"), format!("(lp0\nI{number}\na.").as_bytes());
    }
    let cache = place.open(8 << 10);
    fs::write(place.cache().join("notes"), "mine").unwrap();
    let options = Options { cache: Some(cache), ..Options::default() };
    scan(&[place.folder.path().join("models")], &options, &mut Silent);
    let total: u64 = place.entries().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(total <= 8 << 10, "{total}");
    assert!(place.entries().len() > 3);
    assert!(place.cache().join("notes").is_file());
}

#[test]
fn many_at_once_do_not_disturb_each_other() {
    let place = Place::new();
    for number in 0..20 {
        place.put(&format!("{number}.pkl"), format!("(lp0\nI{number}\na.").as_bytes());
    }
    let expected = json(&scan(&[place.folder.path().join("models")], &Options::default(), &mut Silent));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for max in [1 << 20, 2 << 10] {
                    let options = Options { cache: Some(place.open(max)), ..Options::default() };
                    let report = scan(&[place.folder.path().join("models")], &options, &mut Silent);
                    assert_eq!(json(&report), expected);
                }
            });
        }
    });
    assert!(place.entries().iter().all(|path| !path.to_string_lossy().contains("new-")));
}

#[test]
fn what_files_beside_it_decide_is_asked_of_them_each_time() {
    let place = Place::new();
    // A field of a protobuf message: its number, and the bytes in it.
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let entry =
        |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    let tensor = [
        vec![1 << 3, 1, 2 << 3, 1],
        field(8, b"w"),
        entry("location", "w.dat"),
        entry("offset", "0"),
        entry("length", "4"),
        vec![14 << 3, 1],
    ];
    let graph = [field(1, &field(4, b"Relu")), field(2, b"g"), field(5, &tensor.concat())].concat();
    let model = [vec![1 << 3, 8], field(7, &graph), field(8, &[2 << 3, 17])].concat();
    place.put("model.onnx", &model);
    place.put("w.dat", &[0; 4]);
    let graph = b"<?xml version=\"1.0\"?><net name=\"n\" version=\"11\"><layers><layer id=\"0\" name=\"w\" type=\"Const\" version=\"opset1\"><data element_type=\"u8\" shape=\"4\" offset=\"0\" size=\"4\"/><output><port id=\"0\" precision=\"U8\"><dim>4</dim></port></output></layer></layers><edges/></net>";
    place.put("graph.xml", graph);
    place.put("graph.bin", &[0; 4]);
    let of = |examination: &Examination, name: &str| {
        let file = |finding: &&mantlet_vocab::Finding| finding.place.to_string().contains(name);
        examination.findings.iter().filter(file).count()
    };
    let (whole, ..) = place.scan(Options::default());
    assert_eq!((of(&whole, "model.onnx"), of(&whole, "graph.xml")), (0, 0), "{}", json(&whole));
    place.put("w.dat", b"");
    place.put("graph.bin", b"");
    let (cut, hits, _) = place.scan(Options::default());
    let without = scan(&[place.folder.path().join("models")], &Options::default(), &mut Silent);
    assert_eq!(json(&cut), json(&without));
    assert!(of(&cut, "model.onnx") > 0 && of(&cut, "graph.xml") > 0, "{}", json(&cut));
    assert!(hits >= 2, "what nobody beside it decides is found again");
}
