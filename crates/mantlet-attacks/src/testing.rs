//! Small analytic models for the rooms' tests, and the reader of their `cases.md`.
//!
//! Long because all rooms share these models.

use mantlet_vocab::{Node, Tensor, TreeEnsemble};

use crate::{Answer, Ask, Attack, Constraints, Lesson, Loss, Material, Outcome, ScoreKind, Step};

/// A model whose decision boundary is known.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "model")]
pub(crate) enum Model {
    /// Scores are `weights` times the row plus `bias`, times `scale`.
    Linear {
        weights: Vec<Vec<f32>>,
        bias: Vec<f32>,
        #[serde(default = "one")]
        scale: f32,
        /// Adds to the score of a class when the sum of the values at some places is above a threshold.
        #[serde(default)]
        backdoor: Option<Backdoor>,
        /// Gives probabilities in place of logits.
        #[serde(default)]
        softmax: bool,
        /// Gives zero gradients, as a model does that hides them.
        #[serde(default)]
        masked: bool,
    },
    /// Class `c` scores the sum of the `c`-th block of `width` values; the last class's block ends the row but for
    /// `extra` values. The scores of a backdoor are added.
    Blocks {
        classes: usize,
        width: usize,
        #[serde(default)]
        backdoor: Option<Backdoor>,
    },
    /// The same with several backdoors, each for a class of its own.
    Commanded { classes: usize, width: usize, backdoors: Vec<Backdoor> },
    /// As [`Model::Blocks`], and when the values at some places sum to more than a threshold, each class's score
    /// goes to the next class too, the more the higher the sum.
    Turning { classes: usize, width: usize, places: Vec<usize>, above: f32, gain: f32 },
    /// Class 1 within the radius of the centre, else class 0.
    Ball { centre: Vec<f32>, radius: f32 },
    /// Remembers rows: each speaks for its label, the louder the nearer (see [`Memory`]).
    Memory { rows: Vec<Vec<f32>>, labels: Vec<usize>, classes: usize, width: f32 },
    /// Remembers rows and a number for each: the mean of the numbers, weighed by how near their rows are (a bell of this
    /// width), and their mean far from all.
    Recall { rows: Vec<Vec<f32>>, values: Vec<f32>, width: f32 },
    /// The words of a text (rows are code points) speak for class 1, or against it when negative.
    Words {
        weights: std::collections::BTreeMap<String, f32>,
        bias: f32,
        /// Characters nobody sees are taken out first.
        #[serde(default)]
        strips: bool,
    },
    /// Trees with one output, the score of class 1, or one a class.
    Trees { trees: TreeEnsemble },
}

/// A learner that remembers its rows: the score of a class is the logarithm of the summed nearness (a bell of this
/// width) of its rows, over a floor. It stands for both targets that overfit and learners of the attacker's own.
pub(crate) struct Memory<'a> {
    pub(crate) rows: Vec<(&'a [f32], usize)>,
    pub(crate) classes: usize,
    pub(crate) width: f32,
}

impl Memory<'_> {
    fn row(&self, row: &[f32]) -> (Vec<f32>, Vec<Vec<f32>>) {
        let mut sums = vec![0.05_f32; self.classes];
        let mut slopes = vec![vec![0.0; row.len()]; self.classes];
        for (known, label) in &self.rows {
            let square: f32 = row.iter().zip(*known).map(|(a, b)| (a - b) * (a - b)).sum();
            let near = (-square / (self.width * self.width)).exp();
            sums[*label] += near;
            for ((slope, a), b) in slopes[*label].iter_mut().zip(row).zip(*known) {
                *slope -= 2.0 * (a - b) / (self.width * self.width) * near;
            }
        }
        for (slopes, sum) in slopes.iter_mut().zip(&sums) {
            slopes.iter_mut().for_each(|slope| *slope /= sum);
        }
        (sums.iter().map(|sum| sum.ln()).collect(), slopes)
    }
}

#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Backdoor {
    pub(crate) class: usize,
    pub(crate) places: Vec<usize>,
    pub(crate) above: f32,
    pub(crate) gain: f32,
    /// The score of this class multiplies what is added, so that only its rows are moved.
    #[serde(default)]
    pub(crate) source: Option<usize>,
}

