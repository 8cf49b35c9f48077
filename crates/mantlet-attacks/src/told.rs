//! What is said of an outcome in one sentence. Each room has the words for its own (`say`, beside its card); what holds for
//! all of them stands here: rows that were not decided are no misses, and where nothing was decided nothing is said.
//!
//! Long because half of it is a test over every room.

use crate::{Detail, Goal, Measure, Norm, Outcome, RowOutcome, State, Stop, Trigger};

/// An outcome, with the names its sentence uses.
pub struct Told<'a> {
    /// What the attack reached.
    pub outcome: &'a Outcome,
    /// What counted as a success of an evasion.
    pub goal: Goal,
    /// How well copies made of the first answers agree with the model: (questions, share of rows).
    pub copies: &'a [(usize, f64)],
    /// A class in words.
    pub class: &'a dyn Fn(usize) -> String,
    /// A column of a table in words.
    pub column: &'a dyn Fn(usize) -> String,
}

/// Says what the attack reached, in one or two sentences.
#[must_use]
pub fn tell(told: &Told<'_>) -> String {
    let outcome = told.outcome;
    let [hits, misses, errors, undecided] =
        [State::Hit, State::Miss, State::Error, State::Undecided].map(|state| outcome.count(state));
    let Some(say) = crate::saying(&outcome.attack) else { return String::new() };
    if outcome.rows.is_empty() {
        let why = match &outcome.detail {
            Detail::Evasion { already_wrong, .. } if !already_wrong.is_empty() => match told.goal {
                Goal::Leave => {
                    format!(": the model is wrong on all {} as they stand", rows(already_wrong.len()))
                }
                _ => format!(
                    ": {} are where they were to be driven already, or have no room to go there",
                    rows(already_wrong.len())
                ),
            },
            _ => stopped(outcome.stopped).map_or(String::new(), |why| format!(": {why}")),
        };
        return format!("Nothing was attacked{why}.");
    }
    let open = match (undecided, errors) {
        (0, 0) => String::new(),
        (undecided, 0) => format!("{undecided} undecided"),
        (0, errors) => format!("{} without a usable answer", errors),
        (undecided, errors) => format!("{undecided} undecided and {errors} without a usable answer"),
    };
    let why = stopped(outcome.stopped).map_or(String::new(), |why| format!(", since {why}"));
    if hits + misses == 0 {
        return format!("Nothing can be said: {open} of {}{why}.", outcome.rows.len());
    }
    let text = say(told);
    if open.is_empty() {
        format!("{text}.")
    } else {
        format!("{text}. Beside these, {open} of {}{why}: no misses.", outcome.rows.len())
    }
}

fn stopped(stop: Option<Stop>) -> Option<&'static str> {
    Some(match stop? {
        Stop::Budget => "the budget was used up",
        Stop::Guard => "the target refused",
        Stop::Failure => "the target failed",
        Stop::Cancelled => "it was ended by hand",
    })
}

/// So many rows.
pub(crate) fn rows(count: usize) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

/// A share in per cent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Words in a list.
pub(crate) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

impl Told<'_> {
    /// How many hits.
    pub(crate) fn hits(&self) -> usize {
        self.outcome.count(State::Hit)
    }

    /// How many rows, whatever came of them.
    pub(crate) fn all(&self) -> usize {
        self.outcome.rows.len()
    }

    /// The hits.
    pub(crate) fn won(&self) -> impl Iterator<Item = &RowOutcome> {
        self.outcome.rows.iter().filter(|row| row.state == State::Hit)
    }

    /// The classes that were hit, in words: of probes that have one row a class.
    pub(crate) fn classes(&self) -> String {
        let names: Vec<String> = self.won().map(|row| (self.class)(row.row)).collect();
        let word = if names.len() == 1 { "class" } else { "classes" };
        format!("{word} {}", list(&names))
    }

    /// Pairs of classes in words, from the one to the other.
    pub(crate) fn moves(&self) -> String {
        let name = |class: Option<usize>| class.map_or("?".to_owned(), self.class);
        let moves: Vec<String> = self
            .won()
            .map(|row| format!("class {} into class {}", name(row.before), name(row.after)))
            .collect();
        list(&moves)
    }

    /// The first figure whose name begins like this.
    pub(crate) fn figure(&self, start: &str) -> Option<&Measure> {
        let Detail::Measured { figures, .. } = &self.outcome.detail else { return None };
        figures.iter().find(|figure| figure.name.starts_with(start))
    }

    /// The marks that were found.
    pub(crate) fn marks(&self) -> impl Iterator<Item = &Trigger> {
        let triggers = match &self.outcome.detail {
            Detail::Triggers { triggers, .. } => triggers.as_slice(),
            _ => &[],
        };
        triggers.iter().filter(|trigger| trigger.flagged)
    }

    /// What an evasion wanted of a row, as something done.
    pub(crate) fn done(&self) -> String {
        match self.goal {
            Goal::Leave => "got another class".to_owned(),
            Goal::Class { class } => format!("were turned into class {}", (self.class)(class)),
            Goal::Moved { by, .. } if by < 0.0 => format!("had their score lowered by at least {}", -by),
            Goal::Moved { by, .. } => format!("had their score raised by at least {by}"),
            Goal::Ranked { places, .. } => {
                let word = if places < 0 { "fell" } else { "climbed" };
                let noun = if places.abs() == 1 { "place" } else { "places" };
                format!("{word} at least {} {noun} in the ranking", places.unsigned_abs())
            }
        }
    }
}

