//! The answering loop as a task, and the handle to it.

use std::sync::Arc;
use std::time::Duration;

use mantlet_guard::{Events, GuardEvent, Overloaded};
use mantlet_respond::{Actuator, Alert, Incident, IncidentStore};
use mantlet_vocab::Exchange;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::config::AnswerConfig;
use super::core::{Answer, Wish};
use super::deliver::Outbox;
use super::ports::{AnswerError, Clock, Journal};

/// Events that may wait.
const EVENTS: usize = 8_192;
/// Wishes of people that may wait.
const WISHES: usize = 64;
/// How often what is over is ended.
const TICK: Duration = Duration::from_secs(1);
/// Inputs taken at once.
const TOGETHER: usize = 256;
/// How long inputs may gather once some were taken: under load, waking for each costs more than taking it in.
const GATHER: Duration = Duration::from_millis(4);
/// Longest wait for notices under way at the end.
const GOODBYE: Duration = Duration::from_secs(5);

enum Input {
    Event(Box<GuardEvent>),
    Passed(Arc<Exchange>),
    Alert(Box<Alert>),
}

enum Request {
    Wish {
        incident: String,
        wish: Wish,
        actor: String,
        reply: oneshot::Sender<Result<Incident, AnswerError>>,
    },
    Reload(Box<AnswerConfig>, oneshot::Sender<Result<(), super::ConfigError>>),
    Settle(oneshot::Sender<()>),
    Stop,
}

/// Hands guard events to the answering loop; never waits.
#[derive(Debug, Clone)]
pub struct EventSink(mpsc::Sender<Input>);

impl EventSink {
    /// Hands over an exchange without signals, so that times and counts are exact.
    ///
    /// # Errors
    /// When the loop is behind; nothing but exactness is lost.
    pub fn passed(&self, exchange: Arc<Exchange>) -> Result<(), Overloaded> {
        self.0.try_send(Input::Passed(exchange)).map_err(|_| Overloaded)
    }
}

impl Events for EventSink {
    fn emit(&self, event: GuardEvent) -> Result<(), Overloaded> {
        self.0.try_send(Input::Event(Box::new(event))).map_err(|_| Overloaded)
    }
}

/// The running loop.
#[derive(Debug)]
pub struct AnswerHandle {
    events: mpsc::Sender<Input>,
    requests: mpsc::Sender<Request>,
    task: JoinHandle<()>,
}

/// What consoles and commands use of the running loop.
#[derive(Debug, Clone)]
pub struct Wishes(mpsc::Sender<Request>);

impl Wishes {
    /// Puts a step in force.
    ///
    /// # Errors
    /// When there is no such incident or step, or it could not be done.
    pub async fn contain(&self, incident: &str, step: &str, actor: &str) -> Result<Incident, AnswerError> {
        self.wish(incident, Wish::Contain { step: step.to_owned() }, actor).await
    }

    /// Takes a step out of force.
    ///
    /// # Errors
    /// As [`Wishes::contain`], or when it cannot be undone.
    pub async fn undo(&self, incident: &str, step: &str, actor: &str) -> Result<Incident, AnswerError> {
        self.wish(incident, Wish::Undo { step: step.to_owned() }, actor).await
    }

    /// Closes an incident.
    ///
    /// # Errors
    /// When there is no such incident.
    pub async fn close(&self, incident: &str, why: &str, actor: &str) -> Result<Incident, AnswerError> {
        self.wish(incident, Wish::Close { why: why.to_owned() }, actor).await
    }

    async fn wish(&self, incident: &str, wish: Wish, actor: &str) -> Result<Incident, AnswerError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Wish { incident: incident.to_owned(), wish, actor: actor.to_owned(), reply };
        self.0.send(request).await.map_err(|_| AnswerError::Ended)?;
        answer.await.map_err(|_| AnswerError::Ended)?
    }
}

impl AnswerHandle {
    /// Where guards emit events.
    #[must_use]
    pub fn sink(&self) -> EventSink {
        EventSink(self.events.clone())
    }

    /// What consoles and commands use.
    #[must_use]
    pub fn wishes(&self) -> Wishes {
        Wishes(self.requests.clone())
    }

