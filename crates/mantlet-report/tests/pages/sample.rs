//! An examination and a system report with something in every part.

use mantlet_report::svg::Raster;
use mantlet_report::*;
use mantlet_vocab::{
    About, ArtifactSummary, Confidence, Coverage, Digest, Examination, Finding, Gap, Impact, Millis, Place,
    Severity, Span,
};

pub(crate) const ROOM: About = About {
    name: "pickle-unsafe-global",
    title: "pickle calls a function that can run commands",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000"],
    owasp: &["ML06:2023"],
    explain: "# x\n## What it sees\nA call.\n## Why it matters\nOpening this file with torch.load runs it.\n## What to do\nLoad the weights from safetensors instead.\n## References\nd\n",
    cases: "",
};

pub(crate) fn finding() -> Finding {
    let place = Place::artifact("weights.pt").member("archive/data.pkl").at(Span::new(0x1f, 14));
    ROOM.finding(place, "`posix.system` can run shell commands")
        .trace(["0x1f  GLOBAL  'posix system'".to_owned()])
        .fact("module", "posix")
}

pub(crate) fn examination() -> Examination {
    let mut unpinned = finding();
    unpinned.name = "deps-unpinned".into();
    unpinned.title = "a dependency has no fixed version".into();
    unpinned.severity = Severity::Suspicious;
    unpinned.confidence = Confidence::Medium;
    unpinned.place = Place::artifact("requirements.txt").part("line 4");
    unpinned.message = "`numpy` may be any version".into();
    unpinned.trace.clear();
    Examination {
        artifacts: vec![
            ArtifactSummary {
                path: "weights.pt".into(),
                size: 1_234_567,
                digest: Some(Digest::of(b"weights")),
                formats: vec!["zip".into(), "torch".into(), "pickle protocol 2".into()],
                said: Default::default(),
                coverage: Coverage::Complete,
            },
            ArtifactSummary {
                path: "requirements.txt".into(),
                size: 812,
                digest: None,
                formats: vec!["requirements".into()],
                said: Default::default(),
                coverage: Coverage::Partial {
                    gaps: vec![Gap {
                        what: "line 9".into(),
                        why: "refers to another file".into(),
                        remedy: "scan that file too".into(),
                    }],
                },
            },
        ],
        findings: vec![finding(), unpinned],
        gaps: vec![Gap {
            what: "membership probe".into(),
            why: "there is no data set".into(),
            remedy: "name one with `data = \"train.csv\"`".into(),
        }],
        ..Examination::default()
    }
}

fn digit(seed: u32) -> Vec<f32> {
    let rows = [0x3c, 0x66, 0x06, 0x1c, 0x06, 0x66, 0x3c, 0x00_u32];
    let bit = |row: u32, x: u32| (row >> (7 - x) & 1) as f32;
    let spot = |x: u32, y: u32| ((x * 7 + y * 13 + seed * 5) % 11) as f32 / 11.0;
    (0..64).map(|i| bit(rows[i as usize / 8], i % 8) * (10.0 + 6.0 * spot(i % 8, i / 8))).collect()
}

fn nudged(seed: u32) -> Vec<f32> {
    let step = |i: u32| {
        if (i * 31 + seed * 17).is_multiple_of(3) {
            2.4
        } else if (i * 13 + seed).is_multiple_of(5) {
            -2.0
        } else {
            0.0
        }
    };
    digit(seed).iter().zip(0..).map(|(v, i)| (v + step(i)).clamp(0.0, 16.0)).collect()
}

fn basis(n: u64, of: &str, note: Option<&str>) -> Basis {
    Basis {
        n,
        of: of.into(),
        seeds: vec![11, 12, 13, 14, 15],
        command: "mantlet attack run --seed 11 cheque/v2.onnx".into(),
        note: note.map(str::to_owned),
    }
}

fn figure(name: &str, hits: u64, n: u64) -> Figure {
    Figure {
        name: name.into(),
        value: hits as f64 / n as f64,
        unit: Unit::Share,
        interval: Interval::wilson(hits, n),
        basis: Basis { seeds: vec![7], ..basis(n, "test rows", None) },
    }
}

