//! How large the weights of Keras layers are, from the HDF5 file they are stored in.

use mantlet_vocab::{MemorySource, Source};

use crate::Bounds;
use crate::graph::{Weight, weight};
use crate::hdf5;
use crate::weights::TensorInfo;

/// The sizes of stored weights, by the path of their data set.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    sets: Vec<(Vec<String>, Weight)>,
}

/// Data sets that are measured.
const MAX_SETS: usize = 20_000;

impl Stored {
    /// Measures the data sets of an HDF5 file.
    #[must_use]
    pub fn read(source: &dyn Source, bounds: &Bounds) -> Self {
        let mut budget = weight::BUDGET;
        let mut sets = Vec::new();
        let mut add = |source: &dyn Source, tensor: &TensorInfo| {
            let Some(weight) = weight::measure(source, tensor, &mut budget) else { return };
            let path: Vec<String> =
                tensor.name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
            sets.push((path, weight));
        };
        for tensor in hdf5::tensors(source, bounds).tensors.into_iter().take(MAX_SETS) {
            add(source, &tensor);
        }
        for (tensor, bytes) in hdf5::chunked(source, bounds).into_iter().take(MAX_SETS) {
            add(&MemorySource::new(&bytes), &tensor);
        }
        Self { sets }
    }

    /// Whether nothing was stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The variable of a layer: Keras 3 calls folders by class and number and variables by number, Keras 2 by the
    /// names of both.
    pub(super) fn find(&self, layer: &str, folder: &str, variable: (&str, &[&str])) -> Option<Weight> {
        let (number, names) = variable;
        let is = |path: &[String], layer: &str| {
            let Some((last, above)) = path.split_last() else { return false };
            let named = last == number && above.last().is_some_and(|vars| vars == "vars")
                || names.iter().any(|name| last.split(':').next() == Some(*name));
            named && above.iter().any(|part| part == layer)
        };
        let by = |layer: &str| self.sets.iter().find(|(path, _)| is(path, layer)).map(|(_, weight)| *weight);
        by(folder).or_else(|| by(layer))
    }
}

/// The folder of a class as Keras writes it: `BatchNormalization` is `batch_normalization`.
pub(super) fn folder(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut name = String::new();
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let after = letters.get(at + 1);
        let starts = after.is_some_and(|after| after.is_ascii_lowercase())
            || before.is_some_and(|before| before.is_ascii_lowercase());
        if letter.is_ascii_uppercase() && before.is_some() && starts {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_called_as_keras_does() {
        for (class, name) in [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("ReLU", "re_lu"),
            ("LSTM", "lstm"),
            ("GlobalAveragePooling1D", "global_average_pooling1d"),
        ] {
            assert_eq!(folder(class), name);
        }
    }
}
