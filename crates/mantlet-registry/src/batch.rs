//! Batches of training data: quarantined until their gate passes or people let them through.
//!
//! A [`Ledger`] is nothing but its events in order: whoever replays them from the audit log has the same ledger.
//! An approval names the digest it is for; when a batch's bytes change, every approval of it is void. Only what a gate
//! held can be approved, and what passed or was approved can be taken back.
//!
//! Long because the events, the ledger and the laws between them stand together.

use std::collections::BTreeMap;

use mantlet_vocab::{Digest, Impact, Millis};
use serde::{Deserialize, Serialize};

use crate::rows::{LABEL_MOST, MOST_RULED, RowRuled, RowRuling, Rulings};

/// What happened to a batch, or to retraining as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum BatchEvent {
    /// A batch came, or came again with other bytes.
    Delivered {
        /// Its name.
        batch: String,
        /// Who delivered the rows.
        feed: String,
        /// Its files, in the order in which they are read.
        files: Vec<String>,
        /// The digest of its files.
        digest: Digest,
        /// Who signed the files, where their signature was checked.
        signer: Option<String>,
        /// The batch of the same feed before it.
        parent: Option<String>,
        /// What hangs on the model that learns from it.
        impact: Impact,
    },
    /// Its gate was run.
    Gated {
        /// The batch.
        batch: String,
        /// The digest the gate read.
        digest: Digest,
        /// Names of suspicious findings that speak of this batch; empty when it passed.
        findings: Vec<String>,
        /// Whether all of it could be examined.
        complete: bool,
        /// People whose consent the configuration asks for; never fewer are asked than the class of impact does.
        #[serde(default)]
        eyes: usize,
    },
    /// A person decided about single rows.
    RowsRuled {
        /// The batch.
        batch: String,
        /// The digest the person saw.
        digest: Digest,
        /// The rows.
        rows: Vec<RowRuled>,
        /// Why.
        note: String,
    },
    /// A person let it through.
    Approved {
        /// The batch.
        batch: String,
        /// The digest the person saw.
        digest: Digest,
        /// What was decided about its rows when the person looked ([`Rulings::digest`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rulings: Option<Digest>,
        /// Why.
        note: String,
    },
    /// A person threw it out.
    Rejected {
        /// The batch.
        batch: String,
        /// The digest the person saw.
        digest: Digest,
        /// Why.
        note: String,
    },
    /// A person takes back what passed or was approved: no model learns from it any more.
    Withdrawn {
        /// The batch.
        batch: String,
        /// The digest in the ledger.
        digest: Digest,
        /// Why.
        note: String,
    },
    /// Retraining stops, or may go on.
    Frozen {
        /// Whether it stops.
        on: bool,
        /// Why.
        note: String,
    },
}

impl BatchEvent {
    /// The word used in the audit log.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "batch-delivered",
            Self::Gated { .. } => "batch-gated",
            Self::RowsRuled { .. } => "batch-rows-ruled",
            Self::Approved { .. } => "batch-approved",
            Self::Rejected { .. } => "batch-rejected",
            Self::Withdrawn { .. } => "batch-withdrawn",
            Self::Frozen { on: true, .. } => "retraining-frozen",
            Self::Frozen { on: false, .. } => "retraining-released",
        }
    }

    /// The batch it is about; nothing for the system as a whole.
    #[must_use]
    pub fn batch(&self) -> Option<&str> {
        match self {
            Self::Delivered { batch, .. }
            | Self::Gated { batch, .. }
            | Self::RowsRuled { batch, .. }
            | Self::Approved { batch, .. }
            | Self::Rejected { batch, .. }
            | Self::Withdrawn { batch, .. } => Some(batch),
            Self::Frozen { .. } => None,
        }
    }
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchState {
    /// Its gate has not run on these bytes.
    Quarantined,
    /// Its gate found something; people decide.
    Held,
    /// Its gate passed.
    Passed,
    /// People let it through.
    Approved,
    /// A person threw it out.
    Rejected,
    /// It was let through, and a person took it back.
    Withdrawn,
}

