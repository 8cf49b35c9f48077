//! Runs every room's `cases.md`, and the law of the run length.

use mantlet_vocab::{About, Finding, Place};

use super::{Alarm, Bin, Counted, Stream, Told, Usual, Watch, WatchSettings, all, look};
use crate::mix;

fn uniform(row: u64, stream: u64) -> f64 {
    ((mix(row ^ mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

fn bin(rows: u64, share: f64, number: u64, stream: u64) -> Bin {
    let hit = |row| uniform(number * 100_000 + row, stream) < share;
    Bin { rows, hits: (0..rows).filter(|&row| hit(row)).count() as u64 }
}

fn watched(case: &str, seed: u64) -> (Stream, Vec<Alarm>) {
    let words: Vec<&str> = case.split(' ').collect();
    let [kind, before, _, after, _, from] = words[..] else { panic!("{case}") };
    let (before, after): (f64, f64) = (before.parse().unwrap(), after.parse().unwrap());
    let from: u64 = from.parse().unwrap();
    let by_day = kind.ends_with("by-day");
    let share = |number: u64| {
        let late = number.saturating_sub(400 + from);
        let own = match (number >= 400 + from, kind.ends_with("slowly")) {
            (false, _) => before,
            (true, false) => after,
            (true, true) => before + (after - before) * (late as f64 / 120.0).min(1.0),
        };
        own * if by_day { 1.0 + 0.6 * (number as f64 * std::f64::consts::TAU / 24.0).sin() } else { 1.0 }
    };
    let reference: Vec<(i64, Bin)> =
        (0..400).map(|number| (number as i64, bin(200, share(number), number, seed))).collect();
    let usual = Usual::learn(&reference, if by_day { 24 } else { 1 }).unwrap();
    let mut watch = Watch::new(vec![usual], WatchSettings { cooldown: 1000, ..WatchSettings::default() });
    let mut told = Vec::new();
    for number in 400..700 {
        told.extend(watch.take(number as i64, &[bin(200, share(number), number, seed)]));
    }
    let counted = if kind.starts_with("missed") { Counted::Missed } else { Counted::Decided };
    (Stream { counted, column: None, segment: None }, told)
}

fn found(case: &str, seed: u64) -> Vec<Finding> {
    let (stream, told) = watched(case, seed);
    told.iter()
        .flat_map(|alarm| {
            let (since, at) = (alarm.since.to_string(), alarm.at.to_string());
            let told = Told {
                alarm,
                stream: &stream,
                since: &since,
                at: &at,
                run_length: 5000.0,
                beside: &[],
                look: "look",
            };
            look(&told, &Place::artifact("t"))
        })
        .collect()
}

#[test]
fn every_case_of_every_room() {
    for room in all() {
        let mut title = String::new();
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(found) = line.strip_prefix("## ") {
                title = found.to_owned();
            } else if line == "```online" {
                let found = found(lines.next().unwrap(), 3);
                let told = found.iter().any(|finding| finding.name == room.about.name);
                assert_eq!(told, title.starts_with("hit"), "{}: {title}: {found:#?}", room.about.name);
                assert!(found.iter().all(|finding| finding.trace.len() == 5));
            }
        }
    }
}

#[test]
fn a_change_is_dated_to_within_a_day_and_told_soon() {
    let (_, told) = watched("decided 0.10 then 0.16 from 150", 3);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!((540..=560).contains(&told[0].since), "{told:?}");
    assert!(told[0].at - 550 < 30 && told[0].rose, "{told:?}");
    assert!((told[0].expected - 0.10).abs() < 0.01 && told[0].share() > 0.13, "{told:?}");
}

#[test]
fn quiet_streams_alarm_no_more_often_than_the_run_length_says() {
    // 40 watches of 20 streams over 500 bins at a run length of 1,000 bins: 20 alarms would keep the promise.
    let settings = WatchSettings { run_length: 1_000.0, cooldown: 0, ..WatchSettings::default() };
    let mut alarms = 0;
    for seed in 0..40_u64 {
        let stream = |at: u64| 1000 * seed + at;
        let usual = |at: u64| {
            let bins: Vec<(i64, Bin)> =
                (0..100).map(|number| (number as i64, bin(60, 0.1, number, stream(at)))).collect();
            Usual::learn(&bins, 1).unwrap()
        };
        let mut watch = Watch::new((0..20).map(usual).collect(), settings);
        for number in 100..600 {
            let bins: Vec<Bin> = (0..20).map(|at| bin(60, 0.1, number, stream(at))).collect();
            alarms += usize::from(!watch.take(number as i64, &bins).is_empty());
        }
    }
    assert!(alarms <= 20, "{alarms}");
}

#[test]
fn what_scatters_by_itself_is_not_an_alarm_and_silence_follows_one() {
    // Every bin has a share of its own: four times the variance of coins.
    let share = |number: u64| 0.2 + 0.06 * (uniform(number, 77) - 0.5) * 3.0;
    let bins: Vec<(i64, Bin)> = (0..300).map(|n| (n as i64, bin(400, share(n), n, 5))).collect();
    let usual = Usual::learn(&bins, 1).unwrap();
    assert!(usual.scatter > 3.0, "{}", usual.scatter);
    let mut watch = Watch::new(vec![usual.clone()], WatchSettings::default());
    let quiet: usize = (300..800).map(|n| watch.take(n as i64, &[bin(400, share(n), n, 5)]).len()).sum();
    assert_eq!(quiet, 0);
    let mut watch = Watch::new(vec![usual], WatchSettings { cooldown: 50, ..WatchSettings::default() });
    let at: Vec<i64> =
        (300..420).flat_map(|n| watch.take(n, &[bin(400, 0.6, n as u64, 6)])).map(|alarm| alarm.at).collect();
    assert_eq!(at.len(), 3, "{at:?}");
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] > 50), "{at:?}");
}

#[test]
fn a_watch_goes_on_where_it_was_kept_and_does_not_look_twice() {
    let bins: Vec<(i64, Bin)> = (0..100).map(|n| (n as i64, bin(100, 0.3, n, 9))).collect();
    let usual = Usual::learn(&bins, 1).unwrap();
    let mut whole = Watch::new(vec![usual], WatchSettings::default());
    let mut parts = whole.clone();
    for n in 100..200_i64 {
        let counts = [bin(100, 0.34, n as u64, 9)];
        let plain = |told: Vec<Alarm>| -> Vec<(usize, i64, i64, u64, u64, bool)> {
            told.iter().map(|own| (own.stream, own.since, own.at, own.rows, own.hits, own.rose)).collect()
        };
        let told = plain(whole.take(n, &counts));
        parts = serde_json::from_slice(&serde_json::to_vec(&parts).unwrap()).unwrap();
        assert_eq!(plain(parts.take(n, &counts)), told);
        assert!(parts.take(n, &counts).is_empty() && parts.take(n - 1, &counts).is_empty());
        assert!(parts.is_sound(1) && !parts.is_sound(2));
    }
    assert_eq!((whole.last(), whole.bins), (parts.last(), parts.bins));
    assert!(Usual::learn(&bins[..5], 1).is_none());
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
