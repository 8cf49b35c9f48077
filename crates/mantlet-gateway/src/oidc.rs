//! Tokens of an OpenID Connect provider: JSON Web Tokens (RFC 7519), signed with a key the provider publishes.
//!
//! Verified here on ring rather than by a JWT library: the one that is well kept needs either another TLS provider's
//! cryptography or an RSA implementation with an open advisory. Only asymmetric algorithms are known, and a key is used
//! with its own algorithms alone, so neither `none` nor a public key taken for a secret can pass (RFC 8725).
//!
//! Long because what must not pass stands in the cases beside the code that stops it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt, Limited};
use mantlet_vocab::Millis;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::sync::Notify;

use crate::service::Shared;
use crate::who::{Belongs, Proof, Who};

/// Bytes of a provider's document that are read.
const DOCUMENT: usize = 1 << 20;
/// Keys of a provider that are kept.
const KEYS: usize = 64;
/// How often keys are read again.
const REFRESH: Duration = Duration::from_secs(300);
/// How soon an unknown key leads to another reading at most.
const SOON: u64 = 30_000;
/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An OpenID Connect provider whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// The provider's address, exactly as its tokens name it in `iss`.
    pub issuer: String,
    /// What `aud` must name.
    pub audience: String,
    /// The claim whose value is the caller's id.
    #[serde(default = "sub")]
    pub caller: String,
    /// The claim that lists the models the caller may ask, as a list or in one text with spaces; every model when it
    /// is not configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<String>,
    /// The claim that names the user whose limits count, when it is not the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The claim that names the tenant whose limits count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How far clocks may differ, in seconds.
    #[serde(default = "leeway")]
    pub leeway_s: u64,
}

fn sub() -> String {
    "sub".to_owned()
}

const fn leeway() -> u64 {
    30
}

/// Why a token does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// It is no token of this form.
    #[error("this token cannot be read")]
    Form,
    /// Its algorithm is not accepted, or not one of its key.
    #[error("this token's algorithm is not accepted")]
    Algorithm,
    /// The provider has no such key.
    #[error("this token's key is not one of the provider's")]
    Key,
    /// The signature is wrong.
    #[error("this token's signature is wrong")]
    Signature,
    /// It is another provider's or for somebody else.
    #[error("this token is not for this gateway")]
    Audience,
    /// It is over, or not yet begun.
    #[error("this token is not in force now")]
    Time,
    /// It does not say who the caller is, or the caller may not ask this model.
    #[error("this token is not in force for this model")]
    Caller,
    /// The provider's keys are not known.
    #[error("the provider's keys cannot be read now")]
    Unavailable,
}

/// A key of the provider.
#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Debug, Clone)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The provider's keys as last read.
#[derive(Default)]
pub(crate) struct ProviderKeys {
    keys: ArcSwap<Vec<Key>>,
    read: AtomicU64,
    wanted: Notify,
}

impl ProviderKeys {
    /// Nothing is believed until the keys have been read again.
    pub(crate) fn forget(&self) {
        self.keys.store(std::sync::Arc::default());
        self.wanted.notify_one();
    }

    /// The caller a token stands for.
    pub(crate) fn verify(&self, oidc: &Oidc, token: &str, model: &str, now: Millis) -> Result<Who, Invalid> {
        let keys = self.keys.load();
        if keys.is_empty() {
            self.wanted.notify_one();
            return Err(Invalid::Unavailable);
        }
        let verified = verify(&keys, oidc, token, model, now);
        if matches!(verified, Err(Invalid::Key))
            && now.since(Millis(self.read.load(Ordering::Relaxed))) > SOON
        {
            // Providers change keys; made-up key ids do not make this gateway hammer them.
            self.wanted.notify_one();
        }
        verified
    }
}

