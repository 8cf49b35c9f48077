//! The user's model together with the user's rows: what probes, profile and guard are made of.
//!
//! Long because reading a table as the model takes it, and what is said where it cannot be, belong together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use mantlet_attacks::{Constraint, Constraints};
use mantlet_columns::{Cells, Column, Table, TableLimits, read_table};
use mantlet_model::{Classifier, Dtype, Limits, Model, Port};
use mantlet_vocab::{Gap, MemorySource, NamedValue, Tensor, Value};
use mantlet_worker::battery::{Ground, Rows, Truths};

use super::described;
use super::sentences::Sentences;
use crate::config::{Data, Loaded};

/// A model and the rows it is about.
pub struct Subject {
    /// The classifier.
    pub classifier: Arc<Classifier>,
    /// Rows for the battery.
    pub ground: Ground,
    /// The training table as the model takes it.
    pub inputs: Vec<NamedValue>,
    /// Names of the classes, in the model's order.
    pub classes: Vec<String>,
    /// Names of the numbers of a row, in the model's order.
    pub features: Vec<String>,
    /// What the table's numbers were multiplied by for the model.
    pub scale: f64,
    /// Share of held-out rows (training rows when there are none) on which model and label agree.
    pub accuracy: f64,
    /// What a reader should know of how rows were read.
    pub notes: Vec<String>,
}

/// Loads the model file as a classifier, or says why probes cannot run on it and how to get there.
pub fn load_model(path: &Path) -> Result<Arc<Classifier>, Gap> {
    load_view(path, None, Classifier::new)
}

/// Loads the configured model file with its architecture; with `scores`, as a model that gives a score, a price or a rank
/// where its file says so or it gives one number a row.
pub fn load_of(loaded: &Loaded, scores: bool) -> Result<Arc<Classifier>, Gap> {
    let model = &loaded.config.model;
    let architecture = model.architecture.as_ref().map(|file| loaded.path(file));
    load_view(&loaded.path(&model.path), architecture.as_deref(), |model| {
        if !scores {
            return Classifier::new(model);
        }
        match Classifier::scoring(Arc::clone(&model)) {
            Ok(view) if model.heads().regression || view.classes() == 1 => Ok(view),
            Err(error) if model.heads().regression => Err(error),
            _ => Classifier::new(model),
        }
    })
}

fn load_view(
    path: &Path,
    architecture: Option<&Path>,
    view: impl FnOnce(Arc<dyn Model>) -> Result<Classifier, mantlet_model::ModelError>,
) -> Result<Arc<Classifier>, Gap> {
    let gap = |why: String, remedy: &str| Gap {
        what: "the probes (evasion, extraction, membership, backdoor)".to_owned(),
        why,
        remedy: remedy.to_owned(),
    };
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if !matches!(extension.as_str(), "onnx" | "safetensors") {
        let remedy = match extension.as_str() {
            "pkl" | "pickle" | "joblib" => {
                "export it to ONNX where it was trained (`skl2onnx.to_onnx(model, X[:1])` for scikit-learn, \
                 `onnxmltools.convert_xgboost` for XGBoost) and name that file in `model.path`, or attack its \
                 endpoint with `mantlet attack run --endpoint URL`"
            }
            "pt" | "pth" => {
                "export it with `torch.onnx.export(model, example, \"model.onnx\")` and name that file in \
                 `model.path`, or attack its endpoint with `mantlet attack run --endpoint URL`"
            }
            _ => {
                "export it to ONNX and name that file in `model.path`, or attack its endpoint with \
                  `mantlet attack run --endpoint URL`"
            }
        };
        let why = format!("{} was scanned, but it is not a file that can be run as data", path.display());
        return Err(gap(why, remedy));
    }
    let model = described::model(path, architecture).map_err(|error| {
        let remedy = if extension == "onnx" {
            "export it with supported operators, or attack its endpoint instead"
        } else {
            "say how its layers stand in a file named with --architecture or `model.architecture`, or export it with \
             `torch.onnx.export(model, example, \"model.onnx\")`"
        };
        gap(format!("{error:#}"), remedy)
    })?;
    let classifier = view(model).map_err(|error| {
        gap(
            error.to_string(),
            "models that give a score are attacked with `mantlet attack run --scores`, `--score-moves BY` or `--rank-moves PLACES`",
        )
    })?;
    Ok(Arc::new(classifier))
}

/// Loads a file that is data, as [`described::model`] without an architecture.
pub fn run_as_data(path: &Path) -> anyhow::Result<Arc<dyn Model>> {
    described::model(path, None)
}

