//! Attacks on programs of the user's own: caps that hold, a kill that costs nothing, two runs side by side.
//!
//! Long because each test tells one story from the command line to what is printed.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{Folder, expect, mantlet, run};

/// A program that grants credit when income is above debt. It notes each question; from the tenth on it waits for
/// as long as nobody writes into `gate`, when there is such a pipe.
fn describe(folder: &Folder) -> String {
    let program = folder.path.join("model.sh");
    let text = r#"n=0
while IFS= read -r line; do
  echo asked >> "$1/asked"
  n=$((n + 1))
  if [ -e "$1/gate" ] && [ "$n" -ge 10 ]; then cat "$1/gate" > /dev/null; fi
  printf '%s\n' "$line" | awk '{
    match($0, /"id":[0-9]+/); id = substr($0, RSTART + 5, RLENGTH - 5)
    rows = $0; sub(/.*"rows":\[\[/, "", rows); sub(/\]\].*/, "", rows)
    count = split(rows, parts, /\],\[/); out = ""
    for (i = 1; i <= count; i++) { split(parts[i], v, ","); out = out (i > 1 ? "," : "") (v[1] > v[2] ? 1 : 0) }
    print "{\"id\":" id ",\"labels\":[" out "]}"
  }'
done
"#;
    std::fs::write(&program, text).unwrap();
    let target = folder.path.join("target.toml");
    let described = format!(
        "kind = \"process\"\ncommand = [\"sh\", \"{}\", \"{}\"]\n\
         shape = [2]\nclasses = [\"0\", \"1\"]\nmax-rows = 20\ntimeout-ms = 60000\n",
        program.display(),
        folder.text()
    );
    std::fs::write(&target, described).unwrap();
    target.to_str().unwrap().to_owned()
}

fn asked(folder: &Folder) -> usize {
    std::fs::read_to_string(folder.path.join("asked")).unwrap_or_default().lines().count()
}

