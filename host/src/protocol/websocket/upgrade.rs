//! From a URL to an open socket: a connection, and the upgrade on it (RFC 6455, 4).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Problem;
use crate::plan::{Destination, Http, Scheme};
use crate::protocol::connector::Opened;
use crate::protocol::http::{Header, Request, Response, Target};
use crate::protocol::places::Place;
use crate::protocol::stream::Stream;
use crate::protocol::tls::Alpn;
use crate::protocol::{Connector, Error, Opening};

/// The most bytes of the answer's head, with all interim answers before it, and its most headers.
const MAX_HEAD: usize = 256 << 10;
const MAX_HEADERS: usize = 256;
/// How much is read at once, in bytes.
const AT_ONCE: usize = 4 << 10;
/// Headers that are squall's to write.
const RESERVED: [&str; 4] =
    ["sec-websocket-key", "sec-websocket-version", "sec-websocket-accept", "sec-websocket-extensions"];
/// What the head of a request ends with where connections are not kept.
const NOT_KEPT: &[u8] = b"connection: close\r\n";

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Upgrade<'a> {
    /// Where to, as if it were HTTP.
    pub target: &'a Arc<Target>,
    /// Headers as given by the user.
    pub headers: &'a [Header<'a>],
    /// Subprotocols to choose from.
    pub subprotocols: &'a [String],
}

/// A socket that is open.
#[derive(Debug)]
pub struct Upgraded {
    pub(super) stream: Stream,
    pub(super) place: Place,
    pub(super) target: Arc<Target>,
    /// The answer's head.
    pub answer: Response,
    /// What the server chose; empty if nothing.
    pub subprotocol: String,
    /// What came together with the answer.
    pub(super) early: Vec<u8>,
    /// From asking for it to having it.
    pub connecting: Duration,
}

/// What is known of an upgrade, also of one that fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attempt {
    /// How long the phases of opening the connection took.
    pub opening: Opening,
    /// Bytes written and read.
    pub sent: u64,
    /// Bytes read.
    pub received: u64,
    /// The TLS version as k6 tags it.
    pub tls_version: Option<&'static str>,
    /// The address of the other side.
    pub remote: Option<std::net::SocketAddr>,
}

/// Takes a `ws:` or `wss:` URL apart, as the `http:` or `https:` URL that it is upgraded from.
pub fn target(url: &str) -> Result<Target, Error> {
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    let http = match scheme {
        scheme if scheme.eq_ignore_ascii_case("ws") => "http:",
        scheme if scheme.eq_ignore_ascii_case("wss") => "https:",
        _ => {
            let shown: String = scheme.chars().take(20).flat_map(char::escape_debug).collect();
            return Err(Error::InvalidUrl(format!("scheme `{shown}` of a socket is not one of `ws`, `wss`")));
        }
    };
    Target::parse(&format!("{http}{rest}"))
}

/// Where a target of [`target`] is.
pub fn destination(target: &Target) -> Destination<'_> {
    let scheme = if target.is_tls() { Scheme::Wss } else { Scheme::Ws };
    Destination { scheme, host: target.host(), port: target.port() }
}