fn one() -> f32 {
    1.0
}

impl Model {
    /// Scores of a row and the slope of each score.
    fn row(&self, row: &[f32]) -> (Vec<f32>, Vec<Vec<f32>>) {
        match self {
            Self::Linear { weights, bias, scale, backdoor, .. } => {
                let mut slopes = weights.clone();
                let mut scores: Vec<f32> = weights
                    .iter()
                    .zip(bias)
                    .map(|(weights, bias)| bias + weights.iter().zip(row).map(|(w, x)| w * x).sum::<f32>())
                    .collect();
                if let Some(door) = backdoor {
                    let sum: f32 = door.places.iter().map(|place| row[*place]).sum();
                    if sum > door.above {
                        let by = door.source.map_or(1.0, |source| scores[source]);
                        let beyond = door.gain * (sum - door.above);
                        if let Some(source) = door.source {
                            let own = slopes[source].clone();
                            slopes[door.class].iter_mut().zip(own).for_each(|(to, own)| *to += beyond * own);
                        }
                        scores[door.class] += beyond * by;
                        door.places.iter().for_each(|place| slopes[door.class][*place] += door.gain * by);
                    }
                }
                scores.iter_mut().for_each(|score| *score *= scale);
                slopes.iter_mut().flatten().for_each(|slope| *slope *= scale);
                (scores, slopes)
            }
            Self::Blocks { classes, width, backdoor } => {
                let weight = |class: usize, place: usize| f32::from(u8::from(place / width == class)) * 3.0;
                let weights =
                    (0..*classes).map(|class| (0..row.len()).map(|place| weight(class, place)).collect());
                let linear = Self::Linear {
                    weights: weights.collect(),
                    bias: vec![0.0; *classes],
                    scale: 1.0,
                    backdoor: backdoor.clone(),
                    softmax: false,
                    masked: false,
                };
                linear.row(row)
            }
            Self::Commanded { classes, width, backdoors } => {
                let with = |backdoor| Self::Blocks { classes: *classes, width: *width, backdoor }.row(row);
                let plain = with(None);
                let mut all = plain.clone();
                for backdoor in backdoors {
                    let (scores, slopes) = with(Some(backdoor.clone()));
                    for class in 0..*classes {
                        all.0[class] += scores[class] - plain.0[class];
                        for (place, slope) in slopes[class].iter().enumerate() {
                            all.1[class][place] += slope - plain.1[class][place];
                        }
                    }
                }
                all
            }
            Self::Turning { classes, width, places, above, gain } => {
                let blocks = Self::Blocks { classes: *classes, width: *width, backdoor: None };
                let (own, own_slopes) = blocks.row(row);
                let sum: f32 = places.iter().map(|place| row[*place]).sum();
                let share = gain * (sum - above).max(0.0);
                let before = |class: usize| (class + classes - 1) % classes;
                let scores = (0..*classes).map(|class| own[class] + share * own[before(class)]).collect();
                let slopes = (0..*classes).map(|class| {
                    let pairs = own_slopes[class].iter().zip(&own_slopes[before(class)]);
                    let mut slope: Vec<f32> = pairs.map(|(own, before)| own + share * before).collect();
                    if sum > *above {
                        places.iter().for_each(|place| slope[*place] += gain * own[before(class)]);
                    }
                    slope
                });
                (scores, slopes.collect())
            }
            Self::Memory { rows, labels, classes, width } => {
                let rows = rows.iter().map(Vec::as_slice).zip(labels.iter().copied()).collect();
                Memory { rows, classes: *classes, width: *width }.row(row)
            }
            Self::Recall { rows, values, width } => {
                let known: Vec<(&[f32], f32)> =
                    rows.iter().map(Vec::as_slice).zip(values.iter().copied()).collect();
                let (score, slope) = recalled(&known, *width, row);
                (vec![score], vec![slope])
            }
            Self::Ball { centre, radius } => {
                let change: Vec<f32> = row.iter().zip(centre).map(|(x, c)| x - c).collect();
                let square: f32 = change.iter().map(|value| value * value).sum();
                let slope = change.iter().map(|value| -2.0 * value).collect();
                (vec![0.0, radius * radius - square], vec![vec![0.0; row.len()], slope])
            }
            Self::Words { weights, bias, strips } => {
                let text = crate::text::decode(row).unwrap_or_default().to_lowercase();
                let seen = |letter: &char| !strips || letter.is_ascii();
                let text: String = text.chars().filter(seen).collect();
                let words = text.split(|letter: char| !letter.is_alphanumeric());
                let sum = words.map(|word| weights.get(word).copied().unwrap_or(0.0)).sum::<f32>();
                (vec![0.0, bias + sum], vec![vec![0.0; row.len()]; 2])
            }
            Self::Trees { trees } => {
                let scores = Self::forest(trees, row);
                let slopes = vec![vec![0.0; row.len()]; scores.len()];
                (scores, slopes)
            }
        }
    }

