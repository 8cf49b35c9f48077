//! A rollout from its first step to its end, with every gate closed once.

use std::fs;

use mantlet_registry::rollout::{Arm, Hold, Metric, Observation, Phase, Plan, Rollout, Step, Verdict};
use mantlet_registry::{RegistryError, RegistryStore as _, State};
use mantlet_vocab::{Impact, Millis};

use super::{Desk, admit, block, desk, id};

fn plan() -> Plan {
    let step = |share, samples| Step { share, samples, dwell_ms: 1_000 };
    Plan { steps: vec![step(500, 20), step(5_000, 20)], ..Plan::default() }
}

fn seen(arm: Arm, at: u64, failed: bool) -> Observation {
    Observation {
        arm,
        at: Millis(at),
        failed: Some(failed),
        took_ms: 1.0,
        signalled: Some(false),
        output: None,
    }
}

fn observe(rollout: &mut Rollout, count: u64, at: u64, failing: bool) {
    let plan = rollout.plan.clone();
    for _ in 0..count {
        rollout.evidence.see(&plan, &seen(Arm::Baseline, at, false));
        rollout.evidence.see(&plan, &seen(Arm::Candidate, at, failing));
    }
}

/// Version 1 serves and is known to be good, version 2 is admitted.
async fn ready(folder: &std::path::Path, impact: Impact) -> Desk {
    let registry = desk(folder, impact).await;
    admit(&registry, "v1").await;
    admit(&registry, "v2").await;
    if impact >= Impact::High {
        registry.approve(&id("v1"), "bob", "ok", Millis(2)).await.unwrap();
    }
    registry.promote(&id("v1"), "eve", "go", Millis(3)).await.unwrap();
    registry.mark_known_good(&id("v1"), "eve", Millis(4)).await.unwrap();
    registry
}

#[test]
fn a_good_version_goes_step_by_step_before_everybody() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let registry = ready(folder.path(), Impact::Medium).await;
        let plan = Plan { shadow: Some(Step { share: 0, samples: 20, dwell_ms: 0 }), ..plan() };
        let mut rollout =
            registry.start_rollout(&id("v2"), plan.clone(), "r1", "ada", "faster", Millis(10)).await.unwrap();
        assert_eq!((rollout.phase, rollout.share()), (Phase::Shadow, 0));
        let again = registry.start_rollout(&id("v2"), plan, "r2", "ada", "", Millis(10)).await;
        assert!(matches!(again, Err(RegistryError::Running(_))));
        let mut shares = Vec::new();
        for at in [2_000, 4_000, 6_000] {
            assert!(matches!(rollout.judge(Millis(at)), Verdict::Hold(_)), "nothing was seen yet");
            observe(&mut rollout, 20, at, false);
            assert_eq!(rollout.judge(Millis(at)), Verdict::Advance);
            rollout = registry.advance_rollout(&rollout, "mantlet", "no worse", Millis(at)).await.unwrap();
            shares.push(rollout.share());
        }
        assert_eq!(shares, [500, 5_000, 10_000]);
        let system = registry.store().system("cheques").await.unwrap().unwrap();
        assert_eq!(system.serving.as_deref(), Some("v2"));
        let what: Vec<&str> = rollout.lines.iter().map(|line| line.what.as_str()).collect();
        assert_eq!(what, ["started", "advanced", "advanced", "promoted"]);
        assert_eq!(rollout.judge(Millis(9_000)), Verdict::Over);
        assert!(matches!(
            registry.abort_rollout("cheques", "ada", "", Millis(9_000)).await,
            Err(RegistryError::NoRollout(_))
        ));
    });
}

#[test]
fn a_bad_version_is_taken_back_to_one_that_was_verified() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let registry = ready(folder.path(), Impact::Medium).await;
        let ahead = registry.verify_ahead(&id("v1")).await.unwrap();
        assert!(registry.is_unchanged(&ahead));
        let mut rollout =
            registry.start_rollout(&id("v2"), plan(), "r1", "ada", "faster", Millis(10)).await.unwrap();
        observe(&mut rollout, 30, 20, true);
        let Verdict::RollBack(worse) = rollout.judge(Millis(20)) else { panic!("30 of 30 failed") };
        assert_eq!(worse.metric, Metric::Errors);
        assert!(worse.p <= 0.01, "{worse}");
        let back =
            registry.return_rollout(&rollout, &worse, Some(&ahead), "mantlet", Millis(30)).await.unwrap();
        assert_eq!(
            (back.to.version.as_str(), back.ahead, back.rollout.phase),
            ("v1", true, Phase::RolledBack)
        );
        let state = registry.store().version("cheques", "v2").await.unwrap().unwrap().state;
        assert_eq!(state, State::Retired);
        let again = registry.start_rollout(&id("v2"), plan(), "r2", "ada", "", Millis(40)).await;
        assert!(matches!(again, Err(RegistryError::State { state: State::Retired, .. })));
    });
}