/// Loads a file that is data in the format of another library, as [`described::foreign`].
pub fn run_as_foreign(path: &Path, source: &MemorySource) -> anyhow::Result<mantlet_model::Foreign> {
    described::foreign(path, source)
}

/// Reads a model file into memory, unless it is larger than any that is loaded.
pub fn read_source(path: &Path) -> anyhow::Result<MemorySource> {
    let explain = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(explain)?.len();
    let most = Limits::default().max_bytes as u64;
    anyhow::ensure!(
        size <= most,
        "{} has {size} bytes, more than the {most} that are loaded",
        path.display()
    );
    Ok(MemorySource::new(&std::fs::read(path).with_context(explain)?))
}

/// Puts model and tables together, or says what is missing.
pub fn subject(loaded: &Loaded, classifier: Arc<Classifier>) -> Result<Subject, Gap> {
    let gap = |why: String, remedy: &str| Gap {
        what: "the probes and the request profile".to_owned(),
        why,
        remedy: remedy.to_owned(),
    };
    let Some(data) = &loaded.config.data else {
        return Err(gap("no data set is named".to_owned(), "name the training table in `data.train`"));
    };
    let read = |path: &Path| {
        read_table(&loaded.path(path), &TableLimits::default())
            .map_err(|error| gap(error.to_string(), "correct the file or its name in `data`"))
    };
    let table = read(&data.train)?;
    let Some(label) = data.label.as_ref().and_then(|label| table.column(label)) else {
        let why = match &data.label {
            Some(label) => format!("the table has no column `{label}`"),
            None => "the label column is not named".to_owned(),
        };
        return Err(gap(why, "name the column that holds the label in `data.label`"));
    };
    let features = feature_names(data, &table, &label.name);
    let classes = class_names(data, &classifier, label);
    let mut notes = Vec::new();
    let reading = Reading { data, classifier: &classifier, features: &features, classes: &classes };
    let truth = |table: &Table, kept: usize| reading.truths(table, &label.name, kept);
    let (train, inputs) = reading
        .rows(&table, &label.name, &mut notes)
        .map_err(|why| gap(why, "correct `data.features` or `data.label`"))?;
    let mut truths = truth(&table, train.y.len()).map(|train| Truths { train, held_out: Vec::new() });
    let held_out = match &data.test {
        Some(path) => {
            let table = read(path)?;
            let rows = reading.rows(&table, &label.name, &mut Vec::new());
            let rows =
                rows.map_err(|why| gap(format!("{}: {why}", path.display()), "correct `data.test`"))?.0;
            truths = match (truths, truth(&table, rows.y.len())) {
                (Some(truths), Some(held_out)) => Some(Truths { held_out, ..truths }),
                _ => None,
            };
            Some(rows)
        }
        None => None,
    };
    if table.cut {
        notes.push(format!("only the first {} rows of the table were read", table.rows));
    }
    let features = reading.numbers();
    let constraints = constraints(&train, loaded, &features, data.scale.is_none());
    let seen = held_out.as_ref().unwrap_or(&train);
    let answers = classifier.labels(&seen.x).map_err(|error| {
        gap(error.to_string(), "check that the model takes the columns of `data.features`")
    })?;
    let right = answers.iter().zip(&seen.y).filter(|(answer, label)| answer == label).count();
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    let accuracy = right as f64 / seen.y.len().max(1) as f64;
    let ground = Ground { train, held_out, classes: classes.len(), constraints, truths };
    let scale = data.scale.unwrap_or(1.0);
    Ok(Subject { classifier, ground, inputs, classes, features, scale, accuracy, notes })
}

fn feature_names(data: &Data, table: &Table, label: &str) -> Vec<String> {
    if data.features.is_empty() {
        table.columns.iter().map(|column| column.name.clone()).filter(|name| name != label).collect()
    } else {
        data.features.clone()
    }
}

/// The classes in the model's order: as configured, as the file says, or the labels in order.
fn class_names(data: &Data, classifier: &Classifier, label: &Column) -> Vec<String> {
    if classifier.is_scorer() {
        return classifier.class_names().to_vec();
    }
    if data.classes.len() == classifier.classes() {
        return data.classes.clone();
    }
    let mut seen: Vec<String> = Vec::new();
    for row in 0..label.cells.len() {
        if let Some(text) = label.cells.text(row)
            && !seen.contains(&text)
            && seen.len() <= classifier.classes()
        {
            seen.push(text);
        }
    }
    if seen.iter().all(|text| classifier.class_names().contains(text)) {
        return classifier.class_names().to_vec();
    }
    let numbers: Option<Vec<f64>> = seen.iter().map(|text| text.parse().ok()).collect();
    match numbers {
        Some(_) => seen.sort_by(|a, b| {
            let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
            number(a).total_cmp(&number(b))
        }),
        None => seen.sort(),
    }
    if seen.len() == classifier.classes() { seen } else { classifier.class_names().to_vec() }
}

