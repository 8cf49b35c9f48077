//! Who said what of which item when, and the accounts that say it together.
//!
//! Two accounts that say the same of the same item in the same time share an act. Accounts that share a good part of
//! all they do are candidates; how many acts they would share by chance follows from how often accounts *outside* the
//! candidates do each, so that a ring does not make its own acts look ordinary. Pairs that share far more (a Chernoff
//! bound, over all pairs) are linked, and links make rings.

use std::collections::HashMap;

use crate::feed::real;

/// Acts looked at, at most.
pub const ACTS: usize = 8 << 20;
/// Accounts that do one act, up to which each pair is looked at; of more, neighbours in order.
const CROWD: usize = 200;
/// Neighbours in order that are looked at in a crowd.
const NEAR: usize = 24;
/// Pairs counted at most.
const PAIRS: usize = 24 << 20;
/// Acts that two accounts share at least.
const SHARED: u32 = 3;
/// And that part of the acts of the one that does fewer.
const PART: f64 = 0.3;
/// Groups of candidates looked at.
const CANDIDATES: usize = 50;
/// Accounts of a ring at least.
const FEWEST: usize = 5;
/// The chance of any link by chance.
const ALPHA: f64 = 0.01;

/// One act: places in the lists of words, and the number of a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Act {
    /// Who.
    pub account: u32,
    /// Of what.
    pub item: u32,
    /// What was said.
    pub value: u32,
    /// When; 0 where time is not known.
    pub time: i32,
}

/// All acts, and the words of their places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acts {
    /// The acts, in the order of the table.
    pub acts: Vec<Act>,
    /// Accounts.
    pub accounts: Vec<String>,
    /// Items.
    pub items: Vec<String>,
    /// What can be said.
    pub values: Vec<String>,
}

/// What a ring does to an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steered {
    /// The item, by place.
    pub item: u32,
    /// Accounts of the ring that spoke of it.
    pub accounts: u64,
    /// What most of them said, by place.
    pub value: u32,
    /// The share of that among all that was said of it.
    pub with: f64,
    /// The same without the ring.
    pub without: f64,
    /// Acts of others.
    pub others: u64,
}

/// Accounts that act together.
#[derive(Debug, Clone, PartialEq)]
pub struct Ring {
    /// The accounts, by place, rising.
    pub accounts: Vec<u32>,
    /// Their acts.
    pub acts: u64,
    /// Acts that at least two of them share.
    pub shared: u64,
    /// The items it steers most, strongest first.
    pub steered: Vec<Steered>,
    /// The first and last span of time of shared acts.
    pub times: (i32, i32),
}

fn root(of: &mut [u32], mut at: u32) -> u32 {
    while of[at as usize] != at {
        of[at as usize] = of[of[at as usize] as usize];
        at = of[at as usize];
    }
    at
}

/// The rings, the largest first; and whether some pairs could not be counted.
#[must_use]
pub fn rings(acts: &Acts) -> (Vec<Ring>, bool) {
    let many = acts.accounts.len();
    let mut done: Vec<Act> = acts.acts.clone();
    done.sort_unstable();
    done.dedup();
    let mut sizes = vec![0_u32; many];
    done.iter().for_each(|act| sizes.get_mut(act.account as usize).into_iter().for_each(|n| *n += 1));
    // By what was done; accounts rise within.
    done.sort_unstable_by_key(|act| (act.item, act.value, act.time, act.account));
    let same = |a: &Act, b: &Act| (a.item, a.value, a.time) == (b.item, b.value, b.time);
    let active = real(sizes.iter().filter(|&&size| size > 0).count().max(1) as u64);
    let mut pairs: HashMap<(u32, u32), u32> = HashMap::new();
    let mut crowded = false;
    for group in done.chunk_by(same) {
        let reach = if group.len() <= CROWD { CROWD } else { NEAR };
        for (at, one) in group.iter().enumerate() {
            for other in group[at + 1..].iter().take(reach) {
                let key = (one.account, other.account);
                if let Some(count) = pairs.get_mut(&key) {
                    *count += 1;
                } else if pairs.len() < PAIRS {
                    pairs.insert(key, 1);
                } else {
                    crowded = true;
                }
            }
        }
    }
    pairs.retain(|&(a, b), shared| {
        let least = f64::from(sizes[a as usize].min(sizes[b as usize]));
        *shared >= SHARED && f64::from(*shared) >= PART * least
    });
    let mut links: Vec<(u32, u32, u32)> = pairs.into_iter().map(|((a, b), shared)| (a, b, shared)).collect();
    links.sort_unstable();
    let bound = (ALPHA / (active * (active - 1.0) / 2.0).max(1.0)).ln();
    let mut found = Vec::new();
    for candidates in joined(&links, many).into_iter().take(CANDIDATES) {
        let chance = by_chance(&candidates, &done);
        let mean = real(done.len() as u64) / active;
        let inside = |account: u32| candidates.binary_search(&account).ok();
        let told: Vec<(u32, u32, u32)> = links
            .iter()
            .copied()
            .filter(|&(a, b, shared)| {
                let (Some(one), Some(other)) = (inside(a), inside(b)) else { return false };
                let size = |account: u32| f64::from(sizes[account as usize]) / mean.max(1e-9);
                // The rarer of both views: a busy account shares more with everybody.
                let expected = (chance[one] * size(b)).min(chance[other] * size(a)).max(1e-9);
                let shared = f64::from(shared);
                // Chernoff: the logarithm of the chance of so many or more.
                shared > expected && shared - expected - shared * (shared / expected).ln() < bound
            })
            .collect();
        found.extend(joined(&told, many).into_iter().map(|accounts| ring(accounts, &done)));
    }
    found.sort_by(|a, b| b.accounts.len().cmp(&a.accounts.len()).then(a.accounts.cmp(&b.accounts)));
    (found, crowded)
}

