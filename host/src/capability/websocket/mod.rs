//! `websocket`: sockets for guests. Opens them with the VU's cookies and the run's secrets, and records what happens on them.

mod connect;
mod record;

use std::pin::pin;
use std::time::Duration;

use send_wrapper::SendWrapper;
use tokio::time::Instant;

use super::Host;
use super::http::{LONGEST_TIMEOUT, check_size, watch};
use super::names::NameAndValue;
use super::secret::Secrets;
use crate::protocol::http::Response;
use crate::protocol::websocket::{Content, Event, Phase, Problem, Sockets, destination};
use crate::protocol::{Error, apart};
use crate::wit::http::Error as Known;
use crate::wit::protocols::squall::websocket::websocket;

/// The code with which a socket is closed that its journey forgot, and one that its iteration leaves behind.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;

/// The sockets of a VU. One that never opened any has none of it.
#[derive(Debug, Default)]
pub(super) struct Websockets(Option<Box<Sockets>>);

impl NameAndValue for websocket::Pair {
    fn pair(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }
}

impl websocket::Host for Host {
    async fn connect(&mut self, url: String, options: websocket::ConnectOptions) -> Result<u32, websocket::Error> {
        self.called();
        let opened = {
            // Boxed, or each call of a VU would have to make room for it.
            let opening = SendWrapper::new(apart(|| self.open_socket(&url, &options)));
            let (opened, waited) = watch(pin!(opening)).await;
            self.activity.waited |= waited;
            opened
        };
        let (upgraded, recorded) = opened.map_err(|problem| self.problem(problem))?;
        let own = options.max_message.map_or(u64::MAX, u64::from);
        let most = own.min(self.run.http.max_body).min(self.run.limits.response_bytes);
        let sockets = self.websockets.0.get_or_insert_with(|| Box::new(Sockets::new(self.run.limits.response_bytes)));
        Ok(sockets.add(upgraded, most, Box::new(recorded)))
    }

    async fn send_text(&mut self, socket: u32, text: String) -> Result<(), websocket::Error> {
        self.called();
        let text = match self.filled_message(socket, text.as_bytes())? {
            // Values were put into a text between characters, so nothing is lost.
            Some(filled) => String::from_utf8_lossy(&filled).into_owned(),
            None => text,
        };
        let deadline = self.default_deadline();
        let sending = async { self.sockets(socket)?.send_text(socket, &text, deadline).await };
        let (sent, waited) = watch(pin!(SendWrapper::new(sending))).await;
        self.activity.waited |= waited;
        sent.map_err(|problem| self.problem(problem))
    }

    async fn send_binary(&mut self, socket: u32, bytes: Vec<u8>) -> Result<(), websocket::Error> {
        self.called();
        let bytes = self.filled_message(socket, &bytes)?.unwrap_or(bytes);
        let deadline = self.default_deadline();
        let sending = async { self.sockets(socket)?.send_binary(socket, &bytes, deadline).await };
        let (sent, waited) = watch(pin!(SendWrapper::new(sending))).await;
        self.activity.waited |= waited;
        sent.map_err(|problem| self.problem(problem))
    }

    async fn ping(&mut self, socket: u32, payload: Vec<u8>) -> Result<(), websocket::Error> {
        self.called();
        let deadline = self.default_deadline();
        let sending = async { self.sockets(socket)?.ping(socket, &payload, deadline).await };
        let (sent, waited) = watch(pin!(SendWrapper::new(sending))).await;
        self.activity.waited |= waited;
        sent.map_err(|problem| self.problem(problem))
    }

    async fn close(&mut self, socket: u32, code: Option<u16>, reason: String) -> Result<(), websocket::Error> {
        self.called();
        let deadline = self.default_deadline();
        let closing = async { self.sockets(socket)?.close(socket, code, &reason, deadline).await };
        let (closed, waited) = watch(pin!(SendWrapper::new(closing))).await;
        self.activity.waited |= waited;
        closed.map_err(|problem| self.problem(problem))
    }

    async fn receive(
        &mut self,
        socket: u32,
        timeout: Option<f64>,
    ) -> Result<Option<websocket::Event>, websocket::Error> {
        self.next_event(Some(socket), timeout).await
    }

    async fn receive_any(&mut self, timeout: Option<f64>) -> Result<Option<websocket::Event>, websocket::Error> {
        self.next_event(None, timeout).await
    }

    fn facts_of(&mut self, socket: u32) -> Result<websocket::Facts, websocket::Error> {
        self.called();
        let facts = self.sockets(socket).and_then(|sockets| sockets.facts(socket));
        let facts = facts.map_err(|problem| self.problem(problem))?;
        Ok(websocket::Facts {
            phase: match facts.phase {
                Phase::Open => websocket::Phase::Open,
                Phase::Closing => websocket::Phase::Closing,
                Phase::Closed => websocket::Phase::Closed,
            },
            subprotocol: self.unseen(facts.subprotocol),
            held: u32::try_from(facts.held).unwrap_or(u32::MAX),
            sent: facts.sent,
            received: facts.received,
            connecting: self.clock.milliseconds(facts.connecting),
        })
    }

    fn headers(&mut self, socket: u32) -> Result<Vec<websocket::Pair>, websocket::Error> {
        self.called();
        let headers = self.sockets(socket).and_then(|sockets| sockets.answer(socket, Response::headers));
        Ok(self.pairs(headers.map_err(|problem| self.problem(problem))?))
    }

