//! What layers of several kinds of networks are made of: functions of each value, and attention.

use super::draft::{Bias, Draft, Spot, float, int, ints, word};
use super::misfit;
use crate::ModelError;

/// The functions of each value, by name; those of `config.json` among them.
pub(super) const FUNCTIONS: [&str; 17] = [
    "relu",
    "gelu",
    "gelu_tanh",
    "silu",
    "tanh",
    "sigmoid",
    "leaky_relu",
    "elu",
    "selu",
    "softplus",
    "mish",
    "relu6",
    "hard_sigmoid",
    "hard_swish",
    "softsign",
    "log_sigmoid",
    "identity",
];

/// A function of each value. `slope` is that of a leaky ReLU below zero, or the depth of an ELU.
pub(super) fn function(draft: &mut Draft, kind: &str, x: &Spot, slope: Option<f32>) -> Option<Spot> {
    let plain = |draft: &mut Draft, kind: &str| Some(draft.map(kind, x, Vec::new()));
    match kind {
        "relu" => plain(draft, "Relu"),
        "gelu" => plain(draft, "Gelu"),
        "gelu_tanh" | "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => {
            Some(draft.map("Gelu", x, vec![word("approximate", "tanh")]))
        }
        "silu" | "swish" => {
            let gate = draft.op("Sigmoid", &[&x.name], Vec::new());
            Some(Spot { name: draft.op("Mul", &[&x.name, &gate], Vec::new()), row: x.row.clone() })
        }
        "tanh" => plain(draft, "Tanh"),
        "sigmoid" => plain(draft, "Sigmoid"),
        "leaky_relu" => Some(draft.map("LeakyRelu", x, vec![float("alpha", slope.unwrap_or(0.01))])),
        "elu" => Some(draft.map("Elu", x, vec![float("alpha", slope.unwrap_or(1.0))])),
        "selu" => plain(draft, "Selu"),
        "softplus" => plain(draft, "Softplus"),
        "mish" => plain(draft, "Mish"),
        "relu6" => {
            let (low, high) = (draft.number(0.0), draft.number(6.0));
            Some(Spot { name: draft.op("Clip", &[&x.name, &low, &high], Vec::new()), row: x.row.clone() })
        }
        "hard_sigmoid" => {
            Some(draft.map("HardSigmoid", x, vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)]))
        }
        "hard_swish" => plain(draft, "HardSwish"),
        "softsign" => plain(draft, "Softsign"),
        "log_sigmoid" => {
            // log(1 / (1 + e^-x)) is -softplus(-x).
            let minus = draft.op("Neg", &[&x.name], Vec::new());
            let soft = draft.op("Softplus", &[&minus], Vec::new());
            Some(Spot { name: draft.op("Neg", &[&soft], Vec::new()), row: x.row.clone() })
        }
        "identity" | "dropout" => Some(x.clone()),
        _ => None,
    }
}

/// What the layers of one family of encoders are called.
pub(super) struct Names {
    pub(super) query: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    pub(super) out: &'static str,
    pub(super) first_norm: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
    pub(super) second_norm: &'static str,
}

/// What the layers of one encoder have in common.
pub(super) struct Make<'a> {
    pub(super) names: &'a Names,
    pub(super) heads: usize,
    pub(super) function: &'a str,
    pub(super) epsilon: f32,
    /// Whether the norms stand before what they norm for.
    pub(super) before: bool,
    /// Added to how much each word looks at another, `[n, 1, 1, length]`.
    pub(super) mask: Option<String>,
}

