//! The search's cases and promises.

use super::*;
use crate::testing::{cases, hold};

#[test]
fn cases_hold() {
    hold(ABOUT.name, ABOUT.cases);
}

#[test]
fn the_recovered_trigger_is_where_the_backdoor_is() {
    let case = cases(ABOUT.cases).remove(0).body;
    let mut search = TriggerSearch::new(Config::default(), 3, case.material()).unwrap();
    let (outcome, _) = case.model.play(&mut search);
    let Detail::Triggers { triggers, .. } = outcome.detail else { panic!() };
    let mut order: Vec<usize> = (0..32).collect();
    order.sort_by(|a, b| triggers[2].mask[*b].total_cmp(&triggers[2].mask[*a]));
    order.truncate(2);
    order.sort_unstable();
    assert_eq!(order, [30, 31], "{:?}", triggers[2].mask);
    assert!(triggers[2].pattern[30] > 0.5 && triggers[2].hard[1].1 > 0.9, "{:?}", triggers[2]);
}

#[test]
fn a_search_that_is_stopped_flags_nothing() {
    let case = cases(ABOUT.cases).remove(0).body;
    let mut search = TriggerSearch::new(Config::default(), 3, case.material()).unwrap();
    let mut answer = None;
    for _ in 0..60 {
        let Step::Ask(ask) = search.step(answer.take()) else { panic!() };
        answer = Some(case.model.answer(&ask));
    }
    let outcome = search.stop(Stop::Budget);
    assert!(outcome.rows.iter().all(|row| row.state == State::Undecided));
}
