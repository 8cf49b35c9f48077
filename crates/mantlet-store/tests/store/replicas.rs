//! Two replicas on one PostgreSQL, started here and killed here.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mantlet_access::{Role, Scope, User};
use mantlet_guard::Recorder as _;
use mantlet_registry::{RegistryStore as _, System};
use mantlet_store::{
    AuditError, NewEntry, Options, Record, RecordKind, ReviewDecision, ReviewFilter, ReviewState, Store,
    StoreError,
};
use mantlet_testkit::servers::Postgres;
use mantlet_vocab::{Impact, Millis, Mode};
use serde_json::json;

use crate::{block, clock, exchange};

async fn open(folder: &Path, url: &str) -> Result<Store, StoreError> {
    let options = Options { serve: true, database: Some(url.to_owned()), ..Options::default() };
    Store::open(folder, clock(), options).await
}

/// The key of the log, as whoever sets up a second replica copies it.
fn copy_key(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("audit")).unwrap();
    for file in ["log.key", "log.pub"] {
        std::fs::copy(from.join("audit").join(file), to.join("audit").join(file)).unwrap();
    }
}

#[test]
fn replicas_share_state_and_one_audit_log() {
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    block(async {
        let first = open(&one, &postgres.url()).await.unwrap();
        // Without the key nobody joins: whoever can write the database cannot sign.
        let stranger = open(&two, &postgres.url()).await.unwrap_err();
        assert!(matches!(stranger, StoreError::Audit(AuditError::OtherKey { .. })), "{stranger}");
        copy_key(&one, &two);
        let second = open(&two, &postgres.url()).await.unwrap();

        let system = System {
            name: "cheques".into(),
            decides: "digits".into(),
            impact: Impact::High,
            mode: Mode::Enforce,
            owner: "ada".into(),
            created: Millis(0),
            serving: None,
            known_good: None,
        };
        first.put_system(&system).await.unwrap();
        assert_eq!(second.system("cheques").await.unwrap(), Some(system));
        let (secret, key) = first.make_key("k", vec![Scope::InferAny], None, "ada").await.unwrap();
        let ring = second.key_ring().await.unwrap();
        assert!(ring.verify(secret.expose(), &Scope::Infer("m".into()), first.now()).is_ok());
        second.revoke_key(&key.id, "bob").await.unwrap();
        assert!(
            first
                .key_ring()
                .await
                .unwrap()
                .verify(secret.expose(), &Scope::Infer("m".into()), first.now())
                .is_err()
        );
        let user =
            User::new("ada", Role::Admin, "correct horse battery staple", &[7; 16], Millis(1)).unwrap();
        first.put_user(&user, "bob").await.unwrap();
        let (token, _) = first.begin_session(&user, 60_000).await.unwrap();
        assert!(second.session(token.expose()).await.unwrap().is_some());
        let record = Record {
            id: "r".into(),
            system: "cheques".into(),
            at: Millis(5),
            state: "active".into(),
            doc: json!({ "a": [1, null, "ü"] }),
        };
        second.put_record(RecordKind::GuardRule, &record, "ada").await.unwrap();
        assert_eq!(
            first.records(RecordKind::GuardRule, Some("cheques"), 5).await.unwrap(),
            std::slice::from_ref(&record)
        );
        assert_eq!(first.records(RecordKind::GuardRule, None, 5).await.unwrap(), [record]);
        assert!(first.remove_record(RecordKind::GuardRule, "r", "ada").await.unwrap());

        // A ticket that one gave out is answered by the other, and decided there.
        let ticket = first.desk().file(&exchange("e", 1, "ann"), 3_600_000).unwrap();
        let begun = std::time::Instant::now();
        while second.desk().poll(&ticket, "ann").is_none() {
            assert!(begun.elapsed().as_secs() < 10);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let filter = ReviewFilter { state: Some(ReviewState::Pending), ..ReviewFilter::default() };
        assert_eq!(second.reviews(&filter).await.unwrap().len(), 1);
        second.decide_review(&ticket, ReviewDecision::Release, "bob").await.unwrap();
        while first.desk().poll(&ticket, "ann").unwrap().state == ReviewState::Pending {
            assert!(begun.elapsed().as_secs() < 10);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }

        // Both append at once: one log, each entry once, the same at both.
        let (size, _) = first.audit().head().await.unwrap();
        let mut appends = tokio::task::JoinSet::new();
        for n in 0..300 {
            let log = if n % 2 == 0 { first.audit().clone() } else { second.audit().clone() };
            appends
                .spawn(async move { log.append(NewEntry::new("t", "test", &n.to_string(), json!(n))).await });
        }
        let mut indices: Vec<u64> = Vec::new();
        while let Some(done) = appends.join_next().await {
            indices.push(done.unwrap().unwrap());
        }
        indices.sort_unstable();
        assert_eq!(indices, (size..size + 300).collect::<Vec<_>>());
        let (a, b) = (first.audit().verify(None).await.unwrap(), second.audit().verify(None).await.unwrap());
        assert_eq!((a.size, a.root), (size + 300, b.root));
        let names = |entries: Vec<mantlet_store::AuditEntry>| {
            entries.into_iter().map(|entry| entry.subject).collect::<Vec<_>>()
        };
        assert_eq!(
            names(first.audit().entries(size, 300).await.unwrap()),
            names(second.audit().entries(size, 300).await.unwrap())
        );
        first.close().await.unwrap();
        second.close().await.unwrap();
    });
}

#[test]
fn a_killed_database_loses_nothing_that_was_acknowledged_and_comes_back() {
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(&folder.path().join("one"), &postgres.url()).await.unwrap();
        let mut last = 0;
        for n in 0..20 {
            last =
                store.audit().append(NewEntry::new("t", "test", &n.to_string(), json!(null))).await.unwrap();
        }
        postgres.crash();
        let lost = store.audit().append(NewEntry::new("t", "lost", "x", json!(null))).await;
        assert!(lost.is_err(), "nothing is acknowledged without the database");
        // History goes on without it.
        store.recorder().unwrap().record(exchange("e", 5, "ann")).unwrap();
        postgres.up();
        let begun = std::time::Instant::now();
        let next = loop {
            match store.audit().append(NewEntry::new("t", "test", "after", json!(null))).await {
                Ok(next) => break next,
                Err(fault) => assert!(begun.elapsed().as_secs() < 20, "{fault}"),
            }
        };
        assert_eq!(next, last + 1, "what was acknowledged is there, what was not is not");
        let report = store.audit().verify(None).await.unwrap();
        assert_eq!(report.size, next + 1);
        store.close().await.unwrap();
    });
}

