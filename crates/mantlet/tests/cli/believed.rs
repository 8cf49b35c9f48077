//! Figures that are not to be trusted: the report of an attack says so in every form, from a file and through a program,
//! with caps and without; and of an honest target it says no such thing.

use serde_json::Value;

use crate::program::{Folder, Ran, credit, expect, run};

/// Credit decided by a program in awk: for each row `out` is one answer, from the values `v[1]` and `v[2]`; `turn` counts the
/// questions.
fn program(folder: &Folder, name: &str, answer: &str, rest: &str) -> String {
    let script = folder.path.join(format!("{name}.sh"));
    let word = if rest.contains("scores = true") { "scores" } else { "labels" };
    let text = format!(
        "n=0\nwhile IFS= read -r line; do\n  n=$((n + 1))\n  printf '%s\\n' \"$line\" | awk -v turn=\"$n\" '{{\n    \
         match($0, /\"id\":[0-9]+/); id = substr($0, RSTART + 5, RLENGTH - 5)\n    asked = ($0 ~ /\"ask\":\"labels\"/)\n    \
         rows = $0; sub(/.*\"rows\":\\[\\[/, \"\", rows); sub(/\\]\\].*/, \"\", rows)\n    count = split(rows, parts, /\\],\\[/); \
         all = \"\"\n    for (i = 1; i <= count; i++) {{ split(parts[i], v, \",\"); out = \"\"; {answer}; all = all (i > 1 ? \",\" : \
         \"\") out }}\n    print \"{{\\\"id\\\":\" id \",\\\"\" (asked ? \"labels\" : \"{word}\") \"\\\":[\" all \"]}}\"\n  }}'\ndone\n"
    );
    std::fs::write(&script, text).unwrap();
    let target = folder.path.join(format!("{name}.toml"));
    let described = format!(
        "kind = \"process\"\ncommand = [\"sh\", \"{}\"]\nshape = [2]\nmax-rows = 20\ntimeout-ms = 60000\n{rest}",
        script.display()
    );
    std::fs::write(&target, described).unwrap();
    target.to_str().unwrap().to_owned()
}

fn attack(folder: &Folder, only: &str, more: &[&str]) -> Ran {
    run(["attack", "run", folder.text(), "--only", only, "--rows", "8", "--seed", "3"]
        .into_iter()
        .chain(more.iter().copied()))
}

fn kinds(ran: &Ran) -> Vec<String> {
    let reports: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err));
    let doubts = reports[0]["doubts"].as_array().unwrap();
    doubts.iter().map(|doubt| doubt["kind"].as_str().unwrap().to_owned()).collect()
}

/// The weights of a file's last layer times a thousand: the same decisions, and a softmax without a slope.
fn masked(file: &[u8]) -> Vec<u8> {
    let source = mantlet_vocab::MemorySource::new(file);
    let model = mantlet_model::load(&source, mantlet_model::Limits::default()).unwrap();
    let (_, weights) = model.last_layer().unwrap();
    let (classes, width) = (weights.rows(), weights.row_len());
    let turned: Vec<f32> = (0..width)
        .flat_map(|at| (0..classes).map(move |class| (class, at)))
        .map(|(class, at)| weights.row(class)[at])
        .collect();
    let bytes =
        |values: &[f32], by: f32| -> Vec<u8> { values.iter().flat_map(|v| (v * by).to_le_bytes()).collect() };
    for layout in [weights.data(), &turned] {
        let old = bytes(layout, 1.0);
        if let Some(at) = file.windows(old.len()).position(|part| part == old) {
            let mut new = file.to_vec();
            new[at..at + old.len()].copy_from_slice(&bytes(layout, 1000.0));
            return new;
        }
    }
    panic!("the file does not hold its last weights as they are");
}

