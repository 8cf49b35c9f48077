//! Weights against those of the model they are said to be made from: traces that training does not leave.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mantlet_formats::weights::{self, Deviation, Dtype, Oddity, TensorInfo};
use mantlet_formats::{Bounds, Facts};
use mantlet_vocab::{Finding, Gap, Place, Source, SubSource, read_exact_at};

use crate::diff::compare;
use crate::file::FileSource;
use crate::{Selection, walk};

/// Tensors with fewer values say nothing.
const MIN_VALUES: u64 = 4_096;
/// Tensors of a base that are known by name.
const MAX_TENSORS: usize = 1 << 20;
/// Gaps that are told.
const MAX_GAPS: usize = 200;
const NOTHING: &str = "no tensor has the name, type and shape of one of the base model";

/// Judges the weights of `model` against those of `base`: two files, or folders with the files of a model that is
/// kept in several, whose tensors are told by name wherever they lie. Formats whose weights cannot be listed are gaps.
#[must_use]
pub fn against(base: &Path, model: &Path, bounds: &Bounds) -> (Vec<Finding>, Vec<Gap>) {
    let mut work = Work::default();
    if !base.is_dir() && !model.is_dir() {
        let (base_name, name) = (base.display().to_string(), model.display().to_string());
        match (FileSource::open(base), FileSource::open(model)) {
            (Ok(old), Ok(new)) => work.pair((&base_name, &old), (&name, &new), bounds),
            (Err(error), _) => work.unreadable(&base_name, &error),
            (_, Err(error)) => work.unreadable(&name, &error),
        }
        return work.done();
    }
    let (bases, models) = (work.files(base), work.files(model));
    // Tensors of the base by name, each with the file it is in.
    let mut known: BTreeMap<String, (usize, TensorInfo)> = BTreeMap::new();
    for (index, path) in bases.iter().enumerate() {
        let Some((_, listing)) = work.listed(path, bounds) else { continue };
        for tensor in listing.tensors {
            if known.len() < MAX_TENSORS {
                known.entry(tensor.name.clone()).or_insert((index, tensor));
            } else {
                work.gap(&path.display().to_string(), format!("only {MAX_TENSORS} tensors are compared"));
                break;
            }
        }
    }
    let (mut compared, mut open) = (0_u64, None::<(usize, FileSource)>);
    for path in &models {
        let name = path.display().to_string();
        let Some((source, listing)) = work.listed(path, bounds) else { continue };
        let mut found = Vec::new();
        for tensor in &listing.tensors {
            let Some((index, other)) = known.get(&tensor.name).filter(|(_, other)| alike(other, tensor))
            else {
                continue;
            };
            if open.as_ref().is_none_or(|(held, _)| held != index) {
                match FileSource::open(&bases[*index]) {
                    Ok(source) => open = Some((*index, source)),
                    Err(error) => {
                        work.unreadable(&bases[*index].display().to_string(), &error);
                        continue;
                    }
                }
            }
            if let Some((_, before)) = &open {
                compared += 1;
                let oddities = deviation(tensor, other, &source, before).into_iter();
                found.extend(oddities.map(|oddity| Deviation { tensor: tensor.name.clone(), oddity }));
            }
        }
        work.judge(&name, found);
    }
    if compared == 0 {
        work.gap(&model.display().to_string(), NOTHING.into());
    }
    work.done()
}

/// As [`against`], for bytes from anywhere, each under the name the user knows it by.
#[must_use]
pub fn against_source(
    base: (&str, &dyn Source),
    model: (&str, &dyn Source),
    bounds: &Bounds,
) -> (Vec<Finding>, Vec<Gap>) {
    let mut work = Work::default();
    work.pair(base, model, bounds);
    work.done()
}

/// Whether two tensors of one name can be compared value by value.
fn alike(one: &TensorInfo, other: &TensorInfo) -> bool {
    one.dtype == other.dtype && one.shape == other.shape && one.len == other.len
}

/// What comes out of a comparison.
#[derive(Default)]
struct Work {
    findings: Vec<Finding>,
    gaps: Vec<Gap>,
}

impl Work {
    fn gap(&mut self, what: &str, why: String) {
        if self.gaps.len() < MAX_GAPS {
            self.gaps.push(gap(what, why));
        }
    }

    fn unreadable(&mut self, what: &str, error: &std::io::Error) {
        self.gap(what, format!("it cannot be read: {error}"));
    }

    /// The files of a version.
    fn files(&mut self, root: &Path) -> Vec<PathBuf> {
        let walk::Found { files, gaps, .. } = walk::files(&[root.to_path_buf()], &Selection::default());
        self.gaps.extend(gaps);
        files
    }

    /// The tensors of a file of a folder; `None` when it holds none, as configurations do.
    fn listed(&mut self, path: &Path, bounds: &Bounds) -> Option<(FileSource, weights::Listing)> {
        let name = path.display().to_string();
        match FileSource::open(path) {
            Ok(source) => {
                let mut listing = weights::list(&source, bounds)?;
                for limit in std::mem::take(&mut listing.limits) {
                    self.gap(&name, limit);
                }
                Some((source, listing))
            }
            Err(error) => {
                self.unreadable(&name, &error);
                None
            }
        }
    }

