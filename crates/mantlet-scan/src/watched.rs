//! A source that remembers when reading failed: what a parser could not read must never pass as absent.

use std::sync::{Mutex, PoisonError};

use mantlet_vocab::{Source, SourceError};

pub(crate) struct Watched<'a> {
    inner: &'a dyn Source,
    failure: Mutex<Option<SourceError>>,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(inner: &'a dyn Source) -> Self {
        Self { inner, failure: Mutex::new(None) }
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
