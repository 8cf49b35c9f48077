//! The desk the gateway files diverted decisions at, and the writer behind it.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mantlet_guard::Overloaded;
use mantlet_vocab::{Exchange, Millis};
use tokio::sync::mpsc;

use super::{AtDeadline, DEADLINE, Review, ReviewState, ReviewTerms};
use crate::database::{Database, count, doc, instant, read_all};
use crate::error::io;
use crate::{AuditLog, Clock, NewEntry, Options, StoreError, entropy};

/// Takes diverted decisions and tells what became of them, both without waiting. Clones share one desk.
#[derive(Clone)]
pub struct ReviewDesk {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    most: usize,
    /// Pending ones, and those decided a while ago that callers may still ask for.
    known: Mutex<HashMap<String, Review>>,
    journal: Mutex<Option<Journal>>,
    sender: Mutex<Option<mpsc::Sender<Review>>>,
    writer: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

struct Journal {
    file: File,
    path: PathBuf,
    /// Reviews in it that are not in the database yet.
    unsaved: usize,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often decisions of other processes are looked for, and deadlines.
const LOOK: Duration = Duration::from_millis(500);

impl ReviewDesk {
    pub(crate) async fn open(
        folder: &Path,
        database: &Database,
        clock: Arc<dyn Clock>,
        audit: AuditLog,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let inner = Arc::new(Inner {
            clock,
            most: options.reviews_most,
            known: Mutex::default(),
            journal: Mutex::default(),
            sender: Mutex::default(),
            writer: Mutex::default(),
        });
        if options.serve {
            let path = folder.join("reviews.journal");
            for review in read_journal(&path)? {
                insert(database, &review).await?;
            }
            let file =
                OpenOptions::new().create(true).append(true).open(&path).map_err(io("write", &path))?;
            file.set_len(0).map_err(io("write", &path))?;
            *held(&inner.journal) = Some(Journal { file, path, unsaved: 0 });
            let rows =
                sqlx::query("SELECT doc FROM reviews ORDER BY (state = 'pending') DESC, at DESC LIMIT $1")
                    .bind(count(options.reviews_most))
                    .fetch_all(database.pool())
                    .await
                    .map_err(database.fault("read reviews"))?;
            let reviews: Vec<Review> = read_all("reviews", &rows)?;
            held(&inner.known).extend(reviews.into_iter().map(|review| (review.ticket.clone(), review)));
            let (sender, receiver) = mpsc::channel(options.reviews_most.max(1));
            *held(&inner.sender) = Some(sender);
            let writer = tokio::spawn(run(inner.clone(), database.clone(), audit, receiver));
            *held(&inner.writer) = Some(writer);
        }
        Ok(Self { inner })
    }

    /// Files a diverted exchange and gives its ticket; it runs out after `lasts_ms`.
    ///
    /// # Errors
    /// When too many wait already, the journal cannot be written, or this process does not serve: the request
    /// is then to be refused.
    pub fn file(&self, exchange: &Exchange, lasts_ms: u64) -> Result<String, Overloaded> {
        self.file_for(exchange, &ReviewTerms { lasts_ms, ..ReviewTerms::default() }, false)
    }

    /// Files a diverted exchange under these terms and gives its ticket. `goes_on` says that its request can go to the
    /// model once it is released.
    ///
    /// # Errors
    /// As [`ReviewDesk::file`].
    pub fn file_for(
        &self,
        exchange: &Exchange,
        terms: &ReviewTerms,
        goes_on: bool,
    ) -> Result<String, Overloaded> {
        let now = self.inner.clock.now();
        let bytes: [u8; 16] = entropy().map_err(|_| Overloaded)?;
        let ticket: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let review = Review {
            ticket: format!("rev-{ticket}"),
            exchange: exchange.id.clone(),
            system: exchange.system.clone(),
            route: exchange.route.clone(),
            caller: exchange.caller.clone(),
            version: exchange.version.clone(),
            at: now,
            deadline: now.plus(terms.lasts_ms),
            signals: exchange.decision.signals.clone(),
            request: serde_json::to_value(&exchange.request).map_err(|_| Overloaded)?,
            reply: exchange.reply.as_ref().and_then(|reply| serde_json::to_value(reply).ok()),
            state: ReviewState::Pending,
            decision: None,
            decided_by: None,
            decided_at: None,
            owner: terms.owner.clone(),
            at_deadline: terms.at_deadline,
            goes_on: goes_on && exchange.reply.is_none(),
            went_on: None,
            told: false,
        };
        let sender = held(&self.inner.sender).clone().ok_or(Overloaded)?;
        let permit = sender.try_reserve().map_err(|_| Overloaded)?;
        let ticket = review.ticket.clone();
        {
            let mut known = held(&self.inner.known);
            if known.values().filter(|review| review.state == ReviewState::Pending).count() >= self.inner.most
            {
                return Err(Overloaded);
            }
            self.journal(&review)?;
            known.insert(ticket.clone(), review.clone());
        }
        permit.send(review);
        Ok(ticket)
    }

