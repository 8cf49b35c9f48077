//! Rows as the detectors see them, and where a request departs from the schema.

use mantlet_vocab::{NamedValue, Tensor, Value};

use super::space::{Place, Space, scales};
use super::{InputProfile, Profile};

/// At most so many departures are kept of a request.
const FAULTS: usize = 32;

/// How far outside the training range a value may lie, in widths of that range, before it is a departure.
const MARGIN: f64 = 0.25;

/// The rows of one request in the profile's space.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// One row a row of the request, standardised and folded.
    pub rows: Tensor<f32>,
    /// Where the request departs from the schema, at most a few dozen.
    pub faults: Vec<SchemaFault>,
}

/// A departure from the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaFault {
    /// The input.
    pub input: String,
    /// The row and column, when one value is meant.
    pub at: Option<(usize, usize)>,
    /// What is wrong, in plain words; never the value of a text.
    pub what: String,
    /// 1.0 where a departure starts to be noticed; wrong names, types and shapes have 10.
    pub score: f64,
}

/// Score of what cannot be the model's input at all.
const WRONG: f64 = 10.0;

/// What encoding needs of a profile, worked out once.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    inputs: Vec<InputPlan>,
    narrow: usize,
}

/// What encoding needs of one input: a list each, so that many values are looked at together.
#[derive(Debug, Clone, Default)]
struct InputPlan {
    /// Widths of the training ranges.
    ranges: Vec<f64>,
    /// Where values are noticed.
    lows: Vec<f32>,
    highs: Vec<f32>,
    /// How they are standardised.
    means: Vec<f32>,
    /// One over the scale, with the sign that folding gives the value.
    by: Vec<f32>,
    /// Where they go.
    at: Vec<u8>,
    places: Vec<Place>,
}

impl Profile {
    /// What encoding needs of this profile.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let space = Space::of(&self.inputs);
        let mut offset = 0;
        let inputs = self.inputs.iter().map(|input| {
            let width: usize = input.columns.iter().map(|column| column.categories.len().max(1)).sum();
            let places = (offset..offset + width).map(|index| space.place(index)).collect();
            offset += width;
            input_plan(input, places)
        });
        Plan { inputs: inputs.collect(), narrow: space.narrow }
    }

    /// The rows of a request as the detectors see them. Inputs the profile does not know, or that are missing or
    /// of another type or shape, are departures; rows are encoded as far as they fit.
    #[must_use]
    pub fn encode(&self, inputs: &[NamedValue]) -> Encoded {
        self.encode_by(&self.plan(), inputs)
    }

    /// The same with a plan made before, which must be of this profile.
    #[must_use]
    pub fn encode_by(&self, plan: &Plan, inputs: &[NamedValue]) -> Encoded {
        let mut faults = Faults(Vec::new());
        for other in inputs {
            if !self.inputs.iter().any(|input| input.name == other.name) {
                faults.add(&other.name, None, "is not an input of the model".into(), WRONG);
            }
        }
        let given: Vec<Option<&Value>> = self
            .inputs
            .iter()
            .map(|input| inputs.iter().find(|other| other.name == input.name).map(|other| &other.value))
            .collect();
        let rows = given.iter().flatten().map(|value| value.shape().first().copied().unwrap_or(1)).max();
        let rows = rows.unwrap_or(0);
        // Rows come from a message whose values are bounded, but a shape like [4000000, 0] is free: such a
        // tensor fits no input with columns and is a fault below, so no rows are made of it.
        let fits = self
            .inputs
            .iter()
            .zip(&given)
            .all(|(input, value)| value.is_some_and(|value| fits(input, value, rows)));
        let mut table = Tensor::full([if fits { rows } else { 0 }, plan.narrow], 0.0_f32);
        for ((input, value), plan) in self.inputs.iter().zip(&given).zip(&plan.inputs) {
            match value {
                None => faults.add(&input.name, None, "is missing".into(), WRONG),
                Some(value) if !fits_kind(input, value) => {
                    faults.add(&input.name, None, format!("is not {}", article(&input.kind)), WRONG);
                }
                Some(value) if !fits_shape(input, value, rows) => {
                    let what = format!("has the shape {:?}, not [{rows}, {:?}]", value.shape(), input.shape);
                    faults.add(&input.name, None, what, WRONG);
                }
                Some(value) if fits => put(input, value, plan, &mut table, &mut faults),
                Some(_) => {}
            }
        }
        if rows == 0 && faults.0.is_empty() {
            faults.add("", None, "the request has no rows".into(), WRONG);
        }
        Encoded { rows: table, faults: faults.0 }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "compared with f32 values; places are below the sketch's width"
)]
fn input_plan(input: &InputProfile, places: Vec<Place>) -> InputPlan {
    let (pooled_min, pooled_max) = input
        .columns
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), c| (min.min(c.min), max.max(c.max)));
    let mut plan = InputPlan::default();
    for ((column, scale), place) in input.columns.iter().zip(scales(input)).zip(&places) {
        let (min, max) = if input.homogeneous { (pooled_min, pooled_max) } else { (column.min, column.max) };
        let range = if max > min { max - min } else { min.abs().max(1.0) };
        plan.ranges.push(range);
        plan.lows.push((min - MARGIN * range) as f32);
        plan.highs.push((max + MARGIN * range) as f32);
        plan.means.push(column.mean as f32);
        plan.by.push((1.0 / scale) as f32 * place.sign());
        plan.at.push(place.at() as u8);
    }
    plan.places = places;
    plan
}

struct Faults(Vec<SchemaFault>);