fn arguments<'a>(folder: &'a Folder, target: &'a str, journal: &'a str, output: &'a str) -> Vec<&'a str> {
    let only = ["attack", "run", folder.text(), "--only", "evasion-hop-skip-jump", "--rows", "4", "--json"];
    let mut arguments = only.to_vec();
    arguments.extend(["--target", target, "--journal", journal, "--output", output, "--seed", "3"]);
    arguments
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_killed_run_goes_on_and_ends_in_the_same_report() {
    let folder = Folder::with_model();
    let target = describe(&folder);
    let [whole, killed] = ["whole", "killed"].map(|name| text(&folder.path.join(name)));
    let [first, second] = ["first.json", "second.json"].map(|name| text(&folder.path.join(name)));
    run(arguments(&folder, &target, &whole, &first));
    let questions = asked(&folder);
    assert!(questions > 20, "{questions}");
    std::fs::remove_file(folder.path.join("asked")).unwrap();
    let gate = folder.path.join("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let mut child = mantlet(arguments(&folder, &target, &killed, &second))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // At its tenth question the program waits, and so does the run.
    while asked(&folder) < 10 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!Path::new(&second).exists());
    // The orphaned program goes on, finds nobody who listens, and ends.
    drop(std::fs::OpenOptions::new().write(true).open(&gate).unwrap());
    std::fs::remove_file(&gate).unwrap();
    run(arguments(&folder, &target, &killed, &second));
    let (first, second) = (std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
    assert!(first == second, "the reports differ");
    // One question may have been under way when the kill came.
    assert!(asked(&folder) <= questions + 1, "{} {questions}", asked(&folder));
}

#[test]
fn caps_hold_over_all_attacks_and_two_runs_are_compared() {
    let folder = Folder::with_model();
    let target = describe(&folder);
    let [before, after] = ["before.json", "after.json"].map(|name| text(&folder.path.join(name)));
    let common =
        ["attack", "run", folder.text(), "--target", &target, "--only", "evasion-hop-skip-jump", "--json"];
    let with = |more: &[&str]| run(common.iter().copied().chain(more.iter().copied()));
    let capped =
        with(&["--only", "extraction-query-copy", "--price", "0.5", "--max-cost", "30", "--rows", "3"]);
    assert_eq!(capped.code, 2, "{} {}", capped.out, capped.err);
    let reports: serde_json::Value = serde_json::from_str(&capped.out).unwrap();
    let queries: u64 =
        reports.as_array().unwrap().iter().map(|report| report["queries"].as_u64().unwrap()).sum();
    assert!(queries <= 60, "{queries}");
    assert!(reports[0]["counts"]["undecided"].as_u64().unwrap() > 0, "{}", capped.out);
    with(&["--rows", "6", "--output", &before]);
    expect(0, ["attack", "compare", &before, &before]);
    with(&["--rows", "6", "--seed", "9", "--output", &after]);
    let compared = run(["attack", "compare", &before, &after, "--json"]);
    assert!(compared.code <= 1, "{}", compared.err);
    let found: serde_json::Value = serde_json::from_str(&compared.out).unwrap();
    assert_eq!(found[0]["probe"], "evasion-hop-skip-jump");
    expect(4, ["attack", "compare", &before, &target]);
}

#[test]
fn a_target_that_cannot_be_understood_is_a_usage_error() {
    let folder = Folder::with_model();
    let target = folder.path.join("target.toml");
    std::fs::write(&target, "kind = \"telepathy\"").unwrap();
    let ran = run(["attack", "run", folder.text(), "--target", target.to_str().unwrap()]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("telepathy"), "{}", ran.err);
}

#[test]
fn a_run_is_told_in_the_form_of_whoever_reads_it() {
    let folder = Folder::with_model();
    let target = describe(&folder);
    let told = |form: &str| {
        let only = ["attack", "run", folder.text(), "--only", "evasion-fgsm", "--set", "epsilon=1"];
        run(only.into_iter().chain(["--seed", "3", "--format", form]))
    };
    let (text, junit) = (told("text"), told("junit"));
    assert!(!text.out.contains(" 0 hit"), "{}", text.out);
    assert_eq!(junit.code, text.code, "{}", junit.err);
    assert!(junit.out.contains("tests=\"1\" failures=\"1\" errors=\"0\""), "{}", junit.out);
    assert!(junit.out.contains("classname=\"evasion\" name=\"evasion-fgsm\""), "{}", junit.out);
    // The command beside a figure asks the same questions again.
    let again = junit.out.lines().find_map(|line| line.strip_prefix("again: mantlet ")).unwrap();
    let words: Vec<&str> = again.split_whitespace().chain(["--format", "json"]).collect();
    let report = |words: &[&str]| {
        let mut report: serde_json::Value = serde_json::from_str(&run(words.to_vec()).out).unwrap();
        report[0]["millis"].take();
        report
    };
    let first =
        ["attack", "run", folder.text(), "--only", "evasion-fgsm", "--set", "epsilon=1", "--seed", "3"];
    assert_eq!(report(&words), report(&[&first[..], &["--json"]].concat()));
    let sarif: serde_json::Value = serde_json::from_str(&told("sarif").out).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "evasion-fgsm");
    let markdown = told("markdown").out;
    assert!(markdown.contains("evasion-fgsm") && markdown.contains("AML."), "{markdown}");
    let page = told("html").out;
    assert!(page.contains("<html") && page.contains("rows got another class"), "{page}");
    for outside in ["src=\"http", "@import", "url(http"] {
        assert!(!page.contains(outside), "the page needs the network: {outside}");
    }
    // An attack that could not be judged is an error for a build server, not a pass.
    let without =
        ["attack", "run", folder.text(), "--only", "evasion-pgd", "--rows", "4", "--format", "junit"];
    let unable = run(without.into_iter().chain(["--target", target.as_str()]));
    assert!(unable.out.contains("errors=\"1\"") && unable.out.contains("not examined"), "{}", unable.out);
    let both = run(["attack", "run", folder.text(), "--json", "--format", "html"]);
    assert_eq!(both.code, 3, "{}", both.err);
}

/// A program in awk whose body sets `out` to the JSON of the answers in `$0`.
fn program(folder: &Folder, name: &str, body: &str, rest: &str) -> String {
    let script = folder.path.join(format!("{name}.sh"));
    let text = format!(
        "while IFS= read -r line; do\n  printf '%s\\n' \"$line\" | awk '{{\n    match($0, /\"id\":[0-9]+/); id = substr($0, \
         RSTART + 5, RLENGTH - 5)\n{body}\n  }}'\ndone\n"
    );
    std::fs::write(&script, text).unwrap();
    let target = folder.path.join(format!("{name}.toml"));
    let described = format!("kind = \"process\"\ncommand = [\"sh\", \"{}\"]\n{rest}", script.display());
    std::fs::write(&target, described).unwrap();
    target.to_str().unwrap().to_owned()
}

#[test]
fn texts_of_a_table_are_attacked_through_a_program() {
    let folder = Folder::with_model();
    let body = r#"    print "{\"id\":" id ",\"labels\":[" ($0 ~ /winner/ ? 1 : 0) "]}""#;
    let rest = "text = true\nshape = [60]\nclasses = [\"ham\", \"spam\"]\nmax-rows = 1\n";
    let target = program(&folder, "filter", body, rest);
    let table = folder.path.join("texts.csv");
    std::fs::write(
        &table,
        "text,label\nyou are the winner today,spam\nsee you at noon,ham\nwinner of all,spam\n",
    )
    .unwrap();
    let table = text(&table);
    let only = ["--only", "text-homoglyphs"];
    let mut arguments = vec!["attack", "text", &table, "--target", &target];
    arguments.extend(only);
    let output = expect(1, arguments.clone()).out;
    // Both spam texts pass as ham; nothing a filter looks for is in the other.
    assert!(output.contains("2 hit, 1 miss, 0 error, 0 undecided"), "{output}");
    assert!(output.contains("  spam: you are the winner today\n  ham: you are the "), "{output}");
    arguments.push("--label");
    arguments.push("nothing");
    assert!(expect(1, arguments).out.contains("2 hit, 1 miss"));
    expect(3, ["attack", "text", &table, "--target", &target, "--only", "evasion-pgd"]);
    expect(3, ["attack", "text", &table, "--target", &target, "--column", "words"]);
}

#[test]
fn a_price_behind_a_program_is_moved_by_the_stated_amount() {
    let folder = Folder::with_model();
    let body = r#"    rows = $0; sub(/.*"rows":\[\[/, "", rows); sub(/\]\].*/, "", rows)
    count = split(rows, parts, /\],\[/); out = ""
    for (i = 1; i <= count; i++) { split(parts[i], v, ","); out = out (i > 1 ? "," : "") "[" 100 + 10 * v[1] - 4 * v[2] "]" }
    print "{\"id\":" id ",\"scores\":[" out "]}""#;
    let target =
        program(&folder, "price", body, "scores = true\nshape = [2]\nclasses = [\"price\"]\nmax-rows = 64\n");
    let only = ["attack", "run", folder.text(), "--target", &target, "--only", "evasion-square"];
    let wanted = |by: &'static str| {
        [&only[..], &["--score-moves", by, "--rows", "4", "--set", "epsilon=0.4"]].concat()
    };
    let moved = run(wanted("1")).out;
    assert!(moved.contains(" hit, 0 miss, 0 error, 0 undecided"), "{moved}");
    let moved = run(wanted("-1")).out;
    assert!(moved.contains(" hit, 0 miss, 0 error, 0 undecided"), "{moved}");
    let far = run(wanted("10000")).out;
    assert!(far.contains("0 hit, 4 miss"), "{far}");
    // The price is a line: a copy of it needs few answers.
    let mut copy =
        vec!["attack", "run", folder.text(), "--target", &target, "--only", "extraction-score-copy"];
    copy.extend(["--price", "0.5"]);
    let copied = run(copy).out;
    assert!(copied.contains("of how the model's score varies over rows that were not asked"), "{copied}");
    assert!(copied.contains("queries to a copy with an R2 of 0.9"), "{copied}");
    let classes = ["attack", "run", folder.text(), "--only", "backdoor-trigger", "--score-moves", "1"];
    expect(3, classes);
}

