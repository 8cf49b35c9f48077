//! Batches of training data in the world in memory; their ledger is the real one.

use mantlet_console::{Batches, PortError, Soon};
use mantlet_registry::batch::{Batch, BatchEvent, Ledger};
use mantlet_registry::rows::{RowRuled, Sheet, SheetRow};
use mantlet_store::{Ledgers, Seen};
use mantlet_vocab::{Digest, Impact, Millis};

use super::{NOW, World, soon};

const SYSTEM: &str = "cheque reader";

fn digest(batch: &str) -> Digest {
    Digest::of(batch.as_bytes())
}

impl World {
    /// Two held batches: one of ada's own, one of somebody else's.
    pub(super) fn deliver(&self) {
        for (name, by) in [("week-47", "ada"), ("week-48", "dan")] {
            let batch = name.to_owned();
            let delivered = BatchEvent::Delivered {
                batch: batch.clone(),
                feed: "bank-4".into(),
                files: vec![format!("{name}.csv")],
                digest: digest(name),
                signer: None,
                parent: (name == "week-48").then(|| "week-47".to_owned()),
                impact: Impact::High,
            };
            let findings = vec!["feed-label-shift".to_owned(), "flood-near-copies".to_owned()];
            let gated = BatchEvent::Gated { batch, digest: digest(name), findings, complete: true, eyes: 0 };
            let at = Millis(NOW.0 - if name == "week-48" { 3_600_000 } else { 604_800_000 });
            let mut ledgers = self.ledgers.lock().unwrap();
            ledgers.take(SYSTEM, &delivered, by, at).unwrap();
            ledgers.take(SYSTEM, &gated, "mantlet", at).unwrap();
        }
    }

    fn happen(&self, actor: &str, system: &str, event: &BatchEvent) -> Result<Ledger, PortError> {
        let mut ledgers = self.ledgers.lock().unwrap();
        ledgers.take(system, event, actor, NOW).map_err(|error| PortError::Refused(error.to_string()))?;
        self.note(actor, event.action(), event.batch().unwrap(), serde_json::Value::Null);
        Ok(ledgers.of(system).unwrap().clone())
    }
}

fn sheet(batch: &Batch) -> Sheet {
    let row = |row: u64, group: &str, suggested: Option<&str>| SheetRow {
        row,
        group: group.into(),
        chance: suggested.map(|_| 0.91 - row as f64 / 100.0),
        label: "0".into(),
        suggested: suggested.map(Into::into),
        cells: vec!["bank-4".into(), format!("{}.50", 100 + row), "<script>alert(1)</script>".into()],
        picture: None,
    };
    let mut rows: Vec<SheetRow> =
        (12..24).map(|at| row(at, "labels turned in feed=bank-4, kind=k3", Some("1"))).collect();
    rows.extend((40..46).map(|at| row(at, "near copies, group 1", None)));
    Sheet {
        batch: batch.name.clone(),
        digest: batch.digest,
        at: Millis(NOW.0 - 3_000_000),
        of: 40_000,
        labels: vec!["0".into(), "1".into()],
        columns: vec!["feed".into(), "amount".into(), "purpose".into()],
        rows,
        gaps: vec!["112 further rows: near copies, group 1".into()],
    }
}

impl Batches for World {
    fn ledgers(&self) -> Soon<'_, Ledgers> {
        soon(self.ledgers.lock().unwrap().clone())
    }
    fn sheet<'a>(&'a self, _: &'a str, batch: &'a Batch) -> Soon<'a, Option<Sheet>> {
        soon(Some(sheet(batch)))
    }
    fn rule<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        batch: &'a str,
        seen: Seen,
        rows: Vec<RowRuled>,
        note: &'a str,
    ) -> Soon<'a, Ledger> {
        let (batch, note) = (batch.to_owned(), note.to_owned());
        let event = BatchEvent::RowsRuled { batch, digest: seen.digest, rows, note };
        Box::pin(std::future::ready(self.happen(actor, system, &event)))
    }
    fn decide<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        batch: &'a str,
        seen: Seen,
        approve: bool,
        note: &'a str,
    ) -> Soon<'a, Ledger> {
        let (batch, digest, note) = (batch.to_owned(), seen.digest, note.to_owned());
        let event = if approve {
            BatchEvent::Approved { batch, digest, rulings: seen.rulings, note }
        } else {
            BatchEvent::Rejected { batch, digest, note }
        };
        Box::pin(std::future::ready(self.happen(actor, system, &event)))
    }
    fn withdraw<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        batch: &'a str,
        seen: Seen,
        note: &'a str,
    ) -> Soon<'a, Ledger> {
        let event =
            BatchEvent::Withdrawn { batch: batch.to_owned(), digest: seen.digest, note: note.to_owned() };
        Box::pin(std::future::ready(self.happen(actor, system, &event)))
    }
}