/// Whether a credential has the form of a token.
pub(crate) fn is_token(presented: &str) -> bool {
    presented.starts_with("eyJ") && presented.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn verify(keys: &[Key], oidc: &Oidc, token: &str, model: &str, now: Millis) -> Result<Who, Invalid> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Invalid::Form)?;
    let (head, payload) = signed.split_once('.').ok_or(Invalid::Form)?;
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Invalid::Form);
    let head: Json = serde_json::from_slice(&bytes(head)?).map_err(|_| Invalid::Form)?;
    // A header that must be understood and is not here understood makes the token invalid (RFC 7515, 4.1.11).
    if head.get("crit").is_some() {
        return Err(Invalid::Form);
    }
    let algorithm = head.get("alg").and_then(Json::as_str).ok_or(Invalid::Form)?;
    let id = head.get("kid").and_then(Json::as_str);
    let mut named = keys.iter().filter(|key| id.is_none() || key.id.as_deref() == id).peekable();
    if named.peek().is_none() {
        return Err(Invalid::Key);
    }
    let signature = bytes(signature)?;
    let mut fault = Invalid::Algorithm;
    let good = named.any(|key| match key.public.check(algorithm, signed.as_bytes(), &signature) {
        Some(true) => true,
        Some(false) => {
            fault = Invalid::Signature;
            false
        }
        None => false,
    });
    if !good {
        return Err(fault);
    }
    let claims: Json = serde_json::from_slice(&bytes(payload)?).map_err(|_| Invalid::Form)?;
    check_claims(&claims, oidc, model, now)
}

fn check_claims(claims: &Json, oidc: &Oidc, model: &str, now: Millis) -> Result<Who, Invalid> {
    let audience = match claims.get("aud") {
        Some(Json::String(one)) => *one == oidc.audience,
        Some(Json::Array(all)) => all.iter().any(|one| one.as_str() == Some(&oidc.audience)),
        _ => false,
    };
    if !audience || claims.get("iss").and_then(Json::as_str) != Some(&oidc.issuer) {
        return Err(Invalid::Audience);
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let (seconds, leeway) = (now.0 as f64 / 1000.0, oidc.leeway_s as f64);
    let number = |name: &str| claims.get(name).and_then(Json::as_f64);
    let ends = number("exp").ok_or(Invalid::Time)?;
    let begins = number("nbf").unwrap_or(0.0);
    if seconds >= ends + leeway || seconds + leeway < begins {
        return Err(Invalid::Time);
    }
    let caller = claims.get(&oidc.caller).and_then(Json::as_str).filter(|caller| sane(caller));
    let caller = caller.ok_or(Invalid::Caller)?;
    let may = match oidc.models.as_ref().map(|name| claims.get(name)) {
        None => true,
        Some(Some(Json::Array(all))) => all.iter().any(|one| one.as_str() == Some(model)),
        Some(Some(Json::String(all))) => all.split(' ').any(|one| one == model),
        Some(_) => false,
    };
    if !may && !model.is_empty() {
        return Err(Invalid::Caller);
    }
    // A name that is configured and missing, or no name, would let its bearer count towards nobody.
    let named = |claim: &Option<String>| match claim {
        None => Ok(None),
        Some(claim) => {
            let name = claims.get(claim).and_then(Json::as_str).filter(|name| sane(name));
            name.map(|name| Some(name.into())).ok_or(Invalid::Caller)
        }
    };
    let belongs =
        Belongs { user: named(&oidc.user)?.or_else(|| Some(caller.into())), tenant: named(&oidc.tenant)? };
    // OpenID Connect Core 1.0, section 2: when the person was seen; without it, when the token was made.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let instant = |seconds: f64| Millis((seconds * 1000.0).clamp(0.0, 1e15) as u64);
    let authenticated = number("auth_time").or_else(|| number("iat")).map(instant);
    Ok(Who { id: caller.to_owned(), proof: Proof::Token(belongs, authenticated) })
}

/// A caller's id goes into logs and records.
fn sane(caller: &str) -> bool {
    !caller.is_empty() && caller.len() <= 200 && !caller.chars().any(char::is_control)
}

impl Public {
    /// Whether the signature is good; `None` when the algorithm is not one of this key's.
    fn check(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> Option<bool> {
        let good = match (self, algorithm) {
            (Self::Rsa { n, e }, _) => {
                let parameters: &signature::RsaParameters = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return None,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature)
            }
            (Self::P256(point), "ES256") => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            (Self::P384(point), "ES384") => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).verify(signed, signature)
            }
            (Self::Ed25519(point), "EdDSA") => {
                UnparsedPublicKey::new(&signature::ED25519, point).verify(signed, signature)
            }
            _ => return None,
        };
        Some(good.is_ok())
    }

    /// A key of a JSON Web Key Set (RFC 7517); `None` for those that are not for signatures or not known.
    fn read(key: &Json) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Json::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        if text("use").is_some_and(|what| what != "sig") {
            return None;
        }
        let point = |width: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() == width && y.len() == width).then(|| [vec![4], x, y].concat())
        };
        match (text("kty")?, text("crv")) {
            ("RSA", _) => Some(Self::Rsa { n: bytes("n")?, e: bytes("e")? }),
            ("EC", Some("P-256")) => point(32).map(Self::P256),
            ("EC", Some("P-384")) => point(48).map(Self::P384),
            ("OKP", Some("Ed25519")) => bytes("x").map(Self::Ed25519),
            _ => None,
        }
    }
}

