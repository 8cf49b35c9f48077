//! Buckets of S3 and Google Cloud Storage, through `object_store` over this crate's own client.

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use object_store::aws::AmazonS3Builder;
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

use crate::address::{Address, listable, local_host};
use crate::blocks::{Reach, RemoteSource};
use crate::http::{Http, chain};
use crate::{Environment, Listing, Object, Reachable, RemoteError};

/// An object of a bucket, or the bucket.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
}

impl Place {
    /// The bucket, with the credentials of the environment; without any, unsigned. No service of the machine is asked
    /// for credentials.
    pub(crate) fn new(
        http: &Http,
        address: &Address,
        environment: Environment<'_>,
    ) -> Result<Self, RemoteError> {
        let Address::Bucket { google, bucket, path } = address else {
            return Err(RemoteError::Environment { variable: "address", why: "it names no bucket".into() });
        };
        let variable = if *google { "GOOGLE_APPLICATION_CREDENTIALS" } else { "AWS_*" };
        let wrong = |why: String| RemoteError::Environment { variable, why };
        let said = |name: &str| environment(name).filter(|value| !value.is_empty());
        let retry =
            RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() };
        let store: Arc<dyn ObjectStore> = if *google {
            let mut builder = GoogleCloudStorageBuilder::new()
                .with_bucket_name(bucket)
                .with_retry(retry)
                .with_http_connector(Through(http.clone()));
            builder = match (said("GOOGLE_APPLICATION_CREDENTIALS"), said("GOOGLE_ACCESS_TOKEN")) {
                (Some(file), _) => {
                    let text = std::fs::read_to_string(file)
                        .map_err(|error| wrong(format!("the file cannot be read: {error}")))?;
                    if !text.contains("\"service_account\"") {
                        return Err(wrong(
                            "the key of a service account is needed, or GOOGLE_ACCESS_TOKEN".into(),
                        ));
                    }
                    builder.with_service_account_key(text)
                }
                (None, Some(token)) => builder.with_bearer_token(token),
                (None, None) => builder.with_skip_signature(true),
            };
            if let Some(host) = said("STORAGE_EMULATOR_HOST") {
                let url = if host.contains("://") { host } else { format!("http://{host}") };
                builder = builder.with_base_url(&url).with_client_options(
                    ClientOptions::new().with_allow_http(clear(&url, "STORAGE_EMULATOR_HOST")?),
                );
            }
            Arc::new(builder.build().map_err(|error| wrong(chain(&error)))?)
        } else {
            let region = said("AWS_REGION").or_else(|| said("AWS_DEFAULT_REGION"));
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(bucket)
                .with_region(region.unwrap_or_else(|| "us-east-1".to_owned()))
                .with_retry(retry)
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
            Arc::new(builder.build().map_err(|error| wrong(chain(&error)))?)
        };
        let path = Path::parse(path).map_err(|error| wrong(chain(&error)))?;
        Ok(Self { store, path })
    }
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
    let Address::Bucket { google, bucket, path } = address else { return Ok(Listing::default()) };
    let shown = format!("{}://{bucket}", if *google { "gs" } else { "s3" });
    let object = |location: Path, below: String| Object {
        name: format!("{shown}/{location}"),
        path: below,
        digest: None,
        pinned: false,
        reach: Reachable::Bucket(Place { store: Arc::clone(&place.store), path: location }),
    };
    let mut listing = Listing::new(&http.limits);
    // An address that does not end like a folder may be an object.
    if !path.is_empty() && !path.ends_with('/') {
        match place.store.head(&place.path).await {
            Ok(_) => {
                listing.objects.push(object(place.path.clone(), String::new()));
                return Ok(listing);
            }
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(chain(&error)),
        }
    }
    let mut found = place.store.list(Some(&place.path));
    while let Some(meta) = found.next().await {
        let meta: ObjectMeta = meta.map_err(|error| chain(&error))?;
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
    let meta = runtime.block_on(place.store.head(&place.path)).map_err(|error| chain(&error))?;
    let len = meta.size;
    let reach = Stored { place: place.clone(), runtime: runtime.clone(), meta };
    Ok(RemoteSource::new(Box::new(reach), len, None, &http.limits))
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
