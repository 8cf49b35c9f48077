//! What comes from a pipe is judged as a file would be, within a bound, and a broken pipe is no end. An artifact that
//! takes too long is not fully examined.

use std::io::{self, Read};
use std::time::Duration;

use mantlet_formats::Bounds;
use mantlet_scan::{Options, scan_pipe, scan_source};
use mantlet_testkit::forge;
use mantlet_vocab::{MemorySource, Severity, Source, SourceError, Verdict};

/// Gives some bytes in small pieces, and then an error.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(buffer.len()).min(7);
        if count == 0 {
            return Err(io::Error::other("the other side is gone"));
        }
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn a_pipe_is_judged_as_a_file_of_its_bytes() {
    let options = Options { bounds: Bounds::default(), ..Options::default() };
    let evil = forge("pickle", "PROTO 2\nGLOBAL os system\nTEXT \"id\"\nTUPLE1\nREDUCE\nSTOP\n").unwrap();
    // Small enough for memory, and beyond: the hostile pickle lies behind 2 MiB of a benign one.
    let mut long = vec![0x80, 4, b'B'];
    long.extend((2_u32 << 20).to_le_bytes());
    long.resize(long.len() + (2 << 20), 0);
    long.push(b'.');
    long.extend(&evil);
    for bytes in [&evil, &long] {
        let piped = scan_pipe("a.pkl", &mut bytes.as_slice(), 8 << 20, &options);
        assert_eq!(piped, scan_source("a.pkl", &MemorySource::new(bytes), &options));
        assert_eq!(piped.verdict(Severity::Suspicious), Verdict::Found);
    }
    for most in [0, 10, 1 << 20, long.len() as u64 - 1] {
        let cut = scan_pipe("a.pkl", &mut long.as_slice(), most, &options);
        assert!(cut.gaps[0].why.contains("more than"), "{most}: {:?}", cut.gaps);
        assert_eq!(cut.verdict(Severity::Suspicious), Verdict::NotFullyExamined);
    }
    assert_eq!(scan_pipe("a.pkl", &mut long.as_slice(), long.len() as u64, &options).gaps, []);
    for bytes in [&evil, &long] {
        let broken = scan_pipe("a.pkl", &mut Broken(bytes), 8 << 20, &options);
        assert!(broken.gaps[0].why.contains("gone") && broken.artifacts.is_empty(), "{broken:?}");
    }
}

/// A terabyte of zeros behind the beginning of a pickle: every byte of it would take a long time.
struct Long(&'static [u8]);

impl Source for Long {
    fn len(&self) -> u64 {
        1 << 40
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        buffer.fill(0);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (byte, known) in buffer.iter_mut().zip(self.0.get(start..).unwrap_or(&[])) {
            *byte = *known;
        }
        Ok(buffer.len())
    }
}

#[test]
fn what_takes_longer_than_allowed_is_not_fully_examined() {
    let within =
        |max_time: Duration| Options { max_time: Some(max_time), full_content: true, ..Options::default() };
    let long = scan_source("w.bin", &Long(b"\x80\x04N."), &within(Duration::from_millis(200)));
    assert_eq!(long.verdict(Severity::Suspicious), Verdict::NotFullyExamined);
    let said = serde_json::to_string(&long.artifacts).unwrap();
    assert!(said.contains("takes longer than 0.2 s"), "{said}");
    // What is cut off by the clock is no evidence of anything: a benign file has no findings then.
    let header =
        b"\x40\0\0\0\0\0\0\0{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}             \0";
    let none = scan_source("w.safetensors", &MemorySource::new(header), &within(Duration::ZERO));
    assert_eq!((none.findings.len(), none.verdict(Severity::Note)), (0, Verdict::NotFullyExamined));
    // With time enough the report is the same as without a clock.
    let evil = forge("pickle", "PROTO 2\nGLOBAL os system\nTEXT \"id\"\nTUPLE1\nREDUCE\nSTOP\n").unwrap();
    let source = MemorySource::new(&evil);
    let free = Options { full_content: true, ..Options::default() };
    assert_eq!(
        scan_source("a.pkl", &source, &within(Duration::from_secs(3_600))),
        scan_source("a.pkl", &source, &free)
    );
}