/// Reads the provider's keys now and then, and when a token names one that is not known.
pub(crate) async fn refresh(shared: std::sync::Arc<Shared>, mut stop: tokio::sync::watch::Receiver<bool>) {
    loop {
        let oidc = shared.live.load().config.oidc.clone();
        if let Some(oidc) = oidc {
            match read_keys(&shared, &oidc).await {
                Ok(keys) => {
                    shared.provider.keys.store(keys.into());
                    shared.provider.read.store(shared.ports.clock.now().0, Ordering::Relaxed);
                }
                // The keys read before stay in force: a provider that is down locks nobody out at once.
                Err(why) => tracing::error!(issuer = %oidc.issuer, why, "the provider's keys cannot be read"),
            }
        } else {
            shared.provider.keys.store(std::sync::Arc::default());
        }
        tokio::select! {
            () = tokio::time::sleep(REFRESH) => {}
            () = shared.provider.wanted.notified() => {
                // Not more often than this, whoever asks.
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                    _ = stop.changed() => return,
                }
            }
            _ = stop.changed() => return,
        }
    }
}

async fn read_keys(shared: &Shared, oidc: &Oidc) -> Result<Vec<Key>, String> {
    let address = format!("{}/.well-known/openid-configuration", oidc.issuer.trim_end_matches('/'));
    let document = read(shared, &address).await?;
    if document.get("issuer").and_then(Json::as_str) != Some(&oidc.issuer) {
        return Err("its document names another issuer".to_owned());
    }
    let address = document.get("jwks_uri").and_then(Json::as_str).ok_or("its document names no keys")?;
    let set = read(shared, address).await?;
    let keys = set.get("keys").and_then(Json::as_array).ok_or("its keys are no JSON Web Key Set")?;
    let known = keys.iter().take(KEYS).filter_map(|key| {
        let id = key.get("kid").and_then(Json::as_str).map(str::to_owned);
        Some(Key { id, public: Public::read(key)? })
    });
    Ok(known.collect())
}

