//! Configuration documents, right and wrong.

use std::path::Path;

use mantlet_guard::RulePolicy;
use mantlet_vocab::{Impact, Mode, OnFailure};

use super::{strict, template};

const SMALL: &str =
    "[system]\nname = \"a\"\ndecides = \"b\"\nimpact = \"high\"\n[model]\npath = \"m.onnx\"\n";

fn check(extra: &str, expect: &str) {
    let text = format!("{SMALL}{extra}");
    match strict::parse(Path::new("mantlet.toml"), &text) {
        Ok(_) => assert_eq!(expect, "ok", "{extra}"),
        Err(error) => assert_eq!(error.to_string(), expect, "{extra}"),
    }
}

#[test]
fn wrong_documents_name_line_and_remedy() {
    check("", "ok");
    check("[gateway]\nmode = \"enforce\"\n", "ok");
    check("[gatway]\n", "mantlet.toml:7: unknown key `gatway`; did you mean `gateway`?");
    check(
        "[gateway]\nlisten_on = \"x\"\n",
        "mantlet.toml:8: unknown key `gateway.listen_on`; did you mean `listen`?",
    );
    let far = "[gateway]\nupstream = \"http://127.0.0.1:8501\"\n";
    for speaks in ["tensors", "text", "tf-serving", "mlflow", "seldon", "kserve-v1"] {
        check(&format!("{far}speaks = \"{speaks}\"\n"), "ok");
    }
    let json = "[gateway.json]\npath = \"/score\"\ninputs = [{ name = \"x\", find = \"$.x\" }]\n";
    check(&format!("{far}speaks = \"json\"\n{json}"), "ok");
    let alone = "mantlet.toml: `gateway.json` says where the values of a message stand, and belongs to \
                 `speaks = \"json\"` alone";
    check(&format!("{far}grpc = \"http://127.0.0.1:8001\"\n"), "ok");
    check(
        &format!("{far}speaks = \"text\"\ngrpc = \"http://127.0.0.1:8001\"\n"),
        "mantlet.toml: `gateway.grpc` belongs to `speaks = \"tensors\"` before an endpoint of your own",
    );
    check(&format!("{far}speaks = \"json\"\n"), alone);
    check(&format!("{far}{json}"), alone);
    check(
        "[gateway]\nspeaks = \"mlflow\"\n",
        "mantlet.toml: `gateway.upstream` must be an address: the built-in server speaks the Open Inference Protocol alone",
    );
    check(
        &format!(
            "{far}fallback = \"v1\"\nweights = {{ v2 = 5, v3 = 0.5 }}\nversions = {{ v2 = \"http://a\", v3 = \"http://b\" }}\n"
        ),
        "ok",
    );
    check("[gateway]\nweights = { v2 = 100 }\ntext_bytes = 1048576\ntext_micros = 20000\n", "ok");
    check(
        &format!("{far}weights = {{ v2 = 5 }}\n"),
        "mantlet.toml: `gateway.weights` names `v2`, which has no endpoint: add it to `[gateway.versions]`",
    );
    for wrong in ["{ v2 = 60, v3 = 41 }", "{ v2 = 0 }", "{ v2 = -1 }", "{ v2 = nan }", "{ v2 = 100.1 }"] {
        check(
            &format!("[gateway]\nweights = {wrong}\n"),
            "mantlet.toml: `gateway.weights` are shares of the callers in percent: each at least 0.01, and 100 together at most",
        );
    }
    check(
        "[gateway]\ntext_micros = 0\n",
        "mantlet.toml: `gateway.text_bytes` and `text_micros` must be at least 1; leave them out for the built-in budgets",
    );
    check("[gateway]\nzzzz = 1\n", "mantlet.toml:8: unknown key `gateway.zzzz`");
    check(
        "[notify.smtp]\nserver = \"x:25\"\nfrom = \"a@b\"\nto = []\npasword_file = \"p\"\n",
        "mantlet.toml:11: unknown key `notify.smtp.pasword_file`; did you mean `password_file`?",
    );
    check(
        "[gateway]\nmode = \"enforced\"\n",
        "mantlet.toml:8:8: unknown variant `enforced`, expected one of `observe`, `advise`, `enforce`",
    );
    check("[probes]\nseed = \"x\"\n", "mantlet.toml:8:8: invalid type: string \"x\", expected u64");
    check(
        "[probes]\nepsilon = 0.0\n",
        "mantlet.toml: `probes.epsilon` is 0; it must be above 0 and at most 1",
    );
    check(
        "[console]\nlisten = \"8481\"\n",
        "mantlet.toml: `console.listen` is `8481`; it must be an address and port such as `127.0.0.1:8480`",
    );
}

