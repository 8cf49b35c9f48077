//! Tensors and the storages they view, as torch writes them; and what takes items at all.

use super::effect::Special;
use super::facts::{Fault, Positions, Storage};
use super::machine::Machine;
use super::value::{Node, Shape, Val, View};
use crate::weights::Dtype;

/// Storages of one pickle that are remembered; later ones are not compared with their members.
const MAX_STORAGES: usize = 20_000;

impl Machine<'_> {
    /// The value of a persistent id `("storage", class, key, device, count, ...)`.
    pub(super) fn storage(&mut self, items: &[Val]) -> Val {
        let count = match items.get(4).map(|count| count.view()) {
            Some(View::Int(count)) => u64::try_from(count).unwrap_or(0),
            _ => return Val::UNKNOWN,
        };
        let key = items.get(2).and_then(|&key| self.string(key)).map(|(key, _)| key);
        let class = items.get(1).and_then(|&class| self.heap.global(class));
        let item = class.as_ref().and_then(|class| item_size(&class.name));
        let float = class.and_then(|class| float(&class.name));
        let mut place = None;
        match key {
            Some(key) if key.len() <= 64 && self.facts.storage_list.len() < MAX_STORAGES => {
                // Indices are whole numbers of eight bytes.
                let whole = item == Some(8) && float.is_none();
                place = whole.then_some(self.facts.storage_list.len() as u32);
                self.facts.storage_list.push(Storage { key, item, float, count, positions: Vec::new() });
            }
            Some(_) => self.limit("not every storage is compared with its member of the archive"),
            None => {}
        }
        self.heap.add(Node::Storage(count, place), Val::UNKNOWN)
    }

    /// What a constructor of torch gives, of which more is kept than that it is one.
    pub(super) fn torch(&mut self, special: Special, items: &[Val], otherwise: Val, at: u64) -> Val {
        match special {
            Special::Tensor => self.tensor(items, at).unwrap_or(otherwise),
            Special::Sparse => {
                self.sparse(items);
                otherwise
            }
            // `torch.Size` is the tuple it is given.
            _ => match items.first() {
                Some(size) if matches!(size.view(), View::Tuple(..)) => *size,
                _ => otherwise,
            },
        }
    }

    /// `_rebuild_sparse_tensor(layout, (indices, values, size, ...))`, or of compressed rows
    /// `(starts, indices, values, size)`: indices are positions that torch does not check.
    fn sparse(&mut self, items: &[Val]) {
        let Some(View::Tuple(..)) = items.get(1).map(|data| data.view()) else { return };
        let data = self.heap.items(items[1]).to_vec();
        let indices = |machine: &Self, index: usize| match machine.heap.node(*data.get(index)?)? {
            Node::Indices(place, first, axes) => Some((*place, *first, axes.clone())),
            _ => None,
        };
        let extents = |machine: &Self, index: usize| -> Option<Vec<u64>> {
            let size = *data.get(index)?;
            matches!(size.view(), View::Tuple(..)).then_some(())?;
            let extent = |value: &Val| match value.view() {
                View::Int(value) => u64::try_from(value).ok(),
                _ => None,
            };
            machine.heap.items(size).iter().map(extent).collect()
        };
        let mut found = Vec::new();
        if let (Some((place, first, axes)), Some(size)) = (indices(self, 0), extents(self, 2)) {
            // A row for each axis.
            if let [(rows, step), (count, next)] = axes[..] {
                for (row, &below) in size.iter().take(rows.min(64) as usize).enumerate() {
                    let start = step.checked_mul(row as u64).and_then(|skip| skip.checked_add(first));
                    let Some(first) = start else { continue };
                    found.push((place, Positions { first, step: next, count, below }));
                }
            }
        } else if let (Some(starts), Some(inner), Some(size)) =
            (indices(self, 0), indices(self, 1), extents(self, 3))
        {
            let below = size.iter().copied().max().unwrap_or(0);
            if let ([(rows, step)], [(count, next)]) = (&starts.2[..], &inner.2[..]) {
                let within = count.saturating_add(1);
                found.push((
                    starts.0,
                    Positions { first: starts.1, step: *step, count: *rows, below: within },
                ));
                found.push((inner.0, Positions { first: inner.1, step: *next, count: *count, below }));
            }
        }
        for (place, positions) in found {
            if let Some(storage) = self.facts.storage_list.get_mut(place as usize)
                && storage.positions.len() < 64
            {
                storage.positions.push(positions);
            }
        }
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, ...)`: the view must lie inside the storage.
    /// Gives what is kept of a tensor of whole numbers.
    fn tensor(&mut self, items: &[Val], at: u64) -> Option<Val> {
        let &[storage, offset, size, stride, ..] = items else { return None };
        let Some(&Node::Storage(count, place)) = self.heap.node(storage) else { return None };
        let number = |value: Val| match value.view() {
            View::Int(value) => u64::try_from(value).ok(),
            _ => None,
        };
        let known = matches!((size.view(), stride.view()), (View::Tuple(..), View::Tuple(..)));
        if !known || !matches!(offset.view(), View::Int(_)) {
            return None;
        }
        let (size, stride) = (self.heap.items(size), self.heap.items(stride));
        let mut plain = size.iter().chain(stride);
        if size.len() != stride.len() || !plain.all(|axis| matches!(axis.view(), View::Int(_))) {
            return None;
        }
        let last = || {
            let mut last = number(offset)?;
            for (&axis, &step) in size.iter().zip(stride) {
                let axis = number(axis)?;
                if axis == 0 {
                    return Some(0);
                }
                last = last.checked_add((axis - 1).checked_mul(number(step)?)?)?;
            }
            last.checked_add(1)
        };
        if last().is_none_or(|end| end > count) {
            self.defect(Fault::TensorOutside, at);
            return None;
        }
        let axes: Option<Box<[(u64, u64)]>> = (1..=2).contains(&size.len()).then(|| {
            size.iter().zip(stride).map(|(&axis, &step)| number(axis).zip(number(step))).collect()
        })?;
        let kept = Node::Indices(place?, number(offset)?, axes?);
        Some(self.heap.add(kept, Val::UNKNOWN))
    }

    /// Notes items that are put into something that takes none. Objects may take any.
    #[inline]
    pub(super) fn takes_items(&mut self, opcode: u8, target: Val, at: u64) {
        let pairs = matches!(opcode, b's' | b'u');
        let takes = match target.view() {
            View::None | View::Bool(_) | View::Int(_) | View::Number | View::Text(_) | View::Tuple(..) => {
                false
            }
            // A bytearray takes both; bytes and bytearrays share a view.
            View::Bytes(_) | View::Global(_) | View::Unknown | View::Dropped => true,
            View::Instance(_) => {
                !pairs
                    || self.heap.global(target).is_none_or(|class| {
                        !(class.module.starts_with("torch") && class.name.contains("_rebuild_"))
                    })
            }
            View::Node(_) => match self.heap.node(target) {
                Some(Node::Container { shape: Shape::Dict, .. }) => pairs,
                Some(Node::Container { shape: Shape::FrozenSet, .. } | Node::Storage(..)) => false,
                // `SETITEM` on a list is legal Python, and no pickler writes it.
                Some(Node::Container { .. }) => !pairs,
                _ => true,
            },
        };
        if !takes {
            self.defect(Fault::ItemTarget, at);
        }
    }
}

fn float(class: &str) -> Option<Dtype> {
    Some(match class {
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::Bf16,
        "FloatStorage" => Dtype::F32,
        "DoubleStorage" => Dtype::F64,
        _ => return None,
    })
}

pub(crate) fn item_size(class: &str) -> Option<u64> {
    Some(match class {
        "ByteStorage" | "CharStorage" | "BoolStorage" | "UntypedStorage" | "QInt8Storage"
        | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => 1,
        "HalfStorage" | "BFloat16Storage" | "ShortStorage" => 2,
        "FloatStorage" | "IntStorage" | "QInt32Storage" => 4,
        "DoubleStorage" | "LongStorage" | "ComplexFloatStorage" => 8,
        "ComplexDoubleStorage" => 16,
        _ => return None,
    })
}
