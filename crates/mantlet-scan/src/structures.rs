//! Models in formats that are data throughout: their structure judged, their texts and parts looked into.

use mantlet_formats::route::Format;
use mantlet_formats::route::Route;
use mantlet_formats::runtime::{caffe, executorch, mxnet, ncnn, openvino, program};
use mantlet_formats::structure::Structure;
use mantlet_formats::zip::Zip;
use mantlet_formats::{Facts, models};
use mantlet_vocab::{Place, Source, SubSource};

use crate::companion;
use crate::engine::Engine;

/// Folders of zarr arrays in a zip archive.
pub(crate) fn stores(zip: &Zip) -> Vec<String> {
    let metadata = |name: &str| {
        let folder = name.strip_suffix(".zarray").or_else(|| name.strip_suffix("zarr.json"))?;
        (folder.is_empty() || folder.ends_with('/')).then(|| folder.to_owned())
    };
    zip.entries.iter().filter_map(|entry| metadata(&entry.name)).take(10_000).collect()
}

/// A chunk of an array is numbers, in whatever packing: only what no packing looks like is looked for in it.
pub(crate) fn as_numbers(route: &mut Route) {
    route.formats.retain(|format| {
        matches!(
            format,
            Format::Pickle | Format::Zip | Format::SevenZip | Format::Elf | Format::Pe | Format::MachO
        )
    });
}

impl Engine {
    /// Whether a file or a member is a chunk of a zarr array.
    pub(crate) fn is_chunk(&mut self, name: &str, depth: u8) -> bool {
        if depth == 0 {
            let chunk = companion::is_chunk(name);
            self.neighbours |= chunk;
            return chunk;
        }
        self.stores.iter().any(|folder| name.strip_prefix(folder.as_str()).is_some_and(companion::chunk_key))
    }

    /// Examines a binary format of this family; false when it is none of them.
    pub(crate) fn structured(
        &mut self,
        format: Format,
        source: &dyn Source,
        place: &Place,
        depth: u8,
    ) -> bool {
        let Some(facts) = models::analyse(format, source, &self.bounds) else { return false };
        self.structure(facts, source, place, depth);
        true
    }

    /// Judges a structure, then what it carries and what follows it.
    pub(crate) fn structure(&mut self, mut facts: Structure, source: &dyn Source, place: &Place, depth: u8) {
        let mut beside = None;
        if depth == 0 && facts.needs > 0 {
            self.neighbours = true;
            beside = companion::constants(&self.name, &mut facts);
        }
        if facts.format == "OpenVINO" {
            let constants = beside.as_ref().map(|file| file as &dyn Source);
            self.follow(&openvino::graph(source, constants), place);
        }
        if facts.format == "MXNet" {
            self.follow(&mxnet::graph(source), place);
        }
        match facts.format {
            "Paddle" => self.follow(&program::paddle(source), place),
            "Paddle JSON" => self.follow(&program::paddle_json(source), place),
            "Core ML" => {
                let beside = (depth == 0).then(|| companion::weights(&self.name)).flatten();
                self.neighbours |= depth == 0;
                let weights = beside.as_ref().map(|file| file as &dyn Source);
                self.follow(&program::coreml_with(source, weights), place);
            }
            "Caffe" => self.follow(&caffe::graph(source), place),
            "ExecuTorch" => self.follow(&executorch::graph(source), place),
            _ => {}
        }
        if facts.format == "NCNN" {
            self.follow(&ncnn::graph(source), place);
        }
        self.limits(place, &facts.limits);
        self.metadata(facts.texts.clone(), place);
        for (name, start, len) in &facts.parts {
            let inner = SubSource::new(source, *start, *len);
            self.examine(&inner, name, &place.member(format!("{name} at {start:#x}")), depth + 1);
        }
        let whole = facts.defects.is_empty() && facts.limits.is_empty();
        if whole && facts.end > 0 && facts.end < source.len() {
            self.unclaimed(source, facts.end, source.len(), place, depth);
        }
        self.judge(&Facts::Structure(Box::new(facts)), place);
    }
}
