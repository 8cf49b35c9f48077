//! Alerts become incidents in plain words; incidents become steps that can be undone.
//!
//! [`Streams`] turns what the guard saw into [`Alert`]s; [`Desk`] joins alerts that belong together into an
//! [`Incident`], writes its five answers and plans its steps by the playbook's [`action`]s; [`Hands`] carries
//! steps out through an [`Actuator`] and keeps incidents in an [`IncidentStore`], so that a crash between the
//! two is finished at the next start. Time comes in as a value everywhere.

pub mod action;
mod alert;
mod answers;
mod behaviour;
mod desk;
mod group;
mod hands;
mod ids;
mod incident;
mod memory;
mod more;
mod plain;
mod playbook;
mod ports;
mod record;
mod standing;
mod step;
mod stream;

pub use action::abouts;
pub use alert::{Alert, AlertKind, RuleDraft, Traffic};
pub use desk::{Desk, Intake};
pub use group::StepGroup;
pub use hands::{Deed, Hands, RespondError};
pub use incident::{Incident, IncidentState, SELF};
pub use memory::MemoryIncidents;
pub use playbook::Playbook;
pub use ports::{Actuator, ActuatorError, IncidentFilter, IncidentStore, IncidentStoreError, Order};
pub use record::{Delivery, Entry, FiveAnswers, Times};
pub use standing::{KeyStanding, Standing, Switchboard, Switches};
pub use step::{BlastRadius, Containment, OnExpiry, Step, StepState, Undo, lasting};
pub use stream::{Raised, Seen, Streams};