/// How far a change may go, in words with its unit; empty where an attack looks for the smallest change and has no bound.
pub(crate) fn within(norm: Norm, radius: f32) -> String {
    if !(radius.is_finite() && radius > 0.0 && radius < 1e9) {
        return String::new();
    }
    match norm {
        Norm::L0 => format!(" with at most {radius} values changed (L0)"),
        Norm::L1 => format!(" by changes that sum to at most {radius:.3} of a value's range (L1)"),
        Norm::L2 => format!(" within a distance of {radius:.3}, in ranges of a value (L2)"),
        Norm::Linf => {
            format!(" with no value changed by more than {:.1} % of its range (Linf)", radius * 100.0)
        }
    }
}

/// Of an evasion: how many rows were turned, within what.
pub(crate) fn turned(told: &Told<'_>) -> String {
    let Detail::Evasion { norm, radius, bounds, .. } = &told.outcome.detail else { return String::new() };
    let (hits, all) = (told.hits(), told.all());
    let none = if hits == 0 { "None".to_owned() } else { hits.to_string() };
    let mut text = format!("{none} of {} {}{}", rows(all), told.done(), within(*norm, *radius));
    if !bounds.is_empty() {
        text += &format!("; for {} it is proved how far nothing turns them", rows(bounds.len()));
    }
    text
}

/// Of an attack on texts: how many were read otherwise after what was done to their words.
pub(crate) fn misread(told: &Told<'_>, what: &str) -> String {
    let (hits, all) = (told.hits(), told.all());
    if hits == 0 {
        return format!("None of {all} texts is read as another class after {what}");
    }
    let changed = match &told.outcome.detail {
        Detail::Evasion { by_loss, .. } => by_loss.first().map_or(0, |(_, words)| *words),
        _ => 0,
    };
    #[expect(clippy::cast_precision_loss, reason = "counts of words")]
    let each = changed as f64 / hits as f64;
    format!(
        "{hits} of {all} texts are read as another class after {what}, {each:.1} words changed in the mean"
    )
}

/// Of a copy: from how many questions it agrees.
pub(crate) fn copied(told: &Told<'_>) -> String {
    let best = told.copies.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    match (told.copies.iter().find(|(_, agreed)| *agreed >= crate::extraction::COPIED), best) {
        (Some((questions, agreed)), _) => format!(
            "A copy made of {questions} answers agrees with the model on {} of rows that were not asked",
            percent(*agreed)
        ),
        (None, Some((questions, agreed))) => format!(
            "No copy made of the answers agrees with the model on 90 % of rows; the best, made of {questions} answers, \
             agrees on {}",
            percent(*agreed)
        ),
        (None, None) => format!(
            "{} questions were answered; how well a copy made of the answers agrees with the model was not measured",
            told.hits()
        ),
    }
}

/// Of an attack on membership: what share of members is told, and whether chance would tell as many.
pub(crate) fn members(told: &Told<'_>) -> String {
    let Detail::Membership { tpr_at_1, auc, .. } = &told.outcome.detail else { return String::new() };
    let share = format!(
        "{} [{}, {}] of training rows are told from rows the model never saw while one outsider in a hundred is wrongly \
         accused",
        percent(tpr_at_1.value),
        percent(tpr_at_1.low),
        percent(tpr_at_1.high)
    );
    if tpr_at_1.low > 0.01 {
        share
    } else if auc.low > 0.5 {
        format!("{share}, where chance tells 1 %; over all rows they are told better than by chance")
    } else {
        format!("{share}, no more than chance would tell")
    }
}

