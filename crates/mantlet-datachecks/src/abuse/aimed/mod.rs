//! A text insults somebody, threatens them, calls for self-harm, or calls a group of people vermin.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::{Abuse, Words};

pub(super) const ABOUT: About = About {
    name: "abuse-aimed",
    title: "texts insult or threaten somebody",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Words between somebody and what they are called.
const NEAR: usize = 4;

const YOU: [&str; 6] = ["you", "u", "ur", "youre", "your", "yourself"];
const ARE: [&str; 9] = ["are", "re", "is", "was", "were", "such", "being", "r", "youre"];
/// Names nobody is called in praise.
const NAMES: [&str; 34] = [
    "idiot",
    "idiots",
    "moron",
    "morons",
    "imbecile",
    "imbeciles",
    "dumbass",
    "dumbasses",
    "asshole",
    "assholes",
    "arsehole",
    "dickhead",
    "bastard",
    "bastards",
    "bitch",
    "bitches",
    "whore",
    "whores",
    "slut",
    "sluts",
    "cunt",
    "cunts",
    "scumbag",
    "scumbags",
    "retard",
    "retards",
    "retarded",
    "shithead",
    "motherfucker",
    "motherfuckers",
    "fuckwit",
    "wanker",
    "scum",
    "dipshit",
];
/// What is an insult of somebody only.
const QUALITIES: [&str; 11] = [
    "pathetic",
    "worthless",
    "disgusting",
    "stupid",
    "ugly",
    "brainless",
    "subhuman",
    "vermin",
    "trash",
    "filth",
    "garbage",
];
const HARM: [&str; 17] = [
    "kill",
    "murder",
    "stab",
    "shoot",
    "strangle",
    "rape",
    "behead",
    "hurt",
    "beat",
    "burn",
    "destroy",
    "slaughter",
    "cut",
    "break",
    "hang",
    "poison",
    "choke",
];
/// Harm that words of everyday wish nobody.
const GRAVE: [&str; 9] =
    ["kill", "murder", "stab", "shoot", "strangle", "rape", "behead", "slaughter", "choke"];
const GROUPS: [&str; 26] = [
    "they",
    "women",
    "men",
    "immigrants",
    "migrants",
    "refugees",
    "foreigners",
    "muslims",
    "jews",
    "christians",
    "hindus",
    "blacks",
    "whites",
    "asians",
    "africans",
    "arabs",
    "mexicans",
    "gays",
    "lesbians",
    "homosexuals",
    "trans",
    "gypsies",
    "disabled",
    "poor",
    "homeless",
    "people",
];
const BEASTS: [&str; 16] = [
    "vermin",
    "rats",
    "cockroaches",
    "roaches",
    "parasites",
    "pigs",
    "animals",
    "subhuman",
    "subhumans",
    "savages",
    "filth",
    "scum",
    "trash",
    "garbage",
    "maggots",
    "plague",
];
const ENDS: [&str; 8] =
    ["exterminated", "gassed", "shot", "killed", "hanged", "burned", "eradicated", "slaughtered"];

/// The gravest kind of abuse in a text.
#[must_use]
pub fn kind(words: &Words) -> Option<Abuse> {
    words.sentences().filter_map(sentence).min()
}

fn sentence(words: &[String]) -> Option<Abuse> {
    let at = |place: usize| words.get(place).map_or("", String::as_str);
    let is = |place: usize, list: &[&str]| list.contains(&at(place));
    let any = |places: std::ops::Range<usize>, list: &[&str]| places.into_iter().any(|place| is(place, list));
    let mut found: Option<Abuse> = None;
    let mut tell = |kind: Abuse| found = Some(found.map_or(kind, |known: Abuse| known.min(kind)));
    for place in 0..words.len() {
        let before = place.saturating_sub(NEAR)..place;
        // `kill yourself`, `go hang yourself`, `you should die`, `hope you die`, `kys`.
        let own = at(place + 1) == "yourself" || at(place + 1) == "urself";
        let wished = at(place) == "die"
            && any(before.clone(), &YOU)
            && any(before.clone(), &["should", "hope", "must", "deserve", "please", "wish"]);
        let denied = any(before.clone(), &["dont", "didnt", "never", "not", "without", "if", "afraid"]);
        if (is(place, &["kill", "hang", "shoot", "drown", "stab"]) && own && !denied)
            || (at(place) == "kys")
            || (wished && !denied)
        {
            tell(Abuse::SelfHarm);
        }
        // `i will kill you`, `im gonna stab your`.
        let whom = is(place + 1, &["you", "u", "your", "ya"]);
        let me = any(before.clone(), &["i", "ill", "im", "we", "well", "ima"]);
        let will = any(before.clone(), &["will", "ill", "gonna", "going", "ima", "shall", "well", "swear"]);
        if is(place, &HARM) && whom && me && will && !denied {
            let part = is(
                place + 2,
                &["throat", "face", "neck", "legs", "arms", "bones", "head", "family", "house"],
            );
            if is(place, &GRAVE) || (part && at(place + 1) == "your") {
                tell(Abuse::Threat);
            }
        }
        // `immigrants are vermin`, `they should all be gassed`, `women dont deserve to live`.
        let group = any(before.clone(), &GROUPS);
        if group && is(place, &BEASTS) && any(before.clone(), &["are", "is", "like", "were"]) && !denied {
            tell(Abuse::Dehumanising);
        }
        let should = any(place.saturating_sub(5)..place, &["should", "must", "need", "ought", "deserve"]);
        let whole = any(place.saturating_sub(7)..place, &GROUPS);
        if is(place, &ENDS) && should && whole && any(place.saturating_sub(2)..place, &["be"]) && !denied {
            tell(Abuse::Dehumanising);
        }
        let unworthy = at(place) == "deserve" && is(place.wrapping_sub(1), &["dont", "doesnt", "not"]);
        if unworthy && group && at(place + 1) == "to" && is(place + 2, &["live", "exist"]) {
            tell(Abuse::Dehumanising);
        }
        // `you are a worthless moron`, `you idiot`, `stupid bitch`.
        let you = place > 0 && any(before.clone(), &YOU);
        let quoted = any(before.clone(), &["not", "arent", "isnt", "never", "dont", "feel", "no"]);
        if is(place, &NAMES) && !quoted {
            let called = you && (is(place.wrapping_sub(1), &YOU) || any(before.clone(), &ARE));
            let cursed = is(place.wrapping_sub(1), &["fucking", "stupid", "dumb", "worthless", "filthy"])
                && (you || is(place.wrapping_sub(2), &YOU));
            if called || cursed {
                tell(Abuse::Insult);
            }
        }
        let are = any(before.clone(), &["are", "re", "youre", "r"]);
        let thing = !is(place, &["stupid", "ugly"]) || is(place + 1, &NAMES) || at(place + 1) == "and";
        if is(place, &QUALITIES) && you && are && !quoted && thing {
            let of_you = is(
                place.wrapping_sub(1),
                &["youre", "are", "so", "a", "such", "fucking", "just", "and", "r"],
            );
            if of_you && !any(before, &["what", "how", "if"]) {
                tell(Abuse::Insult);
            }
        }
    }
    found
}
