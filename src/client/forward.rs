//! A request through the server's proxy, as a pipeline sends it. Both bodies are streamed.

use std::{io, os::fd::AsFd, path::PathBuf};

use futures_util::{Stream, stream};
use reqwest::{
    Body, Method, Response,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt},
};
use uuid::Uuid;

use super::{Client, ClientError, Problem, fault, keytile::JSON};

/// How much of a file is read at a time, in bytes.
const PIECE: usize = 64 * 1024;
/// The most bytes of a problem that are read.
const PROBLEM_MAX: usize = 256 * 1024;
/// Set on responses that come from the service, and not from Keytile itself.
const MARK: &str = "x-keytile-upstream";

/// A request to a service.
pub struct ForwardRequest {
    /// The source or destination.
    pub resource: Uuid,
    /// Below the base URL of the API, with query.
    pub path: String,
    /// As it was typed.
    pub method: String,
    /// `Name: value`, in addition to the API key.
    pub headers: Vec<String>,
    pub body: ForwardBody,
}

pub enum ForwardBody {
    None,
    Text(String),
    File(PathBuf),
    StandardInput,
}

/// The response of the service. Its body hasn't been read yet.
pub struct ForwardAnswer(Response);

impl Client {
    /// Sends a request through the proxy.
    ///
    /// # Errors
    ///
    /// Keytile responded itself, because it rejected the request or got no response; otherwise see
    /// [`ClientError`].
    pub async fn forward(&self, request: ForwardRequest) -> Result<ForwardAnswer, ClientError> {
        let root = format!("/proxy/{}/", request.resource);
        let url = self.server().below(&format!("{root}{}", request.path.trim_start_matches('/')));
        // The URL parser has resolved dot segments: enough of them would lead to Keytile's own API.
        if !url.path().starts_with(&root) {
            return Err(ClientError::Body("the path leads outside the source or destination; remove `..`".into()));
        }
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|_| ClientError::Body(format!("{:?} is not a valid method", request.method)))?;
        let mut headers = headers(&request.headers)?;
        if !matches!(request.body, ForwardBody::None) && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, JSON);
        }
        let mut outgoing = self.request(method, url).headers(headers);
        outgoing = match request.body {
            ForwardBody::None => outgoing,
            ForwardBody::Text(text) => outgoing.body(text),
            ForwardBody::StandardInput => {
                let input = io::stdin().as_fd().try_clone_to_owned();
                let input = input.map_err(|error| ClientError::Body(format!("cannot read standard input: {error}")))?;
                outgoing.body(Body::wrap_stream(pieces(File::from_std(input.into()))))
            }
            ForwardBody::File(path) => {
                let unreadable = |error| ClientError::Body(format!("cannot read {}: {error}", path.display()));
                let file = File::open(&path).await.map_err(unreadable)?;
                let metadata = file.metadata().await.map_err(unreadable)?;
                if metadata.is_dir() {
                    return Err(ClientError::Body(format!("{} is a folder", path.display())));
                }
                if metadata.is_file() {
                    outgoing = outgoing.header(CONTENT_LENGTH, metadata.len());
                }
                outgoing.body(Body::wrap_stream(pieces(file)))
            }
        };
        let response = self.send(outgoing).await?;
        if response.headers().contains_key(MARK) {
            return Ok(ForwardAnswer(response));
        }
        let mut answer = ForwardAnswer(response);
        let mut text = Vec::new();
        while text.len() < PROBLEM_MAX {
            let Some(piece) = answer.piece().await? else { break };
            text.extend_from_slice(piece.as_ref());
        }
        if let Some(problem) = Problem::read(answer.0.headers(), &text) {
            return Err(ClientError::Problem(Box::new(problem)));
        }
        let status = answer.status();
        Err(if status >= 500 {
            ClientError::Unwell(status)
        } else {
            ClientError::NotUnderstood(format!("with status {status}, but not the way Keytile does"))
        })
    }
}

impl ForwardAnswer {
    pub fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// The status line and headers, as they were received.
    pub fn head(&self) -> Vec<u8> {
        let status = self.0.status();
        let mut head = format!("{:?} {} {}\r\n", self.0.version(), status.as_str(), status.canonical_reason().unwrap_or_default())
            .into_bytes();
        for (name, value) in self.0.headers() {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// The body is incomplete.
    pub async fn piece(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, ClientError> {
        self.0.chunk().await.map_err(|error| fault::of(&error))
    }
}

/// Parses `Name: value` lines. Errors never repeat a value.
fn headers(lines: &[String]) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let malformed = || ClientError::Body("expected a header as `Name: value`, with visible characters".into());
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| malformed())?;
        if name == AUTHORIZATION {
            let sentence =
                "you can't set the Authorization header: Keytile needs it for the API key, and sends the service its own token";
            return Err(ClientError::Body(sentence.into()));
        }
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| malformed())?);
    }
    Ok(headers)
}

/// Reads to the end, in pieces.
fn pieces(reader: impl AsyncRead + Unpin + Send + 'static) -> impl Stream<Item = io::Result<Vec<u8>>> + Send {
    stream::try_unfold(reader, |mut reader| async move {
        let mut piece = Vec::with_capacity(PIECE);
        let read = reader.read_buf(&mut piece).await?;
        Ok((read > 0).then_some((piece, reader)))
    })
}