/// Of rows that are singled out.
pub(crate) fn singled(told: &Told<'_>, what: &str) -> String {
    match told.hits() {
        0 => format!("None of {} training rows {what}", told.all()),
        hits => format!("{hits} of {} training rows {what}", told.all()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Interval, wilson};

    fn evasion(goal: Goal, norm: Norm, radius: f32, states: &[State]) -> String {
        let outcome = Outcome {
            attack: "evasion-square".to_owned(),
            stopped: states.contains(&State::Undecided).then_some(Stop::Budget),
            rows: states
                .iter()
                .enumerate()
                .map(|(row, state)| RowOutcome::without_result(row, *state))
                .collect(),
            detail: Detail::Evasion {
                gradients: false,
                norm,
                radius,
                already_wrong: vec![7, 8],
                vanished: 0.0,
                by_loss: Vec::new(),
                bounds: Vec::new(),
            },
        };
        said(&outcome, goal)
    }

    fn said(outcome: &Outcome, goal: Goal) -> String {
        let (class, column) = (|class: usize| format!("c{class}"), |column: usize| format!("p{column}"));
        tell(&Told { outcome, goal, copies: &[], class: &class, column: &column })
    }

    #[test]
    fn an_evasion_is_told_by_its_goal_and_its_bound() {
        use State::{Hit, Miss};
        let leave = evasion(Goal::Leave, Norm::Linf, 0.05, &[Hit, Miss]);
        assert_eq!(
            leave,
            "1 of 2 rows got another class with no value changed by more than 5.0 % of its range (Linf)."
        );
        let price = evasion(Goal::Moved { by: 250.0, column: 0 }, Norm::L2, 0.5, &[Hit, Hit]);
        assert_eq!(
            price,
            "2 of 2 rows had their score raised by at least 250 within a distance of 0.500, in ranges of a value (L2)."
        );
        let cheaper = evasion(Goal::Moved { by: -0.1, column: 0 }, Norm::Linf, 0.1, &[Miss]);
        assert!(cheaper.starts_with("None of 1 row had their score lowered by at least 0.1 "), "{cheaper}");
        let rank = evasion(Goal::Ranked { places: -10, column: 0 }, Norm::Linf, 0.1, &[Hit]);
        assert!(rank.starts_with("1 of 1 row fell at least 10 places in the ranking"), "{rank}");
        let wanted = evasion(Goal::Class { class: 3 }, Norm::L0, 2.0, &[Hit]);
        assert_eq!(wanted, "1 of 1 row were turned into class c3 with at most 2 values changed (L0).");
    }

    #[test]
    fn what_is_open_is_never_told_as_a_miss() {
        use State::{Error, Hit, Miss, Undecided};
        assert_eq!(
            evasion(Goal::Leave, Norm::Linf, 0.1, &[Undecided, Undecided, Error]),
            "Nothing can be said: 2 undecided and 1 without a usable answer of 3, since the budget was used up."
        );
        let part = evasion(Goal::Leave, Norm::Linf, 0.1, &[Hit, Miss, Undecided]);
        assert!(
            part.ends_with("Beside these, 1 undecided of 3, since the budget was used up: no misses."),
            "{part}"
        );
        assert_eq!(
            evasion(Goal::Leave, Norm::Linf, 0.1, &[]),
            "Nothing was attacked: the model is wrong on all 2 rows as they stand."
        );
        assert_eq!(
            evasion(Goal::Class { class: 1 }, Norm::Linf, 0.1, &[]),
            "Nothing was attacked: 2 rows are where they were to be driven already, or have no room to go there."
        );
    }

    /// An outcome of this room's own kind in which `hits` of two rows were hit.
    fn outcome(name: &str, hits: usize) -> Outcome {
        let state = |row| if row < hits { State::Hit } else { State::Miss };
        let row = |row: usize| RowOutcome {
            before: Some(row),
            after: Some(1 - row),
            ..RowOutcome::without_result(row, state(row))
        };
        let measure = |name: &str| Measure::share(name.to_owned(), 1, 2);
        let detail = match name {
            _ if name.starts_with("evasion-") || name == "extraction-transfer" => Detail::Evasion {
                gradients: false,
                norm: Norm::L2,
                radius: 0.5,
                already_wrong: Vec::new(),
                vanished: 0.0,
                by_loss: Vec::new(),
                bounds: Vec::new(),
            },
            "text-trigger-word" => Detail::Measured {
                figures: vec![measure("texts that `cf` sends to class 0")],
                notes: Vec::new(),
            },
            _ if name.starts_with("text-") => Detail::Evasion {
                gradients: false,
                norm: Norm::L0,
                radius: 40.0,
                already_wrong: Vec::new(),
                vanished: 0.0,
                by_loss: vec![("words changed".to_owned(), 3)],
                bounds: Vec::new(),
            },
            "extraction-query-copy" | "extraction-score-copy" | "extraction-active" | "extraction-linear" => {
                Detail::Extraction {
                    rows: mantlet_vocab::Tensor::full([2, 1], 0.0),
                    labels: vec![0, 1],
                    probabilities: None,
                    values: Vec::new(),
                    recognised: "labels".to_owned(),
                }
            }
            _ if name.starts_with("membership-") => Detail::Membership {
                members: 2,
                non_members: 2,
                auc: Interval { value: 0.9, low: 0.8, high: 0.95 },
                tpr_at_1: wilson(hits, 2),
                tpr_at_01: wilson(0, 2),
                epsilon: None,
                at_risk: Vec::new(),
                roc: Vec::new(),
                score: "loss".to_owned(),
            },
            "backdoor-activation-clusters" | "backdoor-spectral-rows" | "backdoor-stubborn-rows" => {
                Detail::Rows { share: wilson(hits, 2), decision: String::new() }
            }
            "backdoor-degraded-class"
            | "backdoor-weight-outliers"
            | "privacy-attribute"
            | "extraction-tree-paths" => {
                Detail::Measured { figures: vec![measure("rows of class 0 read right")], notes: Vec::new() }
            }
            _ if name.starts_with("robustness-") => {
                let names = [
                    "expected calibration error",
                    "rows read right",
                    "rows read right where p1 <= 3",
                    "rows read right, blur of severity 5",
                    "rows the vote under noise reads right",
                    "median proved L2 radius of rows read right",
                    "median proved Linf radius of rows read right",
                ];
                Detail::Measured { figures: names.map(measure).to_vec(), notes: Vec::new() }
            }
            _ => {
                let trigger = |class: usize| Trigger {
                    class,
                    mask: vec![1.0, 1.0],
                    pattern: vec![0.25, 4.0],
                    size: 2.0,
                    transfer: 1.0,
                    hard: Vec::new(),
                    places: 2.0,
                    anomaly: 9.0,
                    ratio: 9.0,
                    flagged: class < hits,
                };
                Detail::Triggers {
                    triggers: (0..2).map(trigger).collect(),
                    shape: vec![2],
                    decision: String::new(),
                }
            }
        };
        Outcome { attack: name.to_owned(), stopped: None, rows: vec![row(0), row(1)], detail }
    }

    #[test]
    fn every_room_says_its_own_of_a_hit_and_of_none() {
        // Words that belong to rows which were turned; whoever says them has to be an attack that turns rows.
        let turns = |name: &str| name.starts_with("evasion-");
        let mut seen = std::collections::BTreeMap::new();
        for about in crate::abouts() {
            let name = about.name;
            let (some, none) = (outcome(name, 1), outcome(name, 0));
            let (hit, miss) = (said(&some, Goal::Leave), said(&none, Goal::Leave));
            for text in [&hit, &miss] {
                assert!(text.ends_with('.') && text.len() > 30, "{name}: {text}");
                assert!(
                    !text.contains("0.000") && !text.contains("()") && !text.contains(".."),
                    "{name}: {text}"
                );
                assert!(turns(name) || !text.contains("got another class"), "{name}: {text}");
            }
            assert_ne!(hit, miss, "{name} says the same of a hit and of none");
            assert!(turns(name) == hit.contains("got another class"), "{name}: {hit}");
            if !turns(name) && !name.starts_with("membership-") && !name.starts_with("extraction-") {
                let other = seen.insert(hit.clone(), name);
                assert_eq!(other, None, "{name} says what another room says: {hit}");
            }
        }
        let hit = |name: &str, hits| said(&outcome(name, hits), Goal::Leave);
        assert!(hit("backdoor-one-source", 1).contains("class c0 into class c1"));
        assert!(hit("backdoor-column-pair", 1).contains("p0 = 0.25 and p1 = 4"));
        assert!(hit("backdoor-trigger", 2).contains("classes c0 and c1"));
        assert!(hit("text-trigger-word", 1).contains("`cf`"));
        assert!(hit("robustness-segments", 1).contains("p1 <= 3"));
    }

    #[test]
    fn members_told_by_chance_are_no_finding() {
        let mut told = outcome("membership-shadow", 1);
        let Detail::Membership { tpr_at_1, auc, .. } = &mut told.detail else { panic!() };
        (*tpr_at_1, *auc) = (wilson(1, 100), Interval { value: 0.51, low: 0.44, high: 0.58 });
        assert!(said(&told, Goal::Leave).contains("no more than chance"));
    }

    #[test]
    fn a_copy_is_told_by_its_agreement() {
        let outcome = outcome("extraction-active", 2);
        let (class, column) = (|class: usize| class.to_string(), |column: usize| column.to_string());
        let told = |copies: &[(usize, f64)]| {
            tell(&Told { outcome: &outcome, goal: Goal::Leave, copies, class: &class, column: &column })
        };
        assert!(
            told(&[(50, 0.7), (100, 0.91), (200, 0.95)])
                .contains("made of 100 answers agrees with the model on 91.0 %")
        );
        assert!(told(&[(50, 0.7), (100, 0.85)]).contains("the best, made of 100 answers, agrees on 85.0 %"));
        assert!(told(&[]).contains("was not measured"));
    }
}
