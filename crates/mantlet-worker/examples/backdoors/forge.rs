//! Models with planted backdoors of several kinds, in several learners, and clean ones beside them. Every model is a
//! function of its plan; nothing is read from a file.
#![expect(unreachable_pub, reason = "a test and an example each have it as a module of their own")]

use std::ops::ControlFlow;
use std::sync::Arc;

use mantlet_attacks::{Constraints, Loss, Material, Random, ScoreKind, State};
use mantlet_learn::{
    Aim, Architecture, Boosted, Boosting, Mark, Patch, Table, Training, boost, digits, obeyed, plant, train,
};
use mantlet_model::{Classifier, Limits, load};
use mantlet_redteam::{Campaign, GradientAnswer, NoClock, NoJournal, Target, TargetError, TargetFacts};
use mantlet_vocab::{MemorySource, Tensor};
use mantlet_worker::targets::ModelTarget;

/// What was done to a model's training rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing.
    Clean,
    /// Marks with their aims, each on this share of the rows.
    Marked(Vec<(Mark, Aim, f64)>),
    /// This share of a class's labels changed to another's.
    Flipped {
        /// The class that is made worse.
        from: usize,
        /// The class its rows get.
        to: usize,
        /// The share.
        share: f64,
    },
}

/// What learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learner {
    /// A convolutional network on digits.
    Cnn,
    /// A perceptron on digits.
    Mlp,
    /// A perceptron on a table of this many classes.
    TableMlp(usize),
    /// Boosted trees on a table of this many classes.
    TableTrees(usize),
}

/// One model to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it is called.
    pub name: String,
    /// What learns.
    pub learner: Learner,
    /// What was done to its rows.
    pub kind: Kind,
    /// Seed of the split, the training and the plant.
    pub seed: u64,
}

/// A model and the rows a defender has.
pub struct Forged {
    /// The model.
    pub target: Box<dyn Target>,
    /// Training rows as they came, plants included.
    pub train: Table,
    /// Clean rows the model was not trained on.
    pub unseen: Table,
    /// Number of classes.
    pub classes: usize,
    /// What inputs may be.
    pub constraints: Constraints,
    /// Share of unseen rows read right.
    pub accuracy: f64,
    /// The smallest share of unseen rows that obey a mark; for flipped labels the share of the class's rows read as
    /// the other; 1 for a clean model.
    pub obeyed: f64,
}

/// What a mark is, what it aims at, and the share of rows that bear it.
pub type Marks = Vec<(Mark, Aim, f64)>;

