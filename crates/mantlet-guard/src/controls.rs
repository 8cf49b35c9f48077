//! What a person or a playbook has switched on while traffic flows: per key, per decision path, per version.
//!
//! Every control has a reason and may have an expiry; an expired control is as if it had never been. Reading is
//! lock-free (one pointer load), writing copies, so a switch is seen by the next request and by none halfway.

use std::collections::BTreeMap;
use std::sync::Mutex;

use arc_swap::ArcSwap;
use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};

/// What is done to everything a key sends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "control")]
pub enum KeyControl {
    /// At most this many requests a minute.
    Throttle {
        /// Requests a minute.
        per_minute: f64,
    },
    /// Everything is refused.
    Block,
    /// Its decisions are withheld for a person.
    Divert,
}

impl KeyControl {
    /// The word used in records and configuration.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Throttle { .. } => "throttle",
            Self::Block => "block",
            Self::Divert => "divert",
        }
    }
}

/// A control in force, with why and until when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveControl<T> {
    /// What is done.
    pub what: T,
    /// Since when.
    pub since: Millis,
    /// Until when; `None` until lifted.
    pub until: Option<Millis>,
    /// Why, in words a caller may read.
    pub reason: String,
}

impl<T> ActiveControl<T> {
    /// Whether it is in force at this instant.
    #[must_use]
    pub fn in_force(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Everything switched on, as one value: shown on consoles, stored, restored after a restart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ControlsSnapshot {
    /// Controls by key id; a key can be throttled and diverted at once.
    pub keys: BTreeMap<String, Vec<ActiveControl<KeyControl>>>,
    /// All decisions of the system go to a person.
    pub path: Option<ActiveControl<()>>,
    /// The model version that answers, when one was chosen over the configuration's.
    pub version: Option<String>,
}

/// The switches of one guarded system.
#[derive(Debug, Default)]
pub struct Controls {
    current: ArcSwap<ControlsSnapshot>,
    writing: Mutex<()>,
}

impl Controls {
    /// No control in force.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything that is switched on, expired controls included until the next change.
    #[must_use]
    pub fn snapshot(&self) -> ControlsSnapshot {
        (**self.current.load()).clone()
    }

    /// Replaces everything, as after a restart.
    pub fn restore(&self, snapshot: ControlsSnapshot) {
        self.change(|current| *current = snapshot);
    }

    /// Applies a control to a key; one of the same kind is replaced.
    pub fn apply_key(
        &self,
        key: &str,
        what: KeyControl,
        now: Millis,
        until: Option<Millis>,
        reason: impl Into<String>,
    ) {
        let control = ActiveControl { what, since: now, until, reason: reason.into() };
        self.change(|current| {
            for controls in current.keys.values_mut() {
                controls.retain(|control| control.in_force(now));
            }
            current.keys.retain(|_, controls| !controls.is_empty());
            let controls = current.keys.entry(key.to_owned()).or_default();
            controls.retain(|other| other.what.word() != control.what.word());
            controls.push(control);
        });
    }

    /// Lifts the control of that kind (`throttle`, `block`, `divert`) from a key; says whether there was one.
    pub fn lift_key(&self, key: &str, kind: &str) -> bool {
        self.change(|current| {
            let Some(controls) = current.keys.get_mut(key) else { return false };
            let before = controls.len();
            controls.retain(|control| control.what.word() != kind);
            let lifted = controls.len() < before;
            if controls.is_empty() {
                current.keys.remove(key);
            }
            lifted
        })
    }

    /// Sends every decision of the system to a person.
    pub fn divert_path(&self, now: Millis, until: Option<Millis>, reason: impl Into<String>) {
        let control = ActiveControl { what: (), since: now, until, reason: reason.into() };
        self.change(|current| current.path = Some(control));
    }

    /// Decisions flow again; says whether they were diverted.
    pub fn release_path(&self) -> bool {
        self.change(|current| current.path.take().is_some())
    }

    /// The version that answers, when one was chosen.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.current.load().version.clone()
    }

    /// Chooses the version that answers from the next request on (`None`: the configuration's); gives the one
    /// chosen before, which is what undo needs. Verify the version's digest and signature before calling.
    pub fn set_version(&self, version: Option<String>) -> Option<String> {
        self.change(|current| std::mem::replace(&mut current.version, version))
    }

    /// Reads the controls in place.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&ControlsSnapshot) -> R) -> R {
        read(&self.current.load())
    }

    fn change<R>(&self, change: impl FnOnce(&mut ControlsSnapshot) -> R) -> R {
        let _writing = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut next = self.snapshot();
        let result = change(&mut next);
        self.current.store(next.into());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_stack_by_kind_expire_and_are_lifted() {
        let controls = Controls::new();
        controls.apply_key("k", KeyControl::Throttle { per_minute: 6.0 }, Millis(0), Some(Millis(10)), "a");
        controls.apply_key("k", KeyControl::Divert, Millis(1), None, "b");
        controls.apply_key("k", KeyControl::Throttle { per_minute: 1.0 }, Millis(2), Some(Millis(20)), "c");
        let snapshot = controls.snapshot();
        assert_eq!(snapshot.keys["k"].len(), 2);
        assert!(!snapshot.keys["k"][1].in_force(Millis(20)));
        controls.apply_key("other", KeyControl::Block, Millis(30), None, "d");
        assert_eq!(controls.snapshot().keys["k"].len(), 1, "expired ones go at the next change");
        assert!(controls.lift_key("k", "divert") && !controls.lift_key("k", "divert"));
        assert!(!controls.snapshot().keys.contains_key("k"));
    }

    #[test]
    fn a_switch_of_version_gives_what_undo_needs_and_survives_a_restart() {
        let controls = Controls::new();
        assert_eq!(controls.set_version(Some("1".into())), None);
        assert_eq!(controls.set_version(Some("2".into())), Some("1".into()));
        let stored = serde_json::to_string(&controls.snapshot()).unwrap();
        let after = Controls::new();
        after.restore(serde_json::from_str(&stored).unwrap());
        assert_eq!(after.version().as_deref(), Some("2"));
    }
}
