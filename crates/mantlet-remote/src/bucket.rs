//! Buckets of S3, Google Cloud Storage and Azure Blob Storage, through `object_store` over this crate's own client.

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig,
};
use tokio::runtime::Handle;

use crate::address::{Address, Cloud, listable, local_host};
use crate::blocks::{Reach, RemoteSource};
use crate::http::{Http, chain};
use crate::{Environment, Listing, Object, Reachable, RemoteError};

/// An object of a bucket, or the bucket.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    /// Why the credentials of the environment are not sent.
    held_back: Option<String>,
}

impl Place {
    /// The bucket, with the credentials of the environment; without any, unsigned. No service of the machine is asked
    /// for credentials.
    pub(crate) fn new(
        http: &Http,
        address: &Address,
        environment: Environment<'_>,
    ) -> Result<Self, RemoteError> {
        let Address::Bucket { cloud, bucket, path } = address else {
            return Err(RemoteError::Environment { variable: "address", why: "it names no bucket".into() });
        };
        let said = |name: &str| environment(name).filter(|value| !value.is_empty());
        let mut held_back = None;
        let (variable, store) = match cloud {
            Cloud::Google => ("GOOGLE_APPLICATION_CREDENTIALS", google(http, bucket, &said)?),
            Cloud::Amazon => ("AWS_*", amazon(http, bucket, &said)?),
            Cloud::Azure(account) => (AZURE, azure(http, bucket, account.as_deref(), &said, &mut held_back)?),
        };
        let path =
            Path::parse(path).map_err(|error| RemoteError::Environment { variable, why: chain(&error) })?;
        Ok(Self { store, path, held_back })
    }

    /// Another path of the same bucket.
    pub(crate) fn at(&self, path: Path) -> Self {
        Self { store: Arc::clone(&self.store), path, held_back: self.held_back.clone() }
    }

    /// A path of a store that is there already.
    #[cfg(test)]
    pub(crate) fn of(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path, held_back: None }
    }

    /// What went wrong, and that no credentials were sent.
    fn lost(&self, error: &object_store::Error) -> String {
        let note = self.held_back.as_ref().map_or(String::new(), |note| format!("; {note}"));
        chain(error) + &note
    }
}

/// Variables of the environment that are not empty.
type Said<'a> = &'a dyn Fn(&str) -> Option<String>;

const AZURE: &str = "AZURE_STORAGE_*";

fn patience() -> RetryConfig {
    RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() }
}

fn google(http: &Http, bucket: &str, said: Said<'_>) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let wrong = |why: String| RemoteError::Environment { variable: "GOOGLE_APPLICATION_CREDENTIALS", why };
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_retry(patience())
        .with_http_connector(Through(http.clone()));
    builder = match (said("GOOGLE_APPLICATION_CREDENTIALS"), said("GOOGLE_ACCESS_TOKEN")) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| wrong(format!("the file cannot be read: {error}")))?;
            if !text.contains("\"service_account\"") {
                return Err(wrong("the key of a service account is needed, or GOOGLE_ACCESS_TOKEN".into()));
            }
            builder.with_service_account_key(text)
        }
        (None, Some(token)) => builder.with_bearer_token(token),
        (None, None) => builder.with_skip_signature(true),
    };
    if let Some(host) = said("STORAGE_EMULATOR_HOST") {
        let url = if host.contains("://") { host } else { format!("http://{host}") };
        builder = builder
            .with_base_url(&url)
            .with_client_options(ClientOptions::new().with_allow_http(clear(&url, "STORAGE_EMULATOR_HOST")?));
    }
    Ok(Arc::new(builder.build().map_err(|error| wrong(chain(&error)))?))
}

