//! What is written to a service and read from it, byte by byte: a service in the clear that reads and answers as a test
//! says, and does what no library would.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures_util::stream;
use reqwest::{Method, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{HOSTS, Scene, problem};
use crate::support::{
    api_server::with_json,
    raw::{PATIENCE, Raw},
    server::Setup,
};

/// How a scripted service reads and answers a request.
#[derive(Clone)]
struct Answer {
    /// Up to what it reads before it answers.
    until: &'static str,
    /// In how large pieces the answer is written.
    pieces: usize,
    text: String,
    closes: bool,
}

/// After the head of a request.
fn after_head(text: impl Into<String>) -> Answer {
    Answer { until: "\r\n\r\n", pieces: usize::MAX, text: text.into(), closes: false }
}

impl Answer {
    fn and_closes(self) -> Self {
        Self { closes: true, ..self }
    }
}

/// A service that sends these responses in turn, and then repeats the last.
struct Scripted {
    address: SocketAddr,
    /// What came on each connection.
    seen: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Scripted {
    async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (all, next) = (Arc::clone(&seen), Arc::new(Mutex::new(answers)));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let number = {
                    let mut all = all.lock().unwrap();
                    all.push(String::new());
                    all.len() - 1
                };
                tokio::spawn(serve(stream, number, Arc::clone(&all), Arc::clone(&next)));
            }
        });
        Self { address, seen, serving }
    }

    /// What came on each connection over which a request was forwarded.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().filter(|text| text.contains("HTTP/1.1\r\n")).cloned().collect()
    }
}

async fn serve(mut stream: TcpStream, number: usize, seen: Arc<Mutex<Vec<String>>>, answers: Arc<Mutex<Vec<Answer>>>) {
    let mut came = String::new();
    loop {
        let mut answer = None;
        while answer.is_none() {
            let mut piece = [0; 4_096];
            let Ok(length @ 1..) = stream.read(&mut piece).await else { return };
            if piece[0] == 0x16 {
                // A handshake of TLS, by a test of the credential: here is none.
                return;
            }
            let text = String::from_utf8_lossy(&piece[..length]).into_owned();
            seen.lock().unwrap()[number].push_str(&text);
            came.push_str(&text);
            let mut answers = answers.lock().unwrap();
            if came.contains(answers[0].until) {
                answer = Some(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() });
            }
        }
        let Some(answer) = answer else { return };
        came.clear();
        for piece in answer.text.as_bytes().chunks(answer.pieces) {
            stream.write_all(piece).await.unwrap();
        }
        if answer.closes {
            // What has come and was not read would make a reset of it.
            stream.shutdown().await.unwrap();
            let mut rest = [0; 4_096];
            while matches!(stream.read(&mut rest).await, Ok(1..)) {}
            return;
        }
    }
}

async fn scene(answers: Vec<Answer>) -> (Scene, Scripted) {
    let scripted = Scripted::start(answers).await;
    let setup = Setup::new().with(format!("--egress-pin={}=http://{}", HOSTS[1], scripted.address));
    (Scene::set_with(setup, async |_| with_json(500, &serde_json::json!({}))).await, scripted)
}

async fn text(response: Response) -> (u16, String) {
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_request_is_written_as_http_says() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let whole = |until| Answer { until, ..after_head(ok) };
    let (scene, scripted) = scene(vec![whole("\r\n\r\n"), whole("three"), whole("0\r\nx-sum: 7\r\n\r\n"), whole("\r\n\r\n")]).await;
    assert_eq!(text(scene.get("/users?a=%20b&c").header("accept", "text/csv").send().await.unwrap()).await.0, 200);
    let sent = scene.ask(Method::POST, &scene.destination, "/contacts").body("three").send().await.unwrap();
    assert_eq!(text(sent).await, (200, "ok".into()));
    let chunked = format!(
        "POST /proxy/{}/contacts HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
         5\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 7\r\nHost: evil\r\n\r\n",
        scene.destination, scene.server.listening, scene.key
    );
    Raw::with(scene.server.listening, &chunked).await.until("ok").await;
    let empty = scene.ask(Method::POST, &scene.destination, "/contacts").send().await.unwrap();
    assert_eq!(empty.status(), 200);
    let seen = scripted.seen().concat().to_ascii_lowercase();
    let with = |part: &str| seen.matches(part).count();
    assert_eq!((with(" http/1.1\r\nhost: api.talkdeskapp.com\r\n"), with("authorization:")), (4, 4), "{seen}");
    assert_eq!(with("authorization: basic tok-1\r\n"), 4, "{seen}");
    let get = &seen[seen.find("get /users?a=%20b&c http/1.1\r\n").unwrap()..];
    let get = &get[..get.find("\r\n\r\n").unwrap()];
    assert!(get.contains("\r\naccept: text/csv\r\n") && !get.contains("content-length"), "{seen}");
    for part in [
        "\r\ncontent-length: 5\r\n\r\nthree",
        "\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nx-sum: 7\r\n\r\n",
        "\r\ncontent-length: 0\r\n\r\n",
    ] {
        assert_eq!(with(part), 1, "{part:?} in {seen}");
    }
}

#[tokio::test]
async fn an_answer_may_come_in_any_pieces() {
    let answers = [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nwh\r\n3\r\nole\r\n0\r\nX-Sum: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nwhole",
    ];
    for pieces in [1, 7, usize::MAX] {
        let (scene, scripted) = scene(answers.iter().map(|text| Answer { pieces, ..after_head(*text) }).collect()).await;
        for _ in 0..answers.len() + 1 {
            assert_eq!(text(scene.get("/users").send().await.unwrap()).await, (200, "whole".into()));
        }
        assert_eq!(scripted.seen().len(), 1, "one connection does for all, in pieces of {pieces}");
    }
}

