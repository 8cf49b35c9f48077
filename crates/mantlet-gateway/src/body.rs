//! Bodies of answers: whole, passed on as they arrive, or written piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::upstream::direct::Arriving;

/// Why a body ends early. The connection is then closed without the end of the body, so that no client takes what
/// came for the whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The upstream broke off.
    #[error("the upstream broke off")]
    Upstream(#[from] hyper::Error),
    /// The writer of the body ended without saying so.
    #[error("the answer was cut short")]
    Cut,
}

/// The body of an answer.
pub(crate) enum Body {
    /// All of it.
    Whole(Option<Bytes>),
    /// As the upstream sends it.
    Passed(Passing),
    /// As it is written.
    Written(mpsc::Receiver<Result<Bytes, Broken>>),
    /// All of it, and trailers.
    Trailed(Option<Bytes>, Option<HeaderMap>),
    /// As it is written, trailers too.
    Framed(mpsc::Receiver<Result<Frame<Bytes>, Broken>>),
}

/// A body on its way through, and what is to be done when it is over: told whether it came to its end.
pub(crate) struct Passing {
    body: Arriving,
    ended: bool,
    done: Option<Box<dyn FnOnce(bool) + Send>>,
}

impl Passing {
    pub(crate) fn new(body: Arriving, done: Box<dyn FnOnce(bool) + Send>) -> Self {
        Self { body, ended: false, done: Some(done) }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // A body of known length is not polled again after its last byte.
        let ended = self.ended || self.body.is_end_stream();
        if let Some(done) = self.done.take() {
            done(ended);
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Passed(passing) => {
                let polled = Pin::new(&mut passing.body).poll_frame(context);
                passing.ended |= matches!(polled, Poll::Ready(None));
                polled.map(|frame| frame.map(|frame| frame.map_err(Broken::from)))
            }
            Self::Written(pieces) => pieces.poll_recv(context).map(|piece| Some(piece?.map(Frame::data))),
            Self::Trailed(bytes, trailers) => Poll::Ready(match bytes.take() {
                Some(bytes) => Some(Ok(Frame::data(bytes))),
                None => trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
            }),
            Self::Framed(frames) => frames.poll_recv(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Passed(passing) => passing.body.is_end_stream(),
            Self::Trailed(bytes, trailers) => bytes.is_none() && trailers.is_none(),
            Self::Written(_) | Self::Framed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Passed(passing) => passing.body.size_hint(),
            Self::Trailed(bytes, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Written(_) | Self::Framed(_) => SizeHint::default(),
        }
    }
}
