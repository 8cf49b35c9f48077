//! Attack streams are stopped before they succeed, honest ones are left alone, pinned rules stop variants.
//!
//! Thresholds were set while looking at the seeds 100 to 102 (and a perceptron instead of the network here); the seeds
//! below had no part in it.

use mantlet_detectors::{Trace, derive};
use mantlet_guard::Caller;
use mantlet_vocab::{Millis, Mode};

use crate::world::{Honest, World};

const SEEDS: [u64; 5] = [11, 12, 13, 14, 15];

#[test]
fn attacks_are_stopped_before_they_succeed_and_honest_clients_are_not() {
    let (mut evasions, mut flagged_earlier, mut queries, mut withheld, mut flagged) = (0, 0, 0, 0, 0);
    for seed in SEEDS {
        let world = World::new(seed);
        let accuracy = world.model.accuracy(&world.rest.x, &world.rest.y);
        assert!(accuracy > 0.93, "seed {seed}: a model of {accuracy:.3} proves nothing");
        let guard = world.guard(Mode::Enforce);
        for (count, pool) in [(1, true), (1, false), (5, true), (20, true), (20, false)] {
            let trace = world.evasion(seed, count, pool, 300);
            let replayed = guard.replay(&trace);
            let Some(success) = replayed.succeeded_at else { continue };
            evasions += 1;
            flagged_earlier += usize::from(replayed.flagged_at.is_some_and(|at| at < success));
            println!(
                "seed {seed} evasion of {count} from {}: flagged at {:?}, withheld from {:?}, first success {success} of {}",
                if pool { "digits" } else { "noise" },
                replayed.flagged_at,
                replayed.stopped_at,
                replayed.rows
            );
            assert!(replayed.stopped(), "seed {seed}, {count} rows, pool {pool}: {replayed:?}");
        }
        // From 50 digits on, the digits alone train a copy that agrees on 80 %: there is nothing made up to see then.
        for seeds in [10, 20] {
            let trace = world.extraction(seed, seeds, "mixed", 250);
            let replayed = guard.replay(&trace);
            let at = replayed.flagged_at.unwrap_or(usize::MAX);
            println!(
                "seed {seed} extraction from {seeds} digits: flagged at {at}, withheld from {:?}",
                replayed.stopped_at
            );
            if seeds == 20 {
                let copied = world.copied(&trace, 0.8);
                println!("  a copy agrees on 80 % after {copied:?} of 250 answers");
                assert!(copied.is_none_or(|copied| at < copied), "seed {seed}");
            }
            assert!(at <= seeds + 30);
        }
        let kinds = [Honest::Mixed, Honest::Mixed, Honest::Noisy, Honest::OneDigit(1), Honest::OneDigit(8)];
        for (client, kind) in kinds.into_iter().enumerate() {
            let key = format!("client-{client}");
            for request in world.honest(seed * 10 + client as u64, kind, 250) {
                let inspection = guard.inspect(Caller { key: &key }, &request, Millis(0));
                queries += 1;
                withheld += usize::from(!inspection.decision.action.passes());
                flagged += usize::from(!inspection.decision.signals.is_empty());
            }
        }
    }
    println!(
        "{evasions} evasions withheld at or before the first success, {flagged_earlier} flagged on an earlier row"
    );
    println!("{queries} honest queries: {withheld} withheld, {flagged} flagged");
    assert!(evasions >= 15);
    assert_eq!(withheld, 0);
    assert!(flagged * 200 <= queries);
}

