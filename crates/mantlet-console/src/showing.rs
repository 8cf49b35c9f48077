//! Requests and replies as a person can look at them: pictures, named values, an answer, scores.

use mantlet_report::svg::Raster;
use mantlet_report::{Field, Input, number};
use mantlet_vocab::{NamedValue, Piece, Reply, Request, Tensor, Value};

/// Rows of one request that are prepared.
const ROWS: usize = 24;
/// Sides of a picture, in pixels.
const SIDES: std::ops::RangeInclusive<usize> = 4..=512;
/// Most classes that are offered.
const CLASSES: usize = 1_000;

/// What a reply says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Says {
    /// In plain words.
    pub(crate) answer: Option<String>,
    /// (class, share), highest first, of the first row.
    pub(crate) scores: Vec<(String, f64)>,
    /// What a person may answer instead; empty for several rows.
    pub(crate) choices: Vec<String>,
}

/// Letters of one text that are shown.
const LETTERS: usize = 4_000;

/// The rows of a request, or its texts.
pub(crate) fn inputs(request: &Request) -> Vec<Input> {
    if let [only] = request.inputs.as_slice()
        && let Some(pictures) = pictures(&only.value)
    {
        return pictures;
    }
    let rows = request.inputs.iter().map(|input| rows(&input.value)).max().unwrap_or(0);
    (0..rows.min(ROWS))
        .map(|row| Input::Fields {
            fields: request.inputs.iter().flat_map(|input| fields(input, row)).collect(),
        })
        .chain(written(&request.pieces))
        .collect()
}

/// Texts, each by the place it stands at.
pub(crate) fn written(pieces: &[Piece]) -> impl Iterator<Item = Input> {
    pieces.iter().filter(|piece| !piece.text.is_empty()).take(ROWS).map(|piece| {
        let mut value: String = piece.text.chars().take(LETTERS).collect();
        if value.len() < piece.text.len() {
            value.push_str(" ...");
        }
        Input::Fields { fields: vec![Field { name: piece.pointer.clone(), value }] }
    })
}

fn rows(value: &Value) -> usize {
    value.shape().first().copied().unwrap_or(1)
}

/// Pictures, when the shape is that of pictures: `[rows, height, width]` or `[rows, channels, height, width]`.
fn pictures(value: &Value) -> Option<Vec<Input>> {
    let (channels, height, width) = match *value.shape() {
        [_, height, width] => (1, height, width),
        [_, channels @ (1 | 3), height, width] => (channels, height, width),
        _ => return None,
    };
    if !SIDES.contains(&height) || !SIDES.contains(&width) {
        return None;
    }
    let pixels = value.to_f32()?;
    // One scale for all rows, so that they can be compared.
    let finite = || pixels.data().iter().copied().filter(|v| v.is_finite());
    let (low, high) = (finite().fold(0.0_f32, f32::min), finite().fold(f32::MIN_POSITIVE, f32::max));
    let row = |row| Input::Picture(Raster::planar(width, height, channels, pixels.row(row), low, high));
    Some((0..pixels.rows().min(ROWS)).map(row).collect())
}

/// A row's values by name; several values of one input are numbered.
fn fields(input: &NamedValue, row: usize) -> Vec<Field> {
    let values = texts(&input.value, row);
    let many = values.len() > 1;
    let name = |index: usize| if many { format!("{}[{index}]", input.name) } else { input.name.clone() };
    values.into_iter().enumerate().map(|(index, value)| Field { name: name(index), value }).collect()
}

fn texts(value: &Value, row: usize) -> Vec<String> {
    fn of<T>(tensor: &Tensor<T>, row: usize, write: impl Fn(&T) -> String) -> Vec<String> {
        let len = tensor.row_len();
        let start = row.saturating_mul(len);
        tensor.data().get(start..start.saturating_add(len)).unwrap_or(&[]).iter().map(write).collect()
    }
    match value {
        Value::F32(t) => of(t, row, |v| number(f64::from(*v))),
        Value::F64(t) => of(t, row, |v| number(*v)),
        Value::I64(t) => of(t, row, ToString::to_string),
        Value::I32(t) => of(t, row, ToString::to_string),
        Value::U8(t) => of(t, row, ToString::to_string),
        Value::Bool(t) => of(t, row, ToString::to_string),
        Value::Text(t) => of(t, row, Clone::clone),
    }
}

/// The output that holds a share or score for each class: two axes, at least two columns, real numbers.
fn scores(reply: &Reply) -> Option<&NamedValue> {
    reply.outputs.iter().find(|output| {
        let real = matches!(output.value, Value::F32(_) | Value::F64(_));
        real && matches!(*output.value.shape(), [_, classes] if (2..=CLASSES).contains(&classes))
    })
}

/// The output that holds one label a row.
fn labels(reply: &Reply) -> Option<&NamedValue> {
    reply.outputs.iter().find(|output| {
        let label = matches!(output.value, Value::I64(_) | Value::I32(_) | Value::Text(_));
        label && matches!(*output.value.shape(), [_] | [_, 1])
    })
}