#[tokio::test]
async fn a_body_may_end_with_its_connection() {
    let answers = vec![
        after_head("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nwhole").and_closes(),
        after_head("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwhole").and_closes(),
        after_head("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nwhole").and_closes(),
    ];
    let (scene, scripted) = scene(answers).await;
    for _ in 0..2 {
        assert_eq!(text(scene.get("/users").send().await.unwrap()).await, (200, "whole".into()));
    }
    let cut = match scene.get("/users").send().await {
        Ok(head) => head.text().await,
        Err(error) => Err(error),
    };
    assert!(cut.is_err(), "what is cut off does not look whole");
    assert_eq!(scripted.seen().len(), 3);
}

#[tokio::test]
async fn what_is_no_answer_of_http_is_told_and_nothing_of_it_comes_later() {
    for wrong in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nwrong",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nwrong",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nwrong",
    ] {
        let (scene, scripted) =
            scene(vec![after_head(wrong), after_head("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright")]).await;
        assert_eq!(problem(scene.get("/users").send().await.unwrap()).await, (502, "upstream_broken".into()), "{wrong}");
        assert_eq!(text(scene.get("/users").send().await.unwrap()).await, (200, "right".into()), "{wrong}");
        assert_eq!(scripted.seen().len(), 2, "{wrong}");
    }
}

#[tokio::test]
async fn what_stands_behind_an_answer_is_nobodys() {
    for more in [
        "Content-Length: 5\r\n\r\nright",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nright\r\n0\r\n\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nright\r\n0\r\n\r\n",
    ] {
        let smuggled = format!("HTTP/1.1 200 OK\r\n{more}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        let (scene, scripted) = scene(vec![after_head(smuggled)]).await;
        for _ in 0..3 {
            assert_eq!(text(scene.get("/users").send().await.unwrap()).await, (200, "right".into()));
        }
        assert_eq!(scripted.seen().len(), 3, "such a connection is not used again");
    }
}

#[tokio::test]
async fn a_connection_that_the_service_has_closed_costs_no_request() {
    let (scene, scripted) = scene(vec![after_head("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").and_closes()]).await;
    for number in 1..=5 {
        let sent = scene.ask(Method::POST, &scene.destination, "/contacts").body(vec![b'x'; 8]).send().await.unwrap();
        assert_eq!(text(sent).await, (200, "ok".into()));
        assert_eq!(scripted.seen().len(), number);
    }
}

#[tokio::test]
async fn an_answer_that_ends_an_upload_arrives() {
    let refused = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge";
    let (scene, _scripted) = scene(vec![after_head(refused).and_closes()]).await;
    let pieces = stream::unfold((), |()| async { Some((Ok::<_, std::io::Error>(vec![0_u8; 1 << 16]), ())) });
    let sending = scene.ask(Method::POST, &scene.destination, "/contacts").body(reqwest::Body::wrap_stream(pieces)).send();
    let answer = tokio::time::timeout(PATIENCE, sending).await.unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["x-keytile-upstream"].to_str().unwrap()), (413, "1"));
}

#[tokio::test]
async fn what_a_service_says_before_its_answer_is_passed_on() {
    let hints =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nSet-Cookie: a=b\r\nX-Keytile-Upstream: 7\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let early = Answer { until: "firs\r\n", ..after_head(hints) };
    let last = Answer { until: "0\r\n\r\n", ..after_head(format!("{hints}{ok}")) };
    let head = |scene: &Scene, version: &str, more: &str| {
        format!(
            "POST /proxy/{}/contacts HTTP/{version}\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{more}\r\n",
            scene.destination, scene.server.listening, scene.key
        )
    };
    let (scene, _scripted) = scene(vec![early, last, after_head(format!("{hints}{ok}"))]).await;
    // It comes while the rest of the body is still to be sent.
    let chunked = head(&scene, "1.1", "Transfer-Encoding: chunked\r\n");
    let mut client = Raw::with(scene.server.listening, &format!("{chunked}4\r\nfirs\r\n")).await;
    let told = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    assert_eq!(client.until("\r\n\r\n").await, told);
    client.write("1\r\nt\r\n0\r\n\r\n").await;
    let rest = client.until("ok").await;
    assert!(rest.starts_with(&format!("{told}HTTP/1.1 200 OK\r\n")), "{rest}");
    // With the answer in one piece, and to who asks for the leave to send as well.
    let waits = head(&scene, "1.1", "Expect: 100-continue\r\nContent-Length: 1\r\n");
    let mut client = Raw::with(scene.server.listening, &waits).await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("x").await;
    let answer = client.until("ok").await;
    assert!(answer.starts_with(&format!("{told}HTTP/1.1 200 OK\r\n")), "{answer}");
    // HTTP/1.0 has no informational responses (RFC 9110 section 15.2).
    let answer = Raw::with(scene.server.listening, &head(&scene, "1.0", "Content-Length: 0\r\n")).await.until("ok").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_service_that_only_ever_hints_is_given_up() {
    let (scene, _scripted) = scene(vec![after_head("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100))]).await;
    assert_eq!(problem(scene.get("/users").send().await.unwrap()).await, (502, "upstream_broken".into()));
}