/// Accounts that links join, in groups large enough to be a ring, the largest first. An account belongs to one when at
/// least two are linked with it.
fn joined(links: &[(u32, u32, u32)], many: usize) -> Vec<Vec<u32>> {
    let mut degree: HashMap<u32, u32> = HashMap::new();
    for (a, b, _) in links {
        *degree.entry(*a).or_default() += 1;
        *degree.entry(*b).or_default() += 1;
    }
    let is_held = |account: &u32| degree.get(account).is_some_and(|degree| *degree >= 2);
    let mut of: Vec<u32> = (0..u32::try_from(many).unwrap_or(u32::MAX)).collect();
    for (a, b, _) in links.iter().filter(|(a, b, _)| is_held(a) && is_held(b)) {
        let (a, b) = (root(&mut of, *a), root(&mut of, *b));
        of[a.max(b) as usize] = a.min(b);
    }
    let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
    for account in degree.keys().filter(|account| is_held(account)) {
        members.entry(root(&mut of, *account)).or_default().push(*account);
    }
    let mut groups: Vec<Vec<u32>> = members.into_values().filter(|group| group.len() >= FEWEST).collect();
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    groups
}

/// By candidate: the acts it would share by chance with an account that does as much as most, judged by accounts that
/// are no candidates.
fn by_chance(candidates: &[u32], done: &[Act]) -> Vec<f64> {
    let mut others = std::collections::HashSet::new();
    for act in done.iter().filter(|act| candidates.binary_search(&act.account).is_err()) {
        others.insert(act.account);
    }
    let others = real(others.len() as u64) + 1.0;
    let mut chance = vec![0.0; candidates.len()];
    let same = |a: &Act, b: &Act| (a.item, a.value, a.time) == (b.item, b.value, b.time);
    for group in done.chunk_by(same) {
        let outside =
            group.iter().filter(|act| candidates.binary_search(&act.account).is_err()).count() as u64;
        for act in group {
            if let Ok(at) = candidates.binary_search(&act.account) {
                chance[at] += (real(outside) + 0.5) / others;
            }
        }
    }
    chance
}

/// What a ring does; acts are in order of item, value and time.
fn ring(accounts: Vec<u32>, done: &[Act]) -> Ring {
    let is_own = |act: &Act| accounts.binary_search(&act.account).is_ok();
    let mut own =
        Ring { acts: 0, shared: 0, steered: Vec::new(), times: (i32::MAX, i32::MIN), accounts: Vec::new() };
    let same = |a: &Act, b: &Act| (a.item, a.value, a.time) == (b.item, b.value, b.time);
    for group in done.chunk_by(same) {
        let inside = group.iter().filter(|act| is_own(act)).count() as u64;
        own.acts += inside;
        if inside >= 2 {
            own.shared += inside;
            own.times = (own.times.0.min(group[0].time), own.times.1.max(group[0].time));
        }
    }
    for group in done.chunk_by(|a, b| a.item == b.item) {
        let (mut said, mut all): (HashMap<u32, u64>, HashMap<u32, u64>) = Default::default();
        for act in group {
            *(if is_own(act) { &mut said } else { &mut all }).entry(act.value).or_default() += 1;
        }
        let most = said.iter().max_by_key(|(value, count)| (**count, std::cmp::Reverse(**value)));
        let Some((&value, _)) = most else { continue };
        let (inside, others) = (said.values().sum::<u64>(), all.values().sum::<u64>());
        if inside * 2 < accounts.len() as u64 {
            continue;
        }
        let share = |hits: u64, of: u64| real(hits) / real(of.max(1));
        let (own_hits, other_hits) = (said[&value], all.get(&value).copied().unwrap_or(0));
        own.steered.push(Steered {
            item: group[0].item,
            accounts: inside,
            value,
            with: share(own_hits + other_hits, inside + others),
            without: share(other_hits, others),
            others,
        });
    }
    own.steered
        .sort_by(|a, b| (b.with - b.without).total_cmp(&(a.with - a.without)).then(a.item.cmp(&b.item)));
    own.steered.truncate(10);
    own.accounts = accounts;
    own
}