    fn pair(
        &mut self,
        (base_name, base): (&str, &dyn Source),
        (name, model): (&str, &dyn Source),
        bounds: &Bounds,
    ) {
        let unlisted = || "its weights cannot be listed to be compared".to_owned();
        let Some(before) = weights::list(base, bounds) else { return self.gap(base_name, unlisted()) };
        let Some(after) = weights::list(model, bounds) else { return self.gap(name, unlisted()) };
        for (what, limits) in [(base_name, before.limits), (name, after.limits)] {
            for limit in limits {
                self.gap(what, limit);
            }
        }
        let known: BTreeMap<&str, &TensorInfo> =
            before.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        let (mut found, mut compared) = (Vec::new(), 0_u64);
        for tensor in &after.tensors {
            let Some(other) = known.get(tensor.name.as_str()).filter(|other| alike(other, tensor)) else {
                continue;
            };
            compared += 1;
            let oddities = deviation(tensor, other, model, base).into_iter();
            found.extend(oddities.map(|oddity| Deviation { tensor: tensor.name.clone(), oddity }));
        }
        if compared == 0 {
            self.gap(name, NOTHING.into());
        }
        self.judge(name, found);
    }

    fn judge(&mut self, name: &str, found: Vec<Deviation>) {
        if !found.is_empty() {
            mantlet_rules::check(&Facts::Deviations(found), &Place::artifact(name), &mut self.findings);
        }
    }

    fn done(mut self) -> (Vec<Finding>, Vec<Gap>) {
        Finding::sort(&mut self.findings);
        (self.findings, self.gaps)
    }
}

fn gap(what: &str, why: String) -> Gap {
    let remedy =
        "give both models as safetensors, GGUF, ONNX, NumPy, HDF5 or uncompressed torch files".into();
    Gap { what: what.to_owned(), why, remedy }
}

fn deviation(tensor: &TensorInfo, other: &TensorInfo, new: &dyn Source, old: &dyn Source) -> Vec<Oddity> {
    let Some(width) = tensor.dtype.width().filter(|_| tensor.dtype.is_float()) else { return Vec::new() };
    let values = tensor.len / width;
    if values < MIN_VALUES {
        return Vec::new();
    }
    let mantissa = match tensor.dtype {
        Dtype::F64 => 52,
        Dtype::F32 => 23,
        Dtype::F16 => 10,
        _ => 7,
    };
    let (x, y) = (SubSource::new(old, other.start, other.len), SubSource::new(new, tensor.start, tensor.len));
    let base = largest(&tensor.dtype, &x);
    let rows = tensor.shape.first().copied().filter(|_| tensor.shape.len() > 1).unwrap_or(0);
    let row = values.checked_div(rows).unwrap_or(values);
    let (mut last_row, mut changed_rows) = (u64::MAX, 0_u64);
    let (mut changed, mut spikes, mut peak) = (0_u64, 0_u64, 0.0_f64);
    let mut flips = [0_u64; 64];
    let mut union = 0_u64;
    let bits = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
    let result = compare(&tensor.dtype, &x, &y, &mut |index, before, after| {
        changed += 1;
        let at = index / row.max(1);
        if at != last_row {
            last_row = at;
            changed_rows += 1;
        }
        let mut differ = bits(before) ^ bits(after);
        union |= differ;
        while differ != 0 {
            flips[differ.trailing_zeros() as usize] += 1;
            differ &= differ - 1;
        }
        if let Some(value) = weights::value(&tensor.dtype, after)
            && (value.abs() > 8.0 * base || !value.is_finite())
        {
            spikes += 1;
            peak = if value.is_finite() { peak.max(value.abs()) } else { f64::INFINITY };
        }
    });
    if result.is_err() || changed == 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    if spikes > 0 && base > 0.0 && spikes * 100 <= values {
        found.push(Oddity::Spikes { count: spikes, largest: peak, base });
    }
    if rows >= 64 && changed_rows * 50 <= rows {
        found.push(Oddity::Rows { changed: changed_rows, of: rows });
    }
    // Training adds: sometimes a carry runs into higher bits, so that the highest bit that ever changes rarely
    // does. Replaced bits never carry: the highest that changes does so in half of the values.
    let top = 64 - union.leading_zeros();
    let highest = top.checked_sub(1).map_or(0, |top| flips[top as usize]);
    if changed >= MIN_VALUES && top <= mantissa && highest * 4 >= changed {
        found.push(Oddity::Bits { bits: top, changed });
    }
    found
}

/// The largest value of a tensor.
fn largest(dtype: &Dtype, source: &dyn Source) -> f64 {
    let width = dtype.width().unwrap_or(1) as usize;
    let mut buffer = vec![0; 64 << 10];
    let (mut at, mut largest) = (0, 0.0_f64);
    while let Ok(count) = read_exact_at(source, at, &mut buffer) {
        if count < width {
            break;
        }
        for value in buffer[..count].chunks_exact(width).filter_map(|bytes| weights::value(dtype, bytes)) {
            if value.is_finite() {
                largest = largest.max(value.abs());
            }
        }
        at += count as u64;
    }
    largest
}