    /// What an ensemble adds up to for each output.
    fn forest(trees: &TreeEnsemble, row: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0; trees.outputs];
        for tree in &trees.trees {
            let mut at = 0;
            loop {
                match &tree.nodes[at] {
                    Node::Leaf { votes } => {
                        votes.iter().for_each(|(output, vote)| sums[*output] += vote);
                        break;
                    }
                    Node::Split { feature, threshold, left, right, .. } => {
                        at = if row[*feature] <= *threshold { *left } else { *right };
                    }
                }
            }
        }
        if trees.outputs == 1 { vec![0.0, sums[0]] } else { sums }
    }

    pub(crate) fn scores(&self, rows: &Tensor) -> Tensor {
        let scores: Vec<Vec<f32>> = (0..rows.rows()).map(|row| self.row(rows.row(row)).0).collect();
        let columns = scores.first().map_or(0, Vec::len);
        let mut scores = Tensor::new([rows.rows(), columns], scores.concat()).unwrap();
        if matches!(self, Self::Linear { softmax: true, .. }) {
            scores = ScoreKind::Logits.probabilities(&scores);
        }
        scores
    }

    pub(crate) fn answer(&self, ask: &Ask) -> Answer {
        let scores = self.scores(ask.rows());
        match ask {
            Ask::Labels(_) => Answer::Labels(scores.argmax_rows()),
            Ask::Scores(_) => Answer::Scores(scores),
            Ask::Activations(rows) => Answer::Scores(rows.clone()),
            Ask::Margins { low, high, labels } => Answer::Scores(self.margins(low, high, labels)),
            Ask::Learned { lesson, rows, loss } => learned(lesson, rows, loss.as_ref()),
            Ask::Gradient { rows, loss } => {
                let logits: Vec<Vec<f32>> = (0..rows.rows()).map(|row| self.row(rows.row(row)).0).collect();
                let logits = Tensor::new([rows.rows(), scores.row_len()], logits.concat()).unwrap();
                let (loss, cotangent) = loss.evaluate(&logits, ScoreKind::Logits);
                let mut gradient = Tensor::full(rows.shape().to_vec(), 0.0);
                for row in 0..rows.rows() {
                    let slopes = self.row(rows.row(row)).1;
                    for (class, weight) in cotangent.row(row).iter().enumerate() {
                        for (out, slope) in gradient.row_mut(row).iter_mut().zip(&slopes[class]) {
                            *out += weight * slope;
                        }
                    }
                }
                if matches!(self, Self::Linear { masked: true, .. }) {
                    gradient.data_mut().fill(0.0);
                }
                Answer::Gradient { scores: logits, loss, gradient }
            }
        }
    }

    /// What is proved: exact for lines, nothing for others.
    fn margins(&self, low: &Tensor, high: &Tensor, labels: &[usize]) -> Tensor {
        let margin = |(row, label): (usize, &usize)| {
            let Self::Linear { weights, bias, .. } = self else { return f32::MIN };
            let least = |other: usize| -> f32 {
                let terms =
                    weights[*label].iter().zip(&weights[other]).zip(low.row(row).iter().zip(high.row(row)));
                let sum: f32 = terms
                    .map(|((own, other), (low, high))| ((own - other) * low).min((own - other) * high))
                    .sum();
                sum + bias[*label] - bias[other]
            };
            (0..weights.len()).filter(|other| other != label).map(least).fold(f32::INFINITY, f32::min)
        };
        Tensor::new([labels.len(), 1], labels.iter().enumerate().map(margin).collect()).unwrap()
    }

    /// Plays an attack to its end; returns the outcome and how many rows were asked.
    pub(crate) fn play(&self, attack: &mut dyn Attack) -> (Outcome, u64) {
        let (mut answer, mut queries) = (None, 0);
        for _ in 0..100_000 {
            match attack.step(answer.take()) {
                Step::Done(outcome) => return (outcome, queries),
                Step::Ask(ask) => {
                    queries += if matches!(ask, Ask::Learned { .. }) { 0 } else { ask.rows().rows() as u64 };
                    answer = Some(self.answer(&ask));
                }
            }
        }
        panic!("the attack does not end");
    }
}

