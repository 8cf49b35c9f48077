//! An endpoint that takes and gives JSON of its own form: the request is a template, the answer is found by a path.

use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Uri};
use mantlet_attacks::{Loss, ScoreKind};
use mantlet_redteam::{GradientAnswer, Target, TargetError, TargetFacts, labels_of};
use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::endpoint::{accept, malformed, unsupported, without_key};
use super::transport::Transport;

/// How such an endpoint is asked.
///
/// In `body`, the text `"$rows"` stands for a list of rows (each a list of numbers in the row's shape), `"$row"` for
/// one row, `"$texts"` and `"$text"` for texts (rows of code points, see `mantlet_attacks::text`), `"$records"` for a list of objects with one key a column, `"$record"` for one such object. With `"$row"`,
/// `"$text"` or `"$record"` one row is asked at a time.
///
/// In `scores` and `labels` a path is keys and indices between slashes; `*` stands for each item of a list:
/// `/predictions/*/probabilities`. What is found for each row is: a list of scores in the order of `classes`; an
/// object from class to score, in any order; a list of `{"label": ..., "score": ...}`, in any order and perhaps only
/// the best few; or a number, the score of the second of two classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TemplateConfig {
    /// The whole address.
    pub url: String,
    /// The request.
    pub body: Value,
    /// Where scores are in the answer.
    #[serde(default)]
    pub scores: Option<String>,
    /// Where labels are in the answer.
    #[serde(default)]
    pub labels: Option<String>,
    /// Shape of one row.
    pub shape: Vec<usize>,
    /// Names of the classes, in the order of the training labels.
    pub classes: Vec<String>,
    /// Names of the columns, for `$record` and `$records`.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The header that carries a key, and the environment variable the key is read from.
    #[serde(default)]
    pub header: Option<String>,
    /// The environment variable that holds the key.
    #[serde(default)]
    pub key_env: Option<String>,
    /// The most rows in one request.
    #[serde(default = "one")]
    pub max_rows: usize,
    /// Milliseconds to wait for an answer.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
    /// Where the answer says how many tokens it is billed at; several numbers are summed.
    #[serde(default)]
    pub tokens: Option<String>,
    /// The most tokens one request is billed at. Where only `tokens` is given, the request's bytes and a quarter more than
    /// the dearest answer so far are taken for it, whichever is more.
    #[serde(default)]
    pub tokens_per_request: Option<u64>,
}

const fn one() -> usize {
    1
}

const fn ten_seconds() -> u64 {
    10_000
}

/// Such an endpoint as a target. Every call blocks the calling thread; redirects are never followed.
pub struct TemplateTarget {
    config: TemplateConfig,
    uri: Uri,
    headers: HeaderMap,
    transport: Transport,
    single: bool,
    kind: Option<ScoreKind>,
    billed: u64,
    dearest: u64,
}

