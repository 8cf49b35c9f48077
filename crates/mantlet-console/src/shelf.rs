//! The ports over the store: what the console shows, whom it knows, and decisions about diverted requests.
//!
//! Long because every port of the console is answered here from one store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mantlet_access::{ApiKey, Scope, Session, User};
use mantlet_registry::batch::{Batch, BatchError, Ledger};
use mantlet_registry::rollout::Rollout;
use mantlet_registry::rows::{RowRuled, Sheet};
use mantlet_registry::{ModelVersion, RegistryStore, System, Transition};
use mantlet_report::SystemReport;
use mantlet_respond::{Incident, IncidentFilter};
use mantlet_store::{Ledgers, Record, RecordKind, Report, Seen, Store, StoreError};
use mantlet_vocab::{Digest, Millis, Reply, Request};

use crate::ports::{
    AuditLine, AuditTail, Batches, People, PortError, Review, ReviewState, Ruling, Soon, VersionEvidence,
    Views,
};
use crate::{Live, showing};

/// Reviews and incidents listed at most.
const LISTED: usize = 200;

/// [`Views`] and [`People`] over a [`Store`].
#[derive(Clone)]
pub struct Shelf {
    store: Store,
    class_names: BTreeMap<String, Vec<String>>,
    /// The audit log is read on from where the last page left it.
    ledgers: Arc<tokio::sync::Mutex<Ledgers>>,
}

