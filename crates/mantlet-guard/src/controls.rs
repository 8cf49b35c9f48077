//! What a person or a playbook has switched on while traffic flows: per key, per decision path, per version.
//!
//! Every control has a reason and may have an expiry; an expired control is as if it had never been. Reading is
//! lock-free (one pointer load), writing copies, so a switch is seen by the next request and by none halfway.
//!
//! Long because which version answers is decided by switches that rest for one another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use mantlet_vocab::{Digest, Millis};
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

/// A version that answers a share of the callers, or gets copies of what they ask, while another one serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The rollout's id: callers are placed by it, the same on every replica and after every restart.
    pub rollout: String,
    /// The version that serves everybody else. While a person or playbook has chosen another, the split rests.
    pub stable: String,
    /// The version that is tried.
    pub candidate: String,
    /// Its share of the callers, in hundredths of a percent.
    pub share: u32,
    /// Whether it gets copies of allowed requests, its answers being compared and given to nobody.
    pub shadow: bool,
}

impl Split {
    /// Whether this caller's requests go to the candidate. A caller that does at one share does so at every larger
    /// one.
    #[must_use]
    pub fn takes(&self, caller: &str) -> bool {
        // SHA-256 keyed by the rollout: even, and not to be steered by whoever picks caller ids without knowing it.
        place(&self.rollout, caller) < u64::from(self.share)
    }
}

/// Where a caller stands among all, in hundredths of a percent: even, and the same on every replica and in every build.
fn place(among: &str, caller: &str) -> u64 {
    let digest = Digest::of(format!("{among}\0{caller}").as_bytes());
    let place = digest.0.iter().take(8).fold(0_u64, |place, byte| place << 8 | u64::from(*byte));
    u64::try_from((u128::from(place) * 10_000) >> 64).unwrap_or(u64::MAX)
}

/// What the configuration says of versions beside the one that serves. While a person or playbook has chosen another
/// one, all of it rests: whoever goes back to a version must not be given the one that was left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Beside {
    /// The version that serves everybody else; `None` where none is on record.
    pub stable: Option<String>,
    /// Versions with their shares of the callers, in hundredths of a percent.
    pub shares: Vec<(String, u32)>,
}

impl Beside {
    /// The version beside the one that serves that answers this caller; it stays so while the shares do.
    #[must_use]
    pub fn takes(&self, caller: &str) -> Option<&str> {
        if self.shares.is_empty() {
            return None;
        }
        let mut rest = place("weights", caller);
        self.shares.iter().find_map(|(version, share)| match rest.checked_sub(u64::from(*share)) {
            Some(less) => {
                rest = less;
                None
            }
            None => Some(version.as_str()),
        })
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
    /// A version being tried beside the one that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// What the configuration says of versions beside the one that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
}

impl ControlsSnapshot {
    /// Whether the version that answers is the one the configuration means.
    fn is_as_configured(&self) -> bool {
        self.beside.as_ref().is_none_or(|beside| beside.stable == self.version)
    }

    /// The split, unless another version than its stable one was chosen meanwhile.
    fn active_split(&self) -> Option<&Split> {
        let chosen = self.version.as_ref();
        self.split.as_ref().filter(|split| chosen.is_none_or(|chosen| *chosen == split.stable))
    }
}

/// The switches of one guarded system.
#[derive(Debug, Default)]
pub struct Controls {
    current: ArcSwap<ControlsSnapshot>,
    writing: Mutex<()>,
    /// Where controls on keys and on the decision path are looked up instead, for a further route of the system.
    of: Option<Arc<Self>>,
    /// Whether the switch on the decision path is its own all the same.
    own_path: bool,
    /// Whether the record that these follow is out of reach.
    cut_off: AtomicBool,
}

impl Controls {
    /// No control in force.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The switches of a further route: who is blocked, throttled or diverted is so on every route of the system, as
    /// these say; versions are each route's own.
    #[must_use]
    pub fn beside_those(of: Arc<Self>) -> Self {
        Self { of: Some(of), ..Self::default() }
    }

