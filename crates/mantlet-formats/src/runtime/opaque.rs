//! Engines compiled for one device: TensorRT and RKNN. They hold machine code that nothing outside their runtime
//! can read; what is said is which plugins they name, and that the rest is not examined.

use mantlet_vocab::{Source, read_window};

use crate::route::Format;
use crate::structure::{Power, Structure};
use crate::sweep;

/// Bytes of an engine that are searched for names.
const SEARCHED: u64 = 64 << 20;

/// The engine that the bytes begin like.
#[must_use]
pub fn recognise(head: &[u8]) -> Option<Format> {
    if head.starts_with(b"ftrt") || head.starts_with(b"ptrt") {
        Some(Format::TensorRt)
    } else if head.starts_with(b"RKNN") {
        Some(Format::Rknn)
    } else {
        None
    }
}

/// Plugins that TensorRT ships.
const SHIPPED: [&str; 24] = [
    "EfficientNMS_TRT",
    "EfficientNMS_ONNX_TRT",
    "EfficientNMS_Implicit_TF_TRT",
    "EfficientNMS_Explicit_TF_TRT",
    "BatchedNMS_TRT",
    "BatchedNMSDynamic_TRT",
    "NMS_TRT",
    "NMSDynamic_TRT",
    "GridAnchor_TRT",
    "GridAnchorRect_TRT",
    "Normalize_TRT",
    "Region_TRT",
    "Reorg_TRT",
    "PriorBox_TRT",
    "LReLU_TRT",
    "FlattenConcat_TRT",
    "CropAndResize",
    "ProposalDynamic",
    "Proposal",
    "RPROI_TRT",
    "PyramidROIAlign_TRT",
    "ResizeNearest_TRT",
    "MultilevelCropAndResize_TRT",
    "SpecialSlice_TRT",
];

/// The facts of an engine.
#[must_use]
pub fn analyse(source: &dyn Source, format: Format) -> Structure {
    let name = if format == Format::Rknn { "RKNN" } else { "TensorRT" };
    let mut facts = Structure::of(name);
    let mut at = 0;
    while at < source.len().min(SEARCHED) {
        let bytes = read_window(source, at, (1 << 20) + 256).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        for found in memchr::memmem::find_iter(&bytes, b"_TRT") {
            let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let before = bytes[..found].iter().rev().take(80).take_while(|byte| word(byte)).count();
            let after = bytes[found..].iter().take(40).take_while(|byte| word(byte)).count();
            let plugin = String::from_utf8_lossy(&bytes[found - before..found + after]).into_owned();
            if before > 2 && !SHIPPED.contains(&plugin.as_str()) {
                facts.names(Power::Native, "plugin", &plugin, at + (found - before) as u64);
            }
        }
        at += 1 << 20;
    }
    for program in sweep::sweep(source, SEARCHED).programs.iter().take(8) {
        facts.names(
            Power::Machine,
            "library",
            &format!("{} at {:#x}", program.kind, program.offset),
            program.offset,
        );
    }
    facts.limit(format!(
        "a {name} engine is machine code for one device: what it computes cannot be examined, and plugins it \
         names are native libraries"
    ));
    facts
}
