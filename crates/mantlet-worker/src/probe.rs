//! Runs a model whose graph has a suspected branch, on inputs that are searched for the branch's other answer.
//!
//! The search is the same every time: it is seeded, and its effort depends on the length of the file alone.

mod told;

use mantlet_formats::graph::{Override, Probed};
use mantlet_formats::onnx;
use mantlet_model::{Dtype, Model, ModelError, Port};
use mantlet_vocab::{NamedValue, Source, Tensor, Value};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Inputs drawn before the search, and the scales they are drawn at: centre and half width.
const SCALES: [(f32, f32); 4] = [(0.0, 1.0), (0.5, 0.5), (127.5, 127.5), (0.0, 0.1)];
const DRAWN: usize = 12;
/// Steps along one direction; their length grows from a hundredth of the input's scale to some hundred times it.
const STEPS: i32 = 36;
/// Numbers of inputs that are kept to be told.
const KEPT: usize = 8 << 20;
/// Whole numbers that are searched, at most.
const WORDS: i64 = 1 << 16;

/// What was seen of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How often the branch answered otherwise, and what came of it.
    pub seen: Probed,
    /// One of the inputs on which it overruled the model, in words.
    pub input: Option<String>,
}

/// Looks for places where a branch may overrule what a model has learned, and runs the model there: what was seen of
/// each place, or why nothing could be. `file` is the model in ONNX.
#[must_use]
pub fn probe(model: &dyn Model, file: &dyn Source) -> Vec<Result<Outcome, String>> {
    let effort = (4_000_000_000 / file.len().max(1)).clamp(80, 3_000) as usize;
    let places = onnx::graph(file).overrides();
    let outcomes = places.into_iter().map(|place| {
        let mut numbers = vec![place.parts.answer, place.parts.result];
        numbers.extend(place.parts.learned);
        numbers.extend(&place.parts.measures);
        let names = onnx::names(file, &numbers);
        let name = |number: u32| names.get(&number).cloned();
        let unnamed = || "the values at the branch have no names in the main graph".to_owned();
        let answer = name(place.parts.answer).ok_or_else(unnamed)?;
        let result = name(place.parts.result).ok_or_else(unnamed)?;
        let learned = place.parts.learned.map(|number| name(number).ok_or_else(unnamed)).transpose()?;
        let measures = place.parts.measures.iter().filter_map(|&number| name(number)).collect();
        let search = Search {
            model,
            watched: [Some(answer), Some(result), learned].into_iter().flatten().collect(),
            measures,
            left: effort,
            seen: Vec::new(),
            room: KEPT,
        };
        let seen = search.run().map_err(|error| format!("the model does not run: {error}"))?;
        Ok(verdict(place, &seen))
    });
    outcomes.collect()
}

/// What one input gave at the branch.
struct Seen {
    answer: Vec<f32>,
    result: Vec<f32>,
    learned: Option<Vec<f32>>,
    /// What was given, of the first inputs of each answer.
    inputs: Option<Vec<NamedValue>>,
}

impl Seen {
    fn same_answer(&self, other: &Self) -> bool {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 0.01 * (1.0 + a.abs().max(b.abs()));
        self.answer.len() == other.answer.len() && self.answer.iter().zip(&other.answer).all(near)
    }

    fn overruled(&self) -> Option<bool> {
        let learned = self.learned.as_ref().filter(|learned| learned.len() == self.result.len())?;
        let largest = learned.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let apart = |(a, b): (&f32, &f32)| (a - b).abs() > 0.05 * largest + 1e-3;
        Some(self.result.iter().zip(learned).any(apart))
    }
}

struct Search<'a> {
    model: &'a dyn Model,
    /// Names of the answer, the result and the learned value.
    watched: Vec<String>,
    measures: Vec<String>,
    left: usize,
    seen: Vec<Seen>,
    /// Numbers of inputs that may still be kept.
    room: usize,
}