    /// The switches of another system's route behind the same gateway: who is blocked, throttled or diverted is so there,
    /// too, as these say; versions and the switch on the decision path are its own.
    #[must_use]
    pub fn of_another_system(of: Arc<Self>) -> Self {
        Self { of: Some(of), own_path: true, ..Self::default() }
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

    /// Replaces the controls on keys, as a record that replicas share has them; says whether they differed.
    pub fn replace_keys(&self, keys: BTreeMap<String, Vec<ActiveControl<KeyControl>>>) -> bool {
        self.change(|current| {
            let differed = current.keys != keys;
            current.keys = keys;
            differed
        })
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

    /// The version being tried beside the one that serves.
    #[must_use]
    pub fn split(&self) -> Option<Split> {
        self.current.load().split.clone()
    }

    /// Tries a version beside the one that serves from the next request on, or ends that; gives what was before.
    /// Verify the candidate's digest and signature before calling.
    pub fn set_split(&self, split: Option<Split>) -> Option<Split> {
        self.change(|current| std::mem::replace(&mut current.split, split))
    }

    /// Lets one version answer everybody from the next request on, and ends what is tried beside it, both at once.
    pub fn serve_only(&self, version: &str) {
        self.change(|current| {
            current.version = Some(version.to_owned());
            current.split = None;
        });
    }

    /// Whether a version is being tried beside the one that serves.
    #[must_use]
    pub fn is_trying(&self) -> bool {
        self.current.load().split.is_some()
    }

    /// The version other than the serving one that answers this caller: the one being tried, when it has the caller;
    /// while none is tried, the one whose configured share the caller is in.
    #[must_use]
    pub fn canary(&self, caller: &str) -> Option<String> {
        let current = self.current.load();
        if let Some(split) = current.active_split().filter(|split| !split.shadow) {
            return split.takes(caller).then(|| split.candidate.clone());
        }
        let beside = current.beside.as_ref().filter(|_| current.is_as_configured())?;
        beside.takes(caller).map(str::to_owned)
    }

    /// What the configuration says of versions beside the one that serves.
    #[must_use]
    pub fn beside(&self) -> Option<Beside> {
        self.current.load().beside.clone()
    }

    /// Takes over what the configuration says of versions beside the one that serves. Verify their digests and
    /// signatures before calling.
    pub fn set_beside(&self, beside: Option<Beside>) {
        self.change(|current| current.beside = beside);
    }

    /// Whether a version that cannot be reached may be stood in for by the configured fallback: not while a person or
    /// playbook has chosen the version that answers.
    #[must_use]
    pub fn may_fall_back(&self) -> bool {
        self.current.load().is_as_configured()
    }

    /// The version that gets copies of requests, when there is one.
    #[must_use]
    pub fn shadow(&self) -> Option<String> {
        let current = self.current.load();
        current.active_split().filter(|split| split.shadow).map(|split| split.candidate.clone())
    }

    /// Whether the record that these switches follow is out of reach, so that what others switched since is not seen here:
    /// [`crate::GuardConfig::replicas_on_failure`] decides what then happens to requests.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.of.as_deref().unwrap_or(self).cut_off.load(Ordering::Relaxed)
    }

    /// The record is out of reach, or is there again.
    pub fn set_cut_off(&self, cut_off: bool) {
        self.cut_off.store(cut_off, Ordering::Relaxed);
    }

    /// Why every decision goes to a person, where that is switched on.
    #[must_use]
    pub fn path(&self) -> Option<ActiveControl<()>> {
        self.read(|_, path| path.cloned())
    }

    /// Reads the controls on keys and on the decision path in place.
    pub(crate) fn read<R>(
        &self,
        read: impl FnOnce(&BTreeMap<String, Vec<ActiveControl<KeyControl>>>, Option<&ActiveControl<()>>) -> R,
    ) -> R {
        let of = self.of.as_deref().unwrap_or(self).current.load();
        if self.own_path {
            return read(&of.keys, self.current.load().path.as_ref());
        }
        read(&of.keys, of.path.as_ref())
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
    fn a_further_route_knows_who_is_blocked_and_has_versions_of_its_own() {
        let all = Arc::new(Controls::new());
        let further = Controls::beside_those(Arc::clone(&all));
        all.apply_key("k", KeyControl::Block, Millis(0), None, "a");
        all.divert_path(Millis(0), None, "b");
        all.set_version(Some("2".into()));
        assert!(further.read(|keys, path| keys.contains_key("k") && path.is_some()));
        assert_eq!(further.version(), None);
        all.lift_key("k", "block");
        assert!(all.release_path());
        assert!(further.read(|keys, path| keys.is_empty() && path.is_none()));
    }

    #[test]
    fn another_systems_route_knows_who_is_blocked_and_has_a_decision_path_of_its_own() {
        let all = Arc::new(Controls::new());
        let other = Controls::of_another_system(Arc::clone(&all));
        all.apply_key("k", KeyControl::Block, Millis(0), None, "a");
        all.divert_path(Millis(0), None, "b");
        assert!(other.read(|keys, path| keys.contains_key("k") && path.is_none()));
        assert_eq!(other.path(), None);
        assert!(all.release_path());
        other.divert_path(Millis(0), None, "c");
        assert_eq!(other.path().map(|path| path.reason), Some("c".to_owned()));
        assert_eq!(all.path(), None, "the first system's decisions flow on");
        all.set_cut_off(true);
        assert!(other.is_cut_off(), "one record is behind both");
    }

    fn split(rollout: &str, share: u32) -> Split {
        let (stable, candidate) = ("1".into(), "2".into());
        Split { rollout: rollout.into(), stable, candidate, share, shadow: false }
    }

    #[test]
    fn a_share_is_a_share_of_the_callers_and_callers_stay() {
        for (rollout, share) in
            [("a", 100), ("b", 500), ("c", 1_000), ("d", 2_500), ("e", 5_000), ("f", 9_000)]
        {
            let split = split(rollout, share);
            let taken = (0..10_000).filter(|n| split.takes(&format!("caller-{n}"))).count();
            let off = (taken as f64 / 10_000.0 - f64::from(share) / 10_000.0).abs();
            assert!(off <= 0.01, "{rollout}: {taken} of 10000 at {share}");
            let larger = Split { share: share + 500, ..split.clone() };
            for n in 0..1_000 {
                let caller = format!("caller-{n}");
                assert!(!split.takes(&caller) || larger.takes(&caller));
            }
        }
        assert!((0..1_000).all(|n| !split("a", 0).takes(&n.to_string())));
        assert!((0..1_000).all(|n| split("a", 10_000).takes(&n.to_string())));
    }

    #[test]
    fn a_split_rests_while_another_version_was_chosen_and_ends_with_one_switch() {
        let controls = Controls::new();
        controls.set_split(Some(split("r", 10_000)));
        assert_eq!(controls.canary("k").as_deref(), Some("2"));
        controls.set_version(Some("1".into()));
        assert_eq!(controls.canary("k").as_deref(), Some("2"));
        controls.set_version(Some("0".into()));
        assert_eq!((controls.canary("k"), controls.shadow()), (None, None));
        controls.set_split(Some(Split { shadow: true, ..split("r", 0) }));
        controls.set_version(None);
        assert_eq!((controls.canary("k"), controls.shadow().as_deref()), (None, Some("2")));
        controls.serve_only("1");
        assert_eq!((controls.version().as_deref(), controls.split()), (Some("1"), None));
    }

    #[test]
    fn configured_shares_are_shares_and_rest_while_a_version_was_chosen_or_is_tried() {
        let controls = Controls::new();
        controls.set_version(Some("1".into()));
        let shares = vec![("2".to_owned(), 1_000), ("3".to_owned(), 500)];
        controls.set_beside(Some(Beside { stable: Some("1".into()), shares }));
        let count = |version: Option<&str>| {
            (0..10_000).filter(|n| controls.canary(&format!("caller-{n}")).as_deref() == version).count()
        };
        for (version, expected) in [(Some("2"), 1_000_usize), (Some("3"), 500), (None, 8_500)] {
            let got = count(version);
            assert!(got.abs_diff(expected) <= 100, "{version:?}: {got} of 10000");
        }
        assert!(controls.may_fall_back());
        // A rollout's split has all callers while it runs; copies for a shadow take nobody away.
        controls.set_split(Some(Split { candidate: "4".into(), ..split("r", 0) }));
        assert_eq!(count(None), 10_000);
        controls.set_split(Some(Split { shadow: true, ..split("r", 0) }));
        assert!(count(Some("2")) > 0);
        // Whoever went back to a version is not given the one that was left, by share or as a stand-in.
        controls.set_version(Some("0".into()));
        assert_eq!((count(None), controls.may_fall_back()), (10_000, false));
        let after = Controls::new();
        after.restore(serde_json::from_str(&serde_json::to_string(&controls.snapshot()).unwrap()).unwrap());
        assert_eq!(after.beside(), controls.beside());
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