/// One layer of an encoder over rows of `[length, width]`.
pub(super) fn layer(draft: &mut Draft, at: &str, x: &Spot, make: &Make<'_>) -> Result<Spot, ModelError> {
    let names = make.names;
    let place = |name: &str| format!("{at}.{name}");
    let sum = |draft: &mut Draft, a: &Spot, b: &Spot| Spot {
        name: draft.op("Add", &[&a.name, &b.name], Vec::new()),
        row: a.row.clone(),
    };
    let wide = |draft: &mut Draft, x: &Spot| {
        let up = draft.linear(&place(names.up), x, Bias::There)?;
        let Some(bent) = function(draft, make.function, &up, None) else {
            let reason = format!("`{}` is not known; there are {}", make.function, FUNCTIONS.join(", "));
            return Err(misfit("the activation of the config.json", reason));
        };
        draft.linear(&place(names.down), &bent, Bias::There)
    };
    if make.before {
        let normed = draft.layer_norm(&place(names.first_norm), x, make.epsilon)?;
        let seen = attention(draft, at, &normed, make)?;
        let x = sum(draft, x, &seen);
        let normed = draft.layer_norm(&place(names.second_norm), &x, make.epsilon)?;
        let thought = wide(draft, &normed)?;
        return Ok(sum(draft, &x, &thought));
    }
    let seen = attention(draft, at, x, make)?;
    let x = sum(draft, x, &seen);
    let x = draft.layer_norm(&place(names.first_norm), &x, make.epsilon)?;
    let thought = wide(draft, &x)?;
    let x = sum(draft, &x, &thought);
    draft.layer_norm(&place(names.second_norm), &x, make.epsilon)
}

/// Each place looks at all places of its row.
fn attention(draft: &mut Draft, at: &str, x: &Spot, make: &Make<'_>) -> Result<Spot, ModelError> {
    let names = make.names;
    let width = x.row.last().copied().unwrap_or(0);
    if make.heads == 0 || !width.is_multiple_of(make.heads) {
        let reason = format!("{} heads do not share {width} values", make.heads);
        return Err(misfit(format!("`{at}`"), reason));
    }
    let part = width / make.heads;
    let apart =
        draft.integers(&[0, 0, super::draft::whole(&[make.heads])[0], super::draft::whole(&[part])[0]]);
    let split = |draft: &mut Draft, name: &str, order: &[usize]| -> Result<String, ModelError> {
        let y = draft.linear(&format!("{at}.{name}"), x, Bias::Maybe)?;
        if y.row != x.row {
            return Err(misfit(format!("`{at}.{name}`"), format!("it gives {:?} of {:?}", y.row, x.row)));
        }
        let y = draft.op("Reshape", &[&y.name, &apart], Vec::new());
        Ok(draft.op("Transpose", &[&y], vec![ints("perm", order)]))
    };
    let query = split(draft, names.query, &[0, 2, 1, 3])?;
    let key = split(draft, names.key, &[0, 2, 3, 1])?;
    let value = split(draft, names.value, &[0, 2, 1, 3])?;
    let near = draft.op("MatMul", &[&query, &key], Vec::new());
    #[expect(clippy::cast_precision_loss, reason = "the width of a head")]
    let scale = draft.number(1.0 / (part as f32).sqrt());
    let mut near = draft.op("Mul", &[&near, &scale], Vec::new());
    if let Some(mask) = &make.mask {
        near = draft.op("Add", &[&near, mask], Vec::new());
    }
    let share = draft.op("Softmax", &[&near], vec![int("axis", -1)]);
    let seen = draft.op("MatMul", &[&share, &value], Vec::new());
    let seen = draft.op("Transpose", &[&seen], vec![ints("perm", &[0, 2, 1, 3])]);
    let together = draft.integers(&[0, 0, super::draft::whole(&[width])[0]]);
    let seen = Spot { name: draft.op("Reshape", &[&seen, &together], Vec::new()), row: x.row.clone() };
    draft.linear(&format!("{at}.{}", names.out), &seen, Bias::There)
}

/// The first place of each row.
pub(super) fn first(draft: &mut Draft, x: &Spot) -> Spot {
    let zero = draft.integer(0);
    Spot { name: draft.op("Gather", &[&x.name, &zero], vec![int("axis", 1)]), row: x.row[1..].to_vec() }
}