#[test]
fn a_log_that_was_changed_in_the_database_is_noticed_by_every_replica() {
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    block(async {
        let first = open(&one, &postgres.url()).await.unwrap();
        copy_key(&one, &two);
        for n in 0..5 {
            first.audit().append(NewEntry::new("t", "test", &n.to_string(), json!(null))).await.unwrap();
        }
        // The entries are cut back in the database to an older signed head.
        let second = open(&two, &postgres.url()).await.unwrap();
        let (_, old) = second.audit().checkpoint().await.unwrap();
        first.audit().append(NewEntry::new("t", "test", "five", json!(null))).await.unwrap();
        let pool = sqlx::PgPool::connect(&postgres.url()).await.unwrap();
        let put =
            sqlx::query("UPDATE audit_files SET bytes = $1 WHERE path = 'checkpoint'").bind(old.as_bytes());
        put.execute(&pool).await.unwrap();
        let fault = first.audit().append(NewEntry::new("t", "test", "six", json!(null))).await.unwrap_err();
        assert!(matches!(fault, StoreError::Audit(AuditError::Older { found: 5, known: 6 })), "{fault}");
        pool.close().await;
        let _ = (first.close().await, second.close().await);
    });
}

/// A line to PostgreSQL that can be cut: what passes meanwhile is lost, and nobody is told.
struct Line {
    folder: tempfile::TempDir,
    cut: Arc<AtomicBool>,
    /// Words after which it is cut.
    after: Arc<Mutex<Option<&'static [u8]>>>,
}