impl Shelf {
    /// The ports over this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, class_names: BTreeMap::new(), ledgers: Arc::default() }
    }

    /// Names the classes of a system's model, so that answers are shown by name. Otherwise they are numbers.
    #[must_use]
    pub fn class_names(mut self, system: impl Into<String>, names: Vec<String>) -> Self {
        self.class_names.insert(system.into(), names);
        self
    }

    /// A live view that shows what the store recorded lately and follows what it records from now on, as long
    /// as the store is open. Must be called inside a Tokio runtime.
    #[must_use]
    pub fn live(&self) -> Live {
        let live = Live::default();
        let following = self.store.subscribe();
        let recent = self.store.recent_exchanges(LISTED);
        let mut shown = BTreeSet::new();
        for exchange in recent.iter().rev() {
            shown.insert(exchange.id.clone());
            live.push(exchange);
        }
        if let Some(mut receiver) = following {
            let live = live.clone();
            tokio::spawn(async move {
                use tokio::sync::broadcast::error::RecvError;
                loop {
                    match receiver.recv().await {
                        // Recorded between subscribing and looking: shown already.
                        Ok(exchange) if shown.remove(&exchange.id) => {}
                        Ok(exchange) => live.push(&exchange),
                        Err(RecvError::Lagged(missed)) => {
                            tracing::debug!(missed, "the live view left out exchanges");
                        }
                        Err(RecvError::Closed) => return,
                    }
                }
            });
        }
        live
    }

    /// Keeps the report of an admission, for the page of that version.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep_report(
        &self,
        version: &str,
        report: &SystemReport,
        actor: &str,
    ) -> Result<(), PortError> {
        let doc = serde_json::to_value(report).map_err(|error| PortError::Failed(error.to_string()))?;
        let record = Record {
            id: report_id(&report.system, version),
            system: report.system.clone(),
            at: report.made_at,
            state: "report".to_owned(),
            doc,
        };
        self.store.put_record(RecordKind::ProbeReport, &record, actor).await.map_err(failed)
    }

    /// Decides a diverted request and releases it, for an implementation of [`crate::Actions`]. An answer of the
    /// person's own is kept as a [`Reply`] in the form of the model's, with that class alone certain.
    ///
    /// # Errors
    /// When it was decided before, ran out, or the store fails.
    pub async fn decide(
        &self,
        actor: &str,
        ticket: &str,
        ruling: &Ruling,
        note: &str,
    ) -> Result<(), PortError> {
        use mantlet_store::ReviewDecision;
        let decision = match ruling {
            Ruling::Release => ReviewDecision::Release,
            Ruling::Reject if note.is_empty() => {
                ReviewDecision::Reject("a person refused this request".to_owned())
            }
            Ruling::Reject => ReviewDecision::Reject(note.to_owned()),
            Ruling::Answer(answer) => {
                let kept = self.store.review(ticket).await.map_err(failed)?;
                let kept = kept.ok_or_else(|| PortError::Missing(format!("decision {ticket}")))?;
                let reply = kept.reply.and_then(|reply| serde_json::from_value::<Reply>(reply).ok());
                let names = self.names(&kept.system);
                let reply = reply.and_then(|reply| showing::answered(&reply, names, answer)).ok_or_else(|| {
                    PortError::Refused("The model was not asked, so the form of its answer is not known; refuse the request instead.".to_owned())
                })?;
                let value =
                    serde_json::to_value(reply).map_err(|error| PortError::Failed(error.to_string()))?;
                ReviewDecision::Answer(value)
            }
        };
        let decided = self.store.decide_review(ticket, decision, actor).await.map_err(failed)?;
        if !note.is_empty() {
            let detail = serde_json::json!({ "note": note, "exchange": decided.exchange });
            let entry = mantlet_store::NewEntry::new(actor, "review-note", ticket, detail);
            self.store.audit().append(entry).await.map_err(failed)?;
        }
        Ok(())
    }

    fn names(&self, system: &str) -> &[String] {
        self.class_names.get(system).map_or(&[], Vec::as_slice)
    }

    /// A kept review, put so that a person can look at it.
    #[must_use]
    pub fn shown(&self, kept: mantlet_store::Review) -> Review {
        use mantlet_store::{ReviewDecision, ReviewState as Kept};
        let names = self.names(&kept.system);
        let can_be_released = kept.can_be_released();
        let asked = kept.reply.is_some();
        let request: Request = serde_json::from_value(kept.request).unwrap_or_default();
        let reply: Option<Reply> = kept.reply.and_then(|reply| serde_json::from_value(reply).ok());
        let written = reply.iter().flat_map(|reply| showing::written(&reply.pieces)).collect();
        let says = reply.as_ref().map(|reply| showing::says(reply, names));
        let ruling = match (&kept.decision, kept.state) {
            (Some(ReviewDecision::Release), _) => Some(Ruling::Release),
            (Some(ReviewDecision::Answer(value)), _) => {
                let own: Option<Reply> = serde_json::from_value(value.clone()).ok();
                Some(Ruling::Answer(
                    own.and_then(|own| showing::says(&own, names).answer).unwrap_or_default(),
                ))
            }
            (Some(ReviewDecision::Reject(_)), _) | (None, Kept::Expired) => Some(Ruling::Reject),
            (None, _) => None,
        };
        let state = ruling.map_or(ReviewState::Waiting, |ruling| ReviewState::Decided {
            by: kept.decided_by.clone().unwrap_or_else(|| "nobody in time".to_owned()),
            at: kept.decided_at.unwrap_or(kept.deadline),
            ruling,
            note: match &kept.decision {
                Some(ReviewDecision::Reject(why)) => why.clone(),
                _ => String::new(),
            },
        });
        let says = says.unwrap_or_default();
        let releases = kept.at_deadline == mantlet_store::AtDeadline::Release && can_be_released;
        Review {
            id: kept.ticket,
            exchange: kept.exchange,
            at: kept.at,
            system: kept.system,
            route: kept.route,
            caller: kept.caller,
            version: kept.version,
            inputs: showing::inputs(&request),
            answer: says.answer,
            written,
            asked,
            goes_on: kept.goes_on,
            scores: says.scores,
            choices: says.choices,
            signals: kept.signals,
            incident: None,
            releases,
            owner: kept.owner,
            deadline: kept.deadline,
            state,
        }
    }
}

fn report_id(system: &str, version: &str) -> String {
    format!("report/{system}/{version}")
}

