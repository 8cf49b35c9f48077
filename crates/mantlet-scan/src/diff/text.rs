//! A difference as text for a terminal.

use std::fmt::Write as _;

use super::{Change, Diff, FileChange, TensorSide};

/// Lines printed of one kind for one file.
const SHOWN: usize = 40;

pub(super) fn text(diff: &Diff) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} -> {}", diff.old, diff.new);
    let _ = writeln!(out, "{} files the same, {} not", diff.same, diff.files.len());
    for file in &diff.files {
        one(&mut out, file);
    }
    if !diff.found.is_empty() {
        let _ = writeln!(out, "\nfound in the new version only:");
        for finding in &diff.found {
            let _ = writeln!(
                out,
                "  {}[{}] {}: {}",
                finding.severity, finding.name, finding.place, finding.message
            );
        }
    }
    if !diff.gaps.is_empty() {
        let _ = writeln!(out, "\nnot compared:");
        for gap in &diff.gaps {
            let _ = writeln!(out, "  {}: {}", gap.what, gap.why);
        }
    }
    out
}

const fn mark(change: Change) -> char {
    match change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed => '~',
    }
}

fn shape(side: &TensorSide) -> String {
    let extents: Vec<String> = side.shape.iter().map(u64::to_string).collect();
    format!("{}[{}]", side.dtype, extents.join(","))
}

fn one(out: &mut String, file: &FileChange) {
    let _ = writeln!(out, "\n{} {}", mark(file.change), file.path);
    if file.same_tensors > 0 || !file.tensors.is_empty() {
        let _ = writeln!(out, "  tensors: {} the same, {} not", file.same_tensors, file.tensors.len());
    }
    for tensor in file.tensors.iter().take(SHOWN) {
        let sides = match (&tensor.old, &tensor.new) {
            (Some(old), Some(new)) if shape(old) == shape(new) => shape(new),
            (Some(old), Some(new)) => format!("{} -> {}", shape(old), shape(new)),
            (Some(side), None) | (None, Some(side)) => shape(side),
            (None, None) => String::new(),
        };
        let distance = tensor.distance.map_or_else(String::new, |distance| {
            let mut text = format!("  {:.2}% changed", 100.0 * distance.changed);
            if let Some(relative) = distance.relative {
                let _ = write!(text, ", relative distance {relative:.3e}");
            }
            if let Some(largest) = distance.largest {
                let _ = write!(text, ", largest {largest:.3e}");
            }
            text
        });
        let _ = writeln!(out, "  {} {} {sides}{distance}", mark(tensor.change), tensor.name);
    }
    rest(out, file.tensors.len());
    for part in file.parts.iter().take(SHOWN) {
        let _ = match (&part.old, &part.new) {
            (Some(old), Some(new)) => writeln!(out, "  ~ {}: {old} -> {new}", part.part),
            (Some(value), None) | (None, Some(value)) => {
                writeln!(out, "  {} {}: {value}", mark(part.change), part.part)
            }
            (None, None) => Ok(()),
        };
    }
    rest(out, file.parts.len());
}

fn rest(out: &mut String, count: usize) {
    if count > SHOWN {
        let _ = writeln!(out, "  ... and {} more (all of them with --format json)", count - SHOWN);
    }
}
