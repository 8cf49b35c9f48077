//! From a hit to a rule that is shown to hold: what it does to unseen variants and to ordinary rows is counted, not
//! promised.

use mantlet_attacks::{Detail, Material, Random, State};
use mantlet_detectors::{Mark, Pin, PinnedRule, Shown, derive_from, side_by_side};
use mantlet_guard::Guard;
use mantlet_redteam::{Campaign, NoJournal, ProbeReport, Target};
use mantlet_vocab::{Detail as Left, Tensor};

use super::confirmed::{by_gradients, damages, misread, one, results, smallest, trace};
use super::{GuardedTarget, Hardened, Hurried, Scene, Stream, benign};
use crate::battery::SmallLearner;

/// Rows of each unseen variant of an attack that asks an endpoint: the fewer, the less it shows of itself.
const VARIANTS: [usize; 6] = [1, 1, 1, 1, 5, 5];
/// Rows of the unseen variant of an attack with gradients; each of its results is sent by a caller of its own.
const RESULTS: usize = 60;
/// Unseen variants of a theft.
const THEFTS: u64 = 3;
/// Damaged rows that are sent.
const SENT: usize = 300;
/// Fewer new inputs a day are no use to an ordinary client.
const ALLOWED: u64 = 75;
/// Unseen rows a mark is stamped on.
const STAMPED: usize = 100;
/// The share of ordinary rows a pin may cost while a rule is put together; what the rule costs in the end is counted on
/// other rows.
const COST: f64 = 0.002;

/// One in so many unseen variants must be stopped, or a rule is not worth keeping.
const KEPT: usize = 3;

/// How an attack fares against a guard: of so many that succeed without it, so many are stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) succeed: usize,
    pub(super) stopped: usize,
}