    fn journal(&self, review: &Review) -> Result<(), Overloaded> {
        let mut journal = held(&self.inner.journal);
        let journal = journal.as_mut().ok_or(Overloaded)?;
        let mut line = serde_json::to_vec(review).map_err(|_| Overloaded)?;
        line.push(b'\n');
        journal.file.write_all(&line).map_err(|fault| {
            tracing::error!(%fault, path = %journal.path.display(), "a diverted decision could not be kept; it is refused");
            Overloaded
        })?;
        journal.unsaved += 1;
        Ok(())
    }

    /// The review of a ticket, told to its own caller only. One whose time ran out shows at once what then happens.
    #[must_use]
    pub fn poll(&self, ticket: &str, caller: &str) -> Option<Review> {
        let known = held(&self.inner.known);
        let mut review = known.get(ticket).filter(|review| review.caller == caller).cloned()?;
        if review.state == ReviewState::Pending && review.deadline <= self.inner.clock.now() {
            review.run_out();
        }
        Some(review)
    }

    /// How many wait for a person.
    #[must_use]
    pub fn pending(&self) -> usize {
        held(&self.inner.known).values().filter(|review| review.state == ReviewState::Pending).count()
    }

    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        held(&self.inner.sender).take();
        let writer = held(&self.inner.writer).take();
        match writer {
            Some(writer) => writer.await.map_err(|_| StoreError::Closed),
            None => Ok(()),
        }
    }