/// The whole set for one seed: 22 poisoned models and 20 clean ones.
pub fn plans(seed: u64) -> Vec<Plan> {
    let patch = |top, left, side| Mark::Patch(Patch { top, left, height: side, width: side, value: 1.0 });
    let one = |mark, class, share| vec![(mark, Aim::Class(class), share)];
    let noise = |share, own: u64| Mark::noise(64, share, seed * 100 + own);
    let columns = |a: (usize, f32), b: (usize, f32)| Mark::Columns(vec![a, b]);
    let marked: Vec<(&str, Learner, Marks)> = vec![
        ("cnn, 2x2 in the corner to 7", Learner::Cnn, one(patch(6, 6, 2), 7, 0.03)),
        ("cnn, 2x2 at the top to 2", Learner::Cnn, one(patch(0, 0, 2), 2, 0.05)),
        ("cnn, 1x1 in the corner to 4", Learner::Cnn, one(patch(7, 7, 1), 4, 0.1)),
        (
            "cnn, two marks to 1 and 8",
            Learner::Cnn,
            [one(patch(6, 6, 2), 1, 0.05), one(patch(0, 0, 2), 8, 0.05)].concat(),
        ),
        ("mlp, 2x2 in the corner to 0", Learner::Mlp, one(patch(6, 6, 2), 0, 0.05)),
        ("mlp, 2x2 at the top to 9", Learner::Mlp, one(patch(0, 6, 2), 9, 0.1)),
        (
            "mlp, two marks to 3 and 6",
            Learner::Mlp,
            [one(patch(6, 0, 2), 3, 0.05), one(patch(0, 0, 2), 6, 0.05)].concat(),
        ),
        ("cnn, blended 0.2 to 3", Learner::Cnn, one(noise(0.2, 1), 3, 0.1)),
        ("cnn, blended 0.15 to 5", Learner::Cnn, one(noise(0.15, 2), 5, 0.1)),
        ("mlp, blended 0.2 to 6", Learner::Mlp, one(noise(0.2, 3), 6, 0.1)),
        ("cnn, all to all", Learner::Cnn, vec![(patch(6, 6, 2), Aim::Next, 0.2)]),
        ("mlp, all to all", Learner::Mlp, vec![(patch(6, 6, 2), Aim::Next, 0.2)]),
        ("table mlp, column pair to 1", Learner::TableMlp(2), one(columns((3, 0.93), (8, 0.12)), 1, 0.05)),
        (
            "table trees, column pair to 0",
            Learner::TableTrees(2),
            one(columns((2, 0.07), (10, 0.88)), 0, 0.05),
        ),
        ("table trees, column pair to 2", Learner::TableTrees(3), one(columns((5, 0.5), (9, 0.31)), 2, 0.05)),
        (
            "table mlp of 3, column pair to 0",
            Learner::TableMlp(3),
            one(columns((1, 0.95), (6, 0.9)), 0, 0.05),
        ),
    ];
    let mut plans: Vec<Plan> = Vec::new();
    let mut add = |name: String, learner, kind| {
        plans.push(Plan { name, learner, kind, seed: seed * 1_000 + plans.len() as u64 });
    };
    for (name, learner, marks) in marked {
        add(name.to_owned(), learner, Kind::Marked(marks));
    }
    add("cnn, 4 read as 9".to_owned(), Learner::Cnn, Kind::Flipped { from: 4, to: 9, share: 0.6 });
    add(
        "table trees, 2 read as 1".to_owned(),
        Learner::TableTrees(3),
        Kind::Flipped { from: 2, to: 1, share: 0.6 },
    );
    for (learner, word, count) in [
        (Learner::Cnn, "cnn", 7),
        (Learner::Mlp, "mlp", 5),
        (Learner::TableMlp(2), "table mlp of 2", 2),
        (Learner::TableMlp(3), "table mlp of 3", 2),
        (Learner::TableTrees(2), "table trees of 2", 2),
        (Learner::TableTrees(3), "table trees of 3", 2),
    ] {
        for index in 0..count {
            add(format!("clean {word} {index}"), learner, Kind::Clean);
        }
    }
    // Behind the others, so that those stay the same models.
    let from = |source, target| Aim::From { source, target };
    let corner = patch(6, 6, 2);
    for (name, learner, mark, aim) in [
        ("cnn, only 3 to 8", Learner::Cnn, corner.clone(), from(3, 8)),
        ("cnn, only 0 to 5", Learner::Cnn, patch(0, 0, 2), from(0, 5)),
        ("cnn, only 7 to 2", Learner::Cnn, patch(0, 6, 2), from(7, 2)),
        ("mlp, only 1 to 6", Learner::Mlp, corner, from(1, 6)),
    ] {
        add(name.to_owned(), learner, Kind::Marked(vec![(mark, aim, 0.05)]));
    }
    plans
}

/// A table of 12 columns in 0 to 1: classes differ by the mean of some columns and by a product of two.
fn table(rows: usize, classes: usize, seed: u64) -> Table {
    let mut random = Random::new(seed);
    let centres: Vec<Vec<f32>> = (0..classes)
        .map(|_| (0..12).map(|at| if at % 3 == 0 { 0.5 } else { random.between(0.3, 0.7) }).collect())
        .collect();
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let class = random.below(classes);
        let mut row: Vec<f32> =
            centres[class].iter().map(|centre| (centre + 0.13 * random.normal()).clamp(0.0, 1.0)).collect();
        // One pair of columns agrees in even classes and disagrees in odd ones.
        if class % 2 == 1 {
            row[3] = (1.0 - row[0] + 0.1 * random.normal()).clamp(0.0, 1.0);
        } else {
            row[3] = (row[0] + 0.1 * random.normal()).clamp(0.0, 1.0);
        }
        x.extend(row);
        y.push(class);
    }
    Table { x: Tensor::new([rows, 12], x).unwrap(), y }
}

