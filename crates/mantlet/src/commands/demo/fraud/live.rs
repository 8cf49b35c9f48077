//! The part of the story that is live: decisions on record, the segment in which they went wrong, and what the version
//! that is known to be good says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use mantlet_vocab::{Decision, Exchange, Mode, NamedValue, Reply, Request, Tensor, Value};

use super::cards::{self, CLASSES, DAYS, Payment};
use super::{Loss, SYSTEM, Story, column, models};
use crate::runtime;
use crate::terminal::write_whole;

impl Story {
    /// Two weeks decided by v1 and two by v2, into the history and, with what turned out true, into tables.
    pub(super) fn decide_live(&mut self) -> anyhow::Result<()> {
        self.station(6, &format!("v2 goes live on {}, as it would without a gate", cards::live_date(DAYS)));
        runtime::block_on(self.promote("v2", false))?;
        let live = cards::live(self.seed);
        let numbered: Vec<(usize, &Payment)> = live.iter().enumerate().collect();
        let mut recorded = 0;
        for (version, days) in [("v1", 0..DAYS), ("v2", DAYS..2 * DAYS)] {
            let own: Vec<(usize, &Payment)> =
                numbered.iter().filter(|(_, p)| days.contains(&p.when)).copied().collect();
            let rows: Vec<&Payment> = own.iter().map(|(_, p)| *p).collect();
            let said = models::decide(&self.model(version), &rows)?;
            let table = cards::decisions(&own, &said);
            write_whole(&self.at(&format!("decisions/{version}.csv")), table.as_bytes())?;
            recorded += own.len();
            runtime::block_on(self.record(version, &own, &said))?;
        }
        self.say(&format!(
            "{recorded} decisions are in the history: {DAYS} days of v1, {DAYS} of v2; what turned out true came later, from \
             card holders, not from the banks"
        ));
        Ok(())
    }

    /// Puts decisions on record by the writer that the gateway hands them to.
    async fn record(&self, version: &str, own: &[(usize, &Payment)], said: &[usize]) -> anyhow::Result<()> {
        let (_, store) = self.store(true).await?;
        let recorder = store.recorder().context("the store keeps no history")?;
        for (place, ((number, p), said)) in own.iter().zip(said).enumerate() {
            let exchange = Arc::new(exchange(version, (place, *number), p, *said)?);
            while recorder.record_shared(exchange.clone()).is_err() {
                store.flush_exchanges().await?;
            }
        }
        store.flush_exchanges().await?;
        store.close().await?;
        Ok(())
    }

    pub(super) fn segment_alarm(&mut self) -> anyhow::Result<()> {
        self.station(7, "The monitor looks for segments in which v2 errs more than v1 did");
        let paths = ["decisions/v2.csv", "decisions/v1.csv", "review.csv", "segments.json"]
            .map(|name| self.at(name).display().to_string());
        let folder = self.folder.display().to_string();
        let [now, before, review, out] = &paths;
        self.typed(&[
            "monitor",
            "segments",
            now,
            "--reference",
            before,
            "--label",
            "truth",
            "--prediction",
            "decided",
            "--time",
            "day",
            "--id",
            "id",
            "--review-out",
            review,
            "--incidents",
            &folder,
            "--format",
            "json",
            "--output",
            out,
        ])?;
        self.segments = self.examination("segments.json")?;
        let (bank, kind) = cards::cell();
        let who = format!("bank={bank}, kind={kind}");
        let loss = self.segments.findings.iter().find(|finding| finding.name == "segment-loss");
        match loss {
            Some(finding) => finding.trace.iter().for_each(|line| self.say(line)),
            None => self.broken.push("the monitor named no segment".to_owned()),
        }
        if loss.is_some_and(|finding| !finding.message.contains(&who)) {
            self.broken.push("the monitor named another segment first".to_owned());
        }
        Ok(())
    }

    pub(super) fn decide_again(&mut self) -> anyhow::Result<()> {
        self.station(8, "Past decisions are made again by v1, the version known to be good");
        let out = self.at("decide-again.csv");
        let paths = [&self.folder, &out, &self.at("redecide.json")].map(|path| path.display().to_string());
        let since = cards::live_date(DAYS);
        let [folder, list, report] = &paths;
        self.typed(&[
            "monitor", "redecide", folder, "--since", &since, "--amount", "amount", "--out", list,
            "--format", "json", "--output", report,
        ])?;
        self.redecided = self.examination("redecide.json")?;
        let part = format!("{} to {}", CLASSES[0], CLASSES[1]);
        let turn = self
            .redecided
            .findings
            .iter()
            .find(|finding| finding.place.part.as_deref() == Some(part.as_str()));
        let Some(turn) = turn else {
            self.broken.push("the known-good version stops nothing that was let through".to_owned());
            return Ok(());
        };
        self.say(&turn.message);
        let number = |name: &str| turn.facts.get(name).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        let live = cards::live(self.seed);
        let by_id: BTreeMap<String, &Payment> =
            live.iter().enumerate().map(|(number, p)| (cards::id(p.when, number), p)).collect();
        let (ids, then) = (column(&out, "id")?, column(&out, "then")?);
        let through: BTreeSet<&String> =
            ids.iter().zip(&then).filter(|(_, then)| *then == CLASSES[0]).map(|(id, _)| id).collect();
        let sum = |own: Vec<&Payment>| own.iter().filter(|p| p.fraud).map(|p| p.amount).sum::<f64>();
        let lost = sum(through.iter().filter_map(|id| by_id.get(*id).copied()).collect());
        let missed = self.let_through()?;
        let all = sum(missed.iter().filter_map(|id| by_id.get(id).copied()).collect());
        self.loss = Loss { suspects: through.len(), bound: number("amount"), lost, all };
        self.say(&format!(
            "so what this change of version cost is at most {:.0}; truly fraud were {lost:.0}. All fraud that v2 let through \
             was {all:.0}: the rest v1 lets through as well",
            self.loss.bound
        ));
        Ok(())
    }

    /// The ids of payments that v2 let through.
    fn let_through(&self) -> anyhow::Result<Vec<String>> {
        let path = self.at("decisions/v2.csv");
        let said = column(&path, "decided")?;
        let all = column(&path, "id")?.into_iter().zip(said);
        Ok(all.filter(|(_, said)| said == CLASSES[0]).map(|(id, _)| id).collect())
    }
}

/// A decision as the gateway records it.
fn exchange(
    version: &str,
    (place, number): (usize, usize),
    payment: &Payment,
    said: usize,
) -> anyhow::Result<Exchange> {
    let value = |name: &str, value| NamedValue { name: name.to_owned(), value };
    let label = CLASSES.get(said).copied().unwrap_or_default().to_owned();
    let inputs = vec![value("input", Value::F32(Tensor::new([1, 5], payment.features().to_vec())?))];
    let outputs = vec![value("label", Value::Text(Tensor::new([1], vec![label])?))];
    Ok(Exchange {
        id: cards::id(payment.when, number),
        at: cards::moment(cards::live_day(payment.when), place % 2_000),
        system: SYSTEM.to_owned(),
        route: "cards".to_owned(),
        caller: format!("shop-{:02}", number % 20),
        version: version.to_owned(),
        generation: 1,
        request: Request { model: "cards".to_owned(), inputs, ..Request::default() },
        reply: Some(Reply { outputs, ..Reply::default() }),
        decision: Decision::allow(Mode::Enforce),
        status: 200,
        took_ms: 1.0,
    })
}