async fn read(shared: &Shared, address: &str) -> Result<Json, String> {
    let read = async {
        let (status, body) = shared.clients.get(address).await?;
        if !status.is_success() {
            return Err(format!("{address} answers {status}"));
        }
        let body = Limited::new(body, DOCUMENT).collect().await.map_err(|error| error.to_string())?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| Err(format!("{address} does not answer")))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    fn part(value: &Json) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn oidc() -> Oidc {
        Oidc {
            issuer: "https://id.example.org".into(),
            audience: "scoring".into(),
            caller: sub(),
            models: Some("models".into()),
            user: None,
            tenant: None,
            leeway_s: 30,
        }
    }

    fn claims() -> Json {
        json!({ "iss": "https://id.example.org", "aud": ["x", "scoring"], "sub": "ann", "exp": 1000, "nbf": 500, "models": "sums other" })
    }

    struct Signer {
        pair: Ed25519KeyPair,
        keys: Vec<Key>,
    }

    impl Signer {
        fn new() -> Self {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
            let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "a", "use": "sig", "x": URL_SAFE_NO_PAD.encode(pair.public_key()) });
            let keys = vec![Key { id: Some("a".into()), public: Public::read(&jwk).unwrap() }];
            Self { pair, keys }
        }

        fn token(&self, head: &Json, claims: &Json) -> String {
            let signed = format!("{}.{}", part(head), part(claims));
            let signature = self.pair.sign(signed.as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    #[test]
    fn a_token_counts_for_whom_it_is_while_it_is_in_force() {
        let signer = Signer::new();
        let good = json!({ "alg": "EdDSA", "kid": "a" });
        let check = |token: &str, model: &str, at: u64| {
            verify(&signer.keys, &oidc(), token, model, Millis(at * 1000)).map(|who| who.id)
        };
        let token = signer.token(&good, &claims());
        assert!(is_token(&token));
        assert_eq!(check(&token, "sums", 900), Ok("ann".into()));
        assert_eq!(check(&token, "nothing", 900), Err(Invalid::Caller));
        assert_eq!(check(&token, "sums", 1029), Ok("ann".into()));
        assert_eq!(check(&token, "sums", 1030), Err(Invalid::Time));
        assert_eq!(check(&token, "sums", 469), Err(Invalid::Time));
        let with = |name: &str, value: Json| {
            let mut claims = claims();
            claims[name] = value;
            check(&signer.token(&good, &claims), "sums", 900)
        };
        assert_eq!(with("aud", json!("other")), Err(Invalid::Audience));
        assert_eq!(with("iss", json!("https://id.example.org.evil")), Err(Invalid::Audience));
        assert_eq!(with("exp", json!(null)), Err(Invalid::Time));
        assert_eq!(with("sub", json!("a\nb")), Err(Invalid::Caller));
        assert_eq!(with("models", json!(["sums"])), Ok("ann".into()));
        assert_eq!(with("models", json!(null)), Err(Invalid::Caller));
    }

    #[test]
    fn a_token_names_user_tenant_and_when_its_bearer_was_seen() {
        let signer = Signer::new();
        let good = json!({ "alg": "EdDSA", "kid": "a" });
        let told = |oidc: &Oidc, claims: &Json| {
            verify(&signer.keys, oidc, &signer.token(&good, claims), "sums", Millis(900_000))
                .map(|who| who.proof)
        };
        let mut claims = claims();
        let belongs = |user: &str, tenant: Option<&str>| Belongs {
            user: Some(user.into()),
            tenant: tenant.map(Into::into),
        };
        assert_eq!(told(&oidc(), &claims), Ok(Proof::Token(belongs("ann", None), None)));
        claims["iat"] = json!(800);
        assert_eq!(told(&oidc(), &claims), Ok(Proof::Token(belongs("ann", None), Some(Millis(800_000)))));
        claims["auth_time"] = json!(700.5);
        claims["org"] = json!("acme");
        let with = Oidc { user: Some("mail".into()), tenant: Some("org".into()), ..oidc() };
        assert_eq!(told(&with, &claims), Err(Invalid::Caller), "nobody's limits would count");
        claims["mail"] = json!("ann@acme");
        let expected = Proof::Token(belongs("ann@acme", Some("acme")), Some(Millis(700_500)));
        assert_eq!(told(&with, &claims), Ok(expected));
    }

    #[test]
    fn no_other_algorithm_key_or_signature_passes() {
        let signer = Signer::new();
        let check =
            |token: &str| verify(&signer.keys, &oidc(), token, "sums", Millis(900_000)).map(|who| who.id);
        for (head, fault) in [
            (json!({ "alg": "none", "kid": "a" }), Invalid::Algorithm),
            (json!({ "alg": "HS256", "kid": "a" }), Invalid::Algorithm),
            (json!({ "alg": "RS256", "kid": "a" }), Invalid::Algorithm),
            (json!({ "alg": "ES256", "kid": "a" }), Invalid::Algorithm),
            (json!({ "alg": "EdDSA", "kid": "b" }), Invalid::Key),
            (json!({ "alg": "EdDSA", "kid": "a", "crit": ["exp"] }), Invalid::Form),
            (json!({ "kid": "a" }), Invalid::Form),
        ] {
            assert_eq!(check(&signer.token(&head, &claims())), Err(fault), "{head}");
        }
        let token = signer.token(&json!({ "alg": "EdDSA", "kid": "a" }), &claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (head, _) = signed.split_once('.').unwrap();
        let mut other = claims();
        other["sub"] = json!("eve");
        assert_eq!(check(&format!("{head}.{}.{signature}", part(&other))), Err(Invalid::Signature));
        assert_eq!(check(&format!("{signed}.")), Err(Invalid::Signature));
        assert_eq!(check("eyJ.a.b"), Err(Invalid::Form));
    }

    #[test]
    fn ecdsa_is_verified_and_odd_keys_are_left_out() {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]) });
        let keys = vec![Key { id: None, public: Public::read(&jwk).unwrap() }];
        let signed = format!("{}.{}", part(&json!({ "alg": "ES256" })), part(&claims()));
        let signature = pair.sign(&random, signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        let who = verify(&keys, &oidc(), &token, "sums", Millis(900_000));
        assert_eq!(who.map(|who| who.id), Ok("ann".into()));
        for odd in [
            json!({ "kty": "oct", "k": "c2VjcmV0" }),
            json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }),
            json!({ "kty": "OKP", "crv": "X25519", "x": "AA" }),
            json!({ "kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB" }),
        ] {
            assert!(Public::read(&odd).is_none(), "{odd}");
        }
    }
}
