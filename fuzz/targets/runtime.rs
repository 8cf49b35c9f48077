//! Any bytes as a model of each runtime: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::models;
use mantlet_formats::route::Format;
use mantlet_formats::runtime::{caffe, coreml, mxnet, ncnn, openvino, paddle, pmml, program};

const FORMATS: [Format; 12] = [
    Format::CoreMl,
    Format::CoreMlWeights,
    Format::ExecuTorch,
    Format::ExecuTorchData,
    Format::Paddle,
    Format::PaddleParameters,
    Format::MxNet,
    Format::Torch7,
    Format::Caffe,
    Format::Cntk,
    Format::TensorRt,
    Format::Rknn,
];

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    let bounds = support::bounds();
    for format in FORMATS {
        support::same(data, || models::analyse(format, &source, &bounds));
    }
    for graph in [
        program::paddle(&source),
        program::paddle_json(&source),
        program::coreml(&source),
        ncnn::graph(&source),
        caffe::graph(&source),
    ] {
        let _ = graph.overrides();
    }
    let _ = (mxnet::symbol(&source), coreml::manifest(&source));
    let _ =
        (openvino::analyse(&source), pmml::analyse(&source), ncnn::analyse(&source), paddle::json(&source));
    let _ = openvino::graph(&source, Some(&source)).overrides();
    let _ = models::recognise(&source, data);
});