    /// Hands over an alert of another station.
    ///
    /// # Errors
    /// When the loop has ended.
    pub async fn alert(&self, alert: Alert) -> Result<(), AnswerError> {
        self.events.send(Input::Alert(Box::new(alert))).await.map_err(|_| AnswerError::Ended)
    }

    /// Takes over a new configuration; channels are started anew.
    ///
    /// # Errors
    /// When a channel cannot work as configured; the old configuration then stays.
    pub async fn reload(&self, config: AnswerConfig) -> Result<(), ReloadError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Reload(Box::new(config), reply);
        self.requests.send(request).await.map_err(|_| AnswerError::Ended)?;
        Ok(answer.await.map_err(|_| AnswerError::Ended)??)
    }

    /// Waits until every event handed over so far has been worked on.
    ///
    /// # Errors
    /// When the loop has ended.
    pub async fn settle(&self) -> Result<(), AnswerError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Settle(reply)).await.map_err(|_| AnswerError::Ended)?;
        answer.await.map_err(|_| AnswerError::Ended)
    }

    /// Ends the loop: everything is kept, and notices under way get a few seconds.
    pub async fn stop(self) {
        let _ = self.requests.send(Request::Stop).await;
        let _ = self.task.await;
    }
}

/// Why a new configuration was not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A channel cannot work as configured.
    #[error(transparent)]
    Config(#[from] super::ConfigError),
    /// The loop has ended.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// Why the loop could not be started.
pub type StartError = ReloadError;

/// Starts the loop: reads the open incidents, brings back what is in force, then takes events.
///
/// # Errors
/// When a channel cannot work as configured or the store cannot be read.
pub async fn start<A, S, J, C>(
    config: AnswerConfig,
    actuator: A,
    store: S,
    journal: J,
    clock: C,
) -> Result<AnswerHandle, StartError>
where
    A: Actuator + 'static,
    S: IncidentStore + 'static,
    J: Journal + 'static,
    C: Clock + Clone + 'static,
{
    let (outcomes, mut told) = mpsc::unbounded_channel();
    let outbox = Outbox::start(&config.notify, &clock, &outcomes)?;
    let mut answer = Answer::open(config, actuator, store, journal, clock.clone(), outbox).await?;
    let (events, mut inputs) = mpsc::channel(EVENTS);
    let (requests, mut asked) = mpsc::channel(WISHES);
    let task = tokio::spawn(async move {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut taken, mut gathers) = (Vec::with_capacity(TOGETHER), false);
        let gathered = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(gathered);
        loop {
            tokio::select! {
                biased;
                request = asked.recv() => match request {
                    Some(Request::Wish { incident, wish, actor, reply }) => {
                        let _ = reply.send(answer.wish(&incident, &wish, &actor).await);
                    }
                    Some(Request::Reload(config, reply)) => {
                        let started = Outbox::start(&config.notify, &clock, &outcomes);
                        let _ = reply.send(started.map(|outbox| answer.reload(*config, Some(outbox))));
                    }
                    Some(Request::Settle(reply)) => {
                        while let Ok(input) = inputs.try_recv() {
                            take(&mut answer, input).await;
                        }
                        let _ = reply.send(());
                    }
                    Some(Request::Stop) | None => break,
                },
                Some(outcome) = told.recv() => answer.delivered(outcome).await,
                _ = tick.tick() => answer.tick().await,
                () = &mut gathered, if gathers => gathers = false,
                count = inputs.recv_many(&mut taken, TOGETHER), if !gathers => {
                    if count == 0 {
                        break;
                    }
                    for input in taken.drain(..) {
                        take(&mut answer, input).await;
                    }
                    gathers = count < TOGETHER;
                    gathered.as_mut().reset(tokio::time::Instant::now() + GATHER);
                }
            }
        }
        while let Ok(input) = inputs.try_recv() {
            take(&mut answer, input).await;
        }
        answer.finish(GOODBYE, &mut told).await;
    });
    Ok(AnswerHandle { events, requests, task })
}

async fn take<A: Actuator, S: IncidentStore, J: Journal, C: Clock>(
    answer: &mut Answer<A, S, J, C>,
    input: Input,
) {
    match input {
        Input::Event(event) => answer.event(*event).await,
        Input::Passed(exchange) => answer.passed(&exchange),
        Input::Alert(alert) => answer.alert(&alert).await,
    }
}
