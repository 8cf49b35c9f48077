//! Labels of pictures: a small convolutional network says of each picture what it looks like, having learned from others.

use std::ops::ControlFlow;

use mantlet_datachecks::image::{Grid, Picture};
use mantlet_datachecks::label::confident;
use mantlet_dataset::Pictures;
use mantlet_learn::{Architecture, Training, train};
use mantlet_vocab::Tensor;

use super::{CLASSES, Found, folds, soft};
use crate::CurateError;

/// Numbers of all pictures at most.
const VALUES: usize = 128 << 20;
/// Cells of a side, the smallest that is no smaller than a picture's shorter side; else the last.
const SIDES: [usize; 4] = [8, 16, 24, 32];
/// Cells of all pictures in all passes at most, so that many pictures are learned from in fewer passes.
const WORK: usize = 400 << 20;
/// Steps of learning at least, as long as passes are not too many.
const STEPS: usize = 1_500;

/// Examines the labels of pictures.
///
/// # Errors
/// When the pictures cannot be read, or there are too few or too many labels or pictures.
pub fn pictures(pictures: &Pictures) -> Result<Found, CurateError> {
    let (mut values, mut labels, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut grid: Option<Grid> = None;
    let mut crowded = false;
    let mut own = Vec::new();
    let mut gaps = pictures.visit(|row, label, frame| {
        let Some(picture) = Picture::new(frame.width, frame.height, frame.channels, &frame.pixels) else {
            return;
        };
        let grid = *grid.get_or_insert_with(|| grid_of(&picture));
        if crowded || values.len() + grid.dims() > VALUES {
            crowded = true;
            return;
        }
        own.clear();
        grid.push(&picture, &mut own);
        // Colour after colour, as a network takes them.
        for colour in 0..grid.colours {
            values.extend(own.iter().skip(colour).step_by(grid.colours));
        }
        labels.push(usize::from(label));
        rows.push(row as u64);
    })?;
    if crowded {
        gaps.push(format!(
            "pictures after the first {}: they do not fit into memory; examine them in parts",
            rows.len()
        ));
    }
    let role = |why: String| CurateError::Role {
        column: pictures.root().display().to_string(),
        role: "source of labels",
        why,
    };
    let count = pictures.labels().len();
    if !(2..=CLASSES).contains(&count) {
        return Err(role(format!("there are {count} labels; 2 to {CLASSES} can be examined")));
    }
    let Some(grid) = grid else { return Err(role("no picture could be decoded".to_owned())) };
    // Labels in order of their words, so that the first pictures do not decide.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&label| &pictures.labels()[label]);
    let mut rank = vec![0; count];
    order.iter().enumerate().for_each(|(at, &label)| rank[label] = at);
    let given: Vec<usize> = labels.into_iter().map(|label| rank[label]).collect();
    level(&mut values);
    let shape = [grid.colours, grid.down, grid.across];
    let probabilities = folds(&given, count, &rows, |learned, held, told| {
        predict((&values, shape), (&given, count), (learned, held), told)
    })
    .map_err(role)?;
    let mut counts = vec![0_u64; count];
    given.iter().for_each(|&class| counts[class] += 1);
    let confident = confident(&given, &probabilities, count);
    let name = |row: usize| pictures.name(usize::try_from(rows[row]).unwrap_or(usize::MAX));
    Ok(Found {
        names: confident.rows.iter().map(|row| name(row.row)).collect(),
        confident,
        classes: order.iter().map(|&label| pictures.labels()[label].clone()).collect(),
        counts,
        given,
        origins: Vec::new(),
        rows,
        gaps,
    })
}

fn grid_of(first: &Picture<'_>) -> Grid {
    let (width, height) = first.sides();
    let last = SIDES[SIDES.len() - 1];
    let side = SIDES.into_iter().find(|&side| side >= width.min(height)).unwrap_or(last);
    Grid { across: side, down: side, colours: first.colours(), fine: false }
}

/// Mean 0 and deviation 1 over all pictures, so that dark and faint ones are learned from as others are.
fn level(values: &mut [f32]) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let spread = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    let spread = spread.sqrt().max(1e-6);
    #[expect(clippy::cast_possible_truncation, reason = "pixels as the learner takes them")]
    values.iter_mut().for_each(|value| *value = ((f64::from(*value) - mean) / spread) as f32);
}

fn predict(
    (values, shape): (&[f32], [usize; 3]),
    (given, classes): (&[usize], usize),
    (learned, held): (&[usize], &[usize]),
    told: &mut dyn FnMut(usize, &[f32]),
) -> Result<(), String> {
    let dims: usize = shape.iter().product();
    let table = |rows: &[usize]| {
        let data: Vec<f32> =
            rows.iter().flat_map(|&row| values[row * dims..(row + 1) * dims].iter().copied()).collect();
        let [colours, down, across] = shape;
        Tensor::new([rows.len(), colours, down, across], data).map_err(|error| error.to_string())
    };
    let architecture = Architecture::Cnn { channels: vec![16, 32], dense: vec![64] };
    let cells = learned.len().saturating_mul(shape[1] * shape[2]).max(1);
    let training = Training {
        // Few pictures need more passes for as many steps.
        epochs: (STEPS * 64 / learned.len()).clamp(15, 60).min(WORK / cells).max(4),
        batch: 64,
        rate: 2e-3,
        decay: 1e-3,
        ..Training::default()
    };
    let own: Vec<usize> = learned.iter().map(|&row| given[row]).collect();
    let model =
        train(&architecture, &table(learned)?, &own, classes, &training, &mut |_| ControlFlow::Continue(()))
            .map_err(|error| error.to_string())?;
    for rows in held.chunks(1_024) {
        let mut scores = model.scores(&table(rows)?);
        for (at, &row) in rows.iter().enumerate() {
            let own = scores.row_mut(at);
            soft(own);
            told(row, own);
        }
    }
    Ok(())
}