#[test]
fn rules_that_do_not_exist_and_limits_that_let_nothing_pass_are_told_before_anything_starts() {
    let near = "has no rule `prompt-injektion` to set, did you mean `prompt-injection`?; `mantlet explain` lists them";
    check("[gateway.rules]\nprompt-injection = \"observe\"\n", "ok");
    check(
        "[gateway.rules]\nprompt-injektion = \"observe\"\n",
        &format!("mantlet.toml: `gateway.rules` {near}"),
    );
    check(
        "[gateway.step_up]\nrules = { prompt-injektion = 1.0 }\n",
        &format!("mantlet.toml: `gateway.rules` {near}"),
    );
    check(
        "[[gateway.routes]]\nname = \"r\"\nupstream = \"http://a\"\nrules = { zz = \"observe\" }\n",
        "mantlet.toml: `gateway.rules` has no rule `zz` to set; `mantlet explain` lists them",
    );
    // A judge's own name is a rule as well.
    let judge = "[[gateway.judges]]\nname = \"tone\"\nendpoint = \"http://127.0.0.1:1\"\nthreshold = 0.5\n";
    check(&format!("[gateway.rules]\ntone = \"observe\"\n{judge}"), "ok");
    check(
        &format!("[gateway.rules]\ntune = \"observe\"\n{judge}"),
        "mantlet.toml: `gateway.rules` has no rule `tune` to set, did you mean `tone`?; `mantlet explain` lists them",
    );
    let limit =
        |numbers: &str| format!("[[gateway.limits]]\nwhat = \"requests\"\nper = \"key\"\n{numbers}\n");
    for right in ["most = 1", "most = 0.5\nburst = 1"] {
        check(&limit(right), "ok");
    }
    for wrong in ["0", "-1", "0.5", "inf", "nan"] {
        let text = format!("{SMALL}{}", limit(&format!("most = {wrong}")));
        let error = strict::parse(Path::new("mantlet.toml"), &text).unwrap_err().to_string();
        assert!(error.contains("`gateway.limits` would let nothing pass"), "{error}");
    }
}

#[test]
fn names_of_versions_can_stand_in_a_path_and_stand_for_one_that_is_there() {
    let far = "[gateway]\nupstream = \"http://127.0.0.1:8501\"\n";
    check(
        &format!(
            "{far}version_names = {{ \"3\" = \"v1\", stable = \"*\" }}\nupstream_versions = {{ v1 = \"3\" }}\n"
        ),
        "ok",
    );
    let route = "[[gateway.routes]]\nname = \"tf\"\nupstream = \"http://a\"\nspeaks = \"tf-serving\"\n";
    check(
        &format!("{route}version_names = {{ \"3\" = \"tf\" }}\nupstream_versions = {{ tf = \"3\" }}\n"),
        "ok",
    );
    for wrong in [
        format!("{far}version_names = {{ \"a/b\" = \"v1\" }}\n"),
        format!("{far}upstream_versions = {{ v1 = \"..\" }}\n"),
        "[gateway]\nupstream_versions = { v1 = \"3\" }\n".to_owned(),
        format!("{route}version_names = {{ \"3\" = \"v1\" }}\n"),
        format!("{route}upstream_versions = {{ tf = \"3:predict\" }}\n"),
    ] {
        let error = strict::parse(Path::new("mantlet.toml"), &format!("{SMALL}{wrong}")).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("version") && !error.contains("unknown key"), "{wrong}: {error}");
    }
}

#[test]
fn a_missing_table_is_named() {
    let error =
        strict::parse(Path::new("m.toml"), "[system]\nname = \"a\"\ndecides = \"\"\nimpact = \"low\"\n");
    assert!(error.unwrap_err().to_string().contains("missing field `model`"));
}

#[test]
fn what_init_writes_is_valid_and_says_what_was_inferred() {
    let config = strict::parse(Path::new("m.toml"), SMALL).unwrap();
    let text = template::write(&config, &["the model is ONNX".to_owned()]);
    assert_eq!(strict::parse(Path::new("m.toml"), &text).unwrap(), config);
    assert!(text.contains("# the model is ONNX"));
}

#[test]
fn the_schema_names_every_part_and_the_words_of_each_choice() {
    let schema = super::schema();
    for part in [
        "system",
        "model",
        "data",
        "dependencies",
        "probes",
        "policy",
        "gateway",
        "console",
        "notify",
        "storage",
    ] {
        assert!(schema["properties"].get(part).is_some(), "{part}");
    }
    let text = schema.to_string();
    for word in ["pass-and-flag", "enforce", "critical", "malicious", "starttls"] {
        assert!(text.contains(word), "{word}");
    }
}

