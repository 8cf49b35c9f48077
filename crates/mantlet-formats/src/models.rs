//! One entrance to the formats that are data throughout: which one it is, and its [`Structure`].

use mantlet_vocab::{Source, read_window};

use crate::boosted::{catboost, legacy, lightgbm, xgboost};
use crate::route::Format;
use crate::store::{self, ocdbt};
use crate::structure::Structure;
use crate::{Bounds, msgpack, ubjson};

/// The binary formats that the first bytes announce.
#[must_use]
pub fn recognise(head: &[u8]) -> Option<Format> {
    if catboost::is_catboost(head) {
        Some(Format::CatBoost)
    } else if legacy::is_legacy(head) {
        Some(Format::XgBoost)
    } else if ubjson::is_ubjson(head) {
        Some(Format::Ubjson)
    } else if ocdbt::is_ocdbt(head) {
        Some(Format::Ocdbt)
    } else if msgpack::is_msgpack(head) {
        Some(Format::MessagePack)
    } else {
        None
    }
}

/// The facts of a binary model; `None` for a format of another family.
#[must_use]
pub fn analyse(format: Format, source: &dyn Source, bounds: &Bounds) -> Option<Structure> {
    Some(match format {
        Format::CatBoost => catboost::analyse(source),
        Format::XgBoost => legacy::analyse(source),
        Format::Ubjson => xgboost::ubj(source),
        Format::Ocdbt => ocdbt::analyse(source, bounds),
        Format::MessagePack => msgpack::analyse(source),
        _ => return None,
    })
}

/// The facts of a model that is text; `None` for text of another kind.
#[must_use]
pub fn text(source: &dyn Source, name: &str) -> Option<Structure> {
    let head = read_window(source, 0, 4_096).unwrap_or_default();
    if lightgbm::is_lightgbm(&head) {
        Some(lightgbm::analyse(source))
    } else if store::is_metadata(name) {
        store::analyse(source, name)
    } else if xgboost::is_xgboost(&head) {
        Some(xgboost::json(source))
    } else if catboost::is_json(&head) {
        Some(catboost::json(source))
    } else {
        None
    }
}
