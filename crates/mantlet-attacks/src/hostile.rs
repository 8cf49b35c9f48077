//! Every attack against models that are no models: of one answer, of chance, of answers that are no numbers; and against
//! problems of the smallest size. No attack may panic, go on for ever, or call anything a success that is none.

use mantlet_vocab::Tensor;

use crate::{Answer, Ask, Constraint, Constraints, Material, Outcome, State, Step, Stop, abouts, create};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odd {
    /// The same scores for every row.
    Constant,
    /// Other scores each time.
    Chance,
    /// Scores that are no numbers.
    Nan,
    /// Scores beyond all bounds.
    Infinite,
}

fn answer(odd: Odd, ask: &Ask, classes: usize, turn: &mut u64) -> Answer {
    let rows = ask.rows().rows();
    let mut next = || {
        *turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*turn >> 40) as f32 / 16_777_216.0
    };
    let mut value = |class: usize| match odd {
        Odd::Constant => 1.0 / (1.0 + class as f32),
        Odd::Chance => next(),
        Odd::Nan => f32::NAN,
        Odd::Infinite => f32::INFINITY,
    };
    let width = if matches!(ask, Ask::Activations(_)) { 3 } else { classes };
    let scores = Tensor::new([rows, width], (0..rows * width).map(|at| value(at % width)).collect()).unwrap();
    match ask {
        Ask::Labels(_) => Answer::Labels(scores.argmax_rows()),
        Ask::Scores(_) | Ask::Activations(_) => Answer::Scores(scores),
        Ask::Margins { .. } => {
            Answer::Scores(Tensor::new([rows, 1], scores.data()[..rows].to_vec()).unwrap())
        }
        // A learner that learns nothing.
        Ask::Learned { rows: asked, loss, .. } => {
            let scores = Tensor::full([rows, classes], 0.0);
            if loss.is_none() {
                return Answer::Scores(scores);
            }
            Answer::Gradient {
                scores,
                loss: vec![0.0; rows],
                gradient: Tensor::full(asked.shape().to_vec(), 0.0),
            }
        }
        Ask::Gradient { rows: asked, .. } => {
            let slope = if odd == Odd::Nan { f32::NAN } else { 0.0 };
            let gradient = Tensor::full(asked.shape().to_vec(), slope);
            Answer::Gradient { loss: vec![value(0); rows], scores, gradient }
        }
    }
}

fn play(name: &str, odd: Odd, material: &Material) -> Option<Outcome> {
    // What an attack refuses at once needs no playing.
    let mut attack = create(name, &serde_json::Value::Null, 3, material.clone()).ok()?;
    let (mut reply, mut turn) = (None, 7);
    for _ in 0..20_000 {
        match attack.step(reply.take()) {
            Step::Done(outcome) => return Some(outcome),
            // Of scores that are no numbers no label can be read: a target that has only those fails.
            Step::Ask(Ask::Labels(_)) if matches!(odd, Odd::Nan | Odd::Infinite) => {
                return Some(attack.stop(Stop::Failure));
            }
            Step::Ask(ask) => reply = Some(answer(odd, &ask, material.classes, &mut turn)),
        }
    }
    panic!("{name} does not end on {odd:?}");
}

/// Rows of a table, with a pool of as many others; labels go round.
fn table(rows: usize, columns: usize, classes: usize, whole: bool) -> Material {
    let value = |at: usize| if whole { ((at * 7) % 10) as f32 } else { ((at * 37) % 101) as f32 / 101.0 };
    let tensor = |from: usize| {
        Tensor::new([rows, columns], (from..from + rows * columns).map(value).collect()).unwrap()
    };
    let labels: Vec<usize> = (0..rows).map(|row| row % classes).collect();
    let upper = if whole { 9.0 } else { 1.0 };
    let constraint = Constraint { lower: 0.0, upper, integer: whole, immutable: false };
    let mut material = Material::new(tensor(0), labels.clone(), classes)
        .pool(tensor(5), labels)
        .last_weights(Some(Tensor::new([classes, 2], vec![0.1; classes * 2]).unwrap()));
    material.constraints = Constraints::new(vec![constraint; columns]);
    material
}

fn texts(classes: usize) -> Material {
    let text = |row: usize| crate::text::encode(&format!("some words number {row} stand here"), 60).unwrap();
    let rows = Tensor::new([6, 60], (0..6).flat_map(text).collect()).unwrap();
    let mut material = Material::new(rows, (0..6).map(|row| row % classes).collect(), classes);
    material.constraints = Constraints::default();
    material
}

fn fitting(name: &str, columns: usize, classes: usize, whole: bool) -> Material {
    if name.starts_with("text-") {
        texts(classes)
    } else {
        table(if name.starts_with("evasion-") { 4 } else { 48 }, columns, classes, whole)
    }
}

/// Attacks whose hits say that an answer was had, or describe the model as it is.
fn counts_answers(name: &str) -> bool {
    name.starts_with("extraction-") || name.starts_with("robustness-") || name == "membership-threshold"
}

#[test]
fn a_model_of_one_answer_is_never_turned() {
    let mut turned = Vec::new();
    for about in abouts() {
        for (columns, classes, whole) in [(4, 5, false), (1, 2, false), (3, 2, true)] {
            let Some(outcome) =
                play(about.name, Odd::Constant, &fitting(about.name, columns, classes, whole))
            else {
                continue;
            };
            let hits = outcome.count(State::Hit);
            if hits > 0 && !counts_answers(about.name) {
                turned.push(format!("{} {columns} {classes}: {hits} hits", about.name));
            }
        }
    }
    assert_eq!(turned, [""; 0]);
}

#[test]
fn answers_that_are_no_numbers_are_errors_and_no_success() {
    for about in abouts() {
        for odd in [Odd::Nan, Odd::Infinite] {
            let Some(outcome) = play(about.name, odd, &fitting(about.name, 4, 5, false)) else { continue };
            let hits = outcome.count(State::Hit);
            assert_eq!(hits, 0, "{} {odd:?}", about.name);
            // What is written down has to be read again.
            let text = serde_json::to_string(&outcome).unwrap();
            let read: Result<Outcome, _> = serde_json::from_str(&text);
            assert!(read.is_ok(), "{} {odd:?}: {:?}", about.name, read.err());
        }
    }
}

#[test]
fn chance_ends_and_what_it_gives_obeys_the_constraints() {
    for about in abouts() {
        for (columns, classes, whole) in [(4, 5, false), (1, 2, false), (3, 2, true)] {
            let material = fitting(about.name, columns, classes, whole);
            let Some(outcome) = play(about.name, Odd::Chance, &material) else { continue };
            for row in &outcome.rows {
                let Some(changed) = &row.changed else { continue };
                let original = material.rows.row(row.row);
                assert!(material.constraints.obeys(original, changed), "{}: {changed:?}", about.name);
            }
        }
    }
}

#[test]
fn labels_in_another_order_leave_nothing_to_attack() {
    // The model is right in an order of its own: every label is another class's.
    for about in abouts().into_iter().filter(|about| about.name.starts_with("evasion-")) {
        let mut material = fitting(about.name, 4, 2, false);
        material.labels = vec![1; material.labels.len()];
        let Some(outcome) = play(about.name, Odd::Constant, &material) else { continue };
        assert!(outcome.rows.is_empty(), "{}: {:?}", about.name, outcome.rows);
    }
}