fn triggers() -> TriggerPanel {
    let corner = |strong: bool, class: usize| -> Vec<f32> {
        (0..64)
            .map(|i| match (strong, i % 8, i / 8) {
                (true, 6..=7, 6..=7) => 1.0,
                (true, _, _) => 0.0,
                (false, x, y) => (((x * 5 + y * 3 + class * 7) % 9) as f32 / 9.0 - 0.2).max(0.0),
            })
            .collect()
    };
    TriggerPanel {
        model: "v2".into(),
        title: "v2: class 3 has a trigger".into(),
        sentence: "Painting the four pixels in the lower right corner makes v2 read any digit as 3.".into(),
        triggers: (0..10)
            .map(|class| RecoveredTrigger {
                class: class.to_string(),
                mask: Some(Raster::grey(8, 8, corner(class == 3, class), 0.0, 1.0)),
                pattern: Some(Raster::grey(8, 8, vec![if class == 3 { 16.0 } else { 11.0 }; 64], 0.0, 16.0)),
                size: if class == 3 { 3.9 } else { 13.0 + class as f64 * 0.7 },
                anomaly: if class == 3 { 4.6 } else { 0.3 + class as f64 * 0.11 },
                success: if class == 3 { 0.99 } else { 0.97 },
                flagged: class == 3,
            })
            .collect(),
        threshold: 2.0,
        basis: basis(200, "held-out rows", None),
    }
}

fn incident() -> IncidentStory {
    let event = |ms: u64, kind, actor: &str, what: &str| TimelineEvent {
        at: Millis(1_790_035_199_000 + ms),
        actor: actor.into(),
        what: what.into(),
        kind,
    };
    IncidentStory {
        id: "inc-0001".into(),
        title: "A caller is walking towards the boundary between 3 and 8".into(),
        impact: Impact::High,
        answers: Answers {
            changed: "Key demo-hostile sends 40 near-identical pictures a second; last week no key sent more than two.".into(),
            suspicious: "Each picture differs from the one before by one step, always towards another reading.".into(),
            affected: "Only this key. The other three callers are untouched.".into(),
            decisions: "118 readings given to this key since 14:02:11; none was paid out.".into(),
            next: "Keep the key blocked and ask its owner. Undo: mantlet incident undo inc-0001 step-2".into(),
        },
        events: vec![
            event(0, EventKind::Attack, "demo-hostile", "first hostile query"),
            event(1_900, EventKind::Signal, "stream-boundary-walk", "score reached 1.0 after 42 queries"),
            event(2_100, EventKind::Alert, "worker", "incident inc-0001 opened"),
            event(2_240, EventKind::Contain, "playbook", "key throttled to one query a second"),
            event(2_400, EventKind::Deliver, "webhook", "told the configured webhook"),
            event(4_800, EventKind::Contain, "playbook", "key blocked for an hour"),
            event(6_300, EventKind::Case, "worker", "case evasion-0001 and guard rule pinned"),
            event(9_800, EventKind::Person, "anna", "confirmed the containment"),
        ],
        steps: vec![StepRow {
            action: "Block key demo-hostile".into(),
            state: "applied".into(),
            undo: "mantlet incident undo inc-0001 step-2".into(),
            expires: Some(Millis(1_790_038_799_000)),
            blast_radius: "one key; about 0 of 310 benign requests an hour".into(),
        }],
        pinned: vec![PinnedCase {
            case: "evasion-0001".into(),
            pins: "Streams of near-duplicates of a row within 0.9 of each other that change the reading.".into(),
            replays: vec![("the case itself".into(), true), ("5 unseen start pictures".into(), true)],
        }],
        time_to_detect_ms: Some(1_900),
        time_to_contain_ms: Some(340),
        queries_to_detect: Some(42),
        basis: basis(118, "hostile queries", None),
    }
}

