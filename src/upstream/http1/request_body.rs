//! The body of a forwarded request: none, one in memory, or one that streams from the client.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Method,
    body::{Body as _, Bytes, Frame, Incoming},
};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{headers::Told, request::ForwardFault};

pub enum ForwardBody {
    /// In memory, so that it can be sent again; empty for no body.
    Whole(Bytes),
    /// Streamed from the client.
    Streaming {
        body: Incoming,
        /// The most bytes allowed.
        most: u64,
    },
}

impl ForwardBody {
    /// The body, if it can be sent a second time.
    pub(in crate::upstream) fn kept(&self) -> Option<Bytes> {
        match self {
            Self::Whole(body) => Some(body.clone()),
            Self::Streaming { .. } => None,
        }
    }

    pub(in crate::upstream) fn into_outbound(self, idle: Duration) -> (Outbound, Watch) {
        match self {
            Self::Whole(body) => (Outbound::Whole(body), Watch(None)),
            Self::Streaming { body, most } => {
                let progress = Arc::new(Progress::default());
                let watch = Watch(Some((Arc::clone(&progress), most)));
                let streaming = Streaming { body, room: most, idle, alarm: Box::pin(sleep_until(Instant::now() + idle)), progress };
                (Outbound::Streaming(Box::new(streaming)), watch)
            }
        }
    }
}

const TOO_LARGE: u8 = 1;
const INCOMPLETE: u8 = 2;

/// The progress of a streaming body.
#[derive(Default)]
struct Progress {
    /// Why the body broke off: `TOO_LARGE`, `INCOMPLETE`, or 0 if it hasn't.
    flaw: AtomicU8,
    /// The number of bytes received so far.
    moved: AtomicU64,
}

/// Observes how far a streaming body has come, and why it broke off.
pub(in crate::upstream) struct Watch(Option<(Arc<Progress>, u64)>);

impl Watch {
    /// The number of bytes received. Stays 0 for a body in memory.
    pub(in crate::upstream) fn moved(&self) -> u64 {
        self.0.as_ref().map_or(0, |(progress, _)| progress.moved.load(Ordering::Relaxed))
    }

    /// The client's error, if it made one.
    pub(in crate::upstream) fn fault(&self) -> Option<ForwardFault> {
        let (progress, most) = self.0.as_ref()?;
        match progress.flaw.load(Ordering::Relaxed) {
            TOO_LARGE => Some(ForwardFault::BodyTooLarge { most: *most }),
            INCOMPLETE => Some(ForwardFault::BodyIncomplete),
            _ => None,
        }
    }
}

/// The body as an exchange sends it.
pub(in crate::upstream) enum Outbound {
    Whole(Bytes),
    Streaming(Box<Streaming>),
}

pub(in crate::upstream) struct Streaming {
    body: Incoming,
    /// How many more bytes are allowed.
    room: u64,
    idle: Duration,
    alarm: Pin<Box<Sleep>>,
    progress: Arc<Progress>,
}

impl Outbound {
    /// How the length is declared for this method. `came` says whether the client declared one.
    pub(in crate::upstream) fn told(&self, method: &Method, came: bool) -> Told {
        match self {
            // Methods whose requests usually have a body declare an empty one too (RFC 9110 section 8.6).
            Self::Whole(body) if body.is_empty() && !came && !matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {
                Told::Nothing
            }
            Self::Whole(body) => Told::Length(body.len() as u64),
            Self::Streaming(streaming) => streaming.body.size_hint().exact().map_or(Told::Chunked, Told::Length),
        }
    }
}

impl Streaming {
    fn break_off(&self, flaw: u8, kind: io::ErrorKind) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.progress.flaw.store(flaw, Ordering::Relaxed);
        Poll::Ready(Some(Err(kind.into())))
    }

    /// True if the client ended the body too early, or was stopped.
    pub(in crate::upstream) fn has_broken_off(&self) -> bool {
        self.progress.flaw.load(Ordering::Relaxed) != 0
    }

    pub(in crate::upstream) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    let Some(room) = self.room.checked_sub(data.len() as u64) else {
                        return self.break_off(TOO_LARGE, io::ErrorKind::FileTooLarge);
                    };
                    self.room = room;
                    self.progress.moved.fetch_add(data.len() as u64, Ordering::Relaxed);
                }
                // The next piece gets the whole time limit again.
                self.alarm.as_mut().reset(Instant::now() + self.idle);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => self.break_off(INCOMPLETE, io::ErrorKind::UnexpectedEof),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if self.alarm.as_mut().poll(cx).is_ready() => self.break_off(INCOMPLETE, io::ErrorKind::TimedOut),
            Poll::Pending => Poll::Pending,
        }
    }
}
