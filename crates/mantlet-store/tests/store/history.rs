//! Exchanges: written in segments, recovered after a kill, dropped only visibly.

use std::fs;
use std::path::{Path, PathBuf};

use mantlet_columns::{Keep, Places, Redaction, is_left_out};
use mantlet_guard::Recorder as _;
use mantlet_store::{ExchangeFilter, HistoryOptions, Options, Store};
use mantlet_vocab::{Action, Millis, Tensor, Value};

use crate::{block, clock, exchange, open, try_open};

fn all() -> ExchangeFilter {
    ExchangeFilter { most: usize::MAX, ..ExchangeFilter::default() }
}

fn found(folder: &Path, prefix: &str, suffix: &str) -> Vec<PathBuf> {
    let mut list = Vec::new();
    for item in fs::read_dir(folder).unwrap().flatten() {
        let name = item.file_name().into_string().unwrap();
        if item.path().is_dir() {
            list.extend(found(&item.path(), prefix, suffix));
        } else if name.starts_with(prefix) && name.ends_with(suffix) {
            list.push(item.path());
        }
    }
    list
}

/// Waits until the writer has taken everything that was recorded.
async fn settle(store: &Store, count: usize) {
    while store.exchanges(all()).await.unwrap().len() < count {
        tokio::task::yield_now().await;
    }
}

#[test]
fn exchanges_are_seen_at_once_and_kept_in_segments() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        let recorder = store.recorder().unwrap();
        let mut live = store.subscribe().unwrap();
        for n in 0..20 {
            recorder.record(exchange(&format!("e{n}"), n, if n % 2 == 0 { "a" } else { "b" })).unwrap();
        }
        assert_eq!(live.recv().await.unwrap().id, "e0");
        settle(&store, 20).await;
        assert_eq!(
            store.recent_exchanges(2).iter().map(|e| e.id.as_str()).collect::<Vec<_>>(),
            ["e19", "e18"]
        );
        store.flush_exchanges().await.unwrap();
        let mut noticed = exchange("e20", 86_400_000, "a");
        noticed.decision.action = Action::Refuse;
        recorder.record(noticed).unwrap();
        settle(&store, 21).await;
        let newest = store.exchanges(ExchangeFilter { most: 3, ..all() }).await.unwrap();
        assert_eq!(newest.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["e20", "e19", "e18"]);
        let filtered =
            ExchangeFilter { caller: Some("b".into()), since: Millis(5), until: Millis(9), ..all() };
        assert_eq!(store.exchanges(filtered).await.unwrap().len(), 3);
        let noticed = store.exchanges(ExchangeFilter { noticed: true, ..all() }).await.unwrap();
        assert_eq!((noticed.len(), noticed[0].action.as_str()), (1, "refuse"));
        assert_eq!(store.exchange("e7").await.unwrap().unwrap().caller, "b");
        assert!(store.exchange("no").await.unwrap().is_none());
        store.close().await.unwrap();
        let status = store.history_status();
        assert_eq!((status.recorded, status.segments, status.dropped, status.lost), (21, 2, 0, 0));
        // Two days, two folders; no write-ahead is left.
        let history = folder.path().join("exchanges");
        assert_eq!(found(&history, "", ".parquet").len(), 2);
        assert!(found(&history, "wal-", "").is_empty());
        assert!(recorder.record(exchange("late", 0, "a")).is_err(), "after closing it is refused, not lost");
        assert_eq!(store.history_status().dropped, 1);
        drop(store);
        let again = open(folder.path()).await;
        assert_eq!(again.exchanges(all()).await.unwrap().len(), 21);
    });
}

/// Rows of a write-ahead that are there to their last byte: a length of four bytes, a checksum of eight, the row.
fn whole_frames(bytes: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Some(length) = bytes.get(at..at + 4) {
        at += 12 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
        count += usize::from(at <= bytes.len());
    }
    count
}

