//! The list of text rooms: each says what its patterns are and when a match counts.

use mantlet_vocab::About;

use super::matcher::Pattern;

mod blocked_term;
mod indirect_injection;
mod injection_suspected;
mod link_exfiltration;
mod personal_data;
mod prompt_injection;
mod prompt_jailbreak;
mod prompt_leak;
mod prompt_persistence;
mod prompt_variations;
mod secret_exposed;
mod text_invisible;
mod tool_not_allowed;

pub(crate) use blocked_term::term as blocked_term_regex;
pub(crate) use indirect_injection::weigh as weigh_indirect;
pub(crate) use link_exfiltration::host as link_host;
pub(crate) use prompt_leak::{Echo, Heard, canary_regexes};
pub(crate) use prompt_persistence::persistent;
pub(crate) use prompt_variations::varied;
pub(crate) use text_invisible::Unseen;

/// A text room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    SecretExposed,
    PersonalData,
    LinkExfiltration,
    TextInvisible,
    PromptLeak,
    BlockedTerm,
    ToolNotAllowed,
    PromptInjection,
    PromptJailbreak,
    IndirectInjection,
    InjectionSuspected,
    PromptVariations,
    PromptPersistence,
    /// No room: a placeholder that stands for redacted text, to be put back.
    Placeholder,
}

impl Room {
    /// Every room with a card, in the order of reports.
    pub(crate) const ALL: [Self; 13] = [
        Self::SecretExposed,
        Self::PersonalData,
        Self::LinkExfiltration,
        Self::TextInvisible,
        Self::PromptLeak,
        Self::BlockedTerm,
        Self::ToolNotAllowed,
        Self::PromptInjection,
        Self::PromptJailbreak,
        Self::IndirectInjection,
        Self::InjectionSuspected,
        Self::PromptVariations,
        Self::PromptPersistence,
    ];

    pub(crate) const fn about(self) -> Option<&'static About> {
        Some(match self {
            Self::SecretExposed => &secret_exposed::ABOUT,
            Self::PersonalData => &personal_data::ABOUT,
            Self::LinkExfiltration => &link_exfiltration::ABOUT,
            Self::TextInvisible => &text_invisible::ABOUT,
            Self::PromptLeak => &prompt_leak::ABOUT,
            Self::BlockedTerm => &blocked_term::ABOUT,
            Self::ToolNotAllowed => &tool_not_allowed::ABOUT,
            Self::PromptInjection => &prompt_injection::ABOUT,
            Self::PromptJailbreak => &prompt_jailbreak::ABOUT,
            Self::IndirectInjection => &indirect_injection::ABOUT,
            Self::InjectionSuspected => &injection_suspected::ABOUT,
            Self::PromptVariations => &prompt_variations::ABOUT,
            Self::PromptPersistence => &prompt_persistence::ABOUT,
            Self::Placeholder => return None,
        })
    }

    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The identity cards of the text rooms.
#[must_use]
pub fn text_abouts() -> Vec<&'static About> {
    Room::ALL.into_iter().filter_map(Room::about).collect()
}

/// The patterns that need no configuration.
pub(crate) fn patterns() -> Vec<Pattern> {
    let mut patterns = secret_exposed::patterns();
    patterns.extend(personal_data::patterns());
    patterns.extend(link_exfiltration::patterns());
    patterns.push(Pattern::new(
        Room::Placeholder,
        "placeholder",
        "",
        r"<[A-Z]{2,8}_[1-9][0-9]{0,3}>",
        |_| Some((0.0, 0)),
    ));
    patterns
}
