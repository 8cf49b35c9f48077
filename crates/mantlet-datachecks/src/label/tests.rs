//! Runs every room's `cases.md`.

use mantlet_vocab::{About, Finding, Place, Severity};

use super::{Labelled, Origin, all, confident, look};

/// The classes of a case that does not name its own, with their rows.
const HERD: &str = "cat:600,dog:600,cow:600";
const LABELERS: u32 = 6;

/// Findings of a case: a model that knows the true class of every row, with different certainty.
fn found(text: &str) -> Vec<Finding> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let own = words.first().is_some_and(|word| word.contains(':'));
    let named = if own { words[0] } else { HERD };
    let (names, sizes): (Vec<&str>, Vec<usize>) = named
        .split(',')
        .map(|class| class.split_once(':').unwrap())
        .map(|(name, rows)| (name, rows.parse::<usize>().unwrap()))
        .unzip();
    let count = names.len();
    let class = |word: &str| names.iter().position(|other| *other == word).unwrap();
    // Classes take turns while they have rows left, and labelers within each class.
    let mut turns: Vec<(usize, usize)> =
        sizes.iter().enumerate().flat_map(|(class, &rows)| (0..rows).map(move |at| (at, class))).collect();
    turns.sort_unstable();
    let truth: Vec<usize> = turns.iter().map(|&(_, class)| class).collect();
    let mut given = truth.clone();
    let labelers: Vec<u32> = turns.iter().map(|&(at, _)| at as u32 % LABELERS).collect();
    let mut at = usize::from(own);
    while at < words.len() {
        let (from, to) = words[at].split_once("->").unwrap();
        let turned: usize = words[at + 1].parse().unwrap();
        at += 2;
        let by: Option<u32> = (words.get(at) == Some(&"by")).then(|| words[at + 1].parse().unwrap());
        at += if by.is_some() { 2 } else { 0 };
        let rows = (0..truth.len())
            .filter(|&row| truth[row] == class(from) && given[row] == truth[row])
            .filter(|&row| by.is_none_or(|by| labelers[row] == by));
        // Spread over the labelers, as a chance choice would be.
        let rows: Vec<usize> = rows.collect();
        let mut stride = (rows.len() / turned).max(1);
        while [2, 3, 5].iter().any(|&prime| stride.is_multiple_of(prime)) {
            stride += 1;
        }
        (0..turned).for_each(|i| given[rows[i * stride % rows.len()]] = class(to));
    }
    let sure = |row: usize| 0.7 + 0.25 * ((row * 37 % 101) as f32 / 101.0);
    let probabilities: Vec<f32> = (0..truth.len())
        .flat_map(|row| (0..count).map(move |class| (row, class)))
        .map(
            |(row, class)| {
                if class == truth[row] { sure(row) } else { (1.0 - sure(row)) / (count - 1) as f32 }
            },
        )
        .collect();
    let confident = confident(&given, &probabilities, count);
    let classes: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let counts: Vec<u64> =
        (0..count).map(|class| given.iter().filter(|&&own| own == class).count() as u64).collect();
    let origin = Origin {
        name: "labeler".into(),
        words: (0..LABELERS).map(|l| l.to_string()).collect(),
        rows: labelers,
    };
    let origins = [origin];
    let said: Vec<u32> = given.iter().map(|&class| class as u32).collect();
    let labelled = Labelled {
        confident: &confident,
        classes: &classes,
        counts: &counts,
        given: &said,
        origins: &origins,
        names: &[],
    };
    look(&labelled, &Place::artifact("case"))
}

#[test]
fn every_case_holds() {
    for room in all() {
        let mut heading = "";
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            } else if line == "```label" {
                let found = found(lines.next().unwrap());
                let hit = found.iter().any(|finding| finding.name == room.about.name);
                assert_eq!(hit, heading.starts_with("hit"), "{}: {heading}: {found:#?}", room.about.name);
                for (lead, aimed) in [("hit: aimed, ", true), ("hit: noise, ", false)] {
                    if heading.starts_with(lead) {
                        let own = found.iter().find(|finding| finding.name == room.about.name).unwrap();
                        assert_eq!(own.facts["aimed"], aimed, "{heading}: {own:#?}");
                        let way = own.facts["main_direction"].as_str().unwrap().replace(" -> ", " to ");
                        assert!(!aimed || heading.ends_with(&way), "{heading}: {way}");
                    }
                }
                let quiet = found.iter().all(|finding| finding.severity == Severity::Note);
                assert!(!heading.starts_with("benign") || quiet, "{heading}: {found:#?}");
            }
        }
    }
}

#[test]
fn an_aim_is_told_from_noise() {
    let cases: Vec<&str> = super::source::ABOUT.cases.lines().filter(|line| line.contains("->")).collect();
    let source = |text: &str| found(text).into_iter().find(|finding| finding.name == "label-source").unwrap();
    let (aimed, noise) = (source(cases[0]), source(cases[1]));
    assert_eq!((aimed.severity, noise.severity), (Severity::Suspicious, Severity::Note));
    assert_eq!(aimed.facts["main_direction"], "cat -> dog");
    assert_eq!(aimed.place.to_string(), "case (labeler=2)");
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
