//! Switches that remember how they stand.

use std::collections::BTreeMap;
use std::sync::Mutex;

use mantlet_respond::{ActuatorError, KeyStanding, Switches};
use mantlet_vocab::Millis;

/// Switches that remember how they stand.
#[derive(Debug, Default)]
pub(crate) struct Panel {
    state: Mutex<PanelState>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct PanelState {
    pub(crate) keys: BTreeMap<String, KeyStanding>,
    pub(crate) paths: BTreeMap<(String, Option<String>), Option<Millis>>,
    pub(crate) version: BTreeMap<String, Option<String>>,
    pub(crate) held: Vec<(String, String)>,
    pub(crate) frozen: std::collections::BTreeSet<String>,
    pub(crate) rules: BTreeMap<(String, String), serde_json::Value>,
    pub(crate) broken: bool,
    pub(crate) calls: usize,
}

impl Panel {
    pub(crate) fn change(&self, change: impl FnOnce(&mut PanelState)) -> Result<(), ActuatorError> {
        let mut state = self.state.lock().unwrap();
        if state.broken {
            return Err(ActuatorError::Unreachable("panel".into()));
        }
        state.calls += 1;
        change(&mut state);
        Ok(())
    }

    pub(crate) fn look(&self) -> PanelState {
        PanelState { calls: 0, ..self.state.lock().unwrap().clone() }
    }
}

impl Switches for Panel {
    async fn set_key(&self, key: &str, standing: KeyStanding) -> Result<(), ActuatorError> {
        self.change(|state| {
            state.keys.insert(key.into(), standing);
            state.keys.retain(|_, standing| !standing.is_free());
        })
    }
    async fn divert_path(
        &self,
        system: &str,
        route: Option<&str>,
        on: bool,
        until: Option<Millis>,
    ) -> Result<(), ActuatorError> {
        let path = (system.to_owned(), route.map(str::to_owned));
        self.change(|state| {
            state.paths.remove(&path);
            if on {
                state.paths.insert(path, until);
            }
        })
    }
    async fn serve_version(&self, system: &str, version: Option<&str>) -> Result<(), ActuatorError> {
        self.change(|state| {
            state.version.insert(system.into(), version.map(str::to_owned));
        })
    }
    async fn hold_candidate(&self, system: &str, subject: &str, on: bool) -> Result<(), ActuatorError> {
        let candidate = (system.to_owned(), subject.to_owned());
        self.change(|state| {
            state.held.retain(|held| *held != candidate);
            if on {
                state.held.push(candidate);
                state.held.sort();
            }
        })
    }
    async fn freeze_retraining(&self, system: &str, on: bool) -> Result<(), ActuatorError> {
        self.change(|state| {
            if on {
                state.frozen.insert(system.into());
            } else {
                state.frozen.remove(system);
            }
        })
    }
    async fn pin_rule(
        &self,
        system: &str,
        name: &str,
        rule: &serde_json::Value,
        on: bool,
    ) -> Result<(), ActuatorError> {
        let key = (system.to_owned(), name.to_owned());
        self.change(|state| {
            state.rules.remove(&key);
            if on {
                state.rules.insert(key, rule.clone());
            }
        })
    }
}

impl Panel {
    pub(crate) fn break_it(&self, broken: bool) {
        self.state.lock().unwrap().broken = broken;
    }
}