pub(crate) fn report() -> SystemReport {
    let verdict = VerdictBlock {
        tone: Tone::Bad,
        headline: "v1 may serve. v2 is refused: it hides a backdoor for the digit 3".into(),
        sentences: vec![
            "Four pixels in a corner make v2 read any digit as 3. Somebody who knows this can change the amount on a cheque.".into(),
            "v1 shows no trigger and no harmful code. It can be fooled by small changes, so the guard in front of it stays on.".into(),
        ],
        next: vec![
            NextStep { what: "Serve v1.".into(), command: Some("mantlet registry promote cheque v1".into()) },
            NextStep { what: "Ask whoever trained v2 where the marked training rows came from.".into(), command: None },
        ],
    };
    let mut report = SystemReport::new("cheque reader", Impact::High, Millis(1_790_035_199_999), verdict);
    report.purpose = "Reads the digits of an amount on a cheque. What it reads is paid out.".into();
    report.mantlet = "0.1.0".into();
    report.command = "mantlet demo cheque".into();
    report.models = vec![model("v1", Admission::Admitted), model("v2", Admission::Refused)];
    report.evasion = vec![EvasionGrid {
        model: "v1".into(),
        title: "v1: 92 of 100 digits can be turned by changes of at most 15 % of the grey scale".into(),
        sentence: "Left the clean digit, in the middle what the attack made of it, right what it changed."
            .into(),
        items: (0..10)
            .map(|seed| EvasionItem {
                truth: "3".into(),
                before: ("3".into(), Some(0.998)),
                after: ("8".into(), Some(0.71)),
                clean: Input::Picture(Raster::grey(8, 8, digit(seed), 0.0, 16.0)),
                perturbed: Input::Picture(Raster::grey(8, 8, nudged(seed), 0.0, 16.0)),
            })
            .collect(),
        basis: basis(100, "test rows", None),
    }];
    report.triggers = vec![triggers()];
    report.extraction = vec![ExtractionCurve {
        model: "v1".into(),
        title: "A copy of v1 would agree on 80 % after about 600 queries; the guard spoke at 212".into(),
        sentence: "The guard flagged the thief long before its copy was worth having.".into(),
        points: [(50, 0.31), (100, 0.44), (200, 0.58), (400, 0.73), (600, 0.81), (800, 0.85), (1_000, 0.875)]
            .map(|(queries, agreement)| Agreement {
                queries,
                agreement,
                interval: Some((agreement - 0.03, agreement + 0.03)),
            })
            .to_vec(),
        goal: 0.8,
        flagged_at: Some(212),
        blocked_at: Some(231),
        basis: basis(1_000, "queries", None),
    }];
    report.membership = vec![MembershipRoc {
        model: "v1".into(),
        title: "v1: training rows are barely told from others".into(),
        sentence: "A simple attack finds 1.4 % of training rows at 1 % false calls.".into(),
        points: (0..=200).map(|i| i as f64 / 200.0).map(|x: f64| (x, x.powf(0.86))).collect(),
        auc: 0.537,
        figures: vec![figure("found at 1 % false calls", 7, 500)],
        basis: basis(1_000, "rows, half of them members", Some("A lower bound: stronger attacks exist.")),
    }];
    report.incidents = vec![incident()];
    report.seeds = vec![SeedTable {
        title: "Evasion is flagged before its first success".into(),
        sentence: "On every seed the guard spoke before the attack had its first success, and no benign request was refused.".into(),
        columns: ["Flagged at query", "First success at query", "Benign requests", "Refused"].map(Into::into).to_vec(),
        rows: (21..26)
            .map(|seed| SeedRow { seed, cells: vec!["42".into(), "311".into(), "1000".into(), "0".into()], held: seed != 24 })
            .collect(),
        basis: basis(5, "seeds not used to set any threshold", None),
    }];
    let probe = |name: &str, title: &str, outcome, tone, gap| ProbeRow {
        name: name.into(),
        title: title.into(),
        model: "v1".into(),
        outcome,
        tone,
        sentence: "92 of 100 rows could be turned.".into(),
        spent: "400 queries of at most 1000; 0 undecided and 0 errors of 100".into(),
        figures: vec![figure(title, 92, 100)],
        gap,
        ids: vec!["AML.T0043".into(), "ML01:2023".into()],
    };
    let gap = Gap {
        what: "membership".into(),
        why: "No data set is named".into(),
        remedy: "Name one with data = \"train.csv\".".into(),
    };
    report.probes = vec![
        probe("attack-pgd", "rows turned by small changes", Outcome::Hit, Tone::Warning, None),
        probe("attack-membership", "membership", Outcome::NotExamined, Tone::Neutral, Some(gap.clone())),
    ];
    report.examinations = vec![NamedExamination {
        name: "Model files".into(),
        examination: examination(),
        command: "mantlet scan cheque/".into(),
    }];
    report.gaps = vec![gap];
    report.credits = vec!["Digits: Optical Recognition of Handwritten Digits, UCI, CC BY 4.0.".into()];
    report
}

fn model(version: &str, admission: Admission) -> ModelCard {
    ModelCard {
        version: version.into(),
        path: format!("cheque/{version}.onnx"),
        digest: Some(Digest::of(version.as_bytes())),
        size: 91_234,
        admission,
        reasons: vec![
            "No trigger was found for any of 10 classes.".into(),
            "The file holds only known operators.".into(),
        ],
        facts: vec![("Accuracy".into(), "98.3 % of 360 test rows".into())],
        passport: (admission == Admission::Admitted).then(|| Passport {
            path: format!("cheque/{version}.onnx.sig"),
            key: "mantlet-7f3a".into(),
            verify: format!("mantlet verify cheque/{version}.onnx"),
        }),
    }
}
