//! Take in, probe, admit: the three stations before a model serves.

pub mod account;
pub mod admit;
mod curves;
mod described;
mod sentences;
pub mod subject;
pub mod take_in;

use mantlet_console::Shelf;
use mantlet_report::{ModelCard, NamedExamination, NextStep, Passport, SystemReport, Tone, VerdictBlock};
use mantlet_store::Store;
use mantlet_verdict::{Admission, Admit, Policy, ProbeSummary, weigh};
use mantlet_vocab::{Examination, Gap, Millis};
use mantlet_worker::battery::{self, Plan, Results};
use mantlet_worker::targets::ModelTarget;

use crate::config::{Config, Loaded};
use admit::{Judged, Recorded};
use subject::Subject;
use take_in::Part;

/// Told how the stations proceed.
pub trait Watch: mantlet_scan::Progress {
    /// A station or probe begins.
    fn begin(&mut self, what: &str);
    /// Whether a person asked to stop.
    fn stopped(&self) -> bool;
}

/// Everything the three stations produced.
pub struct Protected {
    /// The decision.
    pub admission: Admission,
    /// Model and rows, when probes could run.
    pub subject: Option<Subject>,
    /// What is on record; `None` when the candidate could not be recorded because there is no model.
    pub recorded: Recorded,
    /// The report.
    pub report: SystemReport,
}

/// The policy of a configuration: its own bars over the impact class's.
pub fn policy(config: &Config) -> Policy {
    let mut policy = Policy { threshold: config.policy.threshold, ..Policy::default() };
    for gate in [&mut policy.low, &mut policy.medium, &mut policy.high, &mut policy.critical] {
        if let Some(share) = config.policy.evasion_success {
            gate.evasion.allow = share;
            gate.evasion.refuse_above = gate.evasion.refuse_above.max(share);
            gate.decision_evasion.allow = share;
            gate.decision_evasion.refuse_above = gate.decision_evasion.refuse_above.max(share);
        }
        if let Some(queries) = config.policy.extraction_queries {
            gate.extraction.min_queries = queries as u64;
            gate.extraction.refuse_below = gate.extraction.refuse_below.min(queries as u64);
        }
        if let Some(share) = config.policy.membership {
            gate.membership.allow = share;
            gate.membership.refuse_above = gate.membership.refuse_above.max(share);
        }
    }
    policy
}

/// How the battery is run for a configuration.
pub fn plan(config: &Config, command: &str) -> Plan {
    Plan {
        seed: config.probes.seed,
        rows: config.probes.rows,
        shown_epsilon: config.probes.epsilon,
        queries: config.probes.queries as u64,
        command: command.to_owned(),
        ..Plan::default()
    }
}

/// Runs the three stations over a configuration and puts the outcome on record.
///
/// # Errors
/// When the store or a file fails; what is found in the model is a result, not an error.
pub async fn protect(
    loaded: &Loaded,
    store: &Store,
    plan: &Plan,
    actor: &str,
    watch: &mut dyn Watch,
) -> anyhow::Result<Protected> {
    watch.begin("take in: model, data, dependencies");
    let parts = take_in::take_in(loaded, &mut Forward(watch));
    let policy = policy(&loaded.config);
    let impact = loaded.config.system.impact;
    let subject = subject::load_of(loaded, false).and_then(|classifier| subject::subject(loaded, classifier));
    let (results, summaries, gap) = match &subject {
        Ok(subject) => {
            let mut target =
                ModelTarget::new(loaded.config.model.path.display().to_string(), subject.classifier.clone());
            let results =
                battery::run(&mut target, &subject.ground, policy.gate(impact), plan, &[], &mut |name| {
                    watch.begin(&format!("probe: {name}"));
                    !watch.stopped()
                })?;
            anyhow::ensure!(!watch.stopped(), "stopped before the probes were over; nothing was recorded");
            let summaries: Vec<ProbeSummary> =
                results.probes.iter().filter_map(|p| p.summary.clone()).collect();
            (results, summaries, None)
        }
        Err(gap) => (Results::default(), Vec::new(), Some(gap.clone())),
    };
    watch.begin("admit: weigh, sign, record");
    let mut examination = Examination::default();
    parts.iter().for_each(|part| examination.merge(part.examination.clone()));
    examination.gaps.extend(gap.clone());
    let admission = weigh(&examination, &summaries, impact, &policy);
    let report = report(loaded, &parts, &results, subject.as_ref().ok(), &admission, gap, plan, store.now());
    let judged = Judged {
        loaded,
        admission: &admission,
        subject: subject.as_ref().ok(),
        evidence: vec![
            ("scan.json", "application/json", serde_json::to_vec(&examination)?),
            (
                "probes.json",
                "application/json",
                serde_json::to_vec(&results.probes.iter().map(|p| &p.report).collect::<Vec<_>>())?,
            ),
            ("admission.json", "application/json", serde_json::to_vec(&admission)?),
        ],
        actor,
    };
    let recorded = admit::record(store, &judged).await?;
    let mut report = report;
    if let (Some(card), Some(passport)) = (report.models.first_mut(), &recorded.passport) {
        let storage = loaded.storage();
        card.passport = Some(Passport {
            path: passport.display().to_string(),
            key: storage.join("keys/signing.pub").display().to_string(),
            verify: format!(
                "mantlet verify {} --signature {} --key {}",
                recorded.version.path.display(),
                passport.display(),
                storage.join("keys/signing.pub").display()
            ),
        });
    }
    Shelf::new(store.clone()).keep_report(&loaded.config.model.version, &report, actor).await?;
    Ok(Protected { admission, subject: subject.ok(), recorded, report })
}

