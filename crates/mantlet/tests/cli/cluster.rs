//! Engines that count tables: the report is the same, byte for byte, whoever counts and whoever dies meanwhile.

use crate::program::expect;

#[test]
fn engines_are_refused_or_run_as_the_build_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("t.csv"), "a,b\n1,x\n2,y\n3,x\n").unwrap();
    let keys = at("keys");
    let profile = at("profile.json");
    expect(0, ["monitor", "baseline", &at("t.csv"), "--out", &profile, "--storage", &keys]);
    let drift =
        ["monitor", "drift", &at("t.csv"), "--baseline", &profile, "--storage", &keys].map(str::to_owned);
    let stream = expect(0, drift.iter().cloned().chain(["--engine".into(), "stream".into()]));
    assert!(stream.out.contains("clean: 0 findings"), "{}", stream.out);
    let engine = ["--engine", "datafusion"].map(str::to_owned);
    if cfg!(feature = "cluster") {
        let told = expect(0, drift.iter().chain(&engine));
        assert_eq!(told.out, stream.out);
    } else {
        let told = expect(3, drift.iter().chain(&engine));
        assert!(told.err.contains("--features cluster"), "{}", told.err);
        let token = at("token");
        let told = expect(
            3,
            ["up", "--role", "scheduler", "--token-file", &token, "--root", folder.path().to_str().unwrap()],
        );
        assert!(told.err.contains("the role scheduler is not in this build"), "{}", told.err);
    }
    // A cluster without its address or token, and a role without its roots, are mistakes of the command line.
    expect(3, drift.iter().cloned().chain(["--engine".into(), "cluster".into()]));
    expect(3, ["up", "--role", "executor"]);
}