impl TemplateTarget {
    /// Prepares the target; nothing is asked yet. `key` is what the header carries.
    ///
    /// # Errors
    /// When the address, the template or the paths cannot be used.
    pub fn new(config: TemplateConfig, key: Option<&str>) -> Result<Self, TargetError> {
        let uri: Uri = config
            .url
            .parse()
            .ok()
            .filter(|uri: &Uri| uri.scheme().is_some() && uri.host().is_some())
            .ok_or_else(|| {
                unsupported("`url` is no address: give scheme and host, such as http://127.0.0.1:8080")
            })?;
        let text = config.body.to_string();
        let has = |mark: &str| text.contains(&format!("\"{mark}\""));
        let single = has("$row") || has("$record") || has("$text");
        if !single && !has("$rows") && !has("$records") && !has("$texts") {
            return Err(unsupported(
                "`body` has no place for rows: put \"$rows\", \"$row\", \"$records\", \"$record\", \"$texts\" or \
                 \"$text\"",
            ));
        }
        let width: usize = config.shape.iter().product();
        if (has("$record") || has("$records")) && config.columns.len() != width {
            return Err(unsupported(format!("`columns` must name the {width} values of a row")));
        }
        if config.scores.is_none() && config.labels.is_none() {
            return Err(unsupported("name where the answer has `scores` or `labels`"));
        }
        if config.classes.is_empty() || width == 0 {
            return Err(unsupported(
                "`classes` must name the classes, or the one score, and `shape` the axes of a row",
            ));
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let (Some(name), Some(key)) = (&config.header, key) {
            let name = HeaderName::try_from(name.as_str())
                .map_err(|_| unsupported("the key's header has no valid name"))?;
            let mut value =
                HeaderValue::try_from(key).map_err(|_| unsupported("the key cannot stand in a header"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let transport = Transport::new(Duration::from_millis(config.timeout_ms))?;
        Ok(Self { config, uri, headers, transport, single, kind: None, billed: 0, dearest: 0 })
    }

    fn ask(&mut self, rows: &Tensor) -> Result<Value, TargetError> {
        let width: usize = self.config.shape.iter().product();
        if rows.row_len() != width {
            return Err(unsupported(format!(
                "a row has {} values, the endpoint takes {width}",
                rows.row_len()
            )));
        }
        let body = self.fill(&self.config.body, rows).to_string().into_bytes();
        let reply = self.transport.send(Method::POST, self.uri.clone(), self.headers.clone(), body)?;
        let answer =
            serde_json::from_slice(accept(&reply).map_err(|error| without_key(error, &self.headers))?)
                .map_err(|error| malformed(format!("the answer is no JSON: {error}")))?;
        let at_most = self.tokens_at_most(rows);
        let counted = self.config.tokens.as_ref().map(|path| follow(&answer, path));
        let billed = match counted.filter(|found| !found.is_empty()) {
            Some(found) => found.into_iter().filter_map(Value::as_u64).fold(0, u64::saturating_add),
            None => at_most,
        };
        self.billed = self.billed.saturating_add(billed);
        self.dearest = self.dearest.max(billed);
        Ok(answer)
    }

    fn fill(&self, template: &Value, rows: &Tensor) -> Value {
        let row = |index: usize| nested(rows.row(index), &self.config.shape);
        let record = |index: usize| {
            let named =
                self.config.columns.iter().cloned().zip(rows.row(index).iter().map(|value| json!(value)));
            Value::Object(named.collect::<Map<_, _>>())
        };
        let text = |index: usize| json!(mantlet_attacks::text::decode(rows.row(index)).unwrap_or_default());
        match template {
            Value::String(mark) => match mark.as_str() {
                "$texts" => (0..rows.rows()).map(text).collect(),
                "$text" => text(0),
                "$rows" => (0..rows.rows()).map(row).collect(),
                "$row" => row(0),
                "$records" => (0..rows.rows()).map(record).collect(),
                "$record" => record(0),
                _ => template.clone(),
            },
            Value::Array(items) => items.iter().map(|item| self.fill(item, rows)).collect(),
            Value::Object(items) => {
                Value::Object(items.iter().map(|(key, item)| (key.clone(), self.fill(item, rows))).collect())
            }
            other => other.clone(),
        }
    }

    /// What a path finds, one item a row.
    fn each<'a>(&self, answer: &'a Value, path: &str, rows: usize) -> Result<Vec<&'a Value>, TargetError> {
        let found = follow(answer, path);
        match found.as_slice() {
            many if many.len() == rows => Ok(found),
            // A path without `*` that leads to the list of rows, or to the only row's own.
            [Value::Array(items)] if !self.single && items.len() == rows => Ok(items.iter().collect()),
            _ => Err(malformed(format!("`{path}` finds {} answers for {rows} rows", found.len()))),
        }
    }

    fn class(&self, value: &Value) -> Result<usize, TargetError> {
        let name = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let known = self.config.classes.iter().position(|class| *class == name);
        // A number that is no name is an index.
        let index = value.as_u64().and_then(|index| usize::try_from(index).ok());
        known
            .or(index.filter(|index| *index < self.config.classes.len()))
            .ok_or_else(|| malformed(format!("`{}` is none of the classes", shortened(&name))))
    }

    /// One score a class, from whatever form a row's scores have.
    fn scores_of(&self, value: &Value) -> Result<Vec<f32>, TargetError> {
        let classes = self.config.classes.len();
        #[expect(clippy::cast_possible_truncation, reason = "models compute in f32")]
        let number = |value: &Value| {
            value.as_f64().map(|value| value as f32).ok_or_else(|| malformed("a score is no number"))
        };
        let pairs: Vec<(usize, f32)> = match value {
            Value::Number(_) if classes == 1 => return Ok(vec![number(value)?]),
            Value::Number(_) if classes == 2 => {
                let second = number(value)?;
                let share = (0.0..=1.0).contains(&second);
                return Ok(vec![if share { 1.0 - second } else { 0.0 }, second]);
            }
            Value::Array(items) if items.iter().all(Value::is_number) && items.len() == classes => {
                return items.iter().map(number).collect();
            }
            Value::Array(items) if items.len() == 1 && classes == 2 => return self.scores_of(&items[0]),
            Value::Array(items) => items
                .iter()
                .map(|item| {
                    let get = |keys: [&str; 4]| keys.iter().find_map(|key| item.get(*key));
                    let label = get(["label", "class", "name", "id"]);
                    let score = get(["score", "probability", "confidence", "value"]);
                    match (label, score) {
                        (Some(label), Some(score)) => Ok((self.class(label)?, number(score)?)),
                        _ => Err(malformed(format!("{} scores a row, {classes} classes", items.len()))),
                    }
                })
                .collect::<Result<_, _>>()?,
            Value::Object(items) => items
                .iter()
                .map(|(name, score)| Ok((self.class(&json!(name))?, number(score)?)))
                .collect::<Result<_, TargetError>>()?,
            _ => return Err(malformed("a row's scores are neither list, object nor number")),
        };
        if pairs.is_empty() {
            return Err(malformed("a row has no scores"));
        }
        // The classes that are not named share what is left.
        let mut scores = vec![f32::NAN; classes];
        pairs.iter().for_each(|(class, score)| scores[*class] = *score);
        let missing = scores.iter().filter(|score| score.is_nan()).count();
        let rest = (1.0 - pairs.iter().map(|(_, score)| score).sum::<f32>()).max(0.0);
        #[expect(clippy::cast_precision_loss, reason = "few classes")]
        scores.iter_mut().filter(|score| score.is_nan()).for_each(|score| *score = rest / missing as f32);
        Ok(scores)
    }
}

/// The row as lists in lists.
fn nested(row: &[f32], shape: &[usize]) -> Value {
    match shape {
        [] | [_] => json!(row),
        [_, rest @ ..] => {
            let size = rest.iter().product::<usize>().max(1);
            row.chunks(size).map(|part| nested(part, rest)).collect()
        }
    }
}

/// Everything a path leads to.
fn follow<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![value];
    for key in path.split('/').filter(|key| !key.is_empty()) {
        found = found
            .into_iter()
            .flat_map(|value| -> Vec<&Value> {
                match (value, key) {
                    (Value::Array(items), "*") => items.iter().collect(),
                    (Value::Array(items), index) => {
                        index.parse().ok().and_then(|index: usize| items.get(index)).into_iter().collect()
                    }
                    (Value::Object(items), key) => items.get(key).into_iter().collect(),
                    _ => Vec::new(),
                }
            })
            .collect();
    }
    found
}

fn shortened(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(60).collect()
}

impl Target for TemplateTarget {
    fn describe(&self) -> TargetFacts {
        TargetFacts {
            // Credentials in an address have no place in a report.
            name: format!(
                "{}://{}{}",
                self.uri.scheme_str().unwrap_or("http"),
                self.uri
                    .authority()
                    .map_or("", |authority| { authority.as_str().rsplit('@').next().unwrap_or("") }),
                self.uri.path()
            ),
            input_shape: self.config.shape.clone(),
            classes: Some(self.config.classes.len()),
            score_kind: self.kind,
            scores: self.config.scores.is_some(),
            no_gradient: Some("an endpoint gives no gradients".to_owned()),
            max_rows: if self.single { 1 } else { self.config.max_rows.max(1) },
        }
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        let Some(path) = self.config.labels.clone() else { return labels_of(&self.scores(rows)?) };
        let answer = self.ask(rows)?;
        self.each(&answer, &path, rows.rows())?.into_iter().map(|label| self.class(label)).collect()
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        let Some(path) = self.config.scores.clone() else {
            return Err(unsupported("the endpoint answers labels only"));
        };
        let answer = self.ask(rows)?;
        let mut data = Vec::with_capacity(rows.rows() * self.config.classes.len());
        for value in self.each(&answer, &path, rows.rows())? {
            data.extend(self.scores_of(value)?);
        }
        let scores = Tensor::new([rows.rows(), self.config.classes.len()], data)
            .map_err(|error| malformed(error.to_string()))?;
        // Once a value was seen that is no share, scores are logits for good.
        let kind = ScoreKind::recognise(&scores);
        if self.kind != Some(ScoreKind::Logits) {
            self.kind = Some(kind);
        }
        Ok(scores)
    }

    fn tokens_at_most(&self, rows: &Tensor) -> u64 {
        match (self.config.tokens_per_request, &self.config.tokens) {
            (Some(most), _) => most,
            // No token is shorter than a byte.
            (None, Some(_)) => {
                let body = self.fill(&self.config.body, rows).to_string().len() as u64;
                body.max(self.dearest.saturating_add(self.dearest / 4)).max(1)
            }
            (None, None) => 0,
        }
    }

    fn tokens(&self) -> u64 {
        self.billed
    }

    fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
        Err(unsupported("an endpoint gives no gradients"))
    }
}

#[cfg(test)]
mod tests;
