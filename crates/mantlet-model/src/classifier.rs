//! A classifier view of a model: one row of numbers in, one score for each class out.
//!
//! Long because scores, gradients, activations and bounds look at one model in one way.

use std::sync::Arc;

use mantlet_vocab::{NamedValue, Tensor, Value};

use crate::rows::Layout;
use crate::{Heads, Model, ModelError, OutputKind, heads, values};

/// Probabilities below this count as this when their logarithm is taken.
const FLOOR: f32 = 1e-30;

/// A model seen as a classifier over rows of numbers.
///
/// A model with one numeric input is given rows of that input's shape. A model with several inputs, as
/// scikit-learn pipelines over columns are exported, is given rows in which the numeric inputs stand side by
/// side in the order of the signature ([`Classifier::features`]); whole-number inputs take the nearest whole
/// number, truth values are 0 and 1, and text inputs are held at the row given to [`Classifier::with_fixed`].
pub struct Classifier {
    model: Arc<dyn Model>,
    heads: Heads,
    layout: Layout,
    texts: Vec<String>,
    names: Vec<String>,
    kind: OutputKind,
    fixed: Vec<NamedValue>,
    /// Whether the scores are taken as they are, one or several, and are no classes.
    scorer: bool,
}

fn refuse(reason: impl Into<String>) -> ModelError {
    ModelError::NotClassifier { reason: reason.into() }
}

impl Classifier {
    /// Finds the input, the score and label heads, the classes and what the scores are.
    ///
    /// # Errors
    /// When the model has no such shape, with the reason.
    pub fn new(model: Arc<dyn Model>) -> Result<Self, ModelError> {
        if model.heads().regression {
            return Err(refuse("it gives a number for each row (a regression), not classes"));
        }
        Self::of(model, false)
    }

    /// A view of a model that gives a score, a price or a rank: its floating-point output as it is, each column under
    /// its number, nothing made of it.
    ///
    /// # Errors
    /// When it has no such output.
    pub fn scoring(model: Arc<dyn Model>) -> Result<Self, ModelError> {
        if model.heads().scores.is_none() {
            return Err(refuse("it has no floating-point output to take as a score"));
        }
        Self::of(model, true)
    }

    /// Whether this is a view of scores that are no classes.
    #[must_use]
    pub const fn is_scorer(&self) -> bool {
        self.scorer
    }

    fn of(model: Arc<dyn Model>, scorer: bool) -> Result<Self, ModelError> {
        let mut heads = model.heads().clone();
        if scorer {
            // What is behind a last sigmoid or softmax has other units than what the model gives.
            (heads.logits, heads.label) = (None, None);
            heads.kind = Some(OutputKind::Logits);
            heads.classes = Vec::new();
        }
        if heads.scores.is_none() && heads.label.is_none() {
            return Err(refuse("it has neither a floating-point output nor a label output"));
        }
        let layout = Layout::new(&*model)?;
        let texts = layout.texts.iter().map(|(name, _)| name.clone()).collect();
        let names = heads.classes.clone();
        let kind = heads.kind.unwrap_or(OutputKind::Logits);
        let mut view = Self { model, heads, layout, texts, names, kind, fixed: Vec::new(), scorer };
        view.settle()?;
        Ok(view)
    }

    /// Completes from one small run what the graph did not say: the number of classes and whether scores are
    /// probabilities. Text inputs that are not fixed yet are empty for it; when that fails, the signature has
    /// to do until they are fixed.
    fn settle(&mut self) -> Result<(), ModelError> {
        let given = std::mem::take(&mut self.fixed);
        let ready = self.texts.iter().all(|name| given.iter().any(|value| &value.name == name));
        let empty = |name: &String| NamedValue {
            name: name.clone(),
            value: Value::Text(Tensor::full([1, 1], String::new())),
        };
        self.fixed = if ready { given.clone() } else { self.texts.iter().map(empty).collect() };
        let learned = self.learn_from_probe();
        self.fixed = given;
        match learned {
            Err(_) if !ready => self.learn(None),
            result => result,
        }
    }

    fn learn_from_probe(&mut self) -> Result<(), ModelError> {
        let rows = self.probe()?;
        let raw = match &self.heads.scores {
            None => None,
            Some(_) => Some(match self.raw(&rows) {
                // Some exports leave the batch axis free and hold it to one row inside.
                Err(ModelError::Run { .. }) if self.layout.batch.is_none() => {
                    self.layout.batch = Some(1);
                    self.raw(&rows)?
                }
                result => result?,
            }),
        };
        self.learn(raw.as_ref().map(|raw| (&rows, raw)))
    }

