//! A client that writes bytes as they are, for requests that no HTTP client would send.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Far longer than anything here takes; a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(timeout(PATIENCE, TcpStream::connect(address)).await.expect("a connection").unwrap())
    }

    /// A connection with a first part of what is to be sent.
    pub(crate) async fn with(address: SocketAddr, text: &str) -> Self {
        let mut raw = Self::connect(address).await;
        raw.write(text).await;
        raw
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.try_write(text).await.unwrap();
    }

    pub(crate) async fn try_write(&mut self, text: &str) -> std::io::Result<()> {
        timeout(PATIENCE, self.0.write_all(text.as_bytes())).await.expect("the server reads")
    }

    /// Reads until `end` has come.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(end) {
            let mut piece = [0; 4_096];
            let length = timeout(PATIENCE, self.0.read(&mut piece)).await.unwrap_or_else(|_| panic!("no {end:?} in {read:?}"));
            let length = length.unwrap();
            assert!(length > 0, "closed before {end:?}: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads until the server closes the connection, which it has to do.
    pub(crate) async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        // A reset is an end too.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut read)).await.expect("the server closes the connection");
        String::from_utf8_lossy(&read).into_owned()
    }
}
