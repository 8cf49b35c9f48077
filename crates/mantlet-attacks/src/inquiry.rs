//! Attacks that ask a few questions one after the other and judge at the end.

use mantlet_vocab::About;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Answer, Ask, Attack, AttackError, Material, Outcome, State, Step, Stop};

/// What is asked, and what is made of the answers.
pub trait Inquiry: Serialize + DeserializeOwned + Send + Sized {
    /// The room's configuration.
    type Config;
    /// The room's card.
    const ABOUT: &'static About;

    /// Prepares it.
    ///
    /// # Errors
    /// When the configuration is out of range or the material does not fit.
    fn prepare(config: Self::Config, seed: u64, material: Material) -> Result<Self, AttackError>;

    /// The next question; `None` when everything is known.
    fn ask(&mut self) -> Option<Ask>;

    /// Takes the answer to the last question; `false` when it does not fit it.
    fn take(&mut self, answer: Answer) -> bool;

    /// What came of it.
    fn outcome(&self, stopped: Option<Stop>) -> Outcome;
}

/// An inquiry as an attack.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "T: Inquiry")]
pub struct Inquired<T> {
    inner: T,
    waiting: bool,
    over: Option<Option<Stop>>,
}

impl<T: Inquiry> Inquired<T> {
    /// Prepares the inquiry.
    ///
    /// # Errors
    /// As [`Inquiry::prepare`].
    pub fn new(config: T::Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        crate::material::needs_rows(T::ABOUT.name, &material)?;
        Ok(Self { inner: T::prepare(config, seed, material)?, waiting: false, over: None })
    }

    fn end(&mut self, stopped: Option<Stop>) -> Step {
        self.over = Some(stopped);
        Step::Done(self.inner.outcome(stopped))
    }
}

impl<T: Inquiry> Attack for Inquired<T> {
    fn about(&self) -> &'static About {
        T::ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        if let Some(stopped) = self.over {
            return Step::Done(self.inner.outcome(stopped));
        }
        let fits = match (self.waiting, answer) {
            (false, _) => true,
            (true, Some(answer)) => self.inner.take(answer),
            (true, None) => false,
        };
        if !fits {
            return self.end(Some(Stop::Failure));
        }
        match self.inner.ask() {
            Some(ask) => {
                self.waiting = true;
                Step::Ask(ask)
            }
            None => self.end(None),
        }
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.over = Some(Some(why));
        self.inner.outcome(Some(why))
    }

    fn hits(&self) -> usize {
        if self.over == Some(None) { self.inner.outcome(None).count(State::Hit) } else { 0 }
    }

    fn save(&self) -> serde_json::Value {
        crate::saved(self)
    }
}

/// A configuration value out of range.
pub(crate) fn wrong(attack: &'static str, reason: &str) -> AttackError {
    AttackError::Config { attack, reason: reason.to_owned() }
}

/// Material that is absent or does not fit.
pub(crate) fn needs(attack: &'static str, needs: &str) -> AttackError {
    AttackError::Material { attack, needs: needs.to_owned() }
}