#[test]
fn a_masked_file_is_said_to_be_masked_in_every_form_and_an_honest_one_is_not() {
    let folder = Folder::with_model();
    let steps = ["--set", "epsilon=0.05"];
    let honest = attack(&folder, "evasion-pgd", &[&steps[..], &["--json"]].concat());
    assert_eq!(kinds(&honest), [""; 0], "{}", honest.out);
    std::fs::write(folder.path.join("model.onnx"), masked(&credit(false).1)).unwrap();
    let form = |form: &str| attack(&folder, "evasion-pgd", &[&steps[..], &["--format", form]].concat());
    let json = form("json");
    assert!(kinds(&json).contains(&"vanishing-gradients".to_owned()), "{}", json.out);
    for word in ["text", "markdown", "sarif", "html", "junit"] {
        let told = form(word);
        let plain = told.out.replace("\\n", " ").replace('\n', " ");
        assert!(plain.contains("not to be trusted, because"), "{word}: {}", told.out);
        assert_ne!(told.code, 0, "{word} lets it pass");
    }
    // What was missed blindly is no pass for a build server.
    let junit = form("junit").out;
    assert!(junit.contains("failures=\"1\"") || junit.contains("errors=\"1\""), "{junit}");
}

#[test]
fn programs_that_draw_or_round_are_found_out_and_every_question_is_counted() {
    let folder = Folder::with_model();
    let shares = "scores = true\nclasses = [\"0\", \"1\"]\n";
    let score = "p = 1 / (1 + exp(-6 * (v[1] - v[2])))";
    let smooth = format!("{score}; out = asked ? (p > 0.5) : sprintf(\"[%.7f,%.7f]\", 1 - p, p)");
    let noisy = format!(
        "{score}; p += (turn % 2) * 0.01; out = asked ? (p > 0.5) : sprintf(\"[%.7f,%.7f]\", 1 - p, p)"
    );
    let coarse = format!("{score}; out = asked ? (p > 0.5) : sprintf(\"[%.1f,%.1f]\", 1 - p, p)");
    let [smooth, noisy, coarse] = [("smooth", smooth), ("noisy", noisy), ("coarse", coarse)]
        .map(|(name, answer)| program(&folder, name, &answer, shares));
    let square = |target: &str, more: &[&str]| {
        let set = ["--target", target, "--set", "epsilon=0.05", "--set", "queries=40"];
        attack(&folder, "evasion-square", &[&set[..], more].concat())
    };
    assert_eq!(kinds(&square(&smooth, &["--json"])), [""; 0]);
    assert_eq!(kinds(&square(&noisy, &["--json"])), ["randomised-answers"]);
    assert_eq!(kinds(&square(&coarse, &["--json"])), ["rounded-scores"]);
    let said = square(&noisy, &[]).out;
    assert!(said.contains("not to be trusted, because the same question was answered differently"), "{said}");
    assert!(said.contains("32 rows at most were asked to find out"), "{said}");
    // Caps pay for the examination too, and where they leave nothing for it the report says that.
    let capped = square(&noisy, &["--json", "--max-queries", "900"]);
    assert_eq!(kinds(&capped), ["randomised-answers"], "{}", capped.out);
    let reports: Value = serde_json::from_str(&capped.out).unwrap();
    assert_eq!(reports[0]["budget"]["queries"], 900 - 32 - 8, "{}", capped.out);
    let poor = square(&smooth, &["--json", "--max-queries", "200"]);
    assert_eq!(kinds(&poor), ["not-cross-checked"], "{}", poor.out);
    assert_ne!(poor.code, 0, "what was not cross-checked passes");
}

#[test]
fn classes_in_another_order_are_used_when_named_and_told_when_not() {
    let folder = Folder::with_model();
    let grant = |flip: &str| format!("out = (v[1] > v[2]) == {flip}");
    let only = |target: &str| {
        let set = ["--target", target, "--set", "queries=60", "--json"];
        attack(&folder, "evasion-hop-skip-jump", &set)
    };
    let attacked = |ran: &Ran| {
        let reports: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err));
        reports[0]["n"].as_u64().unwrap()
    };
    // Class 0 of the program is the folder's class 1, and its names say so.
    let named = program(&folder, "named", &grant("0"), "classes = [\"1\", \"0\"]\n");
    let ran = only(&named);
    assert!(attacked(&ran) >= 6 && kinds(&ran).is_empty(), "{}", ran.out);
    // Names of its own do not, and hardly a row is read right.
    let silent = program(&folder, "silent", &grant("0"), "classes = [\"no\", \"yes\"]\n");
    let ran = only(&silent);
    assert_ne!(ran.code, 0, "{}", ran.out);
    let text = attack(&folder, "evasion-hop-skip-jump", &["--target", &silent, "--set", "queries=60"]).out;
    assert!(
        text.contains("another order than the labels") && text.contains("classes 1, 0 in turn"),
        "{text}"
    );
    // As it should be, and a model that is right on every other row only: no order would help.
    let right = program(&folder, "right", &grant("1"), "classes = [\"no\", \"yes\"]\n");
    assert!(kinds(&only(&right)).is_empty());
    let chance =
        program(&folder, "chance", "out = int(v[1] * 30 + 0.5) % 2", "classes = [\"no\", \"yes\"]\n");
    let ran = only(&chance);
    assert!(!ran.out.contains("class-order"), "{}", ran.out);
}

