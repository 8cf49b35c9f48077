//! Diverted decisions: ticketed at once, kept in the database, decided by people.
//!
//! [`ReviewDesk::file`] does not wait for the database. It appends the review to `reviews.journal` and answers;
//! the writer moves it into the database and empties the journal. A killed process loses no ticket that was
//! given out (the journal is read at the next start); a power cut can lose those of the last moments.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mantlet_guard::Overloaded;
use mantlet_vocab::{Exchange, Millis, Signal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::database::{Database, count, doc, instant, read, read_all};
use crate::error::io;
use crate::{Clock, Options, Store, StoreError, entropy};

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewState {
    /// Nobody has decided yet.
    Pending,
    /// A person decided otherwise than the model, or rejected the request.
    Decided,
    /// A person let the model's answer out.
    Released,
    /// Nobody decided in time; the caller gets no answer.
    Expired,
}

impl ReviewState {
    /// The word used in records and on screens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Decided => "decided",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "decision", content = "value")]
pub enum ReviewDecision {
    /// The model's answer goes out as it is.
    Release,
    /// This answer goes out instead.
    Answer(Value),
    /// No answer goes out, for this reason, which the caller may read.
    Reject(String),
}

/// A diverted decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Its ticket: 128 random bits, so that it cannot be guessed.
    pub ticket: String,
    /// The exchange's id.
    pub exchange: String,
    /// The system.
    pub system: String,
    /// The route.
    pub route: String,
    /// The caller's key id; only this caller is told the outcome.
    pub caller: String,
    /// The model version that answered or would have.
    pub version: String,
    /// When it was diverted.
    pub at: Millis,
    /// When it runs out.
    pub deadline: Millis,
    /// Why it was diverted, strongest signal first.
    pub signals: Vec<Signal>,
    /// The request, as [`mantlet_vocab::Request`].
    pub request: Value,
    /// The model's reply, as [`mantlet_vocab::Reply`], when it was asked.
    pub reply: Option<Value>,
    /// Where it stands.
    pub state: ReviewState,
    /// What was decided.
    pub decision: Option<ReviewDecision>,
    /// By whom.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Millis>,
}

/// Which reviews to list, newest first, a page at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewFilter {
    /// Only in this state.
    pub state: Option<ReviewState>,
    /// Only of this system.
    pub system: Option<String>,
    /// Reviews to leave out at the start.
    pub skip: usize,
    /// At most this many.
    pub most: usize,
}

