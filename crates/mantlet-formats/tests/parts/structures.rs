//! The same law for models in formats that are data throughout.

use mantlet_formats::boosted::{catboost, legacy, lightgbm, xgboost};
use mantlet_formats::python::{Role, bytecode};
use mantlet_formats::route::Format;
use mantlet_formats::runtime::{coreml, mxnet, ncnn, openvino, paddle, pmml};
use mantlet_formats::{Bounds, models, msgpack, store};
use mantlet_testkit::{cases, forge};
use mantlet_vocab::{MemorySource, Source};
use proptest::prelude::*;

fn every_parser(bytes: &[u8]) {
    let source = MemorySource::new(bytes);
    let bounds = Bounds { max_resident: 4_096, max_expanded: 1 << 20, ..Bounds::default() };
    let parsers: [fn(&dyn Source) -> mantlet_formats::structure::Structure; 7] = [
        catboost::analyse,
        catboost::json,
        legacy::analyse,
        lightgbm::analyse,
        xgboost::json,
        xgboost::ubj,
        msgpack::analyse,
    ];
    for analyse in parsers {
        let facts = analyse(&source);
        assert!(facts.end <= source.len());
    }
    for format in [
        Format::CoreMl,
        Format::CoreMlWeights,
        Format::ExecuTorch,
        Format::ExecuTorchData,
        Format::Paddle,
        Format::PaddleParameters,
        Format::MxNet,
        Format::Torch7,
        Format::Cntk,
        Format::TensorRt,
    ] {
        let facts = models::analyse(format, &source, &bounds).expect("it is one of this family");
        assert!(facts.end <= source.len());
    }
    for analyse in [mxnet::symbol, coreml::manifest] {
        let _ = analyse(&source);
    }
    for analyse in [openvino::analyse, pmml::analyse, ncnn::analyse, paddle::json] {
        let _ = analyse(&source);
    }
    let _ = store::ocdbt::analyse(&source, &bounds);
    for name in ["a", ".zarray", ".zmetadata", "zarr.json"] {
        let _ = models::text(&source, name);
    }
    let _ = models::recognise(&source, bytes);
    let _ = bytecode::analyse(&source, Role::Module);
}

/// The cases of the rooms over these formats are the fixtures.
fn fixtures() -> &'static [Vec<u8>] {
    static FIXTURES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    FIXTURES.get_or_init(|| {
        let texts = [
            include_str!("../../../mantlet-rules/src/model/malformed/cases.md"),
            include_str!("../../../mantlet-rules/src/model/foreign_code/cases.md"),
            include_str!("../../../mantlet-rules/src/model/outside_file/cases.md"),
            include_str!("../../../mantlet-rules/src/code/hostile_command/cases.md"),
        ];
        let all = texts.iter().flat_map(|text| cases(text));
        all.map(|case| forge(&case.forge, &case.text).expect("the text of a case forges")).collect()
    })
}

#[test]
fn every_prefix_of_every_structure_gives_facts() {
    for bytes in fixtures() {
        let step = (bytes.len() / 120).max(1);
        for end in (0..=bytes.len()).step_by(step) {
            every_parser(&bytes[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_structures_give_facts(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = fixtures()[which.index(fixtures().len())].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        every_parser(&bytes);
    }

    #[test]
    fn any_bytes_are_a_structure(bytes in prop::collection::vec(any::<u8>(), 0..300), which in 0_usize..5) {
        let heads: [&[u8]; 5] = [b"", b"{L\0\0\0\0\0\0\0\x07learner{", b"CBM1\x40\0\0\0", b"\x81\xa1a", b"tree\nversion=v4\n"];
        every_parser(&[heads[which], &bytes].concat());
    }
}