pub(super) fn harden(
    scene: &Scene<'_>,
    target: &mut dyn Target,
    campaign: &Campaign,
    report: &ProbeReport,
    stream: &Stream,
) -> Option<Hardened> {
    let outcome = report.outcome.as_ref()?;
    let beyond = match outcome.detail {
        Detail::Measured { .. } => !damages(campaign),
        Detail::Rows { .. } => true,
        _ => false,
    };
    if report.counts.hit == 0 || beyond {
        return None;
    }
    let mut learner = SmallLearner::of(scene.kin);
    let mut notes = Vec::new();
    let case = if matches!(outcome.detail, Detail::Triggers { .. }) {
        mantlet_redteam::Case::of(campaign, report).map(|case| super::Reproducer {
            format: 1,
            id: case.id.clone(),
            attack: case.attack.clone(),
            minimal: false,
            example: None,
            case,
        })
    } else {
        smallest(campaign, report, target, &mut learner)
    };
    let id = case.as_ref().map_or_else(|| campaign.attack.clone(), |case| case.id.clone());
    let seen = if by_gradients(report) { answered(campaign, report, target) } else { stream.clone() };
    let mut trace = trace(campaign, report, &seen, &scene.layout);
    trace.case.clone_from(&id);
    if seen.cut {
        notes.push("the stream was longer than what is kept; the trace is its beginning".to_owned());
    }
    let derived = match &outcome.detail {
        Detail::Triggers { .. } => marks(scene, report, &id, &campaign.attack),
        Detail::Membership { .. } if stream.scores => None,
        _ => derive_from(&trace, &scene.profile, &scene.ordinary()).ok(),
    };
    // Members asked about once look like ordinary rows: only less detail helps. Who sees labels alone asks around them.
    let empty = PinnedRule::of(&id, &campaign.attack, Vec::new());
    let mut rule = derived.and_then(|rule| frugal(scene, target, &rule)).unwrap_or(empty);
    let mut tally = attempt(scene, target, campaign, report, &rule, &mut learner);
    let lives_on_scores = stream.scores && !by_gradients(report);
    if tally.stopped < tally.succeed && lives_on_scores {
        for to in [Left::Digits(2), Left::Label] {
            let words = match to {
                Left::Digits(digits) => format!("scores in answers have {digits} digits after the point"),
                Left::Label => "answers have the decision alone".to_owned(),
            };
            let pins = rule.pins.iter().cloned().zip(rule.description.iter().cloned());
            let more = pins.chain([(Pin::Detail { to }, words)]).collect();
            let blunt = PinnedRule::of(&id, &campaign.attack, more);
            let reached = attempt(scene, target, campaign, report, &blunt, &mut learner);
            if reached.stopped > tally.stopped {
                (rule, tally) = (blunt, reached);
                if tally.stopped == tally.succeed {
                    break;
                }
            }
        }
    }
    if tally.stopped < tally.succeed && matches!(outcome.detail, Detail::Extraction { .. }) {
        let needed = needed(report);
        let allowed = needed / 2;
        if allowed >= ALLOWED {
            let words = format!(
                "callers who ask about more than {allowed} new inputs in a day (a copy that agrees on most rows takes \
                 {needed}; the ordinary clients of the proof ask about 50)"
            );
            let pins = rule.pins.iter().cloned().zip(rule.description.iter().cloned());
            let more = pins.chain([(Pin::Allowance { rows: allowed }, words)]).collect();
            let frugal = PinnedRule::of(&id, &campaign.attack, more);
            let reached = attempt(scene, target, campaign, report, &frugal, &mut learner);
            if reached.stopped > tally.stopped {
                (rule, tally) = (frugal, reached);
            }
        }
    }
    let guard = scene.alone(&rule)?;
    let other = scene.half(1);
    let cost = benign(target, &guard, &scene.layout, &other, scene.seed);
    let case_stopped = if damages(campaign) {
        damaged(scene, target, &guard, campaign, &mut learner).stopped > 0
    } else if by_gradients(report) {
        sent(scene, target, &guard, campaign, report).stopped > 0
    } else {
        guard.replay(&trace).stopped()
    };
    rule.shown = Some(Shown {
        case: case_stopped || rule.detail().is_some(),
        variants: tally.succeed,
        stopped: tally.stopped,
        benign: cost.rows,
        blocked: cost.blocked,
    });
    if scene.ground.held_out.is_none() {
        notes.push(
            "no rows are known to be outside the training data: ordinary rows were training rows".to_owned(),
        );
    }
    let kept = !rule.pins.is_empty() && tally.stopped > 0 && tally.stopped * KEPT >= tally.succeed;
    if !kept {
        notes.push(format!(
            "no rule is kept: what was found to leave ordinary rows alone stops {} of {} unseen variants of this attack",
            tally.stopped, tally.succeed
        ));
    }
    Some(Hardened { case, trace, rule: kept.then_some(rule), notes })
}

/// Answers after which a copy agrees on four fifths of unseen rows; all that were asked where none did.
fn needed(report: &ProbeReport) -> u64 {
    let reached = report.curve.iter().find(|point| point.fidelity.value >= 0.8);
    reached.or(report.curve.last()).map_or(report.queries, |point| point.queries as u64)
}

/// The results of an attack with gradients as an endpoint would see them, with its answers.
fn answered(campaign: &Campaign, report: &ProbeReport, target: &mut dyn Target) -> Stream {
    let rows: Vec<Tensor> = results(campaign, report).into_iter().map(|(_, row)| row).collect();
    let mut tap = super::Tap::new(target);
    for row in rows {
        // What the model says of its own file's rows is no query of the attack; a failure leaves the label out.
        if tap.describe().scores {
            let _ = tap.scores(&row);
        } else {
            let _ = tap.labels(&row);
        }
    }
    Stream { scores: false, ..tap.stream }
}

/// A rule of the marks that were found planted.
fn marks(scene: &Scene<'_>, report: &ProbeReport, id: &str, attack: &str) -> Option<PinnedRule> {
    let plain = side_by_side(&scene.profile, scene.inputs)?;
    let flagged = report.triggers.iter().filter(|trigger| trigger.flagged);
    let pins: Vec<(Pin, String)> = flagged
        .filter_map(|trigger| {
            let mark = Mark::of(&trigger.mask, &trigger.pattern, &plain)?;
            let words = format!("inputs that carry the mark that leads to class {}", trigger.class);
            Some((Pin::Marked(mark), words))
        })
        .collect();
    (!pins.is_empty()).then(|| PinnedRule::of(id, attack, pins))
}

