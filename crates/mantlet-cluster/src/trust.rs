//! Who belongs to a cluster: whoever holds its token.
//!
//! The key of the cluster's own certificate authority is derived from the token (Argon2id), so every holder has the
//! same authority without anything being handed around. Each process makes itself a key and a certificate of that
//! authority when it starts, and takes part only in connections whose other side shows one too (mutual TLS, RFC 8446
//! section 4.3.2). The token itself is never sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use ballista_core::extension::{EndpointOverrideFn, SessionConfigExt as _};
use datafusion::prelude::SessionConfig;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ED25519,
};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};

use crate::ClusterError;

/// The name in all certificates; addresses say nothing about who somebody is.
const NAME: &str = "cluster.mantlet.internal";
/// Bytes of one message between processes at most: a plan with its profile, or a tally.
pub(crate) const MESSAGE_MOST: usize = 64 << 20;
/// How long an unanswered connection is waited for, and how often a quiet one is asked whether it lives.
const PATIENCE: Duration = Duration::from_secs(10);
/// Characters of a token at least.
const LEAST: usize = 32;
/// An Ed25519 private key in PKCS #8 (RFC 8410 section 7) up to its 32 bytes.
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// What shows others that this process belongs to the cluster, and shows this process that they do.
#[derive(Clone)]
pub struct Trust {
    authority: Certificate,
    identity: Identity,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

impl Trust {
    /// From the cluster's token, 32 random characters or more; white space around it does not count.
    ///
    /// # Errors
    /// When the token is too short, or no certificate can be made.
    pub fn from_token(token: &str) -> Result<Self, ClusterError> {
        let token = token.trim();
        let found = token.chars().count();
        if found < LEAST {
            return Err(ClusterError::ShortToken { found, least: LEAST });
        }
        let wrong = |error: argon2::Error| ClusterError::Certificates { reason: error.to_string() };
        let params = Params::new(19 * 1024, 2, 1, Some(32)).map_err(wrong)?;
        let mut seed = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(token.as_bytes(), b"mantlet cluster authority 1", &mut seed)
            .map_err(wrong)?;
        let private: Vec<u8> = PKCS8.iter().chain(&seed).copied().collect();
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&private.as_slice().into(), &PKCS_ED25519)?;

        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "mantlet cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, key)?;

        let mut params = CertificateParams::new(vec![NAME.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let own = KeyPair::generate()?;
        let certificate = params.signed_by(&own, &authority)?;
        Ok(Self {
            authority: Certificate::from_pem(authority.pem()),
            identity: Identity::from_pem(certificate.pem(), own.serialize_pem()),
        })
    }

    /// For a port: whoever connects has to show a certificate.
    pub(crate) fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new().identity(self.identity.clone()).client_ca_root(self.authority.clone())
    }

    /// For a connection: the other side has to show a certificate.
    pub(crate) fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .identity(self.identity.clone())
            .ca_certificate(self.authority.clone())
            .domain_name(NAME)
    }
}

/// Makes every connection that the engine opens one of the cluster: it asks for plain HTTP, and gets TLS or nothing.
pub(crate) fn over_tls(trust: &Trust) -> EndpointOverrideFn {
    let tls = trust.client();
    Arc::new(move |endpoint: Endpoint| {
        let address = endpoint.uri().to_string();
        let bare = address.split_once("://").map_or(address.as_str(), |(_, bare)| bare);
        let endpoint = Endpoint::from_shared(format!("https://{bare}"))?
            .connect_timeout(PATIENCE)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PATIENCE)
            .keep_alive_timeout(PATIENCE)
            .keep_alive_while_idle(true)
            .tls_config(tls.clone())?;
        Ok(endpoint)
    })
}

/// A session whose connections are those of the cluster.
pub(crate) fn joined(config: SessionConfig, trust: &Trust) -> SessionConfig {
    config.with_ballista_override_create_grpc_client_endpoint(over_tls(trust)).with_ballista_use_tls(true)
}

#[cfg(test)]
mod tests {
    use arrow_flight::Criteria;
    use arrow_flight::flight_service_client::FlightServiceClient;
    use arrow_flight::flight_service_server::FlightServiceServer;
    use ballista_executor::flight_service::BallistaFlightService;
    use tokio::net::TcpListener;
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::Code;
    use tonic::transport::Server;

    use super::*;

    /// What a server answers to a call that it knows and does not do; nothing when the connection fails.
    async fn answer(address: &str, tls: ClientTlsConfig) -> Option<Code> {
        let endpoint = Endpoint::from_shared(address.to_owned()).unwrap().tls_config(tls).unwrap();
        let channel = endpoint.connect().await.ok()?;
        let call = FlightServiceClient::new(channel).list_flights(Criteria::default()).await;
        call.err().map(|status| status.code())
    }

    #[tokio::test]
    async fn only_holders_of_the_token_are_served() {
        let (ours, again) =
            (Trust::from_token(&"a".repeat(32)).unwrap(), Trust::from_token(&"a".repeat(32)).unwrap());
        let theirs = Trust::from_token(&"b".repeat(32)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let service = FlightServiceServer::new(BallistaFlightService::new("nowhere".into()));
        let server = Server::builder().tls_config(ours.server()).unwrap().add_service(service);
        let serving = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        assert_eq!(answer(&address, again.client()).await, Some(Code::Unimplemented));
        assert_ne!(answer(&address, theirs.client()).await, Some(Code::Unimplemented));
        // Who trusts the server and shows nothing is not served either.
        let silent = ClientTlsConfig::new().ca_certificate(ours.authority.clone()).domain_name(NAME);
        assert_ne!(answer(&address, silent).await, Some(Code::Unimplemented));
        // Nor is a stranger's certificate of a server taken for one of ours.
        let mixed = ClientTlsConfig::new()
            .identity(ours.identity.clone())
            .ca_certificate(theirs.authority)
            .domain_name(NAME);
        assert_eq!(answer(&address, mixed).await, None);
        serving.abort();
    }

    #[test]
    fn a_token_that_could_be_guessed_is_refused() {
        let error = Trust::from_token("  hunter2\n").unwrap_err().to_string();
        assert_eq!(error, "the cluster's token has 7 characters; take at least 32 random ones");
        assert!(Trust::from_token(&"x".repeat(32)).is_ok());
    }
}
