//! How often the analysis of a rollout is wrong, by simulation. Every run is the same: the seeds stand here.

use mantlet_registry::rollout::{
    Arm, Evidence, Margins, Observation, Outputs, Phase, Plan, Rollout, Step, Verdict,
};
use mantlet_vocab::Millis;

/// xorshift64*, so that every run is the same.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn hits(&mut self, rate: f64) -> bool {
        self.unit() < rate
    }
}

/// Rates of one version.
#[derive(Clone, Copy)]
struct Rates {
    errors: f64,
    slow: f64,
    signals: f64,
    first_class: f64,
}

fn plan() -> Plan {
    let step = |share, samples| Step { share, samples, dwell_ms: 0 };
    Plan {
        steps: vec![step(500, 300), step(2_500, 1_000), step(5_000, 1_000)],
        slow_ms: Some(100.0),
        outputs: Outputs::Classes(3),
        margins: Margins { errors: 0.01, latency: 0.05, signals: 0.02, outputs: 0.05, labels: 0.02 },
        false_rollback: 0.05,
        ..Plan::default()
    }
}

fn rollout(plan: Plan) -> Rollout {
    Rollout {
        id: "r".into(),
        system: "s".into(),
        route: None,
        candidate: "v2".into(),
        stable: "v1".into(),
        evidence: Evidence::new(&plan, Millis(0)),
        plan,
        phase: Phase::Canary(0),
        paused: false,
        revision: 0,
        started_by: "ada".into(),
        started: Millis(0),
        since: Millis(0),
        lines: Vec::new(),
    }
}

/// Runs one rollout, looked at after every exchange: whether it was taken back, and the candidate's exchanges until
/// it was over.
fn run(dice: &mut Dice, baseline: Rates, candidate: Rates, most: u64) -> (bool, u64) {
    let plan = plan();
    let mut rollout = rollout(plan.clone());
    let mut answered = 0;
    for at in 1..=most {
        let share = f64::from(rollout.share()) / 10_000.0;
        let (arm, rates) =
            if dice.hits(share) { (Arm::Candidate, candidate) } else { (Arm::Baseline, baseline) };
        answered += u64::from(arm == Arm::Candidate);
        let (failed, slow) = (dice.hits(rates.errors), dice.hits(rates.slow));
        let seen = Observation {
            arm,
            at: Millis(at),
            failed: Some(failed),
            took_ms: if slow { 150.0 } else { 10.0 },
            signalled: Some(dice.hits(rates.signals)),
            output: (!failed).then(|| if dice.hits(rates.first_class) { 0 } else { 1 + at as usize % 2 }),
        };
        rollout.evidence.see(&plan, &seen);
        match rollout.judge(Millis(at)) {
            Verdict::RollBack(_) => return (true, answered),
            Verdict::Advance if rollout.next() == Phase::Promoted => return (false, answered),
            Verdict::Advance => rollout = rollout.moved(rollout.next(), "advanced", "test", "", Millis(at)),
            Verdict::Hold(_) => {}
            Verdict::Over => unreachable!("it runs"),
        }
    }
    (false, answered)
}

const FINE: Rates = Rates { errors: 0.02, slow: 0.05, signals: 0.03, first_class: 0.5 };

/// The hardest case within the plan: every metric exactly at its margin.
const AT_THE_MARGIN: Rates = Rates { errors: 0.03, slow: 0.10, signals: 0.05, first_class: 0.55 };

#[test]
fn a_candidate_within_the_margins_is_taken_back_no_more_often_than_stated() {
    let (mut worst, mut equal) = (0, 0);
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for _ in 0..200 {
        worst += u32::from(run(&mut dice, FINE, AT_THE_MARGIN, 8_000).0);
        equal += u32::from(run(&mut dice, FINE, FINE, 8_000).0);
    }
    // Stated: at most 5 %, 10 of 200.
    assert!(worst <= 10, "{worst} of 200 at the margin");
    assert!(equal <= 1, "{equal} of 200 equal versions");
}

#[test]
fn a_worse_candidate_is_taken_back_by_each_metric() {
    let mut dice = Dice(7);
    let worse = [
        ("errors", Rates { errors: 0.30, ..FINE }),
        ("latency", Rates { slow: 0.40, ..FINE }),
        ("signals", Rates { signals: 0.30, ..FINE }),
        ("outputs", Rates { first_class: 0.95, ..FINE }),
    ];
    for (name, rates) in worse {
        let runs: Vec<(bool, u64)> = (0..20).map(|_| run(&mut dice, FINE, rates, 20_000)).collect();
        let taken = runs.iter().filter(|(taken, _)| *taken).count();
        let most = runs.iter().map(|(_, answered)| *answered).max().unwrap_or(0);
        assert_eq!(taken, 20, "{name}");
        assert!(most <= 300, "{name}: {most} exchanges before it was taken back");
    }
}

/// Prints the figures of `docs/rollout.md`: `MANTLET_RUNS=2000 cargo test -p mantlet-registry figures -- --nocapture`.
#[test]
fn figures_of_the_documentation() {
    let runs: usize = std::env::var("MANTLET_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(4);
    let mut dice = Dice(0xD1B5_4A32_D192_ED03);
    let cases = [
        ("equal", FINE),
        ("at the margin", AT_THE_MARGIN),
        ("errors 2 -> 5 %", Rates { errors: 0.05, ..FINE }),
        ("errors 2 -> 12 %", Rates { errors: 0.12, ..FINE }),
        ("all fail", Rates { errors: 1.0, ..FINE }),
        ("slow 5 -> 25 %", Rates { slow: 0.25, ..FINE }),
        ("signals 3 -> 15 %", Rates { signals: 0.15, ..FINE }),
        ("class 50 -> 75 %", Rates { first_class: 0.75, ..FINE }),
    ];
    for (name, rates) in cases {
        let mut taken = Vec::new();
        for _ in 0..runs {
            if let (true, answered) = run(&mut dice, FINE, rates, 40_000) {
                taken.push(answered);
            }
        }
        taken.sort_unstable();
        let middle = taken.get(taken.len() / 2).copied().unwrap_or(0);
        println!(
            "{name}: taken back {} of {runs}, candidate's exchanges until then {middle} (median)",
            taken.len()
        );
        if name == "all fail" {
            assert_eq!(taken.len(), runs);
        }
    }
}