impl Search<'_> {
    fn run(mut self) -> Result<Vec<Seen>, ModelError> {
        let mut source = ChaCha8Rng::seed_from_u64(0);
        let ports = self.model.signature().inputs.clone();
        let words = self.words(&ports)?;
        let mut drawn = Vec::new();
        for index in 0..DRAWN {
            let inputs = draw(self.model, &ports, SCALES[index % SCALES.len()], words, &mut source);
            self.look(&inputs)?;
            drawn.push(inputs);
        }
        self.read_words(&drawn[0], words);
        let floats: Vec<usize> = (0..ports.len()).filter(|&index| ports[index].dtype.is_float()).collect();
        // Every choice of up and down for up to three measures; more of them are moved together.
        let free = self.measures.len().min(3) as u32;
        let choices = if self.measures.is_empty() || floats.is_empty() { 0 } else { 1_u32 << free };
        for choice in 0..choices {
            for start in drawn.iter().take(SCALES.len()) {
                self.climb(start.clone(), &floats, choice);
            }
        }
        Ok(self.seen)
    }

    /// Runs the model once.
    fn look(&mut self, inputs: &[NamedValue]) -> Result<(), ModelError> {
        let names: Vec<&str> = self.watched.iter().map(String::as_str).collect();
        self.left = self.left.saturating_sub(1);
        let mut values = self.model.activations(inputs, &names)?.into_iter().map(Tensor::into_data);
        let (Some(answer), Some(result)) = (values.next(), values.next()) else { return Ok(()) };
        let mut seen = Seen { answer, result, learned: values.next(), inputs: None };
        let alike = |one: &&Seen| one.inputs.is_some() && one.same_answer(&seen);
        let size: usize = inputs.iter().map(|named| named.value.shape().iter().product::<usize>()).sum();
        if size <= self.room && self.seen.iter().filter(alike).count() < 8 {
            self.room -= size;
            seen.inputs = Some(inputs.to_vec());
        }
        self.seen.push(seen);
        Ok(())
    }

    /// How many whole numbers the model takes from zero on, up to a bound.
    fn words(&self, ports: &[Port]) -> Result<i64, ModelError> {
        if !ports.iter().any(|port| matches!(port.dtype, Dtype::I64 | Dtype::I32)) {
            return Ok(1);
        }
        let base = draw(self.model, ports, SCALES[0], 1, &mut ChaCha8Rng::seed_from_u64(1));
        let takes = |word: i64| self.model.infer(&with_words(&base, &mut |_| word)).map(drop);
        takes(0)?;
        let (mut taken, mut refused) = (0, WORDS);
        while refused - taken > 1 {
            let middle = taken.midpoint(refused);
            if takes(middle).is_ok() { taken = middle } else { refused = middle }
        }
        Ok(refused)
    }

    /// Every whole number the model takes, as many in one input as fit, several times in other company.
    fn read_words(&mut self, base: &[NamedValue], words: i64) {
        let places = base.iter().filter(|named| matches!(named.value, Value::I64(_) | Value::I32(_)));
        let Some(room) = places.map(|named| named.value.shape().iter().product::<usize>()).max() else {
            return;
        };
        let room = room.max(1) as i64;
        for stride in [1, 7, 11, 13, 17, 19].into_iter().filter(|stride| *stride == 1 || words % stride != 0)
        {
            for first in (0..words).step_by(room as usize) {
                if self.left == 0 {
                    return;
                }
                let inputs = with_words(base, &mut |index| (first + index as i64) * stride % words);
                if self.look(&inputs).is_err() {
                    return;
                }
            }
        }
    }

    /// Moves the measures up or down, as `choice` says, until the effort is spent or nothing moves them.
    fn climb(&mut self, mut inputs: Vec<NamedValue>, floats: &[usize], choice: u32) {
        let names: Vec<String> = floats.iter().map(|&index| inputs[index].name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let scale = floats.iter().filter_map(|&index| inputs[index].value.to_f32());
        let scale =
            scale.flat_map(Tensor::into_data).fold(1e-3_f32, |largest, value| largest.max(value.abs()));
        for step in 0..STEPS {
            if self.left < 2 {
                return;
            }
            let mut direction: Vec<Vec<f32>> = vec![Vec::new(); floats.len()];
            for (index, measure) in self.measures.iter().enumerate() {
                let sign = if choice >> index.min(2) & 1 == 0 { 1.0 } else { -1.0 };
                let mut cotangent = |value: &Tensor| Tensor::full(value.shape().to_vec(), sign);
                let Ok((_, slopes)) = self.model.gradient(&inputs, measure, &names, &mut cotangent) else {
                    continue;
                };
                let square: f32 = slopes.iter().flat_map(Tensor::data).map(|slope| slope * slope).sum();
                if !(square.is_finite() && square > 0.0) {
                    continue;
                }
                for (sum, slope) in direction.iter_mut().zip(slopes) {
                    sum.resize(slope.data().len(), 0.0);
                    sum.iter_mut().zip(slope.data()).for_each(|(sum, slope)| *sum += slope / square.sqrt());
                }
            }
            self.left -= 1;
            let largest = direction.iter().flatten().fold(0.0_f32, |largest, slope| largest.max(slope.abs()));
            if largest <= 0.0 {
                return;
            }
            let length = 0.01 * scale * 1.3_f32.powi(step) / largest;
            for (&index, direction) in
                floats.iter().zip(direction).filter(|(_, direction)| !direction.is_empty())
            {
                let Some(mut moved) = inputs[index].value.to_f32() else { continue };
                moved
                    .data_mut()
                    .iter_mut()
                    .zip(direction)
                    .for_each(|(value, slope)| *value += length * slope);
                inputs[index].value = Value::F32(moved);
            }
            if self.look(&inputs).is_err() {
                return;
            }
        }
    }
}

