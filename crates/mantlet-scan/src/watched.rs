//! A source that remembers when reading failed, and ends when its time is over: what a parser could not read must
//! never pass as absent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mantlet_vocab::{Source, SourceError};

/// When the examination of an artifact must be over, and whether it was not.
#[derive(Debug)]
pub(crate) struct Deadline {
    /// What was allowed.
    pub(crate) allowed: Duration,
    end: Option<Instant>,
    missed: AtomicBool,
}

impl Deadline {
    pub(crate) fn new(allowed: Duration) -> Arc<Self> {
        Arc::new(Self { allowed, end: Instant::now().checked_add(allowed), missed: AtomicBool::new(false) })
    }

    /// Whether the time is over; once it is, it stays so.
    pub(crate) fn is_missed(&self) -> bool {
        if self.end.is_some_and(|end| Instant::now() >= end) {
            self.missed.store(true, Ordering::Relaxed);
        }
        self.was_missed()
    }

    /// Whether it was found to be over before.
    pub(crate) fn was_missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }
}

pub(crate) struct Watched<'a> {
    inner: &'a dyn Source,
    deadline: Option<Arc<Deadline>>,
    failure: Mutex<Option<SourceError>>,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(inner: &'a dyn Source, deadline: Option<Arc<Deadline>>) -> Self {
        Self { inner, deadline, failure: Mutex::new(None) }
    }

    /// The first read that failed or gave nothing where there should be bytes.
    pub(crate) fn failure(self) -> Option<SourceError> {
        self.failure.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, failure: &SourceError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| failure.clone());
    }
}

impl Source for Watched<'_> {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        if self.deadline.as_ref().is_some_and(|deadline| deadline.is_missed()) {
            return Err(SourceError { offset, reason: "the time for it is over".into() });
        }
        let read = self.inner.read_at(offset, buffer);
        match &read {
            Err(failure) => self.remember(failure),
            Ok(0) if !buffer.is_empty() && offset < self.inner.len() => {
                self.remember(&SourceError {
                    offset,
                    reason: "the bytes end before their declared end".into(),
                });
            }
            Ok(_) => {}
        }
        read
    }
}