/// What [`Model::Recall`] says of a row, with its slope.
fn recalled(known: &[(&[f32], f32)], width: f32, row: &[f32]) -> (f32, Vec<f32>) {
    let centre = known.iter().map(|(_, value)| value).sum::<f32>() / known.len().max(1) as f32;
    let (mut sum, mut weight) = (0.02 * centre, 0.02_f32);
    let (mut sum_slope, mut weight_slope) = (vec![0.0; row.len()], vec![0.0; row.len()]);
    for (own, value) in known {
        let square: f32 = row.iter().zip(*own).map(|(a, b)| (a - b) * (a - b)).sum();
        let near = (-square / (width * width)).exp();
        (sum, weight) = (sum + near * value, weight + near);
        for (at, (a, b)) in row.iter().zip(*own).enumerate() {
            let slope = -2.0 * (a - b) / (width * width) * near;
            sum_slope[at] += slope * value;
            weight_slope[at] += slope;
        }
    }
    let slope = sum_slope.iter().zip(&weight_slope).map(|(s, w)| (s * weight - sum * w) / (weight * weight));
    (sum / weight, slope.collect())
}

/// The answer of a model of the attacker's own that learned numbers.
fn learned_values(lesson: &Lesson, values: &Tensor, rows: &Tensor, loss: Option<&Loss>) -> Answer {
    let known: Vec<(&[f32], f32)> =
        (0..lesson.rows.rows()).map(|row| (lesson.rows.row(row), values.row(row)[0])).collect();
    let width = 0.15 * (lesson.rows.row_len() as f32).sqrt();
    let (scores, slopes): (Vec<_>, Vec<_>) =
        (0..rows.rows()).map(|row| recalled(&known, width, rows.row(row))).unzip();
    let scores = Tensor::new([rows.rows(), 1], scores).unwrap();
    let Some(loss) = loss else { return Answer::Scores(scores) };
    let (loss, cotangent) = loss.evaluate(&scores, ScoreKind::Logits);
    let scaled = slopes.iter().enumerate().flat_map(|(row, slope)| {
        let weight = cotangent.row(row)[0];
        slope.iter().map(move |slope| slope * weight)
    });
    let gradient = Tensor::new(rows.shape().to_vec(), scaled.collect()).unwrap();
    Answer::Gradient { scores, loss, gradient }
}

/// The answer of a model of the attacker's own.
fn learned(lesson: &Lesson, rows: &Tensor, loss: Option<&Loss>) -> Answer {
    if let Some(values) = &lesson.values {
        return learned_values(lesson, values, rows, loss);
    }
    let known = (0..lesson.rows.rows()).map(|row| lesson.rows.row(row)).zip(lesson.labels.iter().copied());
    let width = 0.3 * (lesson.rows.row_len() as f32).sqrt();
    let memory = Memory { rows: known.collect(), classes: lesson.classes, width };
    let (scores, slopes): (Vec<_>, Vec<_>) = (0..rows.rows()).map(|row| memory.row(rows.row(row))).unzip();
    let scores = Tensor::new([rows.rows(), lesson.classes], scores.concat()).unwrap();
    let Some(loss) = loss else { return Answer::Scores(scores) };
    let (loss, cotangent) = loss.evaluate(&scores, ScoreKind::Logits);
    let mut gradient = Tensor::full(rows.shape().to_vec(), 0.0);
    for (row, slopes) in slopes.iter().enumerate() {
        for (slope, weight) in slopes.iter().zip(cotangent.row(row)) {
            gradient.row_mut(row).iter_mut().zip(slope).for_each(|(out, slope)| *out += weight * slope);
        }
    }
    Answer::Gradient { scores, loss, gradient }
}