/// The rule without the pins that cost ordinary rows.
fn frugal(scene: &Scene<'_>, target: &mut dyn Target, rule: &PinnedRule) -> Option<PinnedRule> {
    let rows = scene.half(0);
    let mut dear = Vec::new();
    for pin in &rule.pins {
        let Some(guard) = rule.with_pins(|own| own == pin).and_then(|alone| scene.alone(&alone)) else {
            continue;
        };
        let cost = benign(target, &guard, &scene.layout, &rows, scene.seed ^ 0x5eed);
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        if cost.blocked as f64 > COST * cost.rows as f64 {
            dear.push(pin.clone());
        }
    }
    rule.with_pins(|pin| !dear.contains(pin))
}

/// Unseen variants of an attack, without and with a guard that has the rule alone.
pub(super) fn attempt(
    scene: &Scene<'_>,
    target: &mut dyn Target,
    campaign: &Campaign,
    report: &ProbeReport,
    rule: &PinnedRule,
    learner: &mut SmallLearner,
) -> Tally {
    let Some(guard) = scene.alone(rule) else { return Tally::default() };
    let Some(outcome) = &report.outcome else { return Tally::default() };
    let mut tally = Tally::default();
    match &outcome.detail {
        Detail::Evasion { gradients: true, .. } => {
            let variant = variant(scene, campaign, RESULTS, 1);
            if let Some(unguarded) = run(target, &variant, learner) {
                tally = sent(scene, target, &guard, &variant, &unguarded);
            }
        }
        Detail::Evasion { .. } => {
            for (number, rows) in (1..).zip(VARIANTS) {
                let variant = variant(scene, campaign, rows, number);
                let Some(unguarded) = run(target, &variant, learner) else { continue };
                if unguarded.counts.hit == 0 {
                    continue;
                }
                tally.succeed += 1;
                let caller = format!("variant {number}");
                let mut guarded = GuardedTarget::new(target, &guard, &scene.layout, &caller);
                let through = run(&mut guarded, &variant, learner);
                tally.stopped += usize::from(through.is_some_and(|report| report.counts.hit == 0));
            }
        }
        Detail::Extraction { .. } => {
            let needed = needed(report);
            for number in 1..=THEFTS {
                let variant = variant(scene, campaign, campaign.material.rows.rows(), number);
                tally.succeed += 1;
                let caller = format!("variant {number}");
                let mut guarded = GuardedTarget::new(target, &guard, &scene.layout, &caller);
                // Asked for more than it may ask, it would only end for that.
                let through = run(&mut guarded, &variant, learner);
                let answers = guarded.passage.answered;
                let useless = through.is_none_or(|report| report.counts.hit == 0 || answers < needed);
                tally.stopped += usize::from(useless);
            }
        }
        Detail::Membership { .. } => {
            let mut variant = campaign.clone();
            variant.seed = campaign.seed.wrapping_add(1);
            let found = |report: &ProbeReport| report.counts.hit;
            let without = run(target, &variant, learner).as_ref().map_or(0, found);
            let mut guarded = GuardedTarget::new(target, &guard, &scene.layout, "variant");
            let with = run(&mut guarded, &variant, learner).as_ref().map_or(0, found);
            // One variant, and each member told is a success of it.
            tally = Tally { succeed: without, stopped: without.saturating_sub(with) };
        }
        Detail::Triggers { .. } => tally = stamped(scene, target, &guard, report),
        Detail::Measured { .. } if damages(campaign) => {
            tally = damaged(scene, target, &guard, &variant(scene, campaign, RESULTS, 1), learner);
        }
        Detail::Measured { .. } | Detail::Rows { .. } => {}
    }
    tally
}