    fn release(&mut self, socket: u32) {
        self.called();
        if let Some(sockets) = &self.websockets.0 {
            sockets.release(socket, NORMAL);
        }
    }
}

impl Host {
    /// Ends the sockets that an iteration has left open.
    pub(super) fn end_websockets(&mut self) {
        if let Some(sockets) = &self.websockets.0 {
            sockets.release_all(GOING_AWAY);
        }
    }

    fn sockets(&self, socket: u32) -> Result<&Sockets, Problem> {
        self.websockets.0.as_deref().ok_or(Problem::Stale(socket))
    }

    fn default_deadline(&self) -> Instant {
        Instant::now() + self.run.http.timeout
    }

    async fn next_event(
        &mut self,
        from: Option<u32>,
        timeout: Option<f64>,
    ) -> Result<Option<websocket::Event>, websocket::Error> {
        self.called();
        let timeout = match timeout {
            None => self.run.http.timeout,
            Some(timeout) => span(timeout).map_err(|error| self.problem(error.into()))?,
        };
        let deadline = Instant::now() + timeout;
        let receiving = async {
            match (&self.websockets.0, from) {
                (Some(sockets), _) => sockets.receive(from, deadline).await,
                (None, Some(socket)) => Err(Problem::Stale(socket)),
                (None, None) => Err(Problem::Closed),
            }
        };
        let (event, waited) = watch(pin!(SendWrapper::new(receiving))).await;
        self.activity.waited |= waited;
        let event = event.map_err(|problem| self.problem(problem))?;
        Ok(event.map(|event| self.event(event)))
    }

    fn event(&self, event: Event) -> websocket::Event {
        let content = match event.content {
            Content::Text(text) => websocket::Content::Text(self.unseen(text)),
            Content::Binary(bytes) => websocket::Content::Binary(self.masked(bytes)),
            Content::Pong(payload, took) => websocket::Content::Pong(websocket::Pong {
                payload: self.masked(payload),
                round_trip: self.clock.milliseconds(took),
            }),
            Content::Closed(code, reason) => {
                websocket::Content::Closed(websocket::Closing { code, reason: self.unseen(reason) })
            }
            Content::Failed(problem) => websocket::Content::Failed(self.problem(problem)),
        };
        let arrived = event.arrived.saturating_duration_since(self.run.started);
        websocket::Event { socket: event.socket, arrived: self.clock.milliseconds(arrived), content }
    }

    /// A message with the values of the secrets that it names; `None` where it names none.
    fn filled_message(&self, socket: u32, message: &[u8]) -> Result<Option<Vec<u8>>, websocket::Error> {
        let filled = || {
            check_size(message.len() as u64, self.run.limits.request_bytes)?;
            let Some(secrets) = self.run.secrets.as_ref().filter(|_| Secrets::is_named(message)) else {
                return Ok(None);
            };
            let target = self.sockets(socket)?.target(socket)?;
            Ok(secrets.fill(message, |name| secrets.check_destination(name, &destination(&target)))?)
        };
        filled().map_err(|problem| self.problem(problem))
    }

    /// Bytes without the run's secrets, which a server may give back.
    fn masked(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(secrets) = &self.run.secrets {
            secrets.redactor().mask(&mut bytes);
        }
        bytes
    }

    fn pairs(&self, headers: Vec<(String, String)>) -> Vec<websocket::Pair> {
        let pair = |(name, value)| websocket::Pair { name, value: self.unseen(value) };
        headers.into_iter().map(pair).collect()
    }

    /// Why something did not work, as guests see it.
    fn problem(&self, problem: Problem) -> websocket::Error {
        use websocket::Error as Guest;
        let error = match problem {
            Problem::Rejected(answer) => {
                let headers = self.pairs(answer.headers());
                return Guest::Rejected(websocket::Rejection { status: answer.status, headers });
            }
            Problem::Ended(how) => return Guest::Reset(how.to_owned()),
            Problem::Closed => return Guest::Closed,
            Problem::Stale(socket) => return Guest::Stale(socket),
            Problem::Connection(error) => error,
        };
        let words = error.to_string();
        match self.told(error) {
            Known::Timeout => Guest::Timeout,
            Known::Dns(text) => Guest::Dns(text),
            Known::Refused => Guest::Refused,
            Known::Reset => Guest::Reset(words),
            Known::Tls(text) => Guest::Tls(text),
            Known::Protocol(text) => Guest::Protocol(text),
            Known::Denied(text) => Guest::Denied(text),
            Known::InvalidUrl(text) => Guest::InvalidUrl(text),
            Known::InvalidRequest(text) => Guest::InvalidRequest(text),
            Known::TooLarge(limit) => Guest::TooLarge(limit),
            Known::Other(text) => Guest::Other(text),
        }
    }
}

/// A time that a guest gives, in milliseconds.
fn span(milliseconds: f64) -> Result<Duration, Error> {
    if milliseconds >= 0.0 {
        return Ok(Duration::from_secs_f64(milliseconds.min(LONGEST_TIMEOUT) / 1e3));
    }
    Err(Error::InvalidRequest(format!("a timeout of {milliseconds} ms is not possible")))
}
