//! A small analytic target that counts, refuses and fails as told, and the tests of the campaign's promises.

use std::rc::Rc;

use mantlet_attacks::{Constraints, Goal, Lesson, Loss, Material, ScoreKind, State, Stop};
use mantlet_vocab::Tensor;
use proptest::prelude::*;
use serde_json::json;

use crate::*;

/// Linear over `[n, 3]`: class 1 when the sum is above 1.5 - `margin`.
#[derive(Debug, Clone)]
struct Line {
    threshold: f32,
    /// Rows answered and refused.
    asked: u64,
    /// Refuses once so many rows were asked.
    refuse_after: u64,
    /// Batches, counted from zero, that fail.
    fails: Vec<u64>,
    batches: u64,
    hide: bool,
    max_rows: usize,
}

impl Line {
    const fn new() -> Self {
        Self {
            threshold: 1.2,
            asked: 0,
            refuse_after: u64::MAX,
            fails: Vec::new(),
            batches: 0,
            hide: false,
            max_rows: 0,
        }
    }

    fn open(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        self.asked += rows.rows() as u64;
        self.batches += 1;
        if self.asked > self.refuse_after {
            return Err(TargetError::Refused {
                status: 429,
                reason: "slow down".into(),
                retry_after_ms: Some(9_000),
            });
        }
        if self.fails.contains(&(self.batches - 1)) {
            return Err(TargetError::Failed { reason: "gone".into() });
        }
        let scores: Vec<f32> = (0..rows.rows())
            .flat_map(|row| [0.0, 4.0 * (rows.row(row).iter().sum::<f32>() - self.threshold)])
            .collect();
        Ok(Tensor::new([rows.rows(), 2], scores).unwrap())
    }
}

impl Target for Line {
    fn describe(&self) -> TargetFacts {
        TargetFacts {
            name: "line".into(),
            input_shape: vec![3],
            classes: Some(2),
            score_kind: Some(ScoreKind::Logits),
            scores: true,
            no_gradient: None,
            max_rows: self.max_rows,
        }
    }
    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        Ok(self.open(rows)?.argmax_rows())
    }
    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        self.open(rows)
    }
    fn gradient(&mut self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, TargetError> {
        let scores = self.open(rows)?;
        let (losses, slopes) = loss.evaluate(&scores, ScoreKind::Logits);
        let strength = if self.hide { 0.0 } else { 4.0 };
        let gradient = (0..rows.rows()).flat_map(|row| [slopes.row(row)[1] * strength; 3]).collect();
        Ok(GradientAnswer {
            scores,
            loss: losses,
            gradient: Tensor::new([rows.rows(), 3], gradient).unwrap(),
        })
    }
}

fn rows() -> Material {
    let rows = Tensor::new([3, 3], vec![0.5, 0.5, 0.5, 0.45, 0.4, 0.5, 0.1, 0.2, 0.3]).unwrap();
    Material::new(rows, vec![], 2)
}

fn walk() -> Campaign {
    Campaign::new("evasion-hop-skip-jump", 7, rows()).config(json!({"queries": 120, "radius": 0.2}))
}

#[test]
fn an_interrupted_campaign_ends_in_the_same_report() {
    // Gradients come from a model in process, which neither refuses nor fails; they are computed again.
    let extraction = Campaign::new("extraction-query-copy", 7, rows());
    for (campaign, endpoint) in [
        (walk(), true),
        (extraction.config(json!({"queries": 40, "scores": true, "batch": 7})), true),
        (Campaign::new("evasion-pgd", 7, rows()).config(json!({"epsilon": 0.07})), false),
    ] {
        let mut fresh = Line { max_rows: 11, ..Line::new() };
        if endpoint {
            fresh.fails = vec![3];
            fresh.refuse_after = 300;
        }
        let mut journal = MemoryJournal::default();
        let whole = campaign.run(&mut fresh.clone(), &mut journal, &mut NoClock::default()).unwrap();
        let text = serde_json::to_string(&whole).unwrap();
        let lines = journal.0.len();
        for cut in (0..=lines).step_by((lines / 9).max(1)) {
            // What a process killed after `cut` lines leaves behind, written as text and read again.
            let left: Vec<Entry> = journal.0[..cut]
                .iter()
                .map(|entry| serde_json::from_str(&serde_json::to_string(entry).unwrap()).unwrap())
                .collect();
            let mut target = fresh.clone();
            if endpoint {
                target.asked = left.iter().map(Entry::rows).sum();
                target.batches = left.len().saturating_sub(1) as u64;
            }
            let mut resumed = MemoryJournal(left);
            let report = campaign.run(&mut target, &mut resumed, &mut NoClock::default()).unwrap();
            assert_eq!(serde_json::to_string(&report).unwrap(), text, "cut after {cut} of {lines}");
            assert_eq!(resumed.0, journal.0);
            assert!(!endpoint || target.asked == whole.queries, "answered rows were asked again");
        }
    }
}

