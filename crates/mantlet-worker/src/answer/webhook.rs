//! Delivery by webhook: a JSON document, signed as <https://www.standardwebhooks.com> says.
//!
//! `webhook-signature: v1,<Base64 of HMAC-SHA256 over "id.timestamp.body">`, so that receivers can use an
//! existing library. Redirects are not followed: a signed document goes where it was addressed to, or nowhere.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sha2::Sha256;

use super::config::{ConfigError, Secret, WebhookConfig, origin};
use super::deliver::Fault;
use super::notice::Notice;

/// Shortest key that is accepted.
const KEY_BYTES: usize = 16;

/// A webhook, ready to be called.
#[derive(Clone)]
pub(super) struct Webhook {
    uri: http::Uri,
    key: Vec<u8>,
    origin: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Webhook {
    pub(super) fn new(config: &WebhookConfig) -> Result<Self, ConfigError> {
        let uri = config.uri()?;
        let key = key_of(&config.secret).ok_or(ConfigError::WebhookUrl)?;
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { uri, key, origin: origin(&config.url), client })
    }

    /// Where it goes, without path and query.
    pub(super) fn label(&self) -> String {
        format!("webhook {}", self.origin)
    }

    /// One attempt. `seconds` is the time that is signed.
    pub(super) async fn deliver(
        &self,
        notice: &Notice,
        seconds: u64,
        timeout: Duration,
    ) -> Result<(), Fault> {
        self.post(&notice.id, &notice.document, seconds, timeout).await
    }

    async fn post(
        &self,
        id: &str,
        document: &serde_json::Value,
        seconds: u64,
        timeout: Duration,
    ) -> Result<(), Fault> {
        let body = document.to_string();
        let request = http::Request::post(&self.uri)
            .header("content-type", "application/json")
            .header("user-agent", "mantlet")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", sign(&self.key, id, seconds, body.as_bytes()))
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Fault::lasting("the request could not be made"))?;
        // Neither the address nor what the other side says is repeated: both may hold secrets.
        let reply = match tokio::time::timeout(timeout, self.client.request(request)).await {
            Err(_) => return Err(Fault::passing("no answer in time")),
            Ok(Err(error)) if error.is_connect() => return Err(Fault::passing("cannot connect")),
            Ok(Err(_)) => return Err(Fault::passing("the connection broke")),
            Ok(Ok(reply)) => reply,
        };
        let status = reply.status();
        match status.as_u16() {
            200..=299 => Ok(()),
            300..=399 => {
                Err(Fault::lasting(format!("answered {}; redirects are not followed", status.as_u16())))
            }
            408 | 425 | 429 | 500..=599 => Err(Fault::passing(format!("answered {}", status.as_u16()))),
            code => Err(Fault::lasting(format!("answered {code}"))),
        }
    }
}

/// A webhook that documents of one's own are sent to, signed as notices of incidents are.
#[derive(Clone)]
pub struct Hook(Webhook);

impl Hook {
    /// A webhook of this configuration.
    ///
    /// # Errors
    /// When its address or secret cannot be used.
    pub fn new(config: &WebhookConfig) -> Result<Self, ConfigError> {
        Webhook::new(config).map(Self)
    }

    /// One attempt. `id` is the same at each, `seconds` is the time that is signed.
    ///
    /// # Errors
    /// Why it was not taken, and whether to try again is of use.
    pub async fn send(
        &self,
        id: &str,
        document: &serde_json::Value,
        seconds: u64,
        timeout: Duration,
    ) -> Result<(), (String, bool)> {
        let sent = self.0.post(id, document, seconds, timeout).await;
        sent.map_err(Fault::told)
    }
}

/// The key a secret stands for: Base64 after `whsec_`, else its bytes; `None` when it is too short.
pub(super) fn key_of(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose();
    let key = match text.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).ok()?,
        None => text.as_bytes().to_vec(),
    };
    (key.len() >= KEY_BYTES).then_some(key)
}

/// The `webhook-signature` of a document.
#[must_use]
pub fn sign(key: &[u8], id: &str, seconds: u64, body: &[u8]) -> String {
    format!("v1,{}", STANDARD.encode(mac(key, id, seconds, body).finalize().into_bytes()))
}

/// Whether a `webhook-signature` header holds a signature of this document, in constant time. Receivers also
/// check that `seconds` is recent.
#[must_use]
pub fn verify(key: &[u8], id: &str, seconds: u64, body: &[u8], header: &str) -> bool {
    header.split(' ').filter_map(|part| part.strip_prefix("v1,")).any(|encoded| {
        STANDARD.decode(encoded).is_ok_and(|given| mac(key, id, seconds, body).verify_slice(&given).is_ok())
    })
}

fn mac(key: &[u8], id: &str, seconds: u64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    mac
}
