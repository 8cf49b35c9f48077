//! TLS of the listener and of calls to upstreams, by rustls on ring.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};

use crate::GatewayError;

/// TLS of the listener. Certificates are read again at every reload, so renewing one needs no restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with the authorities whose client certificates are accepted; without it none are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authorities: Option<PathBuf>,
    /// Whether a connection without a client certificate is refused.
    #[serde(default)]
    pub client_required: bool,
}

/// TLS of calls to upstreams.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// PEM file with the authorities that upstreams are trusted by; without it the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// PEM file with the client certificate shown to upstreams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

fn fault(file: &Path, why: &dyn std::fmt::Display) -> GatewayError {
    GatewayError::Tls { file: file.to_owned(), why: why.to_string() }
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, GatewayError> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| fault(file, &error))?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(|error| fault(file, &error))?;
    if certificates.is_empty() {
        return Err(fault(file, &"it holds no certificate"));
    }
    Ok(certificates)
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, GatewayError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| fault(file, &error))
}

fn roots(file: &Path) -> Result<RootCertStore, GatewayError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(file)? {
        roots.add(certificate).map_err(|error| fault(file, &error))?;
    }
    Ok(roots)
}

impl Tls {
    /// The listener's side of TLS: 1.2 and 1.3, HTTP/2 preferred.
    pub(crate) fn server(&self) -> Result<Arc<ServerConfig>, GatewayError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(&self.certificate, &error))?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(file)?), provider);
                let verifier = if self.client_required { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| fault(file, &error))?)
            }
        };
        let mut server = builder
            .with_single_cert(chain(&self.certificate)?, key(&self.key)?)
            .map_err(|error| fault(&self.key, &error))?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }
}

impl UpstreamTls {
    /// The calling side of TLS.
    pub(crate) fn client(&self) -> Result<ClientConfig, GatewayError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let named = self.authorities.as_deref().unwrap_or(Path::new("authorities"));
        let roots = match &self.authorities {
            Some(file) => roots(file)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(named, &error))?
            .with_root_certificates(roots);
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(file)) => builder
                .with_client_auth_cert(chain(certificate)?, key(file)?)
                .map_err(|error| fault(file, &error)),
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(file), None) | (None, Some(file)) => {
                Err(fault(file, &"a client certificate needs both `certificate` and `key`"))
            }
        }
    }
}

/// The name a verified client certificate is known by: its first URI (a SPIFFE id), else its first DNS name.
pub(crate) fn client_name(certificates: &[CertificateDer<'_>]) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificates.first()?).ok()?;
    let name = certificate.valid_uri_names().next().or_else(|| certificate.valid_dns_names().next());
    name.map(str::to_owned)
}
