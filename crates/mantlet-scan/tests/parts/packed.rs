//! The same hostile pickle (`os.system("id")`) packed by the tools people use, and streams built to exhaust.

use mantlet_scan::{Options, scan_source};
use mantlet_vocab::{Examination, MemorySource, Severity, Verdict};

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

fn scan(name: &str, bytes: &[u8]) -> Examination {
    scan_source(name, &MemorySource::new(bytes), &Options::default())
}

/// Written by Python's `bz2` and `lzma`, the `zstd` and `lz4` commands, and py7zr.
const PACKED: [(&str, &str); 10] = [
    // bz2
    (
        "model.joblib",
        "425a6839314159265359451fecea00000ad3c05010000110400e228c2042002000222680f51a7a9e90a1a69800776c2822402b9e2a44329f8bb9229c2848228ff67500",
    ),
    // xz
    (
        "model.pkl.xz",
        "fd377a585a000004e6d6b446020021011c00000010cf58cc0100168002636f730a73797374656d0a5802000000696485522e0000a92ff0aec870fcb800012f17810849b11fb6f37d010000000004595a",
    ),
    // lzma
    (
        "model.joblib",
        "5d00008000ffffffffffffffff0040008803bc30bd34de2f5e26d069fb35e81d870638a894cdc2fda8ffffe2b08000",
    ),
    // zst
    ("model.pkl.zst", "28b52ffd2417b900008002636f730a73797374656d0a5802000000696485522eea0d51f3"),
    // lz4
    ("model.joblib", "04224d186440a7170000808002636f730a73797374656d0a5802000000696485522e000000006ebc3f1d"),
    // 7z default
    (
        "model.7z",
        "377abcaf271c000462b37ac698000000000000001400000000000000a850705501001b68656c6c6f8002636f730a73797374656d0a5802000000696485522e00e0007e00705d0000813307ae0fd00eb03c9f39109c71942d6c34225afa9e689bfe7e274cc818fb13c10d25c0107b3a8f512dc07b2fedf1e0d323236f3ef832a9d35b93736d758454426012171d834c9a76f876396d3a9f312a5a6fe56ab96ce8cf3592b31f011907e423aaeb23403047d92d9b65e000000017062001097800070b010001212101180c7f0000",
    ),
    // 7z lzma2
    (
        "model.7z",
        "377abcaf271c000451fd106d93000000000000001400000000000000eea7978501001b68656c6c6f8002636f730a73797374656d0a5802000000696485522e00e00076006b5d0000813307ae0fd00eb03c9f3f47410ba7314cfd176498f0b48dad4151df81d51c4c09db8c5900cdf1da14bad7bc4bd8d0890b801e3b9267ab37a8a852d5ba01cbdea3b3b183647de62af618f86e999b1aaca1997a733092fe16dfef403434510f422be037839d5f490000000017062001097300070b010001212101180c770000",
    ),
    // 7z bcj+lzma
    (
        "model.7z",
        "377abcaf271c000492760999a20000000000000015000000000000009628da5400341949ee8e21f1081d7ef67894e3f8e8711fb5a0c94f4d0d40b30af04a1b93fdffff7c080000e0008200735d0000813307ae0fd0789ffc9f39109c8680be1e028d643224457f87aa194453a75ed289c0759fbe9b3a9a659ac36b4460223d016605cabf5adeb83c6f30179e24c15125032c9ed13b059fc88c5ad28110a4b46cd52eecd331467e4b6b2410fa5cb374872d44dfce4b177a7eef71de86eb6e2800000017062701097b00070b010001212101180c80830000",
    ),
    // 7z copy
    (
        "model.7z",
        "377abcaf271c00044792396d890000000000000014000000000000002a15934468656c6c6f8002636f730a73797374656d0a5802000000696485522ee0007200655d0000813307ae0fcfc7af680febeb2d5cfa045e710c86f7596c914dacd2d6046ebb5ed000c9afbbd9ae5976de94bd9e18a3b59293492df183f12689cacfcbb0dc64843bb667c9a8b005327b0025bcd2793d96a4c44ad03f3271f9ebb57d31a6558df03d2000000017061c01096d00070b010001212101180c730000",
    ),
    // 7z deflate
    (
        "model.7z",
        "377abcaf271c000472720b728e000000000000001400000000000000363b22fecb48cdc9c96f604ace2fe62aae2c2e49cde58a60626060c84c690dd20300e0007600685d0000813307ae0fcfeb30140febea897fe4cb6cbc3544a55f9edf33b54187cb272d04d81fc6015d7f11726f66ae01c0b6da4868635a97d8e00ff5f0e09ff9ce1fb8597b650b889b0683d48b041e7747f85cdbc668c27bbc66e3d1baea28a9c2702c802cbb86dbcf00000017061e01097000070b010001212101180c770000",
    ),
];