impl Default for ReviewFilter {
    fn default() -> Self {
        Self { state: None, system: None, skip: 0, most: 50 }
    }
}

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
                sqlx::query("SELECT doc FROM reviews ORDER BY (state = 'pending') DESC, at DESC LIMIT ?")
                    .bind(count(options.reviews_most))
                    .fetch_all(database.pool())
                    .await
                    .map_err(database.fault("read reviews"))?;
            let reviews: Vec<Review> = read_all("reviews", &rows)?;
            held(&inner.known).extend(reviews.into_iter().map(|review| (review.ticket.clone(), review)));
            let (sender, receiver) = mpsc::channel(options.reviews_most.max(1));
            *held(&inner.sender) = Some(sender);
            let writer = tokio::spawn(run(inner.clone(), database.clone(), receiver));
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
            deadline: now.plus(lasts_ms),
            signals: exchange.decision.signals.clone(),
            request: serde_json::to_value(&exchange.request).map_err(|_| Overloaded)?,
            reply: exchange.reply.as_ref().and_then(|reply| serde_json::to_value(reply).ok()),
            state: ReviewState::Pending,
            decision: None,
            decided_by: None,
            decided_at: None,
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

    /// The review of a ticket, told to its own caller only. One whose time ran out shows as expired at once.
    #[must_use]
    pub fn poll(&self, ticket: &str, caller: &str) -> Option<Review> {
        let known = held(&self.inner.known);
        let mut review = known.get(ticket).filter(|review| review.caller == caller).cloned()?;
        if review.state == ReviewState::Pending && review.deadline <= self.inner.clock.now() {
            review.state = ReviewState::Expired;
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

    fn learn(&self, review: &Review) {
        if let Some(known) = held(&self.inner.known).get_mut(&review.ticket) {
            *known = review.clone();
        }
    }
}

/// Moves filed reviews into the database, lets old ones expire, and sees what other processes decided.
async fn run(desk: Arc<Inner>, database: Database, mut queue: mpsc::Receiver<Review>) {
    let mut clock = tokio::time::interval(LOOK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut waiting: Vec<Review> = Vec::new();
    loop {
        let mut closed = false;
        tokio::select! {
            count = queue.recv_many(&mut waiting, 256) => closed = count == 0,
            _ = clock.tick() => {
                if let Err(fault) = look(&desk, &database).await {
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
        "INSERT INTO reviews (ticket, system, state, at, doc) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
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

async fn update(database: &Database, review: &Review) -> Result<(), StoreError> {
    sqlx::query("UPDATE reviews SET state = ?, doc = ? WHERE ticket = ? AND state = 'pending'")
        .bind(review.state.word())
        .bind(doc("reviews", review)?)
        .bind(&review.ticket)
        .execute(database.pool())
        .await
        .map_err(database.fault("write reviews"))?;
    Ok(())
}

async fn look(desk: &Inner, database: &Database) -> Result<(), StoreError> {
    let now = desk.clock.now();
    let (pending, oldest): (Vec<String>, Option<Millis>) = {
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
    let Some(oldest) = oldest else { return Ok(()) };
    let rows =
        sqlx::query("SELECT doc FROM reviews WHERE state != 'pending' AND at >= ?").bind(instant(oldest));
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
        review.state = ReviewState::Expired;
        update(database, &review).await?;
        held(&desk.known).insert(review.ticket.clone(), review);
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

impl Store {
    /// Reviews, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reviews(&self, filter: &ReviewFilter) -> Result<Vec<Review>, StoreError> {
        let database = &self.inner.database;
        let rows = sqlx::query(
            "SELECT doc FROM reviews WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR system = ?2) \
             ORDER BY at DESC, ticket LIMIT ?3 OFFSET ?4",
        )
        .bind(filter.state.map(ReviewState::word))
        .bind(filter.system.as_deref())
        .bind(count(filter.most))
        .bind(count(filter.skip))
        .fetch_all(database.pool())
        .await
        .map_err(database.fault("read reviews"))?;
        read_all("reviews", &rows)
    }

    /// The review of this ticket.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn review(&self, ticket: &str) -> Result<Option<Review>, StoreError> {
        let database = &self.inner.database;
        let row = sqlx::query("SELECT doc FROM reviews WHERE ticket = ?").bind(ticket);
        let row = row.fetch_optional(database.pool()).await.map_err(database.fault("read reviews"))?;
        row.map(|row| read("reviews", &row)).transpose()
    }

    /// How many reviews are in a state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_reviews(&self, state: ReviewState) -> Result<u64, StoreError> {
        let database = &self.inner.database;
        let row = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM reviews WHERE state = ?");
        let found = row.bind(state.word()).fetch_one(database.pool()).await;
        Ok(u64::try_from(found.map_err(database.fault("read reviews"))?).unwrap_or(0))
    }

    /// Decides a pending review; the caller is told at its next poll. Audited.
    ///
    /// # Errors
    /// When there is no such review, it is settled or ran out, there is no model answer to release, or the
    /// log or the database fails.
    pub async fn decide_review(
        &self,
        ticket: &str,
        decision: ReviewDecision,
        actor: &str,
    ) -> Result<Review, StoreError> {
        let database = &self.inner.database;
        let mut writing = database.begin().await?;
        let row = sqlx::query("SELECT doc FROM reviews WHERE ticket = ?").bind(ticket);
        let row = row.fetch_optional(&mut *writing).await.map_err(database.fault("read reviews"))?;
        let kept: Option<Review> = row.map(|row| read("reviews", &row)).transpose()?;
        let missing = || StoreError::Missing { what: "review", name: ticket.to_owned() };
        let mut review = kept.ok_or_else(missing)?;
        let now = self.now();
        let state = match review.state {
            ReviewState::Pending if review.deadline <= now => ReviewState::Expired,
            state => state,
        };
        if state != ReviewState::Pending {
            let name = ticket.to_owned();
            return Err(StoreError::Settled { what: "review", name, state: state.word() });
        }
        if decision == ReviewDecision::Release && review.reply.is_none() {
            return Err(StoreError::Missing {
                what: "model answer to release for review",
                name: ticket.to_owned(),
            });
        }
        review.state = match decision {
            ReviewDecision::Release => ReviewState::Released,
            ReviewDecision::Answer(_) | ReviewDecision::Reject(_) => ReviewState::Decided,
        };
        review.decision = Some(decision);
        review.decided_by = Some(actor.to_owned());
        review.decided_at = Some(now);
        let detail = json!({
            "system": review.system,
            "exchange": review.exchange,
            "caller": review.caller,
            "decision": review.decision,
        });
        self.note(actor, &format!("review-{}", review.state.word()), ticket, detail).await?;
        sqlx::query("UPDATE reviews SET state = ?, doc = ? WHERE ticket = ?")
            .bind(review.state.word())
            .bind(doc("reviews", &review)?)
            .bind(ticket)
            .execute(&mut *writing)
            .await
            .map_err(database.fault("write reviews"))?;
        writing.commit().await.map_err(database.fault("write reviews"))?;
        self.inner.desk.learn(&review);
        Ok(review)
    }
}
