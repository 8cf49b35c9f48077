//! Three gateways and a worker on PostgreSQL, Redis and NATS, one of them killed.

use std::path::Path;
use std::time::{Duration, Instant};

use mantlet_testkit::servers::{Postgres, Server};

use crate::program::{Folder, Up, expect};
use crate::running::{ROW, promote};

fn within(what: &str, wanted: u16, mut ask: impl FnMut() -> u16) {
    let since = Instant::now();
    let mut got = 0;
    while since.elapsed() < Duration::from_secs(30) {
        got = ask();
        if got == wanted {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}: {got}, not {wanted}");
}

/// A further replica's folder: the same document and keys, a storage of its own.
fn replica(first: &Folder, name: &str) -> std::path::PathBuf {
    let to = first.path.with_file_name(name);
    copy(&first.path, &to);
    to
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            // History, journals and locks are each replica's own; the key and the copy of the log are shared.
            if entry.file_name() != "exchanges" {
                copy(&entry.path(), &target);
            }
        } else if entry.file_name() != "service.lock" {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn three_gateways_share_keys_limits_and_one_audit_log() {
    let (postgres, redis, nats) = (Postgres::start(), Server::redis(), Server::nats());
    let folder = Folder::with_model();
    folder.edit(|text| {
        let shared = format!(
            "[shared]\ndatabase = \"{}\"\nredis = \"redis://127.0.0.1:{}\"\nnats = \"nats://127.0.0.1:{}\"\n",
            postgres.url(),
            redis.port,
            nats.port
        );
        assert!(text.contains("[shared]\n") && text.contains("wait_ms = 5\n"), "{text}");
        let text = text.replace("[shared]\n", &shared).replace("wait_ms = 5\n", "wait_ms = 100\n");
        format!("{text}\n[[gateway.limits]]\nwhat = \"requests\"\nper = \"key\"\nmost = 6\nburst = 2\n")
    });
    promote(&folder);
    let key = |name: &str| {
        let said = expect(0, ["keys", "add", name, folder.text()]).out;
        said.split_whitespace().find(|word| word.starts_with("mk_")).unwrap().to_owned()
    };
    let (limited, revoked) = (key("limited"), key("revoked"));
    let others = [replica(&folder, "two"), replica(&folder, "three"), replica(&folder, "worker")];
    let begun = Instant::now();
    let mut gateways = vec![
        Up::start_role(&folder.path, "gateway"),
        Up::start_role(&others[0], "gateway"),
        Up::start_role(&others[1], "gateway"),
    ];
    let worker = Up::start_role(&others[2], "worker");
    // One limit of six a minute, whichever gateway is asked. Redis was empty, so the counts begin empty.
    let (since, mut passed) = (Instant::now(), 0);
    while since.elapsed() < Duration::from_secs(25) && passed < 2 {
        passed += gateways.iter().filter(|up| up.infer("model", &limited, ROW).0 == 200).count();
        std::thread::sleep(Duration::from_millis(100));
    }
    let allowed = begun.elapsed().as_secs_f64() / 10.0 + 1.0;
    assert!(passed >= 1 && passed as f64 <= allowed, "{passed} passed, {allowed:.1} allowed");
    // A key that is revoked by a command is refused by every gateway.
    let id = revoked.split('_').nth(1).unwrap().to_owned();
    expect(0, ["keys", "revoke", &id, folder.text()]);
    for up in &gateways {
        within("a revoked key", 401, || up.infer("model", &revoked, ROW).0);
    }
    // One is killed without a goodbye; the others serve on, and the log is whole and the same everywhere.
    let mut dead = gateways.pop().unwrap();
    dead.child.kill().unwrap();
    dead.child.wait().unwrap();
    let fresh = key("fresh");
    for up in &gateways {
        within("a new key", 429, || match up.infer("model", &fresh, ROW).0 {
            200 => 429,
            other => other,
        });
    }
    let heads: Vec<String> = [folder.path.as_path(), &others[0], &others[1]]
        .iter()
        .map(|path| expect(0, ["audit", "verify", path.to_str().unwrap()]).out)
        .collect();
    assert!(heads.iter().all(|head| head.contains("whole")), "{heads:?}");
    drop(dead);
    gateways.into_iter().for_each(Up::interrupt);
    worker.interrupt();
}
