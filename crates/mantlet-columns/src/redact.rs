//! What of an exchange goes on record: each field kept, left out, or as a digest under a key.
//!
//! It is applied to a copy of the exchange before anything is written or shown, so that the write-ahead, the segments and
//! the live view hold the same, and the digest of the request is one of what is kept: what was left out cannot be guessed
//! from it.

use std::collections::BTreeMap;

use arrow_array::builder::Float32Builder;
use mantlet_vocab::{Digest, Exchange, NamedValue, Reply, Request, Value};

use crate::Fields;

/// The bits that stand in the place of a feature that was left out: a NaN that arithmetic does not make. In Arrow it is a
/// null, which a value that was sent never is.
const LEFT_OUT: u32 = 0x7fca_4e52;

/// The value that stands for a feature that was left out of the record.
pub const NOT_RECORDED: f32 = f32::from_bits(LEFT_OUT);

/// Whether a recorded feature is the place of one that was left out. A NaN that was sent is none.
#[must_use]
pub const fn is_left_out(value: f32) -> bool {
    value.to_bits() == LEFT_OUT
}

/// Values, of which those that were left out of the record are null.
pub(crate) fn put(column: &mut Float32Builder, values: &[f32]) {
    if any_left_out(values) {
        values.iter().for_each(|&value| column.append_option((!is_left_out(value)).then_some(value)));
    } else {
        column.append_slice(values);
    }
}

/// Whether any of them is; without a branch for each.
fn any_left_out(values: &[f32]) -> bool {
    values.iter().fold(false, |any, value| any | is_left_out(*value))
}

/// How a field stands on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// As it is.
    #[default]
    Kept,
    /// A digest under a key of the installation: equal ones are equal, and nobody without the key can try which they are.
    Digest,
    /// Not at all.
    LeftOut,
}

/// Which values of an input stay out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Places {
    /// All of them.
    All,
    /// Those at these places of a row, of so many.
    Of {
        /// Values of a row.
        width: usize,
        /// Places in it.
        places: Vec<usize>,
    },
}

/// What goes on record.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Redaction {
    /// The caller's id.
    pub caller: Keep,
    /// The digest of what was asked.
    pub request: Keep,
    /// Whether label and scores stay out.
    pub without_reply: bool,
    /// What of each known input stays out; an input that is not named here stays out whole. `None` where nothing was
    /// said of features.
    pub features: Option<BTreeMap<String, Places>>,
    /// The key of digests.
    pub key: [u8; 32],
}

impl std::fmt::Debug for Redaction {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redaction")
            .field("caller", &self.caller)
            .field("request", &self.request)
            .field("without_reply", &self.without_reply)
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

impl Redaction {
    /// Whether everything is kept as it is.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.caller == Keep::Kept
            && self.request == Keep::Kept
            && !self.without_reply
            && self.features.is_none()
    }

    /// The exchange as it may be kept.
    #[must_use]
    pub fn exchange(&self, exchange: &Exchange) -> Exchange {
        let request = Request {
            model: exchange.request.model.clone(),
            version: exchange.request.version.clone(),
            inputs: exchange.request.inputs.iter().filter_map(|input| self.input(input)).collect(),
            // Of texts the digest alone is ever written; where that stays out, so do they.
            pieces: match self.request {
                Keep::LeftOut => Vec::new(),
                Keep::Kept | Keep::Digest => exchange.request.pieces.clone(),
            },
        };
        let kept = |reply: &Reply| if self.without_reply { Reply::default() } else { reply.clone() };
        Exchange {
            id: exchange.id.clone(),
            at: exchange.at,
            system: exchange.system.clone(),
            route: exchange.route.clone(),
            caller: self.caller(&exchange.caller),
            version: exchange.version.clone(),
            generation: exchange.generation,
            request,
            reply: exchange.reply.as_ref().map(kept),
            decision: exchange.decision.clone(),
            status: exchange.status,
            took_ms: exchange.took_ms,
        }
    }

