//! What an evasion wants of a model that gives a score, a price or a rank.

use clap::Args;
use mantlet_attacks::Goal;

/// For models that give a score, a price or a rank: what counts as a success of an evasion.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Moves {
    /// A score moved by at least this much, up or (negative) down, in the model's own units.
    #[arg(long, value_name = "BY", allow_hyphen_values = true)]
    score_moves: Option<f32>,
    /// A rank among the training rows moved by at least so many places, up or (negative) down.
    #[arg(long, value_name = "PLACES", allow_hyphen_values = true, conflicts_with = "score_moves")]
    rank_moves: Option<i64>,
    /// Which of the model's scores is moved.
    #[arg(long, value_name = "COLUMN", default_value_t = 0)]
    score_column: usize,
}

impl Moves {
    /// The words that ask for the same.
    pub fn again(self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(by) = self.score_moves {
            words.extend(["--score-moves".to_owned(), by.to_string()]);
        }
        if let Some(places) = self.rank_moves {
            words.extend(["--rank-moves".to_owned(), places.to_string()]);
        }
        if self.score_column > 0 {
            words.extend(["--score-column".to_owned(), self.score_column.to_string()]);
        }
        words
    }

    /// The goal of the evasions.
    pub fn goal(self) -> Goal {
        let column = self.score_column;
        match (self.score_moves, self.rank_moves) {
            (Some(by), _) => Goal::Moved { by, column },
            (None, Some(places)) => Goal::Ranked { places, column },
            (None, None) => Goal::Leave,
        }
    }
}