#[test]
fn a_rule_has_a_mode_or_a_policy_of_its_own() {
    let rules = |text: &str| {
        let text = format!("{SMALL}[gateway]\n{text}");
        strict::parse(Path::new("mantlet.toml"), &text).map(|config| config.gateway.rules)
    };
    let built_in = RulePolicy::for_rule("injection-suspected", Impact::High);
    let applied = |text: &str| {
        let mut policy = built_in;
        rules(text).unwrap()["injection-suspected"].apply(&mut policy);
        policy
    };
    assert_eq!(built_in.refuse, None);
    let mode = applied("rules = { injection-suspected = \"observe\" }\n");
    assert_eq!(mode, RulePolicy { mode: Some(Mode::Observe), ..built_in });
    let table = "[gateway.rules.injection-suspected]\nrefuse = 2.0\non_failure = \"refuse\"\n";
    let refuses = RulePolicy { refuse: Some(2.0), on_failure: OnFailure::Refuse, ..built_in };
    assert_eq!(applied(table), refuses);
    let both = format!("{table}mode = \"advise\"\nflag = 0.5\n");
    assert_eq!(applied(&both), RulePolicy { mode: Some(Mode::Advise), flag: Some(0.5), ..refuses });
    let written = toml_edit::ser::to_string(&rules(table).unwrap()).unwrap();
    assert!(written.contains("refuse = 2.0") && !written.contains("throttle"), "{written}");
    // A built-in action is taken away, and only that one.
    let mut policy = RulePolicy::for_rule("blocked-term", Impact::High);
    assert_eq!(policy.refuse, Some(1.0));
    let person = "[gateway.rules.blocked-term]\ndivert = 1\nrefuse = false\n";
    rules(person).unwrap()["blocked-term"].apply(&mut policy);
    assert_eq!((policy.divert, policy.refuse, policy.flag), (Some(1.0), None, Some(1.0)));
    assert!(toml_edit::ser::to_string(&rules(person).unwrap()).unwrap().contains("refuse = false"));
    for (wrong, said) in [
        ("rules = { a = \"loud\" }\n", "unknown variant `loud`"),
        (
            "rules = { a = 2.0 }\n",
            "a mode (observe, advise or enforce), or a table of actions and their scores",
        ),
        ("[gateway.rules.a]\nrefuses = 1.0\n", "unknown field `refuses`"),
        ("[gateway.rules.a]\nrefuse = \"always\"\n", "expected a score, or false for never"),
        ("[gateway.rules.a]\nrefuse = true\n", "expected a score, or false for never"),
        ("[gateway.rules.a]\nrefuse = 0.0\n", "has a score for `a` that is never reached"),
        ("[gateway.rules.a]\nflag = nan\n", "has a score for `a` that is never reached"),
    ] {
        let error = rules(wrong).unwrap_err().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

#[test]
fn what_a_further_route_cannot_have_is_refused_with_its_reason_and_place() {
    let route = |more: &str| {
        let text = format!(
            "{SMALL}[gateway]\n[[gateway.routes]]\nname = \"other\"\nupstream = \"http://127.0.0.1:1\"\n{more}\n"
        );
        strict::parse(Path::new("mantlet.toml"), &text).map(|config| config.gateway.routes[0].clone())
    };
    let line = SMALL.lines().count() + 5;
    for (key, value, what) in [
        ("pinned", "[\"rules\"]", "pinned rules are the model's own route's alone"),
        ("websocket", "true", "WebSockets"),
    ] {
        let said = route(&format!("{key} = {value}")).unwrap_err().to_string();
        assert!(said.contains(what) && said.contains("`mantlet up` of its own"), "{said}");
        assert!(said.starts_with(&format!("mantlet.toml:{line}:")), "{said}");
    }
    // Versions are those of a system that was examined.
    for (key, value) in [
        ("versions", "{ v2 = \"http://127.0.0.1:2\" }"),
        ("weights", "{ v2 = 5 }"),
        ("fallback", "\"v1\""),
        ("rollout", "{}"),
        ("record_features", "true"),
    ] {
        let said = route(&format!("{key} = {value}")).unwrap_err().to_string();
        assert!(said.contains(key) && said.contains("name the folder of its system"), "{said}");
        let all =
            "system = \"../other\"\nversions = { v1 = \"http://127.0.0.1:2\", v2 = \"http://127.0.0.1:3\" }";
        if key != "versions" {
            route(&format!("{all}\n{key} = {value}")).unwrap();
        }
    }
    for (more, what) in [
        ("profile = \"other.json\"", "has one of its own"),
        ("weights = { v2 = 5 }", "where it has no endpoint"),
        ("versions = { v2 = \"http://127.0.0.1:2\" }\nweights = { v2 = 101 }", "no shares of the callers"),
    ] {
        let said = route(&format!("system = \"../other\"\n{more}")).unwrap_err().to_string();
        assert!(said.contains(what), "{said}");
    }
    // What nobody knows is another matter, and what it may have is taken.
    let said = route("vershuns = 1").unwrap_err().to_string();
    assert!(!said.contains("of its own to have them"), "{said}");
    let own = route("profile = \"other.json\"").unwrap();
    assert_eq!(own.profile.as_deref(), Some(Path::new("other.json")));
    let said = route("profile = \"other.json\"\nspeaks = \"text\"").unwrap_err().to_string();
    assert!(said.contains("nothing to check by it"), "{said}");
}