/// A killed process leaves its write-ahead, torn at any byte, and perhaps a temporary segment.
#[test]
fn what_a_killed_process_took_is_recovered_up_to_the_torn_row() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("exchanges");
    let whole = block(async {
        let store = open(folder.path()).await;
        let recorder = store.recorder().unwrap();
        for n in 0..5 {
            recorder.record(exchange(&format!("e{n}"), n, "a")).unwrap();
        }
        settle(&store, 5).await;
        let wal = found(&history, "wal-", ".log").remove(0);
        (fs::read(&wal).unwrap(), wal.file_name().unwrap().to_owned())
    });
    let (bytes, name) = whole;
    // Every byte is tried where recovery lives; here a few, through the whole store.
    for cut in [0, 1, bytes.len() / 2, bytes.len() - 1, bytes.len()] {
        let folder = tempfile::tempdir().unwrap();
        let history = folder.path().join("exchanges");
        fs::create_dir_all(history.join("1970-01-01")).unwrap();
        fs::write(history.join(&name), &bytes[..cut]).unwrap();
        fs::write(history.join("1970-01-01/half.tmp"), b"PAR1").unwrap();
        let whole = whole_frames(&bytes[..cut]);
        block(async {
            let store = open(folder.path()).await;
            let rows = store.exchanges(all()).await.unwrap();
            assert_eq!(rows.len(), whole, "cut {cut}");
            let status = store.history_status();
            assert_eq!(status.recovered as usize, rows.len());
            store.close().await.unwrap();
        });
        assert!(found(&history, "", ".tmp").is_empty() && found(&history, "wal-", "").is_empty());
    }
}

#[test]
fn a_write_ahead_whose_segment_exists_is_not_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("exchanges");
    block(async {
        let store = open(folder.path()).await;
        store.recorder().unwrap().record(exchange("e", 5, "a")).unwrap();
        settle(&store, 1).await;
        let wal = found(&history, "wal-", ".log").remove(0);
        let bytes = fs::read(&wal).unwrap();
        store.close().await.unwrap();
        drop(store);
        // As if the kill came between the rename and the removal.
        fs::write(&wal, bytes).unwrap();
        let again = open(folder.path()).await;
        assert_eq!(again.exchanges(all()).await.unwrap().len(), 1);
        assert_eq!(again.history_status().recovered, 0);
    });
}

#[test]
fn a_tool_beside_the_serving_process_sees_what_is_pending_and_records_nothing() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        store.recorder().unwrap().record(exchange("e", 5, "a")).unwrap();
        settle(&store, 1).await;
        let tool = try_open(folder.path(), false).await.unwrap();
        assert_eq!(tool.exchanges(all()).await.unwrap().len(), 1);
        assert!(tool.recorder().is_none() && tool.subscribe().is_none());
        store.flush_exchanges().await.unwrap();
        assert_eq!(tool.exchanges(all()).await.unwrap().len(), 1);
    });
}

#[test]
fn an_overfull_queue_drops_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let history = HistoryOptions { queue: 1, ..HistoryOptions::default() };
        let options = Options { serve: true, history, ..Options::default() };
        let store = Store::open(folder.path(), clock(), options).await.unwrap();
        let recorder = store.recorder().unwrap();
        let refused =
            (0..5_000).filter(|n| recorder.record(exchange(&n.to_string(), *n, "a")).is_err()).count();
        let status = store.history_status();
        assert_eq!((status.dropped as usize, status.recorded as usize), (refused, 5_000 - refused));
        settle(&store, 5_000 - refused).await;
        store.close().await.unwrap();
    });
}

#[test]
fn segments_are_cut_by_rows_and_a_failing_disk_keeps_rows_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let exchanges = folder.path().join("exchanges");
    block(async {
        let history = HistoryOptions { rows: 4, ..HistoryOptions::default() };
        let options = Options { serve: true, history, ..Options::default() };
        let store = Store::open(folder.path(), clock(), options).await.unwrap();
        let recorder = store.recorder().unwrap();
        recorder.record(exchange("e0", 0, "a")).unwrap();
        settle(&store, 1).await;
        // A file where the day's folder has to be.
        fs::write(exchanges.join("1970-01-01"), b"in the way").unwrap();
        store.flush_exchanges().await.unwrap_err();
        assert_eq!(store.exchanges(all()).await.unwrap().len(), 1, "still there");
        fs::remove_file(exchanges.join("1970-01-01")).unwrap();
        for n in 1..4 {
            recorder.record(exchange(&format!("e{n}"), n, "a")).unwrap();
        }
        while store.history_status().segments == 0 {
            tokio::task::yield_now().await;
        }
        let status = store.history_status();
        assert!(status.failures >= 1 && status.lost == 0);
        assert_eq!(store.exchanges(all()).await.unwrap().len(), 4);
        store.close().await.unwrap();
    });
}