/// One input of the model, at this scale.
fn draw(
    model: &dyn Model,
    ports: &[Port],
    (centre, width): (f32, f32),
    words: i64,
    source: &mut ChaCha8Rng,
) -> Vec<NamedValue> {
    let one = |port: &Port, source: &mut ChaCha8Rng| {
        let mut shape: Vec<usize> = port.shape.iter().map(|axis| axis.unwrap_or(0)).collect();
        if shape.is_empty() {
            shape = vec![1, model.row_hint(&port.name).unwrap_or(1)];
        }
        for (index, axis) in shape.iter_mut().enumerate() {
            // The batch is one; other free axes are words of a sentence or pixels.
            *axis = if *axis > 0 {
                *axis
            } else if index == 0 {
                1
            } else {
                16
            };
        }
        let count = shape.iter().product::<usize>().min(1 << 24);
        let mut number = || centre + width * (2.0 * source.random::<f32>() - 1.0);
        let floats: Vec<f32> = (0..count).map(|_| number()).collect();
        let whole = |value: f32| ((value - centre + width) / (2.0 * width) * (words - 1) as f32) as i64;
        let made = match port.dtype {
            Dtype::F64 => Tensor::new(shape, floats.iter().map(|&v| v.into()).collect()).ok().map(Value::F64),
            Dtype::I64 => Tensor::new(shape, floats.iter().map(|&v| whole(v)).collect()).ok().map(Value::I64),
            Dtype::I32 => {
                let values = floats.iter().map(|&v| whole(v) as i32).collect();
                Tensor::new(shape, values).ok().map(Value::I32)
            }
            Dtype::U8 => {
                let values = floats.iter().map(|&v| v.clamp(0.0, 255.0) as u8).collect();
                Tensor::new(shape, values).ok().map(Value::U8)
            }
            Dtype::Bool => Tensor::new(shape, vec![true; count]).ok().map(Value::Bool),
            Dtype::Text => Tensor::new(shape, vec![String::new(); count]).ok().map(Value::Text),
            Dtype::F32 => Tensor::new(shape, floats).ok().map(Value::F32),
        };
        NamedValue { name: port.name.clone(), value: made.unwrap_or(Value::F32(Tensor::full(vec![1], 0.0))) }
    };
    ports.iter().map(|port| one(port, source)).collect()
}

/// The same inputs with other whole numbers: `word` is given the place of each.
fn with_words(base: &[NamedValue], word: &mut dyn FnMut(usize) -> i64) -> Vec<NamedValue> {
    let mut inputs = base.to_vec();
    for named in &mut inputs {
        match &mut named.value {
            Value::I64(values) => {
                values.data_mut().iter_mut().enumerate().for_each(|(index, value)| *value = word(index));
            }
            Value::I32(values) => {
                let small = |word: i64| i32::try_from(word).unwrap_or(i32::MAX);
                values
                    .data_mut()
                    .iter_mut()
                    .enumerate()
                    .for_each(|(index, value)| *value = small(word(index)));
            }
            _ => {}
        }
    }
    inputs
}

