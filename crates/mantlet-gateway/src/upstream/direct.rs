//! Connections to upstreams that speak HTTP/1.1 without TLS: kept by address, each driven by whoever uses it.
//!
//! A connection has no task of its own. The exchange that asks polls it, and so does the body of the answer until the
//! answer is over; then it goes back to where the next exchange finds it. That saves two wake-ups and the pool's
//! book-keeping for each request, and an exchange that is given up takes its connection with it at once, which is how
//! the upstream hears of it. A connection that the upstream closed meanwhile is noticed when it is taken out again.

#![expect(clippy::vec_box, reason = "a connection is large, and goes in and out with each exchange")]

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service as _;

use super::{IDLE, cause};

/// How long a connection may wait for its next use.
const REST: Duration = Duration::from_secs(20);

/// One connection: what is asked goes in at one end, and the other has to be polled for anything to happen.
pub(crate) struct Lane {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<TcpStream>, Full<Bytes>>,
    /// When it was put back.
    rested: Instant,
}

impl Lane {
    /// Lets the connection get on; says whether it is over, after which it must not be polled again.
    fn drive(&mut self, context: &mut Context<'_>) -> bool {
        Pin::new(&mut self.connection).poll(context).is_ready()
    }
}

/// The connections to one address that wait for their next use.
#[derive(Default)]
pub(crate) struct Lanes {
    /// The one used last is taken first, so that those not needed grow old at the front.
    resting: Mutex<Vec<Box<Lane>>>,
}

impl Lanes {
    fn resting(&self) -> MutexGuard<'_, Vec<Box<Lane>>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that can be used at once.
    fn take(&self) -> Option<Box<Lane>> {
        loop {
            let mut lane = self.resting().pop()?;
            // Whether it was closed meanwhile shows when it is polled; whoever sends polls it again.
            let over = lane.drive(&mut Context::from_waker(Waker::noop()));
            if !over && lane.sender.is_ready() && lane.rested.elapsed() < REST {
                return Some(lane);
            }
        }
    }

    fn put(&self, mut lane: Box<Lane>) {
        lane.rested = Instant::now();
        let mut resting = self.resting();
        if resting.len() < IDLE {
            resting.push(lane);
        }
    }

    /// Closes those that have waited for too long.
    pub(crate) fn sweep(&self) {
        let old: Vec<Box<Lane>> = {
            let mut resting = self.resting();
            let young = resting.iter().position(|lane| lane.rested.elapsed() < REST);
            let old = young.unwrap_or(resting.len());
            resting.drain(..old).collect()
        };
        drop(old);
    }

