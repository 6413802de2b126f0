//! The body of a forwarded request: none, one that is at hand, or one that streams from the client.

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

/// The body of a request to be forwarded.
pub enum ForwardBody {
    /// At hand, so that it can be sent again; empty for none.
    Whole(Bytes),
    /// As it comes, up to so many bytes.
    Streaming {
        /// What comes.
        body: Incoming,
        /// The most bytes.
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

/// What is known of a body that streams.
#[derive(Default)]
struct Progress {
    /// Why it broke off; 0 while it has not.
    flaw: AtomicU8,
    /// How many bytes have come.
    moved: AtomicU64,
}

/// Sees how far a body that streams has come, and why it broke off.
pub(in crate::upstream) struct Watch(Option<(Arc<Progress>, u64)>);

impl Watch {
    /// How many bytes have come. One that is at hand does not move.
    pub(in crate::upstream) fn moved(&self) -> u64 {
        self.0.as_ref().map_or(0, |(progress, _)| progress.moved.load(Ordering::Relaxed))
    }

    /// What the client did wrong, if it did.
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
    /// How many more bytes may come.
    room: u64,
    idle: Duration,
    alarm: Pin<Box<Sleep>>,
    progress: Arc<Progress>,
}

impl Outbound {
    /// How its length is told with this method. `came` says that the client has told one.
    pub(in crate::upstream) fn told(&self, method: &Method, came: bool) -> Told {
        match self {
            // What a server expects a body with is not left open (RFC 9110 section 8.6).
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

    /// Whether the client has broken it off, or was stopped.
    pub(in crate::upstream) fn has_broken_off(&self) -> bool {
        self.progress.flaw.load(Ordering::Relaxed) != 0
    }

    /// The next piece.
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
                // Begins anew when the next piece has to be waited for.
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