#[test]
fn a_known_good_version_that_was_tampered_with_gets_no_traffic() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let registry = ready(folder.path(), Impact::Medium).await;
        let ahead = registry.verify_ahead(&id("v1")).await.unwrap();
        let mut rollout =
            registry.start_rollout(&id("v2"), plan(), "r1", "ada", "faster", Millis(10)).await.unwrap();
        observe(&mut rollout, 30, 20, true);
        let Verdict::RollBack(worse) = rollout.judge(Millis(20)) else { panic!("30 of 30 failed") };
        let file = folder.path().join("v1/model.onnx");
        let bytes = fs::read(&file).unwrap();
        let times = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, b"v9").unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(times).unwrap();
        let fault = registry.return_rollout(&rollout, &worse, Some(&ahead), "mantlet", Millis(30)).await;
        assert!(matches!(fault, Err(RegistryError::NotVerified { .. })));
        assert!(registry.running("cheques").await.unwrap().is_some(), "nothing was changed");
        // Put right, it is hashed again, since its stamp is another.
        fs::write(&file, bytes).unwrap();
        let back =
            registry.return_rollout(&rollout, &worse, Some(&ahead), "mantlet", Millis(40)).await.unwrap();
        assert!(!back.ahead);
    });
}

#[test]
fn when_the_stable_version_is_not_what_was_signed_the_known_good_one_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let registry = ready(folder.path(), Impact::Medium).await;
        // Version 2 serves, version 1 is the one to fall back to, version 3 is rolled out.
        registry.promote(&id("v2"), "ada", "go", Millis(5)).await.unwrap();
        let third = super::signed(folder.path(), "v3");
        registry.add(third.clone()).await.unwrap();
        admit(&registry, "v3").await;
        let mut rollout =
            registry.start_rollout(&id("v3"), plan(), "r", "ada", "", Millis(10)).await.unwrap();
        observe(&mut rollout, 30, 20, true);
        let Verdict::RollBack(worse) = rollout.judge(Millis(20)) else { panic!("30 of 30 failed") };
        fs::write(folder.path().join("v2/model.onnx"), b"bad").unwrap();
        let back = registry.return_rollout(&rollout, &worse, None, "mantlet", Millis(30)).await.unwrap();
        assert_eq!(back.to.version, "v1");
        let serving = registry.store().system("cheques").await.unwrap().unwrap().serving;
        assert_eq!(serving.as_deref(), Some("v1"));
    });
}

#[test]
fn the_gates_of_promotion_stand_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let registry = desk(folder.path(), Impact::High).await;
        let start =
            async |actor: &str| registry.start_rollout(&id("v2"), plan(), "r", actor, "", Millis(9)).await;
        assert!(matches!(start("ada").await, Err(RegistryError::State { state: State::Candidate, .. })));
        admit(&registry, "v2").await;
        assert!(matches!(start("ada").await, Err(RegistryError::FourEyes { .. })));
        registry.approve(&id("v2"), "bob", "ok", Millis(3)).await.unwrap();
        assert!(matches!(start("ada").await, Err(RegistryError::NoKnownGood(_))));
        admit(&registry, "v1").await;
        registry.approve(&id("v1"), "bob", "ok", Millis(3)).await.unwrap();
        registry.mark_known_good(&id("v1"), "ada", Millis(4)).await.unwrap();
        assert!(matches!(start("ada").await, Err(RegistryError::NothingServes(_))));
        registry.promote(&id("v1"), "ada", "go", Millis(5)).await.unwrap();
        registry.store().0.lock().unwrap().held.insert(id("v2"));
        assert!(matches!(start("ada").await, Err(RegistryError::Held(_))));
        registry.store().0.lock().unwrap().held.clear();
        fs::write(folder.path().join("v2/model.onnx"), b"other").unwrap();
        assert!(matches!(start("ada").await, Err(RegistryError::NotVerified { .. })));
        fs::write(folder.path().join("v2/model.onnx"), b"v2").unwrap();
        let bad = Plan { steps: vec![], ..plan() };
        let bad = registry.start_rollout(&id("v2"), bad, "r", "ada", "", Millis(9)).await;
        assert!(matches!(bad, Err(RegistryError::Plan(_))));
        start("ada").await.unwrap();
        let paused = registry.pause_rollout("cheques", true, "bob", "wait", Millis(10)).await.unwrap();
        assert!(paused.paused);
        // Who read it before the pause cannot take it on.
        let stale = Rollout { revision: paused.revision - 1, ..paused.clone() };
        assert!(matches!(
            registry.advance_rollout(&stale, "mantlet", "", Millis(11)).await,
            Err(RegistryError::Changed)
        ));
        let over = registry.abort_rollout("cheques", "bob", "no", Millis(12)).await.unwrap();
        assert_eq!((over.phase, over.share()), (Phase::Aborted, 0));
    });
}