impl BatchState {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Held => "held",
            Self::Passed => "passed",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether a model may learn from it.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Passed | Self::Approved)
    }
}

/// Who took a batch back, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Who.
    pub by: String,
    /// When.
    pub at: Millis,
    /// Why.
    pub note: String,
}

/// A batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Its name.
    pub name: String,
    /// Who delivered the rows.
    pub feed: String,
    /// Its files.
    pub files: Vec<String>,
    /// The digest of its files.
    pub digest: Digest,
    /// Who signed them.
    pub signer: Option<String>,
    /// The batch before it.
    pub parent: Option<String>,
    /// What hangs on it.
    pub impact: Impact,
    /// Who registered it.
    pub by: String,
    /// When.
    pub at: Millis,
    /// Where it stands.
    pub state: BatchState,
    /// What its gate found.
    pub findings: Vec<String>,
    /// Who consents to exactly these bytes, with what was decided about rows.
    pub approvals: Vec<String>,
    /// What was decided about rows of exactly these bytes.
    #[serde(default, skip_serializing_if = "Rulings::is_empty")]
    pub rulings: Rulings,
    /// People whose consent was asked for when its gate ran.
    #[serde(default)]
    pub asked: usize,
    /// Who took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawal>,
}

impl Batch {
    /// People whose consent lets a held batch through.
    #[must_use]
    pub fn eyes(&self) -> usize {
        let least = match self.impact {
            Impact::High | Impact::Critical => 2,
            Impact::Low | Impact::Medium => 1,
        };
        self.asked.max(least)
    }
}

/// Why something cannot happen to a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// No such batch.
    #[error("there is no batch `{0}`; `mantlet data batches` shows them")]
    NoBatch(String),
    /// The bytes are not those of the record.
    #[error("batch `{batch}` is recorded as {recorded}, its files are {found}; deliver it again")]
    OtherBytes {
        /// The batch.
        batch: String,
        /// In the ledger.
        recorded: Digest,
        /// On disk, or what the person saw.
        found: Digest,
    },
    /// Rows were decided about after the person looked.
    #[error("decisions about rows of batch `{0}` changed since it was looked at; look again")]
    OtherRulings(String),
    /// Too much to decide row by row.
    #[error(
        "{rows} rows of batch `{batch}` are decided about one by one, {MOST_RULED} can be; reject the batch, or have it delivered again"
    )]
    TooManyRows {
        /// The batch.
        batch: String,
        /// Rows.
        rows: usize,
    },
    /// A label that cannot be one.
    #[error(
        "row {row} of batch `{batch}` cannot have that label; it has 1 to {LABEL_MOST} bytes and no control characters"
    )]
    Label {
        /// The batch.
        batch: String,
        /// The row, from 1.
        row: u64,
    },
    /// Nobody lets their own batch through.
    #[error("`{who}` delivered batch `{batch}` and cannot decide about it; another person has to")]
    Own {
        /// The batch.
        batch: String,
        /// Who.
        who: String,
    },
    /// The state does not allow it.
    #[error(
        "batch `{batch}` is {}, and only a held or quarantined one is decided about{}",
        state.word(),
        if state.is_usable() { "; `mantlet data withdraw` takes back what was let through" } else { "" }
    )]
    State {
        /// The batch.
        batch: String,
        /// Where it stands.
        state: BatchState,
    },
    /// Nobody has looked at these bytes yet.
    #[error("the gate of batch `{0}` has not run on these bytes; run `mantlet data gate {0}` first")]
    Ungated(String),
    /// There is nothing to take back.
    #[error("batch `{batch}` is {}, and only what passed or was approved is taken back", state.word())]
    Unused {
        /// The batch.
        batch: String,
        /// Where it stands.
        state: BatchState,
    },
    /// A parent that is not there.
    #[error("batch `{batch}` names `{parent}` as the one before it, which is not there")]
    NoParent {
        /// The batch.
        batch: String,
        /// The parent.
        parent: String,
    },
}

