//! The initialisers of an ONNX model as a list of tensors.

use mantlet_vocab::Source;

use crate::proto::{Fields, Value, numbers, text};
use crate::weights::{Dtype, Listing, MAX_TENSORS, TensorInfo};
use crate::window::Window;

/// The initialisers of the main graph. Those stored in another file are named among the limits.
#[must_use]
pub fn tensors(source: &dyn Source) -> Listing {
    let mut window = Window::new(source, 0);
    let mut listing = Listing::default();
    let mut elsewhere = 0_u64;
    let mut model = Fields::new(0, source.len());
    while let Some(field) = model.next(&mut window) {
        let (7, Some((start, end))) = (field.number, field.bytes()) else { continue };
        let mut graph = Fields::new(start, end);
        while let Some(field) = graph.next(&mut window) {
            let (5, Some((start, end))) = (field.number, field.bytes()) else { continue };
            if listing.tensors.len() >= MAX_TENSORS {
                listing.limits.push(format!("only the first {MAX_TENSORS} tensors are listed"));
                return listing;
            }
            match tensor(&mut window, start, end) {
                Some(tensor) => listing.tensors.push(tensor),
                None => elsewhere += 1,
            }
        }
    }
    if elsewhere > 0 {
        listing.limits.push(format!("{elsewhere} tensors are stored in another file or number by number"));
    }
    listing
}

fn tensor(window: &mut Window<'_>, start: u64, end: u64) -> Option<TensorInfo> {
    let (mut name, mut kind, mut dims, mut raw) = (String::new(), 0, Vec::new(), None);
    let mut fields = Fields::new(start, end);
    while let Some(field) = fields.next(window) {
        match (field.number, field.value) {
            (1, value) => numbers(window, value, &mut dims, 16),
            (2, Value::Number(value)) => kind = value,
            (8, Value::Bytes { start, end }) => name = text(window, start, end),
            // Raw bytes, or single and double floats one after the other: the same bytes.
            (9, Value::Bytes { start, end }) => raw = Some((start, end)),
            (4 | 10, Value::Bytes { start, end }) if raw.is_none() => raw = Some((start, end)),
            _ => {}
        }
    }
    let dtype = match kind {
        1 => Dtype::F32,
        11 => Dtype::F64,
        10 => Dtype::F16,
        16 => Dtype::Bf16,
        9 => Dtype::Bool,
        2..=7 | 12 | 13 => {
            let (width, signed) = match kind {
                2 => (1, false),
                3 => (1, true),
                4 => (2, false),
                5 => (2, true),
                6 => (4, true),
                12 => (4, false),
                7 => (8, true),
                _ => (8, false),
            };
            Dtype::Int { width, signed }
        }
        other => Dtype::Other(format!("ONNX type {other}")),
    };
    let (start, end) = raw?;
    Some(TensorInfo { name, dtype, shape: dims, start, len: end - start })
}
