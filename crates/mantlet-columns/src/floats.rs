//! Lists of numbers in JSON, which has no NaN and no infinity: those are written as text.

use serde::de::Error as _;
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f32),
    Other(String),
}

pub(crate) fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(values.len()))?;
    for value in values {
        if value.is_finite() {
            list.serialize_element(value)?;
        } else {
            list.serialize_element(&value.to_string())?;
        }
    }
    list.end()
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    let list = Vec::<Number>::deserialize(deserializer)?.into_iter();
    list.map(|number| match number {
        Number::Finite(value) => Ok(value),
        Number::Other(text) => match text.as_str() {
            "NaN" => Ok(f32::NAN),
            "inf" => Ok(f32::INFINITY),
            "-inf" => Ok(f32::NEG_INFINITY),
            _ => Err(D::Error::custom("a number, NaN, inf or -inf is expected")),
        },
    })
    .collect()
}