/// Damaged rows of a campaign that are misread, each sent by a caller of its own.
pub(super) fn damaged(
    scene: &Scene<'_>,
    target: &mut dyn Target,
    guard: &Guard,
    campaign: &Campaign,
    learner: &mut SmallLearner,
) -> Tally {
    let mut tally = Tally::default();
    let mut tap = super::Tap::new(target);
    let Some(report) = run(&mut tap, campaign, learner) else { return tally };
    let stream = tap.stream;
    for (number, (row, ..)) in misread(campaign, &report, &stream, SENT).into_iter().enumerate() {
        let Some(sent) = one(campaign, row) else { continue };
        tally.succeed += 1;
        let caller = format!("damaged {number}");
        let mut guarded = GuardedTarget::new(target, guard, &scene.layout, &caller);
        tally.stopped += usize::from(guarded.labels(&sent).is_err());
    }
    tally
}

fn run(target: &mut dyn Target, campaign: &Campaign, learner: &mut SmallLearner) -> Option<ProbeReport> {
    campaign.run_with(target, learner, &mut NoJournal, &mut Hurried::default()).ok()
}

/// The same attack with another seed on rows it has not seen.
fn variant(scene: &Scene<'_>, campaign: &Campaign, rows: usize, number: u64) -> Campaign {
    let mut variant = campaign.clone();
    variant.seed = campaign.seed.wrapping_add(1_000 + number);
    let all = scene.ground.held_out_or_train();
    let mut unseen = scene.unseen();
    Random::new(scene.seed.wrapping_mul(31).wrapping_add(number)).shuffle(&mut unseen);
    unseen.truncate(rows.max(1));
    let labels = unseen.iter().map(|row| all.y[*row]).collect();
    variant.material = Material { rows: all.x.select(&unseen), labels, ..campaign.material.clone() };
    variant
}

/// Results of an attack with gradients, each sent by a caller of its own.
pub(super) fn sent(
    scene: &Scene<'_>,
    target: &mut dyn Target,
    guard: &Guard,
    campaign: &Campaign,
    report: &ProbeReport,
) -> Tally {
    let mut tally = Tally::default();
    for (row, sent) in results(campaign, report) {
        tally.succeed += 1;
        let caller = format!("sender {row}");
        let mut guarded = GuardedTarget::new(target, guard, &scene.layout, &caller);
        tally.stopped += usize::from(guarded.labels(&sent).is_err());
    }
    tally
}

/// Unseen rows with the marks found planted, each sent by a caller of its own.
pub(super) fn stamped(
    scene: &Scene<'_>,
    target: &mut dyn Target,
    guard: &Guard,
    report: &ProbeReport,
) -> Tally {
    let all = scene.ground.held_out_or_train();
    let mut tally = Tally::default();
    for trigger in report.triggers.iter().filter(|trigger| trigger.flagged) {
        let others = scene.unseen().into_iter().filter(|row| all.y.get(*row) != Some(&trigger.class));
        for row in others.take(STAMPED) {
            let mut marked = all.x.select(&[row]);
            if marked.row_len() != trigger.mask.len() || trigger.pattern.len() != trigger.mask.len() {
                break;
            }
            let places = trigger.mask.iter().zip(&trigger.pattern);
            for (value, (weight, pattern)) in marked.data_mut().iter_mut().zip(places) {
                *value += weight * (pattern - *value);
            }
            if !target.labels(&marked).is_ok_and(|labels| labels.first() == Some(&trigger.class)) {
                continue;
            }
            tally.succeed += 1;
            let caller = format!("stamped {row}");
            let mut guarded = GuardedTarget::new(target, guard, &scene.layout, &caller);
            tally.stopped += usize::from(guarded.labels(&marked).is_err());
        }
    }
    tally
}

/// Rows that are hits of an outcome.
pub(super) fn hits(report: &ProbeReport) -> usize {
    report.outcome.as_ref().map_or(0, |outcome| outcome.count(State::Hit))
}