#[test]
fn a_journal_of_another_campaign_is_not_taken() {
    let mut journal = MemoryJournal::default();
    walk().run(&mut Line::new(), &mut journal, &mut NoClock::default()).unwrap();
    let mut other = walk();
    other.seed = 8;
    let result = other.run(&mut Line::new(), &mut journal, &mut NoClock::default());
    assert!(matches!(result, Err(CampaignError::OtherJournal(_))));
}

#[test]
fn refusals_end_the_attack_after_the_patience_and_are_a_state_of_their_own() {
    let mut target = Line { refuse_after: 60, ..Line::new() };
    let mut clock = NoClock::default();
    let mut campaign = walk();
    campaign.config = json!({"queries": 500, "radius": 0.001});
    campaign.patience.wait_ms = 9_000;
    let report = campaign.run(&mut target, &mut NoJournal, &mut clock).unwrap();
    assert_eq!(report.stopped, Some(Stop::Guard));
    assert_eq!((report.refusals, report.counts.miss, report.counts.error), (3, 0, 0));
    assert_eq!(report.counts.undecided, 3);
    assert_eq!(report.queries, target.asked);
    // Two waits of the nine seconds asked for.
    assert_eq!(clock.now_ms(), 18_000);
    // Who cannot wait that long does not ask early, and who has not the time does not wait.
    let mut target = Line { refuse_after: 60, ..Line::new() };
    let mut clock = NoClock::default();
    campaign.patience.wait_ms = 8_999;
    let report = campaign.run(&mut target, &mut NoJournal, &mut clock).unwrap();
    assert_eq!((report.refusals, report.stopped, clock.now_ms()), (1, Some(Stop::Guard), 0));
    let mut target = Line { refuse_after: 60, ..Line::new() };
    let mut clock = NoClock::default();
    campaign.patience.wait_ms = 9_000;
    campaign.budget.millis = 9_500;
    let report = campaign.run(&mut target, &mut NoJournal, &mut clock).unwrap();
    assert_eq!((report.refusals, report.stopped, clock.now_ms()), (2, Some(Stop::Budget), 9_000));
    assert_eq!((report.counts.undecided, report.counts.miss), (3, 0));
}

#[test]
fn a_target_that_fails_gives_errors_and_never_misses() {
    let mut target = Line { fails: (2..100).collect(), ..Line::new() };
    let mut clock = NoClock::default();
    let report = walk().run(&mut target, &mut NoJournal, &mut clock).unwrap();
    // Twice as long each time.
    assert_eq!(clock.now_ms(), 250 + 500);
    assert_eq!((report.stopped, report.failures), (Some(Stop::Failure), 3));
    assert_eq!((report.counts.error, report.counts.miss), (3, 0));
    assert!(report.incomplete());
}

#[test]
fn what_cannot_be_asked_is_not_examined() {
    struct Closed(Line);
    impl Target for Closed {
        fn describe(&self) -> TargetFacts {
            TargetFacts { no_gradient: Some("an endpoint".into()), ..self.0.describe() }
        }
        fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
            self.0.labels(rows)
        }
        fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
            self.0.scores(rows)
        }
        fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
            Err(TargetError::Unsupported { reason: "an endpoint gives no gradients".into() })
        }
    }
    let campaign = Campaign::new("evasion-pgd", 1, rows());
    let report = campaign.run(&mut Closed(Line::new()), &mut NoJournal, &mut NoClock::default()).unwrap();
    assert!(report.not_examined.is_some_and(|gap| gap.why.contains("endpoint")));
    assert_eq!(report.counts.miss, 0);
}

