//! A reply gives away its instructions.

use mantlet_vocab::{About, Confidence, Impact, Severity};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "prompt-leak",
    title: "a reply gives away its instructions",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0056", "AML.T0057"],
    owasp: &["LLM08:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Words in a row that are no coincidence.
const WORDS: usize = 12;
/// Words in a row that give nothing away, and are never held back.
const SHARED: usize = 3;
/// Words of instructions that are compared.
const MOST: usize = 8192;
/// Places of one word that are followed.
const PLACES: usize = 64;
/// Bytes of a word that count.
const LONG: usize = 64;

/// The canary as it may be written: plain, spaced by hyphens, in base16, in base64 at each of three offsets.
pub(crate) fn canary_regexes(canary: &str) -> Vec<String> {
    let literal = |text: &str| {
        let mut out = String::from("(?i)");
        text.chars().for_each(|c| push_literal(&mut out, c));
        out
    };
    let mut spaced = String::from("(?i)");
    for (index, c) in canary.chars().enumerate() {
        if index > 0 {
            spaced.push_str(r"[ .\-_*|,]{0,3}");
        }
        push_literal(&mut spaced, c);
    }
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![spaced, literal(&hex), literal(&canary.chars().rev().collect::<String>())];
    for shift in 0..3 {
        // Only the characters that the canary alone decides.
        let mut bytes = vec![0; shift];
        bytes.extend_from_slice(canary.as_bytes());
        let text = base64_text(&bytes);
        let from = [0, 2, 3][shift];
        let to = bytes.len() * 8 / 6;
        if let Some(part) = text.get(from..to).filter(|part| part.len() >= 8) {
            let mut out = String::new();
            part.chars().for_each(|c| match c {
                '+' => out.push_str(r"[+\-]"),
                '/' => out.push_str("[/_]"),
                c => push_literal(&mut out, c),
            });
            all.push(out);
        }
    }
    all
}

fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() {
        out.push('\\');
    }
    out.push(c);
}

fn base64_text(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            out.push(char::from(DIGITS[(word >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}

/// Instructions to listen for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    /// Hashes of words and where they stand, in order.
    places: Vec<(u64, u32)>,
    words: usize,
}

impl Heard {
    /// The words of these texts, in order.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut heard = Self::default();
        'texts: for text in texts {
            let mut word = Word::default();
            for &byte in text.as_bytes().iter().chain(b" ") {
                if let Some(hash) = word.push(byte) {
                    if heard.words == MOST {
                        break 'texts;
                    }
                    heard.places.push((hash, u32::try_from(heard.words).unwrap_or(u32::MAX)));
                    heard.words += 1;
                }
            }
            // No run goes from one text into the next.
            heard.words += 1;
        }
        heard.places.sort_unstable();
        heard
    }

    /// Where a word stands, the first few times.
    fn places(&self, hash: u64) -> &[(u64, u32)] {
        let from = self.places.partition_point(|(other, _)| *other < hash);
        let all = self.places.get(from..).unwrap_or(&[]);
        let count = all.iter().take(PLACES).take_while(|(other, _)| *other == hash).count();
        &all[..count]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Word {
    hash: u64,
    len: usize,
}

impl Word {
    /// Adds a byte; the hash of the word that it ends, if it ends one.
    fn push(&mut self, byte: u8) -> Option<u64> {
        if byte.is_ascii_alphanumeric() || byte >= 0x80 {
            if self.len == 0 {
                self.hash = 0xcbf2_9ce4_8422_2325;
            }
            if self.len < LONG {
                self.hash = (self.hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x100_0000_01b3);
            }
            self.len += 1;
            return None;
        }
        let ended = (self.len > 0).then_some(self.hash);
        self.len = 0;
        ended
    }
}

#[derive(Debug, Clone, Copy)]
struct Run {
    /// The place in the instructions of its last word.
    place: u32,
    count: usize,
    /// Where the first word stands that would be too much.
    start: usize,
}

/// What a reply has repeated so far. Offsets are those of the text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Echo {
    word: Word,
    /// Where the word that is open begins.
    begins: usize,
    ended: usize,
    runs: Vec<Run>,
    at: usize,
}

impl Echo {
    /// Where a run is open that could still become a hit.
    pub(crate) fn open(&self) -> Option<usize> {
        let held = self.runs.iter().filter(|run| run.count > SHARED).map(|run| run.start).min();
        let next = self.word.len > 0 && self.runs.iter().any(|run| run.count >= SHARED);
        held.or(next.then_some(self.begins))
    }

    /// Reads on. Calls `hit` with the range of what was repeated.
    pub(crate) fn feed(&mut self, heard: &Heard, bytes: &[u8], hit: &mut impl FnMut(usize, usize)) {
        for &byte in bytes {
            let before = self.word.len;
            if let Some(hash) = self.word.push(byte) {
                self.ended = self.at;
                self.word_ends(heard, hash, hit);
            } else if before == 0 && self.word.len == 1 {
                self.begins = self.at;
            }
            self.at += 1;
        }
    }

    /// The text is over.
    pub(crate) fn end(&mut self, heard: &Heard, hit: &mut impl FnMut(usize, usize)) {
        self.feed(heard, b" ", hit);
        self.runs.clear();
    }

    fn word_ends(&mut self, heard: &Heard, hash: u64, hit: &mut impl FnMut(usize, usize)) {
        let places = heard.places(hash);
        if places.is_empty() && self.runs.is_empty() {
            return;
        }
        let needed = WORDS.min(heard.words.saturating_sub(1)).max(SHARED + 2);
        let mut runs: Vec<Run> = Vec::with_capacity(places.len());
        let mut reported: Option<usize> = None;
        let mut before = self.runs.iter().peekable();
        for &(_, place) in places {
            // Both lists are in order of place.
            while before.next_if(|run| run.place + 1 < place).is_some() {}
            let follows = before.peek().filter(|run| run.place + 1 == place);
            let count = follows.map_or(1, |run| run.count + 1);
            let start = follows.filter(|run| run.count > SHARED).map_or(self.begins, |run| run.start);
            if count < needed {
                runs.push(Run { place, count, start });
            } else {
                reported = Some(reported.map_or(start, |other| other.min(start)));
                runs.push(Run { place, count: SHARED, start });
            }
        }
        if let Some(start) = reported {
            hit(start, self.ended);
        }
        self.runs = runs;
    }
}
