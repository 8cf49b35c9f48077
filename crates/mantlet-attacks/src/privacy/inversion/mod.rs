//! Model inversion (Fredrikson, Jha and Ristenpart 2015, MIFace): from a blank start the input is sought that the model
//! is surest to be of a class. Where it comes out like the class's own rows, the model shows what it was taught with.

use mantlet_vocab::{About, Confidence, Impact, Severity};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::rows::RowShape;
use crate::told::Told;
use crate::{
    Answer, Ask, AttackError, Constraints, Detail, Inquired, Inquiry, Loss, Material, Outcome, RowOutcome,
    State, Stop, Trigger, softmax,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "privacy-inversion",
    title: "the model draws what the records of a class look like",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0024.001"],
    owasp: &["ML03:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    if told.hits() == 0 {
        return "Nothing that was drawn from the model looks like the rows of a class".to_owned();
    }
    format!(
        "What the model is surest of, drawn from a blank start, looks like the rows of {}",
        told.classes()
    )
}

/// How it searches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The most steps.
    pub steps: usize,
    /// Length of a step, as a share of each value's permitted interval.
    pub rate: f32,
    /// The confidence at which the search for a class ends.
    pub sure: f32,
    /// How much likeness (correlation) with the class's own mean row must exceed that with any other class's.
    pub ahead: f32,
    /// The least likeness with the class's own mean row.
    pub alike: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { steps: 200, rate: 0.02, sure: 0.99, ahead: 0.05, alike: 0.4 }
    }
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drawing {
    config: Config,
    shape: RowShape,
    constraints: Constraints,
    /// The mean row of each class, where it has rows, and of all rows.
    means: Vec<Option<Vec<f32>>>,
    centre: Vec<f32>,
    drawn: Vec<Vec<f32>>,
    sure: Vec<f32>,
    broken: Vec<bool>,
    open: Vec<usize>,
    step: usize,
    queries: u64,
}

/// The room's attack.
pub type Inversion = Inquired<Drawing>;

/// The correlation of two rows about a centre.
fn likeness(a: &[f32], b: &[f32], centre: &[f32]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0_f64, 0.0_f64, 0.0_f64);
    for ((a, b), centre) in a.iter().zip(b).zip(centre) {
        let (a, b) = (f64::from(a - centre), f64::from(b - centre));
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a share")]
    if aa > 0.0 && bb > 0.0 { (ab / (aa * bb).sqrt()) as f32 } else { 0.0 }
}

impl Drawing {
    /// Likeness with the class's own mean row, and the most with any other's.
    fn alike(&self, class: usize) -> Option<(f32, f32)> {
        let own = self.means[class].as_ref()?;
        let to = |mean: &Vec<f32>| likeness(&self.drawn[class], mean, &self.centre);
        let others = self.means.iter().enumerate().filter(|(other, _)| *other != class);
        Some((to(own), others.filter_map(|(_, mean)| mean.as_ref().map(to)).fold(-1.0, f32::max)))
    }
}