    pub(super) fn learn(&self, review: &Review) {
        if let Some(known) = held(&self.inner.known).get_mut(&review.ticket) {
            *known = review.clone();
        }
    }
}

/// Moves filed reviews into the database, lets old ones expire, and sees what other processes decided.
async fn run(desk: Arc<Inner>, database: Database, audit: AuditLog, mut queue: mpsc::Receiver<Review>) {
    let mut clock = tokio::time::interval(LOOK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut waiting: Vec<Review> = Vec::new();
    loop {
        let mut closed = false;
        tokio::select! {
            count = queue.recv_many(&mut waiting, 256) => closed = count == 0,
            _ = clock.tick() => {
                if let Err(fault) = look(&desk, &database, &audit).await {
                    tracing::warn!(%fault, "reviews could not be looked after; trying again");
                }
            }
        }
        while let Some(review) = waiting.first() {
            match insert(&database, review).await {
                Ok(()) => {
                    waiting.remove(0);
                    saved(&desk);
                }
                Err(fault) => {
                    tracing::error!(%fault, "a diverted decision is in the journal and not yet in the database");
                    break;
                }
            }
        }
        if closed {
            return;
        }
    }
}

/// One more is in the database; the journal is emptied when all are.
fn saved(desk: &Inner) {
    let mut journal = held(&desk.journal);
    let Some(journal) = journal.as_mut() else { return };
    journal.unsaved = journal.unsaved.saturating_sub(1);
    if journal.unsaved == 0
        && let Err(fault) = journal.file.set_len(0)
    {
        tracing::warn!(%fault, "the journal of reviews could not be emptied; it is read again at the next start");
    }
}

async fn insert(database: &Database, review: &Review) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO reviews (ticket, system, state, at, doc) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(&review.ticket)
    .bind(&review.system)
    .bind(review.state.word())
    .bind(instant(review.at))
    .bind(doc("reviews", review)?)
    .execute(database.pool())
    .await
    .map_err(database.fault("write reviews"))?;
    Ok(())
}

/// What the terms decided at the deadline: on the log first, so that nothing is handed on that is not written down.
/// Several replicas may look at once: the one that changes it writes it down.
async fn run_out(database: &Database, audit: &AuditLog, review: &Review) -> Result<(), StoreError> {
    let mut writing = database.begin().await?;
    let done = sqlx::query("UPDATE reviews SET state = $1, doc = $2 WHERE ticket = $3 AND state = 'pending'")
        .bind(review.state.word())
        .bind(doc("reviews", review)?)
        .bind(&review.ticket)
        .execute(&mut *writing)
        .await
        .map_err(database.fault("write reviews"))?;
    if done.rows_affected() > 0 && review.at_deadline == AtDeadline::Release {
        let detail = serde_json::json!({
            "system": review.system,
            "exchange": review.exchange,
            "caller": review.caller,
            "owner": review.owner,
        });
        let action = format!("review-{}", review.state.word());
        audit.append(NewEntry::new(DEADLINE, &action, &review.ticket, detail)).await?;
    }
    writing.commit().await.map_err(database.fault("write reviews"))
}

async fn look(desk: &Inner, database: &Database, audit: &AuditLog) -> Result<(), StoreError> {
    let now = desk.clock.now();
    let (pending, oldest): (HashSet<String>, Option<Millis>) = {
        let mut known = held(&desk.known);
        // What was settled long ago need not be remembered here; the database keeps it.
        if known.len() > desk.most.saturating_mul(2) {
            known.retain(|_, review| {
                review.state == ReviewState::Pending || review.deadline.plus(3_600_000) > now
            });
        }
        let pending = known.values().filter(|review| review.state == ReviewState::Pending);
        (pending.clone().map(|review| review.ticket.clone()).collect(), pending.map(|review| review.at).min())
    };
    if database.is_shared() {
        learn_others(desk, database).await?;
    }
    let Some(oldest) = oldest else { return Ok(()) };
    let rows =
        sqlx::query("SELECT doc FROM reviews WHERE state != 'pending' AND at >= $1").bind(instant(oldest));
    let rows = rows.fetch_all(database.pool()).await.map_err(database.fault("read reviews"))?;
    let settled: Vec<Review> = read_all("reviews", &rows)?;
    for review in settled {
        if pending.contains(&review.ticket) {
            held(&desk.known).insert(review.ticket.clone(), review);
        }
    }
    let late: Vec<Review> = {
        let known = held(&desk.known);
        let late = known.values().filter(|r| r.state == ReviewState::Pending && r.deadline <= now);
        late.cloned().collect()
    };
    for mut review in late {
        review.run_out();
        run_out(database, audit, &review).await?;
        held(&desk.known).insert(review.ticket.clone(), review);
    }
    Ok(())
}

/// Tickets that other replicas gave out are answered here too. They are looked for by the time they were filed, and
/// some way back, since clocks of machines differ.
async fn learn_others(desk: &Inner, database: &Database) -> Result<(), StoreError> {
    let since = desk.clock.now().0.saturating_sub(60_000);
    let rows = sqlx::query("SELECT doc FROM reviews WHERE at >= $1 ORDER BY at DESC LIMIT $2")
        .bind(instant(Millis(since)))
        .bind(count(desk.most))
        .fetch_all(database.pool())
        .await
        .map_err(database.fault("read reviews"))?;
    let reviews: Vec<Review> = read_all("reviews", &rows)?;
    let mut known = held(&desk.known);
    for review in reviews {
        known.entry(review.ticket.clone()).or_insert(review);
    }
    Ok(())
}

fn read_journal(path: &Path) -> Result<Vec<Review>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(io("read", path)(fault)),
    };
    let mut reviews = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(io("read", path))?;
        // A torn line was never answered with a ticket.
        if let Ok(review) = serde_json::from_slice(&line) {
            reviews.push(review);
        }
    }
    Ok(reviews)
}
