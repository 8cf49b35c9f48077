//! The bounds and buffers of one call.

use std::time::{Duration, Instant};

use mantlet_vocab::{ShapeError, Tensor, Value};

use crate::Limits;
use crate::values;

/// Why an operator stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fail {
    /// The values do not fit the operator.
    Bad(String),
    /// The memory limit.
    Memory,
    /// The time limit.
    Time,
}

impl From<String> for Fail {
    fn from(reason: String) -> Self {
        Self::Bad(reason)
    }
}

impl From<&str> for Fail {
    fn from(reason: &str) -> Self {
        Self::Bad(reason.to_owned())
    }
}

impl From<ShapeError> for Fail {
    fn from(error: ShapeError) -> Self {
        Self::Bad(error.to_string())
    }
}

/// How many buffers are kept for the next call.
const SPARE: usize = 64;

/// Buffers of earlier values, reused: a gradient attack runs the same shapes hundreds of times.
#[derive(Debug, Default)]
pub(crate) struct Pool(Vec<Vec<f32>>);

impl Pool {
    /// A buffer of `len` values, all `value` if given: the smallest spare one that is large enough.
    fn take(&mut self, len: usize, value: Option<f32>) -> Vec<f32> {
        let fitting = self.0.iter().enumerate().filter(|(_, spare)| spare.capacity() >= len);
        let best =
            fitting.min_by_key(|(_, spare)| spare.capacity()).map(|(index, spare)| (index, spare.capacity()));
        match best {
            Some((index, capacity)) if capacity <= len.saturating_mul(2).max(64) => {
                let mut buffer = self.0.swap_remove(index);
                if value.is_some() {
                    buffer.clear();
                }
                buffer.resize(len, value.unwrap_or(0.0));
                buffer
            }
            _ => vec![value.unwrap_or(0.0); len],
        }
    }

    fn give(&mut self, buffer: Vec<f32>) {
        if self.0.len() < SPARE && buffer.capacity() > 0 {
            self.0.push(buffer);
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|buffer| buffer.capacity() * 4).sum()
    }
}

/// One call: its limits, what is alive, and spare buffers.
pub(crate) struct Run {
    limits: Limits,
    deadline: Option<Instant>,
    live: usize,
    pending: usize,
    pub(crate) pool: Pool,
}

impl Run {
    pub(crate) fn new(limits: Limits, pool: Pool) -> Self {
        let deadline =
            limits.max_millis.and_then(|millis| Instant::now().checked_add(Duration::from_millis(millis)));
        Self { limits, deadline, live: 0, pending: 0, pool }
    }

    /// The limits of the call.
    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }

    /// Fails when the time is up.
    pub(crate) fn tick(&self) -> Result<(), Fail> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Fail::Time),
            _ => Ok(()),
        }
    }

    /// Reserves room for `count` elements of `width` bytes; call before allocating.
    pub(crate) fn room(&mut self, count: usize, width: usize) -> Result<(), Fail> {
        let bytes = count.checked_mul(width).ok_or(Fail::Memory)?;
        let total = self.live.saturating_add(self.pending).saturating_add(bytes);
        if total > self.limits.max_memory {
            return Err(Fail::Memory);
        }
        self.pending += bytes;
        Ok(())
    }

    /// A buffer of `len` zeros within the limit.
    pub(crate) fn floats(&mut self, len: usize) -> Result<Vec<f32>, Fail> {
        self.room(len, 4)?;
        Ok(self.pool.take(len, Some(0.0)))
    }

    /// A buffer of `len` values within the limit, to be overwritten: it may hold old ones.
    pub(crate) fn scratch(&mut self, len: usize) -> Result<Vec<f32>, Fail> {
        self.room(len, 4)?;
        Ok(self.pool.take(len, None))
    }

    /// The number of elements of a shape, with room for them reserved.
    pub(crate) fn shape(&mut self, shape: &[usize], width: usize) -> Result<usize, Fail> {
        let len = count(shape)?;
        self.room(len, width)?;
        Ok(len)
    }

    /// A tensor of zeros within the limit.
    pub(crate) fn zeros(&mut self, shape: &[usize]) -> Result<Tensor, Fail> {
        let len = count(shape)?;
        Ok(Tensor::new(shape, self.floats(len)?)?)
    }

    /// A copy within the limit.
    pub(crate) fn copy(&mut self, shape: &[usize], data: &[f32]) -> Result<Tensor, Fail> {
        self.room(data.len(), 4)?;
        let mut buffer = self.pool.take(data.len(), None);
        buffer.copy_from_slice(data);
        Ok(Tensor::new(shape, buffer)?)
    }

    /// Returns scratch memory.
    pub(crate) fn give(&mut self, buffer: Vec<f32>) {
        self.pending = self.pending.saturating_sub(buffer.len() * 4);
        self.pool.give(buffer);
    }

    /// The operator is done: what it keeps is alive, the rest was scratch.
    pub(crate) fn settle(&mut self, kept: usize) {
        self.pending = 0;
        self.live = self.live.saturating_add(kept);
    }

    /// A backward step is done: what it consumed is gone, what it made is alive.
    pub(crate) fn spend(&mut self, consumed: usize, made: usize) {
        self.live = self.live.saturating_sub(consumed);
        self.settle(made);
    }

    /// A value is no longer needed.
    pub(crate) fn release(&mut self, value: Value) {
        self.live = self.live.saturating_sub(values::bytes(&value));
        if let Value::F32(tensor) = value {
            self.pool.give(tensor.into_data());
        }
    }

    /// A gradient is no longer needed.
    pub(crate) fn release_gradient(&mut self, tensor: Tensor) {
        self.live = self.live.saturating_sub(tensor.data().len() * 4);
        self.pool.give(tensor.into_data());
    }
}

/// The number of elements of a shape.
pub(crate) fn count(shape: &[usize]) -> Result<usize, Fail> {
    shape
        .iter()
        .try_fold(1_usize, |product, &axis| product.checked_mul(axis))
        .filter(|&count| count <= isize::MAX as usize)
        .ok_or_else(|| Fail::Bad(format!("shape {shape:?} overflows")))
}
