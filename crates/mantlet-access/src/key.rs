//! API keys: `mk_<id>_<secret>`, kept as the SHA-256 of the secret.

use std::collections::HashMap;

use mantlet_vocab::{Digest, Millis};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;

use crate::{Secret, hex};

/// What a key may be used for. Written `infer:*`, `infer:<route>`, `metrics`, `manage` or `step-up`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Ask any model behind the gateway.
    InferAny,
    /// Ask the models behind one route.
    Infer(String),
    /// Read metrics and status.
    Metrics,
    /// Call the management API.
    Manage,
    /// Prove, beside another key of the same user, that it is really them; good for nothing else.
    StepUp,
}

impl Scope {
    /// Whether a key with this scope may do what `wanted` names.
    #[must_use]
    pub fn covers(&self, wanted: &Self) -> bool {
        self == wanted || (*self == Self::InferAny && matches!(wanted, Self::Infer(_)))
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InferAny => f.write_str("infer:*"),
            Self::Infer(route) => write!(f, "infer:{route}"),
            Self::Metrics => f.write_str("metrics"),
            Self::Manage => f.write_str("manage"),
            Self::StepUp => f.write_str("step-up"),
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text {
            "infer:*" => Ok(Self::InferAny),
            "metrics" => Ok(Self::Metrics),
            "manage" => Ok(Self::Manage),
            "step-up" => Ok(Self::StepUp),
            other => match other.strip_prefix("infer:") {
                Some(route) if !route.is_empty() => Ok(Self::Infer(route.to_owned())),
                _ => Err(KeyError::UnknownScope { scope: other.chars().take(60).collect() }),
            },
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a key is not accepted. None of these carries the key; callers outside should be told only
/// "not accepted" (401) or "not for this" (403, [`KeyError::OutOfScope`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not of the form `mk_<id>_<secret>`.
    #[error("the key is not of the form mk_<id>_<secret>")]
    Malformed,
    /// No such key, or the secret is wrong; the two are not told apart.
    #[error("the key is not known")]
    Unknown,
    /// The key was withdrawn.
    #[error("key {id} was revoked")]
    Revoked {
        /// The key.
        id: String,
    },
    /// The key ran out.
    #[error("key {id} expired at {expired}")]
    Expired {
        /// The key.
        id: String,
        /// When.
        expired: Millis,
    },
    /// The key is good, for something else.
    #[error("key {id} is not for {wanted}")]
    OutOfScope {
        /// The key.
        id: String,
        /// What was asked.
        wanted: Scope,
    },
    /// A scope in a configuration or record is not one of ours.
    #[error("scope `{scope}` is none of infer:*, infer:<route>, metrics, manage, step-up")]
    UnknownScope {
        /// The text.
        scope: String,
    },
}

/// What is kept of an API key: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Public id, also in logs and records.
    pub id: String,
    /// What a person calls it.
    pub label: String,
    /// SHA-256 of the secret part.
    pub hash: Digest,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created: Millis,
    /// When it runs out, if ever.
    pub expires: Option<Millis>,
    /// When it was withdrawn.
    pub revoked: Option<Millis>,
    /// The user it belongs to, whose limits it counts towards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The tenant it belongs to, whose limits it counts towards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// A fresh key: the secret to show once and the record to keep.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// `mk_<id>_<secret>`, shown once.
    pub secret: Secret,
    /// What is kept.
    pub record: ApiKey,
}

impl ApiKey {
    /// Makes a key from 38 bytes of entropy: 6 for the id, 32 for the secret.
    #[must_use]
    pub fn generate(
        entropy: &[u8; 38],
        label: impl Into<String>,
        scopes: Vec<Scope>,
        now: Millis,
        expires: Option<Millis>,
    ) -> NewKey {
        let (id, secret) = (hex(&entropy[..6]), hex(&entropy[6..]));
        let record = Self {
            hash: Digest::of(secret.as_bytes()),
            label: label.into(),
            scopes,
            created: now,
            expires,
            revoked: None,
            user: None,
            tenant: None,
            id: id.clone(),
        };
        NewKey { secret: Secret::new(format!("mk_{id}_{secret}")), record }
    }

    /// Whether the key counts at `now`, whatever for; the secret was checked before.
    #[must_use]
    pub fn in_force(&self, now: Millis) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| expires > now)
    }

    /// Whether the key may be used at `now` for `wanted`; the secret was checked before.
    ///
    /// # Errors
    /// Names why not.
    pub fn allows(&self, wanted: &Scope, now: Millis) -> Result<(), KeyError> {
        if self.revoked.is_some() {
            return Err(KeyError::Revoked { id: self.id.clone() });
        }
        if let Some(expired) = self.expires.filter(|expires| *expires <= now) {
            return Err(KeyError::Expired { id: self.id.clone(), expired });
        }
        if self.scopes.iter().any(|scope| scope.covers(wanted)) {
            Ok(())
        } else {
            Err(KeyError::OutOfScope { id: self.id.clone(), wanted: wanted.clone() })
        }
    }
}

/// Keys by id, for the gateway: built from the store and swapped as a whole when keys change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRing {
    keys: HashMap<String, ApiKey>,
}