/// Batches and whether retraining is frozen, as of a list of events.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// By name.
    pub batches: BTreeMap<String, Batch>,
    /// Why retraining is frozen, when it is.
    pub frozen: Option<String>,
}

impl Ledger {
    /// Applies an event; the ledger is unchanged when it may not happen.
    ///
    /// # Errors
    /// Names what stands in the way.
    pub fn apply(&mut self, event: &BatchEvent, actor: &str, at: Millis) -> Result<(), BatchError> {
        match event {
            BatchEvent::Delivered { batch, feed, files, digest, signer, parent, impact } => {
                if let Some(parent) = parent.as_ref().filter(|parent| !self.batches.contains_key(*parent)) {
                    return Err(BatchError::NoParent { batch: batch.clone(), parent: parent.clone() });
                }
                let unchanged = self.batches.get(batch).is_some_and(|known| known.digest == *digest);
                if unchanged {
                    // The same bytes again change nothing: neither a verdict nor who delivered them first.
                    return Ok(());
                }
                let own = Batch {
                    name: batch.clone(),
                    feed: feed.clone(),
                    files: files.clone(),
                    digest: *digest,
                    signer: signer.clone(),
                    parent: parent.clone(),
                    impact: *impact,
                    by: actor.to_owned(),
                    at,
                    state: BatchState::Quarantined,
                    findings: Vec::new(),
                    approvals: Vec::new(),
                    rulings: Rulings::default(),
                    asked: 0,
                    withdrawn: None,
                };
                self.batches.insert(batch.clone(), own);
            }
            BatchEvent::Gated { batch, digest, findings, complete, eyes } => {
                let own = self.own(batch, *digest)?;
                if matches!(own.state, BatchState::Approved | BatchState::Rejected | BatchState::Withdrawn) {
                    return Err(BatchError::State { batch: batch.clone(), state: own.state });
                }
                own.findings.clone_from(findings);
                own.asked = *eyes;
                let clean = findings.is_empty() && *complete;
                own.state = if clean { BatchState::Passed } else { BatchState::Held };
            }
            BatchEvent::RowsRuled { batch, digest, rows, .. } => {
                let own = self.own(batch, *digest)?;
                decide(own, actor)?;
                let new = rows.iter().filter(|ruled| own.rulings.of(ruled.row).is_none()).count();
                if own.rulings.len() + new > MOST_RULED {
                    let rows = own.rulings.len() + new;
                    return Err(BatchError::TooManyRows { batch: batch.clone(), rows });
                }
                if let Some(wrong) = rows.iter().find(|ruled| !is_label(&ruled.ruling)) {
                    return Err(BatchError::Label { batch: batch.clone(), row: wrong.row.saturating_add(1) });
                }
                if own.rulings.take(rows, actor) {
                    // Whoever consented did so to a batch that is learned from otherwise now.
                    own.approvals.clear();
                }
            }
            BatchEvent::Approved { batch, digest, rulings, .. } => {
                let own = self.own(batch, *digest)?;
                decide(own, actor)?;
                // What no gate has seen was not held, and nobody knows how many people it takes.
                if own.state == BatchState::Quarantined {
                    return Err(BatchError::Ungated(batch.clone()));
                }
                if *rulings != own.rulings.digest() {
                    return Err(BatchError::OtherRulings(batch.clone()));
                }
                if !own.approvals.iter().any(|by| by == actor) {
                    own.approvals.push(actor.to_owned());
                }
                if own.approvals.len() >= own.eyes() {
                    own.state = BatchState::Approved;
                }
            }
            BatchEvent::Rejected { batch, digest, .. } => {
                let own = self.own(batch, *digest)?;
                decide(own, actor)?;
                own.state = BatchState::Rejected;
            }
            BatchEvent::Withdrawn { batch, digest, note } => {
                let own = self.own(batch, *digest)?;
                // One person is enough, who delivered it included: less is learned, never more.
                if !own.state.is_usable() {
                    return Err(BatchError::Unused { batch: batch.clone(), state: own.state });
                }
                own.state = BatchState::Withdrawn;
                own.withdrawn = Some(Withdrawal { by: actor.to_owned(), at, note: note.clone() });
            }
            BatchEvent::Frozen { on, note } => self.frozen = on.then(|| note.clone()),
        }
        Ok(())
    }