    /// Asks, on a connection that waits or on a new one to `address`. The request has a path for its address and the
    /// header `Host`.
    pub(super) async fn ask(
        self: &Arc<Self>,
        connector: &HttpConnector,
        address: &Uri,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Arriving>, Refused> {
        loop {
            let Some(lane) = self.take() else { break };
            match self.ask_on(lane, request).await {
                Err(Refused { unsent: Some(again), .. }) => request = *again,
                other => return other,
            }
        }
        match open(connector, address).await {
            Ok(lane) => self.ask_on(lane, request).await,
            Err(why) => Err(Refused { unsent: Some(Box::new(request)), why }),
        }
    }

    async fn ask_on(
        self: &Arc<Self>,
        mut lane: Box<Lane>,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Arriving>, Refused> {
        let mut answer = pin!(lane.sender.try_send_request(request));
        let mut over = false;
        let answer = poll_fn(|context| {
            over = over || Pin::new(&mut lane.connection).poll(context).is_ready();
            answer.as_mut().poll(context)
        })
        .await;
        match answer {
            Ok(answer) => {
                let lane = (!over).then_some(lane);
                Ok(answer.map(|body| {
                    let source = Source::Driven { body, lane, home: Arc::clone(self) };
                    Arriving { source, next: None }
                }))
            }
            Err(mut error) => {
                let unsent = error.take_message().map(Box::new);
                Err(Refused { unsent, why: cause(error.error()) })
            }
        }
    }
}

/// Why a connection gave no answer, and the request, when nothing of it was sent.
pub(super) struct Refused {
    pub(super) unsent: Option<Box<Request<Full<Bytes>>>>,
    pub(super) why: String,
}

async fn open(connector: &HttpConnector, address: &Uri) -> Result<Box<Lane>, String> {
    let mut connector = connector.clone();
    poll_fn(|context| connector.poll_ready(context)).await.map_err(|error| cause(&error))?;
    let stream = connector.call(address.clone()).await.map_err(|error| cause(&error))?;
    let (sender, connection) = Builder::new().handshake(stream).await.map_err(|error| cause(&error))?;
    Ok(Box::new(Lane { sender, connection, rested: Instant::now() }))
}

/// The body of an upstream's answer, as it arrives. Pieces that came together are given together: what a caller is sent
/// costs a call of the system each time, and an upstream writes its events one by one.
pub(crate) struct Arriving {
    source: Source,
    /// What came behind the pieces given last and is not one of them: the end, trailers, a fault.
    next: Option<Piece>,
}

type Piece = Option<Result<Frame<Bytes>, hyper::Error>>;

/// Pieces are put together up to so many bytes; longer ones are given as they are.
const TOGETHER: usize = 16 << 10;

enum Source {
    /// Over a connection that has a task of its own.
    Tasked(Incoming),
    /// Over one that gets on only while this is polled.
    Driven {
        body: Incoming,
        /// `None` once the connection is over or was put back.
        lane: Option<Box<Lane>>,
        home: Arc<Lanes>,
    },
}

impl Source {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Piece> {
        match self {
            Self::Tasked(body) => Pin::new(body).poll_frame(context),
            Self::Driven { body, lane, home } => {
                // Polled first, the body says that there is room for what the connection then brings.
                let mut polled = Pin::new(&mut *body).poll_frame(context);
                if polled.is_pending()
                    && let Some(driven) = lane
                {
                    if driven.drive(context) {
                        *lane = None;
                    }
                    polled = Pin::new(&mut *body).poll_frame(context);
                }
                if matches!(polled, Poll::Ready(None)) {
                    Self::end(lane, home, context);
                }
                polled
            }
        }
    }

    /// The answer is over: its connection serves the next one, if it can.
    fn end(lane: &mut Option<Box<Lane>>, home: &Lanes, context: &mut Context<'_>) {
        if let Some(mut lane) = lane.take()
            && !lane.drive(context)
            && lane.sender.is_ready()
        {
            home.put(lane);
        }
    }

    fn body(&self) -> &Incoming {
        match self {
            Self::Tasked(body) | Self::Driven { body, .. } => body,
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // A body of known length is not polled again after its last byte.
        if let Self::Driven { body, lane, home } = self
            && body.is_end_stream()
        {
            Self::end(lane, home, &mut Context::from_waker(Waker::noop()));
        }
    }
}

impl Arriving {
    pub(super) fn tasked(body: Incoming) -> Self {
        Self { source: Source::Tasked(body), next: None }
    }

    /// With what came behind it already.
    fn together(&mut self, first: Bytes, context: &mut Context<'_>) -> Bytes {
        let mut all = BytesMut::new();
        while all.len().max(first.len()) < TOGETHER && !self.source.body().is_end_stream() {
            let Poll::Ready(next) = self.source.poll(context) else { break };
            match next.map(|next| next.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    if all.is_empty() {
                        all.extend_from_slice(&first);
                    }
                    all.extend_from_slice(&data);
                }
                Some(Ok(Err(frame))) => self.next = Some(Some(Ok(frame))),
                Some(Err(error)) => self.next = Some(Some(Err(error))),
                None => self.next = Some(None),
            }
            if self.next.is_some() {
                break;
            }
        }
        if all.is_empty() { first } else { all.freeze() }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece> {
        let arriving = self.get_mut();
        if let Some(next) = arriving.next.take() {
            return Poll::Ready(next);
        }
        arriving.source.poll(context).map(|piece| match piece?.map(Frame::into_data) {
            Ok(Ok(data)) => Some(Ok(Frame::data(arriving.together(data, context)))),
            Ok(Err(frame)) => Some(Ok(frame)),
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.next {
            Some(next) => next.is_none(),
            None => self.source.body().is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.source.body().size_hint()
    }
}

/// The connections by upstream address, which outlive reloads.
#[derive(Default)]
pub(crate) struct AllLanes(Mutex<HashMap<String, Weak<Lanes>>>);

impl AllLanes {
    pub(crate) fn of(&self, address: &str) -> Arc<Lanes> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lanes) = known.get(address).and_then(Weak::upgrade) {
            return lanes;
        }
        known.retain(|_, lanes| lanes.strong_count() > 0);
        let lanes = Arc::new(Lanes::default());
        known.insert(address.to_owned(), Arc::downgrade(&lanes));
        lanes
    }
}