fn amazon(http: &Http, bucket: &str, said: Said<'_>) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let wrong = |why: String| RemoteError::Environment { variable: "AWS_*", why };
    let region = said("AWS_REGION").or_else(|| said("AWS_DEFAULT_REGION"));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region.unwrap_or_else(|| "us-east-1".to_owned()))
        .with_retry(patience())
        .with_http_connector(Through(http.clone()));
    builder = match (said("AWS_ACCESS_KEY_ID"), said("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => builder.with_access_key_id(id).with_secret_access_key(secret),
        (None, None) => builder.with_skip_signature(true),
        _ => return Err(wrong("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together".into())),
    };
    if let Some(token) = said("AWS_SESSION_TOKEN") {
        builder = builder.with_token(token);
    }
    if let Some(url) = said("AWS_ENDPOINT_URL_S3").or_else(|| said("AWS_ENDPOINT_URL")) {
        builder = builder.with_allow_http(clear(&url, "AWS_ENDPOINT_URL")?).with_endpoint(url);
    }
    Ok(Arc::new(builder.build().map_err(|error| wrong(chain(&error)))?))
}

/// The credentials are for the account of the environment; an address may name any other.
fn azure(
    http: &Http,
    container: &str,
    named: Option<&str>,
    said: Said<'_>,
    held_back: &mut Option<String>,
) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let wrong = |why: String| RemoteError::Environment { variable: AZURE, why };
    let either = |one: &str, other: &str| said(one).or_else(|| said(other));
    let theirs = either("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME");
    let account = named.map(str::to_owned).or_else(|| theirs.clone()).ok_or_else(|| {
        wrong(
            "which account it is: set AZURE_STORAGE_ACCOUNT, or name it as \
             abfss://container@account.dfs.core.windows.net/path"
                .into(),
        )
    })?;
    if !account.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err(wrong("an account's name has small letters and digits only".into()));
    }
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(&account)
        .with_container_name(container)
        .with_retry(patience())
        .with_http_connector(Through(http.clone()));
    let key = either("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY");
    let (pass, token) = (said("AZURE_STORAGE_SAS_TOKEN"), said("AZURE_STORAGE_TOKEN"));
    let same = theirs.as_deref() == Some(account.as_str());
    builder = match (key, pass, token) {
        (None, None, None) => builder.with_skip_signature(true),
        _ if !same => {
            let but = if theirs.is_some() { "names another account" } else { "is not set" };
            *held_back = Some(format!(
                "{account} is sent no credentials: they are for AZURE_STORAGE_ACCOUNT, which {but}"
            ));
            builder.with_skip_signature(true)
        }
        (Some(key), ..) => builder.with_access_key(key),
        (None, Some(pass), _) => builder.with_config(AzureConfigKey::SasKey, pass),
        (None, None, Some(token)) => builder.with_bearer_token_authorization(token),
    };
    if let Some(url) = said("AZURE_STORAGE_ENDPOINT") {
        // Of the account that the environment names, so nobody else's address is led there.
        if !same {
            return Err(RemoteError::Environment {
                variable: "AZURE_STORAGE_ENDPOINT",
                why: format!("it is for AZURE_STORAGE_ACCOUNT, which is not {account}"),
            });
        }
        builder = builder.with_allow_http(clear(&url, "AZURE_STORAGE_ENDPOINT")?).with_endpoint(url);
    }
    Ok(Arc::new(builder.build().map_err(|error| wrong(chain(&error)))?))
}

/// Whether plain http is fine: to this machine only.
fn clear(url: &str, variable: &'static str) -> Result<bool, RemoteError> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or("");
    match url.starts_with("http://") {
        false => Ok(false),
        true if local_host(host) => Ok(true),
        true => Err(RemoteError::Environment {
            variable,
            why: "plain http is spoken with this machine only: use https".into(),
        }),
    }
}

