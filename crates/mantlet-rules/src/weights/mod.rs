//! Rules over files of weights, whatever their format.

mod hidden_bits;
mod hidden_payload;
mod tampered;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&hidden_payload::WeightsHiddenPayload, &hidden_bits::WeightsHiddenBits, &tampered::WeightsTampered]
}
