//! Boundaries of every limit, and the laws: nothing unexamined passes, worse never improves.

use mantlet_vocab::{ArtifactSummary, Confidence, Place};
use proptest::prelude::*;

use super::*;
use crate::probe::{Family, ProbeFigure, Tally, figure};

fn complete() -> ArtifactSummary {
    ArtifactSummary {
        path: "v1.onnx".into(),
        size: 1,
        digest: None,
        formats: vec!["onnx".into()],
        said: Default::default(),
        coverage: Coverage::Complete,
    }
}

fn examined() -> Examination {
    Examination { artifacts: vec![complete()], ..Examination::default() }
}

fn finding(severity: Severity) -> Finding {
    Finding {
        name: "pickle-unsafe-global".into(),
        title: "a pickle names a function that can run commands".into(),
        severity,
        confidence: Confidence::High,
        place: Place::artifact("v1.pkl"),
        message: "`posix.system`".into(),
        why: String::new(),
        help: "use safetensors".into(),
        trace: vec![],
        facts: Default::default(),
        atlas: vec![],
        owasp: vec![],
    }
}

fn tally(hits: u64, misses: u64) -> Tally {
    Tally { hits, misses, ..Tally::default() }
}

fn evasion(success: f64, epsilon: f64, norm: &str) -> ProbeSummary {
    ProbeSummary::ran("evasion-pgd", Family::Evasion, tally(1, 99))
        .figure(ProbeFigure::new(figure::SUCCESS, success, 100).within(epsilon, norm))
}

fn extraction(queries: f64, agreement: f64, reached: bool) -> ProbeSummary {
    let figure = ProbeFigure::new(figure::QUERIES_TO_AGREEMENT, queries, 200).agreement(agreement);
    let figure = if reached { figure } else { figure.not_reached() };
    ProbeSummary::ran("extraction", Family::Extraction, tally(0, 1)).figure(figure)
}

fn membership(rate: f64, n: u64) -> ProbeSummary {
    ProbeSummary::ran("membership", Family::Membership, tally(0, 1)).figure(ProbeFigure::new(
        figure::TPR_AT_1_FPR,
        rate,
        n,
    ))
}

fn backdoor(hits: u64, misses: u64, undecided: u64) -> ProbeSummary {
    ProbeSummary::ran("backdoor", Family::Backdoor, Tally { hits, misses, errors: 0, undecided })
}

/// Probes that pass the default policy of every class.
fn passing() -> Vec<ProbeSummary> {
    let mut by_asking = evasion(0.0, 0.25, "l2");
    by_asking.family = Family::DecisionEvasion;
    vec![
        evasion(0.0, 0.03, "linf"),
        by_asking,
        extraction(1_000.0, 0.8, false),
        membership(0.01, 200),
        backdoor(0, 10, 0),
    ]
}

/// The passing probes with one of a family exchanged.
fn with(probe: ProbeSummary) -> Vec<ProbeSummary> {
    let mut probes = passing();
    probes.retain(|other| other.family != probe.family);
    probes.push(probe);
    probes
}

fn decide(probes: &[ProbeSummary], impact: Impact) -> (Admit, u8) {
    let admission = weigh(&examined(), probes, impact, &Policy::default());
    (admission.decision, admission.exit_code)
}

const ALL: [Impact; 4] = [Impact::Low, Impact::Medium, Impact::High, Impact::Critical];

#[test]
fn what_passes_everything_is_admitted_everywhere_and_says_why() {
    for impact in ALL {
        let admission = weigh(&examined(), &passing(), impact, &Policy::default());
        assert_eq!((admission.decision, admission.exit_code), (Admit::Admit, 0), "{:?}", admission.reasons);
        assert_eq!(admission.reasons.iter().filter(|r| r.kind == ReasonKind::Passed).count(), 5);
        assert_eq!(admission.headline(), format!("Admitted for a system of {impact} impact."));
    }
}

#[test]
fn the_same_said_of_several_things_is_one_line() {
    let mut admission = weigh(&Examination::default(), &[], Impact::High, &Policy::default());
    let before = admission.lines().len();
    let again = admission.reasons[0].clone();
    admission.reasons.insert(1, again.clone());
    admission.reasons.insert(1, again);
    let lines = admission.lines();
    assert_eq!(lines.len(), before);
    assert!(lines[0].1.ends_with("(3 times)"), "{lines:?}");
}

