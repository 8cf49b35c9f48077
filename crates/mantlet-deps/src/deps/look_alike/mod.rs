//! Names a hurried reader takes for a well-known package.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::facts::normalise;
use crate::place::plain;
use crate::{Ecosystem, Facts, Origin};

pub(super) const ABOUT: About = About {
    name: "deps-look-alike",
    title: "a package name imitates a well-known one",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0010.001", "AML.T0011.001"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Names longer than this are no imitation of anything; the bound keeps the comparison cheap.
const LONGEST: usize = 64;

pub(super) fn check(facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
    let names = names(facts.format.ecosystem());
    for dependency in &facts.dependencies {
        // A package of the own workspace or folder is not fetched by its name.
        if dependency.name.is_empty() || matches!(dependency.origin, Origin::Path(_)) {
            continue;
        }
        let normal = dependency.normal();
        let Some(likeness) = names.likeness(&normal) else { continue };
        let at = super::at_line(place, dependency.line);
        let name = plain(&dependency.name);
        found.push(match likeness {
            Likeness::Foreign(target) => ABOUT
                .finding(
                    at,
                    format!("`{name}` is written with letters of another script and reads as `{target}`"),
                )
                .severity(Severity::Malicious)
                .confidence(Confidence::High)
                .fact("imitates", target),
            Likeness::ForeignUnknown => {
                ABOUT.finding(at, format!("`{name}` holds letters that package names never hold"))
            }
            Likeness::Drawn(target) => ABOUT
                .finding(at, format!("`{name}` looks like `{target}` in most typefaces"))
                .confidence(Confidence::High)
                .fact("imitates", target),
            Likeness::Spelt(target) => ABOUT
                .finding(at, format!("`{name}` is one slip away from `{target}`"))
                .fact("imitates", target),
            Likeness::Affixed(target) => ABOUT
                .finding(at, format!("`{name}` is `{target}` with a language name around it"))
                .confidence(Confidence::Low)
                .fact("imitates", target),
        });
    }
}

/// How a name imitates a popular one.
enum Likeness {
    Foreign(&'static str),
    ForeignUnknown,
    Drawn(&'static str),
    Spelt(&'static str),
    Affixed(&'static str),
}

struct Names {
    /// Popular names by normal form; innocent neighbours map to nothing.
    known: BTreeMap<String, Option<&'static str>>,
    /// Popular names by how they look.
    drawn: BTreeMap<String, &'static str>,
    /// Popular names that are long enough for a slip to be no accident, by length.
    long: Vec<(Vec<char>, &'static str)>,
}

impl Names {
    fn read(ecosystem: Ecosystem) -> Self {
        let mut names = Self { known: BTreeMap::new(), drawn: BTreeMap::new(), long: Vec::new() };
        let of_ecosystem = |line: &'static str| match (line.strip_prefix("crate:"), ecosystem) {
            (Some(name), Ecosystem::Rust) => Some(name),
            (None, Ecosystem::Python) if !line.starts_with('#') && !line.is_empty() => Some(line),
            _ => None,
        };
        for name in include_str!("innocent.txt").lines().filter_map(of_ecosystem) {
            names.known.insert(normalise(name), None);
        }
        for name in include_str!("popular.txt").lines().filter_map(of_ecosystem) {
            let normal = normalise(name);
            names.drawn.insert(drawn(&normal), name);
            if normal.chars().count() >= 5 {
                names.long.push((normal.chars().collect(), name));
            }
            names.known.insert(normal, Some(name));
        }
        names
    }

    fn likeness(&self, normal: &str) -> Option<Likeness> {
        if normal.len() > LONGEST * 4 || self.known.contains_key(normal) {
            return None;
        }
        if !normal.is_ascii() {
            let skeleton: String = normal.chars().map(latin).collect();
            let target = self.known.get(&skeleton).copied().flatten();
            let target = target.or_else(|| self.drawn.get(&drawn(&skeleton)).copied());
            return Some(target.map_or(Likeness::ForeignUnknown, Likeness::Foreign));
        }
        if let Some(target) = self.drawn.get(&drawn(normal)) {
            return Some(Likeness::Drawn(target));
        }
        let affixes =
            [normal.strip_prefix("python-"), normal.strip_suffix("-python"), normal.strip_prefix("py-")];
        if let Some(target) =
            affixes.into_iter().flatten().find_map(|core| self.known.get(core).copied().flatten())
        {
            return Some(Likeness::Affixed(target));
        }
        let letters: Vec<char> = normal.chars().collect();
        let slip = self.long.iter().find(|(target, _)| is_one_slip(target, &letters))?;
        Some(Likeness::Spelt(slip.1))
    }
}

fn names(ecosystem: Ecosystem) -> &'static Names {
    static PYTHON: OnceLock<Names> = OnceLock::new();
    static RUST: OnceLock<Names> = OnceLock::new();
    match ecosystem {
        Ecosystem::Python => PYTHON.get_or_init(|| Names::read(Ecosystem::Python)),
        Ecosystem::Rust => RUST.get_or_init(|| Names::read(Ecosystem::Rust)),
    }
}

/// One letter left out, doubled, added, exchanged or swapped with its neighbour. Digits at the end are versions
/// (`boto3`, `h5py2`) and short names differ by one letter honestly, so those need five letters and no digit.
fn is_one_slip(target: &[char], name: &[char]) -> bool {
    if target.len().abs_diff(name.len()) > 1 || name.len() > LONGEST {
        return false;
    }
    let last_is_digit = |letters: &[char]| letters.last().is_some_and(char::is_ascii_digit);
    if last_is_digit(target) != last_is_digit(name) {
        return false;
    }
    // Five letters leave room for honest neighbours: there only a swap counts.
    let text = |letters: &[char]| letters.iter().collect::<String>();
    let distance = strsim::osa_distance(&text(target), &text(name));
    if target.len() == 5 {
        let mut sorted = [target.to_vec(), name.to_vec()];
        sorted.iter_mut().for_each(|letters| letters.sort_unstable());
        return distance == 1 && sorted[0] == sorted[1];
    }
    distance == 1
}

/// How an ASCII name looks: separators gone, letters that are drawn alike made one.
fn drawn(normal: &str) -> String {
    normal
        .replace('-', "")
        .replace("rn", "m")
        .replace("vv", "w")
        .replace("cl", "d")
        .chars()
        .map(|letter| match letter {
            '0' => 'o',
            '1' | 'i' => 'l',
            '5' => 's',
            letter => letter,
        })
        .collect()
}

/// The Latin letter that a foreign one is drawn like; itself when none is.
fn latin(letter: char) -> char {
    match letter {
        'а' | 'α' | 'ａ' | 'á' | 'à' | 'ä' => 'a',
        'ь' | 'Ь' => 'b',
        'с' | 'ϲ' | 'ç' => 'c',
        'ԁ' => 'd',
        'е' | 'ё' | 'ε' | 'é' | 'è' | 'ê' => 'e',
        'ɡ' => 'g',
        'һ' => 'h',
        'і' | 'ι' | 'ı' | 'í' | 'ï' => 'i',
        'ј' => 'j',
        'κ' | 'к' => 'k',
        'ӏ' | 'ⅼ' => 'l',
        'м' => 'm',
        'п' | 'η' | 'ñ' => 'n',
        'о' | 'ο' | 'օ' | 'ö' | 'ó' => 'o',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'г' => 'r',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'υ' | 'ս' | 'ü' => 'u',
        'ν' | 'ѵ' => 'v',
        'ѡ' | 'ω' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' | 'ү' => 'y',
        '‐' | '‑' | '–' | '−' => '-',
        // The full-width forms stand in the order of ASCII.
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(letter as u32 - 0xfee0).map_or(letter, |letter| letter.to_ascii_lowercase())
        }
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_popular_name_imitates_another_and_the_list_is_large_enough() {
        for ecosystem in [Ecosystem::Python, Ecosystem::Rust] {
            let names = names(ecosystem);
            assert!(names.known.keys().all(|name| names.likeness(name).is_none()));
            let popular = names.known.values().flatten().count();
            assert_eq!(names.drawn.len(), popular, "two popular names look alike");
        }
        assert!(names(Ecosystem::Python).known.values().flatten().count() >= 200);
    }
}
