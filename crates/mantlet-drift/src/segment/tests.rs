//! Runs every room's `cases.md`, and the laws of the search.

use mantlet_vocab::{Finding, Place};

use super::{SegmentSettings, Segments, all, look};
use crate::cube::{Cube, Layout};
use crate::{Buckets, ColumnProfile, Counter, NumberSketch, Profile, WordSketch, mix};

const ROWS: u64 = 40_000;

fn uniform(row: u64, stream: u64) -> f64 {
    ((mix(row ^ mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

struct Side {
    words: [Vec<String>; 3],
    risk: Vec<f64>,
    errors: Vec<Option<bool>>,
}

fn side(text: &str, stream: u64) -> Side {
    let names = ["channel", "plan", "code"];
    let draw = |at: usize, row: u64| {
        let many = [4.0, 3.0, 12.0][at];
        format!("{}", (uniform(row, stream + at as u64) * many) as u64)
    };
    let words = [0, 1, 2].map(|at| (0..ROWS).map(|row| draw(at, row)).collect::<Vec<_>>());
    let mut risk: Vec<f64> = (0..ROWS).map(|row| uniform(row, stream + 10)).collect();
    let mut chance = vec![0.0; ROWS as usize];
    for rule in text.split(';').map(str::trim) {
        let (place, change) = match rule.strip_prefix("in ") {
            Some(rest) => {
                rest.split_at(["errors", "risk", "signal"].iter().find_map(|word| rest.find(word)).unwrap())
            }
            None => ("", rule),
        };
        // `risk>0.8` is a range of the number as it was drawn.
        let above = place.split_whitespace().find_map(|own| own.strip_prefix("risk>"));
        let above: f64 = above.map_or(f64::NEG_INFINITY, |bound| bound.parse().unwrap());
        let drawn: Vec<f64> = (0..ROWS).map(|row| uniform(row, stream + 10)).collect();
        let conditions: Vec<(usize, &str)> = place
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, level)| (names.iter().position(|other| *other == name).unwrap(), level))
            .collect();
        let (what, size) = change.split_once(' ').unwrap();
        for row in 0..ROWS as usize {
            if drawn[row] > above && conditions.iter().all(|&(at, level)| words[at][row] == level) {
                match what {
                    "errors" | "signal" => chance[row] = size.parse().unwrap(),
                    _ => risk[row] += size.parse::<f64>().unwrap(),
                }
            }
        }
    }
    let errors = (0..ROWS).map(|row| Some(uniform(row, stream + 11) < chance[row as usize])).collect();
    Side { words, risk, errors }
}

fn profiled(reference: &Side) -> Profile {
    let mut columns = Vec::new();
    for (name, words) in ["channel", "plan", "code"].iter().zip(&reference.words) {
        let mut sketch = WordSketch::default();
        words.iter().for_each(|word| sketch.take(word, 1));
        columns.push(ColumnProfile { name: (*name).to_owned(), buckets: Buckets::of_words(&sketch) });
    }
    let mut sketch = NumberSketch::default();
    reference.risk.iter().enumerate().for_each(|(row, &value)| sketch.take(row as u64, value));
    columns.push(ColumnProfile { name: "risk".into(), buckets: Buckets::of_numbers(&sketch) });
    let mut profile = Profile::new("case", columns);
    let mut counter = Counter::new(&profile.columns);
    counter.add(&codes(&profile, reference)).unwrap();
    profile.counts = counter.finish();
    profile
}

fn codes(profile: &Profile, side: &Side) -> Vec<Vec<u16>> {
    let mut codes: Vec<Vec<u16>> = profile
        .columns
        .iter()
        .zip(&side.words)
        .map(|(column, words)| {
            let dictionary = column.buckets.dictionary();
            words.iter().map(|word| dictionary.code(Some(word))).collect()
        })
        .collect();
    let risk = &profile.columns[3].buckets;
    codes.push(side.risk.iter().map(|&value| risk.number(Some(value))).collect());
    codes
}

fn cube(layout: &Layout, profile: &Profile, side: &Side) -> Cube {
    let mut cube = Cube::empty(layout);
    cube.add(layout, &codes(profile, side), Some(&side.errors)).unwrap();
    cube
}

fn search(before: &str, after: &str, stream: u64, settings: SegmentSettings) -> Vec<Finding> {
    let signal = before.starts_with("signal");
    let (before, after) = (side(before, stream), side(after, stream + 50));
    let profile = profiled(&before);
    let layout = Layout::of_errors(&profile);
    assert_eq!((layout.dimensions.len(), layout.measures.len()), (4, 1));
    let (old, new) = (cube(&layout, &profile, &before), cube(&layout, &profile, &after));
    let segments = if signal {
        Segments::search_signal(&profile, &layout, (&old, &new), "query-sweep", settings).unwrap()
    } else {
        Segments::search(&profile, &layout, &old, &new, settings).unwrap()
    };
    look(&segments, &Place::artifact("case"))
}

fn cases(markdown: &str) -> Vec<(String, String, String)> {
    let mut cases = Vec::new();
    let mut heading = String::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title.to_owned();
        } else if line == "```segment" {
            let (before, after) = lines.next().unwrap().split_once('|').unwrap();
            cases.push((heading.clone(), before.trim().to_owned(), after.trim().to_owned()));
        }
    }
    cases
}

