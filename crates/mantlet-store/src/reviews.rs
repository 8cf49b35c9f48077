//! Diverted decisions: ticketed at once, kept in the database, decided by people.
//!
//! [`ReviewDesk::file`] does not wait for the database. It appends the review to `reviews.journal` and answers;
//! the writer moves it into the database and empties the journal. A killed process loses no ticket that was
//! given out (the journal is read at the next start); a power cut can lose those of the last moments.

mod desk;

use mantlet_vocab::{Exchange, Millis, Signal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::database::{count, doc, read, read_all};
use crate::{Store, StoreError};
pub use desk::ReviewDesk;

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
    /// The model's answer goes out as it is; a request that was withheld before the model was asked goes to it.
    Release,
    /// This answer goes out instead.
    Answer(Value),
    /// No answer goes out, for this reason, which the caller may read.
    Reject(String),
}

/// What happens when nobody decided in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AtDeadline {
    /// The caller gets no answer.
    #[default]
    Reject,
    /// The model's answer goes out, or the request goes to the model, as a person's release does; where neither can
    /// be, none does.
    Release,
}

/// Who decides a diverted decision, how soon, and what happens otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReviewTerms {
    /// Milliseconds until it runs out.
    pub lasts_ms: u64,
    /// Whose it is: a team or a person; empty for nobody's in particular.
    pub owner: String,
    /// What happens then.
    pub at_deadline: AtDeadline,
}

/// Decides in place of a person when the time is over, in records and the audit log.
pub const DEADLINE: &str = "the deadline";

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
    /// Whose it is to decide.
    #[serde(default)]
    pub owner: String,
    /// What happens when nobody does.
    #[serde(default)]
    pub at_deadline: AtDeadline,
    /// Whether the request goes to the model once it is released: it was withheld before the model was asked, and its
    /// caller waits, or sends it again.
    #[serde(default)]
    pub goes_on: bool,
    /// When it went to the model, which it does once.
    #[serde(default)]
    pub went_on: Option<Millis>,
    /// Whether the outcome was handed on to whoever waits for it beside the caller's polls.
    #[serde(default)]
    pub told: bool,
}

impl Review {
    /// Whether releasing it gives its caller anything: the model's answer, or the way to the model.
    #[must_use]
    pub const fn can_be_released(&self) -> bool {
        self.reply.is_some() || self.goes_on
    }

    /// As it is once its time is over and nobody decided.
    pub(crate) fn run_out(&mut self) {
        if self.at_deadline == AtDeadline::Release && self.can_be_released() {
            self.state = ReviewState::Released;
            self.decision = Some(ReviewDecision::Release);
            self.decided_by = Some(DEADLINE.to_owned());
            self.decided_at = Some(self.deadline);
        } else {
            self.state = ReviewState::Expired;
        }
    }
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

impl Store {
    /// Reviews, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reviews(&self, filter: &ReviewFilter) -> Result<Vec<Review>, StoreError> {
        let database = &self.inner.database;
        let rows = sqlx::query(
            "SELECT doc FROM reviews WHERE ($1 IS NULL OR state = $1) AND ($2 IS NULL OR system = $2) \
             ORDER BY at DESC, ticket LIMIT $3 OFFSET $4",
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
        let row = sqlx::query("SELECT doc FROM reviews WHERE ticket = $1").bind(ticket);
        let row = row.fetch_optional(database.pool()).await.map_err(database.fault("read reviews"))?;
        row.map(|row| read("reviews", &row)).transpose()
    }

    /// How many reviews are in a state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_reviews(&self, state: ReviewState) -> Result<u64, StoreError> {
        let database = &self.inner.database;
        let row = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM reviews WHERE state = $1");
        let found = row.bind(state.word()).fetch_one(database.pool()).await;
        Ok(u64::try_from(found.map_err(database.fault("read reviews"))?).unwrap_or(0))
    }

