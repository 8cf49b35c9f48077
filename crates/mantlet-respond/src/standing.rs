//! Which orders are in force, and what they mean together for a key, a route, a system.
//!
//! Orders are layers: the strictest counts, and taking one away never takes another with it. That is why
//! undoing restores what was there before, in whatever order steps come and go.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};

use crate::ports::{Actuator, ActuatorError, Order};
use crate::step::Containment;

/// What the orders in force mean for one key. The ends are a safety net for the guard, should nobody undo in
/// time, and not the means of expiry; `None` is no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyStanding {
    /// Requests a minute, the strictest; `None` when it is not slowed.
    pub per_minute: Option<u32>,
    /// When slowing ends at the latest.
    pub slowed_until: Option<Millis>,
    /// Every request is refused.
    pub blocked: bool,
    /// When refusing ends at the latest.
    pub blocked_until: Option<Millis>,
    /// A person decides.
    pub diverted: bool,
    /// When diverting ends at the latest.
    pub diverted_until: Option<Millis>,
}

impl KeyStanding {
    /// Whether nothing is in force.
    #[must_use]
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }
}

/// Every order in force, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    orders: Vec<Order>,
    /// The version each rolled-back system had before its first roll-back.
    base: BTreeMap<String, Option<String>>,
}

impl Standing {
    /// Puts an order in force; replaces the one of the same id.
    pub fn hold(&mut self, order: Order) {
        if let Containment::RollBack { system, from, .. } = &order.action {
            self.base.entry(system.clone()).or_insert_with(|| from.clone());
        }
        match self.orders.iter_mut().find(|held| held.id == order.id) {
            Some(held) => *held = order,
            None => self.orders.push(order),
        }
    }

    /// Takes an order out of force.
    pub fn release(&mut self, id: &str) -> Option<Order> {
        let index = self.orders.iter().position(|order| order.id == id)?;
        let order = self.orders.remove(index);
        if let Containment::RollBack { system, .. } = &order.action
            && self.version(system).is_none()
        {
            self.base.remove(system);
        }
        Some(order)
    }

    /// Whether an order is in force.
    #[must_use]
    pub fn holds(&self, id: &str) -> bool {
        self.orders.iter().any(|order| order.id == id)
    }

    /// The orders in force, oldest first.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.orders.iter()
    }

    /// The latest roll-back of a system: the version that answers, `None` inside for the last known-good.
    #[must_use]
    pub fn version(&self, system: &str) -> Option<Option<&str>> {
        self.orders().rev().find_map(|order| match &order.action {
            Containment::RollBack { system: mine, to, .. } if mine == system => Some(to.as_deref()),
            _ => None,
        })
    }

    /// The order in force that sets the same switch.
    fn same(&self, action: &Containment) -> Option<&Order> {
        self.orders().rev().find(|order| same_switch(&order.action, action))
    }

    /// What is in force for a key.
    #[must_use]
    pub fn key(&self, key: &str) -> KeyStanding {
        let mut standing = KeyStanding::default();
        for order in self.orders().filter(|order| order.action.key() == Some(key)) {
            match &order.action {
                Containment::ThrottleKey { per_minute, .. } => {
                    standing.slowed_until =
                        later(standing.per_minute.is_some(), standing.slowed_until, order.until);
                    standing.per_minute =
                        Some(standing.per_minute.map_or(*per_minute, |now| now.min(*per_minute)));
                }
                Containment::BlockKey { .. } => {
                    standing.blocked_until = later(standing.blocked, standing.blocked_until, order.until);
                    standing.blocked = true;
                }
                Containment::DivertKey { .. } => {
                    standing.diverted_until = later(standing.diverted, standing.diverted_until, order.until);
                    standing.diverted = true;
                }
                Containment::DivertPath { .. }
                | Containment::RollBack { .. }
                | Containment::HoldCandidate { .. }
                | Containment::FreezeRetraining { .. }
                | Containment::PinRule { .. } => {}
            }
        }
        standing
    }
}

/// The later of two ends, where `None` is no end; the first counts only when something is in force.
fn later(in_force: bool, one: Option<Millis>, other: Option<Millis>) -> Option<Millis> {
    if !in_force {
        return other;
    }
    one.zip(other).map(|(one, other)| one.max(other))
}

/// Whether two actions set the same switch.
fn same_switch(a: &Containment, b: &Containment) -> bool {
    match (a, b) {
        (Containment::RollBack { system: a, .. }, Containment::RollBack { system: b, .. }) => a == b,
        (
            Containment::PinRule { system: a, name: x, .. },
            Containment::PinRule { system: b, name: y, .. },
        ) => a == b && x == y,
        _ => a == b,
    }
}

