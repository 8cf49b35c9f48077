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
        store.batch_event("cards", &delivered(2), "ann").await.unwrap();
        let (ledger, _) = store.ledger("cards").await.unwrap();
        assert_eq!(ledger.batches["week-8"].state, BatchState::Quarantined);
        assert!(ledger.usable().is_empty());
        store.close().await.unwrap();
        let report = mantlet_store::verify_audit(&folder.path().join("audit"), None, None);
        assert!(report.is_ok(), "{report:?}");
    });
}
