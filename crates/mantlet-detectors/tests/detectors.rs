//! Rooms against their cases, and the laws of profile and state.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use mantlet_detectors::{
    CallerState, Detector, Encoded, Learning, Observation, Outcome, Profile, ProfileError, RowFacts,
    StateLimits, Trace, TraceRow, abouts, all, configurable, derive,
};
use mantlet_vocab::{About, Millis, NamedValue, Tensor, Value};
use proptest::prelude::*;
use serde::Deserialize;

/// A table of four correlated columns from a fixed generator.
fn table(rows: usize, seed: u64) -> Tensor<f32> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut unit = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / 16_777_216.0
    };
    let mut normal = || (0..12).map(|_| unit()).sum::<f32>() - 6.0;
    let mut data = Vec::new();
    for _ in 0..rows {
        let (a, b) = (normal(), normal());
        data.extend([a, 0.5 * a + 0.8 * b, b, normal()]);
    }
    // Bounded, so that the cases' values stand on firm ground.
    data.iter_mut().for_each(|v| *v = v.clamp(-3.0, 3.0));
    Tensor::new([rows, 4], data).unwrap()
}

fn inputs(x: Tensor<f32>) -> Vec<NamedValue> {
    vec![NamedValue { name: "x".into(), value: Value::F32(x) }]
}

fn profile() -> Profile {
    let inputs = inputs(table(600, 1));
    let learning =
        Learning { inputs: &inputs, labels: None, classes: &[], scores: None, outlier_rate: 0.001, seed: 1 };
    Profile::learn(&learning).unwrap()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Case {
    inputs: Option<Vec<NamedValue>>,
    rows: Vec<RowFacts>,
    labels: Vec<usize>,
    flips: Vec<u32>,
    budget: Option<u64>,
}

/// The cases of a room: kind, title, data.
fn cases(about: &About) -> Vec<(String, Case)> {
    let mut cases = Vec::new();
    for part in about.cases.split("## ").skip(1) {
        let (title, rest) = part.split_once('\n').unwrap();
        let json = rest.split("```json").nth(1).unwrap().split("```").next().unwrap();
        cases.push((title.to_owned(), serde_json::from_str(json).unwrap()));
    }
    cases
}

#[test]
fn rooms_are_in_order_and_judge_their_cases() {
    assert_eq!(About::faults(&abouts()), []);
    // Thresholds as a table of images would have them; four columns fall on lines by chance.
    let mut profile = profile();
    profile.honest.near_needed = 8;
    profile.honest.aligned = 0;
    profile.honest.aligned_needed = 1;
    profile.honest.evidence_needed = 8.0;
    let trace = walk_trace(&profile);
    let pinned = derive(&trace, &profile).unwrap();
    let empty = Encoded { rows: Tensor::full([0, 4], 0.0), faults: vec![] };
    for about in configurable() {
        for (title, case) in cases(about) {
            let encoded = case.inputs.as_ref().map_or_else(|| empty.clone(), |inputs| profile.encode(inputs));
            let seen =
                Observation { profile: &profile, encoded: &encoded, rows: &case.rows, budget: case.budget };
            let outcome = Outcome { profile: &profile, labels: &case.labels, flips: &case.flips };
            let score = |detector: &dyn Detector| {
                let both = [detector.look(&seen), detector.outcome(&outcome)];
                both.into_iter().flatten().map(|signal| signal.score).fold(0.0, f64::max)
            };
            let score = match all().iter().find(|detector| detector.about().name == about.name) {
                Some(detector) => score(&**detector),
                None => pinned.look(&seen, &[]).map_or(0.0, |signal| signal.score),
            };
            assert_eq!(score >= 1.0, title.starts_with("hit"), "{}: {title}: {score}", about.name);
        }
    }
}

/// A bisection between two rows, then small steps.
fn walk_trace(profile: &Profile) -> Trace {
    let (from, to) = (profile_row(2), profile_row(3));
    let mut rows = vec![from.clone(), to.clone()];
    let mut share = 1.0_f32;
    for step in 0..20 {
        share *= 0.5;
        let mut row: Vec<f32> = from.iter().zip(&to).map(|(a, b)| a + share.max(0.06) * (b - a)).collect();
        if share < 0.06 {
            row[step % 4] += 0.01 * step as f32;
        }
        rows.push(row);
    }
    let _ = profile;
    let rows = rows.into_iter().enumerate().map(|(index, row)| TraceRow {
        inputs: inputs(Tensor::new([1, 4], row).unwrap()),
        label: Some(index % 2),
        margin: None,
        success: index > 10,
    });
    Trace { case: "case-1".into(), attack: "walk".into(), rows: rows.collect() }
}

fn profile_row(seed: u64) -> Vec<f32> {
    table(1, seed).into_data()
}

#[test]
fn a_profile_is_deterministic_survives_json_and_holds_its_rate() {
    let profile = profile();
    assert_eq!(profile, self::profile());
    let stored = serde_json::to_string(&profile).unwrap();
    let mut restored: Profile = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored, profile);
    restored.rows = 0;
    assert_ne!(restored, profile);
    // Rows of the same making that it has not seen.
    let fresh = profile.encode(&inputs(table(4000, 77)));
    assert_eq!(fresh.faults.iter().filter(|fault| fault.score > 2.0).count(), 0);
    let mut state = CallerState::default();
    let facts = state.advance(&profile, &fresh, &StateLimits::default(), Millis(5));
    let outliers = facts.iter().filter(|row| row.outlier >= 1.0).count();
    assert!(outliers <= 16, "{outliers} of 4,000 honest rows at a stated rate of 0.001");
    assert!(facts.iter().all(|row| row.evidence < profile.honest.evidence_needed));
}