#[test]
fn the_page_shows_what_is_worst_with_all_that_a_figure_needs() {
    let folder = Folder::with_model();
    let only = ["evasion-ddn", "evasion-table-search", "robustness-corruptions"];
    let only = only.iter().flat_map(|name| ["--only", name]);
    let common = ["attack", "run", folder.text(), "--rows", "12", "--seed", "7", "--format", "html"];
    let page = run(common.into_iter().chain(only).chain(["--max-queries", "1000000"])).out;
    for needed in [
        "rows got another class",
        "AML.T",
        "ML01",
        "n = ",
        "Seed 7",
        "queries of at most ",
        "undecided and 0 errors of",
        "Again: ",
        "--max-queries",
        "How far rows hold",
        "rows that hold, by the size of the change (l2)",
        "rows read right under everyday damage",
        "The cheapest change (row ",
        "income",
        "debt",
    ] {
        assert!(page.contains(needed), "the page lacks `{needed}`");
    }
    assert!(!page.contains("within 0.000") && !page.contains("Hanley"), "a sentence without its bound");
}

#[test]
fn changes_are_told_in_the_units_of_the_table() {
    let folder = Folder::with_model();
    // The table in thousands; the model sees it scaled.
    let file = folder.path.join("train.csv");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut scaled = "income,debt,class\n".to_owned();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |cell: &str| cell.parse::<f64>().unwrap() * 1000.0;
        scaled.push_str(&format!("{},{},{}\n", number(cells[0]), number(cells[1]), cells[2]));
    }
    std::fs::write(&file, scaled).unwrap();
    folder.edit(|text| {
        let kept = text.lines().filter(|line| !line.trim_start_matches(['#', ' ']).starts_with("scale"));
        kept.collect::<Vec<_>>().join("\n").replacen("[data]", "[data]\nscale = 0.001", 1)
    });
    let rules = folder.path.join("rules.json");
    std::fs::write(&rules, r#"{"columns": {"income": {"immutable": true}}}"#).unwrap();
    let ran = attack(&folder, "evasion-table-search", &["--constraints", rules.to_str().unwrap()]);
    let line = ran
        .out
        .lines()
        .find(|line| line.contains("The cheapest change"))
        .unwrap_or_else(|| panic!("{} {}", ran.out, ran.err));
    let change = line.split("debt ").nth(1).unwrap_or_else(|| panic!("{line}"));
    let numbers: Vec<f64> = change
        .trim_end_matches('.')
        .split(" -> ")
        .map(|number| number.parse().unwrap_or_else(|_| panic!("{change}")))
        .collect();
    // In thousands again, and the column that is fixed is not touched.
    assert!(numbers.len() == 2 && numbers.iter().any(|number| *number > 10.0), "{line}");
    assert!(!line.contains("income"), "{line}");
    let markdown = attack(
        &folder,
        "evasion-table-search",
        &["--constraints", rules.to_str().unwrap(), "--format", "markdown"],
    )
    .out;
    assert!(markdown.contains("The cheapest change"), "{markdown}");
}

