//! `mantlet.toml`: what it may hold, read strictly.
//!
//! One document describes one system. An unknown key is an error that names the file, the line and the
//! nearest known key; nothing is silently ignored.
//!
//! Long because one document is one type, each key with its words.

mod gate;
mod limits;
mod monitor;
mod record;
mod reviews;
mod rollout;
mod routes;
pub mod rules;
mod shared;
mod strict;
mod systems;
pub mod template;
pub mod text;
pub mod transport;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mantlet_vocab::{Impact, Mode, OnFailure, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use gate::{Gate, GateTerms, UNREAD, UNSIGNED};
pub use limits::{Price, StepUp};
pub use monitor::Monitor;
pub use record::{Record, Replies};
pub use reviews::Reviews;
pub use rollout::Rollout;
pub use routes::Route;
pub use shared::{Limit, ON_FAILURE, Shared, bus};
pub use strict::ConfigError;
pub use systems::Behind;
use systems::absolute;

/// The name of the file a folder is described by.
pub const FILE_NAME: &str = "mantlet.toml";

/// One protected system: a model, what it is made of, where it answers and who is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The system.
    pub system: System,
    /// The model.
    pub model: Model,
    /// The data it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// What its code depends on.
    #[serde(default)]
    pub dependencies: Dependencies,
    /// How it is attacked before it is admitted.
    #[serde(default)]
    pub probes: Probes,
    /// When it is admitted.
    #[serde(default)]
    pub policy: Policy,
    /// The inline guard.
    #[serde(default)]
    pub gateway: Gateway,
    /// What of an exchange goes on record.
    #[serde(default, skip_serializing_if = "Record::is_default")]
    pub record: Record,
    /// How a version goes before users step by step.
    #[serde(default)]
    pub rollout: Rollout,
    /// The web console.
    #[serde(default)]
    pub console: Console,
    /// Who is told of an incident.
    #[serde(default)]
    pub notify: Notify,
    /// Decisions that the guard withholds for a person.
    #[serde(default, skip_serializing_if = "Reviews::is_default")]
    pub reviews: Reviews,
    /// What the model's output has to stay within.
    #[serde(default, skip_serializing_if = "Monitor::is_default")]
    pub monitor: Monitor,
    /// Where state is kept.
    #[serde(default)]
    pub storage: Storage,
    /// What replicas of this installation share.
    #[serde(default)]
    pub shared: Shared,
}

/// The system: its name, what it decides and how much that can hurt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Short name: letters, digits, `-` and `_`.
    pub name: String,
    /// What the model's output decides, in plain words.
    pub decides: String,
    /// How much harm a wrong decision does: low, medium, high or critical.
    #[schemars(with = "ImpactWord")]
    pub impact: Impact,
    /// Who owns it: a team or a person.
    #[serde(default)]
    pub owner: String,
}

/// The model file and what it is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The file, or a folder that holds the model, relative to this document.
    pub path: PathBuf,
    /// What says how the layers of a safetensors file stand: a Hugging Face `config.json`, or a description of layers;
    /// looked for beside the file when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<PathBuf>,
    /// The name callers use in the request path.
    #[serde(default = "default_model_name")]
    pub name: String,
    /// The version this file is.
    #[serde(default = "default_version")]
    pub version: String,
}

/// The training table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// CSV or Parquet file, relative to this document.
    pub train: PathBuf,
    /// CSV or Parquet file of rows the model was not trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// The column that holds the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The column that says who delivered a row, for the gate of new batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
    /// The column that says who labelled a row, for the gate of new batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labeler: Option<String>,
    /// The column with a text, in which the gate of new batches looks for floods and triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The column that says whose a row is: nobody's rows may stand both in `train` and in `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the tables promise, as `mantlet data schema` writes it; new batches are held against it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<PathBuf>,
    /// Columns that the gate of new batches does not learn from: row numbers, scores, what is only known later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// What columns hold, whatever their first rows look like: numbers, words or times. Text files are read so; of Parquet
    /// and Arrow it must be what they say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, TypeWord>,
    /// What holds a new batch: for all of them, by class of impact, and by feed.
    #[serde(default, skip_serializing_if = "Gate::is_default")]
    pub gate: Gate,
    /// The feature columns in the model's order; all but the label when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Names of the classes in the model's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Multiplied into every feature before the model sees it (pixels 0 to 16 and a model on 0 to 1: 0.0625).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
}

