//! The impact class that a description of a decision suggests. A proposal: the person has the last word.

use mantlet_vocab::Impact;

/// Words whose presence suggests a class, worst first. Matched at the start of a word.
const WORDS: [(Impact, &[&str]); 3] = [
    (
        Impact::Critical,
        &[
            "diagnos",
            "surg",
            "dose",
            "dosing",
            "medic",
            "patient",
            "brake",
            "steer",
            "drive",
            "pilot",
            "weapon",
            "power grid",
        ],
    ),
    (
        Impact::High,
        &[
            "money",
            "pay",
            "fraud",
            "credit",
            "loan",
            "cheque",
            "check",
            "bank",
            "amount",
            "price",
            "insur",
            "hire",
            "hiring",
            "applicant",
            "admission",
            "benefit",
            "tax",
            "access",
            "identity",
            "police",
            "bail",
            "income",
            "default",
            "claim",
            "transaction",
            "health",
        ],
    ),
    (Impact::Low, &["recommend", "tag", "caption", "demo", "toy", "playlist", "wallpaper", "spell"]),
];

/// The class this description suggests, with the word that suggested it.
pub fn suggest(decides: &str) -> (Impact, Option<&'static str>) {
    let text = decides.to_lowercase();
    let starts = |needle: &str| {
        text.match_indices(needle)
            .any(|(at, _)| text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric()))
    };
    for (impact, words) in WORDS {
        if let Some(word) = words.iter().find(|word| starts(word)) {
            return (impact, Some(word));
        }
    }
    (Impact::Medium, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_suggest_and_nothing_is_medium() {
        for (text, impact) in [
            ("the amount a cheque pays out", Impact::High),
            ("which dose a patient gets", Impact::Critical),
            ("which songs we recommend", Impact::Low),
            ("colour of a button", Impact::Medium),
            ("whether a repayment", Impact::Medium),
        ] {
            assert_eq!(suggest(text).0, impact, "{text}");
        }
    }
}