#[cfg(feature = "cluster")]
pub mod processes {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpStream;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Stdio};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
        RecordBatch, StringArray,
    };
    use parquet::arrow::ArrowWriter;
    use serde_json::Value;
    use tempfile::TempDir;

    use crate::program::{Ran, expect, mantlet, run};

    /// Files of the later table: as many parts can be lost.
    const FILES: u64 = 12;
    const ROWS: u64 = 60_000;

    /// Columns of every kind that is read: numbers with gaps and not-a-numbers, decimals, truth values, words with few
    /// and many values, words behind a dictionary, names of single rows; and dates, which are not judged.
    fn write(path: &Path, seed: u64, rows: u64, drifted: bool) {
        let mut state = seed * 2 + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let shift = i64::from(drifted) * 40;
        let draws: Vec<[u64; 6]> = (0..rows).map(|_| std::array::from_fn(|_| next())).collect();
        let number = |row: &[u64; 6]| match row[0] % 50 {
            0 => None,
            1 => Some(f64::NAN),
            _ => Some((row[0] % 10_000) as f64 / 7.0 + shift as f64),
        };
        let city = |row: &[u64; 6]| match row[1] % 100 {
            0 => None,
            1 if drifted => Some("Atlantis".to_owned()),
            at => Some(format!("city {}", at * at % 37)),
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("amount", Arc::new(draws.iter().map(number).collect::<Float64Array>())),
            (
                "limit",
                Arc::new(
                    draws
                        .iter()
                        .map(|row| (row[0] % 10_000) as i64 + (row[2] % 500) as i64)
                        .collect::<Int64Array>(),
                ),
            ),
            (
                "price",
                Arc::new(
                    draws
                        .iter()
                        .map(|row| Some(i128::from(row[3] % 100_000)))
                        .collect::<Decimal128Array>()
                        .with_precision_and_scale(12, 2)
                        .unwrap(),
                ),
            ),
            ("paid", Arc::new(draws.iter().map(|row| Some(row[2] % 3 == 0)).collect::<BooleanArray>())),
            ("city", Arc::new(draws.iter().map(city).collect::<StringArray>())),
            (
                "shop",
                Arc::new(
                    draws.iter().map(|row| Some(format!("shop {}", row[4] % 3000))).collect::<StringArray>(),
                ),
            ),
            (
                "kind",
                Arc::new(
                    draws
                        .iter()
                        .map(|row| ["a", "b", "c", "d"].get((row[5] % 5) as usize).copied())
                        .collect::<DictionaryArray<Int32Type>>(),
                ),
            ),
            ("id", Arc::new((0..rows).map(|row| Some(format!("{seed}-{row}"))).collect::<StringArray>())),
            ("day", Arc::new((0..rows).map(|row| Some((row % 30) as i32)).collect::<Date32Array>())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    struct Tables {
        holder: TempDir,
    }

    impl Tables {
        /// A reference with its profile, and a later table of many files.
        fn new() -> Self {
            let tables = Self { holder: tempfile::tempdir().unwrap() };
            std::fs::create_dir(tables.path("later")).unwrap();
            write(&tables.path("reference.parquet"), 1, ROWS, false);
            for file in 0..FILES {
                write(&tables.path("later").join(format!("{file:02}.parquet")), 100 + file, ROWS, true);
            }
            std::fs::write(tables.path("token"), "0123456789abcdef0123456789abcdef\n").unwrap();
            let (out, keys) = (tables.text("profile.json"), tables.text("keys"));
            let reference = tables.text("reference.parquet");
            expect(0, ["monitor", "baseline", &reference, "--out", &out, "--storage", &keys]);
            tables
        }

        fn path(&self, name: &str) -> PathBuf {
            self.holder.path().join(name)
        }

        fn text(&self, name: &str) -> String {
            self.path(name).to_str().unwrap().to_owned()
        }

        fn drift(&self, more: &[&str]) -> Vec<String> {
            let (later, profile, keys) = (self.text("later"), self.text("profile.json"), self.text("keys"));
            let trusted = ["--baseline", &profile, "--storage", &keys];
            let fixed = ["monitor", "drift", &later, "--format", "json"].into_iter().chain(trusted);
            let fixed: Vec<&str> = fixed.collect();
            fixed.iter().chain(more).map(|&word| word.to_owned()).collect()
        }

        /// Drift as a cluster's client asks for it.
        fn asked(&self, scheduler: &str, token: &str) -> Vec<String> {
            let token = self.text(token);
            self.drift(&["--engine", "cluster", "--scheduler", scheduler, "--token-file", &token])
        }

        fn report(&self) -> String {
            let streamed = expect(1, self.drift(&[]));
            for named in ["drift-marginal-shift", "drift-new-words"] {
                assert!(streamed.out.contains(named), "{named}: {}", streamed.out);
            }
            streamed.out
        }
    }

    /// A process of a cluster; killed with the test.
    pub struct Role {
        pub child: Child,
        pub address: String,
        scratch: PathBuf,
    }

    impl Role {
        fn start(tables: &Tables, role: &str, scheduler: Option<&str>, root: &str) -> Self {
            let keys = tables.text("keys");
            Self::start_in(tables.holder.path(), role, scheduler, &tables.text(root), &["--storage", &keys])
        }

        /// A process in a folder that holds the token.
        pub fn start_in(
            folder: &Path,
            role: &str,
            scheduler: Option<&str>,
            root: &str,
            more: &[&str],
        ) -> Self {
            let scratch = tempfile::Builder::new().tempdir_in(folder).unwrap().keep();
            let token = folder.join("token");
            let mut command = mantlet(["up", "--role", role, "--listen", "127.0.0.1:0", "--format", "json"]);
            command.args(["--root", root, "--cores", "1", "--memory", "128"]).args(more);
            command.arg("--token-file").arg(token);
            command.args(["--scratch", scratch.to_str().unwrap()]);
            command.args(scheduler.iter().flat_map(|scheduler| ["--scheduler", *scheduler]));
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let said: Value = serde_json::from_str(&line).unwrap();
            Self { child, address: said[role].as_str().unwrap().to_owned(), scratch }
        }

        /// The parts of each query that lie in its scratch folder.
        pub fn parts(&self) -> BTreeMap<String, usize> {
            fn files(folder: &Path) -> usize {
                let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
                let count = |entry: std::fs::DirEntry| {
                    let path = entry.path();
                    if path.is_dir() {
                        files(&path)
                    } else {
                        usize::from(path.extension() == Some("arrow".as_ref()))
                    }
                };
                entries.flatten().map(count).sum()
            }
            let own = std::fs::read_dir(&self.scratch).unwrap().flatten().map(|entry| entry.path());
            let queries = own.flat_map(|own| std::fs::read_dir(own).into_iter().flatten().flatten());
            queries
                .map(|query| (query.file_name().to_string_lossy().into_owned(), files(&query.path())))
                .filter(|(_, parts)| *parts > 0)
                .collect()
        }
    }

    impl Drop for Role {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    pub fn ended(child: Child) -> Ran {
        crate::program::ran(&child.wait_with_output().unwrap())
    }

    #[test]
    fn datafusion_in_this_process_reports_the_same_bytes() {
        let tables = Tables::new();
        let streamed = tables.report();
        let here = expect(1, tables.drift(&["--engine", "datafusion", "--memory", "64"]));
        assert_eq!(here.out, streamed);
        // A file that ends in the middle is an error on either engine.
        let whole = std::fs::read(tables.path("later").join("03.parquet")).unwrap();
        std::fs::write(tables.path("later").join("03.parquet"), &whole[..whole.len() / 2]).unwrap();
        let broken = run(tables.drift(&["--engine", "datafusion"]));
        assert!(broken.code == 4 && broken.err.contains("03.parquet"), "{} {}", broken.code, broken.err);
    }

    #[test]
    fn a_cluster_reports_the_same_bytes_also_when_an_executor_is_killed_meanwhile() {
        let tables = Tables::new();
        let streamed = tables.report();
        let scheduler = Role::start(&tables, "scheduler", None, "later");
        let first = Role::start(&tables, "executor", Some(&scheduler.address), "later");
        let mut second = Role::start(&tables, "executor", Some(&scheduler.address), "later");

        let whole = expect(1, tables.asked(&scheduler.address, "token"));
        assert_eq!(whole.out, streamed);

        // Both had a share.
        let (before, others) = (first.parts(), second.parts());
        assert!(before.len() == 1 && before.keys().eq(others.keys()), "{before:?} {others:?}");
        let all: usize = before.values().chain(others.values()).sum();

        let mut asking = mantlet(tables.asked(&scheduler.address, "token"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // As soon as the second executor has done a part of this query, it dies with it.
        let patience = Instant::now() + Duration::from_secs(60);
        while second.parts().keys().all(|query| others.contains_key(query)) {
            assert!(Instant::now() < patience && asking.try_wait().unwrap().is_none(), "no part was done");
            std::thread::yield_now();
        }
        second.child.kill().unwrap();
        assert!(asking.try_wait().unwrap().is_none(), "the query ended before its executor was killed");
        let survived = ended(asking);
        assert_eq!((survived.code, survived.out.as_str()), (1, streamed.as_str()), "{}", survived.err);
        // What was lost was done again: all parts of this query lie with the executor that is left.
        let after = first.parts();
        let again = after.iter().find(|(query, _)| !before.contains_key(*query)).map(|(_, parts)| *parts);
        assert!(again >= Some(all), "{all} parts, {again:?} of them again: {after:?}");
    }

    #[test]
    fn nobody_without_the_token_is_served_and_nothing_outside_the_roots_is_read() {
        let tables = Tables::new();
        std::fs::create_dir(tables.path("elsewhere")).unwrap();
        std::fs::write(tables.path("other-token"), "fedcba9876543210fedcba9876543210").unwrap();
        std::fs::write(tables.path("short-token"), "hunter2").unwrap();
        let scheduler = Role::start(&tables, "scheduler", None, "later");
        let executor = Role::start(&tables, "executor", Some(&scheduler.address), "elsewhere");

        let stranger = run(tables.asked(&scheduler.address, "other-token"));
        assert!(stranger.code == 4 && stranger.err.contains("the connection failed"), "{}", stranger.err);
        let short = run(tables.asked(&scheduler.address, "short-token"));
        assert!(short.code == 3 && short.err.contains("has 7 characters"), "{}", short.err);
        for address in [&scheduler.address, &executor.address] {
            let mut plain = TcpStream::connect(address).unwrap();
            plain.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
            let mut answer = Vec::new();
            let _ = plain.read_to_end(&mut answer);
            // A TLS alert, or nothing.
            assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
        }

        // Nor is a profile counted with whose signer the executor does not know, or that nobody signed.
        let keyless = tables.text("elsewhere");
        let stranger = Role::start_in(tables.holder.path(), "scheduler", None, &tables.text("later"), &[]);
        let more = ["--storage", &keyless];
        let later = tables.text("later");
        let _executor =
            Role::start_in(tables.holder.path(), "executor", Some(&stranger.address), &later, &more);
        let untrusted = run(tables.asked(&stranger.address, "token"));
        let told = "which is not among the 0 trusted keys";
        assert!(untrusted.code == 4 && untrusted.err.contains(told), "{}", untrusted.err);

        let outside = run(tables.asked(&scheduler.address, "token"));
        assert!(outside.code == 4 && outside.err.contains("lies below no root"), "{}", outside.err);
    }
}