/// A price in the place of the folder's model, by a network that has seen 60 rows too often; 200 rows held out.
fn with_prices(folder: &Folder) {
    let value = |index: usize| {
        let mixed = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 32)) >> 40) as f32 / 16_777_216.0
    };
    let noise = |row: usize| value(5_000 + row) - 0.5;
    let x = mantlet_vocab::Tensor::new([260, 4], (0..1040).map(value).collect()).unwrap();
    let price = |row: usize| {
        let v = x.row(row);
        200.0 + 90.0 * v[0] - 60.0 * v[1] * v[1] + 40.0 * v[2] * v[3] + 60.0 * noise(row)
    };
    let first: Vec<usize> = (0..60).collect();
    let wanted: Vec<f32> = first.iter().map(|&row| (price(row) - 220.0) / 40.0).collect();
    let training = mantlet_learn::Training { epochs: 600, batch: 20, rate: 4e-3, decay: 0.0, seed: 3 };
    let shape = mantlet_learn::Architecture::Mlp { hidden: vec![48, 48] };
    let mut quiet = |_| std::ops::ControlFlow::Continue(());
    let network = mantlet_learn::train_values(
        &shape,
        &x.select(&first),
        &mantlet_vocab::Tensor::new([60, 1], wanted).unwrap(),
        &training,
        &mut quiet,
    )
    .unwrap();
    std::fs::write(folder.path.join("model.onnx"), network.to_onnx("prices")).unwrap();
    for (name, rows) in [("train.csv", 0..60), ("test.csv", 60..260)] {
        let mut csv = "a,b,c,d,price\n".to_owned();
        for row in rows {
            x.row(row).iter().for_each(|value| csv.push_str(&format!("{value},")));
            csv.push_str(&format!("{}\n", (price(row) - 220.0) / 40.0));
        }
        std::fs::write(folder.path.join(name), csv).unwrap();
    }
    let config = folder.path.join("mantlet.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| !["label =", "features =", "classes ="].iter().any(|key| line.starts_with(key)))
        .collect();
    let text = kept.join("\n").replacen("[data]\n", "[data]\nlabel = \"price\"\ntest = \"test.csv\"\n", 1);
    std::fs::write(config, text).unwrap();
}