#[test]
fn limits_at_on_and_beyond_the_boundary() {
    use Admit::{Admit as Yes, NeedsPerson as Ask, Refuse as No};
    let cases = [
        // Evasion in a high-impact system: 0.3 passes, above asks, above 0.9 refuses, within linf 0.03.
        (evasion(0.3, 0.03, "linf"), (Yes, 0)),
        (evasion(0.301, 0.03, "linf"), (Ask, 1)),
        (evasion(0.9, 0.03, "linf"), (Ask, 1)),
        (evasion(0.91, 0.03, "linf"), (No, 1)),
        (evasion(f64::NAN, 0.03, "linf"), (No, 1)),
        // A larger change that seldom succeeds passes; one that often succeeds says nothing of the stated one.
        (evasion(0.2, 0.1, "linf"), (Yes, 0)),
        (evasion(0.95, 0.1, "linf"), (Ask, 2)),
        // A smaller change that often succeeds is found; one that seldom succeeds says nothing.
        (evasion(0.5, 0.01, "linf"), (Ask, 1)),
        (evasion(0.0, 0.01, "linf"), (Ask, 2)),
        // Short in l2 is short in linf; long in l2 says nothing of linf.
        (evasion(0.95, 0.03, "l2"), (No, 1)),
        (evasion(0.0, 0.5, "l2"), (Ask, 2)),
        // Extraction: 50 queries pass at 80 %; fewer ask; a short unsuccessful run says nothing.
        (extraction(50.0, 0.8, true), (Yes, 0)),
        (extraction(49.0, 0.8, true), (Ask, 1)),
        (extraction(49.0, 0.9, true), (Ask, 1)),
        (extraction(49.0, 0.7, true), (Ask, 2)),
        (extraction(50.0, 0.8, false), (Yes, 0)),
        (extraction(49.0, 0.8, false), (Ask, 2)),
        (extraction(500.0, 0.9, false), (Ask, 2)),
        // Membership: 0.10 passes, above asks, above 0.60 refuses; too few trials are not enough.
        (membership(0.10, 20), (Yes, 0)),
        (membership(0.10, 19), (Ask, 2)),
        (membership(0.101, 19), (Ask, 1)),
        (membership(0.61, 200), (No, 1)),
        // A hidden trigger is refused; an unfinished search is not examined.
        (backdoor(1, 9, 0), (No, 1)),
        (backdoor(0, 9, 1), (Ask, 2)),
        (backdoor(0, 0, 0), (Ask, 2)),
    ];
    for (probe, expected) in cases {
        let told = format!("{probe:?}");
        assert_eq!(decide(&with(probe), Impact::High), expected, "{told}");
    }
}

#[test]
fn undecided_and_failed_trials_never_pass() {
    let mut probe = evasion(0.28, 0.03, "linf");
    assert_eq!(decide(&with(probe.clone()), Impact::High), (Admit::Admit, 0));
    probe.tally.undecided = 5;
    assert_eq!(decide(&with(probe.clone()), Impact::High), (Admit::NeedsPerson, 2), "0.28 + 5/100 > 0.3");
    probe.tally.undecided = 0;
    probe.tally.errors = 11;
    assert_eq!(decide(&with(probe.clone()), Impact::High), (Admit::Admit, 0), "11 of 111 is under a tenth");
    probe.tally.errors = 12;
    assert_eq!(decide(&with(probe), Impact::High), (Admit::NeedsPerson, 2));
}

#[test]
fn a_hidden_trigger_is_refused_in_every_class() {
    for impact in ALL {
        assert_eq!(decide(&with(backdoor(1, 9, 0)), impact), (Admit::Refuse, 1));
    }
}

#[test]
fn required_probes_that_are_missing_or_skipped_never_pass() {
    for impact in ALL {
        for family in Policy::default().gate(impact).required.clone() {
            let mut probes = passing();
            probes.retain(|probe| probe.family != family);
            assert_eq!(decide(&probes, impact), (Admit::NeedsPerson, 2), "{impact} without {family:?}");
            let gap = Gap { what: "probe".into(), why: "no data".into(), remedy: "give rows".into() };
            probes.push(ProbeSummary::skipped("probe", family, gap));
            let admission = weigh(&examined(), &probes, impact, &Policy::default());
            assert_eq!((admission.decision, admission.exit_code), (Admit::NeedsPerson, 2));
            assert!(admission.headline().contains("no data"), "{}", admission.headline());
        }
    }
    // A probe the class does not require may be absent.
    assert_eq!(decide(&[backdoor(0, 10, 0)], Impact::Low), (Admit::Admit, 0));
}

#[test]
fn nothing_examined_is_never_admitted_and_gaps_ask_a_person() {
    let nothing = weigh(&Examination::default(), &passing(), Impact::Low, &Policy::default());
    assert_eq!((nothing.decision, nothing.exit_code), (Admit::NeedsPerson, 2));
    let mut partial = examined();
    partial.artifacts[0].coverage = Coverage::Partial {
        gaps: vec![Gap { what: "member".into(), why: "encrypted".into(), remedy: "decrypt it".into() }],
    };
    assert_eq!(weigh(&partial, &passing(), Impact::Low, &Policy::default()).exit_code, 2);
    partial.findings.push(finding(Severity::Suspicious));
    let both = weigh(&partial, &passing(), Impact::Low, &Policy::default());
    assert_eq!((both.decision, both.exit_code), (Admit::NeedsPerson, 1), "found wins over partial");
}

