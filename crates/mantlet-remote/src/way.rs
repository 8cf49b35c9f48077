//! The way out: certificates that are trusted, and a proxy when the user names one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::{Environment, RemoteError};

/// What stands between this machine and the servers that an address names. Nothing, unless the user says so.
#[derive(Clone, Default)]
pub struct Outward {
    roots: Vec<CertificateDer<'static>>,
    proxy: Option<Arc<Matcher>>,
}

impl std::fmt::Debug for Outward {
    /// The address of a proxy may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outward").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

impl Outward {
    /// The proxy of `HTTPS_PROXY` (or `https_proxy`), but for the hosts of `NO_PROXY`. It is asked for tunnels
    /// (`CONNECT`) over plain http, so it sees names and ports and nothing else. What is spoken over plain http stays
    /// on this machine and goes past it.
    ///
    /// # Errors
    /// When the variable names something else than such a proxy.
    pub fn from_environment(environment: Environment<'_>) -> Result<Self, RemoteError> {
        let said =
            |names: [&str; 2]| names.into_iter().find_map(environment).filter(|value| !value.is_empty());
        let Some(proxy) = said(["HTTPS_PROXY", "https_proxy"]) else { return Ok(Self::default()) };
        let matcher = Matcher::builder()
            .https(proxy.as_str())
            .no(said(["NO_PROXY", "no_proxy"]).unwrap_or_default())
            .build();
        // Asked about a name that no list of exceptions holds.
        let taken = matcher.intercept(&Uri::from_static("https://0.invalid"));
        let plain = taken.as_ref().is_some_and(|proxy| proxy.uri().scheme_str() == Some("http"));
        if !plain && said(["NO_PROXY", "no_proxy"]).as_deref() != Some("*") {
            return Err(RemoteError::Environment {
                variable: "HTTPS_PROXY",
                why: "it must be a proxy spoken to over plain http, such as http://proxy.example:3128".into(),
            });
        }
        Ok(Self { proxy: Some(Arc::new(matcher)), ..Self::default() })
    }

    /// Trusts these authorities as well as those that come with the program: certificates in PEM.
    ///
    /// # Errors
    /// When there is none, or one that is none.
    pub fn trust(mut self, pem: &[u8]) -> Result<Self, String> {
        let before = self.roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| format!("a certificate is malformed: {error}"))?;
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|error| format!("a certificate cannot be an authority: {error}"))?;
            self.roots.push(certificate);
        }
        if self.roots.len() == before {
            return Err("it holds no certificate: it must be in PEM, BEGIN CERTIFICATE and so on".into());
        }
        Ok(self)
    }

    /// How TLS is spoken.
    pub(crate) fn tls(&self) -> Result<ClientConfig, rustls::Error> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in &self.roots {
            roots.add(certificate.clone())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(versions.with_root_certificates(roots).with_no_client_auth())
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Connects to a server, or to the proxy in front of it.
#[derive(Debug, Clone)]
pub(crate) struct Way<R> {
    direct: HttpConnector<R>,
    /// To the proxy, which may stand anywhere: the user named it.
    proxied: HttpConnector<GaiResolver>,
    proxy: Option<Arc<Matcher>>,
}

impl<R> Way<R> {
    pub(crate) fn new(
        direct: HttpConnector<R>,
        proxied: HttpConnector<GaiResolver>,
        outward: &Outward,
    ) -> Self {
        Self { direct, proxied, proxy: outward.proxy.clone() }
    }
}

impl<R> Service<Uri> for Way<R>
where
    HttpConnector<R>: Service<Uri, Response = TokioIo<TcpStream>>,
    <HttpConnector<R> as Service<Uri>>::Future: Send + 'static,
    <HttpConnector<R> as Service<Uri>>::Error: Into<Failure>,
{
    type Response = TokioIo<TcpStream>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Some(proxy) = self.proxy.as_ref().and_then(|proxy| proxy.intercept(&uri)) else {
            let direct = self.direct.call(uri);
            return Box::pin(async move { direct.await.map_err(Into::into) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.proxied.clone());
        if let Some(secret) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(secret.clone());
        }
        let connecting = tunnel.call(uri);
        Box::pin(async move {
            connecting.await.map_err(|error| format!("the proxy of HTTPS_PROXY: {error}").into())
        })
    }
}