    /// Replays events in order. Events that may not happen are given back with their reason: in a log that this
    /// program wrote there are none.
    #[must_use]
    pub fn replay<'a>(
        events: impl IntoIterator<Item = (&'a BatchEvent, &'a str, Millis)>,
    ) -> (Self, Vec<(BatchEvent, BatchError)>) {
        let mut ledger = Self::default();
        let mut refused = Vec::new();
        for (event, actor, at) in events {
            if let Err(error) = ledger.apply(event, actor, at) {
                refused.push((event.clone(), error));
            }
        }
        (ledger, refused)
    }

    /// Batches a model may learn from, oldest first; none while retraining is frozen.
    #[must_use]
    pub fn usable(&self) -> Vec<&Batch> {
        if self.frozen.is_some() {
            return Vec::new();
        }
        let mut usable: Vec<&Batch> = self.batches.values().filter(|batch| batch.state.is_usable()).collect();
        usable.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
        usable
    }

    fn own(&mut self, batch: &str, digest: Digest) -> Result<&mut Batch, BatchError> {
        let own = self.batches.get_mut(batch).ok_or_else(|| BatchError::NoBatch(batch.to_owned()))?;
        if own.digest != digest {
            return Err(BatchError::OtherBytes {
                batch: batch.to_owned(),
                recorded: own.digest,
                found: digest,
            });
        }
        Ok(own)
    }
}

fn is_label(ruling: &RowRuling) -> bool {
    match ruling {
        RowRuling::Relabel(label) => {
            (1..=LABEL_MOST).contains(&label.len()) && !label.chars().any(char::is_control)
        }
        RowRuling::Keep | RowRuling::LeaveOut => true,
    }
}