fn failed(error: StoreError) -> PortError {
    match error {
        StoreError::Missing { what, name } => PortError::Missing(format!("{what} {name}")),
        StoreError::Batch(BatchError::NoBatch(name)) => PortError::Missing(format!("batch {name}")),
        StoreError::Batch(BatchError::OtherRulings(_)) => PortError::Conflict,
        StoreError::Batch(_) | StoreError::Settled { .. } => {
            PortError::Refused(mantlet_report::sentence(&error.to_string()))
        }
        other => {
            let mut words = other.to_string();
            let mut source = std::error::Error::source(&other);
            while let Some(inner) = source {
                words = format!("{words}: {inner}");
                source = inner.source();
            }
            PortError::Failed(words)
        }
    }
}

/// The record of whether every decision of a system goes to people.
#[must_use]
pub fn path_record(system: &str) -> String {
    format!("{system}/path")
}

impl Views for Shelf {
    fn systems(&self) -> Soon<'_, Vec<System>> {
        Box::pin(async { RegistryStore::systems(&self.store).await.map_err(failed) })
    }
    fn versions<'a>(&'a self, system: &'a str) -> Soon<'a, Vec<ModelVersion>> {
        Box::pin(async move { RegistryStore::versions(&self.store, system).await.map_err(failed) })
    }
    fn history<'a>(&'a self, system: &'a str) -> Soon<'a, Vec<Transition>> {
        Box::pin(async move { RegistryStore::history(&self.store, system).await.map_err(failed) })
    }
    fn rollout<'a>(&'a self, system: &'a str) -> Soon<'a, Option<Rollout>> {
        Box::pin(async move { RegistryStore::rollout(&self.store, system).await.map_err(failed) })
    }
    fn diverted<'a>(&'a self, system: &'a str) -> Soon<'a, Option<String>> {
        Box::pin(async move {
            let record =
                self.store.record(RecordKind::Controls, &path_record(system)).await.map_err(failed)?;
            let on = record.filter(|record| record.state == "on");
            Ok(on.map(|record| record.doc["reason"].as_str().unwrap_or_default().to_owned()))
        })
    }
    fn evidence<'a>(&'a self, system: &'a str, version: &'a str) -> Soon<'a, VersionEvidence> {
        Box::pin(async move {
            let id = report_id(system, version);
            let record = self.store.record(RecordKind::ProbeReport, &id).await.map_err(failed)?;
            let report = record.map(|record| serde_json::from_value(record.doc)).transpose();
            let report = report
                .map_err(|error| PortError::Failed(format!("record {id} does not read back: {error}")))?;
            Ok(VersionEvidence { report })
        })
    }
    fn incidents<'a>(&'a self, filter: &'a IncidentFilter) -> Soon<'a, Vec<Incident>> {
        Box::pin(async move { self.store.incidents(filter).await.map_err(failed) })
    }
    fn incident<'a>(&'a self, id: &'a str) -> Soon<'a, Option<Incident>> {
        Box::pin(async move { self.store.incident(id).await.map_err(failed) })
    }
    fn reviews(&self, waiting_only: bool) -> Soon<'_, Vec<Review>> {
        Box::pin(async move {
            let state = waiting_only.then_some(mantlet_store::ReviewState::Pending);
            let filter = mantlet_store::ReviewFilter { state, most: LISTED, ..Default::default() };
            let kept = self.store.reviews(&filter).await.map_err(failed)?;
            Ok(kept.into_iter().rev().map(|kept| self.shown(kept)).collect())
        })
    }
    fn review<'a>(&'a self, id: &'a str) -> Soon<'a, Option<Review>> {
        Box::pin(async move {
            let Some(kept) = self.store.review(id).await.map_err(failed)? else { return Ok(None) };
            let mut review = self.shown(kept);
            let filter = IncidentFilter {
                system: Some(review.system.clone()),
                limit: Some(LISTED),
                ..IncidentFilter::open()
            };
            let incidents = self.store.incidents(&filter).await.map_err(failed)?;
            let own = incidents.into_iter().find(|incident| incident.callers.contains(&review.caller));
            review.incident = own.map(|incident| incident.id);
            Ok(Some(review))
        })
    }
    fn audit(&self, most: usize) -> Soon<'_, AuditTail> {
        Box::pin(async move {
            let log = self.store.audit();
            let (checkpoint, _) = log.checkpoint().await.map_err(failed)?;
            let entries = log.tail(most).await.map_err(failed)?;
            let lines = entries.into_iter().rev().map(|entry| AuditLine {
                index: entry.index,
                at: entry.at,
                actor: entry.actor,
                action: entry.action,
                subject: entry.subject,
                detail: entry.detail,
            });
            Ok(AuditTail {
                lines: lines.collect(),
                size: checkpoint.size,
                root: Digest(checkpoint.root).hex(),
                signed: Some(format!("signed by {}", checkpoint.origin)),
            })
        })
    }
    fn reports(&self) -> Soon<'_, Vec<Report>> {
        Box::pin(async { self.store.reports(LISTED).await.map_err(failed) })
    }
    fn report<'a>(&'a self, id: &'a str) -> Soon<'a, Option<Report>> {
        Box::pin(async move { self.store.report(id).await.map_err(failed) })
    }
    fn keys(&self) -> Soon<'_, Vec<ApiKey>> {
        Box::pin(async { self.store.keys().await.map_err(failed) })
    }
}

