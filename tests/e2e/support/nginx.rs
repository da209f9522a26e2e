//! A real nginx on loopback, in a folder of its own.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{left_out, write};

/// Longer than nginx ever takes to start, or to write down what it just answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// nginx, started. Dropping it ends it.
///
/// ```ignore
/// let authority = Authority::new();
/// authority.issue(&["localhost"]).write(folder, "server");
/// let server = "ssl_certificate server.pem; ssl_certificate_key server.key; return 200 '$ssl_cipher';";
/// let Some(nginx) = Nginx::start(folder, &[("ssl http2", server)]) else { return };
/// let url = format!("https://localhost:{}/", nginx.port(0));
/// ```
pub struct Nginx {
    child: Child,
    folder: PathBuf,
    ports: Vec<u16>,
}

impl Nginx {
    /// Starts nginx with these servers: the flags of its `listen`, and what else is in its block, where paths are
    /// relative to `folder`. The first one is at `port(0)`, and so on. `None`, loudly, where nginx is missing.
    #[track_caller]
    pub fn start(folder: &Path, servers: &[(&str, &str)]) -> Option<Self> {
        let Some(binary) = binary() else {
            left_out(&format!("nginx is missing: {}", std::panic::Location::caller()));
            return None;
        };
        // A port that was free a moment ago may be taken by another test meanwhile.
        for _ in 0..5 {
            let ports = free_ports(servers.len());
            write(folder, "nginx.conf", configuration(servers, &ports));
            let mut child = Command::new(&binary)
                .args([Path::new("-p"), folder, Path::new("-c"), &folder.join("nginx.conf")])
                .args(["-e", "error.log"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("nginx should start");
            if listens(&mut child, &ports) {
                return Some(Self { child, folder: folder.to_owned(), ports });
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("nginx does not start: {}", std::fs::read_to_string(folder.join("error.log")).unwrap_or_default());
    }

    /// The port of one of the servers, counted from 0.
    pub fn port(&self, server: usize) -> u16 {
        self.ports[server]
    }

    /// The requests it saw, once it saw so many: `connection` (a number), `requests` (the how many-th of its
    /// connection), `protocol`, `method`, `uri`, `status`, `host`, and `tls`, `cipher`, `server_name`, `reused` (`r` or
    /// `.`) and `client` (the subject of the client's certificate).
    #[track_caller]
    pub fn seen(&self, at_least: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.folder.join("access.log")).unwrap_or_default();
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            if lines.len() >= at_least {
                return lines;
            }
            assert!(started.elapsed() < PATIENCE, "nginx saw {} requests, not {at_least}: {log}", lines.len());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It is one process, without workers that would outlive it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> Option<PathBuf> {
    let mut candidates = vec![PathBuf::from("nginx")];
    // Where it is, though not always on a user's path.
    candidates.extend(["/usr/sbin/nginx", "/usr/local/sbin/nginx"].map(PathBuf::from));
    candidates.into_iter().find(|path| {
        let version = Command::new(path).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    })
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn configuration(servers: &[(&str, &str)], ports: &[u16]) -> String {
    let block = |((flags, body), port): (&(&str, &str), &u16)| {
        format!("  server {{ listen 127.0.0.1:{port} {flags}; server_name localhost; {body} }}\n")
    };
    let servers: String = servers.iter().zip(ports).map(block).collect();
    // One process, so that ending it by its id ends it all.
    format!(
        r#"daemon off; master_process off; pid nginx.pid; error_log error.log info;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  client_max_body_size 0; keepalive_requests 1000000;
  default_type text/plain; ssl_protocols TLSv1.2 TLSv1.3;
  log_format seen escape=json '{{"connection":$connection,"requests":$connection_requests,"protocol":"$server_protocol",'
    '"method":"$request_method","uri":"$request_uri","status":$status,"host":"$http_host","tls":"$ssl_protocol",'
    '"cipher":"$ssl_cipher","server_name":"$ssl_server_name","reused":"$ssl_session_reused","client":"$ssl_client_s_dn"}}';
  access_log access.log seen;
{servers}}}
"#
    )
}

/// Waits until somebody listens on all ports; `false` if nginx ends first.
fn listens(child: &mut Child, ports: &[u16]) -> bool {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if child.try_wait().expect("a child can be asked").is_some() {
            return false;
        }
        if ports.iter().all(|&port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::support::Authority;

    #[test]
    fn nginx_answers_and_tells_what_it_saw() {
        let folder = tempfile::tempdir().unwrap();
        Authority::new().issue(&["localhost"]).write(folder.path(), "server");
        let tls = "ssl_certificate server.pem; ssl_certificate_key server.key; return 204;";
        let Some(nginx) = Nginx::start(folder.path(), &[("", "return 200 'plain';"), ("ssl http2", tls)]) else {
            return;
        };
        assert_ne!(nginx.port(0), nginx.port(1));
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, nginx.port(0))).unwrap();
        stream.write_all(b"GET /a HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("plain"), "{answer}");
        let seen = nginx.seen(1);
        assert_eq!((&seen[0]["uri"], &seen[0]["host"], &seen[0]["tls"]), (&"/a".into(), &"t".into(), &"".into()));
    }
}