/// What a column holds, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum TypeWord {
    /// Numbers.
    Numbers,
    /// Words, codes that look like numbers among them.
    Words,
    /// Dates and times.
    Times,
}

impl From<TypeWord> for mantlet_dataset::Kind {
    fn from(word: TypeWord) -> Self {
        match word {
            TypeWord::Numbers => Self::Numbers,
            TypeWord::Words => Self::Words,
            TypeWord::Times => Self::Times,
        }
    }
}

impl Data {
    /// What columns are declared to hold.
    #[must_use]
    pub fn types(&self) -> Vec<mantlet_dataset::Column> {
        let column = |(name, word): (&String, &TypeWord)| mantlet_dataset::Column {
            name: name.clone(),
            kind: (*word).into(),
        };
        self.types.iter().map(column).collect()
    }
}

/// Lock files to check.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependencies {
    /// `requirements.txt`, `poetry.lock`, `uv.lock`, `Pipfile.lock` or `Cargo.lock`.
    #[serde(default)]
    pub lock: Vec<PathBuf>,
}

/// The attack battery run before admission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Probes {
    /// Seed of every random choice; the same seed asks the same queries.
    pub seed: u64,
    /// Rows attacked by each evasion probe.
    pub rows: usize,
    /// Largest change of one feature in the white-box probe, as a share of the feature's range.
    pub epsilon: f64,
    /// Queries the decision-based probe may spend on each row.
    pub queries: usize,
    /// Columns an attacker cannot change.
    pub immutable: Vec<String>,
}

impl Default for Probes {
    fn default() -> Self {
        Self { seed: 1, rows: 50, epsilon: 0.1, queries: 800, immutable: Vec::new() }
    }
}

/// What it takes to be admitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Findings of this severity and above refuse admission and fail a scan.
    #[schemars(with = "SeverityWord")]
    pub threshold: Severity,
    /// Largest share of rows the white-box evasion probe may turn; the class of impact decides when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evasion_success: Option<f64>,
    /// Smallest number of queries a thief must need for a copy that agrees on 80 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extraction_queries: Option<usize>,
    /// Largest share of training rows recognised at 1 % false alarms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<f64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            threshold: Severity::Suspicious,
            evasion_success: None,
            extraction_queries: None,
            membership: None,
        }
    }
}

