//! Tensors of two versions: paired by name, compared as streams.

use std::collections::BTreeMap;

use mantlet_formats::Bounds;
use mantlet_formats::weights::{self, Dtype, TensorInfo};
use mantlet_vocab::{Digest, Source, SourceError, SubSource, read_exact_at};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Change, FileChange, MAX_CHANGES, TensorChange, TensorSide};

/// How far apart two tensors of one type and shape are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// Share of the elements (of the bytes, for quantised blocks) that are not the same.
    pub changed: f64,
    /// Length of the difference relative to the length of the old tensor; absent for quantised blocks, and when
    /// the old tensor is all zeros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<f64>,
    /// The largest difference of one element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest: Option<f64>,
}

/// Divisible by every element width.
const CHUNK: usize = 64 << 10;

/// Whether two sources hold the same bytes.
pub(super) fn equal(old: &dyn Source, new: &dyn Source) -> Result<bool, SourceError> {
    if old.len() != new.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut at = 0;
    while at < old.len() {
        let (x, y) = (read_exact_at(old, at, &mut a)?, read_exact_at(new, at, &mut b)?);
        if a[..x] != b[..y] {
            return Ok(false);
        }
        if x == 0 {
            break;
        }
        at += x as u64;
    }
    Ok(true)
}

fn side(tensor: &TensorInfo, source: &dyn Source) -> TensorSide {
    let inner = SubSource::new(source, tensor.start, tensor.len);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    let digest = loop {
        match read_exact_at(&inner, at, &mut buffer) {
            Ok(0) => break Some(Digest(hasher.finalize().into())),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                at += count as u64;
            }
            Err(_) => break None,
        }
    };
    TensorSide { dtype: tensor.dtype.name(), shape: tensor.shape.clone(), digest }
}

/// Told of each element that is not the same: its number, and its bytes before and after.
pub(crate) type Each<'a> = &'a mut dyn FnMut(u64, &[u8], &[u8]);

/// The distance of two tensors of one type and length, and whether their bytes are the same.
pub(crate) fn compare(
    dtype: &Dtype,
    old: &dyn Source,
    new: &dyn Source,
    each: Each<'_>,
) -> Result<(bool, Distance), SourceError> {
    let width = dtype.width().unwrap_or(1) as usize;
    let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut at, mut elements, mut changed) = (0_u64, 0_u64, 0_u64);
    let (mut norm, mut apart, mut largest) = (0.0_f64, 0.0_f64, 0.0_f64);
    while at < old.len() {
        let count = read_exact_at(old, at, &mut a)?.min(read_exact_at(new, at, &mut b)?);
        if count == 0 {
            break;
        }
        for (index, (x, y)) in a[..count].chunks_exact(width).zip(b[..count].chunks_exact(width)).enumerate()
        {
            elements += 1;
            let value = weights::value(dtype, x);
            if let Some(value) = value.filter(|value| value.is_finite()) {
                norm += value * value;
            }
            if x == y {
                continue;
            }
            changed += 1;
            each(at / width as u64 + index as u64, x, y);
            if let (Some(before), Some(after)) = (value, weights::value(dtype, y)) {
                let step = (after - before).abs();
                largest = if step.is_nan() { f64::INFINITY } else { largest.max(step) };
                apart += if step.is_finite() { step * step } else { 0.0 };
            }
        }
        at += count as u64;
    }
    let numbers = dtype.width().is_some() && changed > 0;
    let distance = Distance {
        changed: changed as f64 / elements.max(1) as f64,
        relative: (numbers && norm > 0.0).then(|| (apart / norm).sqrt()),
        largest: (numbers && largest.is_finite()).then_some(largest),
    };
    Ok((changed == 0 && old.len() == new.len(), distance))
}

pub(super) fn tensors(
    old: &dyn Source,
    new: &dyn Source,
    bounds: &Bounds,
    change: &mut FileChange,
    limits: &mut Vec<String>,
) {
    let raw = |source: &dyn Source| {
        // A member of a PyTorch archive is the bytes of one storage.
        let member = change.path.contains('!') && change.path.rsplit('!').next()?.starts_with("data/");
        let dtype = Dtype::Other("storage".into());
        let tensor = TensorInfo { name: String::new(), dtype, shape: vec![], start: 0, len: source.len() };
        member.then(|| weights::Listing { tensors: vec![tensor], limits: vec![] })
    };
    let list = |source: &dyn Source| weights::list(source, bounds).or_else(|| raw(source));
    let (Some(before), Some(after)) = (list(old), list(new)) else { return };
    let mut said = before.limits;
    said.extend(after.limits);
    said.sort();
    said.dedup();
    limits.extend(said);
    let map = |tensors: Vec<TensorInfo>| -> BTreeMap<String, TensorInfo> {
        tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect()
    };
    let (before, after) = (map(before.tensors), map(after.tensors));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (a, b) = (before.get(name), after.get(name));
        let mut distance = None;
        if let (Some(a), Some(b)) = (a, b)
            && a.dtype == b.dtype
            && a.shape == b.shape
            && a.len == b.len
        {
            let (x, y) = (SubSource::new(old, a.start, a.len), SubSource::new(new, b.start, b.len));
            match compare(&a.dtype, &x, &y, &mut |_, _, _| {}) {
                Ok((true, _)) => {
                    change.same_tensors += 1;
                    continue;
                }
                Ok((false, found)) => distance = Some(found),
                Err(error) => limits.push(format!("tensor `{name}`: {error}")),
            }
        }
        if change.tensors.len() >= MAX_CHANGES {
            limits.push(format!("more than {MAX_CHANGES} tensors changed"));
            break;
        }
        change.tensors.push(TensorChange {
            name: name.clone(),
            change: match (a, b) {
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
                _ => Change::Changed,
            },
            old: a.map(|tensor| side(tensor, old)),
            new: b.map(|tensor| side(tensor, new)),
            distance,
        });
    }
}