    /// Takes in what a run gave for a few rows.
    fn learn(&mut self, tried: Option<(&Tensor, &Tensor)>) -> Result<(), ModelError> {
        let port =
            self.model.signature().outputs.iter().find(|port| Some(&port.name) == self.heads.scores.as_ref());
        let declared = port.and_then(|port| port.shape.get(1).copied().flatten());
        let columns = tried.map(|(_, raw)| raw.row_len()).or(declared);
        if self.scorer {
            let columns = columns.filter(|columns| *columns > 0);
            let columns = columns.ok_or_else(|| refuse("the file does not tell how many scores it gives"))?;
            self.names = (0..columns).map(|column| format!("score {column}")).collect();
            return Ok(());
        }
        if self.heads.kind.is_none()
            && let Some((_, raw)) = tried
        {
            let inside = raw.data().iter().all(|v| (-1e-6..=1.0 + 1e-6).contains(v));
            let sums = (0..raw.rows()).all(|row| (raw.row(row).iter().sum::<f32>() - 1.0).abs() < 1e-3);
            let sigmoid = columns == Some(1) && self.heads.logits.is_some();
            if inside && (sums || sigmoid) {
                self.kind = OutputKind::Probabilities;
            }
        }
        let classes = columns.map(|columns| columns.max(2));
        match classes {
            Some(classes) if self.names.len() != classes => {
                // Names that do not fit the scores are those of something else.
                self.names = (0..classes).map(|class| class.to_string()).collect();
            }
            None if self.names.is_empty() => {
                return Err(refuse(
                    "the file does not tell its classes: export it with scores, or with class labels",
                ));
            }
            _ => {}
        }
        // Scores that contradict the label (two-class machines without probabilities) are no scores of it.
        if let (Some((rows, raw)), Some(_)) = (tried, &self.heads.label)
            && raw.row_len() == self.names.len()
        {
            let labels = self.labels(rows)?;
            let agree = labels.iter().zip(raw.argmax_rows()).filter(|(a, b)| **a == *b).count();
            if agree * 2 < labels.len() {
                self.heads.scores = None;
                self.kind = OutputKind::LabelOnly;
            }
        }
        if self.names.len() < 2 {
            return Err(refuse("it has a single class"));
        }
        Ok(())
    }

    /// A few rows of different size and sign.
    fn probe(&self) -> Result<Tensor, ModelError> {
        const ROWS: usize = 12;
        let len = self.layout.row_len();
        let level = |row: usize, at: usize| match row {
            0 => 0.0,
            1 => 1.0,
            _ => ((row * 31 + at % 1024 * 17) % 23) as f32 / 11.0 - 0.5 * (row % 3) as f32,
        };
        let data = (0..ROWS).flat_map(|row| (0..len).map(move |at| level(row, at))).collect();
        let mut shape = vec![ROWS];
        shape.extend(&self.layout.row);
        Ok(Tensor::new(shape, data)?)
    }

    /// Holds the text inputs at these values: one row, used for every row.
    ///
    /// # Errors
    /// When an input of that name does not exist or the value is not one row.
    pub fn with_fixed(mut self, fixed: Vec<NamedValue>) -> Result<Self, ModelError> {
        for value in &fixed {
            let wrong =
                |reason: &str| ModelError::Input { name: value.name.clone(), reason: reason.to_owned() };
            if !self.texts.contains(&value.name) {
                return Err(wrong("the model has no such text input"));
            }
            if values::len(&value.value) == 0 || !matches!(value.value, Value::Text(_)) {
                return Err(wrong("one row of text is expected"));
            }
        }
        self.fixed = fixed;
        self.settle()?;
        Ok(self)
    }

    /// The shape of one row.
    #[must_use]
    pub fn input_shape(&self) -> &[usize] {
        &self.layout.row
    }

    /// Names of the numbers in a row, when the model has an input for each; else one name for all.
    #[must_use]
    pub fn features(&self) -> Vec<String> {
        let name = |column: &crate::rows::Column| {
            let single = column.width == 1;
            (0..column.width)
                .map(|at| if single { column.name.clone() } else { format!("{}[{at}]", column.name) })
                .collect::<Vec<_>>()
        };
        self.layout.columns.iter().flat_map(name).collect()
    }

    /// The text inputs, which must be fixed before the model can run.
    #[must_use]
    pub fn text_inputs(&self) -> &[String] {
        &self.texts
    }