impl Batches for Shelf {
    fn ledgers(&self) -> Soon<'_, Ledgers> {
        Box::pin(async {
            let mut ledgers = self.ledgers.lock().await;
            ledgers.read_on(&self.store).await.map_err(failed)?;
            Ok(ledgers.clone())
        })
    }
    fn sheet<'a>(&'a self, system: &'a str, batch: &'a Batch) -> Soon<'a, Option<Sheet>> {
        Box::pin(async move { self.store.sheet(system, batch).await.map_err(failed) })
    }
    fn rule<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        batch: &'a str,
        seen: Seen,
        rows: Vec<RowRuled>,
        note: &'a str,
    ) -> Soon<'a, Ledger> {
        Box::pin(async move {
            let done = self.store.rule_rows(system, batch, actor, seen.digest, rows, note).await;
            done.map_err(failed)
        })
    }
    fn decide<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        batch: &'a str,
        seen: Seen,
        approve: bool,
        note: &'a str,
    ) -> Soon<'a, Ledger> {
        Box::pin(async move {
            let done = self.store.decide_batch(system, batch, actor, seen, approve, note).await;
            done.map_err(failed)
        })
    }
    fn withdraw<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        batch: &'a str,
        seen: Seen,
        note: &'a str,
    ) -> Soon<'a, Ledger> {
        Box::pin(async move {
            self.store.withdraw_batch(system, batch, actor, seen.digest, note).await.map_err(failed)
        })
    }
}

impl People for Shelf {
    fn user<'a>(&'a self, name: &'a str) -> Soon<'a, Option<User>> {
        Box::pin(async move { self.store.user(name).await.map_err(failed) })
    }
    fn save_user<'a>(&'a self, user: &'a User) -> Soon<'a, ()> {
        Box::pin(async move { self.store.put_user(user, &user.name).await.map_err(failed) })
    }
    fn open_session<'a>(&'a self, session: &'a Session) -> Soon<'a, ()> {
        Box::pin(async move { self.store.keep_session(session).await.map_err(failed) })
    }
    fn session<'a>(&'a self, hash: &'a Digest) -> Soon<'a, Option<Session>> {
        Box::pin(async move { self.store.session_of(hash).await.map_err(failed) })
    }
    fn end_session<'a>(&'a self, hash: &'a Digest) -> Soon<'a, ()> {
        Box::pin(async move { self.store.end_session(hash).await.map_err(failed) })
    }
    fn end_sessions_of<'a>(&'a self, user: &'a str) -> Soon<'a, ()> {
        Box::pin(async move { self.store.end_sessions_of(user).await.map_err(failed) })
    }
    fn managing_key<'a>(&'a self, presented: &'a str, now: Millis) -> Soon<'a, Option<String>> {
        Box::pin(async move {
            let ring = self.store.key_ring().await.map_err(failed)?;
            Ok(ring.verify(presented, &Scope::Manage, now).ok().map(|key| key.id.clone()))
        })
    }
}
