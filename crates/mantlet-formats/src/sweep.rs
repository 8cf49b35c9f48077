//! One pass over bytes of any kind for credentials and programs, at the speed of one search.

use std::sync::OnceLock;

use aho_corasick::packed::{Config, Searcher};
use mantlet_vocab::Source;

use crate::pass::{Step, pass};
use crate::pickle::{Embedded, embedded};
use crate::programs::{self, Program};
use crate::secrets::{self, Secret};

/// What a sweep found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Credentials.
    pub secrets: Vec<Secret>,
    /// Programs.
    pub programs: Vec<Program>,
    /// Scripts: text like any other, but among weights.
    pub scripts: Vec<Program>,
    /// Addresses of services that attackers like.
    pub indicators: Vec<Secret>,
    /// Harmful pickles, where they are looked for.
    pub pickles: Vec<Embedded>,
    /// Whether pickles are looked for. Tensors are numbers: what looks like one among them is none.
    for_pickles: bool,
    /// Where they are looked for no longer.
    until: u64,
    /// Bytes of candidates that may still be read.
    budget: u64,
}

/// Addresses, and what they are.
const ADDRESSES: [(&[u8], &str); 14] = [
    (b"discord.com/api/webhooks/", "a Discord hook"),
    (b"discordapp.com/api/webhooks/", "a Discord hook"),
    (b"api.telegram.org/bot", "a Telegram bot"),
    (b"hooks.slack.com/services/", "a Slack hook"),
    (b"pastebin.com/raw/", "a paste bin"),
    (b"transfer.sh/", "a file drop"),
    (b"webhook.site/", "a request collector"),
    (b".burpcollaborator.net", "a request collector"),
    (b".oastify.com", "a request collector"),
    (b".interact.sh", "a request collector"),
    (b".requestbin.", "a request collector"),
    (b".ngrok.io", "a tunnel"),
    (b".ngrok-free.app", "a tunnel"),
    (b".trycloudflare.com", "a tunnel"),
];

const MAX_FOUND: usize = 100;
const MAX_PICKLES: usize = 16;

fn searcher() -> Option<&'static Searcher> {
    static SEARCHER: OnceLock<Option<Searcher>> = OnceLock::new();
    SEARCHER
        .get_or_init(|| {
            let mut builder = Config::new().builder();
            builder.extend(programs::MAGICS);
            builder.extend(secrets::PATTERNS.iter().map(|pattern| pattern.prefix));
            builder.extend(ADDRESSES.iter().map(|(address, _)| *address));
            builder.build()
        })
        .as_ref()
}

/// Credentials and programs among the first `limit` bytes.
#[must_use]
pub fn sweep(source: &dyn Source, limit: u64) -> Swept {
    let mut swept = Swept::default();
    let _ = pass(source, limit, |step| swept.see(step));
    swept
}

impl Swept {
    /// A sweep that looks for harmful pickles too.
    #[must_use]
    pub fn for_pickles() -> Self {
        Self::for_pickles_until(u64::MAX)
    }

    /// The same for the first bytes only.
    #[must_use]
    pub fn for_pickles_until(until: u64) -> Self {
        Self { for_pickles: true, until, budget: embedded::BUDGET, ..Self::default() }
    }

    /// Whether there were more beginnings of pickles than were followed.
    #[must_use]
    pub fn cut(&self) -> bool {
        self.for_pickles && self.budget == 0
    }

    /// Looks at one step of a pass.
    pub fn see(&mut self, step: Step<'_>) {
        if self.for_pickles && step.offset() < self.until && self.pickles.len() < MAX_PICKLES {
            let (bytes, new) = step.around();
            let base = step.offset() - new.start as u64;
            for (at, one) in embedded::among(bytes, new, MAX_PICKLES - self.pickles.len(), &mut self.budget) {
                self.pickles.push(Embedded { offset: base + at as u64, ..one });
            }
        }
        let known = programs::MAGICS.len();
        let Some(searcher) = searcher() else { return };
        let (bytes, new) = step.around();
        let base = step.offset() - new.start as u64;
        for found in searcher.find_iter(&bytes[new.start..]) {
            let at = new.start + found.start();
            if at >= new.end {
                break;
            }
            let index = found.pattern().as_usize();
            if let Some(pattern) = index.checked_sub(known).and_then(|index| secrets::PATTERNS.get(index)) {
                if self.secrets.len() < MAX_FOUND && secrets::matches(pattern, bytes, at) {
                    self.secrets.push(Secret { kind: pattern.kind, offset: base + at as u64 });
                }
            } else if let Some((_, kind)) =
                index.checked_sub(known + secrets::PATTERNS.len()).and_then(|index| ADDRESSES.get(index))
            {
                if self.indicators.len() < MAX_FOUND {
                    self.indicators.push(Secret { kind, offset: base + at as u64 });
                }
            } else if self.programs.len() + self.scripts.len() < MAX_FOUND
                && let Some((start, kind)) = programs::at(bytes, at, index)
            {
                let program = Program { kind, offset: base + start as u64 };
                match index < programs::SCRIPTS {
                    true => self.programs.push(program),
                    false => self.scripts.push(program),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    /// New bytes of one step of a pass.
    const STEP: usize = 256 << 10;

    #[test]
    fn candidates_are_found_across_the_edges_of_chunks() {
        let mut bytes: Vec<u8> =
            (0..3_200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let elf = programs::tests::elf_header();
        let pe = programs::tests::pe_header();
        let key = format!(" AKIA{} ", "Z7Q4M2K9X1B6W3T8");
        for at in [0, STEP - 3, 2 * STEP + 700] {
            bytes[at..at + elf.len()].copy_from_slice(&elf);
        }
        let split = STEP * 2 - 60;
        bytes[split..split + pe.len()].copy_from_slice(&pe);
        bytes[STEP * 3 - 5..STEP * 3 - 5 + key.len()].copy_from_slice(key.as_bytes());
        let swept = sweep(&MemorySource::new(&bytes), u64::MAX);
        let offsets: Vec<u64> = swept.programs.iter().map(|program| program.offset).collect();
        let expected = [0, STEP - 3, split, 2 * STEP + 700].map(|at| at as u64);
        assert_eq!(offsets, expected);
        assert_eq!(swept.secrets.len(), 1);
        assert_eq!(swept.scripts, []);
    }

    #[test]
    fn a_script_is_told_apart() {
        let script = |text: &str| sweep(&MemorySource::new(text.as_bytes()), u64::MAX).scripts.len();
        assert_eq!(script("\0\0#!/bin/bash\ncurl -s example.org\n"), 1);
        assert_eq!(script("\0#!/usr/bin/env python3\nimport os\n"), 1);
        assert_eq!(script("#!/bin/bash\n\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}"), 0);
        assert_eq!(script("#!/bin/weights\n01234567\n"), 0);
    }
}