/// Lets the scanner speak to the watcher.
struct Forward<'a>(&'a mut dyn Watch);

impl mantlet_scan::Progress for Forward<'_> {
    fn start(&mut self, files: usize, left_out: usize) {
        self.0.start(files, left_out);
    }
    fn file(&mut self, path: &str, done: usize, files: usize) {
        self.0.file(path, done, files);
    }
}

#[expect(clippy::too_many_arguments, reason = "a report is made of everything")]
fn report(
    loaded: &Loaded,
    parts: &[Part],
    results: &Results,
    subject: Option<&Subject>,
    admission: &Admission,
    gap: Option<Gap>,
    plan: &Plan,
    now: Millis,
) -> SystemReport {
    let config = &loaded.config;
    let version = &config.model.version;
    let tone = match admission.decision {
        Admit::Admit => Tone::Good,
        Admit::NeedsPerson => Tone::Warning,
        Admit::Refuse => Tone::Bad,
    };
    let sentences = admission.deciding().take(5).map(|reason| reason.plain.clone()).collect();
    let verdict = VerdictBlock {
        tone,
        headline: format!("{version}: {}", admission.headline()),
        sentences,
        next: next(loaded, admission),
    };
    let mut report = SystemReport::new(config.system.name.clone(), config.system.impact, now, verdict);
    report.purpose = config.system.decides.clone();
    report.mantlet = env!("CARGO_PKG_VERSION").to_owned();
    report.command = plan.command.clone();
    report.threshold = config.policy.threshold;
    report.gaps.extend(gap);
    let artifact =
        parts.iter().find(|part| part.name == "model").and_then(|part| part.examination.artifacts.first());
    report.models.push(ModelCard {
        version: version.clone(),
        path: config.model.path.display().to_string(),
        digest: artifact.and_then(|artifact| artifact.digest),
        size: artifact.map_or(0, |artifact| artifact.size),
        admission: match admission.decision {
            Admit::Admit => mantlet_report::Admission::Admitted,
            Admit::NeedsPerson => mantlet_report::Admission::NeedsPerson,
            Admit::Refuse => mantlet_report::Admission::Refused,
        },
        reasons: admission
            .lines()
            .into_iter()
            .map(|(kind, plain)| format!("{}: {plain}", kind.word()))
            .collect(),
        facts: facts(subject),
        passport: None,
    });
    for part in parts {
        report.examinations.push(NamedExamination {
            name: part.name.to_owned(),
            examination: part.examination.clone(),
            command: match part.name {
                "model" => format!("mantlet scan --full {}", loaded.path(&config.model.path).display()),
                "data" => format!("mantlet data check {}", loaded.root.display()),
                _ => format!("mantlet deps check {}", loaded.root.display()),
            },
        });
    }
    account::add_probes(&mut report, version, results, subject);
    report
}

fn facts(subject: Option<&Subject>) -> Vec<(String, String)> {
    let Some(subject) = subject else { return Vec::new() };
    let on =
        if subject.ground.held_out.is_some() { "rows it was not trained on" } else { "its training rows" };
    let mut facts = vec![
        ("classes".to_owned(), subject.classes.join(", ")),
        ("agrees with the labels".to_owned(), format!("{:.1} % of {on}", subject.accuracy * 100.0)),
    ];
    facts.extend(subject.notes.iter().map(|note| ("note".to_owned(), note.clone())));
    facts
}

fn next(loaded: &Loaded, admission: &Admission) -> Vec<NextStep> {
    let root = loaded.words();
    let up = loaded.behind.as_ref().map_or(&loaded.root, |behind| &behind.folder).display();
    let version = &loaded.config.model.version;
    let step = |what: &str, command: String| NextStep { what: what.to_owned(), command: Some(command) };
    match admission.decision {
        Admit::Admit => vec![
            step(
                "a second person consents, where the impact asks for one",
                format!("mantlet registry approve {version} {root} --user NAME --note TEXT"),
            ),
            step("put it before users", format!("mantlet registry promote {version} {root}")),
            step("guard it", format!("mantlet up {up}")),
        ],
        Admit::NeedsPerson => {
            let mut steps: Vec<NextStep> = admission
                .deciding()
                .filter(|reason| !reason.remedy.is_empty())
                .take(3)
                .map(|reason| NextStep { what: reason.remedy.clone(), command: None })
                .collect();
            steps.push(step(
                "or accept it as it is, with a reason that stays on record",
                format!("mantlet registry admit {version} {root} --user NAME --note TEXT"),
            ));
            steps
        }
        Admit::Refuse => admission
            .deciding()
            .filter(|reason| !reason.remedy.is_empty())
            .take(3)
            .map(|reason| NextStep { what: reason.remedy.clone(), command: None })
            .collect(),
    }
}
