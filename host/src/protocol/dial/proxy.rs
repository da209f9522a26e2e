//! Connections through a proxy.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_socks::tcp::Socks5Stream;

use crate::plan::Destination;
use crate::plan::http::{self as plan, ProxyKind};
use crate::protocol::Error;

/// The most bytes that a proxy may answer `CONNECT` with.
const LARGEST_HEAD: usize = 16 << 10;

/// A proxy, and who is reached without it.
#[derive(Debug)]
pub(super) struct Proxy {
    kind: ProxyKind,
    host: String,
    port: u16,
    credentials: Option<(String, String)>,
    via: Arc<Via>,
    bypass: Vec<Bypass>,
}

/// What a request must know that goes to a proxy instead of its target.
#[derive(Debug)]
pub(in super::super) struct Via {
    /// The value of `proxy-authorization`, if the proxy wants one.
    pub(in super::super) authorization: Option<String>,
}

/// Whom a proxy is not used for.
#[derive(Debug)]
enum Bypass {
    Host(String),
    /// A domain and all below it, with its leading dot.
    Domain(String),
    Network(IpNet),
}

impl Proxy {
    pub(super) fn new(proxy: &plan::Proxy) -> Self {
        let credentials = proxy.credentials.as_ref().map(|(user, secret)| (user.clone(), secret.0.clone()));
        let authorization = credentials
            .as_ref()
            .map(|(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        Self {
            kind: proxy.kind,
            host: unbracketed(&proxy.host).to_ascii_lowercase(),
            port: proxy.port,
            credentials,
            via: Arc::new(Via { authorization }),
            bypass: proxy.bypass.iter().map(|text| Bypass::new(text)).collect(),
        }
    }

    pub(super) fn kind(&self) -> ProxyKind {
        self.kind
    }

    /// Where it is.
    pub(super) fn destination(&self) -> Destination<'_> {
        Destination { scheme: self.kind.scheme(), host: &self.host, port: self.port }
    }

    pub(super) fn via(&self) -> Arc<Via> {
        Arc::clone(&self.via)
    }

    /// Whether a host is reached without the proxy.
    pub(super) fn is_bypassed(&self, host: &str) -> bool {
        self.bypass.iter().any(|bypass| bypass.covers(host))
    }

    /// Why the proxy itself could not be reached.
    pub(super) fn out_of_reach(&self, error: Error) -> Error {
        match error {
            Error::DialTimeout => Error::DialTimeout,
            // Who asked for it is who may not go there.
            Error::NotAllowed(refusal) => Error::NotAllowed(refusal),
            other => self.error(&other),
        }
    }

    /// Has an HTTP proxy open a connection to the target (RFC 9110, 9.3.6).
    pub(super) async fn tunnel(&self, stream: &mut TcpStream, to: &Destination<'_>, agent: &str) -> Result<(), Error> {
        let authority = authority(to);
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n");
        if !agent.is_empty() {
            request.extend(["user-agent: ", agent, "\r\n"]);
        }
        if let Some(authorization) = &self.via.authorization {
            request.extend(["proxy-authorization: ", authorization, "\r\n"]);
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|error| self.error(&error))?;
        let mut left = LARGEST_HEAD;
        loop {
            let head = self.head(stream, left).await?;
            left -= head.len();
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response.parse(&head);
            match (parsed, response.code) {
                (Ok(httparse::Status::Complete(_)), Some(200..=299)) => return Ok(()),
                (Ok(httparse::Status::Complete(_)), Some(100..=199)) => {}
                (Ok(httparse::Status::Complete(_)), Some(status)) => {
                    let reason = response.reason.unwrap_or_default();
                    return Err(self.error(&format!("answered CONNECT with {status} {reason}").trim_end()));
                }
                (Err(error), _) => return Err(self.error(&format!("answered CONNECT with what is no HTTP: {error}"))),
                (Ok(_), _) => return Err(self.error(&"answered CONNECT with what is no HTTP")),
            }
        }
    }

    /// Reads a head and not one byte more: what follows is the target's.
    async fn head(&self, stream: &mut TcpStream, most: usize) -> Result<Vec<u8>, Error> {
        let mut head = Vec::new();
        let mut seen = [0; 1024];
        loop {
            let length = stream.peek(&mut seen).await.map_err(|error| self.error(&error))?;
            if length == 0 {
                return Err(self.error(&"closed the connection instead of answering CONNECT"));
            }
            let before = head.len();
            head.extend_from_slice(&seen[..length]);
            // The end may have begun in what was read before.
            let from = before.saturating_sub(3);
            let end = head[from..].windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| from + at + 4);
            head.truncate(end.unwrap_or(head.len()));
            let taken = head.len() - before;
            stream.read_exact(&mut seen[..taken]).await.map_err(|error| self.error(&error))?;
            if head.len() > most {
                return Err(self.error(&format!("answered CONNECT with more than {LARGEST_HEAD} bytes of headers")));
            }
            if end.is_some() {
                return Ok(head);
            }
        }
    }