impl Upgrade<'_> {
    /// Opens a connection and upgrades it, within the time there is.
    pub async fn open(
        &self,
        connector: &Connector,
        settings: &Http,
        deadline: tokio::time::Instant,
        attempt: &mut Attempt,
    ) -> Result<Upgraded, Problem> {
        let opened = tokio::time::timeout_at(deadline, self.try_open(connector, settings, attempt)).await;
        opened.unwrap_or(Err(Error::Timeout.into()))
    }

    async fn try_open(
        &self,
        connector: &Connector,
        settings: &Http,
        attempt: &mut Attempt,
    ) -> Result<Upgraded, Problem> {
        let begun = Instant::now();
        let key = generate_key();
        let head = self.head(settings, &key)?;
        let security = self.target.is_tls().then_some(Alpn::Http1);
        let opened = connector.connect(&destination(self.target), security, &mut attempt.opening).await?;
        let Opened { mut stream, place, remote, tls, .. } = opened;
        (attempt.remote, attempt.tls_version) = (remote, tls.map(|agreed| agreed.version));
        let io = |error| Error::from_io(&error);
        stream.write_all(&head).await.map_err(io)?;
        stream.flush().await.map_err(io)?;
        attempt.sent = head.len() as u64;
        let (answer, early) = read_answer(&mut stream, attempt).await?;
        if answer.status != 101 {
            return Err(Problem::Rejected(Box::new(answer)));
        }
        let subprotocol = self.check(&answer, &key)?;
        let target = Arc::clone(self.target);
        Ok(Upgraded { stream, place, target, answer, subprotocol, early, connecting: begun.elapsed() })
    }

    /// The request's head.
    fn head(&self, settings: &Http, key: &str) -> Result<Vec<u8>, Error> {
        if let Some(header) = self.headers.iter().find(|given| is_one_of(given.name, &RESERVED)) {
            let message = format!("header `{}` is set by squall and cannot be given", header.name);
            return Err(Error::InvalidRequest(message));
        }
        let is_token = |text: &String| !text.is_empty() && text.bytes().all(is_token_byte);
        if let Some(wrong) = self.subprotocols.iter().find(|text| !is_token(text)) {
            let shown: String = wrong.chars().take(100).flat_map(char::escape_debug).collect();
            return Err(Error::InvalidRequest(format!("`{shown}` is not a subprotocol")));
        }
        let request =
            Request { method: "GET", target: self.target, headers: self.headers, body: None, keep_body: false };
        let mut head = request.head(settings)?;
        head.truncate(head.len() - b"\r\n".len());
        if head.ends_with(NOT_KEPT) {
            head.truncate(head.len() - NOT_KEPT.len());
        }
        head.extend_from_slice(b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n");
        head.extend_from_slice(format!("sec-websocket-key: {key}\r\n").as_bytes());
        if !self.subprotocols.is_empty() {
            let all = self.subprotocols.join(", ");
            head.extend_from_slice(format!("sec-websocket-protocol: {all}\r\n").as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        Ok(head)
    }

    /// Whether the answer agrees to what was asked; the subprotocol that it chose.
    fn check(&self, answer: &Response, key: &str) -> Result<String, Error> {
        let wrong = |message: String| Err(Error::Protocol(message));
        let has = |name: &str, token: &str| {
            answer
                .header_all(name)
                .iter()
                .flat_map(|all| all.split(','))
                .any(|one| one.trim().eq_ignore_ascii_case(token))
        };
        if !has("upgrade", "websocket") {
            return wrong("status 101 without `upgrade: websocket`".to_owned());
        }
        if !has("connection", "upgrade") {
            return wrong("status 101 without `connection: upgrade`".to_owned());
        }
        match answer.header_all("sec-websocket-accept").as_slice() {
            [accepted] if accepted.trim() == derive_accept_key(key.as_bytes()) => {}
            [] => return wrong("status 101 without `sec-websocket-accept`".to_owned()),
            _ => return wrong("`sec-websocket-accept` is not the answer to the key".to_owned()),
        }
        if let Some(extension) = answer.header("sec-websocket-extensions").filter(|text| !text.trim().is_empty()) {
            let shown: String = extension.chars().take(100).flat_map(char::escape_debug).collect();
            return wrong(format!("extension `{shown}` was not offered"));
        }
        let chosen = answer.header_all("sec-websocket-protocol");
        let [chosen] = chosen.as_slice() else {
            return if chosen.is_empty() {
                Ok(String::new())
            } else {
                wrong("several subprotocols at once".to_owned())
            };
        };
        let given = self.headers.iter().filter(|given| given.name.eq_ignore_ascii_case("sec-websocket-protocol"));
        let mut offered = given.flat_map(|given| given.value.split(',')).map(str::trim);
        let chosen = chosen.trim();
        if offered.any(|one| one == chosen) || self.subprotocols.iter().any(|one| one == chosen) {
            return Ok(chosen.to_owned());
        }
        let shown: String = chosen.chars().take(100).flat_map(char::escape_debug).collect();
        wrong(format!("subprotocol `{shown}` was not offered"))
    }
}

/// Reads the head of the answer; returns what came after it as well.
async fn read_answer(stream: &mut Stream, attempt: &mut Attempt) -> Result<(Response, Vec<u8>), Error> {
    let (mut bytes, mut skipped, mut tried) = (Vec::new(), 0, 0);
    loop {
        let before = bytes.len();
        bytes.reserve(AT_ONCE);
        let read = stream.read_buf(&mut bytes).await.map_err(|error| Error::from_io(&error))?;
        attempt.received += read as u64;
        if read == 0 {
            return Err(Error::Reset);
        }
        // A head that comes byte by byte is not parsed for each of them: where it may end, and when it has doubled.
        let may_end = bytes[before.saturating_sub(2)..].windows(2).any(|pair| pair == b"\n\n" || pair == b"\n\r");
        if may_end || bytes.len() >= 2 * tried {
            tried = bytes.len();
            while let Some((status, length)) = parse(&bytes)? {
                let rest = bytes.split_off(length);
                if status == 101 || status >= 200 {
                    return Ok((Response::of_head(status, bytes), rest));
                }
                // An interim answer is followed by the real one.
                skipped += length;
                (bytes, tried) = (rest, 0);
            }
        }
        if skipped + bytes.len() > MAX_HEAD {
            return Err(Error::Protocol(format!("the head is larger than {MAX_HEAD} bytes")));
        }
    }
}

/// Status and length of a head; `None` where it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(u16, usize)>, Error> {
    let mut headers = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => Ok(Some((response.code.unwrap_or(0), length))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(Error::Protocol(format!("the answer is not HTTP: {error}"))),
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Of a token of RFC 9110, 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    /// The answer of RFC 6455, 1.3.
    const ACCEPTED: &str = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    #[test]
    fn a_url_of_a_socket_is_one_of_http_with_another_scheme() {
        let one = target("WS://me:pw@a.test/chat?x#y").unwrap();
        assert_eq!((one.url(), one.is_tls(), one.credentials()), ("http://a.test/chat?x", false, Some(("me", "pw"))));
        let other = target("wss://[::1]:99").unwrap();
        let to = destination(&other);
        assert_eq!((to.scheme, to.host, to.port), (Scheme::Wss, "::1", 99));
        assert_eq!(target("wss://a.test").unwrap().port(), 443);
        for bad in ["http://a.test/", "ws:", "ws//a", "a.test", "", "ws://me:secret@", "wsx://a"] {
            let error = target(bad).unwrap_err();
            assert!(matches!(error, Error::InvalidUrl(_)) && !error.to_string().contains("secret"), "{bad}: {error}");
        }
    }

    #[test]
    fn only_an_answer_that_agrees_is_one() {
        let to = Arc::new(target("ws://a.test/").unwrap());
        let offered = ["chat".to_owned()];
        let own = [Header { name: "Sec-WebSocket-Protocol", value: "a, b" }];
        let upgrade = Upgrade { target: &to, headers: &own, subprotocols: &offered };
        let check = |lines: &str| {
            let head = format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n\r\n", lines.replace('\n', "\r\n"));
            upgrade.check(&Response::of_head(101, head.into_bytes()), KEY)
        };
        let good = format!("Upgrade: WebSocket\nConnection: keep-alive, Upgrade\n{ACCEPTED}");
        assert_eq!(check(&good), Ok(String::new()));
        for chosen in ["chat", "a", "b"] {
            assert_eq!(check(&format!("{good}\nsec-websocket-protocol: {chosen}")), Ok(chosen.to_owned()));
        }
        for (lines, why) in [
            (good.replace("WebSocket\n", "h2c\n"), "`upgrade: websocket`"),
            (good.replace(", Upgrade", ""), "`connection: upgrade`"),
            (good.replace("s3p", "S3p"), "not the answer to the key"),
            (format!("{good}\n{ACCEPTED}"), "not the answer to the key"),
            (format!("{good}\nsec-websocket-protocol: c"), "subprotocol `c`"),
            (format!("{good}\nsec-websocket-protocol: a\nsec-websocket-protocol: b"), "several subprotocols"),
            (format!("{good}\nsec-websocket-extensions: x"), "extension `x`"),
        ] {
            let error = check(&lines).unwrap_err().to_string();
            assert!(error.contains(why), "`{error}` does not say `{why}`");
        }
    }

    #[test]
    fn the_head_asks_for_an_upgrade_and_for_nothing_else() {
        let to = Arc::new(target("ws://a.test:81/b?c").unwrap());
        let settings = Http {
            user_agent: "squall".to_owned(),
            connections: crate::plan::http::Connections::PerRequest,
            ..Http::default()
        };
        let upgrade = Upgrade { target: &to, headers: &[], subprotocols: &["x".to_owned(), "y".to_owned()] };
        let head = String::from_utf8(upgrade.head(&settings, KEY).unwrap()).unwrap();
        let expected = format!(
            "GET /b?c HTTP/1.1\r\nhost: a.test:81\r\nuser-agent: squall\r\nconnection: Upgrade\r\nupgrade: \
             websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\nsec-websocket-protocol: x, \
             y\r\n\r\n"
        );
        assert_eq!(head, expected);
    }
}
