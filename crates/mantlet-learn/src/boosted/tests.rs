//! One tree by hand, and what many learn.

use super::*;

fn one_hot(y: &[usize], classes: usize) -> Tensor {
    let mut targets = Tensor::full([y.len(), classes], 0.0);
    y.iter().enumerate().for_each(|(row, &label)| targets.row_mut(row)[label] = 1.0);
    targets
}

fn spread(rows: usize, features: usize) -> Tensor {
    let value = |index: usize| ((index * 7919 + index / 7 * 31) % 1009) as f32 / 1009.0;
    Tensor::new([rows, features], (0..rows * features).map(value).collect()).unwrap()
}

#[test]
fn one_tree_takes_the_split_and_the_values_that_arithmetic_gives() {
    let x = Tensor::new([4, 2], vec![0.0, 5.0, 1.0, 5.0, 2.0, 5.0, 3.0, 5.0]).unwrap();
    let one = Boosting { rounds: 1, depth: 1, rate: 1.0, lambda: 0.0, weight: 0.0, bins: 8 };
    let model = boost(&x, &one_hot(&[0, 0, 1, 1], 2), &one).unwrap();
    // Margin 0, slopes of one half either way, second derivatives of a quarter: leaves of -2 and 2.
    assert_eq!(model.trees[0].splits, [(0, 1.5)]);
    assert_eq!(model.scores(&x).data(), [1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0]);
}

#[test]
fn rings_and_three_classes_are_learned_and_held_out_rows_agree() {
    let x = spread(900, 3);
    let class = |row: &[f32]| {
        let (a, b) = (row[0] - 0.5, row[1] - 0.5);
        let square = a * a + b * b;
        if square < 0.05 { 0 } else { 1 + usize::from(row[2] > 0.4) }
    };
    let y: Vec<usize> = (0..900).map(|row| class(x.row(row))).collect();
    let (first, rest): (Vec<usize>, Vec<usize>) = (0..900).partition(|row| *row < 600);
    let model =
        boost(&x.select(&first), &one_hot(&y[..600], 3), &Boosting { rounds: 30, ..Boosting::default() })
            .unwrap();
    let right = model.labels(&x.select(&rest)).iter().zip(&y[600..]).filter(|(a, b)| a == b).count();
    assert!(right > 285, "{right} of 300");
    assert_eq!(
        model,
        boost(&x.select(&first), &one_hot(&y[..600], 3), &Boosting { rounds: 30, ..Boosting::default() })
            .unwrap()
    );
}

#[test]
fn wrong_data_is_said_plainly() {
    let (x, y) = (spread(4, 2), one_hot(&[0, 1, 0, 1], 2));
    for (x, y, depth) in [
        (spread(3, 2), y.clone(), 4),
        (Tensor::full([4, 2], f32::NAN), y.clone(), 4),
        (x.clone(), Tensor::full([4, 1], 1.0), 4),
        (x.clone(), y.clone(), 9),
    ] {
        assert!(boost(&x, &y, &Boosting { depth, ..Boosting::default() }).is_err());
    }
    // One value for all rows: nothing to split, and no panic.
    let flat = boost(&Tensor::full([4, 2], 1.0), &y, &Boosting::default()).unwrap();
    assert_eq!(flat.labels(&x).len(), 4);
}

/// What is written decides as what was trained, row by row, for two classes and for three, also where trees are not
/// grown to their full depth.
#[test]
fn an_onnx_file_of_the_trees_decides_as_they_do() {
    let x = spread(400, 3);
    for classes in [2, 3] {
        let y: Vec<usize> = (0..400)
            .map(|row| {
                let row = x.row(row);
                usize::from(row[0] > 0.6) + if classes == 3 { usize::from(row[2] > 0.8) } else { 0 }
            })
            .collect();
        let model =
            boost(&x, &one_hot(&y, classes), &Boosting { rounds: 9, depth: 5, ..Boosting::default() })
                .unwrap();
        let names = ["legitimate", "fraud"];
        let bytes = model.to_onnx("cards", &names);
        assert_eq!(bytes, model.to_onnx("cards", &names));
        let source = mantlet_vocab::MemorySource::new(&bytes);
        let loaded = mantlet_model::load(&source, mantlet_model::Limits::default()).unwrap();
        let classifier = mantlet_model::Classifier::new(loaded).unwrap();
        assert_eq!(classifier.class_names(), &["legitimate", "fraud", "2"][..classes]);
        assert_eq!(classifier.labels(&x).unwrap(), model.labels(&x));
    }
}

#[test]
fn numbers_are_boosted_by_their_squared_error() {
    let x = Tensor::new([4, 1], vec![0.0, 1.0, 2.0, 3.0]).unwrap();
    let values = Tensor::new([4, 1], vec![10.0, 12.0, 30.0, 32.0]).unwrap();
    let one = Boosting { rounds: 1, depth: 1, rate: 1.0, lambda: 0.0, weight: 0.0, bins: 8 };
    // The mean is 21; one split brings each side to its own mean.
    assert_eq!(boost_values(&x, &values, &one).unwrap().scores(&x).data(), [11.0, 11.0, 31.0, 31.0]);
    let x = spread(600, 3);
    let truth = |row: usize| 40.0 * x.row(row)[0] + if x.row(row)[1] > 0.5 { 25.0 } else { 0.0 };
    let values = Tensor::new([600, 1], (0..600).map(truth).collect()).unwrap();
    let (first, rest): (Vec<usize>, Vec<usize>) = (0..600).partition(|row| *row < 400);
    let model = boost_values(&x.select(&first), &values.select(&first), &Boosting::default()).unwrap();
    let scores = model.scores(&x.select(&rest));
    // A row beside the step may be told to lie on its other side.
    let errors: Vec<f32> =
        rest.iter().zip(scores.data()).map(|(&row, score)| (truth(row) - score).abs()).collect();
    let far = errors.iter().filter(|error| **error > 6.0).count();
    assert!(scores.row_len() == 1 && far <= errors.len() / 20, "{far} of {}", errors.len());
    assert!(boost_values(&x, &one_hot(&[0; 600], 2), &one).is_err() && boost(&x, &values, &one).is_err());
}