/// Zips by Python's `zipfile` whose member is not deflated.
const ZIPS: [(&str, &str); 2] = [
    // zip with bzip2
    (
        "model.zip",
        "504b03042e0000000c0000002100f6df7c544300000017000000050000006d2e706b6c425a6839314159265359451fecea00000ad3c05010000110400e228c2042002000222680f51a7a9e90a1a69800776c2822402b9e2a44329f8bb9229c2848228ff67500504b01022e032e0000000c0000002100f6df7c5443000000170000000500000000000000000000008001000000006d2e706b6c504b0506000000000100010033000000660000000000",
    ),
    // zip with LZMA
    (
        "model.zip",
        "504b03043f0002000e0000002100f6df7c542b00000017000000050000006d2e706b6c090405005d000080000040008803bc30bd34de2f5e26d069fb35e81d870638a894cdc2fda8ffffe2b08000504b01023f033f0002000e0000002100f6df7c542b000000170000000500000000000000000000008001000000006d2e706b6c504b05060000000001000100330000004e0000000000",
    ),
];

#[test]
fn members_in_rarer_compressions_are_read() {
    for (name, hex) in ZIPS {
        let packed = bytes(hex);
        let examination = scan(name, &packed);
        assert!(
            examination.findings.iter().any(|finding| finding.name == "pickle-unsafe-global"),
            "{examination:?}"
        );
        for end in 20..packed.len() {
            let cut = scan(name, &packed[..end]);
            assert_ne!(cut.verdict(Severity::Suspicious), Verdict::Clean, "{name} cut at {end}");
        }
        for at in 0..packed.len() {
            let mut flipped = packed.clone();
            flipped[at] ^= 0x41;
            let _ = scan(name, &flipped);
        }
    }
}

#[test]
fn a_call_is_found_in_every_packing() {
    for (name, hex) in PACKED {
        let packed = bytes(hex);
        let examination = scan(name, &packed);
        let finding = examination.findings.iter().find(|finding| finding.name == "pickle-unsafe-global");
        assert!(finding.is_some(), "{name} {}: {examination:?}", &hex[..12]);
        // Shorter than any magic it is text, or nothing.
        for end in 20..packed.len() {
            let cut = scan(name, &packed[..end]);
            assert_ne!(cut.verdict(Severity::Suspicious), Verdict::Clean, "{name} cut at {end}");
        }
        for at in 0..packed.len() {
            let mut flipped = packed.clone();
            flipped[at] ^= 0x41;
            let _ = scan(name, &flipped);
        }
        let appended = [packed.as_slice(), b"nobody looks here"].concat();
        let examination = scan(name, &appended);
        let told = |name: &str| matches!(name, "file-unclaimed" | "archive-damaged" | "archive-disagreement");
        assert!(examination.findings.iter().any(|f| told(&f.name)), "{name}: {examination:?}");
    }
}

#[test]
fn members_of_7z_are_unpacked_in_the_order_of_their_coders_and_match_their_checksums() {
    // Written by py7zr: LZMA2, then the filter for x86, listed first to last.
    let filtered = bytes(
        "377abcaf271c0004e039d6e7d300000000000000140000000000000021496b9ee0007c00765d00400104244bfa\
         19c17cc83d30dcc9cdd9a03ab4d7bcaa0d322cebc5ef0e7d8628fd95c9a302616306486fa03713333b22648dcc\
         be6f0ff167df6cdd3b4ff06fa5a66094a1972525eaf5e87c86a7a810f7d068cd7f060b5ffa7e74fc606350f787\
         834ce42296aaf3525b591ecbfb1900f43b26c097aa00000100500104060001097e00070b010002212101140403\
         03010301000c7d7d00080a0197bdf0be000005011903000000110d0061002e0070006b006c000000140a010000\
         2d589bdc7add01150601002080808100000017067e01095500070b010001212101180c510000",
    );
    let examination = scan("a.7z", &filtered);
    assert_eq!(examination.verdict(Severity::Suspicious), Verdict::Clean, "{examination:?}");
    let stored = bytes(
        "377abcaf271c000439f5d4436e000000000000001400000000000000302b2aed80044320616161616161616161\
         61616161616161616161616161616161616161616161612e0100440104060001092500070b01000101000c2500\
         080a01ec59a52500000501190100110d0061002e0070006b006c000000140a010040fd679bdc7add0115060100\
         2080808100000017062501094900070b010001212101180c450000",
    );
    assert_eq!(scan("a.7z", &stored).verdict(Severity::Suspicious), Verdict::Clean);
    let mut changed = stored;
    changed[50] ^= 1;
    let found = scan("a.7z", &changed).findings;
    assert!(found.iter().any(|finding| finding.name == "archive-damaged"), "{found:?}");
}
