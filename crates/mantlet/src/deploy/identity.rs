//! Who asks: API keys from the store, kept in memory and refreshed.

use arc_swap::ArcSwap;
use mantlet_access::{KeyError, KeyRing, Scope};
use mantlet_gateway::{Belongs, KeyLookup, Keys};
use mantlet_vocab::Millis;

/// The keys in force, as last read.
pub struct KeyCache(ArcSwap<KeyRing>);

impl KeyCache {
    /// Starts with these keys.
    pub fn new(ring: KeyRing) -> Self {
        Self(ArcSwap::from_pointee(ring))
    }

    /// Takes over a fresh reading; says whether it differs.
    pub fn replace(&self, ring: KeyRing) -> bool {
        let changed = **self.0.load() != ring;
        if changed {
            self.0.store(ring.into());
        }
        changed
    }
}

impl Keys for KeyCache {
    fn lookup(&self, presented: &str, model: &str, now: Millis) -> KeyLookup {
        match self.0.load().verify(presented, &Scope::Infer(model.to_owned()), now) {
            Ok(key) => KeyLookup::Valid { id: key.id.clone(), until: key.expires },
            Err(KeyError::Unknown | KeyError::Malformed | _) => KeyLookup::Invalid,
        }
    }

    fn reads_status(&self, presented: &str, now: Millis) -> bool {
        self.0.load().verify(presented, &Scope::Metrics, now).is_ok()
    }

    fn seconds(&self, id: &str, presented: &str, now: Millis) -> bool {
        let ring = self.0.load();
        let Ok(second) = ring.verify(presented, &Scope::StepUp, now) else { return false };
        // The first was verified when the caller was; whose it is counts here.
        let user = ring.find(id).filter(|first| first.in_force(now)).and_then(|first| first.user.as_ref());
        second.id != id && user.is_some() && user == second.user.as_ref()
    }

    fn belongs(&self, id: &str) -> Belongs {
        let ring = self.0.load();
        let named = |name: &Option<String>| name.as_deref().map(Into::into);
        ring.find(id)
            .map(|key| Belongs { user: named(&key.user), tenant: named(&key.tenant) })
            .unwrap_or_default()
    }
}