#[test]
fn a_case_passes_without_a_guard_is_stopped_by_one_and_changes_with_the_model() {
    let campaign = walk();
    let report = campaign.run(&mut Line::new(), &mut NoJournal, &mut NoClock::default()).unwrap();
    assert!(report.first_hit_query.is_some_and(|query| query > 3));
    let case = Case::of(&campaign, &report).unwrap();
    let case: Case = serde_json::from_str(&serde_json::to_string(&case).unwrap()).unwrap();
    let replay = |mut target: Line| {
        case.replay(&mut target, Patience::default(), &mut NoClock::default()).unwrap().verdict
    };
    assert_eq!(replay(Line::new()), ReplayVerdict::Passed);
    assert_eq!(replay(Line { refuse_after: 6, ..Line::new() }), ReplayVerdict::Stopped);
    assert_eq!(replay(Line { threshold: 9.0, ..Line::new() }), ReplayVerdict::Changed);
    assert_eq!(replay(Line { fails: (0..99).collect(), ..Line::new() }), ReplayVerdict::Inconclusive);
    let variant =
        case.variant(99, None).run(&mut Line::new(), &mut NoJournal, &mut NoClock::default()).unwrap();
    assert_ne!(variant.examples, report.examples);
    assert!(variant.counts.hit > 0);
    assert_eq!(
        Case::of(
            &campaign,
            &campaign
                .run(&mut Line { threshold: 9.0, ..Line::new() }, &mut NoJournal, &mut NoClock::default())
                .unwrap()
        ),
        None
    );
}

#[test]
fn hidden_gradients_raise_doubts() {
    let mut target = Line { hide: true, ..Line::new() };
    let run = |campaign: Campaign, target: &mut Line| {
        campaign.run(target, &mut NoJournal, &mut NoClock::default()).unwrap()
    };
    let pgd = run(Campaign::new("evasion-pgd", 1, rows()).config(json!({"epsilon": 0.15})), &mut target);
    let walk =
        run(Campaign::new("evasion-hop-skip-jump", 1, rows()).config(json!({"queries": 600})), &mut target);
    let doubts = distrust(&[&pgd, &walk]);
    let kinds: Vec<_> = doubts.iter().map(|doubt| doubt.kind.as_str()).collect();
    assert!(kinds.contains(&"vanishing-gradients") && kinds.contains(&"masked-gradients"), "{doubts:?}");
    let mut open = Line::new();
    let pgd = run(Campaign::new("evasion-pgd", 1, rows()).config(json!({"epsilon": 0.15})), &mut open);
    let walk =
        run(Campaign::new("evasion-hop-skip-jump", 1, rows()).config(json!({"queries": 600})), &mut open);
    assert_eq!(distrust(&[&pgd, &walk]), []);
}

