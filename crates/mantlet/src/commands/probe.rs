//! `mantlet scan --probe`: what a suspected branch of a model does when the model runs.

use std::path::Path;

use mantlet_formats::graph::Override;
use mantlet_formats::{Facts, onnx, tensorflow, tflite};
use mantlet_vocab::{Examination, Gap, Place, Source, read_window};
use mantlet_worker::probe::{self, Outcome};

use crate::protect::subject;

const SUSPECTED: &str = "graph-input-override";

/// Runs the models among what was scanned in which a branch is suspected, and adds what is seen.
pub(super) fn run(examination: &mut Examination) {
    let mut places: Vec<Place> = Vec::new();
    for finding in examination.findings.iter().filter(|finding| finding.name == SUSPECTED) {
        let place = Place { span: None, ..finding.place.clone() };
        if !runs_whole(&finding.place) {
            let gap =
                gap(finding.place.to_string(), "it is inside another file", "unpack it and probe the file");
            examination.gaps.push(gap);
        } else if !places.iter().any(|known| known.artifact == place.artifact) {
            places.push(place);
        }
    }
    for place in places {
        let told = |why: &str, remedy: &str| gap(place.artifact.clone(), why, remedy);
        let outcomes = match probed(Path::new(&place.artifact)) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let remedy = "export it with supported operators, or review the branch by hand";
                examination.gaps.push(told(&format!("{error:#}"), remedy));
                continue;
            }
        };
        if outcomes.is_empty() {
            let why = "the branch is not seen in the graph as it is run";
            examination.gaps.push(told(why, "review the branch by hand"));
        }
        for outcome in outcomes {
            match outcome {
                Ok(outcome) if outcome.seen.changed == 0 => {
                    let tried = outcome.seen.tried;
                    let why = format!("none of {tried} inputs made the branch overrule the model");
                    let remedy = "review the branch by hand: a pattern that was not met is no proof";
                    examination.gaps.push(told(&why, remedy));
                }
                Ok(Outcome { seen, input }) => {
                    let mut found = Vec::new();
                    mantlet_rules::check(&Facts::Probed(vec![seen]), &place, &mut found);
                    for finding in &mut found {
                        finding.trace.extend(input.iter().map(|input| format!("for example {input}")));
                        if let Some(input) = &input {
                            finding.facts.insert("input".to_owned(), input.clone().into());
                        }
                    }
                    examination.findings.append(&mut found);
                }
                Err(why) => examination.gaps.push(told(&why, "review the branch by hand")),
            }
        }
    }
    mantlet_vocab::Finding::sort(&mut examination.findings);
}

/// Whether the file by itself is the model: the configuration of a Keras archive speaks for the archive.
fn runs_whole(place: &Place) -> bool {
    let keras = Path::new(&place.artifact).extension().is_some_and(|end| end.eq_ignore_ascii_case("keras"));
    place.nesting.is_empty() || keras && place.nesting == ["config.json"]
}

/// What was seen of each place in a file where a branch may overrule the model.
fn probed(path: &Path) -> anyhow::Result<Vec<Result<Outcome, String>>> {
    let source = subject::read_source(path)?;
    if onnx::is_onnx(&source) {
        let model = subject::run_as_data(path)?;
        return Ok(probe::probe(model.as_ref(), &source));
    }
    let foreign = subject::run_as_foreign(path, &source)?;
    let places = overrides(&source);
    let mut outcomes = probe::probe(foreign.model.as_ref(), &foreign.file);
    // What is told is where the branch is in the file itself; of what was written down to be run nobody has a copy.
    for Outcome { seen, .. } in outcomes.iter_mut().flatten() {
        let (_, name) = &seen.place.node;
        let same = |own: &&Override| {
            let rest = name.strip_suffix(own.node.1.as_str());
            !own.node.1.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        let alone = || places.first().filter(|_| places.len() == 1);
        let Some(own) = places.iter().find(same).or_else(alone) else {
            seen.place.at = 0;
            continue;
        };
        seen.place.at = own.at;
        seen.place.path.clone_from(&own.path);
        seen.place.node.0.clone_from(&own.node.0);
    }
    Ok(outcomes)
}

/// The places as the scan found them; Keras writes its graph as text, where none has an offset.
fn overrides(source: &dyn Source) -> Vec<Override> {
    let head = read_window(source, 0, 16).unwrap_or_default();
    if tflite::is_tflite(&head) {
        tflite::graph(source).overrides()
    } else if let Some(file) = tensorflow::recognise(source) {
        tensorflow::graph(source, file).overrides()
    } else {
        Vec::new()
    }
}

fn gap(what: String, why: &str, remedy: &str) -> Gap {
    Gap {
        what,
        why: format!("its suspected branch was not probed to an end: {why}"),
        remedy: remedy.to_owned(),
    }
}
