//! Batches of training data through the audit log.

use mantlet_registry::batch::{BatchError, BatchEvent, BatchState};
use mantlet_store::StoreError;
use mantlet_vocab::{Digest, Impact};

use super::{block, open};

fn delivered(digest: u8) -> BatchEvent {
    BatchEvent::Delivered {
        batch: "week-8".into(),
        feed: "bank-4".into(),
        files: vec!["week-8.csv".into()],
        digest: Digest([digest; 32]),
        signer: None,
        parent: None,
        impact: Impact::High,
    }
}

fn approved(digest: u8) -> BatchEvent {
    BatchEvent::Approved {
        batch: "week-8".into(),
        digest: Digest([digest; 32]),
        rulings: None,
        note: "explained".into(),
    }
}

#[test]
fn decisions_are_replayed_from_the_log_and_void_once_the_bytes_change() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        store.batch_event("cards", &delivered(1), "ann").await.unwrap();
        let held = BatchEvent::Gated {
            batch: "week-8".into(),
            digest: Digest([1; 32]),
            findings: vec!["feed-label-shift".into()],
            complete: true,
            eyes: 0,
        };
        store.batch_event("cards", &held, "mantlet").await.unwrap();
        let own = store.batch_event("cards", &approved(1), "ann").await.unwrap_err();
        assert!(matches!(own, StoreError::Batch(BatchError::Own { .. })), "{own}");
        store.batch_event("cards", &approved(1), "bea").await.unwrap();
        let ledger = store.batch_event("cards", &approved(1), "cem").await.unwrap();
        assert_eq!(ledger.batches["week-8"].state, BatchState::Approved);
        store.close().await.unwrap();
        drop(store);
        // A new process reads the same from the log alone.
        let store = open(folder.path()).await;
        assert_eq!(store.ledger("cards").await.unwrap(), (ledger, Vec::new()));
        assert!(store.ledger("other").await.unwrap().0.batches.is_empty());
        // Its files are nowhere: what was let through is taken back all the same, by the log's word.
        let digest = Digest([1; 32]);
        let back = store.withdraw_batch("cards", "week-8", "bea", digest, "it was poisoned").await.unwrap();
        assert_eq!(back.batches["week-8"].state, BatchState::Withdrawn);
        assert_eq!(store.ledger("cards").await.unwrap(), (back, Vec::new()));
        let twice = store.withdraw_batch("cards", "week-8", "bea", digest, "again").await.unwrap_err();
        assert!(matches!(twice, StoreError::Batch(BatchError::Unused { .. })), "{twice}");
        store.batch_event("cards", &delivered(2), "ann").await.unwrap();
        let (ledger, _) = store.ledger("cards").await.unwrap();
        assert_eq!(ledger.batches["week-8"].state, BatchState::Quarantined);
        assert!(ledger.usable().is_empty());
        store.close().await.unwrap();
        let report = mantlet_store::verify_audit(&folder.path().join("audit"), None, None);
        assert!(report.is_ok(), "{report:?}");
    });
}

#[test]
fn thousands_of_rows_are_decided_about_whole_or_not_at_all() {
    use mantlet_registry::rows::{MOST_RULED, RowRuled, RowRuling};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("week-8.csv");
    std::fs::write(&file, "a,label\n1,0\n").unwrap();
    let digest = mantlet_store::batch_digest(std::slice::from_ref(&file)).unwrap();
    block(async {
        let store = open(&folder.path().join("home")).await;
        let BatchEvent::Delivered { batch, feed, signer, parent, impact, .. } = delivered(1) else { return };
        let files = vec![file.display().to_string()];
        let event = BatchEvent::Delivered { batch, feed, files, digest, signer, parent, impact };
        store.batch_event("cards", &event, "ann").await.unwrap();
        let rows = |count: usize| -> Vec<RowRuled> {
            let ruling = |row: u64| {
                if row.is_multiple_of(2) { RowRuling::LeaveOut } else { RowRuling::Relabel("x".repeat(180)) }
            };
            (0..count as u64).map(|row| RowRuled { row, ruling: ruling(row) }).collect()
        };
        let rule = async |who: &str, count: usize| {
            store.rule_rows("cards", "week-8", who, digest, rows(count), "looked").await
        };
        let before = store.audit().entries(0, 1_000).await.unwrap().len();
        let own = rule("ann", 3_000).await.unwrap_err();
        assert!(matches!(own, StoreError::Batch(BatchError::Own { .. })), "{own}");
        let many = rule("bea", MOST_RULED + 1).await.unwrap_err();
        assert!(matches!(many, StoreError::Batch(BatchError::TooManyRows { .. })), "{many}");
        assert_eq!(store.audit().entries(0, 1_000).await.unwrap().len(), before, "nothing was written");
        let ledger = rule("bea", 3_000).await.unwrap();
        assert_eq!(ledger.batches["week-8"].rulings.changes(), (1_500, 1_500));
        assert!(store.audit().entries(0, 1_000).await.unwrap().len() > before + 5);
        assert_eq!(store.ledger("cards").await.unwrap(), (ledger, Vec::new()), "as the log has it");
        store.close().await.unwrap();
        let report = mantlet_store::verify_audit(&folder.path().join("home/audit"), None, None);
        assert!(report.is_ok(), "{report:?}");
    });
}