#[test]
fn findings_at_and_below_the_gate() {
    let decide = |severity, impact| {
        let mut examination = examined();
        examination.findings.push(finding(severity));
        let admission = weigh(&examination, &passing(), impact, &Policy::default());
        (admission.decision, admission.exit_code)
    };
    for impact in ALL {
        assert_eq!(decide(Severity::Note, impact), (Admit::Admit, 0));
        assert_eq!(decide(Severity::Malicious, impact), (Admit::Refuse, 1));
    }
    assert_eq!(decide(Severity::Suspicious, Impact::High), (Admit::NeedsPerson, 1));
    assert_eq!(decide(Severity::Suspicious, Impact::Critical), (Admit::Refuse, 1));
}

#[test]
fn the_policy_is_strict_and_checked() {
    let policy = Policy::default();
    assert_eq!(policy.check(), Ok(()));
    let text = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    assert!(serde_json::from_str::<Policy>(r#"{"tresholds": 1}"#).is_err());
    let mut broken = policy.clone();
    broken.high.evasion.refuse_above = 0.1;
    assert!(broken.check().unwrap_err().to_string().contains("`high.evasion`"));
    let mut broken = policy.clone();
    broken.low.membership.allow = f64::NAN;
    assert!(broken.check().is_err());
    let mut broken = policy;
    broken.low.evasion.epsilon = 0.0;
    assert!(broken.check().is_err());
}

fn any_probe() -> impl Strategy<Value = ProbeSummary> {
    let families = prop::sample::select(vec![
        Family::Evasion,
        Family::DecisionEvasion,
        Family::Extraction,
        Family::Membership,
        Family::Backdoor,
        Family::Other,
    ]);
    let names =
        prop::sample::select(vec![figure::SUCCESS, figure::QUERIES_TO_AGREEMENT, figure::TPR_AT_1_FPR]);
    let figures =
        prop::collection::vec((names, 0.0..=1.0_f64, 0.0..0.3_f64, any::<bool>(), any::<bool>()), 0..3);
    (families, 0_u64..3, 0_u64..200, 0_u64..3, 0_u64..30, figures).prop_map(
        |(family, hits, misses, undecided, errors, figures)| {
            let probe = ProbeSummary::ran("p", family, Tally { hits, misses, errors, undecided });
            figures.into_iter().fold(probe, |probe, (name, value, epsilon, l2, not_reached)| {
                let scale = if name == figure::QUERIES_TO_AGREEMENT { 300.0 } else { 1.0 };
                let mut figure = ProbeFigure::new(name, value * scale, 100)
                    .within(epsilon, if l2 { "l2" } else { "linf" })
                    .agreement(0.8);
                figure.not_reached = not_reached;
                probe.figure(figure)
            })
        },
    )
}

/// Clean, then not fully examined, then found.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Clean => 0,
        Verdict::NotFullyExamined => 1,
        Verdict::Found => 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn adding_something_worse_never_improves(
        probes in prop::collection::vec(any_probe(), 0..6),
        severities in prop::collection::vec(0_usize..3, 0..3),
        worse in 0_usize..3,
        impact in 0_usize..4,
        success in 0.0..=1.0_f64,
        more in 0.0..=1.0_f64,
    ) {
        let scale = [Severity::Note, Severity::Suspicious, Severity::Malicious];
        let (impact, policy) = (ALL[impact], Policy::default());
        let mut examination = examined();
        examination.findings.extend(severities.iter().map(|&s| finding(scale[s])));
        let not_better = |before: &Admission, after: &Admission| {
            after.decision >= before.decision && rank(after.verdict) >= rank(before.verdict)
        };
        let before = weigh(&examination, &probes, impact, &policy);
        prop_assert_eq!(before.exit_code, before.verdict.exit_code());
        prop_assert!(before.verdict != Verdict::Clean || before.decision == Admit::Admit);
        // A further finding.
        let mut more_found = examination.clone();
        more_found.findings.push(finding(scale[worse]));
        prop_assert!(not_better(&before, &weigh(&more_found, &probes, impact, &policy)));
        // The same finding, graver.
        if let Some(first) = more_found.findings.first_mut() {
            first.severity = first.severity.max(scale[worse]);
        }
        prop_assert!(not_better(&before, &weigh(&more_found, &probes, impact, &policy)));
        // A further gap.
        let mut less = examination.clone();
        less.gaps.push(Gap { what: "a".into(), why: "b".into(), remedy: "c".into() });
        prop_assert!(not_better(&before, &weigh(&less, &probes, impact, &policy)));
        // A more successful attack at the same change.
        let mut probes = probes;
        probes.push(evasion(success, 0.03, "linf"));
        let mild = weigh(&examination, &probes, impact, &policy);
        probes.pop();
        probes.push(evasion(success.max(more), 0.03, "linf"));
        prop_assert!(not_better(&mild, &weigh(&examination, &probes, impact, &policy)));
        // A graver use of the same model.
        for graver in ALL.into_iter().filter(|graver| *graver > impact) {
            prop_assert!(not_better(&mild_for(&examination, &probes, impact), &mild_for(&examination, &probes, graver)));
        }
    }
}

fn mild_for(examination: &Examination, probes: &[ProbeSummary], impact: Impact) -> Admission {
    weigh(examination, probes, impact, &Policy::default())
}
