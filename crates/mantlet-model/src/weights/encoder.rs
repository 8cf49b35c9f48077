//! BERT, DistilBERT and RoBERTa with a head that tells classes, by the names Hugging Face gives their tensors.

use mantlet_formats::onnx::schema::DataType;
use serde_json::Value as Json;

use super::blocks::{self, Make, Names};
use super::draft::{Bias, Draft, Spot, int};
use super::{Architecture, misfit};
use crate::ModelError;

const BERT: Names = Names {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    out: "attention.output.dense",
    first_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    second_norm: "output.LayerNorm",
};

const DISTILLED: Names = Names {
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    out: "attention.out_lin",
    first_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    second_norm: "output_layer_norm",
};

/// A number of a `config.json`.
pub(super) fn number(config: &Json, keys: &[&str], default: Option<usize>) -> Result<usize, ModelError> {
    let found = keys.iter().find_map(|key| config.get(key));
    let number = match found {
        Some(value) => value.as_u64().and_then(|v| usize::try_from(v).ok()).filter(|v| *v <= super::MOST),
        None => default,
    };
    number.ok_or_else(|| misfit(format!("`{}` of the config.json", keys[0]), "a whole number is expected"))
}

/// The names of the classes; errors where the classes exclude each other not, or are none.
pub(super) fn classes(config: &Json) -> Result<Vec<String>, ModelError> {
    match config.get("problem_type").and_then(Json::as_str) {
        None | Some("single_label_classification") => {}
        Some(other) => {
            let reason = "only models that choose one of several classes are built from weights";
            return Err(misfit(format!("problem_type `{other}` of the config.json"), reason));
        }
    }
    let Some(Json::Object(names)) = config.get("id2label") else { return Ok(Vec::new()) };
    let mut named: Vec<(usize, String)> = Vec::new();
    for (number, name) in names {
        let (Ok(number), Some(name)) = (number.parse(), name.as_str()) else {
            return Err(misfit(
                "`id2label` of the config.json",
                "names of classes by their numbers are expected",
            ));
        };
        named.push((number, name.to_owned()));
    }
    named.sort();
    if named.iter().enumerate().any(|(place, (number, _))| place != *number) {
        return Err(misfit(
            "`id2label` of the config.json",
            "numbers from 0 on, without a gap, are expected",
        ));
    }
    Ok(named.into_iter().map(|(_, name)| name).collect())
}

/// The output, of as many values as there are names.
pub(super) fn finish(
    draft: &mut Draft,
    head: &str,
    scores: &Spot,
    names: &[String],
) -> Result<(), ModelError> {
    if !names.is_empty() && scores.row != [names.len()] {
        let reason = format!(
            "it gives {:?} values a row, and the config.json names {} classes",
            scores.row,
            names.len()
        );
        return Err(misfit(format!("`{head}`"), reason));
    }
    if scores.row == [1] {
        return Err(misfit(format!("`{head}`"), "it gives one value a row, which tells no classes apart"));
    }
    draft.output("logits", scores);
    Ok(())
}

