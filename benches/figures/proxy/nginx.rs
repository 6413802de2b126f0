//! nginx, as the service behind all sides and as the reverse proxy to compare with.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{super::Outcome, services::RIGHT};

/// The settings that both share: one process, which writes only in its folder and keeps connections open.
const COMMON: &str = "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events { worker_connections 16384; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_timeout 600s; keepalive_requests 1000000000;
  client_max_body_size 0; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
";

/// A running nginx, which is killed when this is dropped.
pub(super) struct Nginx(Child);

impl Nginx {
    /// Starts it with the content of its `http` block, and waits until it listens.
    fn start(folder: &Path, http: &str, listening: SocketAddr) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("nginx.conf"), format!("{COMMON}{http}\n}}\n"))?;
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder).stdin(Stdio::null());
        let mut nginx = Self(command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => "nginx is missing; scripts/bench installs it".to_owned(),
            _ => format!("cannot start nginx: {error}"),
        })?);
        let begun = Instant::now();
        while TcpStream::connect(listening).is_err() {
            if nginx.0.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(10) {
                return Err("nginx does not run".into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(nginx)
    }

    /// The id of its only process.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free now.
pub(super) fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The service: `/small` is 1 KiB, `/large` 10 MiB, `/huge` the size of the largest transfer; 401 without the right
/// authorization. The files are next to it, with certificate and key of its TLS.
pub(super) struct Service {
    _nginx: Nginx,
    pub(super) clear: SocketAddr,
    pub(super) tls: SocketAddr,
}

impl Service {
    pub(super) fn start(folder: &Path) -> Outcome<Self> {
        let (clear, tls) = (free_address()?, free_address()?);
        let small = "k".repeat(1024);
        let http = format!(
            "map $http_authorization $right {{ default 0; \"{RIGHT}\" 1; }}
             server {{
               listen {clear} backlog=4096; listen {tls} ssl backlog=4096;
               ssl_certificate service.pem; ssl_certificate_key service.key;
               root {root}; default_type application/octet-stream; open_file_cache max=10;
               if ($right = 0) {{ return 401; }}
               location = /small {{ return 200 \"{small}\"; }}
             }}",
            root = folder.join("files").display()
        );
        Ok(Self { _nginx: Nginx::start(folder, &http, clear)?, clear, tls })
    }
}

/// The reverse proxy, which only adds the header: to the service without and with TLS, to the service with buffers
/// for large bodies, and to the service that receives bodies.
pub(super) struct Peer {
    pub(super) nginx: Nginx,
    pub(super) clear: SocketAddr,
    pub(super) tls: SocketAddr,
    pub(super) large: SocketAddr,
    pub(super) upload: SocketAddr,
}

impl Peer {
    /// `authority` is the file of the certificate authority, and `tls_name` the name that the service's certificate
    /// must have.
    pub(super) fn start(folder: &Path, service: &Service, upload: SocketAddr, authority: &Path, tls_name: &str) -> Outcome<Self> {
        let upstream = |name: &str, address: SocketAddr| {
            format!(
                "upstream {name} {{ server {address}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 600s; }}\n"
            )
        };
        let server = |listen: SocketAddr, to: &str, more: &str| {
            format!(
                "server {{ listen {listen} backlog=4096; location / {{
                   proxy_pass {to}; proxy_http_version 1.1; proxy_set_header Connection \"\";
                   proxy_set_header Host {tls_name}; proxy_set_header Authorization \"{RIGHT}\"; {more} }} }}\n"
            )
        };
        let tls_more = format!(
            "proxy_ssl_server_name on; proxy_ssl_name {tls_name}; proxy_ssl_session_reuse on; proxy_ssl_verify on;
             proxy_ssl_trusted_certificate {};",
            authority.display()
        );
        // 1 MiB of buffers for each response, and no temporary file for what a client hasn't received yet.
        let large_more = "proxy_buffer_size 64k; proxy_buffers 16 64k; proxy_busy_buffers_size 512k; proxy_max_temp_file_size 0;";
        let [clear, tls, large, upload_proxy] = [free_address()?, free_address()?, free_address()?, free_address()?];
        let http = [
            upstream("clear", service.clear),
            upstream("tls", service.tls),
            upstream("upload", upload),
            server(clear, "http://clear", ""),
            server(tls, "https://tls", &tls_more),
            server(large, "http://clear", large_more),
            server(upload_proxy, "http://upload", ""),
        ];
        Ok(Self { nginx: Nginx::start(folder, &http.concat(), clear)?, clear, tls, large, upload: upload_proxy })
    }
}