struct Reading<'a> {
    data: &'a Data,
    classifier: &'a Classifier,
    features: &'a [String],
    classes: &'a [String],
}

impl Reading<'_> {
    /// Rows for the battery, and the same rows as the model takes them.
    fn rows(
        &self,
        table: &Table,
        label: &str,
        notes: &mut Vec<String>,
    ) -> Result<(Rows, Vec<NamedValue>), String> {
        let label = table.column(label).ok_or_else(|| format!("there is no column `{label}`"))?;
        let index: BTreeMap<&str, usize> =
            self.classes.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let mut kept = Vec::new();
        let mut y = Vec::new();
        let columns = self.columns(table)?;
        let (words, mut padded) = (Sentences::of(self.classifier, columns.len()), 0);
        for row in 0..table.rows {
            let class = label.cells.text(row).and_then(|text| index.get(text.as_str()).copied());
            // A score has no classes; every row is of the one kind there is.
            let class = if self.classifier.is_scorer() { Some(0) } else { class };
            let whole = columns.iter().all(|column| column.cells.text(row).is_some());
            if words.as_ref().is_some_and(|words| words.padded(&columns, row)) {
                padded += 1;
            } else if let (Some(class), true) = (class, whole) {
                kept.push(row);
                y.push(class);
            }
        }
        if padded > 0 {
            notes.push(format!(
                "{padded} of {} rows hold padding, which embeddings do not know, and are left out: shorten them \
                 (`length` of the architecture)",
                table.rows
            ));
        }
        if kept.len() + padded < table.rows {
            notes.push(format!(
                "{} of {} rows have a missing cell or a label that is no class of the model, and are left out",
                table.rows - kept.len() - padded,
                table.rows
            ));
        }
        if kept.is_empty() {
            return Err(format!("no row has a label among {}", self.classes.join(", ")));
        }
        let inputs = self.inputs(&columns, &kept)?;
        let x = self.numeric(&inputs)?;
        Ok((Rows { x, y }, inputs))
    }

    /// The true score of each row that is kept, of a model that gives scores; `None` where some row has no number.
    fn truths(&self, table: &Table, label: &str, kept: usize) -> Option<Vec<f32>> {
        if !self.classifier.is_scorer() {
            return None;
        }
        let (label, columns) = (table.column(label)?, self.columns(table).ok()?);
        let whole = |row: &usize| columns.iter().all(|column| column.cells.text(*row).is_some());
        #[expect(clippy::cast_possible_truncation, reason = "scores are f32")]
        let number =
            |row: usize| label.cells.number(row).map(|value| value as f32).filter(|value| value.is_finite());
        let truths: Vec<f32> = (0..table.rows).filter(whole).map(number).collect::<Option<_>>()?;
        (truths.len() == kept).then_some(truths)
    }

    fn columns<'t>(&self, table: &'t Table) -> Result<Vec<&'t Column>, String> {
        let find = |name: &String| table.column(name).ok_or_else(|| format!("there is no column `{name}`"));
        self.features.iter().map(find).collect()
    }

    /// The columns as the model's inputs: one input for all, or one for each column by name.
    fn inputs(&self, columns: &[&Column], kept: &[usize]) -> Result<Vec<NamedValue>, String> {
        let ports = &self.classifier.model().signature().inputs;
        if let [only] = ports.as_slice() {
            if let Some(words) = Sentences::of(self.classifier, columns.len()) {
                let value = Value::F32(words.rows(columns, kept)?);
                return Ok(vec![NamedValue { name: only.name.clone(), value }]);
            }
            let shape = self.classifier.input_shape();
            let width: usize = shape.iter().product();
            if width != columns.len() {
                return Err(format!(
                    "the model takes {width} values a row and the table has {} features",
                    columns.len()
                ));
            }
            let value = if only.dtype == Dtype::Text {
                let texts = kept
                    .iter()
                    .flat_map(|&row| columns.iter().map(move |c| c.cells.text(row).unwrap_or_default()));
                Value::Text(tensor(kept.len(), shape, texts.collect())?)
            } else {
                let mut numbers = Vec::with_capacity(kept.len() * width);
                for &row in kept {
                    for column in columns {
                        numbers.push(self.number(column, row)?);
                    }
                }
                cast(only, tensor(kept.len(), shape, numbers)?)
            };
            return Ok(vec![NamedValue { name: only.name.clone(), value }]);
        }
        ports.iter().map(|port| self.input(port, columns, kept)).collect()
    }

    /// The names of the numbers of a row, in the order of the model's inputs.
    fn numbers(&self) -> Vec<String> {
        match self.classifier.model().signature().inputs.as_slice() {
            [_] => match Sentences::of(self.classifier, self.features.len()) {
                Some(words) => words.names(self.features),
                None => self.features.to_vec(),
            },
            ports => ports
                .iter()
                .filter(|port| port.dtype != Dtype::Text)
                .filter_map(|port| self.features.iter().find(|name| is_of(name, port)).cloned())
                .collect(),
        }
    }

    fn input(&self, port: &Port, columns: &[&Column], kept: &[usize]) -> Result<NamedValue, String> {
        let column = columns.iter().find(|column| is_of(&column.name, port)).ok_or_else(|| {
            format!("the model takes an input `{}` and no feature has that name", port.name)
        })?;
        let value = if port.dtype == Dtype::Text {
            let texts = kept.iter().map(|&row| column.cells.text(row).unwrap_or_default()).collect();
            Value::Text(tensor(kept.len(), &[1], texts)?)
        } else {
            let numbers: Result<Vec<f64>, String> =
                kept.iter().map(|&row| self.number(column, row)).collect();
            cast(port, tensor(kept.len(), &[1], numbers?)?)
        };
        Ok(NamedValue { name: port.name.clone(), value })
    }

    fn number(&self, column: &Column, row: usize) -> Result<f64, String> {
        if matches!(column.cells, Cells::Texts(_)) {
            return Err(format!("column `{}` is text and the model takes numbers", column.name));
        }
        Ok(column.cells.number(row).unwrap_or(f64::NAN) * self.data.scale.unwrap_or(1.0))
    }

    /// The numbers an attacker can change, side by side, in the classifier's row shape.
    fn numeric(&self, inputs: &[NamedValue]) -> Result<Tensor, String> {
        let numbers: Vec<Tensor> = inputs.iter().filter_map(|input| input.value.to_f32()).collect();
        let rows = numbers.first().map_or(0, Tensor::rows);
        let mut data = Vec::new();
        for row in 0..rows {
            numbers.iter().for_each(|tensor| data.extend_from_slice(tensor.row(row)));
        }
        tensor(rows, self.classifier.input_shape(), data)
    }
}

