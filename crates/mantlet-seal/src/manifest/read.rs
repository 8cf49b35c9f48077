//! Reading the parts of a manifest strictly.

use super::{HashKind, Method, Resource};
use crate::strict::Node;
use crate::{SealError, shorten};

/// The reference writes `64000000.0`; an integral float is taken.
pub(super) fn shard_size(serialization: &Node<'_>) -> Result<u64, SealError> {
    let fault =
        || SealError::Field { path: serialization.path("shard_size"), expected: "a positive whole number" };
    let value = serialization.value("shard_size").ok_or_else(fault)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and below 2^53")]
    let float = value.as_f64().filter(|f| f.fract() == 0.0 && (1.0..9e15).contains(f)).map(|f| f as u64);
    value.as_u64().filter(|size| *size > 0).or(float).ok_or_else(fault)
}

pub(super) fn read_resource(
    resource: &Node<'_>,
    hash: HashKind,
    method: Method,
) -> Result<Resource, SealError> {
    let name = resource.text("name")?;
    let word = resource.text("algorithm")?;
    // The reference names a shard's algorithm `sha256-sharded-<size>`.
    let plain = match (word.split_once("-sharded-"), method) {
        (Some((plain, size)), Method::Shards { size: wanted }) if size == wanted.to_string() => plain,
        _ => word,
    };
    let found = HashKind::read(plain)?;
    if found != hash {
        return Err(SealError::Value {
            path: resource.path("algorithm"),
            found: shorten(word),
            expected: hash.word(),
        });
    }
    let digest = raw_digest(name, resource.text("digest")?, hash.bytes())?;
    Ok(Resource { name: name.to_owned(), hash, digest })
}

/// Raw bytes of a lower-case hexadecimal digest.
pub(crate) fn raw_digest(name: &str, text: &str, bytes: usize) -> Result<Vec<u8>, SealError> {
    let fault = || SealError::Digest { name: shorten(name), digits: bytes * 2 };
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != bytes * 2 {
        return Err(fault());
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| digit(pair[0]).zip(digit(pair[1])).map(|(high, low)| high << 4 | low))
        .collect::<Option<_>>()
        .ok_or_else(fault)
}

/// A relative path in its plain form: no empty, `.` or `..` component, no leading `/`, no NUL.
pub(super) fn plain_name(name: &str) -> Result<(), SealError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.starts_with('/') {
        "it is absolute"
    } else if name.contains('\0') {
        "it contains a NUL"
    } else if name.split('/').any(|part| part == "..") {
        "it leaves the model's folder with `..`"
    } else if name.split('/').any(|part| part.is_empty() || part == ".") {
        "it has an empty or `.` component"
    } else {
        return Ok(());
    };
    Err(SealError::Name { name: shorten(name), reason })
}