    /// Has a SOCKS5 proxy open a connection to the target, whose name the proxy resolves (RFC 1928, RFC 1929).
    pub(super) async fn socks(&self, stream: TcpStream, to: &Destination<'_>) -> Result<TcpStream, Error> {
        let to = (to.host, to.port);
        let opened = match &self.credentials {
            None => Socks5Stream::connect_with_socket(stream, to).await,
            Some((user, password)) => Socks5Stream::connect_with_password_and_socket(stream, to, user, password).await,
        };
        opened.map(Socks5Stream::into_inner).map_err(|error| match error {
            tokio_socks::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.error(&"closed the connection")
            }
            // Its words begin in upper case.
            other => self.error(&other.to_string().to_lowercase()),
        })
    }

    fn error(&self, reason: &dyn std::fmt::Display) -> Error {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        Error::Proxy(format!("`{host}:{}`: {reason}", self.port))
    }
}

impl Bypass {
    fn new(text: &str) -> Self {
        let text = unbracketed(text.trim()).to_ascii_lowercase();
        if let Ok(network) = text.parse::<IpNet>() {
            return Self::Network(network);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Self::Network(address.into());
        }
        match text.strip_prefix('*').unwrap_or(&text) {
            domain if domain.starts_with('.') => Self::Domain(domain.to_owned()),
            host => Self::Host(host.to_owned()),
        }
    }

    fn covers(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::Domain(domain) => host.ends_with(domain.as_str()) || host == &domain[1..],
            Self::Network(network) => host.parse::<IpAddr>().is_ok_and(|address| network.contains(&address)),
        }
    }
}

/// Host and port, always both.
fn authority(to: &Destination<'_>) -> String {
    match to.host {
        host if host.contains(':') => format!("[{host}]:{}", to.port),
        host => format!("{host}:{}", to.port),
    }
}

fn unbracketed(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test is no journey")]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::plan::Scheme;

    fn proxy(port: u16, bypass: &[&str]) -> Proxy {
        Proxy::new(&plan::Proxy {
            kind: ProxyKind::Http,
            host: "127.0.0.1".to_owned(),
            port,
            credentials: Some(("me".to_owned(), plan::Secret("secret".to_owned()))),
            bypass: bypass.iter().map(|text| (*text).to_owned()).collect(),
        })
    }

    /// Has a proxy answer `CONNECT` with these pieces; returns what came of it and what follows the answer.
    async fn tunnelled(pieces: &'static [&'static [u8]]) -> (Result<(), Error>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            for piece in pieces {
                stream.write_all(piece).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            String::from_utf8(request[..length].to_vec()).unwrap()
        };
        let connect = async {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let to = Destination { scheme: Scheme::Https, host: "a.test", port: 443 };
            let result = proxy(port, &[]).tunnel(&mut stream, &to, "squall").await;
            let mut rest = Vec::new();
            // The proxy may have closed the connection with bytes unread.
            let _ = stream.read_to_end(&mut rest).await;
            (result, rest)
        };
        let (request, answer) = futures_util::future::join(serve, connect).await;
        assert_eq!(
            request,
            "CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\nuser-agent: squall\r\n\
             proxy-authorization: Basic bWU6c2VjcmV0\r\n\r\n"
        );
        answer
    }

    fn reason(result: Result<(), Error>) -> String {
        let Err(Error::Proxy(text)) = result else { panic!("{result:?}") };
        text.split_once("`: ").unwrap().1.to_owned()
    }

    #[tokio::test]
    async fn what_follows_the_answer_is_left_to_the_target() {
        let (result, rest) = tunnelled(&[b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 O", b"K\r\n\r", b"\nhello"]).await;
        assert_eq!((result, rest.as_slice()), (Ok(()), b"hello".as_slice()));
    }

    #[tokio::test]
    async fn a_proxy_that_does_not_connect_says_why() {
        let (result, _) = tunnelled(&[b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"]).await;
        assert_eq!(reason(result), "answered CONNECT with 407 Proxy Authentication Required");
        let (result, _) = tunnelled(&[b"HTTP/1.1 50"]).await;
        assert_eq!(reason(result), "closed the connection instead of answering CONNECT");
        let (result, _) = tunnelled(&[b"\x05\x00\r\n\r\n"]).await;
        assert!(reason(result).starts_with("answered CONNECT with what is no HTTP"));
    }

    #[tokio::test]
    async fn an_endless_head_ends() {
        const HEADERS: &[u8] = &[b'a'; 8 << 10];
        let (result, _) = tunnelled(&[b"HTTP/1.1 200 OK\r\na: ", HEADERS, HEADERS, HEADERS]).await;
        assert_eq!(reason(result), "answered CONNECT with more than 16384 bytes of headers");
    }

    #[test]
    fn hosts_domains_and_networks_are_bypassed() {
        let proxy = proxy(1, &["a.test", ".B.test", "*.c.test", "10.0.0.0/8", "[::1]", "192.0.2.1"]);
        for host in ["a.test", "b.test", "x.b.test", "x.c.test", "10.1.2.3", "::1", "192.0.2.1"] {
            assert!(proxy.is_bypassed(host), "{host}");
        }
        for host in ["x.a.test", "xb.test", "11.0.0.1", "::2", "192.0.2.2", "d.test"] {
            assert!(!proxy.is_bypassed(host), "{host}");
        }
    }
}