fn decide(own: &Batch, actor: &str) -> Result<(), BatchError> {
    if own.by == actor {
        return Err(BatchError::Own { batch: own.name.clone(), who: actor.to_owned() });
    }
    if !matches!(own.state, BatchState::Held | BatchState::Quarantined) {
        return Err(BatchError::State { batch: own.name.clone(), state: own.state });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> Digest {
        Digest([byte; 32])
    }

    fn delivered(batch: &str, bytes: u8, impact: Impact) -> BatchEvent {
        BatchEvent::Delivered {
            batch: batch.into(),
            feed: "bank".into(),
            files: vec!["a.csv".into()],
            digest: digest(bytes),
            signer: None,
            parent: None,
            impact,
        }
    }

    fn gated(bytes: u8, findings: &[&str]) -> BatchEvent {
        let findings = findings.iter().map(|name| (*name).to_owned()).collect();
        BatchEvent::Gated { batch: "w1".into(), digest: digest(bytes), findings, complete: true, eyes: 0 }
    }

    fn approved(bytes: u8) -> BatchEvent {
        BatchEvent::Approved {
            batch: "w1".into(),
            digest: digest(bytes),
            rulings: None,
            note: "looked".into(),
        }
    }

    #[test]
    fn nothing_is_learned_from_before_its_gate_and_a_clean_gate_lets_it_through() {
        let mut ledger = Ledger::default();
        ledger.apply(&delivered("w1", 1, Impact::High), "ann", Millis(1)).unwrap();
        assert!(ledger.usable().is_empty());
        ledger.apply(&gated(1, &[]), "mantlet", Millis(2)).unwrap();
        assert_eq!(ledger.usable().len(), 1);
        ledger.apply(&BatchEvent::Frozen { on: true, note: "incident 7".into() }, "bea", Millis(3)).unwrap();
        assert!(ledger.usable().is_empty());
        ledger.apply(&BatchEvent::Frozen { on: false, note: String::new() }, "bea", Millis(4)).unwrap();
        assert_eq!(ledger.usable().len(), 1);
    }

    #[test]
    fn a_held_batch_of_high_impact_needs_two_others_and_new_bytes_void_their_consent() {
        let mut ledger = Ledger::default();
        let mut events = vec![(delivered("w1", 1, Impact::High), "ann")];
        events.push((gated(1, &["feed-label-shift"]), "mantlet"));
        for (event, actor) in &events {
            ledger.apply(event, actor, Millis(1)).unwrap();
        }
        let refused = ledger.apply(&approved(1), "ann", Millis(2)).unwrap_err();
        assert!(matches!(refused, BatchError::Own { .. }));
        ledger.apply(&approved(1), "bea", Millis(3)).unwrap();
        ledger.apply(&approved(1), "bea", Millis(3)).unwrap();
        assert_eq!(ledger.batches["w1"].state, BatchState::Held);
        // Consent to other bytes counts for nothing, and other bytes void what was consented to.
        assert!(matches!(ledger.apply(&approved(2), "cem", Millis(4)), Err(BatchError::OtherBytes { .. })));
        let mut changed = ledger.clone();
        changed.apply(&delivered("w1", 2, Impact::High), "ann", Millis(5)).unwrap();
        assert_eq!(changed.batches["w1"].state, BatchState::Quarantined);
        assert!(changed.batches["w1"].approvals.is_empty());
        assert!(matches!(changed.apply(&approved(1), "cem", Millis(6)), Err(BatchError::OtherBytes { .. })));
        // Delivering the same bytes again neither voids nor launders anything.
        ledger.apply(&delivered("w1", 1, Impact::Low), "eve", Millis(6)).unwrap();
        assert_eq!((ledger.batches["w1"].by.as_str(), ledger.batches["w1"].eyes()), ("ann", 2));
        ledger.apply(&approved(1), "cem", Millis(7)).unwrap();
        assert_eq!(ledger.batches["w1"].state, BatchState::Approved);
        assert!(matches!(ledger.apply(&approved(1), "dan", Millis(8)), Err(BatchError::State { .. })));
    }

    #[test]
    fn consent_is_to_the_rows_as_they_were_decided_about_and_a_later_decision_voids_it() {
        let mut ledger = Ledger::default();
        ledger.apply(&delivered("w1", 1, Impact::High), "ann", Millis(1)).unwrap();
        ledger.apply(&gated(1, &["feed-label-shift"]), "mantlet", Millis(2)).unwrap();
        let rule = |row: u64, ruling: RowRuling| BatchEvent::RowsRuled {
            batch: "w1".into(),
            digest: digest(1),
            rows: vec![RowRuled { row, ruling }],
            note: "looked".into(),
        };
        assert!(matches!(
            ledger.apply(&rule(3, RowRuling::LeaveOut), "ann", Millis(3)),
            Err(BatchError::Own { .. })
        ));
        ledger.apply(&approved(1), "bea", Millis(3)).unwrap();
        ledger.apply(&rule(3, RowRuling::Keep), "cem", Millis(4)).unwrap();
        assert_eq!(ledger.batches["w1"].approvals, ["bea"], "nothing is learned otherwise");
        ledger.apply(&rule(3, RowRuling::LeaveOut), "cem", Millis(5)).unwrap();
        assert!(ledger.batches["w1"].approvals.is_empty());
        assert!(matches!(ledger.apply(&approved(1), "bea", Millis(6)), Err(BatchError::OtherRulings(_))));
        let rulings = ledger.batches["w1"].rulings.digest();
        let seen =
            BatchEvent::Approved { batch: "w1".into(), digest: digest(1), rulings, note: "both".into() };
        for who in ["bea", "cem"] {
            ledger.apply(&seen, who, Millis(7)).unwrap();
        }
        assert_eq!(ledger.batches["w1"].state, BatchState::Approved);
        assert!(matches!(
            ledger.apply(&rule(4, RowRuling::Keep), "cem", Millis(8)),
            Err(BatchError::State { .. })
        ));
        let mut ledger = Ledger::default();
        ledger.apply(&delivered("w1", 1, Impact::Low), "ann", Millis(1)).unwrap();
        for label in ["", "a\nb", &"x".repeat(LABEL_MOST + 1)] {
            let wrong = rule(3, RowRuling::Relabel(label.to_owned()));
            assert!(matches!(ledger.apply(&wrong, "bea", Millis(2)), Err(BatchError::Label { row: 4, .. })));
        }
        let rows = (0..=MOST_RULED as u64).map(|row| RowRuled { row, ruling: RowRuling::Keep }).collect();
        let many = BatchEvent::RowsRuled { batch: "w1".into(), digest: digest(1), rows, note: "all".into() };
        assert!(matches!(ledger.apply(&many, "bea", Millis(2)), Err(BatchError::TooManyRows { .. })));
    }

    #[test]
    fn a_ledger_is_its_events_and_a_forged_one_is_named() {
        let events = [
            (delivered("w1", 1, Impact::Medium), "ann"),
            (gated(1, &["flood-near-copies"]), "mantlet"),
            (approved(1), "ann"),
            (approved(1), "bea"),
        ];
        let list =
            || events.iter().enumerate().map(|(at, (event, actor))| (event, *actor, Millis(at as u64)));
        let (ledger, refused) = Ledger::replay(list());
        assert_eq!(ledger.batches["w1"].state, BatchState::Approved);
        assert_eq!(refused.len(), 1);
        assert_eq!(Ledger::replay(list()), (ledger.clone(), refused));
        let text = serde_json::to_string(&ledger).unwrap();
        assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
        for (event, _) in &events {
            let text = serde_json::to_string(event).unwrap();
            assert_eq!(serde_json::from_str::<BatchEvent>(&text).unwrap(), *event);
        }
    }

    #[test]
    fn nothing_is_approved_before_its_gate_and_by_no_fewer_than_the_gate_asked_for() {
        let mut ledger = Ledger::default();
        ledger.apply(&delivered("w1", 1, Impact::High), "ann", Millis(1)).unwrap();
        for who in ["bea", "cem"] {
            let early = ledger.apply(&approved(1), who, Millis(2)).unwrap_err();
            assert_eq!(early, BatchError::Ungated("w1".into()));
            assert!(early.to_string().contains("`mantlet data gate w1`"), "{early}");
        }
        assert!(ledger.usable().is_empty() && ledger.batches["w1"].approvals.is_empty());
        let BatchEvent::Gated { batch, digest, findings, complete, .. } = gated(1, &["flood-near-copies"])
        else {
            panic!("a gate");
        };
        let held = BatchEvent::Gated { batch, digest, findings, complete, eyes: 3 };
        ledger.apply(&held, "mantlet", Millis(3)).unwrap();
        for (who, state) in
            [("bea", BatchState::Held), ("cem", BatchState::Held), ("dan", BatchState::Approved)]
        {
            ledger.apply(&approved(1), who, Millis(4)).unwrap();
            assert_eq!(ledger.batches["w1"].state, state, "{who}");
        }
        // Other bytes are quarantined, and approved by nobody before their gate either; thrown out they can be.
        ledger.apply(&delivered("w1", 2, Impact::High), "ann", Millis(5)).unwrap();
        assert_eq!(ledger.apply(&approved(2), "bea", Millis(6)), Err(BatchError::Ungated("w1".into())));
        let out = BatchEvent::Rejected { batch: "w1".into(), digest: self::digest(2), note: "spam".into() };
        ledger.apply(&out, "bea", Millis(7)).unwrap();
        assert_eq!(ledger.batches["w1"].state, BatchState::Rejected);
    }

    #[test]
    fn what_was_let_through_is_taken_back_by_one_person_and_no_gate_lets_it_through_again() {
        let back = |bytes| BatchEvent::Withdrawn {
            batch: "w1".into(),
            digest: digest(bytes),
            note: "poisoned since week 4".into(),
        };
        let mut ledger = Ledger::default();
        ledger.apply(&delivered("w1", 1, Impact::High), "ann", Millis(1)).unwrap();
        let early = ledger.apply(&back(1), "bea", Millis(2)).unwrap_err();
        assert_eq!(early, BatchError::Unused { batch: "w1".into(), state: BatchState::Quarantined });
        ledger.apply(&gated(1, &[]), "mantlet", Millis(2)).unwrap();
        let refused = BatchEvent::Rejected { batch: "w1".into(), digest: digest(1), note: "no".into() };
        let refused = ledger.apply(&refused, "bea", Millis(3)).unwrap_err();
        assert!(refused.to_string().contains("`mantlet data withdraw`"), "{refused}");
        assert!(matches!(ledger.apply(&back(2), "bea", Millis(3)), Err(BatchError::OtherBytes { .. })));
        ledger.apply(&back(1), "ann", Millis(4)).unwrap();
        let own = &ledger.batches["w1"];
        let who = own.withdrawn.as_ref().map(|own| (own.by.as_str(), own.at, own.note.as_str()));
        assert_eq!(who, Some(("ann", Millis(4), "poisoned since week 4")));
        assert!(ledger.usable().is_empty());
        for event in [gated(1, &[]), approved(1), back(1)] {
            assert!(ledger.apply(&event, "bea", Millis(5)).is_err(), "{event:?}");
        }
        ledger.apply(&delivered("w1", 1, Impact::High), "eve", Millis(6)).unwrap();
        assert_eq!(ledger.batches["w1"].state, BatchState::Withdrawn, "the same bytes launder nothing");
        ledger.apply(&delivered("w1", 2, Impact::High), "ann", Millis(7)).unwrap();
        assert_eq!(ledger.batches["w1"].withdrawn, None);
        // So is what people approved.
        let mut ledger = Ledger::default();
        ledger.apply(&delivered("w1", 1, Impact::Low), "ann", Millis(1)).unwrap();
        ledger.apply(&gated(1, &["flood-near-copies"]), "mantlet", Millis(2)).unwrap();
        ledger.apply(&approved(1), "bea", Millis(3)).unwrap();
        ledger.apply(&back(1), "bea", Millis(4)).unwrap();
        assert!(ledger.usable().is_empty());
        let text = serde_json::to_string(&back(1)).unwrap();
        assert_eq!(serde_json::from_str::<BatchEvent>(&text).unwrap(), back(1));
    }

    #[test]
    fn a_gate_that_could_not_see_everything_does_not_pass() {
        let mut ledger = Ledger::default();
        ledger.apply(&delivered("w1", 1, Impact::Low), "ann", Millis(1)).unwrap();
        let partly = BatchEvent::Gated {
            batch: "w1".into(),
            digest: digest(1),
            findings: Vec::new(),
            complete: false,
            eyes: 0,
        };
        ledger.apply(&partly, "mantlet", Millis(2)).unwrap();
        assert_eq!(ledger.batches["w1"].state, BatchState::Held);
        assert!(matches!(ledger.apply(&gated(2, &[]), "m", Millis(3)), Err(BatchError::OtherBytes { .. })));
        let orphan = BatchEvent::Delivered {
            batch: "w2".into(),
            feed: "bank".into(),
            files: Vec::new(),
            digest: digest(3),
            signer: None,
            parent: Some("w0".into()),
            impact: Impact::Low,
        };
        assert!(matches!(ledger.apply(&orphan, "ann", Millis(4)), Err(BatchError::NoParent { .. })));
    }
}
