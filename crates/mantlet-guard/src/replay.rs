//! Replaying a recorded stream against rules and thresholds: whether a case is stopped.

use mantlet_detectors::{CallerState, Outcome, Trace};
use mantlet_vocab::Millis;

use crate::Guard;
use crate::verdict::weigh;

/// What replaying a stream against the guard gave.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Replayed {
    /// Rows replayed.
    pub rows: usize,
    /// The first row (from 1) with a signal at its threshold.
    pub flagged_at: Option<usize>,
    /// The first row (from 1) whose answer an enforcing guard withholds.
    pub stopped_at: Option<usize>,
    /// How many rows' answers it withholds.
    #[serde(default)]
    pub withheld: usize,
    /// The first row (from 1) that is a success of the attack.
    pub succeeded_at: Option<usize>,
    /// Names of the signals, in order of appearance.
    pub signals: Vec<String>,
}

impl Replayed {
    /// Whether the answer to the attack's first success, or to an earlier row, is withheld; also when the stream
    /// has no success and is stopped.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stopped_at.is_some_and(|stop| self.succeeded_at.is_none_or(|success| stop <= success))
    }
}

impl Guard {
    /// Replays a stream as a fresh caller against rules and thresholds in enforce mode, without touching any state
    /// of this guard. Labels in the trace stand for the model's answers; what the guard withholds is not answered.
    #[must_use]
    pub fn replay(&self, trace: &Trace) -> Replayed {
        let mut replayed = Replayed {
            rows: trace.rows.len(),
            flagged_at: None,
            stopped_at: None,
            withheld: 0,
            succeeded_at: trace.rows.iter().position(|row| row.success).map(|index| index + 1),
            signals: Vec::new(),
        };
        let Some(profile) = self.profile() else { return replayed };
        let mut state = CallerState::default();
        for (index, row) in trace.rows.iter().enumerate() {
            let encoded = profile.encode(&row.inputs);
            let facts = state.advance(profile, &encoded, &self.config().state, Millis(0));
            let (mut signals, mut weighed) = self.judge(profile, &row.inputs, &encoded, &facts);
            if let Some(label) = row.label.filter(|_| weighed.proposed.passes()) {
                let flips = state.answered(profile, &encoded, &[label], &self.config().state);
                let outcome = Outcome { profile, labels: &[label], flips: &flips };
                for (policy, detector) in &self.detectors {
                    let signal = Ok(detector.outcome(&outcome));
                    weigh(
                        &mut weighed,
                        &mut signals,
                        signal,
                        detector.about().name,
                        policy,
                        self.config().mode,
                    );
                }
                let margins: Vec<f32> = row.margin.into_iter().collect();
                self.judge_margins(&margins, &mut signals, &mut weighed);
            }
            if !signals.is_empty() {
                replayed.flagged_at.get_or_insert(index + 1);
            }
            if !weighed.proposed.passes() {
                replayed.stopped_at.get_or_insert(index + 1);
                replayed.withheld += 1;
            }
            for signal in signals {
                if !replayed.signals.contains(&signal.name) {
                    replayed.signals.push(signal.name);
                }
            }
        }
        replayed
    }
}
