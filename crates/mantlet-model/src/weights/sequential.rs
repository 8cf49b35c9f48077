//! An `nn.Sequential` of full layers, told by the numbers in its tensors' names.
//!
//! Numbers tell where something without tensors stands, not what it is. One such place between two layers is taken to be
//! the activation that the description names; two, or one before the first layer, could be anything, and are not taken.

use serde_json::Value as Json;

use super::blocks::{self, FUNCTIONS};
use super::draft::{Bias, Draft, float};
use super::{Architecture, misfit, wrong};
use crate::ModelError;

/// Draws it.
pub(super) fn draft(draft: &mut Draft, given: &Architecture) -> Result<(), ModelError> {
    let place = "the tensors";
    let unclear = |reason: String| {
        let hint = "describe the layers in a file of their own (`layers`), named with --architecture";
        misfit(place, format!("{reason}; {hint}"))
    };
    let activation = match given.keys.get("activation") {
        None => None,
        Some(Json::String(name)) if FUNCTIONS.contains(&name.as_str()) => Some(name.clone()),
        Some(_) => return Err(wrong("activation", &format!("one of {}", FUNCTIONS.join(", ")))),
    };
    for key in ["input", "length", "takes"] {
        if given.keys.contains_key(key) {
            return Err(misfit(format!("`{key}`"), "an nn.Sequential of full layers says it itself"));
        }
    }
    let mut front: Option<String> = None;
    let mut numbers = Vec::new();
    for name in draft.store.names() {
        let mut parts = name.rsplitn(3, '.');
        let (kind, number, rest) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
        let number = number.and_then(|number| number.parse::<usize>().ok());
        let known = kind.is_some_and(|kind| {
            matches!(kind, "weight" | "bias" | "running_mean" | "running_var" | "num_batches_tracked")
        });
        let same = front.get_or_insert_with(|| rest.to_owned()) == rest;
        let Some(number) = number.filter(|_| known && same) else {
            return Err(unclear(format!(
                "`{name}` is no tensor of a single nn.Sequential, so nothing says how layers stand"
            )));
        };
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    let front = front.filter(|front| !front.is_empty()).map_or_else(String::new, |front| format!("{front}."));
    let at = |number: usize| format!("{front}{number}");
    let Some(&first) = numbers.first() else { return Err(misfit(place, "the file has none")) };
    if first != 0 {
        return Err(unclear(format!("something without tensors stands before `{}`", at(first))));
    }
    let shape = draft.store.shape(&format!("{}.weight", at(first)))?;
    let &[_, width] = shape.as_slice() else {
        return Err(unclear(format!(
            "`{}.weight` has the shape {shape:?} and is that of no full layer",
            at(first)
        )));
    };
    let mut x = draft.input("input", false, &[width]);
    let mut used = false;
    for (index, &number) in numbers.iter().enumerate() {
        let gap = index.checked_sub(1).map_or(0, |before| number - numbers[before] - 1);
        if gap > 1 {
            return Err(unclear(format!("{gap} layers without tensors stand before `{}`", at(number))));
        }
        if gap == 1 {
            let Some(function) = &activation else {
                let reason = format!(
                    "something without tensors stands before `{}`: name it, as `activation = \"relu\"` in a file named \
                     with --architecture",
                    at(number)
                );
                return Err(misfit(place, reason));
            };
            let Some(bent) = blocks::function(draft, function, &x, None) else {
                return Err(wrong("activation", "a function of each value"));
            };
            (x, used) = (bent, true);
        }
        let own = at(number);
        if draft.store.has(&format!("{own}.running_mean")) {
            let names = ["weight", "bias", "running_mean", "running_var"].map(|name| format!("{own}.{name}"));
            for name in &names {
                draft.weight(name, &[Some(x.row[0])])?;
            }
            let [weight, bias, mean, variance] = &names;
            let inputs = [x.name.as_str(), weight, bias, mean, variance];
            x.name = draft.op("BatchNormalization", &inputs, vec![float("epsilon", 1e-5)]);
            continue;
        }
        let shape = draft.store.shape(&format!("{own}.weight"))?;
        if shape.len() != 2 {
            return Err(unclear(format!(
                "`{own}.weight` has the shape {shape:?}, which several kinds of layers have"
            )));
        }
        x = draft.linear(&own, &x, Bias::Maybe)?;
    }
    if activation.is_some() && !used {
        return Err(misfit("`activation`", "there is no place for it between the layers"));
    }
    draft.output("scores", &x);
    Ok(())
}