#[test]
fn whatever_is_missing_holds() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let registry = ready(folder.path(), Impact::Medium).await;
        let plan = Plan { slow_ms: Some(50.0), labels: 20, ..plan() };
        let begun = registry.start_rollout(&id("v2"), plan.clone(), "r", "ada", "", Millis(0)).await.unwrap();
        let label = |rollout: &mut Rollout| {
            for _ in 0..20 {
                rollout.evidence.label(Arm::Candidate, Millis(1), false);
                rollout.evidence.label(Arm::Baseline, Millis(1), false);
            }
        };
        let whole = {
            let mut rollout = begun.clone();
            observe(&mut rollout, 20, 1, false);
            label(&mut rollout);
            rollout
        };
        assert_eq!(whole.judge(Millis(1_000)), Verdict::Advance);
        let holds = |rollout: &Rollout, at| match rollout.judge(Millis(at)) {
            Verdict::Hold(holds) => holds,
            other => panic!("{other:?}"),
        };
        assert_eq!(holds(&whole, 400), [Hold::Time(600)]);
        assert!(matches!(holds(&whole, 200_000)[..], [Hold::Stale(_)]));
        assert_eq!(holds(&Rollout { paused: true, ..whole.clone() }, 1_000), [Hold::Paused]);
        let mut few = begun.clone();
        observe(&mut few, 19, 1, false);
        assert_eq!(holds(&few, 1_000), [Hold::Samples(1), Hold::Labels(20)]);
        // One arm only: no comparison, whatever the other shows.
        let mut one = begun.clone();
        for _ in 0..1_000 {
            one.evidence.see(&plan, &seen(Arm::Candidate, 1, true));
        }
        assert!(holds(&one, 1_000).contains(&Hold::Samples(20)));
        let mut blind = begun.clone();
        for arm in [Arm::Candidate, Arm::Baseline] {
            for _ in 0..20 {
                blind.evidence.see(&plan, &Observation { took_ms: f64::NAN, ..seen(arm, 1, false) });
            }
        }
        label(&mut blind);
        assert_eq!(holds(&blind, 1_000), [Hold::Missing(1.0)]);
        let mut late = whole.moved(Phase::Canary(1), "advanced", "mantlet", "", Millis(5_000));
        observe(&mut late, 20, 6_000, false);
        observe(&mut late, 20, 4_000, true);
        for _ in 0..20 {
            late.evidence.label(Arm::Candidate, Millis(6_000), false);
            late.evidence.label(Arm::Baseline, Millis(6_000), false);
        }
        assert_eq!(
            holds(&late, 6_500),
            [Hold::Late(0.5)],
            "what came late is not held against the candidate"
        );
        let mut doubt = whole.clone();
        observe(&mut doubt, 6, 1, true);
        assert!(holds(&doubt, 1_000).contains(&Hold::Suspicion(Metric::Errors)));
        // A paused rollout is still taken back.
        let mut bad = Rollout { paused: true, ..whole };
        observe(&mut bad, 60, 1, true);
        assert!(matches!(bad.judge(Millis(1_000)), Verdict::RollBack(_)));
    });
}
