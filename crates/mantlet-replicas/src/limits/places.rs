//! Places of concurrency limits, given back however a request ends.

use mantlet_guard::shared::{Allowance, Ask};

use super::{Inner, held};

/// Places of concurrency limits that are given back unless kept: also when the request is dropped while it waits.
pub(super) struct Places<'a> {
    inner: &'a Inner,
    asks: &'a [Ask],
    kept: bool,
}

impl<'a> Places<'a> {
    pub(super) fn enter(inner: &'a Inner, asks: &'a [Ask]) -> Self {
        let mut share = held(&inner.share);
        places_of(asks).for_each(|ask| share.enter(&ask.bucket));
        Self { inner, asks, kept: false }
    }

    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Places<'_> {
    fn drop(&mut self) {
        if self.kept || places_of(self.asks).next().is_none() {
            return;
        }
        {
            let mut share = held(&self.inner.share);
            for ask in places_of(self.asks) {
                share.leave(&ask.bucket);
            }
        }
        // Redis may have granted what nobody waited for.
        let mut unsaid = held(&self.inner.unsaid);
        places_of(self.asks).for_each(|ask| drop(unsaid.insert(ask.bucket.clone(), ask.clone())));
    }
}

pub(super) fn places_of(asks: &[Ask]) -> impl Iterator<Item = &Ask> {
    asks.iter().filter(|ask| matches!(ask.allowance, Allowance::Concurrent(_)))
}
