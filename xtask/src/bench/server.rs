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

impl Server {
    /// nginx answering 100 bytes at `/`; the practice server where there is no nginx.
    pub fn plain(squall: &Path, folder: &Path) -> Result<Self> {
        if let Some(nginx) = find("nginx") {
            return Self::nginx(&nginx, folder);
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

    fn nginx(nginx: &Path, folder: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, nginx_configuration(folder, port))
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
        Ok(Self { url: format!("http://127.0.0.1:{port}/"), name: "nginx", process })
    }

    /// The id of the server's process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

fn nginx_configuration(folder: &Path, port: u16) -> String {
    let files = file_limit();
    let connections = files.min(65_000).saturating_sub(64);
    let folder = folder.display();
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
    listen 127.0.0.1:{port} backlog=4096;
    default_type text/plain;
    location / {{ return 200 \"{body}\\n\"; }}
  }}
}}
"
    )
}

/// What nginx says its version is.
pub fn nginx_version(nginx: &Path) -> String {
    let output = Command::new(nginx).arg("-v").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned());
    text.unwrap_or_default().replace("nginx version: ", "")
}
