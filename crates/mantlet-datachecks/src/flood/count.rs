//! Which keys are frequent, and what the rows that share them look like.

use std::collections::HashMap;

use super::sketch::{BANDS, Tokens, alike};

/// Counters of keys.
const SLOTS: usize = 1 << 27;
/// Groups at most.
const GROUPS: usize = 20_000;
/// Groups a key may lead to.
const TRIES: usize = 3;
/// Rows are of one group when they share at least this part of their tokens with its first row.
const ALIKE: f64 = 0.5;

/// How often each key was seen, about: a counter may stand for several keys, which then count together.
#[derive(Debug, Clone)]
pub struct KeyCounts {
    slots: Vec<u8>,
    mask: usize,
}

impl KeyCounts {
    /// Counters for a table of so many rows.
    #[must_use]
    pub fn new(rows: u64) -> Self {
        let wanted = usize::try_from(rows.saturating_mul(2 * BANDS as u64)).unwrap_or(SLOTS);
        let slots = wanted.next_power_of_two().clamp(1 << 16, SLOTS);
        Self { slots: vec![0; slots], mask: slots - 1 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits are the place")]
    const fn slot(&self, key: u64) -> usize {
        key as usize & self.mask
    }

    /// Counts the keys of a row.
    pub fn add(&mut self, keys: &[u64; BANDS]) {
        for &key in keys {
            let slot = self.slot(key);
            self.slots[slot] = self.slots[slot].saturating_add(1);
        }
    }

    /// Rows that share a key, up to 255.
    #[must_use]
    pub fn of(&self, key: u64) -> u8 {
        self.slots[self.slot(key)]
    }
}

/// Rows that are nearly the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    first: Vec<u32>,
    /// The number of its first row.
    pub row: u64,
    /// Rows by feed and batch.
    pub rows: HashMap<(u32, u32), u64>,
    /// All its rows.
    pub total: u64,
    /// Rows by label.
    pub labels: HashMap<u32, u64>,
}

/// Groups of rows, found while the table is read a second time.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    groups: Vec<Group>,
    by_key: HashMap<u64, Vec<u32>>,
    /// Rows that belonged to no group as there were too many groups.
    pub crowded: u64,
}

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct From {
    /// Its number in the table.
    pub row: u64,
    /// Its feed, by place.
    pub feed: u32,
    /// Its batch, by place.
    pub batch: u32,
    /// Its label, by place.
    pub label: u32,
}

impl Groups {
    /// Puts a row into its group when at least `fewest` rows share one of its keys; gives the group.
    pub fn add(
        &mut self,
        tokens: &Tokens,
        keys: &[u64; BANDS],
        counts: &KeyCounts,
        fewest: u8,
        from: From,
    ) -> Option<u32> {
        let mut open = None;
        let mut tried = [u32::MAX; BANDS * TRIES];
        let mut tries = 0;
        for &key in keys.iter().filter(|&&key| counts.of(key) >= fewest) {
            let known = self.by_key.get(&key).map_or(&[][..], Vec::as_slice);
            for &group in known {
                if tried[..tries].contains(&group) {
                    continue;
                }
                tried[tries] = group;
                tries += 1;
                let own = &mut self.groups[group as usize];
                if alike(&own.first, tokens.hashes()) >= ALIKE {
                    own.take(from);
                    return Some(group);
                }
            }
            if known.len() < TRIES {
                open.get_or_insert(key);
            }
        }
        open?;
        if self.groups.len() >= GROUPS {
            self.crowded += 1;
            return None;
        }
        let group = u32::try_from(self.groups.len()).ok()?;
        let mut own = Group {
            first: tokens.hashes().to_vec(),
            row: from.row,
            rows: HashMap::new(),
            total: 0,
            labels: HashMap::new(),
        };
        own.take(from);
        self.groups.push(own);
        for &key in keys.iter().filter(|&&key| counts.of(key) >= fewest) {
            let known = self.by_key.entry(key).or_default();
            if known.len() < TRIES {
                known.push(group);
            }
        }
        Some(group)
    }

    /// The groups, and for each the one it was joined with: groups whose first rows are alike are one.
    #[must_use]
    pub fn finish(self, fewest: u64) -> (Vec<Group>, Vec<u32>) {
        let mut joined: Vec<u32> = (0..u32::try_from(self.groups.len()).unwrap_or(u32::MAX)).collect();
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.sort_by_key(|&at| (std::cmp::Reverse(self.groups[at].total), at));
        // Only large groups draw others in.
        let large: Vec<usize> =
            order.iter().copied().filter(|&at| self.groups[at].total >= fewest).take(500).collect();
        for (place, &at) in order.iter().enumerate() {
            let target = large
                .iter()
                .take_while(|&&other| other != at)
                .take(place)
                .find(|&&other| alike(&self.groups[other].first, &self.groups[at].first) >= ALIKE);
            if let Some(&target) = target {
                joined[at] = joined[target];
            }
        }
        let mut groups = self.groups;
        for at in 0..groups.len() {
            let target = joined[at] as usize;
            if target != at {
                let own = groups[at].clone();
                groups[target].merge(&own);
                groups[at].total = 0;
            }
        }
        (groups, joined)
    }
}

impl Group {
    fn take(&mut self, from: From) {
        self.total += 1;
        *self.rows.entry((from.feed, from.batch)).or_default() += 1;
        *self.labels.entry(from.label).or_default() += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.row = self.row.min(other.row);
        other.rows.iter().for_each(|(at, count)| *self.rows.entry(*at).or_default() += count);
        other.labels.iter().for_each(|(label, count)| *self.labels.entry(*label).or_default() += count);
    }
}
