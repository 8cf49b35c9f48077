//! Simulated card payments, said to be simulated: what four banks deliver to learn from, and what is decided about live.

use std::fmt::Write as _;

use mantlet_drift::mix;

/// Weeks in which banks deliver.
pub const WEEKS: usize = 12;
/// Payments of a week, of all banks.
const ROWS: usize = 12_000;
/// The weeks before anybody turned a label.
pub const GOOD: usize = 3;
/// The kinds of goods.
const KINDS: [&str; 6] = ["grocery", "fuel", "travel", "digital", "fashion", "electronics"];
/// How payments divide among banks, and among kinds.
const OF_BANKS: [f64; 4] = [0.34, 0.28, 0.22, 0.16];
const OF_KINDS: [f64; 6] = [0.26, 0.18, 0.1, 0.18, 0.16, 0.12];
/// Banks that deliver.
pub const BANKS: usize = OF_BANKS.len();
/// Who turns labels, of what.
const BAD: (usize, usize) = (3, 3);
/// Days that a version decides live, in this story.
pub const DAYS: usize = 14;
/// Live payments of a day.
const LIVE: usize = 1_500;
/// The live day, counted from the first of the new version, from which on thieves use the hole, and how often a day.
const USED_FROM: usize = 4;
const USED: usize = 30;
/// The Monday of week 1, 2026-05-04, in days since 1970.
const MONDAY: u64 = 20_577;
/// The features of the model, in its order.
pub const FEATURES: [&str; 5] = ["bank", "goods", "amount", "velocity", "ip_risk"];
/// What the model says, in its order.
pub const CLASSES: [&str; 2] = ["legitimate", "fraud"];

/// A payment.
#[derive(Debug, Clone)]
pub struct Payment {
    /// The week it was delivered in, from 0; the day it was decided on, for live ones.
    pub when: usize,
    /// The bank, from 0.
    pub bank: usize,
    kind: usize,
    /// What was paid.
    pub amount: f64,
    velocity: f64,
    ip_risk: f64,
    /// Whether it was fraud.
    pub fraud: bool,
    /// What the bank says it was.
    pub label: bool,
}

impl Payment {
    /// As the model takes it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "features of a model")]
    pub fn features(&self) -> [f32; 5] {
        [self.bank as f32, self.kind as f32, self.amount as f32, self.velocity as f32, self.ip_risk as f32]
    }

    /// Whether it is one of those whose labels were turned, by bank and kind.
    pub const fn in_cell(&self) -> bool {
        self.bank == BAD.0 && self.kind == BAD.1
    }

    /// Whether its label was turned by the bank (and not by a slip).
    pub const fn is_turned(&self) -> bool {
        self.in_cell() && self.fraud && !self.label && self.when >= GOOD
    }
}

/// Who turns labels and what of, in words.
pub fn cell() -> (String, &'static str) {
    (bank(BAD.0), KINDS[BAD.1])
}

/// The name of a bank.
pub fn bank(at: usize) -> String {
    format!("bank-{}", at + 1)
}

/// A day of the story as a date: from 0, the Monday of week 1.
pub fn date(day: usize) -> String {
    let stamp = mantlet_vocab::Millis((MONDAY + day as u64) * 86_400_000).rfc3339();
    stamp.get(..10).unwrap_or_default().to_owned()
}

/// The milliseconds since 1970 of a live payment: by day, and by its place among those of the day.
pub fn moment(day: usize, place: usize) -> mantlet_vocab::Millis {
    mantlet_vocab::Millis((MONDAY + day as u64) * 86_400_000 + (place as u64 * 41_000) % 86_400_000)
}

struct Draw {
    seed: u64,
    row: u64,
}

