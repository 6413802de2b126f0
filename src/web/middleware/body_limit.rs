//! Limits how long a request body may take, and how many are received at the same time.
//!
//! A body that doesn't arrive in time gets 408, and the connection is closed. Bodies have their own limit, far
//! below that of requests in progress, and each client network gets a part of it: otherwise a client that sends
//! many bodies slowly could keep everyone else out.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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

use super::concurrency_limit::come_back;
use crate::web::{
    http::{client_address::ClientAddress, error::PageError},
    server::ServingLimits,
};

/// The share of one network: one in this many of all bodies.
const SHARE: usize = 8;

/// The bodies that are being received.
pub(crate) struct Receiving {
    piece: Duration,
    whole: Duration,
    most: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    of_network: HashMap<IpAddr, usize>,
}

/// A body that counts until it is dropped.
struct Place {
    receiving: Arc<Receiving>,
    network: IpAddr,
}

/// The middleware. A body that is too slow fails its reader; whatever the handler then returns, the response is
/// 408.
pub(crate) async fn receiving(State(receiving): State<Arc<Receiving>>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let address = request.extensions().get::<ClientAddress>().map(|client| client.0);
    let Some(place) = receiving.begin(address.unwrap_or(Ipv6Addr::UNSPECIFIED.into())) else {
        tracing::warn!("refused: too many request bodies are arriving");
        return come_back();
    };
    let too_slow = Arc::new(AtomicBool::new(false));
    let flag = too_slow.clone();
    let timed = request.map(|body| Body::new(TimedBody::new(body, receiving.piece, receiving.whole, flag, Some(place))));
    let response = next.run(timed).await;
    match too_slow.load(Ordering::Relaxed) {
        true => PageError::TooSlow.into_response(),
        false => response,
    }
}

impl Receiving {
    pub(crate) fn new(limits: &ServingLimits) -> Self {
        Self { piece: limits.body_piece, whole: limits.body_whole, most: limits.receiving, counts: Mutex::default() }
    }

    /// Reserves a place, if one is free.
    fn begin(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut counts = self.counts();
        let of_network = counts.of_network.get(&network).copied().unwrap_or_default();
        if counts.all >= self.most || of_network >= self.most.div_ceil(SHARE) {
            return None;
        }
        counts.all += 1;
        counts.of_network.insert(network, of_network + 1);
        Some(Place { receiving: self.clone(), network })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.receiving.counts();
        counts.all -= 1;
        match counts.of_network.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            // A network without bodies is removed.
            _ => drop(counts.of_network.remove(&self.network)),
        }
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 /64, within which a client can choose its address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// A body that fails if its next piece or its end takes too long.
struct TimedBody {
    body: Body,
    piece: Duration,
    /// The deadline for the whole body.
    end: Instant,
    alarm: Pin<Box<Sleep>>,
    too_slow: Arc<AtomicBool>,
    _place: Option<Place>,
}

impl TimedBody {
    fn new(body: Body, piece: Duration, whole: Duration, too_slow: Arc<AtomicBool>, place: Option<Place>) -> Self {
        let now = Instant::now();
        let end = now + whole;
        Self { body, piece, end, alarm: Box::pin(sleep_until(end.min(now + piece))), too_slow, _place: place }
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

    /// Whether the body was read completely, and the time until it was or failed.
    async fn read(pieces: impl Stream<Item = Piece> + Send + 'static, piece: Duration, whole: Duration) -> (bool, Duration) {
        let started = Instant::now();
        let too_slow = Arc::new(AtomicBool::new(false));
        let timed = TimedBody::new(Body::from_stream(pieces), piece, whole, too_slow.clone(), None);
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

    #[test]
    fn one_network_does_not_take_all_places() {
        let receiving = Arc::new(Receiving::new(&ServingLimits { receiving: 16, ..ServingLimits::default() }));
        let begin = |address: &str| receiving.begin(address.parse().unwrap());
        let one: Vec<Place> = (0..2).map(|_| begin("192.0.2.1").unwrap()).collect();
        assert!(begin("192.0.2.1").is_none(), "its share is taken");
        let other: Vec<Place> = (0..2).map(|at| begin(&format!("2001:db8::{at}")).unwrap()).collect();
        assert!(begin("2001:db8::7").is_none(), "all of them are one client's");
        assert!(begin("2001:db8:0:1::7").is_some());
        drop(one);
        assert!(begin("192.0.2.1").is_some());
        let many: Vec<Option<Place>> = (0..20).map(|at| begin(&format!("198.51.100.{at}"))).collect();
        assert_eq!(many.iter().flatten().count(), 14, "two places are still taken");
        drop((other, many));
        let counts = receiving.counts();
        assert!(counts.all == 0 && counts.of_network.is_empty());
    }
}
