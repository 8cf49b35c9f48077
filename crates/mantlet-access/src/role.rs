//! Roles of people, and what each may do. Deny by default: what is not listed is not allowed.

use serde::{Deserialize, Serialize};

/// What a person is trusted with. Roles do not contain each other, except that everyone may look and an
/// administrator may do everything but stand in for the second pair of eyes (the registry checks that).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Contains incidents and undoes it.
    Operator,
    /// Decides diverted requests.
    Reviewer,
    /// Approves, promotes and rolls back versions.
    Approver,
    /// Everything, people and keys included.
    Admin,
}

impl Role {
    /// All roles, least first.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Operator, Self::Reviewer, Self::Approver, Self::Admin];

    /// The word used in records and configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Reviewer => "reviewer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.word() == text)
            .ok_or_else(|| format!("`{text}` is none of viewer, operator, reviewer, approver, admin"))
    }
}

/// Something a person may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// See systems, versions, incidents and figures.
    Look,
    /// See recorded exchanges and the inputs of diverted decisions.
    SeeExchanges,
    /// Apply a containment step.
    Contain,
    /// Undo a containment step.
    UndoContainment,
    /// Close an incident.
    CloseIncident,
    /// Decide or release a diverted request.
    DecideReview,
    /// Add a model version.
    AddVersion,
    /// Approve a version.
    ApproveVersion,
    /// Put a version before users.
    Promote,
    /// Put the known-good version back.
    RollBack,
    /// Change the mode or the configuration.
    Configure,
    /// Make or revoke API keys.
    ManageKeys,
    /// Make, change or disable people.
    ManageUsers,
    /// Read and verify the audit log.
    ReadAudit,
}

/// Whether a person with this role may do this.
#[must_use]
pub const fn may(role: Role, act: Act) -> bool {
    match (role, act) {
        (Role::Admin, _) | (_, Act::Look | Act::ReadAudit) => true,
        (Role::Operator, act) => matches!(
            act,
            Act::SeeExchanges
                | Act::Contain
                | Act::UndoContainment
                | Act::CloseIncident
                | Act::AddVersion
                | Act::RollBack
        ),
        (Role::Reviewer, act) => matches!(act, Act::SeeExchanges | Act::DecideReview),
        (Role::Approver, act) => {
            matches!(act, Act::SeeExchanges | Act::ApproveVersion | Act::Promote | Act::RollBack)
        }
        (Role::Viewer, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_roles_is_what_it_says() {
        const ACTS: [Act; 14] = [
            Act::Look,
            Act::SeeExchanges,
            Act::Contain,
            Act::UndoContainment,
            Act::CloseIncident,
            Act::DecideReview,
            Act::AddVersion,
            Act::ApproveVersion,
            Act::Promote,
            Act::RollBack,
            Act::Configure,
            Act::ManageKeys,
            Act::ManageUsers,
            Act::ReadAudit,
        ];
        let table: Vec<String> = Role::ALL
            .iter()
            .map(|&role| ACTS.iter().map(|&act| if may(role, act) { 'y' } else { '-' }).collect())
            .collect();
        let expected =
            ["y------------y", "yyyyy-y--y---y", "yy---y-------y", "yy-----yyy---y", "yyyyyyyyyyyyyy"];
        assert_eq!(table, expected);
        for role in Role::ALL {
            assert_eq!(role.word().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