/// The switches a deployment has. Each call says how a switch is to stand from now on, so that saying it
/// twice changes nothing.
pub trait Switches: Send + Sync {
    /// How a key stands.
    fn set_key(
        &self,
        key: &str,
        standing: KeyStanding,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send;

    /// Whether a person decides everything on a route (`None`: all routes) of a system.
    fn divert_path(
        &self,
        system: &str,
        route: Option<&str>,
        on: bool,
        until: Option<Millis>,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send;

    /// Which version of a system answers: this one, or the last known-good one for `None`. The
    /// implementation verifies digest and signature before it switches, and refuses when they do not fit.
    fn serve_version(
        &self,
        system: &str,
        version: Option<&str>,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send;

    /// Whether a candidate is kept from promotion.
    fn hold_candidate(
        &self,
        system: &str,
        subject: &str,
        on: bool,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send;

    /// Whether retraining of a system is held. What a person froze is not released by taking this away.
    fn freeze_retraining(
        &self,
        system: &str,
        on: bool,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send;

    /// Whether the guard has this rule.
    fn pin_rule(
        &self,
        system: &str,
        name: &str,
        rule: &serde_json::Value,
        on: bool,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send;
}

impl<S: Switches + ?Sized> Switches for Arc<S> {
    fn set_key(
        &self,
        key: &str,
        standing: KeyStanding,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send {
        (**self).set_key(key, standing)
    }
    fn divert_path(
        &self,
        system: &str,
        route: Option<&str>,
        on: bool,
        until: Option<Millis>,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send {
        (**self).divert_path(system, route, on, until)
    }
    fn serve_version(
        &self,
        system: &str,
        version: Option<&str>,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send {
        (**self).serve_version(system, version)
    }
    fn hold_candidate(
        &self,
        system: &str,
        subject: &str,
        on: bool,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send {
        (**self).hold_candidate(system, subject, on)
    }
    fn freeze_retraining(
        &self,
        system: &str,
        on: bool,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send {
        (**self).freeze_retraining(system, on)
    }
    fn pin_rule(
        &self,
        system: &str,
        name: &str,
        rule: &serde_json::Value,
        on: bool,
    ) -> impl Future<Output = Result<(), ActuatorError>> + Send {
        (**self).pin_rule(system, name, rule, on)
    }
}

/// An [`Actuator`] over [`Switches`] that keeps the actuator's laws by holding orders as layers.
#[derive(Debug, Default)]
pub struct Switchboard<S> {
    switches: S,
    /// One change at a time: what is in force and how the switches stand must not drift apart.
    standing: tokio::sync::Mutex<Standing>,
}

impl<S: Switches> Switchboard<S> {
    /// A board with nothing in force.
    pub fn new(switches: S) -> Self {
        Self { switches, standing: tokio::sync::Mutex::new(Standing::default()) }
    }

    /// The switches.
    pub const fn switches(&self) -> &S {
        &self.switches
    }

    /// What is in force now.
    pub async fn standing(&self) -> Standing {
        self.standing.lock().await.clone()
    }

    /// Sets the switch an action is about to what the orders in force say together.
    async fn set(
        &self,
        standing: &Standing,
        action: &Containment,
        base: Option<&str>,
    ) -> Result<(), ActuatorError> {
        let held = standing.same(action);
        match action {
            Containment::ThrottleKey { key, .. }
            | Containment::BlockKey { key }
            | Containment::DivertKey { key } => self.switches.set_key(key, standing.key(key)).await,
            Containment::DivertPath { system, route } => {
                let until = held.and_then(|order| order.until);
                self.switches.divert_path(system, route.as_deref(), held.is_some(), until).await
            }
            Containment::RollBack { system, .. } => match (standing.version(system), base) {
                (Some(version), _) => self.switches.serve_version(system, version).await,
                (None, Some(base)) => self.switches.serve_version(system, Some(base)).await,
                (None, None) => {
                    Err(ActuatorError::Unknown(format!("version of {system} from before the roll-back")))
                }
            },
            Containment::HoldCandidate { system, subject } => {
                self.switches.hold_candidate(system, subject, held.is_some()).await
            }
            Containment::FreezeRetraining { system } => {
                self.switches.freeze_retraining(system, held.is_some()).await
            }
            Containment::PinRule { system, name, rule, .. } => {
                self.switches.pin_rule(system, name, rule, held.is_some()).await
            }
        }
    }
}

impl<S: Switches> Actuator for Switchboard<S> {
    async fn apply(&self, order: &Order) -> Result<(), ActuatorError> {
        let mut standing = self.standing.lock().await;
        let before = standing.clone();
        standing.hold(order.clone());
        let set = self.set(&standing, &order.action, None).await;
        if set.is_err() {
            *standing = before;
        }
        set
    }

    async fn undo(&self, order: &Order) -> Result<(), ActuatorError> {
        let mut standing = self.standing.lock().await;
        let before = standing.clone();
        let Some(held) = standing.release(&order.id) else { return Ok(()) };
        let base = match &held.action {
            Containment::RollBack { system, .. } => before.base.get(system).and_then(Option::as_deref),
            _ => None,
        };
        let set = self.set(&standing, &held.action, base).await;
        if set.is_err() {
            *standing = before;
        }
        set
    }
}