#[test]
fn a_price_in_a_file_is_copied_and_tells_who_was_learned() {
    let folder = Folder::with_model();
    with_prices(&folder);
    let asked = |more: &[&str]| {
        let start = ["attack", "run", folder.text(), "--seed", "3", "--json"];
        let output = run(start.iter().chain(more).copied());
        assert!(output.code < 3, "{}", output.err);
        serde_json::from_str::<serde_json::Value>(&output.out).unwrap()
    };
    let copied = asked(&["--only", "extraction-score-copy", "--price", "0.01"]);
    let curve = copied[0]["curve"].as_array().unwrap();
    let last = curve.last().unwrap();
    assert!(last["fidelity"]["value"].as_f64().unwrap() > 0.8, "{curve:?}");
    assert!(last["rank"]["value"].as_f64().unwrap() > 0.85, "{curve:?}");
    let first = curve[0]["fidelity"]["value"].as_f64().unwrap();
    assert!(first < last["fidelity"]["value"].as_f64().unwrap(), "{curve:?}");
    // What nine tenths cost is said when a copy reached them, and only then.
    let reached = curve.iter().any(|point| point["fidelity"]["value"].as_f64().unwrap() >= 0.9);
    let cost = copied[0]["facts"]["cost-of-90-percent"].as_f64();
    assert_eq!(cost.is_some_and(|cost| cost > 0.0), reached, "{}", copied[0]["facts"]);
    // The network fits what it learned; rows it has not seen are off by the noise.
    let told = asked(&["--scores", "--only", "membership-threshold"]);
    let figure = |report: &serde_json::Value, start: &str| {
        let figures = report[0]["figures"].as_array().unwrap();
        let found = figures.iter().find(|figure| figure["name"].as_str().unwrap().starts_with(start));
        found.map(|figure| figure["value"]["low"].as_f64().unwrap()).unwrap()
    };
    assert!(figure(&told, "area under the curve") > 0.7, "{}", told[0]["figures"]);
    assert!(!told[0]["facts"]["members-at-risk"].as_array().unwrap().is_empty(), "{}", told[0]["facts"]);
    let moved =
        asked(&["--only", "evasion-pgd", "--score-moves", "0.5", "--rows", "6", "--set", "epsilon=0.3"]);
    assert!(moved[0]["counts"]["hit"].as_u64().unwrap() >= 5, "{}", moved[0]["counts"]);
    let stolen = asked(&[
        "--only",
        "extraction-transfer",
        "--score-moves",
        "0.3",
        "--rows",
        "6",
        "--set",
        "epsilon=0.3",
    ]);
    assert!(stolen[0]["counts"]["hit"].as_u64().unwrap() >= 4, "{}", stolen[0]["counts"]);
    // What takes classes only is refused, and so is moving nothing.
    expect(3, ["attack", "run", folder.text(), "--scores", "--only", "membership-relative"]);
    expect(3, ["attack", "run", folder.text(), "--scores", "--only", "evasion-square"]);
}