#[test]
fn whoever_asks_for_nearly_the_same_is_worth_more_than_a_stranger() {
    let profile = profile();
    let mut searcher = CallerState::default();
    let start = profile_row(2);
    for step in 0..40 {
        let mut row = start.clone();
        row[step % 4] += 0.003 * (1 + step) as f32;
        let near = profile.encode(&inputs(Tensor::new([1, 4], row).unwrap()));
        searcher.advance(&profile, &near, &StateLimits::default(), Millis(step as u64));
    }
    let mut strangers: f64 = 0.0;
    for seed in 0..500 {
        let mut stranger = CallerState::default();
        let rows = profile.encode(&inputs(table(12, 9000 + seed)));
        stranger.advance(&profile, &rows, &StateLimits::default(), Millis(seed));
        strangers = strangers.max(stranger.suspicion());
    }
    // What is forgotten first is what is suspected least, see `Callers` of the guard.
    assert!(searcher.suspicion() >= 2.0 * strangers, "{} against {strangers}", searcher.suspicion());
    let stored = serde_json::to_value(&searcher).unwrap();
    let restored: CallerState = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(restored, searcher);
    let mut before = stored;
    before.as_object_mut().unwrap().remove("close").expect("it is stored");
    serde_json::from_value::<CallerState>(before).expect("states of before are read");
}

#[test]
fn profiles_of_mixed_columns_know_categories_and_units() {
    let rows = 200;
    let ages: Vec<i64> = (0..rows).map(|row| 20 + row * 7 % 50).collect();
    let jobs: Vec<String> =
        (0..rows).map(|row| ["clerk", "smith", "baker"][row as usize % 3].into()).collect();
    let n = rows as usize;
    let inputs = vec![
        NamedValue { name: "age".into(), value: Value::I64(Tensor::new([n, 1], ages).unwrap()) },
        NamedValue { name: "job".into(), value: Value::Text(Tensor::new([n, 1], jobs).unwrap()) },
    ];
    let learning =
        Learning { inputs: &inputs, labels: None, classes: &[], scores: None, outlier_rate: 0.01, seed: 3 };
    let profile = Profile::learn(&learning).unwrap();
    assert_eq!(profile.inputs[0].kind, "integer");
    assert_eq!(profile.inputs[1].columns[0].categories.len(), 3);
    let ask = |age: f32, job: &str| {
        let one = vec![
            NamedValue { name: "age".into(), value: Value::F32(Tensor::new([1], vec![age]).unwrap()) },
            NamedValue {
                name: "job".into(),
                value: Value::Text(Tensor::new([1, 1], vec![job.into()]).unwrap()),
            },
        ];
        profile.encode(&one).faults.len()
    };
    assert_eq!(ask(30.0, "baker"), 0);
    assert_eq!(ask(30.5, "baker"), 1, "half a year");
    assert_eq!(ask(300.0, "wizard"), 2);
    assert!(matches!(
        Profile::learn(&Learning { inputs: &inputs[..0], ..learning }),
        Err(ProfileError::Rows { found: 0, .. })
    ));
}

