//! An HTTP server of a few lines that keeps what it was sent and answers as badly as a test asks for.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// A request that was received.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// Every header, its name in lower case.
    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// How a request is answered.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A whole answer: status, headers, body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// These bytes, and then the connection is cut without a word.
    Cut(String),
    /// The head of an answer, and then a byte of body now and then.
    Drip,
    /// The head of an answer, and then a body without end.
    Endless,
    /// Nothing, while the connection stays open.
    Silence,
    /// That, but only once this is true.
    When(watch::Receiver<bool>, Box<Reply>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: serde_json::Value) -> Self {
        Self::Whole(status, vec![("Content-Type", "application/json; charset=utf-8".into())], body.to_string())
    }

    pub(crate) fn token() -> Self {
        Self::json(200, serde_json::json!({"access_token": "tok-1", "token_type": "Bearer", "expires_in": 600}))
    }
}

/// Serves until it is dropped.
pub(crate) struct FaultServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl FaultServer {
    /// A server that answers over TLS.
    pub(crate) async fn start(tls: Arc<ServerConfig>, reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0", Mode::Tls(TlsAcceptor::from(tls)), reply).await
    }

    /// A server that answers without TLS.
    pub(crate) async fn plain(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0", Mode::Plain, reply).await
    }

    /// A server that accepts connections and says nothing.
    pub(crate) async fn silent() -> Self {
        Self::listen("127.0.0.1:0", Mode::Silent, |_| Reply::Silence).await
    }

    /// A server that closes each connection as soon as the other side has spoken.
    pub(crate) async fn closing() -> Self {
        Self::listen("127.0.0.1:0", Mode::Closing, |_| Reply::Silence).await
    }

    async fn listen(address: &str, mode: Mode, reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, connections) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let (keep, count, reply) = (Arc::clone(&seen), Arc::clone(&connections), Arc::new(reply));
        let task = tokio::spawn(async move {
            // Connections end with the server.
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (mode, keep, reply) = (mode.clone(), Arc::clone(&keep), Arc::clone(&reply));
                open.spawn(async move { serve(stream, mode, &keep, &*reply).await });
            }
        });
        Self { address, seen, connections, task }
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
enum Mode {
    Tls(TlsAcceptor),
    Plain,
    Silent,
    Closing,
}

async fn serve(mut stream: TcpStream, mode: Mode, seen: &Mutex<Vec<Seen>>, reply: &(impl Fn(&Seen) -> Reply + Sync)) {
    match mode {
        Mode::Tls(acceptor) => {
            // A client that does not trust the certificate ends the handshake.
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, seen, reply).await;
            }
        }
        Mode::Plain => answer(stream, seen, reply).await,
        Mode::Silent => std::future::pending().await,
        Mode::Closing => {
            let _ = stream.read(&mut [0; 4096]).await;
        }
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<Seen>>,
    reply: &(impl Fn(&Seen) -> Reply + Sync),
) {
    let Some(request) = read_request(&mut stream).await else {
        // What is no request gets the answer that common servers give.
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        return;
    };
    let mut reply = reply(&request);
    seen.lock().unwrap().push(request);
    while let Reply::When(mut it_is_time, next) = reply {
        // If nobody can say so any more, it is.
        let _ = it_is_time.wait_for(|it_is| *it_is).await;
        reply = *next;
    }
    // Whether the client still listens is the client's affair: write errors end the answer.
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    match reply {
        Reply::Whole(status, headers, body) => {
            let mut text = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
            for (name, value) in headers {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            text.push_str("\r\n");
            text.push_str(&body);
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Reply::Cut(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.flush().await;
        }
        Reply::Drip => {
            let mut going = stream.write_all(head).await;
            while going.is_ok() {
                going = stream.write_all(b"1\r\n \r\n").await;
                let _ = stream.flush().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Reply::Endless => {
            let mut going = stream.write_all(head).await;
            let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
            while going.is_ok() {
                going = stream.write_all(chunk.as_bytes()).await;
            }
        }
        // It was waited for above.
        Reply::Silence | Reply::When(..) => std::future::pending().await,
    }
}

/// Reads a request; `None` for bytes that are none.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.ok()?;
        bytes.extend_from_slice(&chunk[..length]);
        if length == 0 || !bytes[0].is_ascii_uppercase() {
            return None;
        }
    };
    let mut body = bytes.split_off(head_end + 4);
    let head: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = head.trim_end().split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let mut seen = Seen { method, target, headers: lines.filter_map(split).collect(), body: Vec::new() };
    let length: usize = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        body.extend_from_slice(&chunk[..read]);
    }
    seen.body = body;
    Some(seen)
}
