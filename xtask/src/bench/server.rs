//! What the bench sends its requests to.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::measure::{file_limit, unlimited};
use crate::child::Beside;
use crate::workspace::find;

/// A running server, ended when this value goes.
pub struct Server {
    pub url: String,
    /// What serves: `nginx` or `squall target`.
    pub name: &'static str,
    process: Beside,
}

/// What nginx speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 over TLS 1.3.
    Tls,
    /// HTTP/2 with prior knowledge.
    Http2,
}

impl Server {
    /// nginx answering 100 bytes at `/`; the practice server where there is no nginx.
    pub fn plain(squall: &Path, folder: &Path) -> Result<Self> {
        if let Some(nginx) = find("nginx") {
            return Self::nginx(&nginx, folder, Listen::Plain);
        }
        println!("nginx is not installed: the practice server stands in, and costs more per request");
        let mut server = Self::practice(squall)?;
        server.url += "/bytes/100";
        Ok(server)
    }

    /// `squall target`.
    pub fn practice(squall: &Path) -> Result<Self> {
        let mut command = unlimited(squall);
        command.args(["target", "--listen", "127.0.0.1:0"]);
        let (process, url) = Beside::server(&mut command)?;
        Ok(Self { url, name: "squall target", process })
    }

    /// `squall target` over TLS and over HTTP/3, at the same port.
    pub fn secure(squall: &Path) -> Result<Self> {
        let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = unlimited(squall);
        command.args(["target", "--listen", "127.0.0.1:0", "--tls", &at, "--http3", &at]);
        let (process, _) = Beside::server(&mut command)?;
        Ok(Self { url: format!("https://{at}"), name: "squall target", process })
    }

    /// nginx as `plain`, and 10 KB at `/10k`, over what `listen` says; there is no stand-in.
    pub fn speaking(listen: Listen, folder: &Path) -> Result<Self> {
        let nginx =
            find("nginx").context("nginx is not installed\n  hint: `cargo xtask bench --install-peers` installs it")?;
        Self::nginx(&nginx, folder, listen)
    }

    fn nginx(nginx: &Path, folder: &Path, listen: Listen) -> Result<Self> {
        fs::write(folder.join("10k"), "x".repeat(10_240))?;
        if listen == Listen::Tls {
            certificate(folder)?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, nginx_configuration(folder, port, listen))
            .with_context(|| format!("cannot write `{}`", configuration.display()))?;
        let mut command = unlimited(nginx);
        let error_log = folder.join("nginx-error.log");
        command.arg("-p").arg(folder).arg("-e").arg(&error_log).arg("-c").arg(&configuration);
        let mut process = Beside::start(&mut command)?;
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if process.ended()? || start.elapsed() > Duration::from_secs(10) {
                let log = fs::read_to_string(&error_log).unwrap_or_default();
                bail!("nginx does not serve: {}", log.lines().last().unwrap_or("it said nothing"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        let scheme = if listen == Listen::Tls { "https" } else { "http" };
        Ok(Self { url: format!("{scheme}://127.0.0.1:{port}/"), name: "nginx", process })
    }

    /// The id of the server's process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

fn nginx_configuration(folder: &Path, port: u16, listen: Listen) -> String {
    let files = file_limit();
    let connections = files.min(65_000).saturating_sub(64);
    let folder = folder.display();
    let speaks = match listen {
        Listen::Plain => "",
        Listen::Tls => "ssl",
        Listen::Http2 => "http2",
    };
    let tls = match listen {
        Listen::Tls => format!(
            "ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.3;"
        ),
        Listen::Plain | Listen::Http2 => String::new(),
    };
    let body = "x".repeat(99);
    // One process: it ends when it is killed, and leaves no worker behind. No log, because it would be the cost.
    format!(
        "daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  server {{
    listen 127.0.0.1:{port} {speaks} backlog=4096;
    {tls}
    http2_max_concurrent_streams 256;
    default_type text/plain;
    open_file_cache max=10;
    location = /10k {{ root {folder}; }}
    location / {{ return 200 \"{body}\\n\"; }}
  }}
}}
"
    )
}

/// A certificate for 127.0.0.1, signed by itself.
fn certificate(folder: &Path) -> Result<()> {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]);
    command.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("certificate.pem"));
    let made = command.output().context("`openssl` did not start\n  hint: install the package `openssl`")?;
    if !made.status.success() {
        bail!("`openssl req` failed: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    Ok(())
}

/// What nginx says its version is.
pub fn nginx_version(nginx: &Path) -> String {
    let output = Command::new(nginx).arg("-v").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned());
    text.unwrap_or_default().replace("nginx version: ", "")
}
