//! How often the strongest of many tests of honest counts is so strong: what keeps the chance of a false alarm.
//!
//! Every cell is tested over many windows that overlap, so that adding up their chances (Bonferroni) asks for far more
//! than it says. Here the chance that *any* of a cell's tests falls below a bound is drawn: a test is drawn by its own
//! chance, a course of counts is drawn given that this test falls below, and the chances are divided by how many tests
//! fall below with it (importance sampling of a union: Naiman and Priebe, 2001). Chances of single tests are those of
//! whole numbers, so a window too small to ever fall below takes nothing from the others (Tarone, 1990). No label is
//! looked at: all of it follows from what is expected of a cell, and from the rows of each batch.

use statrs::function::erf::erfc_inv;

use super::real;

/// Longest window, in batches.
const LONGEST: usize = 26;
/// Windows of that many batches or more have the same part of the chance; shorter ones less, as there are more of them
/// that do not overlap.
const EVEN: usize = 4;
/// Below that many expected rows a window tells nothing.
pub(super) const FEWEST: f64 = 5.0;
/// Above that many expected rows a count is as good as any number.
const FLUID: f64 = 30.0;
/// The bounds at which chances are drawn, as powers of ten; between them their logarithms are joined by lines.
const BOUNDS: [f64; 8] = [2.0, 3.5, 5.0, 6.5, 8.0, 9.5, 11.0, 12.5];
/// Courses that are drawn for a bound, at most and at least; fewer where there are very many tests.
const DRAWS: (usize, usize) = (240, 40);
const EVALUATIONS: usize = 1 << 18;

/// One test of a cell: the batches of a window, alike, or weighted by how long it has lasted by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The batches weigh 1, 2, 3 and so on: what slow poison that grows looks like.
    pub(super) grows: bool,
}

impl Test {
    /// The weight of a batch of the window.
    pub(super) fn weight(self, batch: usize) -> f64 {
        if self.grows { real((batch + 1 - self.from) as u64) } else { 1.0 }
    }

    /// Its part of the chance, 1 for a long window.
    pub(super) fn part(self) -> f64 {
        real((self.to + 1 - self.from).min(EVEN) as u64) / real(EVEN as u64)
    }
}

/// The tests made after each batch, over the whole table.
pub(super) fn tests(batches: usize, from: usize) -> impl Iterator<Item = Test> {
    let starts = move |to: usize| from.max((to + 1).saturating_sub(LONGEST))..=to;
    (from..batches)
        .flat_map(move |to| starts(to).map(move |start| (start, to)))
        .flat_map(|(from, to)| [false, true].map(|grows| Test { from, to, grows }))
        .filter(|test| !test.grows || test.from < test.to)
}

/// The number that a normal one is above with this chance.
fn bound(chance: f64) -> f64 {
    std::f64::consts::SQRT_2 * erfc_inv((2.0 * chance).clamp(1e-300, 2.0))
}

/// The chance, `most` at most, that a count of which `expected` are expected falls where chances are no larger.
fn attained(expected: f64, most: f64, few: bool) -> f64 {
    if expected >= FLUID {
        return most;
    }
    let mut each = (-expected).exp();
    if few {
        let (mut sum, mut count) = (0.0, 0.0);
        while sum + each <= most && count < 200.0 {
            sum += each;
            count += 1.0;
            each *= expected / count;
        }
        return sum;
    }
    let mut chances = Vec::with_capacity(161);
    for count in 1..=160_u64 {
        chances.push(each);
        each *= expected / real(count);
    }
    let mut sum = 0.0;
    for chance in chances.into_iter().rev() {
        if sum + chance > most {
            break;
        }
        sum += chance;
    }
    sum
}

/// What is drawn once for all cells that are tested from one batch on: the tests and the noise.
#[derive(Debug)]
pub(super) struct Courses {
    /// What each batch has of what is expected, as a share.
    shares: Vec<f64>,
    tests: Vec<Test>,
    /// What turns the weighted sum of a test into deviations.
    scales: Vec<f64>,
    /// Of each test: the share of a cell's rows within, and how many whole rows a weighted one counts for, as a share.
    within: Vec<(f64, f64)>,
    noise: Vec<f64>,
    chosen: Vec<(f64, f64)>,
}

