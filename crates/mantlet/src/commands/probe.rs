//! `mantlet scan --probe`: what a suspected branch of a model does when the model runs.

use std::path::Path;

use mantlet_formats::Facts;
use mantlet_vocab::{Examination, Gap, Place};
use mantlet_worker::probe;

use crate::protect::subject;

const SUSPECTED: &str = "graph-input-override";

/// Runs the models among what was scanned in which a branch is suspected, and adds what is seen.
pub(super) fn run(examination: &mut Examination) {
    let mut places: Vec<Place> = Vec::new();
    for finding in examination.findings.iter().filter(|finding| finding.name == SUSPECTED) {
        let place = Place::artifact(finding.place.artifact.clone());
        if finding.place.nesting.is_empty() && !places.contains(&place) {
            places.push(place);
        } else if !finding.place.nesting.is_empty() {
            let gap =
                gap(finding.place.to_string(), "it is inside another file", "unpack it and probe the file");
            examination.gaps.push(gap);
        }
    }
    for place in places {
        let path = Path::new(&place.artifact);
        let opened = subject::read_source(path).and_then(|source| Ok((subject::run_as_data(path)?, source)));
        let (model, source) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let remedy = "export it with supported operators, or review the branch by hand";
                examination.gaps.push(gap(place.artifact, &format!("{error:#}"), remedy));
                continue;
            }
        };
        let mut probed = Vec::new();
        for outcome in probe::probe(model.as_ref(), &source) {
            match outcome {
                Ok(seen) if seen.changed == 0 => {
                    let why = format!("none of {} inputs made the branch overrule the model", seen.tried);
                    let remedy = "review the branch by hand: a pattern that was not met is no proof";
                    examination.gaps.push(gap(place.artifact.clone(), &why, remedy));
                }
                Ok(seen) => probed.push(seen),
                Err(why) => {
                    examination.gaps.push(gap(place.artifact.clone(), &why, "review the branch by hand"));
                }
            }
        }
        if !probed.is_empty() {
            mantlet_rules::check(&Facts::Probed(probed), &place, &mut examination.findings);
        }
    }
    mantlet_vocab::Finding::sort(&mut examination.findings);
}

fn gap(what: String, why: &str, remedy: &str) -> Gap {
    Gap {
        what,
        why: format!("its suspected branch was not probed to an end: {why}"),
        remedy: remedy.to_owned(),
    }
}
