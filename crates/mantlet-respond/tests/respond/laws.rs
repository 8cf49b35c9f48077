//! The laws of applying and undoing, over everything that can be done.

use mantlet_respond::*;
use mantlet_vocab::{Millis, Mode};
use proptest::prelude::*;

use crate::panel::Panel;
use crate::{block_on, walk_incident};

fn containment() -> impl Strategy<Value = Containment> {
    let key = prop::sample::select(vec!["a", "b"]).prop_map(str::to_owned);
    let system = || "s".to_owned();
    prop_oneof![
        (key.clone(), 1_u32..9).prop_map(|(key, per_minute)| Containment::ThrottleKey { key, per_minute }),
        key.clone().prop_map(|key| Containment::BlockKey { key }),
        key.prop_map(|key| Containment::DivertKey { key }),
        prop::option::of(Just("r".to_owned()))
            .prop_map(move |route| Containment::DivertPath { system: system(), route }),
        prop::option::of(Just("v1".to_owned())).prop_map(move |to| Containment::RollBack {
            system: system(),
            from: Some("v3".into()),
            to
        }),
        Just(Containment::HoldCandidate { system: "s".into(), subject: "v2".into() }),
        Just(Containment::FreezeRetraining { system: "s".into() }),
        Just(Containment::PinRule {
            system: "s".into(),
            name: "r".into(),
            plain: String::new(),
            rule: 1.into()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is applied and undone, in whatever order and however often, what remains is what the
    /// orders that were not undone say; and after undoing all, everything stands as before.
    #[test]
    fn undoing_restores_what_was_there(
        actions in prop::collection::vec(containment(), 1..8),
        order in prop::collection::vec(0_usize..8, 0..16),
        twice in any::<bool>(),
    ) {
        block_on(async {
            let board = Switchboard::new(Panel::default());
            board.switches().change(|state| { state.version.insert("s".into(), Some("v3".into())); }).unwrap();
            let before = board.switches().look();
            let orders: Vec<Order> = actions
                .iter()
                .enumerate()
                .map(|(n, action)| Order { id: format!("inc/{n}"), action: action.clone(), until: Some(Millis(n as u64)) })
                .collect();
            for order in &orders {
                board.apply(order).await.unwrap();
                if twice {
                    board.apply(order).await.unwrap();
                }
            }
            let undone: Vec<usize> = order.iter().map(|n| n % orders.len()).collect();
            for &n in &undone {
                board.undo(&orders[n]).await.unwrap();
            }
            // The same as if the undone ones had never been.
            let fresh = Switchboard::new(Panel::default());
            fresh.switches().change(|state| { state.version.insert("s".into(), Some("v3".into())); }).unwrap();
            for (n, order) in orders.iter().enumerate().filter(|(n, _)| !undone.contains(n)) {
                let _ = n;
                fresh.apply(order).await.unwrap();
            }
            prop_assert_eq!(board.switches().look(), fresh.switches().look());
            for order in orders.iter().rev() {
                board.undo(order).await.unwrap();
                board.undo(order).await.unwrap();
            }
            prop_assert_eq!(board.switches().look(), before);
            Ok(())
        })?;
    }

    /// An incident's own steps keep the same law through the hands, and every change is in the store.
    #[test]
    fn steps_of_an_incident_are_idempotent_and_kept(choices in prop::collection::vec((0_usize..4, any::<bool>()), 1..20)) {
        block_on(async {
            let hands = Hands::new(Switchboard::new(Panel::default()), MemoryIncidents::default());
            let before = hands.actuator.switches().look();
            let mut incident = walk_incident(Mode::Advise, 1);
            hands.save(&mut incident).await.unwrap();
            let ids: Vec<String> = incident.steps.iter().map(|step| step.id.clone()).collect();
            prop_assert!(ids.len() >= 2);
            for (n, (choice, apply)) in choices.iter().enumerate() {
                let id = &ids[choice % ids.len()];
                let now = Millis(100 + n as u64);
                let held = incident.step(id).unwrap().state == StepState::Applied;
                let deed = if *apply {
                    hands.apply(&mut incident, id, "ada", now).await.unwrap()
                } else {
                    hands.undo(&mut incident, id, "ada", now).await.unwrap()
                };
                prop_assert_eq!(deed.is_some(), held != *apply, "a second time does nothing");
                prop_assert_eq!(hands.store.load(&incident.id).await.unwrap().unwrap(), incident.clone());
            }
            for id in &ids {
                hands.undo(&mut incident, id, "ada", Millis(999)).await.unwrap();
            }
            prop_assert_eq!(hands.actuator.switches().look(), before);
            prop_assert_eq!(incident.state, IncidentState::Open);
            Ok(())
        })?;
    }
}
