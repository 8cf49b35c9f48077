//! One entrance to the formats that are data throughout: which one it is, and its [`Structure`].

use mantlet_vocab::{Source, read_window};

use crate::boosted::{catboost, legacy, lightgbm, xgboost};
use crate::keys;
use crate::route::Format;
use crate::runtime::{caffe, cntk, coreml, executorch, mxnet, ncnn, opaque, paddle, torch7};
use crate::store::{self, ocdbt};
use crate::structure::Structure;
use crate::{Bounds, java, msgpack, spark, tabular, ubjson};

/// Whether the first bytes are those of a format.
type Announces = fn(&[u8]) -> bool;

/// The binary formats that the first bytes announce.
#[must_use]
pub fn recognise(source: &dyn Source, head: &[u8]) -> Option<Format> {
    let announced: [(Announces, Format); 13] = [
        (catboost::is_catboost, Format::CatBoost),
        (legacy::is_legacy, Format::XgBoost),
        (ubjson::is_ubjson, Format::Ubjson),
        (ocdbt::is_ocdbt, Format::Ocdbt),
        (executorch::is_program, Format::ExecuTorch),
        (executorch::is_data, Format::ExecuTorchData),
        (mxnet::is_params, Format::MxNet),
        (paddle::is_program, Format::Paddle),
        (paddle::is_parameters, Format::PaddleParameters),
        (coreml::is_weights, Format::CoreMlWeights),
        (cntk::is_cntk, Format::Cntk),
        (torch7::is_torch7, Format::Torch7),
        (msgpack::is_msgpack, Format::MessagePack),
    ];
    if let Some((_, format)) = announced.iter().find(|(matches, _)| matches(head)) {
        return Some(*format);
    }
    if head.first() == Some(&8) && coreml::is_coreml(source) {
        return Some(Format::CoreMl);
    }
    // The first of its fields: a name, a layer of either form, an input.
    if matches!(head, [10 | 18 | 26 | 32 | 40 | 50 | 56 | 66, ..] | [0xa2, 6, ..]) && caffe::is_model(source)
    {
        return Some(Format::Caffe);
    }
    opaque::recognise(head)
}

/// The facts of a binary model; `None` for a format of another family.
#[must_use]
pub fn analyse(format: Format, source: &dyn Source, bounds: &Bounds) -> Option<Structure> {
    Some(match format {
        Format::CatBoost => catboost::analyse(source),
        Format::XgBoost => legacy::analyse(source),
        Format::Ubjson => xgboost::ubj(source),
        Format::Ocdbt => ocdbt::analyse(source, bounds),
        Format::ExecuTorch => executorch::program(source),
        Format::ExecuTorchData => executorch::data(source),
        Format::MxNet => mxnet::params(source),
        Format::Paddle => paddle::program(source),
        Format::PaddleParameters => paddle::parameters(source),
        Format::CoreMl => coreml::analyse(source),
        Format::CoreMlWeights => coreml::weights(source),
        Format::Cntk => cntk::analyse(source),
        Format::Torch7 => torch7::analyse(source),
        Format::Caffe => caffe::model(source),
        Format::TensorRt | Format::Rknn => opaque::analyse(source, format),
        Format::MessagePack => msgpack::analyse(source),
        Format::Parquet | Format::Arrow => tabular::analyse(source, format),
        Format::Java => java::analyse(source),
        _ => return None,
    })
}

/// The facts of a model that is text; `None` for text of another kind.
#[must_use]
pub fn text(source: &dyn Source, name: &str) -> Option<Structure> {
    let head = read_window(source, 0, 4_096).unwrap_or_default();
    if lightgbm::is_lightgbm(&head) {
        return Some(lightgbm::analyse(source));
    }
    if store::is_metadata(name) {
        return store::analyse(source, name);
    }
    if ncnn::is_ncnn(&head) {
        return Some(ncnn::analyse(source));
    }
    if let Some(stage) = spark::analyse(source, &head) {
        return Some(stage);
    }
    keys::text(source, name)
}
