//! What can be inferred of a folder, so that a person is asked three questions and no more.

pub mod impact;
pub mod look;
mod table;

use std::path::{Path, PathBuf};

use mantlet_vocab::Impact;

use crate::config::{
    Config, Console, Data, Dependencies, Gateway, Loaded, Model, Notify, Policy, Probes, Reviews, Rollout,
    Shared, Storage, System,
};
use crate::protect::subject;

/// The answers to the three questions.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// What does it decide?
    pub decides: String,
    /// Where does it answer? `built-in`, or an address.
    pub endpoint: String,
    /// Who is told? A webhook address, or nothing.
    pub notify: Option<String>,
    /// The impact class, when the person states it.
    pub impact: Option<Impact>,
}

/// A configuration and what led to it.
pub struct Inferred {
    /// The configuration.
    pub config: Config,
    /// What was inferred, one line each.
    pub notes: Vec<String>,
}

/// Infers a configuration for a folder.
///
/// # Errors
/// When the folder cannot be read or holds no model file.
pub fn infer(folder: &Path, found: &look::Found, answers: &Answers) -> anyhow::Result<Inferred> {
    let mut notes = Vec::new();
    let Some(model) = found.models.first() else {
        anyhow::bail!(
            "{} holds no model file (looked for ONNX, safetensors, PyTorch, pickle, joblib, Keras, GGUF three levels \
             deep): name the folder that does",
            folder.display()
        );
    };
    notes.push(format!("model: {} ({})", model.display(), others(found.models.len(), "model file")));
    let (impact, word) = impact::suggest(&answers.decides);
    let impact = answers.impact.unwrap_or(impact);
    if answers.impact.is_none() {
        notes.push(match word {
            Some(word) => format!(
                "impact: {impact}, because the decision speaks of `{word}`; change it if that is wrong"
            ),
            None => format!("impact: {impact}, because nothing in the decision's description says otherwise"),
        });
    }
    let name = folder
        .canonicalize()
        .ok()
        .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_default();
    let mut config = Config {
        monitor: Default::default(),
        system: System { name: plain(&name), decides: answers.decides.clone(), impact, owner: String::new() },
        model: Model {
            path: model.clone(),
            architecture: None,
            name: "model".to_owned(),
            version: "v1".to_owned(),
        },
        data: None,
        dependencies: Dependencies { lock: found.locks.clone() },
        probes: Probes::default(),
        policy: Policy::default(),
        gateway: Gateway { upstream: answers.endpoint.clone(), ..Gateway::default() },
        record: Default::default(),
        rollout: Rollout::default(),
        console: Console::default(),
        reviews: Reviews::default(),
        notify: Notify { webhook: answers.notify.clone(), ..Notify::default() },
        storage: Storage::default(),
        shared: Shared::default(),
    };
    if found.locks.is_empty() {
        notes.push("no lock file was found: dependencies are not checked until one is named".to_owned());
    }
    let classifier = subject::load_model(&folder.join(model));
    match &classifier {
        Ok(classifier) => notes.push(format!(
            "the model takes rows of shape {:?} and tells {} classes apart: {}",
            classifier.input_shape(),
            classifier.classes(),
            classifier.class_names().join(", ")
        )),
        Err(gap) => notes.push(format!("the model cannot be probed: {}; {}", gap.why, gap.remedy)),
    }
    if let Some(train) = found.tables.first() {
        let test =
            found.tables.iter().skip(1).find(|path| says(path, &["test", "holdout", "held_out", "valid"]));
        config.data = Some(table::infer(folder, train, test, classifier.as_deref().ok(), &mut notes)?);
        if let Ok(classifier) = classifier {
            scale(folder, &mut config, &classifier, &mut notes);
        }
    } else {
        notes.push(
            "no table was found: probes that need rows are not run until `data.train` is named".to_owned(),
        );
    }
    Ok(Inferred { config, notes })
}

/// Tries the scales pixels are usually brought to, and keeps the one under which the model agrees with the
/// labels, when it clearly does.
fn scale(
    folder: &Path,
    config: &mut Config,
    classifier: &std::sync::Arc<mantlet_model::Classifier>,
    notes: &mut Vec<String>,
) {
    let Some(data) = config.data.clone() else { return };
    let agreement = |scale: Option<f64>| {
        let data = Data { scale, ..data.clone() };
        let config = Config { data: Some(data), ..config.clone() };
        let loaded = Loaded { config, root: folder.to_owned(), file: PathBuf::new(), behind: None };
        subject::subject(&loaded, classifier.clone()).map(|subject| subject.accuracy)
    };
    let plain = match agreement(None) {
        Ok(plain) => plain,
        Err(gap) => {
            notes.push(format!("rows and model do not fit yet: {}; {}", gap.why, gap.remedy));
            return;
        }
    };
    let mut best = (None, plain);
    if classifier.input_shape().len() > 1 || classifier.input_shape().iter().product::<usize>() >= 64 {
        for divisor in [16.0, 255.0] {
            if let Ok(share) = agreement(Some(1.0 / divisor))
                && share > best.1 + 0.05
            {
                best = (Some(1.0 / divisor), share);
            }
        }
    }
    let how = best.0.map_or("as they are".to_owned(), |scale| format!("multiplied by {scale}"));
    notes.push(format!(
        "with the features {how}, the model agrees with {:.1} % of the labels",
        best.1 * 100.0
    ));
    if let Some(data) = &mut config.data {
        data.scale = best.0;
    }
}

fn says(path: &Path, words: &[&str]) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    words.iter().any(|word| name.contains(word))
}

fn others(count: usize, what: &str) -> String {
    match count {
        0 | 1 => format!("the only {what}"),
        more => format!("chosen from {more} {what}s"),
    }
}

fn plain(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .take(64)
        .collect();
    if plain.is_empty() { "system".to_owned() } else { plain }
}