#[test]
fn every_case_holds() {
    for room in all() {
        for (heading, before, after) in cases(room.about.cases) {
            let found = search(&before, &after, 7, SegmentSettings::default());
            let messages: Vec<_> = found.iter().map(|finding| &finding.message).collect();
            let hits = found.iter().filter(|finding| finding.name == room.about.name).count();
            assert_eq!(hits, usize::from(heading.starts_with("hit")), "{heading}: {messages:#?}");
            assert_eq!(found.len(), hits, "{heading}: {messages:#?}");
        }
    }
    let ranges =
        &search("errors 0.1", "errors 0.1; in risk>0.7 errors 0.6", 7, SegmentSettings::default())[0];
    let own = ranges.message.strip_prefix("risk in (").unwrap_or_else(|| panic!("{}", ranges.message));
    assert!(own.starts_with("0.71") && own.contains(" and above): "), "{own}");
    let three = &search("errors 0.1", &cases(all()[0].about.cases)[1].2, 7, SegmentSettings::default())[0];
    assert!(three.message.starts_with("channel=1, plan=0, code in (1, 2, 3):"), "{}", three.message);
}

/// What moved in the same segment is named as the likely cause; what moved everywhere, or elsewhere, is not.
#[test]
fn the_likely_cause_is_what_moved_in_the_same_segment() {
    let worse = "errors 0.1; in channel=1 plan=2 errors 0.3";
    let with = |change: &str| {
        let found = search("errors 0.1", &format!("{worse}; {change}"), 7, SegmentSettings::default());
        found.into_iter().find(|finding| finding.name == "segment-loss").unwrap()
    };
    let here = with("in channel=1 plan=2 risk +0.3");
    let cause = here.facts["likely_cause"].as_str().unwrap();
    assert!(cause.starts_with("risk rose in this segment only, by "), "{cause}");
    for (at, lead) in [
        "what changed: channel=1, plan=2: the model errs on",
        "what is suspicious: likely cause: risk rose",
        "who and what is affected: channel=1, plan=2: ",
        "which decisions may be wrong: about ",
        "what to do now: ",
    ]
    .iter()
    .enumerate()
    {
        assert!(here.trace[at].starts_with(lead), "{}", here.trace[at]);
    }
    assert!(here.trace[4].contains("`mantlet data freeze --note \"segment channel=1, plan=2\" --user YOU`"));
    for elsewhere in ["risk +0.3", "in channel=3 plan=0 risk +0.3"] {
        let cause = with(elsewhere).facts["likely_cause"].as_str().unwrap().to_owned();
        assert!(cause.starts_with("no column moved in this segment"), "{elsewhere}: {cause}");
    }
    // The way down: by channel first or by plan, then the crossing, each beside its neighbours.
    let picture = &here.facts["picture"];
    let forks = picture["forks"].as_array().unwrap();
    assert_eq!((picture["kind"].as_str(), forks.len()), (Some("tree"), 2), "{picture}");
    let followed = |fork: &serde_json::Value| {
        let own: Vec<_> =
            fork["branches"].as_array().unwrap().iter().filter(|own| own["followed"] == true).collect();
        assert_eq!(own.len(), 1);
        (own[0]["rows"].as_u64().unwrap(), own[0]["now"].as_f64().unwrap())
    };
    let (first, last) = (followed(&forks[0]), followed(&forks[1]));
    assert!(first.0 > last.0 && last.1 > first.1 && last.0 == here.facts["rows"].as_u64().unwrap());
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    let faults = mantlet_vocab::About::faults(&abouts);
    assert!(faults.is_empty(), "{faults:?}");
}