pub(crate) async fn list(http: &Http, place: &Place, address: &Address) -> Result<Listing, String> {
    let Address::Bucket { cloud, bucket, path } = address else { return Ok(Listing::default()) };
    let shown = cloud.shown(bucket);
    let object = |location: Path, below: String| Object {
        name: format!("{shown}/{location}"),
        path: below,
        promised: None,
        pinned: false,
        reach: Reachable::Bucket(place.at(location)),
    };
    let mut listing =
        Listing { notes: place.held_back.iter().cloned().collect(), ..Listing::new(&http.limits) };
    // An address that does not end like a folder may be an object.
    if !path.is_empty() && !path.ends_with('/') {
        match place.store.head(&place.path).await {
            Ok(_) => {
                listing.objects.push(object(place.path.clone(), String::new()));
                return Ok(listing);
            }
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(place.lost(&error)),
        }
    }
    let mut found = place.store.list(Some(&place.path));
    while let Some(meta) = found.next().await {
        let meta: ObjectMeta = meta.map_err(|error| place.lost(&error))?;
        if listing.objects.len() == http.limits.objects {
            listing.gap(&shown, "it has more objects than are listed", "name longer prefixes");
            break;
        }
        if !listable(meta.location.as_ref()) {
            if listing.gaps.len() > http.limits.objects {
                break;
            }
            listing.gap(
                &shown,
                "an object's name is too long or holds control characters",
                "look at it yourself",
            );
            continue;
        }
        let below =
            meta.location.as_ref().strip_prefix(place.path.as_ref()).unwrap_or("").trim_start_matches('/');
        let below = below.to_owned();
        listing.objects.push(object(meta.location, below));
    }
    if listing.objects.is_empty() && listing.gaps.is_empty() {
        return Err("there is nothing under that name".into());
    }
    Ok(listing)
}

pub(crate) fn open(http: &Http, runtime: &Handle, place: &Place) -> Result<RemoteSource, String> {
    let meta = runtime.block_on(place.store.head(&place.path)).map_err(|error| place.lost(&error))?;
    let len = meta.size;
    let reach = Stored { place: place.clone(), runtime: runtime.clone(), meta };
    Ok(RemoteSource::new(Box::new(reach), len, None, &http.limits))
}

/// A small object, whole: no longer than a document may be, which the client sees to.
pub(crate) async fn whole(place: &Place) -> Result<Bytes, String> {
    let result = place.store.get(&place.path).await.map_err(|error| place.lost(&error))?;
    result.bytes().await.map_err(|error| place.lost(&error))
}

struct Stored {
    place: Place,
    runtime: Handle,
    meta: ObjectMeta,
}

impl Stored {
    async fn ask(&self, start: u64, end: u64) -> Result<Bytes, String> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(start..end)),
            if_match: self.meta.e_tag.clone(),
            version: self.meta.version.clone(),
            ..GetOptions::default()
        };
        let changed = || "it changed while it was read".to_owned();
        let result = match self.place.store.get_opts(&self.place.path, options).await {
            Ok(result) => result,
            Err(object_store::Error::Precondition { .. }) => return Err(changed()),
            Err(error) => return Err(chain(&error)),
        };
        if result.meta.e_tag != self.meta.e_tag || result.meta.size != self.meta.size {
            return Err(changed());
        }
        if result.range != (start..end) {
            return Err("the server answers with other bytes than were asked for".into());
        }
        result.bytes().await.map_err(|error| chain(&error))
    }
}

impl Reach for Stored {
    fn range(&self, start: u64, end: u64) -> Result<Bytes, String> {
        self.runtime.block_on(self.ask(start, end))
    }
}

/// Lets `object_store` speak through this crate's client, which is bounded and knows one TLS library.
#[derive(Debug, Clone)]
struct Through(Http);

impl HttpConnector for Through {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Trouble(String);

#[async_trait]
impl HttpService for Through {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        // What is put comes in pieces.
        let body = body.collect().await?.to_bytes();
        let failed = |why: String| HttpError::new(HttpErrorKind::Unknown, Trouble(why));
        let answer = self.0.plain(parts.method, parts.uri, parts.headers, body).await;
        let (status, headers, body): (_, HeaderMap, Bytes) = answer.map_err(failed)?;
        let mut response = HttpResponse::new(HttpResponseBody::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
