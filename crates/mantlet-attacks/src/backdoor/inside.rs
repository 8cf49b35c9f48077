//! The directions in which the activations of one class spread most, and what a split along them is worth.

use mantlet_vocab::Tensor;

use crate::Random;

/// Rows projected on the directions in which they spread most: one list of coordinates a row, in order of `rows`.
pub(super) fn project(
    values: &Tensor,
    rows: &[usize],
    directions: usize,
    random: &mut Random,
) -> Vec<Vec<f32>> {
    let len = values.row_len();
    let mut mean = vec![0.0_f32; len];
    for row in rows {
        mean.iter_mut().zip(values.row(*row)).for_each(|(mean, value)| *mean += value);
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    mean.iter_mut().for_each(|mean| *mean /= rows.len().max(1) as f32);
    let mut rest: Vec<Vec<f32>> = rows
        .iter()
        .map(|row| values.row(*row).iter().zip(&mean).map(|(value, mean)| value - mean).collect())
        .collect();
    let mut out = vec![Vec::with_capacity(directions); rows.len()];
    for _ in 0..directions.min(len) {
        let mut way: Vec<f32> = (0..len).map(|_| random.normal()).collect();
        for _ in 0..40 {
            let mut next = vec![0.0_f32; len];
            for row in &rest {
                let along = dot(row, &way);
                next.iter_mut().zip(row).for_each(|(next, value)| *next += along * value);
            }
            let length = dot(&next, &next).sqrt();
            if length <= 1e-12 || !length.is_finite() {
                way.fill(0.0);
                break;
            }
            next.iter_mut().for_each(|value| *value /= length);
            way = next;
        }
        for (row, out) in rest.iter_mut().zip(&mut out) {
            let along = dot(row, &way);
            out.push(along);
            row.iter_mut().zip(&way).for_each(|(value, way)| *value -= along * way);
        }
    }
    out
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

/// Two clusters: for each point whether it is in the second, and the mean silhouette over centres (how much nearer
/// points are to their own centre than to the other, 0 to 1).
pub(super) fn halves(points: &[Vec<f32>], random: &mut Random) -> (Vec<bool>, f32) {
    let mut best: Option<(Vec<bool>, f32, f32)> = None;
    for _ in 0..8 {
        let pick = |random: &mut Random| points.get(random.below(points.len())).cloned().unwrap_or_default();
        let mut centres = [pick(random), pick(random)];
        let mut second = vec![false; points.len()];
        for _ in 0..30 {
            let next: Vec<bool> =
                points.iter().map(|point| apart(point, &centres[1]) < apart(point, &centres[0])).collect();
            let same = next == second;
            second = next;
            for (side, centre) in centres.iter_mut().enumerate() {
                let own: Vec<&Vec<f32>> = points
                    .iter()
                    .zip(&second)
                    .filter(|(_, second)| usize::from(**second) == side)
                    .map(|(p, _)| p)
                    .collect();
                if own.is_empty() {
                    continue;
                }
                for (at, value) in centre.iter_mut().enumerate() {
                    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
                    let mean = own.iter().map(|point| point[at]).sum::<f32>() / own.len() as f32;
                    *value = mean;
                }
            }
            if same {
                break;
            }
        }
        let (mut inertia, mut silhouette) = (0.0, 0.0);
        for (point, second) in points.iter().zip(&second) {
            let own = apart(point, &centres[usize::from(*second)]);
            let other = apart(point, &centres[usize::from(!*second)]);
            inertia += own * own;
            silhouette += (other - own) / other.max(own).max(1e-12);
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
        let silhouette = silhouette / points.len().max(1) as f32;
        if best.as_ref().is_none_or(|(_, known, _)| inertia < *known) {
            best = Some((second, inertia, silhouette));
        }
    }
    best.map(|(second, _, silhouette)| (second, silhouette)).unwrap_or_default()
}

/// The rows of each class, by their labels.
pub(super) fn by_class(labels: &[usize], classes: usize) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); classes];
    for (row, label) in labels.iter().enumerate() {
        if let Some(own) = rows.get_mut(*label) {
            own.push(row);
        }
    }
    rows
}
