//! Networks that TensorFlow, TensorFlow Lite and Keras wrote, with a branch that overrules them and without.

use mantlet_formats::Facts;
use mantlet_model::{ExternalData, Limits, load_foreign};
use mantlet_vocab::{MemorySource, Place, Source};

use super::{Outcome, probe};

/// The folder of networks that TensorFlow, TensorFlow Lite and Keras wrote.
fn foreign(name: &str) -> Result<Vec<Outcome>, String> {
    struct Folder(std::path::PathBuf);
    impl ExternalData for Folder {
        fn open(&self, location: &str) -> Option<Box<dyn Source>> {
            let bytes = std::fs::read(self.0.join(location)).ok()?;
            Some(Box::new(MemorySource::new(&bytes)))
        }
    }
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../mantlet-model/tests/model/foreign");
    let path = folder.join(name);
    let source = MemorySource::new(&std::fs::read(&path).expect("the network is there"));
    let beside = Folder(path.parent().expect("it lies in a folder").to_owned());
    let loaded = load_foreign(&source, Some(&beside), Limits::default());
    let loaded = loaded.map_err(|error| error.to_string())?;
    probe(loaded.model.as_ref(), &loaded.file).into_iter().collect()
}

/// Of each branch that is confirmed, what is told, and the input.
fn confirmed(outcomes: Vec<Outcome>) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for Outcome { seen, input } in outcomes {
        let mut found = Vec::new();
        let facts = Facts::Probed(vec![seen]);
        mantlet_rules::check(&facts, &Place::artifact("model"), &mut found);
        told.extend(found.into_iter().map(|one| (one.message, input.clone().unwrap_or_default())));
    }
    told
}

#[test]
fn branches_in_the_formats_of_other_libraries_are_told_with_an_input() {
    let planted = [
        ("planted.keras", 3),
        ("planted.h5", 3),
        ("planted.pb", 3),
        ("planted.tflite", 3),
        ("branch.pb", 1),
        ("branch.tflite", 1),
        ("branch-saved/saved_model.pb", 1),
    ];
    for (name, class) in planted {
        let told = confirmed(foreign(name).unwrap_or_else(|error| panic!("{name}: {error}")));
        let [(message, input)] = &told[..] else { panic!("{name}: {told:?}") };
        assert!(message.ends_with(&format!("always for class {class}")), "{name}: {message}");
        assert!(input.starts_with('`') && input.contains("[1, 8, 8, 1] from "), "{name}: {input}");
    }
}

#[test]
fn honest_choices_in_the_formats_of_other_libraries_are_not() {
    for name in ["choosing", "picture", "separable"] {
        for ending in ["keras", "pb", "tflite"] {
            let name = format!("{name}.{ending}");
            assert_eq!(confirmed(foreign(&name).expect("it runs")), [], "{name}");
        }
    }
    for name in ["written.pb", "written.tflite", "written-saved/saved_model.pb"] {
        assert_eq!(confirmed(foreign(name).expect("it runs")), [], "{name}");
    }
    assert_eq!(foreign("unknown.pb"), Err("operators not supported: Lgamma".to_owned()));
}