/// A perceptron that reads digits in the place of the folder's model: 64 columns, half of the rows held out.
fn with_digits(folder: &Folder) {
    let (learned, unseen) = mantlet_learn::digits().split(0.5, 7);
    let flat = |x: &mantlet_vocab::Tensor| x.clone().reshape([x.rows(), 64]).unwrap();
    let training = mantlet_learn::Training { epochs: 30, seed: 3, ..Default::default() };
    let shape = mantlet_learn::Architecture::Mlp { hidden: vec![32] };
    let mut quiet = |_| std::ops::ControlFlow::Continue(());
    let network =
        mantlet_learn::train(&shape, &flat(&learned.x), &learned.y, 10, &training, &mut quiet).unwrap();
    std::fs::write(folder.path.join("model.onnx"), network.to_onnx("digits")).unwrap();
    for (name, rows) in [("train.csv", &learned), ("test.csv", &unseen)] {
        let mut csv: String = (0..64).map(|at| format!("p{at},")).collect();
        csv.push_str("class\n");
        for (row, label) in rows.y.iter().enumerate() {
            rows.x.row(row).iter().for_each(|value| csv.push_str(&format!("{value},")));
            csv.push_str(&format!("{label}\n"));
        }
        std::fs::write(folder.path.join(name), csv).unwrap();
    }
    folder.edit(|text| text.replacen("[data]\n", "[data]\ntest = \"test.csv\"\n", 1));
}

#[test]
fn a_hit_becomes_a_case_a_trace_and_a_rule_and_the_guard_loads_it() {
    let folder = Folder::with_model();
    with_digits(&folder);
    let kept = text(&folder.path.join("kept"));
    let mut only = vec!["attack", "run", folder.text(), "--only", "evasion-boundary", "--set", "radius=1.5"];
    only.extend(["--rows", "12", "--seed", "3"]);
    let with = |more: &[&str]| run(only.iter().copied().chain(more.iter().copied()));
    let said = with(&["--keep", &kept]);
    assert!(
        said.out.contains("kept as case-") && said.out.contains("of one row"),
        "{} {}",
        said.out,
        said.err
    );
    assert!(said.out.contains("guard rule pin-"), "{} {}", said.out, said.err);
    assert!(said.out.contains("unseen variants stopped"), "{}", said.out);
    let replayed = run(["attack", "replay", "--folder", folder.text(), "--from", &kept]);
    assert_eq!(replayed.code, 1, "{} {}", replayed.out, replayed.err);
    assert!(replayed.out.contains("works again"), "{}", replayed.out);
    // The rule is loaded from the configuration, stops the attack, and costs ordinary rows nothing.
    folder.edit(|text| text.replacen("[gateway]\n", "[gateway]\npinned = [\"kept/rules\"]\n", 1));
    let ran = with(&["--through", "guard", "--json"]);
    let reports: serde_json::Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err));
    let found = &reports[0]["facts"]["through-guard"];
    assert!(found["with"].as_u64() < found["without"].as_u64(), "{found}");
    assert!(found["rules"].to_string().contains("pinned-attack"), "{found}");
    let figures = reports[0]["figures"].as_array().unwrap();
    let figure = |name: &str| {
        let found = figures.iter().find(|figure| figure["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {figures:?}"))["value"]["value"].as_f64().unwrap()
    };
    assert!(figure("with the guard: rows turned") < figure("without the guard: rows turned"));
    assert!(figure("ordinary rows blocked") < 0.02, "{figures:?}");
    let table = with(&["--through", "guard"]).out;
    assert!(table.contains("through the guard") && table.contains("ordinary rows: "), "{table}");
    let traces = run(["attack", "replay", "--folder", folder.text(), "--traces", &kept]);
    assert!(traces.out.contains("pinned-attack") && traces.out.contains("first success"), "{}", traces.out);
    // What is no rule is no reason to start without it.
    std::fs::write(folder.path.join("kept/rules/other.json"), "{}").unwrap();
    let ran = run(["attack", "replay", "--folder", folder.text(), "--traces", &kept]);
    assert_ne!(ran.code, 0, "{}", ran.out);
    assert!(ran.err.contains("other.json") && ran.err.contains("gateway.pinned"), "{}", ran.err);
}

