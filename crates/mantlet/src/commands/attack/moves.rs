//! What an evasion wants: another class, one class by name, or a score, a price or a rank that moves.

use clap::Args;
use mantlet_attacks::Goal;

use crate::exit::Usage;

/// What counts as a success of an evasion.
#[derive(Debug, Clone, Default, Args)]
pub struct Moves {
    /// Rows turned into this class, by its name; any other class counts when absent.
    #[arg(long, value_name = "CLASS", conflicts_with_all = ["score_moves", "rank_moves"])]
    to_class: Option<String>,
    /// A score moved by at least this much, up or (negative) down, in the model's own units.
    #[arg(long, value_name = "BY", allow_hyphen_values = true)]
    score_moves: Option<f32>,
    /// A rank among the training rows moved by at least so many places, up or (negative) down.
    #[arg(long, value_name = "PLACES", allow_hyphen_values = true, conflicts_with = "score_moves")]
    rank_moves: Option<i64>,
    /// The model gives a score, a price or a rank, not a class: it is copied, and training rows are told from others, by
    /// its scores.
    #[arg(long, conflicts_with = "to_class")]
    scores: bool,
    /// Which of the model's scores is looked at or moved.
    #[arg(long, value_name = "COLUMN", default_value_t = 0)]
    score_column: usize,
}

impl Moves {
    /// The words that ask for the same.
    pub fn again(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(class) = &self.to_class {
            words.extend(["--to-class".to_owned(), class.clone()]);
        }
        if let Some(by) = self.score_moves {
            words.extend(["--score-moves".to_owned(), by.to_string()]);
        }
        if let Some(places) = self.rank_moves {
            words.extend(["--rank-moves".to_owned(), places.to_string()]);
        }
        if self.scores {
            words.push("--scores".to_owned());
        }
        if self.score_column > 0 {
            words.extend(["--score-column".to_owned(), self.score_column.to_string()]);
        }
        words
    }

    /// Which of the model's scores is looked at, where it gives scores: as said, or as an attack that was named needs it.
    pub fn scored(&self, only: &[String]) -> Option<usize> {
        let named = only.iter().any(|name| name == "extraction-score-copy");
        (self.scores || named || self.score().column().is_some()).then_some(self.score_column)
    }

    /// Whether anything but any other class is wanted.
    pub fn any(&self) -> bool {
        self.to_class.is_some() || self.score() != Goal::Leave
    }

    /// The goal of the evasions where it is about a score; leaving the class otherwise.
    pub fn score(&self) -> Goal {
        let column = self.score_column;
        match (self.score_moves, self.rank_moves) {
            (Some(by), _) => Goal::Moved { by, column },
            (None, Some(places)) => Goal::Ranked { places, column },
            (None, None) => Goal::Leave,
        }
    }

    /// The goal of the evasions on a model of these classes.
    ///
    /// # Errors
    /// When none of them has the name that was given.
    pub fn goal(&self, classes: &[String]) -> Result<Goal, Usage> {
        let Some(name) = &self.to_class else { return Ok(self.score()) };
        match classes.iter().position(|class| class == name) {
            Some(class) => Ok(Goal::Class { class }),
            None => Err(Usage(format!("there is no class `{name}`; the model has {}", classes.join(", ")))),
        }
    }
}