#[test]
fn wide_rows_are_folded_and_lines_stay_straight() {
    let wide = 784;
    let mut data = Vec::new();
    for row in 0..120_u64 {
        data.extend(table(wide / 4, row + 10).into_data());
    }
    let inputs = vec![NamedValue {
        name: "image".into(),
        value: Value::F32(Tensor::new([120, 1, 28, 28], data.clone()).unwrap()),
    }];
    let learning =
        Learning { inputs: &inputs, labels: None, classes: &[], scores: None, outlier_rate: 0.01, seed: 3 };
    let profile = Profile::learn(&learning).unwrap();
    assert_eq!(profile.typical.width, 64);
    assert_eq!(profile.honest.aligned_needed, 1);
    let (a, b) = (&data[..wide], &data[wide..2 * wide]);
    let middle: Vec<f32> = a.iter().zip(b).map(|(a, b)| 0.5 * (a + b)).collect();
    let stream = [a, b, &middle].concat();
    let rows = vec![NamedValue {
        name: "image".into(),
        value: Value::F32(Tensor::new([3, 1, 28, 28], stream).unwrap()),
    }];
    let mut state = CallerState::default();
    let facts = state.advance(&profile, &profile.encode(&rows), &StateLimits::default(), Millis(0));
    assert_eq!(facts.iter().map(|row| row.aligned).collect::<Vec<_>>(), [0, 0, 1]);
}

fn value() -> impl Strategy<Value = NamedValue> {
    let number = prop_oneof![
        -4.0_f32..4.0,
        Just(f32::NAN),
        Just(f32::INFINITY),
        Just(f32::MAX),
        Just(f32::MIN_POSITIVE)
    ];
    (prop::collection::vec(number, 0..24), 0_usize..4, prop::bool::ANY).prop_map(|(data, kind, name)| {
        let rows = data.len() / 4;
        let value = match kind {
            0 => Value::F32(Tensor::new([data.len()], data).unwrap()),
            1 => Value::Text(Tensor::new([2], vec!["a".into(), "b".into()]).unwrap()),
            _ => Value::F32(Tensor::new([rows, 4], data[..rows * 4].to_vec()).unwrap()),
        };
        NamedValue { name: if name { "x" } else { "y" }.into(), value }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cutting_a_stream_otherwise_changes_nothing(cuts in prop::collection::vec(1_usize..40, 1..20), seed in 0_u64..50) {
        static PROFILE: std::sync::OnceLock<Profile> = std::sync::OnceLock::new();
        let profile = PROFILE.get_or_init(profile);
        let limits = StateLimits::default();
        let stream = table(120, seed);
        let labels: Vec<usize> = (0..120).map(|row| row % 3).collect();
        let mut whole = CallerState::default();
        let encoded = profile.encode(&inputs(stream.clone()));
        let all = whole.advance(profile, &encoded, &limits, Millis(9));
        let flips = whole.answered(profile, &encoded, &labels, &limits);
        let mut cut = CallerState::default();
        let (mut from, mut facts, mut cut_flips) = (0, Vec::new(), Vec::new());
        for size in cuts.into_iter().chain([120]) {
            let rows: Vec<usize> = (from..(from + size).min(120)).collect();
            if rows.is_empty() { break; }
            // A state that is stored and read back in between is the same state.
            cut = serde_json::from_str(&serde_json::to_string(&cut).unwrap()).unwrap();
            let encoded = profile.encode(&inputs(stream.select(&rows)));
            facts.extend(cut.advance(profile, &encoded, &limits, Millis(9)));
            cut_flips.extend(cut.answered(profile, &encoded, &labels[from..from + rows.len()], &limits));
            from += rows.len();
        }
        prop_assert_eq!(facts, all);
        prop_assert_eq!(cut_flips, flips);
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn nothing_panics_and_state_stays_bounded(requests in prop::collection::vec(prop::collection::vec(value(), 0..3), 1..20)) {
        static PROFILE: std::sync::OnceLock<Profile> = std::sync::OnceLock::new();
        let profile = PROFILE.get_or_init(profile);
        let mut state = CallerState::default();
        let detectors = all();
        for request in requests {
            let encoded = profile.encode(&request);
            prop_assert!(encoded.rows.data().iter().all(|value| value.is_finite()));
            let rows = state.advance(profile, &encoded, &StateLimits::default(), Millis(1));
            let seen = Observation { profile, encoded: &encoded, rows: &rows, budget: None };
            for detector in &detectors {
                if let Some(signal) = detector.look(&seen) {
                    prop_assert!(signal.score.is_finite() && signal.score >= 1.0);
                }
            }
        }
        prop_assert!(serde_json::to_string(&state).unwrap().len() < 64_000);
    }
}