/// The write-ahead, the segment, what is recovered of a killed process and the live view hold the same.
#[test]
fn what_is_left_out_of_the_record_is_nowhere_on_disk_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("exchanges");
    let places = Places::Of { width: 2, places: vec![0] };
    let redaction = Redaction {
        caller: Keep::Digest,
        features: Some([("pixels".to_owned(), places)].into_iter().collect()),
        key: [5; 32],
        ..Redaction::default()
    };
    let secret = 1_234.567_f32;
    let mut private = exchange("e0", 1, "ada.lovelace@example.org");
    let pixels = Tensor::new([1, 2], vec![secret, 0.5]).unwrap();
    private.request.inputs[0].value = Value::F32(pixels);
    let holds = |bytes: &[u8]| {
        let name = b"ada.lovelace";
        bytes.windows(name.len()).any(|part| part == name)
            || bytes.windows(4).any(|part| part == secret.to_le_bytes())
    };
    block(async {
        let store = open(folder.path()).await;
        let recorder = store.recorder().unwrap();
        // Without it both are there: the search below can find them.
        recorder.record(private.clone()).unwrap();
        settle(&store, 1).await;
        assert!(holds(&fs::read(found(&history, "wal-", ".log").remove(0)).unwrap()));
        store.flush_exchanges().await.unwrap();
        let segment = found(&history, "", ".parquet").remove(0);
        fs::remove_file(segment).unwrap();

        recorder.redact(redaction.clone());
        let mut live = store.subscribe().unwrap();
        recorder.record(mantlet_vocab::Exchange { id: "e1".into(), ..private.clone() }).unwrap();
        settle(&store, 1).await;
        assert!(!holds(&fs::read(found(&history, "wal-", ".log").remove(0)).unwrap()));
        let shown = format!("{:?}", live.recv().await.unwrap());
        assert!(!shown.contains("ada") && !shown.contains("1234.5"), "{shown}");
        let row = store.exchange("e1").await.unwrap().unwrap();
        assert_eq!(row.caller, redaction.caller("ada.lovelace@example.org"));
        assert!(is_left_out(row.features[0]) && row.features[1] == 0.5, "{row:?}");
        let filter = ExchangeFilter { caller: Some(row.caller.clone()), ..all() };
        assert_eq!(
            store.exchanges(filter).await.unwrap().len(),
            1,
            "one caller's exchanges are still found together"
        );
        store.flush_exchanges().await.unwrap();
        let segment = found(&history, "", ".parquet").remove(0);
        assert!(!holds(&fs::read(segment).unwrap()));
        let row = store.exchange("e1").await.unwrap().unwrap();
        assert!(is_left_out(row.features[0]) && row.features[1] == 0.5, "from the segment: {row:?}");

        // Taken back, everything is recorded again.
        recorder.redact(Redaction::default());
        recorder.record(mantlet_vocab::Exchange { id: "e2".into(), ..private.clone() }).unwrap();
        settle(&store, 2).await;
        assert_eq!(store.exchange("e2").await.unwrap().unwrap().features[0], secret);
        store.close().await.unwrap();
    });
}

/// Whoever brings a new name with each request makes the record longer, and nothing in memory.
#[test]
fn a_record_of_callers_that_are_all_new_is_whole_and_holds_a_few_segments_in_memory() {
    const CALLERS: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let history = HistoryOptions { recent: 0, ..HistoryOptions::default() };
        let options = Options { serve: true, history, ..Options::default() };
        let store = Store::open(folder.path(), clock(), options).await.unwrap();
        let recorder = store.recorder().unwrap();
        for n in 0..CALLERS {
            // The queue is bounded: whoever is faster than the disk is told so, and here comes again.
            while recorder.record(exchange(&format!("e{n}"), n, &format!("caller-{n}"))).is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            if n % 1_000 == 999 {
                store.flush_exchanges().await.unwrap();
            }
        }
        let status = store.history_status();
        assert_eq!((status.recorded, status.lost, status.unprotected), (CALLERS, 0, 0), "{status:?}");
        assert!(status.segments >= 20 && status.failures == 0, "{status:?}");
        let callers: std::collections::HashSet<String> =
            store.exchanges(all()).await.unwrap().into_iter().map(|row| row.caller).collect();
        assert_eq!(callers.len() as u64, CALLERS);
        let one = ExchangeFilter { caller: Some("caller-17".into()), ..all() };
        assert_eq!(store.exchanges(one).await.unwrap().len(), 1);
        // Nothing waits in a write-ahead that a segment has taken over.
        let history = folder.path().join("exchanges");
        let waiting: u64 =
            found(&history, "wal-", "").iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert_eq!(waiting, 0);
        store.close().await.unwrap();
    });
}
