//! What the story tells at the end: the report of the system, of the kind that the first demo makes.

use mantlet_report::{
    Basis, Figure, Interval, NamedExamination, NextStep, SystemReport, Tone, Unit, VerdictBlock,
};
use mantlet_respond::Incident;
use mantlet_vocab::{Examination, Impact, Millis};

use super::cards::{self, GOOD, WEEKS};
use super::models::Outcome;
use super::{SYSTEM, Story};
use crate::commands::demo::story;

impl Story {
    fn command(&self) -> String {
        let folder = self.folder.parent().unwrap_or(&self.folder);
        format!("mantlet demo fraud --dir {} --seed {}", folder.display(), self.seed)
    }

    fn basis(&self, n: usize, of: &str, note: &str) -> Basis {
        Basis {
            n: n as u64,
            of: of.to_owned(),
            seeds: vec![self.seed],
            command: self.command(),
            note: Some(note.to_owned()),
        }
    }

    /// The report of the whole story.
    pub(super) fn report(&self, incidents: &[Incident], now: Millis) -> SystemReport {
        let (bank, kind) = cards::cell();
        let [v1, v2, v3] = ["v1", "v2", "v3"].map(|version| self.outcomes.get(version).copied());
        let percent =
            |share: Option<f64>| share.map_or("?".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let accuracy = [v1, v2, v3].map(|own| percent(own.map(Outcome::accuracy)));
        let through = [v1, v2, v3].map(|own| percent(own.map(Outcome::through)));
        let held: Vec<&str> = self.gated.held.iter().map(|held| held.name.as_str()).collect();
        let first = self.gated.held.first();
        let mut sentences = vec![
            format!(
                "From week {} of {WEEKS} on {bank} called a growing part of its {kind} fraud legitimate.",
                GOOD + 1
            ),
            format!(
                "Without the gate the next version, v2, learned it: {} of all decisions are right, before {}, and {} of that \
                 fraud goes through, before {}.",
                accuracy[1], accuracy[0], through[1], through[0]
            ),
            match first {
                Some(first) => format!(
                    "The gate held {} of {} deliveries, first that of {} in week {}: {}. v3, which learned from the others, \
                     lets {} through.",
                    held.len(),
                    held.len() + self.gated.passed,
                    cards::bank(first.bank),
                    first.week + 1,
                    held.join(", "),
                    through[2]
                ),
                None => "The gate held nothing.".to_owned(),
            },
        ];
        if let Some(alarm) = self.segments.findings.iter().find(|finding| finding.name == "segment-loss") {
            sentences.push(format!("Of v2's live decisions the monitor says: {}.", alarm.message));
        }
        sentences.push(format!(
            "v1, which is known to be good, stops {} payments that v2 let through: what v2 cost is at most {:.0}.",
            self.loss.suspects, self.loss.bound
        ));
        sentences.push(
            "The payments are simulated; gate, ledger, monitor, history, incidents and log are the real ones.".to_owned(),
        );
        sentences.extend(self.broken.iter().map(|what| format!("It did not hold: {what}.")));
        let folder = self.folder.display();
        let step = |what: &str, command: String| NextStep { what: what.to_owned(), command: Some(command) };
        let verdict = VerdictBlock {
            tone: if self.broken.is_empty() { Tone::Good } else { Tone::Bad },
            headline: format!(
                "{bank} poisoned what the model learns from; its batches are held, and retraining waits."
            ),
            sentences,
            next: vec![
                step(
                    "see the batches and where they stand",
                    format!("mantlet data batches --folder {folder}"),
                ),
                step("see what was told and done", format!("mantlet incident list {folder}")),
                step("look at it on the console", format!("mantlet up {folder}")),
                step("check the log of everything that happened", format!("mantlet audit verify {folder}")),
            ],
        };
        let mut report = SystemReport::new(SYSTEM, Impact::High, now, verdict);
        "which card payments are stopped".clone_into(&mut report.purpose);
        env!("CARGO_PKG_VERSION").clone_into(&mut report.mantlet);
        report.command = self.command();
        for version in ["v1", "v2", "v3"] {
            let Some(protected) = self.protected.get(version) else { continue };
            let mut cards = protected.report.models.clone();
            if let Some(own) = self.outcomes.get(version) {
                for card in &mut cards {
                    card.facts.push(("right decisions".to_owned(), percent(Some(own.accuracy()))));
                    card.facts
                        .push((format!("{kind} fraud of {bank} let through"), percent(Some(own.through()))));
                }
            }
            report.models.extend(cards);
            report.gaps.extend(protected.report.gaps.clone());
        }
        report.incidents.extend(self.told(incidents).into_iter().map(|incident| {
            let basis = self.basis(
                usize::try_from(incident.alerts).unwrap_or(usize::MAX),
                "alerts",
                "raised by the gate and the monitor in this run",
            );
            story::story(incident, basis)
        }));
        report.figures = self.figures();
        report.examinations = self.examinations();
        report.credits.push("Payments: simulated in this run; no real data.".to_owned());
        report
    }

    /// The incident about live decisions first, then that of the first batch that was held.
    fn told<'a>(&self, incidents: &'a [Incident]) -> Vec<&'a Incident> {
        let is_live = |incident: &&Incident| incident.kind == mantlet_respond::AlertKind::Performance;
        let live = incidents.iter().find(is_live);
        let held = incidents.iter().find(|incident| incident.facts.contains_key("batch"));
        live.into_iter().chain(held).collect()
    }

    fn figures(&self) -> Vec<Figure> {
        let (bank, kind) = cards::cell();
        let mut figures = Vec::new();
        for (version, own) in &self.outcomes {
            let mut add = |name: String, part: usize, of: usize| {
                figures.push(Figure {
                    name,
                    value: super::share(part, of),
                    unit: Unit::Share,
                    interval: Interval::wilson(part as u64, of as u64),
                    basis: self.basis(of, "simulated payments", "none of them was learned from"),
                });
            };
            add(format!("{version}: right decisions"), own.right, own.all);
            add(format!("{version}: {kind} fraud of {bank} let through"), own.missed, own.fraud);
        }
        let (listed, hits, turned) = self.gated.sheet;
        figures.push(Figure {
            name: "turned rows among those listed of the first held batch".to_owned(),
            value: super::share(hits, listed),
            unit: Unit::Share,
            interval: Interval::wilson(hits as u64, listed as u64),
            basis: self.basis(listed, "rows", &format!("{turned} rows of that batch were turned")),
        });
        for (name, value) in [
            ("amount of payments that v2 let through and v1 stops: the bound of the loss", self.loss.bound),
            ("of that amount, truly fraud", self.loss.lost),
            ("all fraud that v2 let through", self.loss.all),
        ] {
            figures.push(Figure {
                name: name.to_owned(),
                value,
                unit: Unit::Plain,
                interval: None,
                basis: self.basis(self.loss.suspects, "payments", "amounts of simulated payments"),
            });
        }
        figures
    }

    fn examinations(&self) -> Vec<NamedExamination> {
        let folder = self.folder.display();
        let named = |name: String, examination: &Examination, command: String| NamedExamination {
            name,
            examination: examination.clone(),
            command,
        };
        let mut all = Vec::new();
        if let Some(held) = self.gated.held.first() {
            let command = format!("mantlet data gate {} --folder {folder}", held.name);
            all.push(named(format!("the gate of {}", held.name), &held.examination, command));
        }
        let segments = format!(
            "mantlet monitor segments {folder}/decisions/v2.csv --reference {folder}/decisions/v1.csv --label truth \
             --prediction decided --time day --id id"
        );
        all.push(named("live decisions of v2 beside those of v1".to_owned(), &self.segments, segments));
        let since = cards::live_date(cards::DAYS);
        let redecide = format!("mantlet monitor redecide {folder} --since {since} --amount amount");
        all.push(named("decisions of v2, made again by v1".to_owned(), &self.redecided, redecide));
        all
    }
}