impl Faults {
    fn add(&mut self, input: &str, at: Option<(usize, usize)>, what: String, score: f64) {
        let fault = SchemaFault { input: input.to_owned(), at, what, score };
        if self.0.len() < FAULTS {
            self.0.push(fault);
        } else if let Some(mildest) = self.0.iter_mut().min_by(|a, b| a.score.total_cmp(&b.score))
            && mildest.score < fault.score
        {
            // However many mild ones come first, the worst is kept.
            *mildest = fault;
        }
    }
}

fn article(kind: &str) -> String {
    if kind == "integer" { format!("an {kind}") } else { format!("a {kind}") }
}

fn fits(input: &InputProfile, value: &Value, rows: usize) -> bool {
    fits_kind(input, value) && fits_shape(input, value, rows)
}

fn fits_kind(input: &InputProfile, value: &Value) -> bool {
    match value {
        Value::Text(_) => input.kind == "text",
        _ => input.kind != "text",
    }
}

fn fits_shape(input: &InputProfile, value: &Value, rows: usize) -> bool {
    let shape = value.shape();
    let (first, rest) = shape.split_first().map_or((1, &[][..]), |(first, rest)| (*first, rest));
    // A column may come as [n] or [n, 1].
    let same = rest == input.shape || (input.columns.len() == 1 && rest.iter().all(|&axis| axis == 1));
    first == rows && same
}

/// Encodes one input into the table.
fn put(input: &InputProfile, value: &Value, plan: &InputPlan, table: &mut Tensor<f32>, faults: &mut Faults) {
    if let Value::Text(texts) = value {
        return put_texts(input, texts, plan, table, faults);
    }
    let held;
    let numbers = match value {
        Value::F32(numbers) => numbers,
        _ => match value.to_f32() {
            Some(numbers) => {
                held = numbers;
                &held
            }
            None => return,
        },
    };
    let width = input.columns.len();
    if width == 0 {
        return;
    }
    for (row, values) in numbers.data().chunks_exact(width).enumerate() {
        let out = table.row_mut(row);
        for (some, values) in values.chunks(TOGETHER).enumerate() {
            let from = some * TOGETHER;
            if !put_inside(values, plan, from, out) {
                for (index, &value) in (from..).zip(values) {
                    put_one(input, plan, (row, index), value, out, faults);
                }
            }
        }
        if input.kind == "integer"
            && let Some(index) = values.iter().position(|value| value.is_finite() && value.fract() != 0.0)
        {
            let what = format!("{} is no whole number", values[index]);
            faults.add(&input.name, Some((row, index)), what, 1.0);
        }
    }
}

/// Values that are looked at together.
const TOGETHER: usize = 64;

/// Encodes values that all lie where they are not noticed; when one does not, says so and does nothing. Standardising
/// and comparing have no branch, so that the compiler does several at once.
fn put_inside(values: &[f32], plan: &InputPlan, from: usize, out: &mut [f32]) -> bool {
    let to = from + values.len();
    let lists =
        (plan.lows.get(from..to), plan.highs.get(from..to), plan.means.get(from..to), plan.by.get(from..to));
    let (Some(lows), Some(highs), Some(means), Some(by)) = lists else { return false };
    let mut standard = [0.0_f32; TOGETHER];
    let mut outside = 0_u32;
    let limits = lows.iter().zip(highs).zip(means.iter().zip(by));
    for ((standard, &value), ((&low, &high), (&mean, &by))) in standard.iter_mut().zip(values).zip(limits) {
        // What is no number is not inside.
        outside |= u32::from(!((value >= low) & (value <= high)));
        *standard = (value - mean) * by;
    }
    if outside != 0 {
        return false;
    }
    for (&at, standard) in plan.at[from..to].iter().zip(standard) {
        out[usize::from(at)] += standard;
    }
    true
}

/// Encodes one value, wherever it lies.
fn put_one(
    input: &InputProfile,
    plan: &InputPlan,
    (row, index): (usize, usize),
    value: f32,
    out: &mut [f32],
    faults: &mut Faults,
) {
    let (range, low, high) = (plan.ranges[index], plan.lows[index], plan.highs[index]);
    let standard = (value - plan.means[index]) * plan.by[index];
    let at = usize::from(plan.at[index]);
    if value >= low && value <= high {
        out[at] += standard;
        return;
    }
    let column = &input.columns[index];
    if value.is_nan() {
        if column.missing == 0.0 {
            let what = "is missing where no training row misses it".into();
            faults.add(&input.name, Some((row, index)), what, WRONG);
        }
        return;
    }
    let over = f64::from(if value < low { low - value } else { value - high }) / (MARGIN * range);
    let what = format!("{value} lies outside the training range {} to {}", column.min, column.max);
    faults.add(&input.name, Some((row, index)), what, 1.0 + over.min(1e6));
    // A huge value must not drown every other column, nor become infinite.
    out[at] += standard.clamp(-1e4, 1e4);
}

fn put_texts(
    input: &InputProfile,
    texts: &Tensor<String>,
    plan: &InputPlan,
    table: &mut Tensor<f32>,
    faults: &mut Faults,
) {
    let width = input.columns.len().max(1);
    for (row, values) in texts.data().chunks_exact(width).enumerate() {
        let out = table.row_mut(row);
        let mut place = 0;
        for (index, (text, column)) in values.iter().zip(&input.columns).enumerate() {
            // Two different categories are one standard unit apart, whatever their number.
            match column.categories.iter().position(|(known, _)| known == text) {
                Some(found) => {
                    if let Some(place) = plan.places.get(place + found) {
                        place.put(out, std::f32::consts::FRAC_1_SQRT_2);
                    }
                }
                None if column.categories.is_empty() => {}
                None => {
                    let what = "is a category no training row has".into();
                    faults.add(&input.name, Some((row, index)), what, 1.0);
                }
            }
            place += column.categories.len().max(1);
        }
    }
}