/// Draws the encoder; the names of its classes.
pub(super) fn draft(
    draft: &mut Draft,
    config: &Json,
    given: &Architecture,
) -> Result<Vec<String>, ModelError> {
    let kind = config["model_type"].as_str().unwrap_or_default();
    let (distilled, roberta) =
        (kind == "distilbert", matches!(kind, "roberta" | "xlm-roberta" | "camembert"));
    let place = |reason: &str| misfit(format!("model_type `{kind}`"), reason);
    let known = config.get("architectures").and_then(|names| names[0].as_str());
    if known.is_some_and(|name| !name.ends_with("ForSequenceClassification")) {
        return Err(place(
            "its `architectures` name no ...ForSequenceClassification: it tells no classes apart",
        ));
    }
    if !matches!(config.get("position_embedding_type").and_then(Json::as_str), None | Some("absolute")) {
        return Err(place("places that are not absolute are not built from weights; export it to ONNX"));
    }
    let names = classes(config)?;
    let front = if distilled {
        "distilbert"
    } else if roberta {
        "roberta"
    } else {
        "bert"
    };
    let embedding = |part: &str| format!("{front}.embeddings.{part}");
    let words = embedding("word_embeddings.weight");
    let width = number(config, &["hidden_size", "dim"], None)?;
    let pad = number(config, &["pad_token_id"], Some(usize::from(roberta)))?;
    // RoBERTa counts places from behind the number of the padding.
    let shift = if roberta { pad + 1 } else { 0 };
    let most = draft.store.shape(&embedding("position_embeddings.weight"))?.first().copied().unwrap_or(0);
    let length = given.size("length")?.unwrap_or_else(|| most.saturating_sub(shift));
    if length == 0 || length > most.saturating_sub(shift) {
        let reason = format!("the model has {} places for words", most.saturating_sub(shift));
        return Err(misfit("`length`", reason));
    }
    let embedded = match given.keys.get("takes").map(Json::as_str) {
        None | Some(Some("ids")) => false,
        Some(Some("embeddings")) => true,
        Some(_) => return Err(super::wrong("takes", "\"ids\" or \"embeddings\"")),
    };
    let (mut x, mask, places) = if embedded {
        let x = draft.input("inputs_embeds", false, &[length, width]);
        draft.words = Some((draft.table(&words, width)?, pad));
        (x, None, None)
    } else {
        let ids = draft.input("input_ids", true, &[length]);
        let padding = draft.integer(i64::try_from(pad).unwrap_or(0));
        let empty = draft.op("Equal", &[&ids.name, &padding], Vec::new());
        draft.weight(&words, &[None, Some(width)])?;
        let x = Spot {
            name: draft.op("Gather", &[&words, &ids.name], vec![int("axis", 0)]),
            row: vec![length, width],
        };
        let places = if roberta { Some(counted(draft, &empty, pad)) } else { None };
        (x, Some(far(draft, &empty)), places)
    };
    let table = embedding("position_embeddings.weight");
    let stands = match places {
        None => draft.rows(&table, shift, length, width)?,
        Some(places) => {
            draft.weight(&table, &[None, Some(width)])?;
            draft.op("Gather", &[&table, &places], vec![int("axis", 0)])
        }
    };
    // Added in the order of the original, so that roundings are its, too.
    if !distilled {
        let kind = draft.rows(&embedding("token_type_embeddings.weight"), 0, 1, width)?;
        x.name = draft.op("Add", &[&x.name, &kind], Vec::new());
    }
    x.name = draft.op("Add", &[&x.name, &stands], Vec::new());
    #[expect(clippy::cast_possible_truncation, reason = "the model's own precision")]
    let epsilon = config.get("layer_norm_eps").and_then(Json::as_f64).unwrap_or(1e-12) as f32;
    x = draft.layer_norm(&embedding("LayerNorm"), &x, epsilon)?;
    let function = config.get(if distilled { "activation" } else { "hidden_act" }).and_then(Json::as_str);
    let make = Make {
        names: if distilled { &DISTILLED } else { &BERT },
        heads: number(config, &["num_attention_heads", "n_heads"], None)?,
        function: function.unwrap_or("gelu"),
        epsilon,
        before: false,
        mask,
    };
    let layers = if distilled { "transformer.layer" } else { "encoder.layer" };
    for index in 0..number(config, &["num_hidden_layers", "n_layers"], None)? {
        x = blocks::layer(draft, &format!("{front}.{layers}.{index}"), &x, &make)?;
    }
    let first = blocks::first(draft, &x);
    let (pool, bend, head) = if distilled {
        ("pre_classifier", "relu", "classifier")
    } else if roberta {
        ("classifier.dense", "tanh", "classifier.out_proj")
    } else {
        ("bert.pooler.dense", "tanh", "classifier")
    };
    let pooled = draft.linear(pool, &first, Bias::There)?;
    let pooled = blocks::function(draft, bend, &pooled, None).unwrap_or(pooled);
    let scores = draft.linear(head, &pooled, Bias::There)?;
    finish(draft, head, &scores, &names)?;
    Ok(names)
}

/// Nothing where a word stands and the least number where there is none, `[n, 1, 1, length]`.
fn far(draft: &mut Draft, empty: &str) -> String {
    let least = draft.number(f32::MIN);
    let none = draft.number(0.0);
    let far = draft.op("Where", &[empty, &least, &none], Vec::new());
    let axes = draft.integers(&[1, 2]);
    draft.op("Unsqueeze", &[&far, &axes], Vec::new())
}

/// RoBERTa's places: words are counted, padding is not and stands at its own number.
fn counted(draft: &mut Draft, empty: &str, pad: usize) -> String {
    let there = draft.op("Not", &[empty], Vec::new());
    let there = draft.op("Cast", &[&there], vec![int("to", DataType::Float as i64)]);
    let axis = draft.integer(1);
    let count = draft.op("CumSum", &[&there, &axis], Vec::new());
    let count = draft.op("Mul", &[&count, &there], Vec::new());
    #[expect(clippy::cast_precision_loss, reason = "a number of the padding is small")]
    let shift = draft.number(pad as f32);
    let places = draft.op("Add", &[&count, &shift], Vec::new());
    draft.op("Cast", &[&places], vec![int("to", DataType::Int64 as i64)])
}