impl Courses {
    /// `expected`: the rows with the label in each batch of the whole table.
    pub(super) fn new(expected: &[f64], from: usize) -> Self {
        let sum = expected.iter().sum::<f64>().max(1e-9);
        let shares: Vec<f64> = expected.iter().map(|own| (own / sum).max(1e-9)).collect();
        let tests: Vec<Test> = tests(expected.len(), from).collect();
        let powers = |test: &Test| {
            (test.from..=test.to).fold([0.0; 4], |mut sums: [f64; 4], batch| {
                let weight = test.weight(batch);
                let mut power = shares[batch];
                for sum in &mut sums {
                    *sum += power;
                    power *= weight;
                }
                sums
            })
        };
        let all: Vec<[f64; 4]> = tests.iter().map(powers).collect();
        let scales = all.iter().map(|powers| 1.0 / powers[2].sqrt()).collect();
        let within = all.iter().map(|powers| (powers[0], powers[2].powi(3) / powers[3].powi(2))).collect();
        let draws = (EVALUATIONS / tests.len().max(1)).clamp(DRAWS.1, DRAWS.0);
        let mut state = 0x636f_6e74_726f_6c00_u64;
        let mut uniform = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (real((mixed ^ (mixed >> 31)) >> 11) + 0.5) / real(1 << 53)
        };
        let noise = (0..draws * shares.len()).map(|_| bound(uniform())).collect();
        let chosen = (0..draws).map(|_| (uniform(), uniform())).collect();
        Self { shares, tests, scales, within, noise, chosen }
    }

    /// The logarithm of the chance that any test of a cell falls below each bound; `expected` are the rows of the whole
    /// table in the cell.
    fn any(&self, expected: f64, few: bool) -> [f64; BOUNDS.len()] {
        let mut all = [f64::NEG_INFINITY; BOUNDS.len()];
        let mut chances = vec![0.0; self.tests.len()];
        let mut limits = vec![0.0; self.tests.len()];
        for (own, power) in all.iter_mut().zip(BOUNDS) {
            let most = 10_f64.powf(-power);
            for (((chance, limit), test), &(rows, like)) in
                chances.iter_mut().zip(&mut limits).zip(&self.tests).zip(&self.within)
            {
                // A weighted sum takes many values, but none below that of no row at all.
                let whole = if test.grows { FLUID } else { 0.0 };
                *chance =
                    if rows * expected < FEWEST || (few && (-like * expected).exp() > most * test.part()) {
                        0.0
                    } else {
                        attained((rows * expected).max(whole), most * test.part(), few)
                    };
                *limit = if *chance > 0.0 { bound(*chance) } else { f64::INFINITY };
            }
            *own = self.union(&chances, &limits).ln();
        }
        all
    }

    /// The chance that any test is beyond its limit, from the chances of each.
    fn union(&self, chances: &[f64], limits: &[f64]) -> f64 {
        let mut sums: Vec<f64> = Vec::with_capacity(chances.len());
        let mut sum = 0.0;
        for chance in chances {
            sum += chance;
            sums.push(sum);
        }
        if sum <= 0.0 {
            return 0.0;
        }
        let batches = self.shares.len();
        let mut path = vec![0.0; batches];
        // Sums of the noise up to each batch, and of the noise times the batch's number.
        let (mut plain, mut numbered) = (vec![0.0; batches + 1], vec![0.0; batches + 1]);
        let mut parts = 0.0;
        for (noise, &(which, how)) in self.noise.chunks_exact(batches.max(1)).zip(&self.chosen) {
            let at = sums.partition_point(|own| *own <= which * sum).min(chances.len() - 1);
            let test = self.tests[at];
            let mut off = bound((how * chances[at]).max(1e-300));
            for ((own, noise), share) in path.iter_mut().zip(noise).zip(&self.shares) {
                *own = noise * share.sqrt();
            }
            for (batch, own) in path.iter().enumerate().take(test.to + 1).skip(test.from) {
                off -= own * test.weight(batch) * self.scales[at];
            }
            for (batch, own) in path.iter_mut().enumerate().take(test.to + 1).skip(test.from) {
                *own += off * test.weight(batch) * self.scales[at] * self.shares[batch];
            }
            for (batch, own) in path.iter().enumerate() {
                plain[batch + 1] = plain[batch] + own;
                numbered[batch + 1] = numbered[batch] + own * real(batch as u64 + 1);
            }
            let mut beyond = 0_u64;
            for ((test, scale), limit) in self.tests.iter().zip(&self.scales).zip(limits) {
                let own = plain[test.to + 1] - plain[test.from];
                let own = if test.grows {
                    numbered[test.to + 1] - numbered[test.from] - real(test.from as u64) * own
                } else {
                    own
                };
                beyond += u64::from(own * scale >= *limit);
            }
            parts += 1.0 / real(beyond.max(1));
        }
        sum * parts / real(self.chosen.len().max(1) as u64)
    }
}

/// The chances of any cell of a family.
#[derive(Debug, Clone)]
pub(super) struct Control {
    logs: [f64; BOUNDS.len()],
}

impl Control {
    /// `cells`: what is expected in each, in rows that scatter like whole numbers. `known` keeps what was drawn for
    /// cells of this size.
    pub(super) fn new(
        courses: &Courses,
        cells: impl Iterator<Item = f64>,
        few: bool,
        known: &mut Known,
    ) -> Self {
        let mut sums = [0.0; BOUNDS.len()];
        for expected in cells {
            #[expect(clippy::cast_possible_truncation, reason = "a logarithm of a count")]
            let size = (2.0 * expected.max(1.0).log2()).ceil() as i32;
            let least = courses.within.iter().map(|within| within.0).fold(f64::INFINITY, f64::min);
            // Where every window is fluid all sizes are alike.
            let fluid = f64::from(2.0_f32.powf(size as f32 / 2.0));
            let size = if fluid * least >= 10.0 * FLUID { i32::MAX } else { size };
            let logs = known.entry((size, few)).or_insert_with(|| courses.any(fluid, few));
            sums.iter_mut().zip(logs.iter()).for_each(|(sum, log)| *sum += log.exp());
        }
        Self { logs: sums.map(f64::ln) }
    }

