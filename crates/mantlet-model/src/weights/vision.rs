//! ViT with a head that tells classes, by the names Hugging Face gives its tensors.

use serde_json::Value as Json;

use super::blocks::{self, Make, Names};
use super::draft::{Bias, Draft, Spot, ints};
use super::encoder::{classes, finish, number};
use super::misfit;
use crate::ModelError;

const NAMES: Names = Names {
    query: "attention.attention.query",
    key: "attention.attention.key",
    value: "attention.attention.value",
    out: "attention.output.dense",
    first_norm: "layernorm_before",
    up: "intermediate.dense",
    down: "output.dense",
    second_norm: "layernorm_after",
};

/// As the class itself names them since version 5 of transformers; files keep the older names.
const NEWER: Names = Names {
    query: "attention.q_proj",
    key: "attention.k_proj",
    value: "attention.v_proj",
    out: "attention.o_proj",
    first_norm: "layernorm_before",
    up: "mlp.fc1",
    down: "mlp.fc2",
    second_norm: "layernorm_after",
};

/// Draws it; the names of its classes.
pub(super) fn draft(draft: &mut Draft, config: &Json) -> Result<Vec<String>, ModelError> {
    let known = config.get("architectures").and_then(|names| names[0].as_str());
    if known.is_some_and(|name| name != "ViTForImageClassification") {
        let reason = "its `architectures` name no ViTForImageClassification: it tells no classes apart";
        return Err(misfit("model_type `vit`", reason));
    }
    let names = classes(config)?;
    let square = |key: &str, default| match config.get(key) {
        Some(Json::Array(_)) => {
            Err(misfit(format!("`{key}` of the config.json"), "only squares are built from weights"))
        }
        _ => number(config, &[key], Some(default)).and_then(|size| {
            if size == 0 {
                Err(misfit(format!("`{key}` of the config.json"), "it is nothing"))
            } else {
                Ok(size)
            }
        }),
    };
    let (side, patch) = (square("image_size", 224)?, square("patch_size", 16)?);
    let channels = number(config, &["num_channels"], Some(3))?;
    let width = number(config, &["hidden_size"], Some(768))?;
    let across = side / patch;
    let patches = across * across;
    let at = "vit.embeddings.patch_embeddings.projection";
    let pixels = draft.input("pixel_values", false, &[channels, side, side]);
    let (weight, bias) = (format!("{at}.weight"), format!("{at}.bias"));
    draft.weight(&weight, &[Some(width), Some(channels), Some(patch), Some(patch)])?;
    draft.weight(&bias, &[Some(width)])?;
    let x = draft.op("Conv", &[&pixels.name, &weight, &bias], vec![ints("strides", &[patch, patch])]);
    let list = draft.integers(&[0, super::draft::whole(&[width])[0], -1]);
    let x = draft.op("Reshape", &[&x, &list], Vec::new());
    let x = draft.op("Transpose", &[&x], vec![ints("perm", &[0, 2, 1])]);
    // The token of the class stands before the patches; put there by adding it to nothing, at any number of rows.
    let (token, places) = ("vit.embeddings.cls_token", "vit.embeddings.position_embeddings");
    draft.weight(token, &[Some(1), Some(1), Some(width)])?;
    draft.weight(places, &[Some(1), Some(patches + 1), Some(width)])?;
    let behind = draft.integers(&[0, 0, 0, 0, super::draft::whole(&[patches])[0], 0]);
    let token = draft.op("Pad", &[token, &behind], Vec::new());
    let stands = draft.op("Add", &[places, &token], Vec::new());
    let before = draft.integers(&[0, 1, 0, 0, 0, 0]);
    let x = draft.op("Pad", &[&x, &before], Vec::new());
    let mut x = Spot { name: draft.op("Add", &[&x, &stands], Vec::new()), row: vec![patches + 1, width] };
    #[expect(clippy::cast_possible_truncation, reason = "the model's own precision")]
    let epsilon = config.get("layer_norm_eps").and_then(Json::as_f64).unwrap_or(1e-12) as f32;
    let newer = draft.store.has("vit.layers.0.layernorm_before.weight");
    let layers = if newer { "vit.layers" } else { "vit.encoder.layer" };
    let make = Make {
        names: if newer { &NEWER } else { &NAMES },
        heads: number(config, &["num_attention_heads"], Some(12))?,
        function: config.get("hidden_act").and_then(Json::as_str).unwrap_or("gelu"),
        epsilon,
        before: true,
        mask: None,
    };
    for index in 0..number(config, &["num_hidden_layers"], Some(12))? {
        x = blocks::layer(draft, &format!("{layers}.{index}"), &x, &make)?;
    }
    let x = draft.layer_norm("vit.layernorm", &x, epsilon)?;
    let first = blocks::first(draft, &x);
    let scores = draft.linear("classifier", &first, Bias::There)?;
    finish(draft, "classifier", &scores, &names)?;
    Ok(names)
}
