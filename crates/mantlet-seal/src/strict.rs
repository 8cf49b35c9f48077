//! JSON that names each key once, and typed access that says where something is missing.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::{SealError, shorten};

/// A marker that carries the doubled key through serde's error text.
const DOUBLED: &str = "doubled key: ";

/// Parses JSON and rejects doubled keys. Nesting is bounded by `serde_json` (128 levels).
pub(crate) fn parse(part: &'static str, bytes: &[u8]) -> Result<Value, SealError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|fault| {
        let text = fault.to_string();
        match text.split_once(DOUBLED) {
            Some((_, rest)) => {
                let key = rest.rsplit_once(" at line ").map_or(rest, |(key, _)| key);
                SealError::DuplicateKey { part, key: shorten(key) }
            }
            None => SealError::NotJson { part, reason: shorten(&text) },
        }
    })
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(list.into())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{DOUBLED}{key}")));
            }
            let value = members.next_value_seed(Self)?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

/// A JSON object and where it stands.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value, path: &str) -> Result<Self, SealError> {
        let map = value
            .as_object()
            .ok_or_else(|| SealError::Field { path: path.to_owned(), expected: "an object" })?;
        Ok(Self { map, path: path.to_owned() })
    }

    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn fault(&self, key: &str, expected: &'static str) -> SealError {
        SealError::Field { path: self.path(key), expected }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub(crate) fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key)
    }

    pub(crate) fn object(&self, key: &str) -> Result<Node<'a>, SealError> {
        let value = self.map.get(key).ok_or_else(|| self.fault(key, "an object"))?;
        Node::root(value, &self.path(key))
    }

    pub(crate) fn list(&self, key: &str) -> Result<&'a [Value], SealError> {
        let list = self.map.get(key).and_then(Value::as_array).map(Vec::as_slice);
        list.ok_or_else(|| self.fault(key, "a list"))
    }

    pub(crate) fn text(&self, key: &str) -> Result<&'a str, SealError> {
        self.map.get(key).and_then(Value::as_str).ok_or_else(|| self.fault(key, "a text"))
    }

    /// A text that must be this one.
    pub(crate) fn exactly(&self, key: &str, expected: &'static str) -> Result<(), SealError> {
        let found = self.text(key)?;
        if found == expected {
            return Ok(());
        }
        Err(SealError::Value { path: self.path(key), found: shorten(found), expected })
    }

    /// Rejects members that are not in this list.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), SealError> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(SealError::UnknownField { path: self.path(&shorten(key)) }),
            None => Ok(()),
        }
    }

    /// The objects of a list member.
    pub(crate) fn objects(&self, key: &str) -> Result<Vec<Node<'a>>, SealError> {
        let list = self.list(key)?.iter().enumerate();
        list.map(|(at, item)| Node::root(item, &format!("{}[{at}]", self.path(key)))).collect()
    }
}
