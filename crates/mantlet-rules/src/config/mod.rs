//! Rules over configuration files.

mod calls;
mod entity;
mod expansion;
mod hostile_command;
mod remote_code;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &remote_code::ConfigRemoteCode,
        &calls::ConfigCalls,
        &expansion::ConfigExpansion,
        &entity::ConfigEntity,
        &hostile_command::ConfigHostileCommand,
    ]
}
