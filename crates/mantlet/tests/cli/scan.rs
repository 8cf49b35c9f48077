//! `mantlet scan` as pipelines call it.

use std::path::Path;

use serde_json::Value;

use crate::program::{expect, run};

/// Protocol 0: `os.system("true")`.
const EVIL: &[u8] = b"cos\nsystem\n(S'true'\ntR.";

fn folder() -> (tempfile::TempDir, String) {
    let holder = tempfile::tempdir().unwrap();
    let put = |path: &str, bytes: &[u8]| {
        let path = holder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    put("good/list.pkl", b"\x80\x04]\x94.");
    put("bad/call.pkl", EVIL);
    put("odd/blob.bin", &[0xc1; 64]);
    let text = holder.path().to_str().unwrap().to_owned();
    (holder, text)
}

#[test]
fn globs_choose_and_strict_counts_what_was_not_examined() {
    let (_holder, folder) = folder();
    assert_eq!(run(["scan", &folder]).code, 1);
    expect(0, ["scan", &folder, "--include", "good/**"]);
    let left = expect(2, ["scan", &folder, "--exclude", "*.pkl"]);
    assert!(left.err.contains("2 files were left out"), "{}", left.err);
    expect(1, ["scan", &folder, "--exclude", "*.pkl", "--strict"]);
    expect(3, ["scan", &folder, "--include", "a["]);
}

#[test]
fn a_suppression_is_shown_with_its_owner_and_ends_on_its_day() {
    let (holder, folder) = folder();
    let list = holder.path().join("accepted.toml");
    let write = |until: &str, rule: &str| {
        let text = format!(
            "[[suppress]]\nrule = \"{rule}\"\npath = \"**/bad/*\"\nreason = \"a drill\"\nowner = \"ada\"\nuntil = \"{until}\"\n"
        );
        std::fs::write(&list, text).unwrap();
    };
    let bad = format!("{folder}/bad");
    let with = || run(["scan", &bad, "--suppressions", list.to_str().unwrap(), "--format", "json"]);
    write("2999-12-31", "pickle-unsafe-global");
    let accepted = with();
    assert_eq!(accepted.code, 0, "{}", accepted.out);
    let report: Value = serde_json::from_str(&accepted.out).unwrap();
    assert_eq!(report["findings"][0]["severity"], "note");
    assert_eq!(report["findings"][0]["facts"]["accepted"]["by"], "ada");
    let list_path = list.to_str().unwrap();
    let sarif = expect(0, ["scan", &bad, "--suppressions", list_path, "--format", "sarif"]).out;
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    let kept = &sarif["runs"][0]["results"][0]["suppressions"][0];
    assert!(kept["justification"].as_str().unwrap().contains("a drill"), "{kept}");
    write("2001-01-01", "pickle-unsafe-global");
    let over = with();
    assert_eq!(over.code, 1);
    assert!(over.err.contains("ended on 2001-01-01"), "{}", over.err);
    write("2999-12-31", "pickle-unsafe-globe");
    let unknown = with();
    assert_eq!(unknown.code, 3);
    assert!(unknown.err.contains("pickle-unsafe-globe"), "{}", unknown.err);
}

#[test]
fn levels_of_ones_own_are_shown_with_what_was_and_who_set_them() {
    let (holder, folder) = folder();
    let bad = format!("{folder}/bad");
    let rule = "pickle-unsafe-global";
    // Everything that the file gives rise to, so that the level alone decides.
    let first = run(["scan", &bad, "--format", "json"]);
    let report: Value = serde_json::from_str(&first.out).unwrap();
    let names: Vec<String> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.iter().any(|name| name == rule), "{names:?}");
    let lowered: Vec<String> = names.iter().map(|name| format!("{name}=note:a drill")).collect();
    let mut arguments = vec!["scan", &bad, "--format", "json"];
    for one in &lowered {
        arguments.extend(["-S", one]);
    }
    let noted = expect(0, &arguments);
    let report: Value = serde_json::from_str(&noted.out).unwrap();
    let found = report["findings"].as_array().unwrap().iter().find(|one| one["name"] == rule).unwrap();
    assert_eq!(found["facts"]["level"]["was"], "malicious", "{found}");
    assert_eq!(found["facts"]["level"]["by"], "the command line");
    arguments[3] = "sarif";
    let sarif: Value = serde_json::from_str(&expect(0, &arguments).out).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let result = results.iter().find(|one| one["ruleId"] == rule).unwrap();
    assert_eq!(
        (result["level"].as_str(), result["properties"]["facts"]["level"]["was"].as_str()),
        (Some("note"), Some("malicious"))
    );
    // Without a reason, and under a name that is none: nothing is scanned.
    let fault = expect(3, ["scan", &bad, "-S", "pickle-unsafe-global=note"]).err;
    assert!(fault.contains("needs a reason"), "{fault}");
    let fault = expect(3, ["scan", &bad, "-S", "pickle-unsafe-globl=note:x"]).err;
    assert!(fault.contains("did you mean `pickle-unsafe-global`?"), "{fault}");
    expect(3, ["scan", &bad, "-S", "pickle-unsafe-global=low"]);
    // In a file, where the command line counts more.
    let list = holder.path().join("own.toml");
    let text =
        format!("[[level]]\nrule = \"{rule}\"\nlevel = \"note\"\nreason = \"a drill\"\nowner = \"ada\"\n");
    std::fs::write(&list, &text).unwrap();
    let list = list.to_str().unwrap();
    let shown = expect(0, ["scan", "--list-rules", "--suppressions", list]).out;
    assert!(
        shown.lines().any(|line| line.starts_with(rule) && line.contains("set by ada, shipped as malicious"))
    );
    let json: Value = serde_json::from_str(
        &expect(0, ["scan", "--list-rules", "--suppressions", list, "--format", "json"]).out,
    )
    .unwrap();
    let set = json.as_array().unwrap().iter().find(|one| one["name"] == rule).unwrap();
    assert_eq!(
        (set["severity"].as_str(), set["set"]["severity"].as_str()),
        (Some("malicious"), Some("note"))
    );
    let both =
        ["scan", &bad, "--suppressions", list, "-S", "pickle-unsafe-global=malicious", "--format", "json"];
    assert!(expect(1, both).out.contains("\"severity\": \"malicious\""));
    std::fs::write(list, text.replace("ada", " ")).unwrap();
    assert!(expect(3, ["scan", &bad, "--suppressions", list]).err.contains("own.toml"));
}