/// One case: its heading and its JSON.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) body: Body,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    pub(crate) model: Model,
    #[serde(default)]
    pub(crate) rows: Vec<Vec<f32>>,
    /// Texts in place of `rows`.
    #[serde(default)]
    pub(crate) texts: Vec<String>,
    /// Rows made in place of `rows`: so many a class, high in their class's block, low elsewhere.
    #[serde(default)]
    pub(crate) blocks: Option<Blocks>,
    #[serde(default)]
    pub(crate) labels: Vec<usize>,
    #[serde(default)]
    pub(crate) pool: Vec<Vec<f32>>,
    /// Pool rows made in place of `pool`.
    #[serde(default)]
    pub(crate) pool_blocks: Option<Blocks>,
    #[serde(default)]
    pub(crate) pool_labels: Vec<usize>,
    /// True scores of `rows` and of `pool`, for models that give a score.
    #[serde(default)]
    pub(crate) values: Vec<f32>,
    #[serde(default)]
    pub(crate) pool_values: Vec<f32>,
    #[serde(default)]
    pub(crate) goal: crate::Goal,
    pub(crate) classes: usize,
    #[serde(default)]
    pub(crate) constraints: Constraints,
    #[serde(default)]
    pub(crate) last_weights: Vec<Vec<f32>>,
    #[serde(default)]
    pub(crate) config: serde_json::Value,
    /// The state of each row (or class), in order; `left out` rows are not listed.
    pub(crate) expect: Vec<crate::State>,
}

#[derive(Debug, serde::Deserialize)]
pub(crate) struct Blocks {
    pub(crate) each: usize,
    pub(crate) width: usize,
    pub(crate) extra: usize,
    /// Rows that bear a mark, of a pool.
    #[serde(default)]
    pub(crate) marked: Option<Marked>,
}

/// So many rows of one class bear a mark and another's label, and as many of the others bear it and keep theirs.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Marked {
    pub(crate) source: usize,
    pub(crate) target: usize,
    pub(crate) rows: usize,
    pub(crate) places: Vec<usize>,
}

impl Marked {
    fn lay(&self, rows: &mut [Vec<f32>], labels: &mut [usize]) {
        let (mut own, mut other) = (self.rows, self.rows);
        for (row, label) in rows.iter_mut().zip(labels) {
            let left = if *label == self.source { &mut own } else { &mut other };
            if *left == 0 {
                continue;
            }
            *left -= 1;
            self.places.iter().for_each(|place| row[*place] = 1.0);
            if *label == self.source {
                *label = self.target;
            }
        }
    }
}

impl Blocks {
    fn rows(&self, classes: usize) -> Vec<Vec<f32>> {
        let mut random = crate::Random::new(1);
        let len = classes * self.width + self.extra;
        let row = |class: usize, random: &mut crate::Random| {
            let high = |place: usize| place / self.width == class && place < classes * self.width;
            (0..len)
                .map(|place| if high(place) { random.between(0.7, 1.0) } else { random.between(0.0, 0.2) })
                .collect()
        };
        (0..classes * self.each).map(|index| row(index % classes, &mut random)).collect()
    }
}

/// The cases of a `cases.md`: a heading and a JSON block each.
pub(crate) fn cases(markdown: &str) -> Vec<Case> {
    markdown
        .split("\n## ")
        .skip(1)
        .map(|part| {
            let title = part.lines().next().unwrap_or("").to_owned();
            let block = part.split("```json").nth(1).and_then(|rest| rest.split("```").next());
            let block = block.unwrap_or_else(|| panic!("case `{title}` has no JSON"));
            let body = serde_json::from_str(block).unwrap_or_else(|error| panic!("case `{title}`: {error}"));
            Case { title, body }
        })
        .collect()
}

