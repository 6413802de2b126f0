//! Stands between the command line and a Keytile, to lose answers and to keep requests waiting.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use crate::support::server::Server;

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is answered.
    Pass,
    /// It is carried out, but its answer is lost.
    LoseAnswer,
    /// It is kept, and never answered.
    Keep,
}

/// Listens until the test ends; every connection carries one request.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    /// Every request that has come, whole.
    pub(super) requests: Receiver<String>,
}

impl Relay {
    /// `fate` decides by the request and its number.
    pub(super) fn start(server: &Server, fate: impl Fn(&str, usize) -> Fate + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], server.address.port().unwrap()));
        let (seen, requests) = channel();
        thread::spawn(move || {
            let mut kept = Vec::new();
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let Some(request) = request(&mut stream) else { continue };
                let fate = fate(&request, number);
                if told(&seen, &request).is_none() {
                    return;
                }
                match fate {
                    Fate::Keep => kept.push(stream),
                    Fate::Pass | Fate::LoseAnswer => {
                        let answer = forwarded(to, &request.replacen(&address.to_string(), &to.to_string(), 1));
                        if fate == Fate::Pass {
                            let _ = stream.write_all(&answer);
                        }
                    }
                }
            }
        });
        Self { address, requests }
    }
}

fn told(seen: &Sender<String>, request: &str) -> Option<()> {
    seen.send(request.to_owned()).ok()
}

/// Head and body of a request, on a connection that is to be closed after it.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").and_then(|length| length.parse().ok()));
        if body.len() >= length.unwrap_or(0_usize) {
            return Some(format!("{head}\r\nconnection: close\r\n\r\n{body}"));
        }
    }
}

fn forwarded(to: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}