    /// How many classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.names.len()
    }

    /// Their names: those of the file, or their numbers.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.names
    }

    /// What the scores are.
    #[must_use]
    pub fn kind(&self) -> OutputKind {
        self.kind
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Arc<dyn Model> {
        &self.model
    }

    /// A score for each class of each row: `[n, classes]`.
    ///
    /// # Errors
    /// As [`Model::infer`]; also when the model gives labels only.
    pub fn scores(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let raw = self.raw(x)?;
        if raw.row_len() != 1 || self.scorer {
            return Ok(raw.reshape([x.rows(), self.classes()])?);
        }
        let probabilities = self.kind == OutputKind::Probabilities;
        let pair = |&v: &f32| if probabilities { [1.0 - v, v] } else { [0.0, v] };
        Ok(Tensor::new([raw.rows(), 2], raw.data().iter().flat_map(pair).collect())?)
    }

    /// The score output as it is.
    fn raw(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let name = self.heads.scores.as_deref().ok_or_else(|| refuse("it gives labels only, no scores"))?;
        self.value(x, name)
    }

    /// A value of the graph for all rows: `[n, ..]` flattened to `[n, columns]`.
    fn value(&self, x: &Tensor, name: &str) -> Result<Tensor, ModelError> {
        let mut data = Vec::new();
        for (start, rows) in self.layout.batches(x.rows()) {
            let inputs = self.layout.inputs(x, start, rows, &self.fixed)?;
            let mut out = self.model.activations(&inputs, &[name])?;
            let part = out.pop().ok_or_else(|| ModelError::NoSuchValue { name: name.to_owned() })?;
            let given = self.layout.batch.unwrap_or(rows);
            if part.data().len() % given.max(1) != 0 {
                return Err(refuse(format!(
                    "value `{name}` of shape {:?} is not one for each row",
                    part.shape()
                )));
            }
            data.extend_from_slice(&part.data()[..part.data().len() / given.max(1) * rows]);
        }
        let columns = data.len() / x.rows().max(1);
        Ok(Tensor::new([x.rows(), columns], data)?)
    }

    /// What the last layer with weights reads, for each row: `[n, values]`.
    ///
    /// # Errors
    /// As [`Model::infer`]; also when the graph has no such layer.
    pub fn last_activations(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let (name, _) = self
            .model
            .last_layer()
            .ok_or_else(|| refuse("it has no last layer of weights to look in front of"))?;
        self.value(x, &name)
    }

    /// As [`Model::margins`], for boxes from the rows `low` to the rows `high`.
    ///
    /// # Errors
    /// As [`Model::margins`]; also when the rows do not fit each other.
    pub fn margins(&self, low: &Tensor, high: &Tensor, labels: &[usize]) -> Result<Vec<f32>, ModelError> {
        if low.shape() != high.shape() || low.rows() != labels.len() {
            return Err(refuse("low and high ends and labels are not one for each row"));
        }
        let mut margins = Vec::with_capacity(labels.len());
        for (start, rows) in self.layout.batches(low.rows()) {
            let [low, high] = [low, high].map(|end| self.layout.inputs(end, start, rows, &self.fixed));
            let mut own = labels[start..start + rows].to_vec();
            // A batch the file fixes is filled up with its last row.
            own.resize(self.layout.batch.unwrap_or(rows), own.last().copied().unwrap_or(0));
            let found = self.model.margins(&low?, &high?, &own)?;
            margins.extend(found.into_iter().take(rows));
        }
        Ok(margins)
    }

    /// The class of each row: what the label output says, or the best score.
    ///
    /// # Errors
    /// As [`Model::infer`].
    pub fn labels(&self, x: &Tensor) -> Result<Vec<usize>, ModelError> {
        let Some(label) = &self.heads.label else { return Ok(self.scores(x)?.argmax_rows()) };
        let mut out = Vec::with_capacity(x.rows());
        for (start, rows) in self.layout.batches(x.rows()) {
            let inputs = self.layout.inputs(x, start, rows, &self.fixed)?;
            let outputs = self.model.infer(&inputs)?;
            let value = outputs.iter().find(|output| &output.name == label).map(|output| &output.value);
            for name in value.map(heads::names).unwrap_or_default().into_iter().take(rows) {
                let class = self.names.iter().position(|own| *own == name);
                out.push(class.ok_or_else(|| refuse(format!("the label `{name}` is none of its classes")))?);
            }
        }
        Ok(out)
    }

    /// Whether the file itself says which label a row gets, so that labels are not read off scores.
    #[must_use]
    pub const fn says_labels(&self) -> bool {
        self.heads.label.is_some()
    }

    /// Like [`Model::input_gradient`], on the logits when the graph ends in a softmax or sigmoid, and on the
    /// logarithm of the probabilities when it gives those in another way: saturated probabilities then do
    /// not hide the gradient. The scores handed to `cotangent` and returned are those logits, `[n, classes]`.
    ///
    /// # Errors
    /// As [`Model::input_gradient`].
    pub fn gradient(
        &self,
        x: &Tensor,
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Tensor), ModelError> {
        self.model.differentiable().map_err(|operators| ModelError::NotDifferentiable { operators })?;
        let scores = self.heads.scores.as_deref().ok_or_else(|| refuse("it gives labels only, no scores"))?;
        let of = self.heads.logits.as_deref().unwrap_or(scores);
        let raw_rows = |raw: &Tensor| raw.shape().first().copied().unwrap_or(1);
        if self.layout.batch.is_some_and(|batch| batch != x.rows()) {
            // The file fixes the batch: all logits first, so that the cotangent is asked once, then batch by
            // batch with the part of it that belongs there.
            let raw = self.value(x, of)?;
            let logits = self.logits(&raw)?;
            let outer = cotangent(&logits);
            let mut gradients = Tensor::full(x.shape(), 0.0);
            for (start, rows) in self.layout.batches(x.rows()) {
                let mut part = |raw: &Tensor| {
                    let mut own = vec![0.0; raw_rows(raw) * self.classes()];
                    let from = start * self.classes();
                    for (slot, value) in
                        own.iter_mut().zip(outer.data().iter().skip(from).take(rows * self.classes()))
                    {
                        *slot = *value;
                    }
                    self.pull(raw, &own)
                };
                let own = self.batch_gradient(x, start, rows, of, &mut part)?;
                let len = self.layout.row_len();
                gradients.data_mut()[start * len..(start + rows) * len].copy_from_slice(&own);
            }
            return Ok((logits, gradients));
        }
        let mut found = None;
        let mut inner = |raw: &Tensor| match self.logits(raw) {
            Ok(logits) => {
                let outer = cotangent(&logits);
                found = Some(logits);
                self.pull(raw, outer.data())
            }
            Err(_) => Tensor::full(raw.shape(), 0.0),
        };
        let gradient = self.batch_gradient(x, 0, x.rows(), of, &mut inner)?;
        let logits = found.ok_or_else(|| refuse("its scores do not have one column for each class"))?;
        Ok((logits, Tensor::new(x.shape(), gradient)?))
    }

    /// Whether scores are made logits by their logarithm.
    fn by_logarithm(&self) -> bool {
        self.heads.logits.is_none() && self.kind == OutputKind::Probabilities
    }

    /// Logits from the value they are taken at.
    fn logits(&self, raw: &Tensor) -> Result<Tensor, ModelError> {
        let (rows, classes) = (raw.shape().first().copied().unwrap_or(1), self.classes());
        let single = raw.data().len() == rows && classes == 2;
        let log = |v: f32| v.max(FLOOR).ln();
        let data: Vec<f32> = match (single, self.by_logarithm()) {
            (true, true) => raw.data().iter().flat_map(|&v| [log(1.0 - v), log(v)]).collect(),
            (true, false) => raw.data().iter().flat_map(|&v| [0.0, v]).collect(),
            (false, true) => raw.data().iter().map(|&v| log(v)).collect(),
            (false, false) => raw.data().to_vec(),
        };
        Ok(Tensor::new([rows, classes], data)?)
    }

    /// The cotangent of that value from the cotangent of the logits: the chain rule for [`Self::logits`].
    fn pull(&self, raw: &Tensor, outer: &[f32]) -> Tensor {
        let rows = raw.shape().first().copied().unwrap_or(1);
        let single = raw.data().len() == rows && self.classes() == 2;
        let log = self.by_logarithm();
        let data: Vec<f32> = if single {
            let slope = |(v, g): (&f32, &[f32])| {
                if log { g[1] / v.max(FLOOR) - g[0] / (1.0 - v).max(FLOOR) } else { g[1] }
            };
            raw.data().iter().zip(outer.chunks_exact(2)).map(slope).collect()
        } else {
            raw.data().iter().zip(outer).map(|(v, g)| if log { g / v.max(FLOOR) } else { *g }).collect()
        };
        Tensor::new(raw.shape(), data).unwrap_or_else(|_| Tensor::full([0], 0.0))
    }

    /// The gradient of a few rows, as rows of numbers; whole-number inputs have zeros.
    fn batch_gradient(
        &self,
        x: &Tensor,
        start: usize,
        rows: usize,
        of: &str,
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<Vec<f32>, ModelError> {
        let inputs = self.layout.inputs(x, start, rows, &self.fixed)?;
        let floats: Vec<_> = self.layout.columns.iter().filter(|column| column.dtype.is_float()).collect();
        let wrt: Vec<&str> = floats.iter().map(|column| column.name.as_str()).collect();
        let (_, gradients) = self.model.gradient(&inputs, of, &wrt, cotangent)?;
        let len = self.layout.row_len();
        let mut out = vec![0.0; rows * len];
        for (column, gradient) in floats.iter().zip(&gradients) {
            for row in 0..rows {
                let to = row * len + column.start;
                out[to..to + column.width]
                    .copy_from_slice(&gradient.data()[row * column.width..(row + 1) * column.width]);
            }
        }
        Ok(out)
    }
}