#[test]
fn rows_are_turned_into_the_class_that_is_named() {
    let folder = Folder::with_model();
    let wanted = |class: &str| {
        let common = ["attack", "run", folder.text(), "--only", "evasion-ddn", "--rows", "20", "--seed", "3"];
        run(common.into_iter().chain(["--set", "radius=2", "--json", "--to-class", class]))
    };
    let ran = wanted("1");
    let reports: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err));
    let sentence = reports[0]["sentence"].as_str().unwrap();
    assert!(sentence.contains("were turned into class 1"), "{sentence}");
    let rows = reports[0]["outcome"]["rows"].as_array().unwrap();
    let hits: Vec<&Value> = rows.iter().filter(|row| row["state"] == "hit").collect();
    // Of the twenty rows only those of the other class can be turned into it.
    assert!(!hits.is_empty() && hits.len() < 20, "{rows:?}");
    assert!(hits.iter().all(|row| row["before"] == 0 && row["after"] == 1), "{hits:?}");
    assert!(reports[0]["command"].as_str().unwrap().contains("--to-class 1"), "{reports}");
    let none = wanted("maybe");
    assert_eq!(none.code, 3);
    assert!(none.err.contains("`maybe`") && none.err.contains("0, 1"), "{}", none.err);
}

#[test]
fn two_runs_side_by_side_tell_what_is_new_and_what_is_fixed_and_trust_no_masked_model() {
    let folder = Folder::with_model();
    let [before, weaker, masked_run] = ["before", "weaker", "masked"]
        .map(|name| folder.path.join(format!("{name}.json")).to_str().unwrap().to_owned());
    let write = |file: &str| {
        let common = [
            "attack",
            "run",
            folder.text(),
            "--only",
            "evasion-pgd",
            "--seed",
            "3",
            "--rows",
            "40",
            "--json",
        ];
        run(common.into_iter().chain(["--set", "epsilon=0.12", "--output", file]));
    };
    let compared = |a: &str, b: &str| -> (i32, Value) {
        let ran = run(["attack", "compare", a, b, "--json"]);
        let found: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err));
        (ran.code, found[0].clone())
    };
    let rows = |found: &Value, key: &str| found[key].as_array().unwrap().len();
    write(&before);
    let (code, same) = compared(&before, &before);
    assert_eq!((code, rows(&same, "new"), rows(&same, "fixed")), (0, 0, 0), "{same}");
    assert!(rows(&same, "still") > 3, "{same}");
    let honest = std::fs::read(folder.path.join("model.onnx")).unwrap();
    // The same decisions, and gradients that lead nowhere: what looks mended is not, and nobody is told that it is.
    std::fs::write(folder.path.join("model.onnx"), masked(&honest)).unwrap();
    write(&masked_run);
    let (code, found) = compared(&before, &masked_run);
    assert_ne!(code, 0, "{found}");
    assert!(found["sentence"].as_str().unwrap().contains("not to be trusted, because"), "{found}");
    // A model that says the other class of everything has no row in common that could be compared.
    std::fs::write(folder.path.join("model.onnx"), credit(true).1).unwrap();
    write(&weaker);
    let (code, found) = compared(&before, &weaker);
    assert_ne!(code, 0, "{found}");
    assert!(rows(&found, "fixed") + rows(&found, "new") <= 1, "{found}");
    expect(2, ["attack", "compare", &weaker, &masked_run]);
}

#[test]
#[cfg(target_os = "linux")]
fn one_core_gives_the_report_that_all_cores_give() {
    let folder = Folder::with_model();
    let arguments = [
        "attack",
        "run",
        folder.text(),
        "--only",
        "evasion-pgd",
        "--only",
        "evasion-boundary",
        "--only",
        "robustness-smoothing",
        "--rows",
        "40",
        "--seed",
        "5",
        "--json",
    ];
    let report = |command: &mut std::process::Command| {
        let ran = crate::program::ran(&command.output().unwrap());
        let mut reports: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err));
        reports.as_array_mut().unwrap().iter_mut().for_each(|report| report["millis"] = 0.into());
        reports
    };
    let all = report(&mut crate::program::mantlet(arguments));
    // The first core this process may use.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let first = allowed.trim().split(['-', ',']).next().unwrap();
    let mut one = std::process::Command::new("taskset");
    one.args(["-c", first, env!("CARGO_BIN_EXE_mantlet")]).args(arguments);
    assert_eq!(report(&mut one), all);
}
