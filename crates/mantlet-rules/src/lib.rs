//! Artifact rules: facts of a file to findings, one room each.

mod archive;
mod card;
mod code;
mod config;
mod file;
mod gguf;
mod graph;
mod hdf5;
mod keras;
mod model;
mod npy;
mod onnx;
mod package;
mod pickle;
mod rdata;
mod safetensors;
mod secret;
mod skops;
mod template;
mod tensorflow;
mod tflite;
mod torch;
mod weights;

use mantlet_formats::Facts;
use mantlet_vocab::{About, Finding, Place};

/// A rule: facts of one file or member in, findings out. It sees no other rule's findings.
pub trait Rule: Sync {
    /// Its identity card.
    fn about(&self) -> &'static About;
    /// Adds what it finds in these facts of the artifact at `place`.
    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>);
}

/// Every rule, family by family.
#[must_use]
pub fn all() -> Vec<&'static dyn Rule> {
    [pickle::all(), archive::all(), npy::all(), safetensors::all(), onnx::all(), file::all(), secret::all()]
        .into_iter()
        .chain(models())
        .chain(texts())
        .chain([torch::all(), skops::all()])
        .flatten()
        .collect()
}

/// The families over weights and graphs.
fn models() -> [Vec<&'static dyn Rule>; 8] {
    [
        model::all(),
        gguf::all(),
        weights::all(),
        graph::all(),
        hdf5::all(),
        keras::all(),
        tensorflow::all(),
        tflite::all(),
    ]
}

/// The families over text.
fn texts() -> [Vec<&'static dyn Rule>; 6] {
    [template::all(), config::all(), code::all(), card::all(), rdata::all(), package::all()]
}

/// The identity card of every rule.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    all().into_iter().map(|rule| rule.about()).collect()
}

/// What every rule finds in these facts.
pub fn check(facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
    for rule in all() {
        rule.check(facts, place, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_in_order() {
        assert_eq!(About::faults(&abouts()), []);
    }
}
