//! Tables with the numbers of words, for models that take the embeddings of them.

use mantlet_columns::Column;
use mantlet_model::{Classifier, Words};
use mantlet_vocab::Tensor;

/// A model that takes `[length, width]` embeddings, and a table with `length` columns of numbers of words.
pub struct Sentences<'a> {
    words: &'a Words,
    shape: &'a [usize],
}

impl<'a> Sentences<'a> {
    /// Where the model takes embeddings of words it knows, and the table has as many columns as a row has words.
    pub fn of(classifier: &'a Classifier, columns: usize) -> Option<Self> {
        let (words, shape) = (classifier.model().words()?, classifier.input_shape());
        (shape.len() == 2 && shape[0] == columns).then_some(Self { words, shape })
    }

    /// Whether a row has a place without a word.
    pub fn padded(&self, columns: &[&Column], row: usize) -> bool {
        columns.iter().any(|column| number(column, row) == Some(self.words.padding))
    }

    /// The embeddings of these rows.
    ///
    /// # Errors
    /// When a cell is the number of no word.
    pub fn rows(&self, columns: &[&Column], kept: &[usize]) -> Result<Tensor, String> {
        let table = &self.words.table;
        let mut data = Vec::with_capacity(kept.len() * self.shape.iter().product::<usize>());
        for &row in kept {
            for column in columns {
                let word = number(column, row).filter(|word| *word < table.rows());
                let word = word.ok_or_else(|| {
                    let cell = column.cells.text(row).unwrap_or_default();
                    format!(
                        "column `{}` has `{cell}`, which is no number of a word below {}",
                        column.name,
                        table.rows()
                    )
                })?;
                data.extend_from_slice(table.row(word));
            }
        }
        Tensor::new([kept.len(), self.shape[0], self.shape[1]], data).map_err(|error| error.to_string())
    }

    /// The names of the numbers of a row: those of the columns, each with a number.
    pub fn names(&self, features: &[String]) -> Vec<String> {
        features.iter().flat_map(|name| (0..self.shape[1]).map(move |at| format!("{name}[{at}]"))).collect()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and small")]
fn number(column: &Column, row: usize) -> Option<usize> {
    let number = column.cells.number(row).filter(|number| number.fract() == 0.0)?;
    (0.0..=16_777_216.0).contains(&number).then_some(number as usize)
}