fn class_name(names: &[String], class: usize) -> String {
    names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

pub(crate) fn says(reply: &Reply, names: &[String]) -> Says {
    let table = scores(reply).and_then(|output| output.value.to_f32());
    let best = table.as_ref().map(Tensor::argmax_rows).unwrap_or_default();
    let named: Vec<String> = match labels(reply).map(|output| &output.value) {
        Some(value @ Value::Text(_)) => (0..rows(value)).flat_map(|row| texts(value, row)).collect(),
        Some(value) => (0..rows(value))
            .flat_map(|row| texts(value, row))
            .map(|label| label.parse().map_or(label, |class| class_name(names, class)))
            .collect(),
        None => best.iter().map(|&class| class_name(names, class)).collect(),
    };
    let mut says = Says::default();
    if !named.is_empty() {
        let mut words = named.iter().take(6).cloned().collect::<Vec<_>>().join(", ");
        if named.len() > 6 {
            words = format!("{words} and {} more", named.len() - 6);
        }
        says.answer = Some(words);
    }
    if let Some(table) = table.filter(|table| table.rows() == 1) {
        says.choices = (0..table.row_len()).map(|class| class_name(names, class)).collect();
        // Logits say nothing to a person; shares do.
        if table.data().iter().all(|v| (0.0..=1.0).contains(v)) {
            says.scores =
                says.choices.iter().cloned().zip(table.data().iter().map(|v| f64::from(*v))).collect();
            says.scores.sort_by(|a, b| b.1.total_cmp(&a.1));
        }
    }
    says
}

/// The reply a person's own answer makes: the class alone certain, labels to match. `None` when the model's
/// reply has no place for it.
pub(crate) fn answered(reply: &Reply, names: &[String], answer: &str) -> Option<Reply> {
    let choices = says(reply, names).choices;
    let class = choices.iter().position(|choice| choice == answer)?;
    let scored = scores(reply)?.name.clone();
    let labelled = labels(reply).map(|output| output.name.clone());
    let mut own = reply.clone();
    for output in &mut own.outputs {
        if output.name == scored {
            certain(&mut output.value, class);
        } else if labelled.as_ref() == Some(&output.name) {
            relabel(&mut output.value, class, answer);
        }
    }
    Some(own)
}

fn certain(value: &mut Value, class: usize) {
    match value {
        Value::F32(t) => {
            t.data_mut().iter_mut().enumerate().for_each(|(i, v)| *v = f32::from(u8::from(i == class)))
        }
        Value::F64(t) => {
            t.data_mut().iter_mut().enumerate().for_each(|(i, v)| *v = f64::from(u8::from(i == class)))
        }
        _ => {}
    }
}

fn relabel(value: &mut Value, class: usize, answer: &str) {
    match value {
        Value::I64(t) => t.data_mut().fill(i64::try_from(class).unwrap_or(i64::MAX)),
        Value::I32(t) => t.data_mut().fill(i32::try_from(class).unwrap_or(i32::MAX)),
        Value::Text(t) => t.data_mut().fill(answer.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, value: Value) -> NamedValue {
        NamedValue { name: name.to_owned(), value }
    }

    fn f32s(shape: &[usize], data: Vec<f32>) -> Value {
        Value::F32(Tensor::new(shape, data).unwrap())
    }

    #[test]
    fn pictures_are_drawn_and_other_rows_are_listed() {
        let request = |inputs| Request { inputs, ..Request::default() };
        let picture = inputs(&request(vec![named("x", f32s(&[2, 1, 8, 8], vec![0.5; 128]))]));
        assert!(
            matches!(picture.as_slice(), [Input::Picture(a), Input::Picture(_)] if a.width == 8 && a.channels == 1)
        );
        let text = Value::Text(Tensor::new([1, 1], vec!["car".to_owned()]).unwrap());
        let table =
            inputs(&request(vec![named("amount", f32s(&[1, 1], vec![1200.0])), named("purpose", text)]));
        let Input::Fields { fields } = &table[0] else { panic!("{table:?}") };
        assert_eq!((fields[0].name.as_str(), fields[1].value.as_str()), ("amount", "car"));
        // Shapes that lie about each other do not panic.
        let odd = inputs(&request(vec![
            named("a", f32s(&[3, 2], vec![0.0; 6])),
            named("b", f32s(&[1], vec![1.0])),
        ]));
        assert_eq!(odd.len(), 3);
        assert!(inputs(&Request::default()).is_empty());
    }

    #[test]
    fn a_reply_is_read_and_a_persons_answer_takes_its_form() {
        let reply = Reply {
            outputs: vec![
                named("label", Value::I64(Tensor::new([1], vec![2]).unwrap())),
                named("probabilities", f32s(&[1, 3], vec![0.2, 0.1, 0.7])),
            ],
            pieces: vec![],
        };
        let names = ["low".to_owned(), "mid".to_owned(), "high".to_owned()];
        let found = says(&reply, &names);
        assert_eq!(
            (found.answer.as_deref(), found.scores[0].0.as_str(), found.choices.len()),
            (Some("high"), "high", 3)
        );
        let own = answered(&reply, &names, "mid").unwrap();
        assert_eq!(says(&own, &names).answer.as_deref(), Some("mid"));
        assert_eq!(own.outputs[1].value, f32s(&[1, 3], vec![0.0, 1.0, 0.0]));
        assert_eq!(answered(&reply, &names, "other"), None);
        assert_eq!(answered(&Reply::default(), &names, "mid"), None);
    }
}