impl KeyRing {
    /// A ring of these keys; of two with one id the later wins.
    pub fn new(keys: impl IntoIterator<Item = ApiKey>) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.id.clone(), key)).collect() }
    }

    /// Adds or replaces a key.
    pub fn insert(&mut self, key: ApiKey) {
        self.keys.insert(key.id.clone(), key);
    }

    /// The key of this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&ApiKey> {
        self.keys.get(id)
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks a presented key for `wanted` at `now`. The comparison takes the same time whether the id is
    /// unknown or the secret wrong, and expiry is told only to whoever holds the right secret.
    ///
    /// # Errors
    /// Names why not, without the key.
    pub fn verify(&self, presented: &str, wanted: &Scope, now: Millis) -> Result<&ApiKey, KeyError> {
        let (id, secret) = split(presented).ok_or(KeyError::Malformed)?;
        let hash = Digest::of(secret.as_bytes());
        let key = self.keys.get(id);
        let kept = key.map_or([0; 32], |key| key.hash.0);
        let equal = bool::from(kept.ct_eq(&hash.0));
        match key {
            Some(key) if equal => key.allows(wanted, now).map(|()| key),
            _ => Err(KeyError::Unknown),
        }
    }
}

fn split(presented: &str) -> Option<(&str, &str)> {
    let (id, secret) = presented.strip_prefix("mk_")?.split_once('_')?;
    let lower_hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (id.len() == 12 && secret.len() == 64 && lower_hex(id) && lower_hex(secret)).then_some((id, secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(seed: u8, scopes: Vec<Scope>, expires: Option<Millis>) -> NewKey {
        let mut entropy = [seed; 38];
        entropy[7] = seed.wrapping_add(1);
        ApiKey::generate(&entropy, "test", scopes, Millis(10), expires)
    }

    #[test]
    fn a_key_is_accepted_for_its_scope_until_it_ends() {
        let new = key(1, vec![Scope::Infer("cheques".into())], Some(Millis(100)));
        let mut ring = KeyRing::new([new.record.clone(), key(2, vec![Scope::Manage], None).record]);
        let wanted = Scope::Infer("cheques".into());
        let secret = new.secret.expose();
        assert_eq!(ring.verify(secret, &wanted, Millis(99)).unwrap().id, new.record.id);
        let id = new.record.id.clone();
        assert_eq!(
            ring.verify(secret, &wanted, Millis(100)),
            Err(KeyError::Expired { id: id.clone(), expired: Millis(100) })
        );
        assert_eq!(
            ring.verify(secret, &Scope::Manage, Millis(50)),
            Err(KeyError::OutOfScope { id: id.clone(), wanted: Scope::Manage })
        );
        assert!(ring.verify(secret, &Scope::Infer("other".into()), Millis(50)).is_err());
        ring.insert(ApiKey { revoked: Some(Millis(60)), ..new.record.clone() });
        assert_eq!(ring.verify(secret, &wanted, Millis(70)), Err(KeyError::Revoked { id }));
    }

    #[test]
    fn wrong_secrets_and_unknown_ids_look_the_same() {
        let new = key(1, vec![Scope::InferAny], None);
        let ring = KeyRing::new([new.record.clone()]);
        let other = key(9, vec![], None);
        let crossed = format!("mk_{}_{}", new.record.id, &other.secret.expose()[16..]);
        for presented in [crossed.as_str(), other.secret.expose()] {
            assert_eq!(ring.verify(presented, &Scope::InferAny, Millis(0)), Err(KeyError::Unknown));
        }
        for presented in ["", "mk_", "mk__", "Bearer x", &new.secret.expose().to_uppercase()] {
            assert_eq!(ring.verify(presented, &Scope::InferAny, Millis(0)), Err(KeyError::Malformed));
        }
        assert!(ring.verify(new.secret.expose(), &Scope::Infer("any".into()), Millis(0)).is_ok());
    }

    #[test]
    fn secrets_do_not_print_and_scopes_travel_as_text() {
        let new =
            key(3, vec![Scope::InferAny, Scope::Infer("a".into()), Scope::Metrics, Scope::Manage], None);
        let kept = serde_json::to_string(&new.record).unwrap();
        let secret = &new.secret.expose()[16..];
        assert!(!format!("{new:?}").contains(secret) && !kept.contains(secret));
        assert!(kept.contains(r#"["infer:*","infer:a","metrics","manage"]"#), "{kept}");
        assert_eq!(serde_json::from_str::<ApiKey>(&kept).unwrap(), new.record);
        assert!("infer:".parse::<Scope>().is_err() && "root".parse::<Scope>().is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_panics_and_no_changed_key_passes(text in ".*", flip in 0_usize..80, bit in 0_u8..7) {
            let new = key(5, vec![Scope::InferAny], None);
            let ring = KeyRing::new([new.record]);
            prop_assert!(ring.verify(&text, &Scope::InferAny, Millis(0)).is_err());
            let mut bytes = new.secret.expose().as_bytes().to_vec();
            let at = flip % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(ring.verify(&changed, &Scope::InferAny, Millis(0)).is_err());
            }
        }
    }
}