impl Line {
    fn to(postgres: &Postgres) -> Self {
        const SOCKET: &str = ".s.PGSQL.5432";
        let there = Path::new(postgres.url().split("host=").nth(1).unwrap()).join(SOCKET);
        // A socket's path is short.
        let folder = tempfile::Builder::new().prefix("pl").tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let line = Self { folder, cut: Arc::default(), after: Arc::default() };
        let (cut, after) = (Arc::clone(&line.cut), Arc::clone(&line.after));
        std::thread::spawn(move || {
            for here in listener.incoming().flatten() {
                let there = UnixStream::connect(&there).unwrap();
                let both = [(here.try_clone().unwrap(), there.try_clone().unwrap()), (there, here)];
                for (from, to) in both {
                    let (cut, after) = (Arc::clone(&cut), Arc::clone(&after));
                    std::thread::spawn(move || pass(from, to, &cut, &after));
                }
            }
        });
        line
    }

    fn url(&self) -> String {
        format!("postgres://mantlet@localhost/postgres?host={}", self.folder.path().display())
    }

    fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, cut: &AtomicBool, after: &Mutex<Option<&'static [u8]>>) {
    let (mut some, mut lost) = ([0; 8192], false);
    while let Ok(count @ 1..) = from.read(&mut some) {
        lost |= cut.load(Ordering::SeqCst);
        if lost {
            continue;
        }
        let mut words = after.lock().unwrap();
        let said = words.is_some_and(|words| some[..count].windows(words.len()).any(|part| part == words));
        if said {
            // What answers this is lost already.
            cut.store(true, Ordering::SeqCst);
            *words = None;
        }
        drop(words);
        if to.write_all(&some[..count]).is_err() {
            return;
        }
    }
}

#[test]
fn a_replica_that_is_cut_off_is_told_so_in_time_keeps_nobody_waiting_and_comes_back() {
    let postgres = Postgres::start();
    let line = Line::to(&postgres);
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let quick = |url: String| Options {
        serve: true,
        database: Some(url),
        patience: Duration::from_millis(700),
        ..Options::default()
    };
    block(async {
        let first = Store::open(&one, clock(), quick(line.url())).await.unwrap();
        copy_key(&one, &two);
        let second = Store::open(&two, clock(), quick(postgres.url())).await.unwrap();
        let record = |id: &str| Record {
            id: id.into(),
            system: "cheques".into(),
            at: Millis(5),
            state: "active".into(),
            doc: json!({}),
        };
        let keep = |store: Store, id: String| async move {
            store.put_record(RecordKind::GuardRule, &record(&id), "ada").await
        };
        // More often than there are connections: none may be lost for good.
        for round in 0..12 {
            // In every other round in the middle of a transaction that holds the lock of the audit log.
            if round % 2 == 0 {
                *line.after.lock().unwrap() = Some(b"30786325577788789");
            } else {
                line.cut(true);
            }
            let begun = Instant::now();
            let refused = keep(first.clone(), format!("lost-{round}")).await.unwrap_err();
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(20), "round {round}: {took:?} until {refused}");
            assert!(first.key_ring().await.is_err(), "round {round}: nobody answers");
            let since = Instant::now();
            while let Err(fault) = keep(second.clone(), format!("kept-{round}")).await {
                assert!(since.elapsed() < Duration::from_secs(30), "round {round}: {fault}");
            }
            line.cut(false);
            let since = Instant::now();
            while let Err(fault) = keep(first.clone(), format!("back-{round}")).await {
                assert!(since.elapsed() < Duration::from_secs(30), "round {round}: {fault}");
            }
        }
        let kept = second.records(RecordKind::GuardRule, None, 100).await.unwrap();
        let ids: Vec<&str> = kept.iter().map(|record| record.id.as_str()).collect();
        assert!(ids.iter().all(|id| !id.starts_with("lost")), "{ids:?}");
        assert_eq!(ids.iter().filter(|id| id.starts_with("back")).count(), 12, "{ids:?}");
        second.audit().verify(None).await.unwrap();
    });
}