#[test]
fn a_pinned_rule_stops_replay_and_unseen_variants_and_no_honest_client() {
    let world = World::new(21);
    let guard = world.guard(Mode::Enforce);
    // A guard whose detectors only observe, so that the rule alone is seen.
    let pin = |trace: &Trace| {
        let rule = derive(trace, &world.profile).unwrap();
        let alone = world.watching();
        alone.pin(rule.clone());
        (rule, alone)
    };
    let (rule, alone) = pin(&world.evasion(31, 1, true, 450));
    println!("{:#?}", rule.description);
    assert!(rule.id.starts_with("pin-") && rule.description.len() >= 2);
    assert_eq!(alone.replay(&world.evasion(31, 1, true, 450)).signals, ["pinned-attack"]);
    for (seed, count, pool) in
        [(31, 1, true), (32, 1, true), (33, 1, true), (34, 5, true), (35, 1, false), (36, 5, false)]
    {
        let replayed = alone.replay(&world.evasion(seed, count, pool, 450));
        assert!(replayed.stopped(), "variant {seed} of {count}, pool {pool}: {replayed:?}");
    }
    // A trace that ends with its first success, as an attacker who got what he wanted leaves it.
    let mut short = world.evasion(31, 1, true, 450);
    let first = short.rows.iter().position(|row| row.success).unwrap();
    short.rows.truncate(first + 1);
    let (_, brief) = pin(&short);
    for seed in 31..36 {
        assert!(
            brief.replay(&world.evasion(seed, 1, true, 450)).stopped(),
            "variant {seed} of a short trace"
        );
    }
    let (rule, alone_too) = pin(&world.extraction(41, 20, "mixed", 200));
    println!("{:#?}", rule.description);
    for (seed, seeds) in [(41, 20), (42, 10), (43, 30)] {
        let replayed = alone_too.replay(&world.extraction(seed, seeds, "mixed", 200));
        assert!(replayed.stopped_at.is_some_and(|at| at < seeds + 40), "variant {seed}: {replayed:?}");
    }
    for (client, kind) in [Honest::Mixed, Honest::Noisy, Honest::OneDigit(1)].into_iter().enumerate() {
        for request in world.honest(50 + client as u64, kind, 350) {
            for guard in [&guard, &alone, &alone_too] {
                let decision = guard.inspect(Caller { key: "ann" }, &request, Millis(0)).decision;
                assert!(decision.action.passes(), "{decision:?}");
            }
        }
        for guard in [&guard, &alone, &alone_too] {
            guard.restore(vec![("ann".into(), mantlet_detectors::CallerState::default())]);
        }
    }
    assert!(alone.unpin(&alone.pinned()[0].id));
    assert!(alone.replay(&world.evasion(31, 1, true, 450)).stopped_at.is_none());
}

#[test]
fn a_thief_with_natural_data_is_seen_by_his_budget_only() {
    // Asserted because it is a limit of what is here, not because it is good.
    let world = World::new(61);
    let trace = world.extraction(61, 20, "natural", 200);
    assert_eq!(world.guard(Mode::Enforce).replay(&trace).stopped_at, None);
    let budget = world.guard_with(|config| config.extraction_budget = Some(150));
    let replayed = budget.replay(&trace);
    assert!(replayed.signals.contains(&"query-budget-spent".to_owned()) && replayed.stopped_at.is_some());
}

#[test]
fn a_guard_that_succeeds_another_remembers_what_it_did() {
    let world = World::new(81);
    let before = world.guard(Mode::Enforce);
    let trace = world.evasion(82, 1, true, 200);
    let ask = |guard: &mantlet_guard::Guard, row: &mantlet_detectors::TraceRow| {
        let request =
            mantlet_vocab::Request { inputs: row.inputs.clone(), ..mantlet_vocab::Request::default() };
        guard.inspect(Caller { key: "eve" }, &request, Millis(0)).decision.action
    };
    let withheld: Vec<_> = trace.rows.iter().take(60).filter(|row| !ask(&before, row).passes()).collect();
    assert!(!withheld.is_empty());
    let after = world.guard(Mode::Enforce).succeeding(&before);
    assert!(withheld.iter().all(|row| !ask(&after, row).passes()));
    assert_eq!(after.states(), before.states());
}

#[test]
fn an_answer_that_was_withheld_is_withheld_again() {
    // A bisection's point lies on a line the first time only: without a memory the second request was answered.
    let world = World::new(71);
    let guard = world.guard(Mode::Enforce);
    let mut withheld = 0;
    for row in world.evasion(72, 1, true, 200).rows.iter().take(60) {
        let request =
            mantlet_vocab::Request { inputs: row.inputs.clone(), ..mantlet_vocab::Request::default() };
        let ask = || guard.inspect(Caller { key: "eve" }, &request, Millis(0)).decision;
        let first = ask();
        if !first.action.passes() {
            withheld += 1;
            for _ in 0..3 {
                let again = ask();
                assert!(again.action >= first.action, "{first:?} then {again:?}");
                assert!(!again.signals.is_empty());
            }
        }
    }
    assert!(withheld >= 3, "{withheld}");
    // Somebody else who happens to ask the same is not concerned.
    let request = &world.honest(73, crate::world::Honest::Mixed, 1)[0];
    assert!(guard.inspect(Caller { key: "ann" }, request, Millis(0)).decision.action.passes());
}
