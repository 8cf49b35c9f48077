//! Configuration documents, right and wrong.

use std::path::Path;

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