#[test]
fn a_copy_is_measured_on_rows_that_were_not_asked() {
    struct Nearest;
    struct Stored(Lesson);
    impl Learner for Nearest {
        fn fit(&mut self, lesson: &Lesson) -> Result<Rc<dyn Imitation>, String> {
            Ok(Rc::new(Stored(lesson.clone())))
        }
    }
    impl Imitation for Stored {
        fn scores(&self, rows: &Tensor) -> Tensor {
            let near = |row: usize| {
                let length = |known: &usize| {
                    rows.row(row)
                        .iter()
                        .zip(self.0.rows.row(*known))
                        .map(|(a, b)| (a - b).powi(2))
                        .sum::<f32>()
                };
                (0..self.0.labels.len()).min_by(|a, b| length(a).total_cmp(&length(b))).unwrap()
            };
            let mut scores = Tensor::full([rows.rows(), self.0.classes], 0.0);
            (0..rows.rows()).for_each(|row| scores.row_mut(row)[self.0.labels[near(row)]] = 1.0);
            scores
        }
        fn gradient(&self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, String> {
            Err("the nearest row has no gradient".to_owned())
        }
    }
    let campaign = Campaign::new("extraction-query-copy", 3, rows())
        .config(json!({"strategy": "noise", "queries": 300}));
    let mut target = Line::new();
    let report = campaign.run(&mut target, &mut NoJournal, &mut NoClock::default()).unwrap();
    let held_out: Vec<f32> = (0..600).map(|value| (value * 7919 % 601) as f32 / 601.0).collect();
    let held_out = Tensor::new([200, 3], held_out).unwrap();
    let victim = target.labels(&held_out).unwrap();
    let outcome = report.outcome.unwrap();
    let curve = fidelity(&outcome, 2, &[10, 300, 900], &held_out, &victim, &mut Nearest, 1).unwrap();
    assert_eq!(curve.iter().map(|point| point.queries).collect::<Vec<_>>(), [10, 300]);
    assert!(curve[1].fidelity.value > 0.9 && curve[1].fidelity.low < curve[1].fidelity.value, "{curve:?}");
}

/// Honest up to a value, and no number beyond it.
struct Broken {
    beyond: f32,
}

impl Target for Broken {
    fn describe(&self) -> TargetFacts {
        TargetFacts { input_shape: vec![2], ..Line::new().describe() }
    }
    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        crate::labels_of(&self.scores(rows)?)
    }
    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        let score = |row: usize| if rows.row(row)[0] > 0.55 { [self.beyond, 0.3] } else { [0.2, 0.3] };
        Ok(Tensor::new([rows.rows(), 2], (0..rows.rows()).flat_map(score).collect()).unwrap())
    }
    fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
        Err(TargetError::Unsupported { reason: "a test".to_owned() })
    }
}

#[test]
fn scores_that_are_no_numbers_turn_and_move_nothing() {
    let rows = Tensor::new([2, 2], vec![0.5, 0.5, 0.4, 0.5]).unwrap();
    let attacked = |beyond: f32, goal: Goal| {
        let material = Material::new(rows.clone(), vec![1, 1], 2).goal(goal);
        let campaign =
            Campaign::new("evasion-square", 3, material).config(json!({"epsilon": 0.3, "queries": 60}));
        let report = campaign.run(&mut Broken { beyond }, &mut NoJournal, &mut NoClock::default()).unwrap();
        assert!(report.queries > 0, "{report:?}");
        report.counts.hit
    };
    let moved = Goal::Moved { by: 1.0, column: 0 };
    for beyond in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!((attacked(beyond, Goal::Leave), attacked(beyond, moved)), (0, 0), "{beyond}");
    }
    // A number beyond it is what the attack looks for.
    assert!(attacked(9.0, Goal::Leave) > 0 && attacked(9.0, moved) > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_budget_is_never_exceeded(
        queries in 0_u64..400, refuse_after in 0_u64..500, fails in proptest::collection::vec(0_u64..30, 0..6),
        max_rows in 0_usize..9, attack in 0_usize..3, seed in 0_u64..9,
    ) {
        let name = ["evasion-pgd", "evasion-hop-skip-jump", "extraction-query-copy"][attack];
        let mut target = Line { refuse_after, fails, max_rows, ..Line::new() };
        let campaign = Campaign::new(name, seed, rows()).budget(Budget { queries, millis: 1_000, ..Budget::default() });
        let report = campaign.run(&mut target, &mut NoJournal, &mut NoClock::default()).unwrap();
        prop_assert!(target.asked <= queries);
        prop_assert_eq!(report.queries, target.asked);
        prop_assert_eq!(report.counts.hit + report.counts.miss + report.counts.error + report.counts.undecided, report.n);
        if report.stopped.is_some() {
            prop_assert_eq!(report.counts.miss, 0);
        }
        let constraints = Constraints::uniform(3, 0.0, 1.0);
        for example in &report.examples {
            prop_assert!(constraints.obeys(&example.clean, &example.changed));
        }
        let _ = State::Hit;
    }
}
