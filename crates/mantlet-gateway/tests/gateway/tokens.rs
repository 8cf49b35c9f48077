//! Tokens of an OpenID Connect provider as an identity: discovery, keys that change, a provider that is away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use mantlet_gateway::{Clock as _, Gateway, GatewayConfig, Oidc};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use crate::peer::{Peer, REPLY, ok};
use crate::world::{Caller, Memory, Now, body, guard, guard_config, ports, route};

pub(crate) struct Key(Ed25519KeyPair, &'static str);

impl Key {
    pub(crate) fn new(seed: u8, id: &'static str) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(), id)
    }

    pub(crate) fn public(&self) -> serde_json::Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.1, "x": URL_SAFE_NO_PAD.encode(self.0.public_key()) })
    }

    fn token(&self, issuer: &str, caller: &str) -> String {
        self.claims(
            &json!({ "iss": issuer, "aud": "scoring", "sub": caller, "exp": Now.now().0 / 1000 + 60 }),
        )
    }

    pub(crate) fn claims(&self, claims: &serde_json::Value) -> String {
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "EdDSA", "kid": self.1 })), part(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes())))
    }
}

#[tokio::test]
async fn a_providers_tokens_are_an_identity_beside_keys() {
    let (old, new) = (Key::new(1, "old"), Key::new(2, "new"));
    let keys = Arc::new(Mutex::new(vec![old.public()]));
    let published = Arc::clone(&keys);
    let provider = Peer::start(Box::new(move |asked| {
        let issuer = format!("http://{}", asked.headers["host"].to_str().unwrap());
        match asked.path.as_str() {
            "/.well-known/openid-configuration" => {
                ok(json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }).to_string())
            }
            _ => ok(json!({ "keys": *published.lock().unwrap() }).to_string()),
        }
    }))
    .await;
    let issuer = format!("http://{}", provider.address);
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let memory = Arc::new(Memory::default());
    let oidc = Oidc {
        issuer: issuer.clone(),
        audience: "scoring".into(),
        caller: "sub".into(),
        models: None,
        user: None,
        tenant: None,
        leeway_s: 30,
    };
    let config = GatewayConfig { oidc: Some(oidc), ..GatewayConfig::default() };
    let routes = || vec![route(peer.address, &guard(guard_config()))];
    let gateway = Gateway::start(config.clone(), routes(), ports(&memory)).await.unwrap();
    let client = Caller::new();
    let ask = |token: String| {
        let (client, at) = (&client, gateway.address());
        async move {
            let header = format!("Bearer {token}");
            client
                .send(at, "POST", "/v2/models/sums/infer", &[("authorization", &header)], body([0.0; 4]))
                .await
                .0
        }
    };
    // Until the provider's keys are there nobody gets in, and nobody is told that the token is wrong.
    let begun = async {
        loop {
            match ask(old.token(&issuer, "ann")).await {
                StatusCode::OK => break,
                status => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), begun).await.unwrap();
    assert_eq!(memory.last().caller, "ann");
    assert_eq!(ask("secret-bob".into()).await, StatusCode::OK);
    assert_eq!(memory.last().caller, "bob");
    assert_eq!(ask(old.token("http://127.0.0.1:1", "ann")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(Key::new(3, "old").token(&issuer, "ann")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(new.token(&issuer, "ann")).await, StatusCode::UNAUTHORIZED);

    // Another configuration of the provider: what was believed before is read anew.
    *keys.lock().unwrap() = vec![new.public()];
    let mut other = config;
    if let Some(oidc) = &mut other.oidc {
        oidc.leeway_s = 5;
    }
    gateway.reload(other, routes()).unwrap();
    let changed = async {
        while ask(new.token(&issuer, "ann")).await != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), changed).await.unwrap();
    assert_eq!(ask(old.token(&issuer, "ann")).await, StatusCode::UNAUTHORIZED);
}
