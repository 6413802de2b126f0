//! Ends a request whose body does not come in time: answered 408, after which the connection is closed.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::web::{error::PageError, state::WebState};

/// The middleware. Whoever reads the body gets an error, and whatever is made of that, the answer is 408.
pub(crate) async fn slow_body(State(state): State<WebState>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let limits = &state.settings.limits;
    let (piece, whole) = (limits.body_piece, limits.body_whole);
    let too_slow = Arc::new(AtomicBool::new(false));
    let flag = too_slow.clone();
    let response = next.run(request.map(|body| Body::new(TimedBody::new(body, piece, whole, flag)))).await;
    match too_slow.load(Ordering::Relaxed) {
        true => PageError::TooSlow.into_response(),
        false => response,
    }
}

/// A body that fails where its next piece, or its end, takes too long.
struct TimedBody {
    body: Body,
    piece: Duration,
    /// When all of it has to be there.
    end: Instant,
    alarm: Pin<Box<Sleep>>,
    too_slow: Arc<AtomicBool>,
}

impl TimedBody {
    fn new(body: Body, piece: Duration, whole: Duration, too_slow: Arc<AtomicBool>) -> Self {
        let now = Instant::now();
        let end = now + whole;
        Self { body, piece, end, alarm: Box::pin(sleep_until(end.min(now + piece))), too_slow }
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let next = self.end.min(Instant::now() + self.piece);
            self.alarm.as_mut().reset(next);
            return Poll::Ready(frame);
        }
        if self.alarm.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.too_slow.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{Stream, StreamExt, stream};
    use tokio::time::sleep;

    type Piece = Result<&'static str, std::io::Error>;
    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(30);

    /// Whether the body is read whole, and how long that takes or it takes to fail.
    async fn read(pieces: impl Stream<Item = Piece> + Send + 'static, piece: Duration, whole: Duration) -> (bool, Duration) {
        let started = Instant::now();
        let too_slow = Arc::new(AtomicBool::new(false));
        let timed = TimedBody::new(Body::from_stream(pieces), piece, whole, too_slow.clone());
        let complete = axum::body::to_bytes(Body::new(timed), 1_000_000).await.is_ok();
        assert_eq!(complete, !too_slow.load(Ordering::Relaxed));
        (complete, started.elapsed())
    }

    #[tokio::test]
    async fn each_piece_and_the_whole_have_their_time() {
        let one = || stream::iter([Ok("x")]);
        assert!(read(one(), SHORT, SHORT).await.0);
        let (complete, after) = read(one().chain(stream::pending()), SHORT, LONG).await;
        assert!(!complete && after >= SHORT, "the end is a piece too: {after:?}");
        let drops = |gap| {
            stream::unfold((), move |()| async move {
                sleep(Duration::from_millis(gap)).await;
                Some((Ok("x"), ()))
            })
        };
        let (complete, after) = read(drops(1), LONG, SHORT).await;
        assert!(!complete && after >= SHORT, "{after:?}");
        let second = Duration::from_secs(1);
        let (complete, after) = read(drops(30).take(40), second, LONG).await;
        assert!(complete && after >= second, "each piece begins the time anew: {after:?}");
    }
}