/// Whether a column of this name is the one the input takes.
fn is_of(name: &str, port: &Port) -> bool {
    let plain = |name: &str| name.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
    name == port.name || plain(name) == plain(&port.name)
}

fn tensor<T>(rows: usize, row: &[usize], data: Vec<T>) -> Result<Tensor<T>, String> {
    let shape: Vec<usize> = std::iter::once(rows).chain(row.iter().copied()).collect();
    Tensor::new(shape, data).map_err(|error| error.to_string())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the model's own element type")]
fn cast(port: &Port, numbers: Tensor<f64>) -> Value {
    let shape = numbers.shape().to_vec();
    let data = numbers.into_data();
    macro_rules! as_type {
        ($variant:ident, $convert:expr) => {
            Value::$variant(match Tensor::new(shape, data.into_iter().map($convert).collect()) {
                Ok(tensor) => tensor,
                Err(_) => Tensor::full([0], Default::default()),
            })
        };
    }
    match port.dtype {
        Dtype::F64 => as_type!(F64, |v: f64| v),
        Dtype::I64 => as_type!(I64, |v: f64| v as i64),
        Dtype::I32 => as_type!(I32, |v: f64| v as i32),
        Dtype::U8 => as_type!(U8, |v: f64| v as u8),
        Dtype::Bool => as_type!(Bool, |v: f64| v != 0.0),
        Dtype::F32 | Dtype::Text => as_type!(F32, |v: f64| v as f32),
    }
}

/// Bounds from the training rows; whole-number columns stay whole, configured columns stay fixed.
fn constraints(train: &Rows, loaded: &Loaded, features: &[String], unscaled: bool) -> Constraints {
    let width = train.x.row_len();
    let picture = train.x.shape().len() > 2;
    let values = |column: usize| (0..train.x.rows()).map(move |row| train.x.row(row)[column]);
    let whole = train.x.data();
    let (low, high) =
        whole.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
    let each = (0..width).map(|column| {
        let (lower, upper) = if picture {
            (low, high)
        } else {
            values(column).fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)))
        };
        let integer = unscaled && !picture && values(column).all(|v| v.fract() == 0.0);
        let immutable =
            features.get(column).is_some_and(|name| loaded.config.probes.immutable.contains(name));
        Constraint { lower, upper, integer, immutable }
    });
    Constraints::new(each.collect())
}
