//! YARA rules of the user's own over every decoded region of an artifact.
//!
//! Rules are compiled once ([`Rules::load`]) and given to a scan through its port, [`mantlet_scan::UserRules`].

mod load;
mod meta;
mod rooms;
mod size;
mod windows;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use boreal::Scanner;
use boreal::scanner::{ScanError, ScanResult};
use mantlet_scan::{Judgement, UserRules};
use mantlet_vocab::{Digest, Finding, Place, Source, Span, read_window};

pub use load::LoadError;
use meta::Meta;
pub use rooms::abouts;
use rooms::{Hit, finding};
use windows::{WINDOW, Windows};

/// Findings of one region; more of the same says nothing new.
const MAX_FINDINGS: usize = 100;

/// Compiled YARA rules.
pub struct Rules {
    scanner: Scanner,
    /// What each rule's `meta` says, by namespace and name.
    meta: std::collections::BTreeMap<(String, String), Meta>,
    remarks: Vec<String>,
    digest: Digest,
    /// Time for one region: this, and one more second for each window.
    patience: Duration,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("rules", &self.meta.len()).field("digest", &self.digest).finish()
    }
}

impl Rules {
    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.meta.len()
    }

    /// Whether there are none; [`Rules::load`] never gives that.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.meta.is_empty()
    }

    /// What whoever wrote the rules should know: slow strings, metadata that is not understood.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Gives each region this much time, and a second more for each 4 MiB.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn hits(&self, result: ScanResult<'_>, place: &Place, judgement: &mut Judgement) {
        static NOTHING: Meta = Meta { severity: None, description: None, remedy: None, atlas: None };
        for (count, rule) in result.rules.into_iter().enumerate() {
            if count == MAX_FINDINGS {
                let why = format!("more than {MAX_FINDINGS} rules match it; the rest is not listed");
                judgement.gaps.push((why, "look at the file; rules this broad say little".to_owned()));
                break;
            }
            let key = (rule.namespace.to_owned(), rule.name.to_owned());
            let mut strings: Vec<(String, Vec<Span>)> = Vec::new();
            for string in rule.matches.into_iter().filter(|string| !string.matches.is_empty()) {
                let mut spans: Vec<Span> = string
                    .matches
                    .iter()
                    .map(|one| {
                        Span::new((one.base as u64).saturating_add(one.offset as u64), one.length as u64)
                    })
                    .collect();
                spans.sort_unstable();
                // Windows overlap, so a match may be seen twice.
                spans.dedup();
                strings.push((format!("${}", string.name), spans));
            }
            let hit = Hit {
                rule: rule.name,
                namespace: rule.namespace,
                tags: rule.tags.iter().map(|&tag| self.scanner.get_string_symbol(tag)).collect(),
                meta: self.meta.get(&key).unwrap_or(&NOTHING),
                strings,
            };
            judgement.findings.push(finding(hit, place));
        }
    }
}

impl UserRules for Rules {
    fn judge(&self, source: &dyn Source, place: &Place) -> Judgement {
        let mut judgement = Judgement::default();
        let len = source.len();
        let mut scanner = self.scanner.clone();
        let known = scanner.define_symbol(size::VARIABLE, i64::try_from(len).unwrap_or(i64::MAX));
        debug_assert!(known.is_ok(), "the variable is defined before the rules are compiled");
        let seconds = len / WINDOW as u64;
        let patience = self.patience.saturating_add(Duration::from_secs(seconds));
        let params = scanner.scan_params().clone().timeout_duration(Some(patience));
        scanner.set_scan_params(params);
        let unread = Mutex::new(None);
        let outcome = if len <= WINDOW as u64 {
            match read_window(source, 0, WINDOW) {
                Ok(bytes) => {
                    if (bytes.len() as u64) < len {
                        *unread.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(format!("it ends at {:#x}, before its own end", bytes.len()));
                    }
                    scanner.scan_mem(&bytes)
                }
                Err(error) => {
                    judgement.gaps.push((error.to_string(), "scan a copy on a working disk".to_owned()));
                    return judgement;
                }
            }
        } else {
            scanner.scan_fragmented(Windows::new(source, &unread))
        };
        let result = match outcome {
            Ok(result) => result,
            Err((error, result)) => {
                let why = match error {
                    ScanError::Timeout => {
                        format!("the YARA rules were not done with it after {} s", patience.as_secs())
                    }
                    other => format!("the YARA rules could not be asked about it: {other}"),
                };
                judgement.gaps.push((why, "make the slow rule more specific, or leave it out".to_owned()));
                result
            }
        };
        self.hits(result, place, &mut judgement);
        if let Some(why) = unread.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let why = format!("the YARA rules did not see all of it: {why}");
            judgement.gaps.push((why, "scan a copy on a working disk".to_owned()));
        }
        judgement
    }

    fn settle(&self, findings: &mut Vec<Finding>) {
        rooms::settle(findings);
    }

    fn digest(&self) -> Digest {
        self.digest
    }
}