    /// The chance that any test of any cell has this chance or less, each seen by its part.
    pub(super) fn chance(&self, of: f64) -> f64 {
        let power = -of.max(1e-300).log10();
        let (first, last) = (BOUNDS[0], BOUNDS[BOUNDS.len() - 1]);
        if power < first {
            return 1.0;
        }
        let beyond = ((power - last) * std::f64::consts::LN_10).max(0.0);
        let power = power.min(last);
        let at = BOUNDS.partition_point(|bound| *bound <= power).clamp(1, BOUNDS.len() - 1);
        let along = (power - BOUNDS[at - 1]) / (BOUNDS[at] - BOUNDS[at - 1]);
        let (low, high) = (self.logs[at - 1], self.logs[at]);
        // Where no window can reach a bound, its chance is that of the bound before.
        let log = if high.is_finite() { low + along * (high - low) } else { low };
        if log.is_finite() { (log - beyond).exp().min(1.0) } else { 1.0 }
    }
}

/// Chances drawn so far, by the size of a cell in steps of a half power of two, and by direction.
pub(super) type Known = std::collections::BTreeMap<(i32, bool), [f64; BOUNDS.len()]>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::tests::uniform;

    /// A count of which `expected` are expected.
    fn count(expected: f64, u: f64) -> f64 {
        let (mut each, mut count) = ((-expected).exp(), 0.0);
        let mut sum = each;
        while sum < u && count < 1000.0 {
            count += 1.0;
            each *= expected / count;
            sum += each;
        }
        count
    }

    #[test]
    fn the_chance_of_any_window_is_that_of_counts_that_are_drawn() {
        let batches = 10_u64;
        for (expected, few) in [(600.0, true), (600.0, false), (90.0, true)] {
            let each = expected / real(batches);
            let courses = Courses::new(&vec![1.0; batches as usize], 0);
            let control = Control::new(&courses, std::iter::once(expected), few, &mut Known::new());
            let windows: Vec<Test> = tests(batches as usize, 0).collect();
            let (mut below, sets) = ([0_u64; 2], 12_000_u64);
            for set in 0..sets {
                let seen: Vec<f64> =
                    (0..batches).map(|batch| count(each, uniform(set * batches + batch, 77))).collect();
                let least = windows.iter().map(|test| {
                    let of = |power: i32| {
                        (test.from..=test.to).map(|b| test.weight(b).powi(power) * each).sum::<f64>()
                    };
                    if of(0) < FEWEST {
                        return 1.0;
                    }
                    let sum: f64 = (test.from..=test.to).map(|b| test.weight(b) * seen[b]).sum();
                    let scale = of(3) / of(2);
                    let like = of(2) / (scale * scale);
                    let own = like + (sum - of(1)) / scale;
                    crate::feed::tail::tail(own.max(0.0), like, like, few) / test.part()
                });
                let least = least.fold(1.0, f64::min);
                for (below, most) in below.iter_mut().zip([1e-3, 1e-2]) {
                    *below += u64::from(least <= most);
                }
            }
            for (below, most) in below.into_iter().zip([1e-3, 1e-2]) {
                let (drawn, said) = (real(below) / real(sets), control.chance(most));
                // Never more often than said, up to the noise of both, and not far less often.
                assert!(
                    drawn < said * 1.2 && drawn > said * 0.5,
                    "{expected} {few} {most}: {drawn}, said {said}"
                );
            }
        }
    }

    #[test]
    fn it_is_less_than_the_sum_and_grows_with_the_bound() {
        let courses = Courses::new(&[1.0; 12], 0);
        let control = Control::new(&courses, [500.0; 48].into_iter(), true, &mut Known::new());
        let all = 48.0 * real(tests(12, 0).count() as u64);
        let mut before = 0.0;
        for power in [-15, -12, -9, -7, -6, -5] {
            let own = control.chance(10_f64.powi(power));
            assert!(own > before && own < 0.5 * all * 10_f64.powi(power), "{power}: {own}");
            before = own;
        }
        assert!((control.chance(0.5) - 1.0).abs() < 1e-9);
        // A cell too small for any alarm costs the others nothing.
        let more = Control::new(&courses, [500.0; 48].into_iter().chain([6.0; 900]), true, &mut Known::new());
        assert!((more.chance(1e-7) / control.chance(1e-7) - 1.0).abs() < 1e-6);
        // No batches, no cells.
        let none = Control::new(&Courses::new(&[], 0), [50.0].into_iter(), true, &mut Known::new());
        assert!((none.chance(1e-9) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn normal_numbers_and_counts() {
        assert!((bound(1e-6) - 4.753_424_308_822_899).abs() < 1e-6);
        assert!((attained(10.0, 0.011, true) - 0.010_336).abs() < 1e-5);
        assert!((attained(10.0, 0.011, false) - 0.007_187).abs() < 1e-5);
        assert!(attained(6.0, 1e-3, true).abs() < 1e-12);
    }
}
