//! The weights of Keras layers by the names under which its HDF5 files keep them.

use std::collections::BTreeMap;

use mantlet_formats::onnx::schema::DataType;
use mantlet_formats::weights::{Dtype, TensorInfo};
use mantlet_formats::{Bounds, hdf5};
use mantlet_vocab::{Source, read_window};
use prost::bytes::Bytes;

use crate::foreign::invalid;
use crate::foreign::numbers::Numbers;
use crate::{Limits, ModelError};

/// The data sets of a file: where each is, or its bytes where they were put together from chunks.
pub(super) struct Weights<'a> {
    file: &'a dyn Source,
    sets: BTreeMap<String, (TensorInfo, Option<Bytes>)>,
    /// The way of Keras 3: folders by class, variables by number. Otherwise both have their names.
    pub(super) numbered: bool,
    limit: usize,
}

/// A variable of a layer: its number, and what it is called.
pub(super) type Variable = (usize, &'static str);

impl<'a> Weights<'a> {
    pub(super) fn open(file: &'a dyn Source, numbered: bool, limits: &Limits) -> Self {
        let bounds = Bounds::default();
        let whole = hdf5::tensors(file, &bounds).tensors.into_iter().map(|tensor| (tensor, None));
        let chunked =
            hdf5::chunked(file, &bounds).into_iter().map(|(tensor, bytes)| (tensor, Some(bytes.into())));
        let sets = whole.chain(chunked).map(|(tensor, bytes)| {
            let name = tensor.name.trim_matches('/').to_owned();
            (name, (tensor, bytes))
        });
        Self { file, sets: sets.collect(), numbered, limit: limits.max_bytes }
    }

    /// The variable of a layer; `folder` is the way to it where folders are numbered, `outer` the layer at the top that
    /// it is in.
    pub(super) fn read(
        &self,
        folder: &str,
        (outer, layer): (&str, &str),
        (number, name): Variable,
    ) -> Result<Numbers, ModelError> {
        let place = || format!("layer `{layer}`");
        let missing = |what: &str| invalid(place(), format!("its `{name}` {what}"));
        let path = if self.numbered {
            format!("{folder}/vars/{number}")
        } else {
            let top = format!("model_weights/{outer}/");
            let mut fits = self.sets.keys().filter(|path| {
                let mut parts = path.rsplit('/');
                let last = parts.next().unwrap_or_default();
                let called = last.split(':').next() == Some(name)
                    // Keras 2 calls kernels of one channel each by that, Keras 3 by `kernel`.
                    || name == "kernel" && last.split(':').next() == Some("depthwise_kernel");
                path.starts_with(&top) && called && parts.next() == Some(layer)
            });
            let first = fits.next().ok_or_else(|| missing("is not among the weights"))?;
            if fits.next().is_some() {
                return Err(missing("is there twice"));
            }
            first.clone()
        };
        let (tensor, bytes) = self.sets.get(&path).ok_or_else(|| missing("is not among the weights"))?;
        let kind = match tensor.dtype {
            Dtype::F32 => DataType::Float,
            Dtype::F16 => DataType::Float16,
            Dtype::F64 => DataType::Double,
            _ => return Err(missing("is no list of floats")),
        };
        let len = usize::try_from(tensor.len).ok().filter(|&len| len <= self.limit);
        let len = len.ok_or(ModelError::TooLarge { len: tensor.len, limit: self.limit })?;
        let raw = match bytes {
            Some(bytes) => bytes.clone(),
            None => Bytes::from(read_window(self.file, tensor.start, len)?),
        };
        let dims = tensor.shape.iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<Vec<_>>>();
        let numbers = dims.and_then(|dims| Numbers::new(dims, kind, raw));
        numbers.ok_or_else(|| missing("has not the bytes that its shape takes"))
    }
}