/// The gateway before the model's endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: String,
    /// The endpoint to protect, or `built-in` to serve the model file here.
    pub upstream: String,
    /// Endpoints by version, when they differ from `upstream`: a version that is rolled out needs one of its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// Shares of the callers, in percent, of versions beside the one that serves, which has the rest. They rest while a
    /// version is rolled out, and while a person or playbook has chosen another one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
    /// The version that is asked when the chosen one cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Where the endpoint answers gRPC, when it does; for `tensors`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// The same by version, for versions whose endpoint is another.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub grpc_versions: BTreeMap<String, String>,
    /// Names that clients pin a version by (`versions/3`, `labels/stable`), each with the version that it stands for
    /// here, or `*` for whichever serves.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub version_names: BTreeMap<String, String>,
    /// What versions are called at their endpoint; a call then asks for that version there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub upstream_versions: BTreeMap<String, String>,
    /// How far automation may go: observe, advise or enforce.
    #[schemars(with = "ModeWord")]
    pub mode: Mode,
    /// Requests a key may make per minute.
    pub requests_per_minute: u32,
    /// Requests a key may make at once before the rate counts.
    pub burst: u32,
    /// Limits on what callers ask for, kept together by all replicas.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// What exchanges cost, by the model's name; `default` is every other's. Limits on cost count by it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, Price>,
    /// Tokens a reply is taken to have before it is there, when the request sets no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_tokens: Option<u64>,
    /// What happens to a request while `limits` cannot be counted; refuse when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OnFailureWord>")]
    pub limits_on_failure: Option<OnFailure>,
    /// What happens to a request when the upstream cannot be reached, breaks off or is too slow; refuse when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OnFailureWord>")]
    pub upstream_on_failure: Option<OnFailure>,
    /// What happens to a request when what is done cannot be recorded, as on a full disk; pass-and-flag when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OnFailureWord>")]
    pub record_on_failure: Option<OnFailure>,
    /// What happens to a request while guards of other replicas are out of reach, and only a part of what callers do is
    /// seen here, or while the database that replicas share is; pass-and-flag when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OnFailureWord>")]
    pub replicas_on_failure: Option<OnFailure>,
    /// Largest request body, in bytes.
    pub max_body: usize,
    /// How long the upstream may take, in milliseconds.
    pub timeout_ms: u64,
    /// What happens to a request when a detector itself fails; the class of impact decides when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OnFailureWord>")]
    pub on_failure: Option<OnFailure>,
    /// Rules that have a mode of their own (observe, advise or enforce), or lead to other actions than the built-in ones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, rules::Rule>,
    /// Rules that confirmed attacks yielded (`mantlet attack run --keep`): files, or folders of them, relative to this
    /// document. They refuse what matches them, in the mode of `pinned-attack`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<PathBuf>,
    /// Judges of text behind endpoints, asked window by window.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<text::Judge>,
    /// Callers that must prove again who they are before they are let through.
    #[serde(skip_serializing_if = "StepUp::is_default")]
    pub step_up: StepUp,
    /// Requests that already happened may be recorded with their features: true keeps them for analysis.
    pub record_features: bool,
    /// What the upstream speaks: `tensors` (the Open Inference Protocol), `text` (the calls of OpenAI, Anthropic and
    /// MCP), `tf-serving`, `mlflow`, `seldon`, `kserve-v1`, or `json` of one's own shape.
    #[serde(skip_serializing_if = "transport::Speaks::is_default")]
    pub speaks: transport::Speaks,
    /// What stands before the path of a call, but for `tensors`; empty for nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Where the values stand in a message of one's own shape, for `speaks = "json"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<transport::Json>,
    /// What text rules look for besides what they know.
    #[serde(skip_serializing_if = "text::Text::is_default")]
    pub text: text::Text,
    /// Bytes of the texts of one message that text rules look at; more is too much at once, and each rule's `on_failure`
    /// decides. 4 MiB when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_bytes: Option<usize>,
    /// Microseconds that text rules may take over one message, looked at after each of its texts; longer is out of
    /// time, and each rule's `on_failure` decides. 2,000,000 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_micros: Option<u64>,
    /// Values in the tensors of one request that rules look at; more is too much at once, and each rule's `on_failure`
    /// decides. 4,194,304 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor_values: Option<usize>,
    /// Microseconds that rules may take over the tensors of one request; longer is out of time, and each rule's
    /// `on_failure` decides. 2,000,000 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor_micros: Option<u64>,
    /// Whether requests and replies are read and looked at; without it identity, limits, controls and the record
    /// remain.
    #[serde(skip_serializing_if = "transport::is_yes")]
    pub inspect: bool,
    /// Whether connections may become WebSockets, which nobody can look at; for what is not `tensors`.
    #[serde(skip_serializing_if = "transport::is_no")]
    pub websocket: bool,
    /// Bounds of those connections.
    #[serde(skip_serializing_if = "transport::Websockets::is_default")]
    pub websockets: transport::Websockets,
    /// Whether callers without a key are served too, all of them as one caller named `anonymous`.
    #[serde(skip_serializing_if = "transport::is_no")]
    pub anonymous: bool,
    /// Whether what comes in are copies of traffic that goes elsewhere (nginx `mirror`): looked at, recorded, answered
    /// with nothing.
    #[serde(skip_serializing_if = "transport::is_no")]
    pub tap: bool,
    /// TLS for clients; without it the connection is plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<transport::Tls>,
    /// Client certificates that stand for a caller, by the first URI or DNS name in them, and the models each may
    /// ask; an empty list means every model.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<String, Vec<String>>,
    /// The OpenID Connect provider whose tokens stand for a caller, beside keys and certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<transport::Oidc>,
    /// The OpenTelemetry collector that traces and metrics go to, beside `/metrics`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<transport::Otlp>,
    /// How the upstream is called.
    #[serde(skip_serializing_if = "transport::Calls::is_default")]
    pub calls: transport::Calls,
    /// Further endpoints behind this gateway.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8480".into(),
            upstream: "built-in".into(),
            versions: BTreeMap::new(),
            weights: BTreeMap::new(),
            fallback: None,
            grpc: None,
            grpc_versions: BTreeMap::new(),
            version_names: BTreeMap::new(),
            upstream_versions: BTreeMap::new(),
            mode: Mode::Observe,
            requests_per_minute: 6_000,
            burst: 200,
            limits: Vec::new(),
            prices: BTreeMap::new(),
            reply_tokens: None,
            limits_on_failure: None,
            upstream_on_failure: None,
            record_on_failure: None,
            replicas_on_failure: None,
            max_body: 8 << 20,
            timeout_ms: 30_000,
            on_failure: None,
            rules: BTreeMap::new(),
            pinned: Vec::new(),
            judges: Vec::new(),
            step_up: StepUp::default(),
            record_features: true,
            speaks: transport::Speaks::Tensors,
            prefix: String::new(),
            json: None,
            text: text::Text::default(),
            text_bytes: None,
            text_micros: None,
            tensor_values: None,
            tensor_micros: None,
            inspect: true,
            websocket: false,
            websockets: transport::Websockets::default(),
            anonymous: false,
            tap: false,
            tls: None,
            certificates: BTreeMap::new(),
            oidc: None,
            otlp: None,
            calls: transport::Calls::default(),
            routes: Vec::new(),
        }
    }
}

