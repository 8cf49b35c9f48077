//! `Einsum` of one or two operands, as sums over named axes.

use std::collections::BTreeMap;

use mantlet_vocab::{Tensor, Value};

use super::{Edge, Gradients, Inputs, Operator, Pass, strides};
use crate::run::{Fail, Run, count};
use crate::values::{like, require_float, singles};

/// Axes of the operands and of the result by letter.
pub(super) struct Einsum {
    operands: Vec<Vec<char>>,
    result: Vec<char>,
}

impl Einsum {
    pub(super) fn new(equation: &str) -> Result<Self, Fail> {
        let equation: String = equation.chars().filter(|letter| !letter.is_whitespace()).collect();
        if equation.contains('.') {
            return Err("an equation with an ellipsis is not supported".into());
        }
        let (left, right) = match equation.split_once("->") {
            Some((left, right)) => (left.to_owned(), Some(right.to_owned())),
            None => (equation, None),
        };
        let operands: Vec<Vec<char>> = left.split(',').map(|part| part.chars().collect()).collect();
        let mut times: BTreeMap<char, usize> = BTreeMap::new();
        operands.iter().flatten().for_each(|letter| *times.entry(*letter).or_default() += 1);
        // Without a right side: letters met once, in order.
        let once = || times.iter().filter(|(_, times)| **times == 1).map(|(letter, _)| *letter).collect();
        let result: Vec<char> = right.map_or_else(once, |right| right.chars().collect());
        let letters = times.keys().chain(&result).all(|letter| letter.is_ascii_alphabetic());
        if !letters || result.iter().any(|letter| !times.contains_key(letter)) || operands.len() > 2 {
            return Err("the equation is not one of one or two operands".into());
        }
        let repeated = |list: &[char]| (1..list.len()).any(|at| list[..at].contains(&list[at]));
        if repeated(&result) || operands.iter().any(|operand| repeated(operand)) {
            return Err("an axis repeated within an operand is not supported".into());
        }
        Ok(Self { operands, result })
    }

    fn lengths(&self, shapes: &[&[usize]]) -> Result<BTreeMap<char, usize>, Fail> {
        let mut lengths = BTreeMap::new();
        if shapes.len() != self.operands.len() {
            return Err(
                format!("{} operands for {} in the equation", shapes.len(), self.operands.len()).into()
            );
        }
        for (letters, shape) in self.operands.iter().zip(shapes) {
            if letters.len() != shape.len() {
                return Err(format!("an operand of shape {shape:?} for {} axes", letters.len()).into());
            }
            for (letter, &length) in letters.iter().zip(*shape) {
                if *lengths.entry(*letter).or_insert(length) != length {
                    return Err(format!("axis `{letter}` has two lengths").into());
                }
            }
        }
        Ok(lengths)
    }
}

/// Sums the products of the parts over every axis that the target does not have. Each part is its letters and
/// values; a letter that only the target has repeats.
fn contract(
    run: &Run,
    lengths: &BTreeMap<char, usize>,
    parts: &[(&[char], &[f32])],
    target: (&[char], &mut [f32]),
) -> Result<(), Fail> {
    let (letters, out) = target;
    // The target's axes first, then the summed ones: the inner loop stays on one result.
    let mut order: Vec<char> = letters.to_vec();
    for letter in parts.iter().flat_map(|(letters, _)| *letters) {
        if !order.contains(letter) {
            order.push(*letter);
        }
    }
    let shape: Vec<usize> = order.iter().map(|letter| lengths[letter]).collect();
    let steps = |letters: &[char]| -> Vec<usize> {
        let own: Vec<usize> = letters.iter().map(|letter| lengths[letter]).collect();
        let own = strides(&own);
        let step = |letter: &char| letters.iter().position(|own| own == letter).map_or(0, |at| own[at]);
        order.iter().map(step).collect()
    };
    let target_steps = steps(letters);
    let part_steps: Vec<Vec<usize>> = parts.iter().map(|(letters, _)| steps(letters)).collect();
    let total = count(&shape)?;
    let mut index = vec![0; shape.len()];
    let mut places = vec![0; parts.len()];
    let mut to = 0;
    for turn in 0..total {
        if turn & 0xf_ffff == 0 {
            run.tick()?;
        }
        out[to] += parts.iter().zip(&places).map(|((_, values), &at)| values[at]).product::<f32>();
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            to += target_steps[axis];
            places.iter_mut().zip(&part_steps).for_each(|(place, steps)| *place += steps[axis]);
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
            to -= target_steps[axis] * shape[axis];
            places.iter_mut().zip(&part_steps).for_each(|(place, steps)| *place -= steps[axis] * shape[axis]);
        }
    }
    Ok(())
}

impl Operator for Einsum {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let values = inputs.all()?;
        values.iter().try_for_each(|value| require_float(value))?;
        let shapes: Vec<&[usize]> = values.iter().map(|value| value.shape()).collect();
        let lengths = self.lengths(&shapes)?;
        let shape: Vec<usize> = self.result.iter().map(|letter| lengths[letter]).collect();
        let mut out = run.zeros(&shape)?;
        let data = values.iter().map(|value| singles(value)).collect::<Result<Vec<_>, _>>()?;
        let parts: Vec<(&[char], &[f32])> =
            self.operands.iter().zip(&data).map(|(letters, data)| (&letters[..], &data[..])).collect();
        contract(run, &lengths, &parts, (&self.result, out.data_mut()))?;
        Ok(vec![like(values[0], out)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let values = pass.inputs.all()?;
        let shapes: Vec<&[usize]> = values.iter().map(|value| value.shape()).collect();
        let lengths = self.lengths(&shapes)?;
        let data = values.iter().map(|value| singles(value)).collect::<Result<Vec<_>, _>>()?;
        let mut out = Vec::with_capacity(values.len());
        for (index, shape) in shapes.iter().enumerate() {
            if !pass.wants(index) {
                out.push(None);
                continue;
            }
            let mut own = run.zeros(shape)?;
            let mut parts: Vec<(&[char], &[f32])> = vec![(&self.result, gradient.data())];
            let others = self.operands.iter().zip(&data).enumerate().filter(|(other, _)| *other != index);
            parts.extend(others.map(|(_, (letters, data))| (&letters[..], &data[..])));
            contract(run, &lengths, &parts, (&self.operands[index], own.data_mut()))?;
            out.push(Some(own));
        }
        run.give(gradient.into_data());
        Ok(out)
    }
}
