//! Configurations that name code, in every order of their keys.

use super::*;
use mantlet_vocab::MemorySource;

fn acts(text: &str) -> Vec<(Act, String)> {
    let config = json(&MemorySource::new(text.as_bytes()), Effects::default());
    config.items.into_iter().map(|item| (item.act, item.value)).collect()
}

#[test]
fn expressions_of_bundles_are_programs() {
    let programs = |value: &str| -> Vec<String> {
        let text = format!("{{\"network_def\": {{\"_target_\": \"UNet\"}}, \"device\": \"{value}\"}}");
        let config = json(&MemorySource::new(text.as_bytes()), Effects::default());
        config.nodes.into_iter().map(|said| said.text).collect()
    };
    assert_eq!(programs("$[glob.os.system('x'), @network][1]"), ["[glob.os.system('x'), network][1]"]);
    assert_eq!(programs("$@network_def.to(@device)"), ["network_def.to(device)"]);
    for other in ["$ref", "${oc.env:HOME}", "$(dirname x)/run", "$HOME/models", "costs 5$ (or less)"] {
        assert_eq!(programs(other), [""; 0], "{other}");
    }
}

#[test]
fn code_named_by_configurations_is_told_apart() {
    assert_eq!(
        acts(
            r#"{"auto_map": {"AutoConfig": "configuration_x.XConfig", "AutoModel": "evil/repo--modeling.X"}}"#
        ),
        [
            (Act::LocalCode, "configuration_x.XConfig".into()),
            (Act::ForeignCode, "evil/repo--modeling.X".into())
        ]
    );
    assert_eq!(
        acts(r#"{"auto_map": {"AutoTokenizer": ["a--b.C", null]}}"#),
        [(Act::ForeignCode, "a--b.C".into())]
    );
    assert_eq!(
        acts(
            r#"{"_class_name": "P", "_diffusers_version": "0.30", "unet": ["diffusers", "U"], "x": ["mine", "V"]}"#
        ),
        [(Act::LocalCode, "mine".into())]
    );
    // Keys stand in any order, and after many others.
    let late =
        format!("{{\"x\": [\"mine\", \"V\"], {} \"_diffusers_version\": \"0.30\"}}", "\"y\": 1, ".repeat(70));
    assert_eq!(acts(&late), [(Act::LocalCode, "mine".into())]);
    assert_eq!(acts(r#"{"x": ["mine", "V"]}"#), []);
    for entry in
        [r#"{"idx": 0, "type": "mine.Pooling"}"#, r#"{"type": "mine.Pooling", "name": "0", "idx": 0}"#]
    {
        assert_eq!(acts(&format!("[{entry}]")), [(Act::LocalCode, "mine.Pooling".into())], "{entry}");
    }
    assert_eq!(acts(r#"[{"type": "mine.Pooling", "name": "0"}]"#), []);
    assert_eq!(acts(r#"{"auto_map": {}, "architectures": ["X.Y"], "model_type": "llama"}"#), []);
}

#[test]
fn targets_are_called_with_what_stands_beside_them() {
    let config = yaml(
        "model:\n  loss:\n    _target_: os.system\n    command: 'id'\n  opt:\n    _target_: torch.optim.AdamW\n    lr: 0.1\n",
        Effects::default(),
    );
    assert_eq!(config.items[0].effect, Effect::Executes);
    assert_eq!(config.items[0].arguments, ["command=\"id\""]);
    assert_eq!(config.items[0].path, "model.loss._target_");
    assert!(config.items[1].effect != Effect::Executes);
    let tagged =
        yaml("a: !!python/object/apply:os.system ['id']\nb: !!python/tuple [1, 2]\n", Effects::default());
    assert_eq!(tagged.items.len(), 1);
    assert_eq!((tagged.items[0].act, tagged.items[0].effect), (Act::PythonTag, Effect::Executes));
    assert_eq!(tagged.items[0].arguments, ["\"id\""]);
}

#[test]
fn classes_named_in_parts_and_functions_that_find_others_are_judged() {
    let built =
        |id: &str| acts(&format!(r#"{{"lc": 1, "type": "constructor", "id": {id}, "kwargs": {{}}}}"#));
    assert_eq!(
        built(r#"["langchain_experimental", "utilities", "PythonREPL"]"#),
        [(Act::Calls, "langchain_experimental.utilities.PythonREPL".into())]
    );
    assert_eq!(built(r#"["langchain_core", "prompts", "PromptTemplate"]"#), []);
    assert_eq!(acts(r#"{"type": "secret", "id": ["OPENAI_API_KEY"]}"#), []);
    let found = yaml("t:\n  _target_: hydra.utils.get_method\n  path: os.system\n", Effects::default());
    assert_eq!(found.items[0].effect, Effect::Executes);
    let found = yaml("t:\n  _target_: hydra.utils.get_method\n  path: torch.relu\n", Effects::default());
    assert!(found.items[0].effect != Effect::Executes);
}

#[test]
fn commands_and_paths_are_told_by_their_keys() {
    let config = yaml("stages:\n  a:\n    cmd: cat x | sh\n    note: cat x | sh\n", Effects::default());
    assert_eq!(config.commands.len(), 1);
    assert_eq!(config.commands[0].path, "stages.a.cmd");
    let paths = |text: &str| json(&MemorySource::new(text.as_bytes()), Effects::default()).paths.len();
    assert_eq!(paths(r#"{"weight_map": {"a": "../x.bin", "b": "x.bin"}}"#), 1);
    assert_eq!(paths(r#"{"path": "../x.bin", "data": "/x"}"#), 0);
}

#[test]
fn short_tags_of_yaml_import_and_call() {
    let read = |text: &str| -> Vec<(Act, String, Effect)> {
        let config = yaml(text, Effects::default());
        config.items.into_iter().map(|item| (item.act, item.value, item.effect)).collect()
    };
    for (text, name) in [
        ("boot: !apply:os.system [\"id\"]\n", "os.system"),
        ("boot: !new:subprocess.Popen\n  args: id\n", "subprocess.Popen"),
        ("boot: !name:os.system\n", "os.system"),
        ("boot: !name:builtins.exec\n", "builtins.exec"),
        ("boot: !call:pty.spawn [sh]\n", "pty.spawn"),
    ] {
        assert_eq!(read(text), [(Act::Calls, name.into(), Effect::Executes)], "{text}");
    }
    assert_eq!(read("boot: !module:own_module\n")[0].0, Act::Imports);
    for text in ["m: !new:torch.nn.Linear\n  in_features: 2\n", "m: !ref <a>\n", "m: !include:a.yaml\n"] {
        assert!(read(text).iter().all(|(_, _, effect)| *effect != Effect::Executes), "{text}");
    }
}