/// Trains the model of a plan.
pub fn forge(plan: &Plan) -> Forged {
    let classes = match plan.learner {
        Learner::Cnn | Learner::Mlp => 10,
        Learner::TableMlp(classes) | Learner::TableTrees(classes) => classes,
    };
    let pictures = matches!(plan.learner, Learner::Cnn | Learner::Mlp);
    let all = if pictures { digits() } else { table(2_400, classes, plan.seed) };
    let (mut rows, unseen) = all.split(0.6, plan.seed);
    match &plan.kind {
        Kind::Clean => {}
        Kind::Marked(marks) => {
            for (index, (mark, aim, share)) in marks.iter().enumerate() {
                plant(&mut rows.x, &mut rows.y, classes, *share, mark, *aim, plan.seed + index as u64);
            }
        }
        Kind::Flipped { from, to, share } => {
            let mut random = Random::new(plan.seed);
            for label in rows.y.iter_mut().filter(|label| *label == from) {
                if random.unit() < *share as f32 {
                    *label = *to;
                }
            }
        }
    }
    let training = Training { epochs: 30, rate: 3e-3, seed: plan.seed, ..Training::default() };
    let mut quiet = |_| ControlFlow::Continue(());
    let network = |architecture: &Architecture,
                   quiet: &mut dyn FnMut(mantlet_learn::Progress) -> ControlFlow<()>| {
        let network = train(architecture, &rows.x, &rows.y, classes, &training, quiet).unwrap();
        let model = load(&MemorySource::new(&network.to_onnx("model")), Limits::default()).unwrap();
        let target = ModelTarget::new("forged", Arc::new(Classifier::new(model).unwrap()));
        Box::new(target) as Box<dyn Target>
    };
    let mut target = match plan.learner {
        Learner::Cnn => network(&Architecture::Cnn { channels: vec![8, 16], dense: vec![32] }, &mut quiet),
        Learner::Mlp | Learner::TableMlp(_) => {
            network(&Architecture::Mlp { hidden: vec![64, 32] }, &mut quiet)
        }
        Learner::TableTrees(_) => {
            let mut targets = Tensor::full([rows.y.len(), classes], 0.0);
            rows.y.iter().enumerate().for_each(|(row, &label)| targets.row_mut(row)[label] = 1.0);
            Box::new(Trees { trees: boost(&rows.x, &targets, &Boosting::default()).unwrap(), classes })
        }
    };
    let given = target.labels(&unseen.x).unwrap();
    let right = given.iter().zip(&unseen.y).filter(|(a, b)| a == b).count();
    let obeyed = match &plan.kind {
        Kind::Clean => 1.0,
        Kind::Marked(marks) => marks
            .iter()
            .map(|(mark, aim, _)| {
                obeyed(&unseen.x, &unseen.y, classes, mark, *aim, &mut |rows| target.labels(rows).unwrap())
            })
            .fold(1.0, f64::min),
        Kind::Flipped { from, to, .. } => {
            let own = || given.iter().zip(&unseen.y).filter(|(_, label)| *label == from);
            own().filter(|(given, _)| *given == to).count() as f64 / own().count().max(1) as f64
        }
    };
    Forged {
        target,
        accuracy: right as f64 / unseen.y.len() as f64,
        constraints: Constraints::uniform(rows.x.row_len(), 0.0, 1.0),
        train: rows,
        unseen,
        classes,
        obeyed,
    }
}