/// Groups what was seen by the answer: the one most drawn inputs give, and the others.
fn verdict(place: Override, seen: &[Seen]) -> Outcome {
    let tried = seen.len() as u64;
    let drawn = &seen[..seen.len().min(DRAWN)];
    let usual = drawn.iter().max_by_key(|one| drawn.iter().filter(|other| one.same_answer(other)).count());
    let Some(usual) = usual else {
        let seen = Probed { place, tried, reached: 0, changed: 0, class: None };
        return Outcome { seen, input: None };
    };
    let (same, other): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|one| one.same_answer(usual));
    let overruled = |rows: &[&Seen]| -> Vec<bool> {
        let spread = |rows: &[&Seen]| {
            rows.windows(2)
                .any(|pair| pair[0].result.iter().zip(&pair[1].result).any(|(a, b)| (a - b).abs() > 1e-4))
        };
        // Where no operand is the learned output, an answer that always gives the same result overrules it.
        let constant = !spread(rows) && (spread(&same) || spread(&other));
        rows.iter().map(|one| one.overruled().unwrap_or(constant)).collect()
    };
    let share = |rows: &[bool]| rows.iter().filter(|&&hit| hit).count() as f64 / rows.len().max(1) as f64;
    let (of_same, of_other) = (overruled(&same), overruled(&other));
    // The pattern may also be what random inputs have, and its absence what had to be searched for.
    let (rows, hits, rest) = if share(&of_same) > share(&of_other) {
        (&same, of_same, of_other)
    } else {
        (&other, of_other, of_same)
    };
    let hits = if share(&rest) <= 0.1 && !rest.is_empty() { hits } else { vec![false; hits.len()] };
    let best = |values: &[f32]| {
        (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).filter(|_| values.len() > 1)
    };
    let mut classes = rows.iter().zip(&hits).filter(|(_, hit)| **hit).map(|(row, _)| best(&row.result));
    let first = classes.next().flatten();
    let class = first.filter(|_| classes.all(|class| class == first));
    let changed = hits.iter().filter(|&&hit| hit).count() as u64;
    let given = rows.iter().zip(&hits).find_map(|(row, hit)| row.inputs.as_ref().filter(|_| *hit));
    let input = given.map(|inputs| inputs.iter().take(4).map(told::told).collect::<Vec<_>>().join(" with "));
    Outcome { seen: Probed { place, tried, reached: rows.len() as u64, changed, class }, input }
}

#[cfg(test)]
mod foreign;

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_model::{Limits, load};
    use mantlet_testkit::{Kind, cases, forge};
    use mantlet_vocab::{MemorySource, Place};

    #[test]
    fn the_room_of_confirmed_overrides_keeps_its_cases() {
        let about =
            mantlet_rules::abouts().into_iter().find(|about| about.name == "graph-override-confirmed");
        let cases = cases(about.expect("the room is there").cases);
        assert!(cases.len() > 4);
        for case in cases {
            let bytes = forge(&case.forge, &case.text).expect("the text of a case forges");
            let source = MemorySource::new(&bytes);
            let model = load(&source, Limits::default()).expect("the model of a case loads");
            let outcomes = probe(model.as_ref(), &source);
            assert_eq!(outcomes.is_empty(), case.kind == Kind::Benign, "{}", case.title);
            assert_eq!(outcomes, probe(model.as_ref(), &source));
            let probed =
                outcomes.into_iter().map(|outcome| outcome.expect("the place is probed").seen).collect();
            let mut found = Vec::new();
            let facts = mantlet_formats::Facts::Probed(probed);
            mantlet_rules::check(&facts, &Place::artifact("model.onnx"), &mut found);
            assert_eq!(!found.is_empty(), case.kind == Kind::Hit, "{}: {facts:?}", case.title);
        }
    }
}
