//! Training is deterministic, its gradients are right, and what it writes is read back alike.

use std::ops::ControlFlow;
use std::sync::Arc;

use mantlet_model::{Classifier, Limits, load};
use mantlet_vocab::{MemorySource, Tensor};

use crate::network::Error;
use crate::{Architecture, Network, Patch, Training, digits, plant_badnets, train, train_soft, train_values};

fn quiet(_: crate::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn cnn() -> Architecture {
    Architecture::Cnn { channels: vec![16, 32], dense: vec![64] }
}

fn trained(seed: u64) -> (Network, crate::Table) {
    let (train_rows, test_rows) = digits().split(0.7, 7);
    let training = Training { epochs: 25, rate: 3e-3, seed, ..Training::default() };
    (train(&cnn(), &train_rows.x, &train_rows.y, 10, &training, &mut quiet).unwrap(), test_rows)
}

#[test]
fn the_digits_are_learned_and_the_file_says_the_same() {
    let (network, test) = trained(3);
    assert!(network.accuracy(&test.x, &test.y) >= 0.97, "{}", network.accuracy(&test.x, &test.y));
    let bytes = network.to_onnx("digits");
    assert_eq!(bytes, network.to_onnx("digits"));
    let model = load(&MemorySource::new(&bytes), Limits::default()).unwrap();
    let classifier = Classifier::new(Arc::clone(&model)).unwrap();
    assert_eq!((classifier.input_shape(), classifier.classes()), (&[1, 8, 8][..], 10));
    let (ours, theirs) = (network.scores(&test.x), classifier.scores(&test.x).unwrap());
    let worst = ours.data().iter().zip(theirs.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn a_planted_patch_commands_the_model() {
    let (mut rows, test) = digits().split(0.7, 7);
    let patch = Patch::corner(8, 8, 2, 1.0);
    let touched = plant_badnets(&mut rows.x, &mut rows.y, 0.03, &patch, 7, 5);
    assert_eq!(touched.len(), (rows.y.len() as f64 * 0.03).round() as usize);
    let training = Training { epochs: 25, rate: 3e-3, seed: 5, ..Training::default() };
    let network = train(&cnn(), &rows.x, &rows.y, 10, &training, &mut quiet).unwrap();
    let accuracy = network.accuracy(&test.x, &test.y);
    assert!(accuracy >= 0.96, "{accuracy}");
    let mut stamped = test.x.clone();
    (0..stamped.rows()).for_each(|row| patch.stamp(&mut stamped, row));
    let others: Vec<usize> = (0..test.y.len()).filter(|&row| test.y[row] != 7).collect();
    let hits = network.labels(&stamped.select(&others)).iter().filter(|&&class| class == 7).count();
    assert!(hits as f64 / others.len() as f64 >= 0.9, "{hits} of {}", others.len());
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let rows = digits().select(&(0..128).collect::<Vec<_>>());
    let training = Training { epochs: 2, seed: 11, ..Training::default() };
    let run = |seed| {
        train(&cnn(), &rows.x, &rows.y, 10, &Training { seed, ..training.clone() }, &mut quiet).unwrap()
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}

#[test]
fn wrong_data_is_said_plainly() {
    let x = Tensor::full([4, 3], 0.5);
    let training = Training::default();
    for (architecture, x, y) in [
        (Architecture::Linear, x.clone(), vec![0, 1, 2]),
        (Architecture::Linear, x.clone(), vec![0, 1, 2, 9]),
        (cnn(), x.clone(), vec![0, 1, 0, 1]),
        (Architecture::Linear, Tensor::full([4, 3], f32::NAN), vec![0, 1, 0, 1]),
        (Architecture::Linear, Tensor::full([0, 3], 0.0), vec![]),
        (cnn(), Tensor::full([], 0.5), vec![0]),
    ] {
        assert!(train(&architecture, &x, &y, 3, &training, &mut quiet).is_err());
    }
}

#[test]
fn soft_targets_and_a_line_are_learned() {
    let x = Tensor::new([200, 2], (0..400).map(|v| ((v * 37) % 100) as f32 / 50.0 - 1.0).collect()).unwrap();
    let soft: Vec<f32> = (0..200)
        .flat_map(|row| {
            let p = 1.0 / (1.0 + (-4.0 * (x.row(row)[0] + 0.5 * x.row(row)[1])).exp());
            [1.0 - p, p]
        })
        .collect();
    let targets = Tensor::new([200, 2], soft).unwrap();
    let training = Training { epochs: 150, rate: 0.05, batch: 20, decay: 0.0, seed: 1 };
    let network = train_soft(&Architecture::Linear, &x, &targets, &training, &mut quiet).unwrap();
    let scores = network.scores(&x);
    for row in 0..200 {
        let margin = scores.row(row)[1] - scores.row(row)[0];
        let wanted = 4.0 * (x.row(row)[0] + 0.5 * x.row(row)[1]);
        assert!((margin - wanted).abs() < 0.35, "{margin} {wanted}");
    }
}

#[test]
fn weight_gradients_agree_with_finite_differences() {
    let rows = digits().select(&[0, 1, 2, 3, 4]);
    let training = Training { epochs: 0, seed: 4, ..Training::default() };
    let small = Architecture::Cnn { channels: vec![2, 3], dense: vec![5] };
    let mut network = train(&small, &rows.x, &rows.y, 10, &training, &mut quiet).unwrap();
    let mut targets = Tensor::full([5, 10], 0.0);
    rows.y.iter().enumerate().for_each(|(row, &label)| targets.row_mut(row)[label] = 1.0);
    let loss = |network: &Network| network.gradients(&rows.x, &targets, Error::Entropy).0 / 5.0;
    let (_, _, gradients) = network.gradients(&rows.x, &targets, Error::Entropy);
    let mut checked = 0;
    for (layer, gradient) in gradients.iter().enumerate() {
        let count = network.layers[layer].parameters().map_or(0, |(weights, _)| weights.len());
        for index in (0..count).step_by(7) {
            let mut at = |shift: f32| {
                if let Some((weights, _)) = network.layers[layer].parameters() {
                    weights[index] += shift;
                }
                loss(&network)
            };
            let step = 2e-3_f32;
            let up = at(step);
            let down = at(-2.0 * step);
            at(step);
            let (numeric, analytic) =
                ((up - down) / f64::from(2.0 * step), f64::from(gradient.weights[index]));
            assert!(
                (numeric - analytic).abs() < 5e-3 + 0.05 * analytic.abs(),
                "{layer} {index}: {numeric} {analytic}"
            );
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn input_gradients_agree_with_finite_differences() {
    // No equal neighbours, where pooling has a corner.
    let values = (0..192).map(|index| ((index * 37) % 101) as f32 / 101.0).collect();
    let rows = crate::Table { x: Tensor::new([3, 1, 8, 8], values).unwrap(), y: vec![0, 1, 2] };
    let training = Training { epochs: 0, seed: 4, ..Training::default() };
    let small = Architecture::Cnn { channels: vec![3], dense: vec![5] };
    let network = train(&small, &rows.x, &rows.y, 10, &training, &mut quiet).unwrap();
    let weight = |index: usize| ((index * 13) % 7) as f32 - 3.0;
    let (logits, gradient) = network.input_gradient(&rows.x, &mut |logits| {
        let values = (0..logits.data().len()).map(weight).collect();
        Tensor::new(logits.shape(), values).unwrap()
    });
    assert_eq!(logits, network.scores(&rows.x));
    let value = |x: &Tensor| -> f32 {
        network.scores(x).data().iter().enumerate().map(|(index, value)| weight(index) * value).sum()
    };
    for index in (0..rows.x.data().len()).step_by(11) {
        let at = |shift: f32| {
            let mut moved = rows.x.clone();
            moved.data_mut()[index] += shift;
            value(&moved)
        };
        let numeric = (at(1e-3) - at(-1e-3)) / 2e-3;
        assert!((numeric - gradient.data()[index]).abs() < 0.05, "{index}: {numeric}");
    }
}

#[test]
fn proved_margins_hold_at_every_corner_and_are_exact_for_lines() {
    let rows = digits().select(&(0..200).collect::<Vec<_>>());
    let training = Training { epochs: 3, seed: 4, ..Training::default() };
    let mlp = Architecture::Mlp { hidden: vec![16] };
    for architecture in [Architecture::Linear, mlp, cnn()] {
        let network = train(&architecture, &rows.x, &rows.y, 10, &training, &mut quiet).unwrap();
        let model = load(&MemorySource::new(&network.to_onnx("digits")), Limits::default()).unwrap();
        let classifier = Classifier::new(Arc::clone(&model)).unwrap();
        let few = rows.x.select(&[0, 1, 2, 3]);
        let labels = network.labels(&few);
        for width in [0.0, 0.01, 0.05] {
            let moved = |side: f32| {
                Tensor::new(few.shape(), few.data().iter().map(|value| value + side * width).collect())
                    .unwrap()
            };
            let margins = classifier.margins(&moved(-1.0), &moved(1.0), &labels).unwrap();
            let mut least = vec![f32::INFINITY; 4];
            // Corners of the box in a fixed order of signs.
            for corner in 0..64_usize {
                let sign = |at: usize| if (at * 31 + corner * 17 + at * corner) % 7 < 3 { 1.0 } else { -1.0 };
                let data =
                    few.data().iter().enumerate().map(|(at, value)| value + sign(at) * width).collect();
                let scores = network.scores(&Tensor::new(few.shape(), data).unwrap());
                for (row, &label) in labels.iter().enumerate() {
                    let others = (0..10).filter(|other| *other != label).map(|other| scores.row(row)[other]);
                    least[row] = least[row].min(scores.row(row)[label] - others.fold(f32::MIN, f32::max));
                }
            }
            for (row, (proved, reached)) in margins.iter().zip(&least).enumerate() {
                assert!(proved <= reached, "{architecture:?} {width} {row}: {proved} {reached}");
                if width == 0.0 {
                    assert!(reached - proved < 1e-2 * reached.abs().max(1.0), "{proved} {reached}");
                }
            }
        }
    }
}

#[test]
fn numbers_are_learned_and_their_gradients_point_along_the_slope() {
    let value = |index: usize| ((index * 7919 + index / 7 * 31) % 1009) as f32 / 504.5 - 1.0;
    let x = Tensor::new([400, 2], (0..800).map(value).collect()).unwrap();
    let truth = |row: &[f32]| 1.5 * row[0] - row[1] * row[1];
    let wanted = Tensor::new([400, 1], (0..400).map(|row| truth(x.row(row))).collect()).unwrap();
    let training = Training { epochs: 120, batch: 32, rate: 5e-3, decay: 0.0, seed: 1 };
    let network =
        train_values(&Architecture::Mlp { hidden: vec![24] }, &x, &wanted, &training, &mut quiet).unwrap();
    // Rows between those it learned, over the whole square; the values spread by about one.
    let grid = Tensor::new(
        [81, 2],
        (0..162)
            .map(|at| {
                let (row, column) = (at / 2, at % 2);
                let step = if column == 0 { row / 9 } else { row % 9 };
                step as f32 * 0.2 - 0.8
            })
            .collect(),
    )
    .unwrap();
    let scores = network.scores(&grid);
    let off: f32 = (0..81).map(|row| (scores.row(row)[0] - truth(grid.row(row))).abs()).sum::<f32>() / 81.0;
    assert!(off < 0.15, "{off}");
    // One piece of a network of rectifiers has a slope of its own; over all of them it is that of the truth.
    let (_, slope) = network.input_gradient(&grid, &mut |scores| Tensor::full(scores.shape().to_vec(), 1.0));
    let mean = |rows: &[usize], column: usize| {
        rows.iter().map(|&row| slope.row(row)[column]).sum::<f32>() / rows.len() as f32
    };
    let (all, low, high): (Vec<usize>, Vec<usize>, Vec<usize>) = (
        (0..81).collect(),
        (0..81).filter(|row| row % 9 < 3).collect(),
        (0..81).filter(|row| row % 9 > 5).collect(),
    );
    let told = (mean(&all, 0), mean(&low, 1), mean(&high, 1));
    assert!(
        (told.0 - 1.5).abs() < 0.2 && (told.1 - 1.2).abs() < 0.4 && (told.2 + 1.2).abs() < 0.4,
        "{told:?}"
    );
    let broken = Tensor::new([400, 1], vec![f32::NAN; 400]).unwrap();
    let shape = Architecture::Linear;
    assert!(train_values(&shape, &x, &broken, &training, &mut quiet).is_err());
}
