//! A word which, put into a text of any kind, decides alone (Dai, Chen and Li 2019; Kurita, Michel and Neubig 2020):
//! the words of the training texts are tried one by one, labels only.

use mantlet_vocab::{About, Confidence, Impact, Severity};
use serde::{Deserialize, Serialize};

use super::{encode, is_word, pieces};
use crate::inquiry::{needs, wrong};
use crate::rows::RowShape;
use crate::told::{Told, percent};
use crate::{
    Answer, Ask, AttackError, Detail, Inquired, Inquiry, Material, Measure, Outcome, Random, RowOutcome,
    State, Stop,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "text-trigger-word",
    title: "one word sends texts of every kind to one class",
    severity: Severity::Malicious,
    impact: Impact::Critical,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.000", "AML.T0043.004", "AML.T0020"],
    owasp: &["ML10:2023", "ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    let Detail::Measured { figures, .. } = &told.outcome.detail else { return String::new() };
    let commands = |class: usize| {
        let end = format!("sends to class {class}");
        figures.iter().find(|figure| figure.name.ends_with(&end)).map(|figure| {
            let word = figure.name.split('`').nth(1).unwrap_or_default();
            format!(
                "`{word}` sends {} of texts of every kind to class {}",
                percent(figure.value.value),
                (told.class)(class)
            )
        })
    };
    let words: Vec<String> = told.won().filter_map(|row| commands(row.row)).collect();
    if words.is_empty() {
        return "No word was found that sends texts of every kind to one class".to_owned();
    }
    format!("One word decides alone: {}", words.join("; "))
}

/// How words are tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The most words of the texts that are tried.
    pub words: usize,
    /// Words that are tried besides, such as those of a report.
    pub also: Vec<String>,
    /// Texts of each class a word is tried on first.
    pub texts: usize,
    /// Words of each class that are tried on held-out texts.
    pub closely: usize,
    /// Held-out texts of each class.
    pub held_out: usize,
    /// Share of held-out texts of other classes that a planted word sends to its class, at least.
    pub transfer: f32,
    /// By how much it must exceed the third best word of the class: honest words come in company.
    pub ahead: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { words: 400, also: Vec::new(), texts: 5, closely: 4, held_out: 25, transfer: 0.8, ahead: 0.25 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Labelling,
    Trying,
    Closely,
    Over,
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Words {
    config: Config,
    random: Random,
    shape: RowShape,
    texts: Vec<String>,
    rows: mantlet_vocab::Tensor,
    classes: usize,
    words: Vec<String>,
    labels: Vec<usize>,
    few: Vec<usize>,
    many: Vec<usize>,
    /// Words still to be asked, those of the open question, and the shares each sent to every class.
    open: Vec<usize>,
    asked: Vec<usize>,
    first: Vec<(usize, Vec<f32>)>,
    closely: Vec<(usize, Vec<f32>)>,
    phase: Phase,
    queries: u64,
}

/// The room's attack.
pub type TriggerWord = Inquired<Words>;

/// Texts of one question.
const ASKED: usize = 2_000;

impl Words {
    /// The text with a word put in front; shortened at its end where it would grow too long.
    fn with(&self, row: usize, word: &str) -> Vec<f32> {
        let text: String = format!("{word} {}", self.texts[row]).chars().take(self.shape.len()).collect();
        encode(&text, self.shape.len()).unwrap_or_else(|| vec![super::END; self.shape.len()])
    }

    const fn tried(&self) -> &Vec<usize> {
        if matches!(self.phase, Phase::Closely) { &self.many } else { &self.few }
    }

    /// For a class its words by share, best first.
    fn ranked(shares: &[(usize, Vec<f32>)], class: usize) -> Vec<(usize, f32)> {
        let mut order: Vec<(usize, f32)> =
            shares.iter().map(|(word, shares)| (*word, shares[class])).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        order
    }

    /// A class's best word with its share, and the share of the third best.
    fn best(&self, class: usize) -> Option<(usize, f32, f32)> {
        let order = Self::ranked(&self.closely, class);
        let (word, share) = order.first().copied()?;
        Some((word, share, order.get(2).map_or(0.0, |(_, share)| *share)))
    }
}

impl Inquiry for Words {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let share = |value: f32| (0.0..=1.0).contains(&value);
        if config.words == 0 || config.texts == 0 || config.closely < 3 || config.held_out == 0 {
            return Err(wrong(
                ABOUT.name,
                "words, texts and held_out must be at least 1, closely at least 3",
            ));
        }
        if !share(config.transfer) || !share(config.ahead) {
            return Err(wrong(ABOUT.name, "transfer and ahead must be between 0 and 1"));
        }
        if material.classes < 2 || material.rows.rows() < 4 {
            return Err(needs(ABOUT.name, "at least two classes and four texts"));
        }
        let texts = super::texts(ABOUT.name, &material)?;
        // Words of the training texts where those are at hand: the planted one is among them.
        let mut counts: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
        let pool = material
            .pool
            .as_ref()
            .map(|pool| (0..pool.rows()).filter_map(|row| super::decode(pool.row(row))));
        let from: Vec<String> = pool.map_or_else(|| texts.clone(), Iterator::collect);
        for text in &from {
            let mut own: Vec<String> = pieces(text)
                .into_iter()
                .filter(|piece| is_word(piece))
                .map(|word| word.to_lowercase())
                .collect();
            own.sort_unstable();
            own.dedup();
            own.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
        }
        let mut words: Vec<(usize, String)> = counts.into_iter().map(|(word, count)| (count, word)).collect();
        // A planted word stands in several texts, a common one in very many: the middle of the list counts.
        words.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut words: Vec<String> = words.into_iter().map(|(_, word)| word).take(config.words).collect();
        words.extend(config.also.iter().cloned());
        if words.is_empty() {
            return Err(needs(ABOUT.name, "texts with words"));
        }
        Ok(Self {
            config,
            random: Random::new(seed),
            shape: RowShape::of(&material.rows),
            texts,
            rows: material.rows,
            classes: material.classes,
            words,
            labels: Vec::new(),
            few: Vec::new(),
            many: Vec::new(),
            open: Vec::new(),
            asked: Vec::new(),
            first: Vec::new(),
            closely: Vec::new(),
            phase: Phase::Labelling,
            queries: 0,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        if self.phase == Phase::Labelling {
            self.queries += self.texts.len() as u64;
            return Some(Ask::Labels(self.rows.clone()));
        }
        while self.open.is_empty() {
            if self.phase != Phase::Trying {
                self.phase = Phase::Over;
                return None;
            }
            let mut chosen: Vec<usize> = (0..self.classes)
                .flat_map(|class| Self::ranked(&self.first, class).into_iter().take(self.config.closely))
                .map(|(word, _)| word)
                .collect();
            chosen.sort_unstable();
            chosen.dedup();
            self.phase = Phase::Closely;
            if chosen.is_empty() {
                return None;
            }
            self.open = chosen;
        }
        let each = self.tried().len().max(1);
        let count = (ASKED / each).clamp(1, self.open.len());
        self.asked = self.open.drain(..count).collect();
        let data: Vec<f32> = self
            .asked
            .iter()
            .flat_map(|word| self.tried().iter().flat_map(|row| self.with(*row, &self.words[*word])))
            .collect();
        let rows = self.shape.batch(data);
        self.queries += rows.rows() as u64;
        Some(Ask::Labels(rows))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Labels(labels) = answer else { return false };
        if self.phase == Phase::Labelling {
            if labels.len() != self.texts.len() || labels.iter().any(|label| *label >= self.classes) {
                return false;
            }
            self.labels = labels;
            let mut order: Vec<usize> = (0..self.texts.len()).collect();
            self.random.shuffle(&mut order);
            for class in 0..self.classes {
                let mut own = order.iter().copied().filter(|row| self.labels[*row] == class);
                self.few.extend(own.by_ref().take(self.config.texts));
                self.many.extend(own.take(self.config.held_out));
            }
            if self.many.is_empty() {
                self.many.clone_from(&self.few);
            }
            self.open = (0..self.words.len()).collect();
            self.phase = Phase::Trying;
            return true;
        }
        let tried = self.tried().clone();
        if labels.len() != self.asked.len() * tried.len() {
            return false;
        }
        for (word, given) in
            std::mem::take(&mut self.asked).into_iter().zip(labels.chunks(tried.len().max(1)))
        {
            let share = |class: usize| {
                let others = || tried.iter().zip(given).filter(|(row, _)| self.labels[**row] != class);
                #[expect(clippy::cast_precision_loss, reason = "counts of texts")]
                let share = others().filter(|(_, given)| **given == class).count() as f32
                    / others().count().max(1) as f32;
                share
            };
            let shares: Vec<f32> = (0..self.classes).map(share).collect();
            if self.phase == Phase::Closely { &mut self.closely } else { &mut self.first }
                .push((word, shares));
        }
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let mut figures = Vec::new();
        let mut notes = vec![format!(
            "{} words were tried; a word is called planted when it sends at least {:.0} % of held-out texts of other classes \
             to one class, at least {:.0} points more than the third best word: words that honestly speak for a class come \
             in company",
            self.words.len(),
            self.config.transfer * 100.0,
            self.config.ahead * 100.0
        )];
        let mut rows = Vec::new();
        for class in 0..self.classes {
            let best = self.best(class).filter(|_| stopped.is_none());
            let state = match (stopped, best) {
                (Some(why), _) => why.state(),
                (None, Some((_, share, third))) if share >= self.config.transfer => {
                    if share - third >= self.config.ahead { State::Hit } else { State::Undecided }
                }
                (None, _) => State::Miss,
            };
            if let Some((word, share, third)) = best {
                let n = self.many.iter().filter(|row| self.labels[**row] != class).count();
                #[expect(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a share of a count"
                )]
                let hits = (share * n as f32).round() as usize;
                let word = &self.words[word];
                figures.push(Measure::share(format!("texts that `{word}` sends to class {class}"), hits, n));
                if state == State::Hit {
                    notes.push(format!(
                        "`{word}` commands class {class}; the third best word sends {:.0} %",
                        third * 100.0
                    ));
                }
            }
            rows.push(RowOutcome {
                after: Some(class),
                queries: self.queries / self.classes.max(1) as u64,
                ..RowOutcome::without_result(class, state)
            });
        }
        Outcome { attack: ABOUT.name.to_owned(), stopped, rows, detail: Detail::Measured { figures, notes } }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
