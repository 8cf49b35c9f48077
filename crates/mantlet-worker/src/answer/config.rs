//! What the answering loop is told: systems, playbook, and whom to tell.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mantlet_respond::Playbook;
use mantlet_vocab::{Impact, Mode};
use serde::{Deserialize, Serialize, Serializer};

/// The answering loop's configuration. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerConfig {
    /// Impact class and mode by system.
    pub systems: BTreeMap<String, SystemRule>,
    /// For systems that are not named.
    pub otherwise: SystemRule,
    /// Limits and durations of the answers.
    pub playbook: Playbook,
    /// Whom to tell, and how often.
    pub notify: NotifyConfig,
}

impl Default for AnswerConfig {
    fn default() -> Self {
        Self {
            systems: BTreeMap::new(),
            otherwise: SystemRule { impact: Impact::Medium, mode: Mode::Observe },
            playbook: Playbook::default(),
            notify: NotifyConfig::default(),
        }
    }
}

impl AnswerConfig {
    /// The rule of a system.
    #[must_use]
    pub fn system(&self, name: &str) -> SystemRule {
        self.systems.get(name).copied().unwrap_or(self.otherwise)
    }

    /// Checks everything that can be checked without contacting anybody.
    ///
    /// # Errors
    /// The first thing that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.notify.webhooks.iter().try_for_each(|webhook| webhook.uri().map(|_| ()))?;
        self.notify.mails.iter().try_for_each(MailConfig::check)
    }
}

/// What matters of a system here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemRule {
    /// How much harm its decisions can do.
    pub impact: Impact,
    /// How far automation may go.
    pub mode: Mode,
}

/// Whom to tell, and how often. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyConfig {
    /// Addresses that get a signed JSON document.
    pub webhooks: Vec<WebhookConfig>,
    /// Mail servers and recipients.
    pub mails: Vec<MailConfig>,
    /// The same news about the same caller is told again only after this, in milliseconds.
    pub cooldown_ms: u64,
    /// At most this many notices an hour; critical ones always pass.
    pub most_an_hour: usize,
    /// Attempts at a delivery.
    pub attempts: u32,
    /// Pause after the first failed attempt, in milliseconds; doubled after each.
    pub backoff_ms: u64,
    /// Longest time for one attempt, in milliseconds.
    pub timeout_ms: u64,
    /// Address of the console, for links.
    pub console: Option<String>,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            webhooks: Vec::new(),
            mails: Vec::new(),
            cooldown_ms: 15 * 60_000,
            most_an_hour: 30,
            attempts: 5,
            backoff_ms: 500,
            timeout_ms: 10_000,
            console: None,
        }
    }
}

/// A text that never appears in logs, errors or printed configuration.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text to itself.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

/// An address that gets a signed JSON document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// `https://...`, or `http://...` inside a network you trust. Path and query are kept out of logs.
    #[serde(serialize_with = "without_path")]
    pub url: String,
    /// The key of the signature; `whsec_` and Base64, or any text of at least 16 bytes.
    pub secret: Secret,
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first byte (port 465).
    Tls,
    /// STARTTLS, required (port 587).
    Starttls,
    /// No encryption; only to this machine itself.
    Plain,
}

/// A mail server and recipients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// The server's name.
    pub host: String,
    /// Its port; 465, 587 or 25 by `security`.
    #[serde(default)]
    pub port: Option<u16>,
    /// How it is spoken to.
    pub security: Security,
    /// The user, when it asks for one.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
}

/// Why nobody can be told this way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not an address.
    #[error("webhook url is not an http or https address with a host; write it as https://host/path")]
    WebhookUrl,
    /// A key that can be guessed.
    #[error("webhook secret for {host} is too short; use at least 16 bytes, or `whsec_` and Base64")]
    WebhookSecret {
        /// The webhook's host.
        host: String,
    },
    /// No encryption to another machine.
    #[error("mail server {host} is not this machine; set security to `starttls` or `tls`")]
    PlainMail {
        /// The server.
        host: String,
    },
    /// Not a mail address.
    #[error("`{address}` is not a mail address; write it as name@example.org")]
    Address {
        /// The text.
        address: String,
    },
    /// Nobody to write to.
    #[error("mail server {host} has no recipients; name at least one in `to`")]
    NoRecipient {
        /// The server.
        host: String,
    },
    /// A user without password, or the other way round.
    #[error("mail server {host} has only one of `user` and `password`; give both or none")]
    Credentials {
        /// The server.
        host: String,
    },
    /// TLS could not be set up for this name.
    #[error("cannot speak TLS to mail server {host}; check the name")]
    MailTls {
        /// The server.
        host: String,
    },
}

impl MailConfig {
    /// The port in use.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            Security::Tls => 465,
            Security::Starttls => 587,
            Security::Plain => 25,
        })
    }

    fn check(&self) -> Result<(), ConfigError> {
        super::mail::Mailer::new(self).map(|_| ())
    }

    /// Whether the server is this machine, by its literal address or `localhost`.
    pub(super) fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl WebhookConfig {
    /// The address, when it is one and the key is long enough.
    pub(super) fn uri(&self) -> Result<http::Uri, ConfigError> {
        let uri: http::Uri = self.url.parse().map_err(|_| ConfigError::WebhookUrl)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(ConfigError::WebhookUrl)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(ConfigError::WebhookUrl);
        }
        match super::webhook::key_of(&self.secret) {
            Some(_) => Ok(uri),
            None => Err(ConfigError::WebhookSecret { host: host.to_owned() }),
        }
    }
}

/// Scheme, host and port of an address; what stands behind may be a token.
pub(super) fn origin(url: &str) -> String {
    let uri: Option<http::Uri> = url.parse().ok();
    match uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.host()?, uri.port_u16()))) {
        Some((scheme, host, Some(port))) => format!("{scheme}://{host}:{port}"),
        Some((scheme, host, None)) => format!("{scheme}://{host}"),
        None => "(not an address)".to_owned(),
    }
}

fn without_path<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&origin(url))
}