    /// Reviews filed within the last two days that are settled and whose outcome was not handed on, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reviews_to_tell(&self, most: usize) -> Result<Vec<Review>, StoreError> {
        let database = &self.inner.database;
        let since = Millis(self.now().0.saturating_sub(2 * 24 * 3_600_000));
        let rows = sqlx::query(
            "SELECT doc FROM reviews WHERE state != 'pending' AND at >= $1 AND doc LIKE '%\"told\":false%' \
             ORDER BY at, ticket LIMIT $2",
        )
        .bind(crate::database::instant(since))
        .bind(count(most))
        .fetch_all(database.pool())
        .await
        .map_err(database.fault("read reviews"))?;
        let reviews: Vec<Review> = read_all("reviews", &rows)?;
        Ok(reviews.into_iter().filter(|review| !review.told).collect())
    }

    /// Remembers that a review's outcome was handed on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn review_was_told(&self, review: &Review) -> Result<(), StoreError> {
        let database = &self.inner.database;
        let mut writing = database.begin().await?;
        let row = sqlx::query("SELECT doc FROM reviews WHERE ticket = $1").bind(&review.ticket);
        let row = row.fetch_optional(&mut *writing).await.map_err(database.fault("read reviews"))?;
        // What happened to it meanwhile stays.
        let kept: Option<Review> = row.map(|row| read("reviews", &row)).transpose()?;
        let Some(kept) = kept.filter(|kept| kept.state == review.state) else { return Ok(()) };
        sqlx::query("UPDATE reviews SET doc = $1 WHERE ticket = $2")
            .bind(doc("reviews", &Review { told: true, ..kept })?)
            .bind(&review.ticket)
            .execute(&mut *writing)
            .await
            .map_err(database.fault("write reviews"))?;
        writing.commit().await.map_err(database.fault("write reviews"))
    }

    /// Whether this request may go to the model now: true once for a request that was withheld before the model was
    /// asked, was released since, and comes again (or still waits) on its route, by its caller and as it was. Audited.
    ///
    /// # Errors
    /// When the log or the database fails; it may then not go on.
    pub async fn review_goes_on(&self, ticket: &str, exchange: &Exchange) -> Result<bool, StoreError> {
        let database = &self.inner.database;
        let mut writing = database.begin().await?;
        let row = sqlx::query("SELECT doc FROM reviews WHERE ticket = $1").bind(ticket);
        let row = row.fetch_optional(&mut *writing).await.map_err(database.fault("read reviews"))?;
        let kept: Option<Review> = row.map(|row| read("reviews", &row)).transpose()?;
        let Some(mut review) = kept else { return Ok(false) };
        let now = self.now();
        let ran_out = review.state == ReviewState::Pending && review.deadline <= now;
        if ran_out {
            review.run_out();
        }
        let same = review.caller == exchange.caller
            && review.system == exchange.system
            && review.route == exchange.route
            && serde_json::to_value(&exchange.request).is_ok_and(|request| request == review.request);
        let released = review.state == ReviewState::Released && review.goes_on && review.reply.is_none();
        if !same || !released || review.went_on.is_some() {
            return Ok(false);
        }
        review.went_on = Some(now);
        let detail = json!({
            "system": review.system,
            "exchange": exchange.id,
            "caller": review.caller,
            "released_by": review.decided_by,
        });
        // The desk comes by twice a second to write down what deadlines did; this one is quicker.
        if ran_out {
            let released = json!({"system": review.system, "exchange": review.exchange, "caller": review.caller, "owner": review.owner});
            self.note(DEADLINE, "review-released", ticket, released).await?;
        }
        self.note(&review.caller, "review-went-on", ticket, detail).await?;
        sqlx::query("UPDATE reviews SET state = $1, doc = $2 WHERE ticket = $3")
            .bind(review.state.word())
            .bind(doc("reviews", &review)?)
            .bind(ticket)
            .execute(&mut *writing)
            .await
            .map_err(database.fault("write reviews"))?;
        writing.commit().await.map_err(database.fault("write reviews"))?;
        self.inner.desk.learn(&review);
        Ok(true)
    }

    /// Decides a pending review; the caller is told at its next poll. Audited.
    ///
    /// # Errors
    /// When there is no such review, it is settled or ran out, there is nothing to release (no answer of the model, and
    /// no request that could go to it), or the
    /// log or the database fails.
    pub async fn decide_review(
        &self,
        ticket: &str,
        decision: ReviewDecision,
        actor: &str,
    ) -> Result<Review, StoreError> {
        let database = &self.inner.database;
        let mut writing = database.begin().await?;
        let row = sqlx::query("SELECT doc FROM reviews WHERE ticket = $1").bind(ticket);
        let row = row.fetch_optional(&mut *writing).await.map_err(database.fault("read reviews"))?;
        let kept: Option<Review> = row.map(|row| read("reviews", &row)).transpose()?;
        let missing = || StoreError::Missing { what: "review", name: ticket.to_owned() };
        let mut review = kept.ok_or_else(missing)?;
        let now = self.now();
        if review.state == ReviewState::Pending && review.deadline <= now {
            review.run_out();
        }
        if review.state != ReviewState::Pending {
            let name = ticket.to_owned();
            return Err(StoreError::Settled { what: "review", name, state: review.state.word() });
        }
        if decision == ReviewDecision::Release && !review.can_be_released() {
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
        sqlx::query("UPDATE reviews SET state = $1, doc = $2 WHERE ticket = $3")
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
