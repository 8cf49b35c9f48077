//! A run that is killed half way goes on where it was, and tells the same bytes.

use std::process::Child;

use super::*;

/// Files of the table: as many parts.
const FILES: u64 = 30;

/// A folder of many files, and the profile of the first of them.
fn write(tables: &Tables) -> (String, String) {
    std::fs::create_dir(tables.path("many")).unwrap();
    for file in 0..FILES {
        parquet(&tables.path("many").join(format!("{file:02}.parquet")), &rows(500 + file, 6000, file > 0));
    }
    let (first, profile, keys) =
        (tables.text("many/00.parquet"), tables.text("many.json"), tables.text("keys"));
    expect(0, ["monitor", "baseline", &first, "--out", &profile, "--storage", &keys]);
    (tables.text("many"), profile)
}

/// Waits until a run has kept something, kills it (SIGKILL), and gives how many parts it had counted.
fn kill(mut asking: Child, state: &Path) -> usize {
    let patience = Instant::now() + Duration::from_secs(120);
    let kept = || -> Option<String> {
        let entries = std::fs::read_dir(state).ok()?.flatten();
        let own =
            entries.map(|entry| entry.path()).find(|path| path.extension() == Some("counts".as_ref()))?;
        let text = std::fs::read(own).ok()?;
        let line = text.split(|&byte| byte == b'\n').next()?.to_vec();
        String::from_utf8(line).ok()
    };
    while kept().is_none() {
        assert!(asking.try_wait().unwrap().is_none(), "the run ended before anything was kept");
        assert!(Instant::now() < patience, "nothing was kept");
        std::thread::yield_now();
    }
    asking.kill().unwrap();
    asking.wait().unwrap();
    let head: serde_json::Value = serde_json::from_str(&kept().unwrap()).unwrap();
    usize::try_from(head["done"].as_u64().unwrap()).unwrap()
}

fn asked(table: &str, profile: &str, keys: &str, state: &str) -> Vec<String> {
    let fixed = ["monitor", "drift", table, "--baseline", profile, "--storage", keys, "--format", "json"];
    fixed.into_iter().chain(["--state", state]).map(str::to_owned).collect()
}

fn goes_on(tables: &Tables, asked: &[String], engine: &[String], state: &str, whole: &str) {
    let all: Vec<&String> = asked.iter().chain(engine).collect();
    let asking = mantlet(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let done = kill(asking, &tables.path(state));
    assert!(done > 0, "{done}");
    let again = expect(1, &all);
    assert_eq!(again.out, whole);
    // Each file has three row groups; as many of them were not counted twice.
    let told = again.err.lines().find(|line| line.contains("were counted before")).unwrap_or_default();
    let parts: usize = told.split(' ').next().unwrap_or_default().parse().unwrap_or(0);
    assert!(parts >= done && parts < FILES as usize * 3, "{done}: {}", again.err);
    // Asked once more, nothing is counted; and a file that changed is.
    let more = expect(1, &all);
    let everything = format!("{} of {0} parts", FILES * 3);
    assert!(more.out == whole && more.err.contains(&everything), "{}", more.err);
}

#[test]
fn a_stream_that_was_killed_goes_on_where_it_was() {
    let tables = Tables::new(40);
    let (table, profile) = write(&tables);
    let (keys, state) = (tables.text("keys"), tables.text("state"));
    let asked = asked(&table, &profile, &keys, &state);
    let plain: Vec<String> = asked.iter().take(asked.len() - 2).cloned().collect();
    let whole = expect(1, &plain);
    assert!(whole.out.contains("segment") || whole.out.contains("drift-"), "{}", whole.out);
    goes_on(&tables, &asked, &[], "state", &whole.out);
    // Another file in the place of one that was counted: everything from it on is counted anew.
    parquet(&tables.path("many/00.parquet"), &rows(9999, 6000, true));
    let other = expect(1, &asked);
    assert!(!other.err.contains("were counted before"), "{}", other.err);
    assert_eq!(other.out, expect(1, &plain).out);
}

#[test]
fn a_client_of_a_cluster_that_was_killed_goes_on_where_it_was() {
    let tables = Tables::new(40);
    let (table, profile) = write(&tables);
    let scheduler = tables.start("scheduler", None);
    let _executors = [(); 2].map(|()| tables.start("executor", Some(&scheduler.address)));
    let (keys, state) = (tables.text("keys"), tables.text("state"));
    let asked = asked(&table, &profile, &keys, &state);
    let plain: Vec<String> = asked.iter().take(asked.len() - 2).cloned().collect();
    let whole = expect(1, &plain);
    goes_on(&tables, &asked, &tables.cluster(&scheduler.address), "state", &whole.out);
    // What one engine counted, another one goes on with.
    let here = expect(1, asked.iter().map(String::as_str).chain(["--engine", "datafusion"]));
    assert!(here.out == whole.out && here.err.contains("were counted before"), "{}", here.err);
}