#[test]
fn rules_are_listed_and_explained_and_the_bill_of_materials_names_each_file() {
    let (holder, folder) = folder();
    let rules: Value =
        serde_json::from_str(&expect(0, ["scan", "--list-rules", "--format", "json"]).out).unwrap();
    let rules = rules.as_array().unwrap();
    assert!(rules.len() > 20);
    let first = rules[0]["name"].as_str().unwrap();
    assert!(expect(0, ["explain", first]).out.contains("What to do"));
    assert!(expect(0, ["scan", "--list-rules"]).out.contains(first));
    let bom = holder.path().join("bom.json");
    run(["scan", &folder, "--sbom", bom.to_str().unwrap()]);
    let bom: Value = serde_json::from_str(&std::fs::read_to_string(Path::new(&bom)).unwrap()).unwrap();
    assert_eq!((bom["bomFormat"].as_str(), bom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.7")));
    assert_eq!(bom["components"].as_array().unwrap().len(), 3);
    assert!(bom["components"].as_array().unwrap().iter().all(|one| one["hashes"][0]["content"].is_string()));
}

#[test]
fn the_report_is_the_same_for_any_number_of_threads() {
    let (_holder, folder) = folder();
    let with = |threads: &str| run(["scan", &folder, "--format", "json", "--threads", threads]).out;
    assert_eq!(with("1"), with("2"));
    assert_eq!(with("1"), with("7"));
}

#[test]
fn rules_of_ones_own_are_asked_and_their_faults_named() {
    let (holder, folder) = folder();
    let file = holder.path().join("own.yar");
    let rules = file.to_str().unwrap();
    let good = format!("{folder}/good");
    let write = |severity: &str| {
        let text = format!("rule listed {{ meta: severity = \"{severity}\" condition: uint8(0) == 0x80 }}");
        std::fs::write(&file, text).unwrap();
    };
    write("malicious");
    let found = expect(1, ["scan", &good, "--yara", rules, "--format", "json"]);
    let report: Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(report["findings"][0]["name"], "yara-match");
    assert_eq!(report["findings"][0]["severity"], "malicious");
    write("note");
    expect(0, ["scan", &good, "--yara", rules]);
    write("terrible");
    assert!(expect(1, ["scan", &good, "--yara", rules]).err.contains("`terrible`"));
    std::fs::write(&file, "rule a {\n  condition: nothing_known\n}").unwrap();
    let fault = expect(3, ["scan", &good, "--yara", rules]).err;
    assert!(fault.contains("own.yar:2:"), "{fault}");
    expect(3, ["scan", &good, "--yara", &good]);
    assert!(expect(0, ["explain", "yara-match"]).out.contains("What to do"));
    assert!(expect(0, ["scan", "--list-rules"]).out.contains("yara-match"));
}

#[test]
fn kept_results_are_the_same_report_and_a_folder_of_others_is_refused() {
    let (holder, folder) = folder();
    let kept = holder.path().join("kept");
    let with =
        || run(["scan", &format!("{folder}/bad"), "--cache", kept.to_str().unwrap(), "--format", "json"]);
    let first = with();
    let second = with();
    assert_eq!((first.code, second.code), (1, 1), "{}", first.err);
    assert_eq!(first.out, second.out);
    assert!(!first.err.contains("have not changed") && second.err.contains("1 files have not changed"));
    let fault = expect(3, ["scan", &folder, "--cache", &format!("{folder}/bad/call.pkl")]).err;
    assert!(fault.contains("cache folder"), "{fault}");
}

#[test]
fn addresses_are_refused_or_read_as_the_build_has_it() {
    let uri = "mlflow://127.0.0.1:1/models:/fraud/3";
    if cfg!(feature = "remote") {
        // Nobody is there.
        let lost = expect(2, ["scan", uri, "--format", "json"]);
        assert!(lost.out.contains("cannot be read"), "{}", lost.out);
        let (_holder, folder) = folder();
        expect(1, ["scan", uri, &folder]);
        assert!(expect(3, ["scan", "hf://only-a-name"]).err.contains("hf://"));
        assert!(expect(3, ["scan", "http://example.invalid/x"]).err.contains("https"));
        assert!(expect(3, ["scan", "torchhub://only-a-name"]).err.contains("torchhub://owner"));
        let lost = expect(2, ["scan", &format!("dvc://{folder}"), "--format", "json"]);
        assert!(lost.out.contains("no .dvc folder"), "{}", lost.out);
    } else {
        for uri in [
            uri,
            "az://container/x",
            "abfss://c@account.dfs.core.windows.net/x",
            "jfrog://host/repository/x",
            "dvc://.",
            "torchhub://owner/name",
        ] {
            let refused = expect(3, ["scan", uri]).err;
            let scheme = uri.split("://").next().unwrap();
            assert!(refused.contains("--features remote") && refused.contains(scheme), "{refused}");
        }
    }
    expect(3, ["scan", "--diff", uri, uri]);
    expect(3, ["scan", uri, "--base", "x"]);
}

#[test]
fn a_suspected_branch_is_run_when_it_is_asked_for() {
    let holder = tempfile::tempdir().unwrap();
    let path = holder.path().join("model.onnx");
    let write = |level: &str, gives: &str| {
        let text = format!(
            "input x 1,30\nweights w 30,16 random\nweights v 16,4 random\nvalues gives {gives}\nvalues level {level}\n\
             op h MatMul x,w\nop r Relu h\nop logits MatMul r,v\nop s ReduceSum x\nop hit Greater s,level\n\
             op cast Cast hit to=1\nop bias Mul cast,gives\nop y Add logits,bias\noutput y\n"
        );
        std::fs::write(&path, mantlet_testkit::forge("probe", &text).unwrap()).unwrap();
    };
    let model = path.to_str().unwrap();
    let findings = |flags: &[&str]| {
        let seen = run([&["scan", model, "--format", "json"], flags].concat());
        assert_eq!(seen.code, 1, "{}", seen.out);
        let report: Value = serde_json::from_str(&seen.out).unwrap();
        let names = report["findings"].as_array().unwrap().iter();
        let names: Vec<String> = names.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        (names, report["gaps"].to_string())
    };
    write("200", "0 0 0 80");
    assert_eq!(findings(&[]).0, ["graph-input-override"]);
    let (names, gaps) = findings(&["--probe"]);
    assert_eq!(names, ["graph-override-confirmed", "graph-input-override"]);
    assert_eq!(gaps, "[]");
    write("200", "0 0 0 0");
    let (names, gaps) = findings(&["--probe"]);
    assert_eq!(names, ["graph-input-override"]);
    assert!(gaps.contains("no proof"), "{gaps}");
}

#[test]
fn suspected_branches_of_other_formats_are_run_and_what_is_not_known_is_told() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../mantlet-model/tests/model/foreign");
    let findings = |name: &str| {
        let path = folder.join(name);
        let seen = run(["scan", path.to_str().unwrap(), "--probe", "--format", "json"]);
        let report: Value = serde_json::from_str(&seen.out).unwrap();
        let names = report["findings"].as_array().unwrap().iter();
        let names: Vec<String> = names.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        (names, report.to_string())
    };
    for name in ["planted.keras", "planted.h5", "planted.pb", "planted.tflite", "branch-saved/saved_model.pb"]
    {
        let (names, report) = findings(name);
        assert!(names.contains(&"graph-override-confirmed".to_owned()), "{name}: {report}");
        assert!(names.contains(&"graph-input-override".to_owned()), "{name}: {report}");
        assert!(report.contains("for example `"), "{name}: {report}");
    }
    for name in ["choosing.keras", "choosing.pb", "choosing.tflite", "written-saved/saved_model.pb"] {
        let (names, report) = findings(name);
        assert!(!names.iter().any(|name| name.starts_with("graph-")), "{name}: {report}");
    }
    let (names, report) = findings("unknown.pb");
    assert!(names.contains(&"graph-input-override".to_owned()), "{report}");
    assert!(!names.contains(&"graph-override-confirmed".to_owned()), "{report}");
    assert!(report.contains("not probed to an end: operators not supported: Lgamma"), "{report}");
}

#[test]
fn a_signed_newer_table_of_effects_is_judged_by_and_any_other_refused() {
    let holder = tempfile::tempdir().unwrap();
    let path = |name: &str| holder.path().join(name).to_str().unwrap().to_owned();
    let put = |name: &str, text: &str| std::fs::write(holder.path().join(name), text).unwrap();
    let key = mantlet_seal::PrivateKey::generate(&[7; 32]).unwrap();
    put("private.pem", &key.to_pem().unwrap());
    put("public.pem", &key.public().to_pem());
    let other = mantlet_seal::PrivateKey::generate(&[8; 32]).unwrap();
    put("other.pem", &other.public().to_pem());
    put("mine.pkl", "cmine.nets\nNet\n)R.");
    let (table, model) = (path("effects.txt"), path("mine.pkl"));
    expect(0, ["scan", "--list-effects", "--output", &table]);
    let shipped = std::fs::read_to_string(&table).unwrap();
    assert!(shipped.starts_with("# version "));
    expect(1, ["scan", &model]);

    let with = |code: i32, key: &str| {
        expect(
            code,
            ["scan", &model, "--effects", &path(""), "--effects-key", &path(key), "--format", "json"],
        )
    };
    let (_, rows) = shipped.split_once('\n').unwrap();
    put("effects.txt", &format!("# version 3000.1.0\nmine.nets object Net\n{rows}"));
    assert!(with(3, "public.pem").err.contains("has no signature"));
    expect(0, ["sign", &table, "--key", &path("private.pem")]);
    let report: Value = serde_json::from_str(&with(0, "public.pem").out).unwrap();
    assert!(report["effects"].as_str().unwrap().starts_with("3000.1.0 sha256:"), "{report}");
    // A file that was just written is not kept.
    let hour = std::time::Duration::from_secs(3_600);
    let file = std::fs::File::options().append(true).open(&model).unwrap();
    file.set_modified(std::time::SystemTime::now() - hour).unwrap();
    let kept = path("kept");
    let cached = |effects: bool| {
        let table = ["--effects", &table, "--effects-key", &path("public.pem")].map(str::to_owned);
        let mut all = vec!["scan".to_owned(), model.clone(), "--cache".to_owned(), kept.clone()];
        all.extend(table.into_iter().filter(|_| effects));
        let ran = run(&all);
        (ran.code, ran.err.contains("have not changed"))
    };
    // Neither result stands in for the other.
    let all = [true, false, true, false].map(cached);
    assert_eq!(all, [(0, false), (1, false), (0, true), (1, true)]);
    let text = expect(0, ["scan", &model, "--effects", &table, "--effects-key", &path("public.pem")]).out;
    assert!(text.contains("judged by the table of effects 3000.1.0"), "{text}");

    assert!(with(3, "other.pem").err.contains("is not used"));
    expect(3, ["scan", &model, "--effects", &table]);
    put("effects.txt", &format!("# version 3000.1.0\nmine.nets object Net Other\n{rows}"));
    assert!(with(3, "public.pem").err.contains("is not what was signed"));
    for (text, why) in [
        (format!("# version 2025.1.0\n{rows}"), "older than version"),
        (
            format!("# version 3000.1.0\nmine.nets harmless Net\n{rows}"),
            "line 2 of the table: `harmless` is no effect",
        ),
    ] {
        put("effects.txt", &text);
        expect(0, ["sign", &table, "--key", &path("private.pem")]);
        let fault = with(3, "public.pem").err;
        assert!(fault.contains(why), "{fault}");
    }
}

#[test]
fn standard_input_is_scanned_under_the_name_a_loader_would_know() {
    use std::io::Write as _;
    let pipe = |arguments: &[&str], bytes: &[u8]| {
        let mut child = crate::program::mantlet(arguments)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // The program may end before it has read all: what it says is looked at then.
        let _ = child.stdin.take().unwrap().write_all(bytes);
        crate::program::ran(&child.wait_with_output().unwrap())
    };
    let evil = pipe(&["scan", "-", "--format", "json"], EVIL);
    assert_eq!(evil.code, 1, "{}", evil.err);
    let report: Value = serde_json::from_str(&evil.out).unwrap();
    assert_eq!(report["findings"][0]["place"]["artifact"], "stdin");
    assert_eq!(pipe(&["scan", "-", "--stdin-name", "list.pkl"], b"\x80\x04]\x94.").code, 0);
    // A name claims a format.
    let lies = pipe(&["scan", "-", "--stdin-name", "w.safetensors"], EVIL);
    assert!(lies.code == 1 && lies.out.contains("file-extension-lies"), "{}", lies.out);
    // More than is held in memory: a benign pickle of 3 MiB, then the hostile one behind it.
    let mut long = vec![0x80, 4, b'B'];
    long.extend((3_u32 << 20).to_le_bytes());
    long.resize(long.len() + (3 << 20), b' ');
    long.push(b'.');
    assert_eq!(pipe(&["scan", "-"], &long).code, 0);
    long.extend(EVIL);
    assert_eq!(pipe(&["scan", "-"], &long).code, 1);
    assert_eq!(pipe(&["scan", "-"], b"").code, 0);
    assert_eq!(pipe(&["scan", "-", "-"], EVIL).code, 3);
}