/// 40 searches without any change, by chance alone: at 1 % for each whole search more than 3 alarms have a chance
/// of one in a thousand, and the searches are the same at every run.
#[test]
fn searches_without_change_are_silent() {
    let settings = SegmentSettings { loss: 0.0, shift: 0.0, rows: 50, ..SegmentSettings::default() };
    let text = "errors 0.05; in channel=1 errors 0.2; in plan=2 risk +0.4";
    let alarms = (0..40).filter(|set| !search(text, text, 1000 + 100 * set, settings).is_empty()).count();
    assert!(alarms <= 3, "{alarms}");
    // Signals too, however rare they are, and when they fire more everywhere.
    for (stream, text) in [(9_000, "signal 0.002"), (19_000, "signal 0.05; in channel=1 signal 0.2")] {
        let alarms =
            (0..40).filter(|set| !search(text, text, stream + 100 * set, settings).is_empty()).count();
        assert!(alarms <= 3, "{text}: {alarms}");
    }
    let alarms =
        (0..40).filter(|set| !search("signal 0.01", "signal 0.03", 29_000 + 100 * set, settings).is_empty());
    assert!(alarms.count() <= 3);
}

/// More columns of numbers than there is room for are named, and shifts are looked for as without them.
#[test]
fn what_is_not_cut_is_named() {
    let one = side("errors 0.1", 3);
    let mut profile = profiled(&one);
    let (risk, counts) = (profile.columns[3].clone(), profile.counts.columns[3].clone());
    for more in 0..20 {
        profile.columns.push(ColumnProfile { name: format!("risk{more}"), ..risk.clone() });
        profile.counts.columns.push(counts.clone());
    }
    let (plain, layout) = (Layout::new(&profile), Layout::of_errors(&profile));
    assert_eq!((plain.dimensions.len(), plain.uncut.len()), (3, 0));
    assert_eq!((layout.dimensions.len(), layout.uncut.len()), (12, 12));
    assert_eq!(layout.uncut.first(), Some(&12));
    assert_eq!(plain.measures, layout.measures);
    let mut codes = codes(&profile, &one);
    codes.extend(vec![codes[3].clone(); 20]);
    let count = |layout: &Layout| {
        let mut cube = Cube::empty(layout);
        cube.add(layout, &codes, Some(&one.errors)).unwrap();
        assert_eq!(Cube::from_bytes(&cube.to_bytes()).unwrap(), cube);
        cube
    };
    let (few, all) = (count(&plain), count(&layout));
    assert!(all.size() < 16 << 20, "{}", all.size());
    assert_eq!(few.whole(&plain), all.whole(&layout));
    for own in [vec![0], vec![1, 2], vec![0, 1, 2]] {
        assert_eq!(few.segments(&plain, &own), all.segments(&layout, &own));
    }
    let rows: u64 = all.segments(&layout, &[0, 11]).iter().map(|(_, cell)| cell.rows).sum();
    assert_eq!(rows, ROWS);
}

#[test]
fn parts_add_up_to_the_whole() {
    let one = side("errors 0.1", 3);
    let profile = profiled(&one);
    let layout = Layout::of_errors(&profile);
    let whole = cube(&layout, &profile, &one);
    let codes = codes(&profile, &one);
    let mut parts = Cube::empty(&layout);
    for cut in [(30_000, 40_000), (0, 10_001), (10_001, 30_000)] {
        let slice: Vec<Vec<u16>> = codes.iter().map(|codes| codes[cut.0..cut.1].to_vec()).collect();
        let mut part = Cube::empty(&layout);
        part.add(&layout, &slice, Some(&one.errors[cut.0..cut.1])).unwrap();
        // As another process hands it over.
        let bytes = part.to_bytes();
        parts.merge(&Cube::from_bytes(&bytes).unwrap()).unwrap();
        assert!(Cube::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
    assert_eq!(parts, whole);
    // Cells beyond the end, or more of them than any layout has, are refused before room is made for them.
    assert!(Cube::from_bytes(&[1, 2, 0, 1, 5, 1, 1, 1]).is_err());
    assert!(Cube::from_bytes(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0]).is_err());
    assert_eq!(whole.whole(&layout).rows, ROWS);
}