#[test]
fn what_is_kept_is_paid_from_the_same_cap_and_no_rule_is_claimed_that_was_not_shown() {
    let folder = Folder::with_model();
    with_digits(&folder);
    let only = ["attack", "run", folder.text(), "--only", "evasion-boundary", "--set", "radius=1.5"];
    let with = |more: &[&str]| {
        let rows = ["--set", "queries=150", "--rows", "8", "--seed", "3"];
        run(only.iter().copied().chain(rows).chain(more.iter().copied()))
    };
    let [poor, rich] = ["poor", "rich"].map(|name| text(&folder.path.join(name)));
    let said = with(&["--keep", &poor, "--max-queries", "1210"]);
    assert!(
        said.out.contains("kept as case-") && said.out.contains("none is kept"),
        "{} {}",
        said.out,
        said.err
    );
    assert!(!Path::new(&poor).join("rules").exists(), "{}", said.out);
    let said = with(&["--keep", &rich, "--through", "guard", "--max-queries", "2000000"]);
    assert!(said.out.contains("guard rule pin-"), "{} {}", said.out, said.err);
    assert!(said.out.contains("further rows were asked of the model"), "{}", said.out);
}

/// Sets what the gateway lets one caller ask.
fn limit(folder: &Folder, per_minute: u32, burst: u32) {
    folder.edit(|text| {
        let kept = text.lines().filter(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            !line.starts_with("requests_per_minute") && !line.starts_with("burst")
        });
        let limits = format!("[gateway]\nrequests_per_minute = {per_minute}\nburst = {burst}");
        kept.collect::<Vec<_>>().join("\n").replacen("[gateway]", &limits, 1)
    });
}

#[test]
fn a_running_gateway_is_put_between_and_what_it_withholds_is_counted() {
    let (folder, _) = crate::running::served_by("ada");
    // A caller's right to ask is what it is when the gateway starts.
    let mut key = String::new();
    let mut through = |per_minute, burst| {
        limit(&folder, per_minute, burst);
        let up = crate::program::Up::start(&folder.path);
        if let Some(fresh) = up.said["api_key"].as_str() {
            fresh.clone_into(&mut key);
        }
        let door = format!("http://{}", up.address("gateway"));
        let arguments = ["attack", "run", folder.text(), "--only", "evasion-boundary", "--set", "radius=1"];
        let more =
            ["--set", "queries=60", "--rows", "3", "--seed", "3", "--json", "--through", door.as_str()];
        let command = mantlet(arguments.iter().copied().chain(more)).env("MANTLET_KEY", &key).output();
        let ran = crate::program::ran(&command.unwrap());
        up.interrupt();
        let reports: serde_json::Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err));
        let figures = reports[0]["figures"].as_array().unwrap();
        let ordinary = figures.iter().find(|figure| figure["name"] == "ordinary rows blocked").unwrap();
        (reports[0]["facts"]["through-guard"].clone(), ordinary["value"]["value"].as_f64().unwrap())
    };
    // Nothing is withheld: the attack reaches behind the gateway what it reaches on the file.
    let (open, blocked) = through(1_000_000, 1_000_000);
    assert!(open["without"].as_u64().unwrap() > 0 && open["with"] == open["without"], "{open}");
    assert!(open["answered"] == open["asked"] && open["asked"].as_u64().unwrap() > 100, "{open}");
    assert!(blocked < 0.001, "{blocked}");
    // Ordinary rows are answered, and the attack until the caller has asked for all it may.
    let (closed, blocked) = through(1, 250);
    assert!(closed["answered"].as_u64() < closed["asked"].as_u64(), "{closed}");
    let withheld = closed["withheld_at"].as_u64().unwrap();
    assert!((20..=180).contains(&withheld) && blocked < 0.001, "{closed} {blocked}");
}