/// The console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Console {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: String,
}

impl Default for Console {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8481".into() }
    }
}

/// Deliveries.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// Address that receives each incident as signed JSON by POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// File with the secret that signs webhook deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret_file: Option<PathBuf>,
    /// Mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp: Option<Smtp>,
}

/// Delivery by mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Server and port.
    pub server: String,
    /// Sender address.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// User name, when the server wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// File with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// `starttls` (the default), `tls`, or `plain` (loopback only).
    #[serde(default = "default_smtp_security")]
    pub security: SmtpSecurity,
}

/// How the mail connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    Starttls,
    Tls,
    Plain,
}

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Folder for the database, history, audit log and keys, relative to this document.
    pub dir: PathBuf,
}

impl Default for Storage {
    fn default() -> Self {
        Self { dir: PathBuf::from(".mantlet") }
    }
}

fn default_model_name() -> String {
    "model".into()
}

fn default_version() -> String {
    "v1".into()
}

fn default_smtp_security() -> SmtpSecurity {
    SmtpSecurity::Starttls
}

macro_rules! schema_words {
    ($($(#[$meta:meta])* $name:ident { $($variant:ident),+ } $case:literal),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(JsonSchema)]
        #[schemars(rename_all = $case)]
        #[expect(dead_code, reason = "only its schema is used: the value type lives in the vocabulary")]
        enum $name { $($variant),+ }
    )+};
}

schema_words! {
    ImpactWord { Low, Medium, High, Critical } "lowercase",
    SeverityWord { Note, Suspicious, Malicious } "lowercase",
    ModeWord { Observe, Advise, Enforce } "lowercase",
    OnFailureWord { Refuse, Divert, PassAndFlag } "kebab-case",
}

/// A configuration and the folder its relative paths start from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the document says.
    pub config: Config,
    /// The folder of the document.
    pub root: PathBuf,
    /// The document's path.
    pub file: PathBuf,
    /// The installation and its further route that this system stands behind; `None` for an installation's own.
    pub behind: Option<Behind>,
}

impl Loaded {
    /// A path of the document, from the working folder.
    #[must_use]
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.root.join(relative)
    }

    /// The folder that holds the state.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.path(&self.config.storage.dir)
    }
}

/// Reads the configuration of a folder, or the named document.
///
/// # Errors
/// When there is none, or it is not valid; the error names file, line and remedy.
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
    let text = std::fs::read_to_string(&file)
        .map_err(|source| ConfigError::Unreadable { file: file.clone(), source })?;
    let config = strict::parse(&file, &text)?;
    let root = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(Loaded { config, root, file, behind: None })
}

impl Loaded {
    /// This configuration with what a pushed document says; addresses, storage and shared services stay this
    /// machine's own.
    ///
    /// # Errors
    /// When the document is not valid.
    pub fn pushed(&self, text: &str) -> Result<Self, ConfigError> {
        let mut config = strict::parse(&self.file, text)?;
        config.storage.clone_from(&self.config.storage);
        config.shared.clone_from(&self.config.shared);
        config.gateway.listen.clone_from(&self.config.gateway.listen);
        config.console.clone_from(&self.config.console);
        config.model.path.clone_from(&self.config.model.path);
        Ok(Self { config, ..self.clone() })
    }
}

/// The JSON Schema (2020-12) of the document.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

#[cfg(test)]
mod tests;