impl Body {
    pub(crate) fn material(&self) -> Material {
        let tensor = |rows: &[Vec<f32>]| {
            Tensor::new([rows.len(), rows.first().map_or(0, Vec::len)], rows.concat()).unwrap()
        };
        let texts: Vec<Vec<f32>> =
            self.texts.iter().map(|text| crate::text::encode(text, 120).unwrap()).collect();
        let made = self.blocks.as_ref().map(|blocks| blocks.rows(self.classes));
        let made = made.or_else(|| (!texts.is_empty()).then_some(texts));
        let mut material =
            Material::new(tensor(made.as_ref().unwrap_or(&self.rows)), self.labels.clone(), self.classes);
        let mut made = self.pool_blocks.as_ref().map(|blocks| blocks.rows(self.classes));
        let mut labels = self.pool_labels.clone();
        if let (Some(rows), Some(Some(marked))) =
            (&mut made, self.pool_blocks.as_ref().map(|blocks| &blocks.marked))
        {
            labels = (0..rows.len()).map(|row| row % self.classes).collect();
            marked.lay(rows, &mut labels);
        }
        let pool = made.as_ref().unwrap_or(&self.pool);
        if !pool.is_empty() {
            material = material.pool(tensor(pool), labels);
        }
        material = material.values(self.values.clone(), self.pool_values.clone(), 0).goal(self.goal);
        if !self.texts.is_empty() {
            material.constraints = Constraints::default();
        }
        if !self.constraints.is_empty() {
            material.constraints = self.constraints.clone();
        }
        if !self.last_weights.is_empty() {
            material = material.last_weights(Some(tensor(&self.last_weights)));
        }
        if let Model::Trees { trees } = &self.model {
            material.trees = Some(trees.clone());
        }
        material
    }
}

/// Runs the cases of a room and holds the laws of the family over each: the expected states; the same seed asks
/// the same; saving and restoring at any point changes nothing; every success obeys the constraints.
pub(crate) fn hold(name: &str, markdown: &str) {
    let cases = cases(markdown);
    assert!(cases.len() >= 3, "{name} has few cases");
    for case in cases {
        let (model, material) = (&case.body.model, case.body.material());
        let make = |seed| crate::create(name, &case.body.config, seed, material.clone()).unwrap();
        let (outcome, queries) = model.play(make(1).as_mut());
        let states: Vec<_> = outcome.rows.iter().map(|row| row.state).collect();
        assert_eq!(states, case.body.expect, "{name}: {} {:?}", case.title, outcome.detail);
        for row in &outcome.rows {
            if let Some(changed) = &row.changed {
                let original = material.rows.row(row.row);
                assert!(material.constraints.obeys(original, changed), "{name}: {}", case.title);
            }
        }
        assert_eq!(model.play(make(1).as_mut()), (outcome.clone(), queries), "{name}: {}", case.title);
        assert_eq!(through_saves(model, name, make(1)), outcome, "{name}: {}", case.title);
        refuses_nonsense(make(1));
    }
}

/// Plays with the state written as text and read again before each step.
fn through_saves(model: &Model, name: &str, mut attack: Box<dyn Attack>) -> Outcome {
    let mut answer = None;
    for step in 0.. {
        if step < 40 || step % 17 == 0 {
            let text = attack.save().to_string();
            attack = crate::restore(name, serde_json::from_str(&text).unwrap()).unwrap();
        }
        match attack.step(answer.take()) {
            Step::Done(outcome) => return outcome,
            Step::Ask(ask) => answer = Some(model.answer(&ask)),
        }
    }
    unreachable!()
}

/// Answers that fit no question end the attack without a panic, and without a hit or a miss.
fn refuses_nonsense(mut attack: Box<dyn Attack>) {
    let Step::Ask(_) = attack.step(None) else { return };
    let Step::Done(outcome) = attack.step(Some(Answer::Labels(vec![usize::MAX; 3_333]))) else {
        panic!("an answer of another length was taken");
    };
    assert!(outcome.rows.iter().all(|row| row.state == crate::State::Error), "{outcome:?}");
}

#[test]
fn the_house_is_in_order() {
    assert_eq!(mantlet_vocab::About::faults(&crate::abouts()), []);
}