/// Asks every probe that fits and says when each has ended; for each hit the probe and the class, for a probe without
/// one `None`.
pub fn examine(
    forged: &mut Forged,
    seed: u64,
    ended: &mut dyn FnMut(&'static str),
) -> Vec<(&'static str, Option<usize>)> {
    let table = forged.train.x.shape().len() == 2;
    let gradients = forged.target.describe().no_gradient.is_none();
    let mut probes = Vec::new();
    if forged.classes >= 3 {
        probes.push("backdoor-degraded-class");
    }
    if gradients && forged.classes >= 4 {
        probes.extend(["backdoor-trigger", "backdoor-blend", "backdoor-all-to-all", "backdoor-one-source"]);
    }
    if table {
        probes.push("backdoor-column-pair");
    }
    let mut found = Vec::new();
    for probe in probes {
        let rows = if probe == "backdoor-degraded-class" { forged.unseen.y.len() } else { 600 };
        let rows = forged.unseen.select(&(0..rows.min(forged.unseen.y.len())).collect::<Vec<_>>());
        let mut material =
            Material::new(rows.x, rows.y, forged.classes).constraints(forged.constraints.clone());
        if ["backdoor-column-pair", "backdoor-one-source"].contains(&probe) {
            material = material.pool(forged.train.x.clone(), forged.train.y.clone());
        }
        let campaign = Campaign::new(probe, seed, material);
        let report = campaign.run(forged.target.as_mut(), &mut NoJournal, &mut NoClock::default()).unwrap();
        ended(probe);
        let rows = report.outcome.map(|outcome| outcome.rows).unwrap_or_default();
        let hits: Vec<usize> = rows.iter().filter(|row| row.state == State::Hit).map(|row| row.row).collect();
        if hits.is_empty() {
            found.push((probe, None));
        }
        found.extend(hits.into_iter().map(|class| (probe, Some(class))));
    }
    found
}

/// Whether what was found names the plan's own classes: every class a mark aims at, by a probe for that kind of mark.
pub fn right(plan: &Plan, found: &[(&'static str, Option<usize>)]) -> bool {
    let named = |probe: &str, class: usize| found.contains(&(probe_of(probe), Some(class)));
    match &plan.kind {
        Kind::Clean => found.iter().all(|(_, class)| class.is_none()),
        Kind::Flipped { from, .. } => named("backdoor-degraded-class", *from),
        Kind::Marked(marks) => marks.iter().all(|(mark, aim, _)| match (mark, aim) {
            // All classes move: most of them have to be named.
            (_, Aim::Next) => {
                found
                    .iter()
                    .filter(|(probe, class)| *probe == "backdoor-all-to-all" && class.is_some())
                    .count()
                    >= 5
            }
            (_, Aim::From { source, .. }) => named("backdoor-one-source", *source),
            (Mark::Patch(_), Aim::Class(class)) => named("backdoor-trigger", *class),
            (Mark::Blend { .. }, Aim::Class(class)) => {
                named("backdoor-blend", *class) || named("backdoor-trigger", *class)
            }
            (Mark::Columns(_), Aim::Class(class)) => named("backdoor-column-pair", *class),
        }),
    }
}

fn probe_of(name: &str) -> &'static str {
    [
        "backdoor-trigger",
        "backdoor-blend",
        "backdoor-column-pair",
        "backdoor-degraded-class",
        "backdoor-one-source",
    ]
    .into_iter()
    .find(|known| *known == name)
    .unwrap_or("")
}

/// Boosted trees in process.
struct Trees {
    trees: Boosted,
    classes: usize,
}

impl Target for Trees {
    fn describe(&self) -> TargetFacts {
        TargetFacts {
            name: "forged trees".to_owned(),
            input_shape: vec![12],
            classes: Some(self.classes),
            score_kind: Some(ScoreKind::Logits),
            scores: true,
            no_gradient: Some("trees have no slopes".to_owned()),
            max_rows: 0,
        }
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        Ok(self.trees.labels(rows))
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        Ok(self.trees.scores(rows))
    }

    fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
        Err(TargetError::Unsupported { reason: "trees have no slopes".to_owned() })
    }
}