    /// A caller as it stands on record: what to look for there.
    #[must_use]
    pub fn caller(&self, caller: &str) -> String {
        match self.caller {
            Keep::Kept => caller.to_owned(),
            Keep::LeftOut => String::new(),
            Keep::Digest if caller.is_empty() => String::new(),
            Keep::Digest => format!("digest-{}", &self.keyed("caller", caller.as_bytes()).hex()[..32]),
        }
    }

    /// What is recorded of an exchange that [`Redaction::exchange`] gave.
    #[must_use]
    pub fn fields<'a>(&self, exchange: &'a Exchange) -> Fields<'a> {
        let mut fields = Fields::of(exchange);
        match self.request {
            Keep::Kept => {}
            Keep::LeftOut => fields.request = "".into(),
            Keep::Digest => fields.request = self.keyed("request", fields.request.as_bytes()).hex().into(),
        }
        fields
    }

    fn input(&self, input: &NamedValue) -> Option<NamedValue> {
        let Some(known) = &self.features else { return Some(input.clone()) };
        let places = known.get(&input.name).unwrap_or(&Places::All);
        if let Places::Of { places, .. } = places
            && places.is_empty()
        {
            return Some(input.clone());
        }
        // A text of which something stays out stays out: it is on record as a part of the digest only.
        let mut values = input.value.to_f32()?;
        let per_row = match values.shape() {
            [] => values.data().len(),
            shape => shape.iter().skip(1).product(),
        };
        match places {
            Places::Of { width, places } if *width == per_row => {
                for row in values.data_mut().chunks_exact_mut((*width).max(1)) {
                    for at in places {
                        if let Some(value) = row.get_mut(*at) {
                            *value = NOT_RECORDED;
                        }
                    }
                }
            }
            // A row of another width says nothing of which value is which.
            Places::All | Places::Of { .. } => values.data_mut().fill(NOT_RECORDED),
        }
        Some(NamedValue { name: input.name.clone(), value: Value::F32(values) })
    }

    /// HMAC-SHA256 (RFC 2104) of what a field holds, apart for each kind of field.
    fn keyed(&self, what: &str, bytes: &[u8]) -> Digest {
        let padded = |with: u8| {
            let mut block = vec![with; 64];
            block.iter_mut().zip(self.key).for_each(|(byte, key)| *byte ^= key);
            block
        };
        let mut inner = padded(0x36);
        inner.extend_from_slice(what.as_bytes());
        inner.push(0);
        inner.extend_from_slice(bytes);
        let mut outer = padded(0x5c);
        outer.extend_from_slice(&Digest::of(&inner).0);
        Digest::of(&outer)
    }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::Tensor;

    use super::*;

    #[test]
    fn digests_are_those_of_hmac_sha256() {
        // As `openssl dgst -sha256 -hmac` and every other implementation give for the same bytes.
        let redaction = Redaction { key: *b"0123456789abcdef0123456789abcdef", ..Redaction::default() };
        let expected = "f5a2818397c57501c183059de0d15f4f394d1d3f501d013434ce80f6d4263ad6";
        assert_eq!(redaction.keyed("caller", b"ada").hex(), expected);
        assert_ne!(redaction.keyed("request", b"ada").hex(), expected);
        let other = Redaction { key: [7; 32], ..redaction };
        assert_ne!(other.keyed("caller", b"ada").hex(), expected);
    }

    #[test]
    fn the_place_of_a_left_out_value_is_no_number_that_arithmetic_makes() {
        let nothing = std::hint::black_box(0.0_f32);
        for value in [f32::NAN, -f32::NAN, nothing.ln() * nothing, (nothing - 1.0).sqrt(), f32::MAX] {
            assert!(!is_left_out(value));
        }
        assert!(
            is_left_out(NOT_RECORDED) && any_left_out(&[1.0, NOT_RECORDED]) && !any_left_out(&[f32::NAN])
        );
        assert!(Tensor::new([1], vec![NOT_RECORDED]).is_ok_and(|tensor| is_left_out(tensor.data()[0])));
    }
}
