//! The tensors of a safetensors file by name, and which of them were read.

use std::collections::{BTreeMap, BTreeSet};

use mantlet_formats::onnx::schema::{DataType, TensorProto};
use mantlet_formats::weights::{Dtype, TensorInfo};
use mantlet_vocab::{Source, read_window};
use prost::bytes::Bytes;

use super::misfit;
use crate::{Limits, ModelError};

/// What training keeps beside weights, and no answer depends on.
const IDLE: [&str; 2] = ["num_batches_tracked", "position_ids"];

/// A file of tensors.
pub(super) struct Store {
    bytes: Bytes,
    tensors: BTreeMap<String, TensorInfo>,
    read: BTreeSet<String>,
}

impl Store {
    /// Opens the file. One with a fault is refused: which bytes a tensor has would be a matter of opinion.
    pub(super) fn open(source: &dyn Source, limits: &Limits) -> Result<Self, ModelError> {
        let len = source.len();
        if usize::try_from(len).map_or(true, |len| len > limits.max_bytes) {
            return Err(ModelError::TooLarge { len, limit: limits.max_bytes });
        }
        let listing = mantlet_formats::safetensors::tensors(source);
        if let Some(fault) = listing.limits.first() {
            return Err(misfit("the safetensors file", fault.clone()));
        }
        let bytes = Bytes::from(read_window(source, 0, limits.max_bytes)?);
        let tensors = listing.tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        Ok(Self { bytes, tensors, read: BTreeSet::new() })
    }

    /// The names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Result<Vec<usize>, ModelError> {
        let info = self.tensors.get(name).ok_or_else(|| self.missing(name))?;
        let axes = info.shape.iter().map(|&axis| usize::try_from(axis).ok());
        axes.collect::<Option<Vec<usize>>>()
            .filter(|shape| shape.iter().all(|&axis| axis <= super::MOST))
            .ok_or_else(|| misfit(format!("tensor `{name}`"), "an axis is longer than any that is built"))
    }

    /// The error of a tensor that is not there, with the ones whose names end alike.
    fn missing(&self, name: &str) -> ModelError {
        let end = name.rsplit_once('.').map_or(name, |(front, _)| front);
        let last = end.rsplit('.').next().unwrap_or(end);
        let alike: Vec<&str> =
            self.names().filter(|own| own.split('.').any(|part| part == last)).take(3).collect();
        let hint = if alike.is_empty() {
            let first: Vec<&str> = self.names().take(3).collect();
            if first.is_empty() {
                "the file has no tensors".to_owned()
            } else {
                format!("it begins with {}", first.join(", "))
            }
        } else {
            format!("it has {}", alike.join(", "))
        };
        misfit(format!("tensor `{name}`"), format!("the file does not have it; {hint}"))
    }

    /// The tensor as a constant, marked as read.
    pub(super) fn constant(&mut self, name: &str) -> Result<TensorProto, ModelError> {
        let dims = self.shape(name)?;
        let info = &self.tensors[name];
        let data_type = match info.dtype {
            Dtype::F32 => DataType::Float,
            Dtype::F16 => DataType::Float16,
            Dtype::Bf16 => DataType::Bfloat16,
            ref other => {
                let reason = format!("its elements are {}; F32, F16 and BF16 are read", other.name());
                return Err(misfit(format!("tensor `{name}`"), reason));
            }
        };
        let range =
            usize::try_from(info.start).ok().zip(usize::try_from(info.start.saturating_add(info.len)).ok());
        let range = range.filter(|(start, end)| start <= end && *end <= self.bytes.len());
        let (start, end) =
            range.ok_or_else(|| misfit(format!("tensor `{name}`"), "its bytes lie outside the file"))?;
        self.read.insert(name.to_owned());
        Ok(TensorProto {
            name: name.to_owned(),
            dims: dims.iter().map(|&axis| i64::try_from(axis).unwrap_or(i64::MAX)).collect(),
            data_type: data_type as i32,
            raw_data: self.bytes.slice(start..end),
            ..TensorProto::default()
        })
    }

    /// The tensors that nothing read, but for those that are idle or begin with one of `ignored`.
    pub(super) fn unread(&self, ignored: &[String]) -> Vec<&str> {
        let idle = |name: &str| {
            IDLE.iter().any(|idle| name.rsplit('.').next() == Some(idle))
                || ignored.iter().any(|front| !front.is_empty() && name.starts_with(front.as_str()))
        };
        self.names().filter(|name| !self.read.contains(*name) && !idle(name)).collect()
    }
}