impl Inquiry for Drawing {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, _seed: u64, material: Material) -> Result<Self, AttackError> {
        if config.steps == 0
            || !(config.rate > 0.0 && config.rate < 1.0 && (0.0..=1.0).contains(&config.sure))
        {
            return Err(wrong(ABOUT.name, "steps must be at least 1, rate and sure between 0 and 1"));
        }
        if material.labels.is_empty() || material.classes < 2 {
            return Err(needs(ABOUT.name, "labelled rows of at least two classes"));
        }
        let len = material.rows.row_len();
        let bounded = |at: usize| {
            let bounds = material.constraints.at(at);
            (bounds.upper - bounds.lower).is_finite()
        };
        if !(0..len).all(bounded) {
            return Err(needs(ABOUT.name, "bounds for each input value"));
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
        let mean = |class: Option<usize>| {
            let rows: Vec<usize> = (0..material.labels.len())
                .filter(|row| class.is_none_or(|class| material.labels[*row] == class))
                .collect();
            let mut mean = vec![0.0_f32; len];
            for row in &rows {
                mean.iter_mut().zip(material.rows.row(*row)).for_each(|(mean, value)| *mean += value);
            }
            mean.iter_mut().for_each(|mean| *mean /= rows.len().max(1) as f32);
            (!rows.is_empty()).then_some(mean)
        };
        let middle = |at: usize| {
            let bounds = material.constraints.at(at);
            f32::midpoint(bounds.lower, bounds.upper)
        };
        Ok(Self {
            config,
            shape: RowShape::of(&material.rows),
            means: (0..material.classes).map(|class| mean(Some(class))).collect(),
            centre: mean(None).unwrap_or_default(),
            drawn: vec![(0..len).map(middle).collect(); material.classes],
            constraints: material.constraints,
            sure: vec![0.0; material.classes],
            broken: vec![false; material.classes],
            open: (0..material.classes).collect(),
            step: 0,
            queries: 0,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        if self.open.is_empty() || self.step >= self.config.steps {
            return None;
        }
        self.step += 1;
        let data: Vec<f32> = self.open.iter().flat_map(|class| self.drawn[*class].clone()).collect();
        self.queries += self.open.len() as u64;
        Some(Ask::Gradient {
            rows: self.shape.batch(data),
            loss: Loss::CrossEntropy { labels: self.open.clone() },
        })
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Gradient { scores, gradient, .. } = answer else { return false };
        if scores.rows() != self.open.len() || gradient.data().len() != self.open.len() * self.shape.len() {
            return false;
        }
        for (place, &class) in self.open.clone().iter().enumerate() {
            let mut shares = scores.row(place).to_vec();
            let slope = gradient.row(place);
            if shares.iter().chain(slope).any(|value| !value.is_finite()) || class >= shares.len() {
                self.broken[class] = true;
                continue;
            }
            softmax(&mut shares);
            self.sure[class] = shares[class];
            if self.sure[class] >= self.config.sure {
                continue;
            }
            // A step of equal length in widths, downhill.
            let wide: Vec<f32> =
                slope.iter().enumerate().map(|(at, slope)| slope * self.constraints.width(at)).collect();
            let top = wide.iter().fold(0.0_f32, |top, value| top.max(value.abs()));
            if top <= 1e-20 {
                continue;
            }
            let drawn = &mut self.drawn[class];
            for (at, (value, slope)) in drawn.iter_mut().zip(&wide).enumerate() {
                let bounds = self.constraints.at(at);
                let next = *value - self.config.rate * self.constraints.width(at) * slope / top;
                *value = next.clamp(bounds.lower, bounds.upper);
            }
        }
        let (sure, broken, enough) = (&self.sure, &self.broken, self.config.sure);
        self.open.retain(|class| !broken[*class] && sure[*class] < enough);
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let mut triggers = Vec::new();
        let mut words = Vec::new();
        let rows = (0..self.drawn.len()).map(|class| {
            let alike = self.alike(class);
            let reached = self.sure[class] >= self.config.sure;
            let (own, other) = alike.unwrap_or((0.0, 0.0));
            let like = own >= self.config.alike && own >= other + self.config.ahead;
            let state = match (stopped, alike) {
                (Some(why), _) => why.state(),
                (None, _) if self.broken[class] => State::Error,
                (None, None) => State::Undecided,
                (None, Some(_)) if reached && like => State::Hit,
                (None, Some(_)) => State::Miss,
            };
            if state == State::Hit {
                words.push(format!("{class} (likeness {own:.2}, next class {other:.2})"));
            }
            triggers.push(Trigger {
                class,
                mask: vec![1.0; self.shape.len()],
                pattern: self.drawn[class].clone(),
                size: own,
                transfer: self.sure[class],
                hard: Vec::new(),
                places: 0.0,
                anomaly: 0.0,
                ratio: other,
                flagged: false,
            });
            RowOutcome {
                after: Some(class),
                queries: self.queries / self.drawn.len().max(1) as u64,
                ..RowOutcome::without_result(class, state)
            }
        });
        let rows = rows.collect();
        let decision = format!(
            "a class is called given away when the model is at least {:.0} % sure of what was drawn from a blank start and \
             it is like the class's own mean row (correlation of at least {:.2}) and more so than any other's by {:.2}: {}",
            self.config.sure * 100.0,
            self.config.alike,
            self.config.ahead,
            if words.is_empty() { "none".to_owned() } else { words.join(", ") }
        );
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows,
            detail: Detail::Triggers { triggers, shape: self.shape.0.clone(), decision },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_hold() {
        crate::testing::hold(ABOUT.name, ABOUT.cases);
    }

    #[test]
    fn likeness_is_a_correlation_about_the_centre() {
        let centre = [0.5, 0.5, 0.5];
        assert!((likeness(&[1.0, 0.5, 0.0], &[0.75, 0.5, 0.25], &centre) - 1.0).abs() < 1e-6);
        assert!(likeness(&[1.0, 0.5, 0.5], &[0.5, 1.0, 0.5], &centre).abs() < 1e-6);
        assert_eq!(likeness(&centre, &[1.0, 0.0, 0.0], &centre), 0.0);
    }
}
