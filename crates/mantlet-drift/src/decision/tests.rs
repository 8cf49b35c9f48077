//! Runs every room's `cases.md`, and the laws of the list.

use mantlet_vocab::Place;

use super::{Redecided, Redecision, all, look};

fn redecided(lines: &[&str]) -> Redecided {
    let mut redecided = Redecided::new("1.0");
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        for at in 0..words[0].parse::<u32>().unwrap() {
            redecided.take(Redecision {
                id: format!("{line}-{at:05}"),
                at: "2026-11-03".into(),
                caller: "web".into(),
                version: "2.0".into(),
                then: words[1].into(),
                now: words[2].into(),
                amount: words.get(3).map(|amount| amount.parse().unwrap()),
                signals: words.iter().skip(4).map(|word| (*word).to_owned()).collect(),
            });
        }
    }
    redecided
}

#[test]
fn every_case_of_every_room() {
    for room in all() {
        let (mut title, mut lines) = (String::new(), Vec::new());
        let mut inside = false;
        for line in room.about.cases.lines() {
            match line {
                "```decisions" => (inside, lines) = (true, Vec::new()),
                "```" if inside => {
                    inside = false;
                    let found = look(&redecided(&lines), &Place::artifact("history"));
                    let told = found.iter().any(|finding| finding.name == room.about.name);
                    assert_eq!(told, title.starts_with("hit"), "{title}");
                }
                line if inside => lines.push(line),
                line => title = line.strip_prefix("## ").map_or(title, str::to_owned),
            }
        }
    }
}

#[test]
fn amounts_add_up_and_the_largest_come_first() {
    let mut redecided =
        redecided(&["4 fine fraud 10", "2 fine fraud 99 burst", "1 fraud fine 5", "9 fine fine 1000"]);
    assert_eq!((redecided.decided, redecided.foreign), (16, 16));
    let found = look(&redecided, &Place::artifact("history"));
    let said: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        said,
        [
            "6 of 16 decisions (37.5 %) were `fine` and are `fraud` with 1.0; at most 238.00 is at stake in 6 of \
             them; the guard had noticed something at 2",
            "1 of 16 decisions (6.2 %) were `fraud` and are `fine` with 1.0; at most 5.00 is at stake in 1 of them",
        ]
    );
    let amounts: Vec<Option<f64>> = redecided.suspects().iter().map(|one| one.amount).collect();
    assert_eq!(amounts, [99.0, 99.0, 10.0, 10.0, 10.0, 10.0, 5.0].map(Some));
}

#[test]
fn a_long_list_keeps_the_largest_and_counts_all() {
    let mut long = redecided(&["25000 fine fraud 1"]);
    long.take(Redecision { amount: Some(7.0), ..redecided(&["1 fine fraud"]).suspects()[0].clone() });
    for _ in 0..30_000 {
        long.take(redecided(&["1 fine fraud 2"]).suspects()[0].clone());
    }
    assert_eq!(long.turns().next().unwrap().2.decisions, 55_001);
    assert_eq!(long.suspects().len(), 10_000);
    assert_eq!(long.suspects()[0].amount, Some(7.0));
    assert!(long.suspects().iter().skip(1).all(|one| one.amount == Some(2.0)));
}
