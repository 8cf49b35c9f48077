//! TLS to shared services: whom it trusts, and what it shows.

use std::path::{Path, PathBuf};

use async_nats::rustls::pki_types::pem::PemObject as _;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::ReplicasError;

/// Files in PEM. Whether TLS is spoken says the address: `rediss://`, `tls://`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that are trusted, and no others; the machine's own when absent.
    pub authorities: Option<PathBuf>,
    /// The certificate that is shown, and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// A client of Redis.
    pub(crate) fn client(&self, url: &str) -> Result<redis::Client, ReplicasError> {
        let fault = |fault: redis::RedisError| ReplicasError::Address(fault.to_string());
        if !url.starts_with("rediss://") {
            return redis::Client::open(url).map_err(fault);
        }
        self.check()?;
        let certificates = redis::TlsCertificates {
            root_cert: self.authorities.as_deref().map(read).transpose()?,
            client_tls: match &self.identity {
                Some((certificate, key)) => {
                    Some(redis::ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
                }
                None => None,
            },
        };
        redis::Client::build_with_tls(url, certificates).map_err(fault)
    }

    /// The options of a connection to NATS.
    pub(crate) fn nats(
        &self,
        mut options: async_nats::ConnectOptions,
    ) -> Result<async_nats::ConnectOptions, ReplicasError> {
        self.check()?;
        if let Some(authorities) = &self.authorities {
            options = options.add_root_certificates(authorities.clone());
        }
        if let Some((certificate, key)) = &self.identity {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        Ok(options)
    }

    /// Whether the files are what they should be: better said at the start than tried again and again.
    fn check(&self) -> Result<(), ReplicasError> {
        let certificates =
            [self.authorities.as_deref(), self.identity.as_ref().map(|(path, _)| path.as_path())];
        for path in certificates.into_iter().flatten() {
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
            match found {
                Ok(found) if !found.is_empty() => {}
                Ok(_) => return Err(wrong(path, "there is no certificate in it")),
                Err(fault) => return Err(wrong(path, fault)),
            }
        }
        if let Some((_, key)) = &self.identity {
            PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|fault| wrong(key, fault))?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ReplicasError> {
    std::fs::read(path).map_err(|fault| wrong(path, fault))
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> ReplicasError {
    ReplicasError::Tls { path: path.to_owned(), why: why.to_string() }
}
