//! Rules over configuration files.

mod calls;
mod endless_pattern;
mod entity;
mod expansion;
mod host_reach;
mod hostile_command;
mod remote_code;
mod sends_secret;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &remote_code::ConfigRemoteCode,
        &calls::ConfigCalls,
        &expansion::ConfigExpansion,
        &endless_pattern::ConfigEndlessPattern,
        &entity::ConfigEntity,
        &hostile_command::ConfigHostileCommand,
        &host_reach::ConfigHostReach,
        &sends_secret::ConfigSendsSecret,
    ]
}