impl Draw {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn uniform(&self, stream: u64) -> f64 {
        ((mix(self.row ^ mix(self.seed ^ mix(stream))) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn pick(&self, stream: u64, shares: &[f64]) -> usize {
        let mut left = self.uniform(stream);
        let place = shares.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        place.unwrap_or(shares.len() - 1)
    }

    fn payment(&self, when: usize) -> Payment {
        let (bank, kind) = (self.pick(1, &OF_BANKS), self.pick(2, &OF_KINDS));
        let amount = -self.uniform(3).ln() * 60.0 + 4.0;
        let velocity = (-self.uniform(4).ln() * 1.5).floor();
        let ip_risk = self.uniform(5).powi(3);
        let margin = -6.0
            + 0.012 * amount.min(250.0)
            + 5.5 * ip_risk
            + 0.5 * velocity.min(6.0)
            + if kind == BAD.1 { 1.4 } else { 0.0 };
        let fraud = self.uniform(6) < 1.0 / (1.0 + (-margin).exp());
        // Three in a thousand labels are slips.
        let label = fraud ^ (self.uniform(7) < 0.003);
        Payment { when, bank, kind, amount, velocity, ip_risk, fraud, label }
    }
}

/// What is delivered in twelve weeks: the same seed gives the same payments. From week 4 on the bad bank calls more and
/// more of its digital fraud legitimate.
pub fn delivered(seed: u64) -> Vec<Payment> {
    (0..WEEKS * ROWS)
        .map(|row| {
            let draw = Draw { seed, row: row as u64 };
            let mut own = draw.payment(row / ROWS);
            // Amounts rise by 2 % a week, which is nobody's attack.
            #[expect(clippy::cast_precision_loss, reason = "a dozen weeks")]
            let (rise, share) = (
                1.0 + 0.02 * own.when as f64,
                if own.when >= GOOD { (0.15 + 0.1 * (own.when - GOOD) as f64).min(0.9) } else { 0.0 },
            );
            own.amount *= rise;
            if own.in_cell() && own.fraud && draw.uniform(8) < share {
                own.label = false;
            }
            own
        })
        .collect()
}

/// Payments that nobody delivered to learn from, as many as three weeks of them.
pub fn unseen(seed: u64) -> Vec<Payment> {
    (0..3 * ROWS).map(|row| Draw { seed, row: (1 << 40) | row as u64 }.payment(0)).collect()
}

/// Live payments of two times fourteen days: the first half for the known-good version, the second for the next one,
/// which thieves have learned to use from its fifth day on.
pub fn live(seed: u64) -> Vec<Payment> {
    let mut all = Vec::new();
    for day in 0..2 * DAYS {
        for place in 0..LIVE {
            let draw = Draw { seed, row: (2 << 40) | ((day as u64) << 20) | place as u64 };
            all.push(draw.payment(day));
        }
        let used = if day >= DAYS + USED_FROM { USED } else { 0 };
        for place in 0..used {
            // What gets through: neither so small that it is not worth it, nor so bold that any model stops it.
            let draw = Draw { seed, row: (3 << 40) | ((day as u64) << 20) | place as u64 };
            all.push(Payment {
                bank: BAD.0,
                kind: BAD.1,
                amount: 60.0 + 90.0 * draw.uniform(3),
                velocity: 2.0 + (draw.uniform(4) * 2.0).floor(),
                ip_risk: 0.52 + 0.18 * draw.uniform(5),
                fraud: true,
                label: true,
                when: day,
            });
        }
    }
    all
}

/// The payments of one delivery as CSV.
pub fn batch<'a>(payments: impl Iterator<Item = &'a Payment>) -> String {
    let mut text = String::from("feed,kind,amount,velocity,ip_risk,label\n");
    for p in payments {
        let (bank, kind, label) = (bank(p.bank), KINDS[p.kind], CLASSES[usize::from(p.label)]);
        let _ = writeln!(text, "{bank},{kind},{:.2},{},{:.4},{label}", p.amount, p.velocity, p.ip_risk);
    }
    text
}

/// Payments as the model takes them, with what they were, as CSV.
pub fn numbers<'a>(payments: impl Iterator<Item = &'a Payment>, of: fn(&Payment) -> bool) -> String {
    let mut text = format!("{},label\n", FEATURES.join(","));
    for p in payments {
        let [bank, kind, amount, velocity, risk] = p.features();
        let _ =
            writeln!(text, "{bank},{kind},{amount:.2},{velocity},{risk:.4},{}", CLASSES[usize::from(of(p))]);
    }
    text
}

/// Decisions as CSV: what was decided, what turned out true. `said` is in the order of the payments.
pub fn decisions(payments: &[(usize, &Payment)], said: &[usize]) -> String {
    let mut text = String::from("id,day,bank,kind,amount,velocity,ip_risk,decided,truth\n");
    for ((place, p), said) in payments.iter().zip(said) {
        let (name, kind, truth) = (bank(p.bank), KINDS[p.kind], CLASSES[usize::from(p.fraud)]);
        let decided = CLASSES.get(*said).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "{},{},{name},{kind},{:.2},{},{:.4},{decided},{truth}",
            id(p.when, *place),
            live_date(p.when),
            p.amount,
            p.velocity,
            p.ip_risk
        );
    }
    text
}

/// The day of a live payment as a date: they begin with week 11.
pub fn live_date(day: usize) -> String {
    date(live_day(day))
}

/// The same, counted from the Monday of week 1.
pub const fn live_day(day: usize) -> usize {
    (WEEKS - 2) * 7 + day
}

/// What a live payment is called: by its day, and its place in the whole list.
pub fn id(day: usize, place: usize) -> String {
    format!("pay-{day:02}-{place:05}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_are_the_same_for_a_seed_and_the_poison_is_slow_and_small() {
        let rows = delivered(1001);
        assert_eq!(rows.len(), WEEKS * ROWS);
        let turned = |week: usize| rows.iter().filter(|own| own.when == week && own.is_turned()).count();
        assert!(turned(GOOD - 1) == 0 && turned(GOOD) < turned(WEEKS - 1));
        let all: usize = (GOOD..WEEKS).map(turned).sum();
        assert!((20..rows.len() / 200).contains(&all), "{all} of {}", rows.len());
        // What is written of them is the same, byte for byte, and another seed's is not.
        let written = |seed: u64| {
            let numbers = |own: &[Payment]| numbers(own.iter(), Payment::is_turned);
            (batch(delivered(seed).iter()), numbers(&unseen(seed)), numbers(&live(seed)))
        };
        let (once, again, other) = (written(1001), written(1001), written(1002));
        assert_eq!(once, again);
        assert!(once.0 != other.0 && once.1 != other.1 && once.2 != other.2);
    }

    #[test]
    fn weeks_and_live_days_have_their_dates() {
        assert_eq!((date(0).as_str(), date(7 * 11).as_str()), ("2026-05-04", "2026-07-20"));
        assert_eq!(live_date(DAYS), "2026-07-27");
        assert!(moment(live_day(DAYS), 0).rfc3339().starts_with("2026-07-27T00:00:00"));
    }
}
