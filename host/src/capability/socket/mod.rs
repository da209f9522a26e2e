//! `socket`: bytes over TCP and datagrams over UDP for guests that speak a protocol of their own.

mod session;
mod sockets;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use send_wrapper::SendWrapper;
use tokio::time::Instant;

use super::http::watch;
use super::secret::Secrets;
use super::{Host, Run};
use crate::plan::http::Connections;
use crate::protocol::socket::{Mask, Tcp, Udp, parse_address};
use crate::protocol::{Error, Opening};
use crate::wit::protocols::squall::socket::socket;
use session::{Label, Line, Session, words};
pub(super) use sockets::Sockets;

/// The longest a call may wait, in milliseconds: a day.
const LONGEST_TIMEOUT: f64 = 8.64e7;
/// Secrets that may be named in what is sent at once: a short name may stand for a long value.
const MOST_NAMED: usize = 100;

impl socket::Host for Host {
    async fn connect(&mut self, address: String, options: socket::ConnectOptions) -> Result<u32, socket::Error> {
        self.called();
        let began = Instant::now();
        let proto = if options.tls { "tls" } else { "tcp" };
        let (label, deadline) = self.wanted(proto, &address, options.timeout, options.name, options.tags)?;
        let may_keep = options.keep && self.identity.connections != Connections::PerIteration;
        if let Some(session) = may_keep.then(|| self.sockets.take_kept(&label, &self.local)).flatten() {
            return Ok(self.sockets.add(session, true));
        }
        let mut opening = Opening::default();
        let mask = self.mask();
        let to = label.destination();
        let opened = Tcp::connect(self.client.connector(), &to, options.tls, mask, deadline, &mut opening);
        let (opened, waited) = watch(pin!(SendWrapper::new(Box::pin(opened)))).await;
        self.activity.waited |= waited;
        self.opened(opened.map(|tcp| Line::Tcp(Box::new(tcp))), label, opening, began, may_keep)
    }

    async fn bind(&mut self, address: String, options: socket::BindOptions) -> Result<u32, socket::Error> {
        self.called();
        let began = Instant::now();
        let (label, deadline) = self.wanted("udp", &address, options.timeout, options.name, options.tags)?;
        let mut opening = Opening::default();
        let mask = self.mask();
        let to = label.destination();
        let bound = Udp::bind(self.client.connector(), &to, mask, deadline, &mut opening);
        let (bound, waited) = watch(pin!(SendWrapper::new(Box::pin(bound)))).await;
        self.activity.waited |= waited;
        self.opened(bound.map(Line::Udp), label, opening, began, false)
    }

    async fn send(&mut self, id: u32, bytes: Vec<u8>, timeout: Option<f64>) -> Result<(), socket::Error> {
        let deadline = self.until(timeout)?;
        let filled = self.filled(id, &bytes)?;
        let bytes = filled.as_deref().unwrap_or(&bytes);
        let tcp = tcp(&mut self.sockets, id)?;
        let (result, waited) = watch(pin!(SendWrapper::new(Box::pin(tcp.send(bytes, deadline))))).await;
        self.has_sent(id, result, bytes.len(), waited)
    }

    async fn finish(&mut self, id: u32, timeout: Option<f64>) -> Result<(), socket::Error> {
        let deadline = self.until(timeout)?;
        let tcp = tcp(&mut self.sockets, id)?;
        let (result, waited) = watch(pin!(SendWrapper::new(Box::pin(tcp.finish(deadline))))).await;
        self.answered(id, result, waited)
    }

    async fn receive(&mut self, id: u32, at_most: u32, timeout: Option<f64>) -> Result<Option<Vec<u8>>, socket::Error> {
        let deadline = self.until(timeout)?;
        let most = self.largest().min(at_most as usize);
        let tcp = tcp(&mut self.sockets, id)?;
        let (result, waited) = watch(pin!(SendWrapper::new(Box::pin(tcp.receive(most, deadline))))).await;
        self.answered(id, result, waited)
    }

    async fn receive_exactly(&mut self, id: u32, length: u32, timeout: Option<f64>) -> Result<Vec<u8>, socket::Error> {
        let deadline = self.until(timeout)?;
        let (most, length) = (self.largest(), length as usize);
        let tcp = tcp(&mut self.sockets, id)?;
        if length > most {
            return Err(too_large(most));
        }
        let (result, waited) = watch(pin!(SendWrapper::new(Box::pin(tcp.receive_exactly(length, deadline))))).await;
        self.answered(id, result, waited)
    }

    async fn receive_until(
        &mut self,
        id: u32,
        delimiter: Vec<u8>,
        at_most: u32,
        timeout: Option<f64>,
    ) -> Result<Option<Vec<u8>>, socket::Error> {
        let deadline = self.until(timeout)?;
        let most = self.largest().min(at_most as usize);
        let tcp = tcp(&mut self.sockets, id)?;
        if delimiter.is_empty() {
            return Err(socket::Error::InvalidRequest("the delimiter is empty".to_owned()));
        }
        let receive = tcp.receive_until(&delimiter, most, deadline);
        let (result, waited) = watch(pin!(SendWrapper::new(Box::pin(receive)))).await;
        self.answered(id, result, waited)
    }

    async fn send_datagram(&mut self, id: u32, bytes: Vec<u8>, timeout: Option<f64>) -> Result<(), socket::Error> {
        let deadline = self.until(timeout)?;
        let filled = self.filled(id, &bytes)?;
        let bytes = filled.as_deref().unwrap_or(&bytes);
        let udp = udp(&mut self.sockets, id)?;
        let (result, waited) = watch(pin!(SendWrapper::new(Box::pin(udp.send(bytes, deadline))))).await;
        self.has_sent(id, result, bytes.len(), waited)
    }

    async fn receive_datagram(&mut self, id: u32, timeout: Option<f64>) -> Result<Vec<u8>, socket::Error> {
        let deadline = self.until(timeout)?;
        let udp = udp(&mut self.sockets, id)?;
        let (result, waited) = watch(pin!(SendWrapper::new(Box::pin(udp.receive(deadline))))).await;
        if let Ok(datagram) = &result {
            let (group, length) = (self.groups.current(), datagram.len() as u64);
            self.local.add_bytes(self.scope, group, 0, length);
        }
        self.answered(id, result, waited)
    }

    fn sent(&mut self, id: u32) -> f64 {
        let clock = self.clock;
        let sent = self.sockets.get(id).and_then(|session| Some(session.sent?.duration_since(session.began)));
        sent.map_or(f64::NAN, |time| clock.milliseconds(time))
    }

    fn arrived(&mut self, id: u32) -> f64 {
        let clock = self.clock;
        let arrived = self.sockets.get(id).and_then(|session| {
            let arrived = match &session.line {
                Line::Tcp(tcp) => tcp.arrived(),
                Line::Udp(udp) => udp.arrived(),
            };
            Some(arrived?.duration_since(session.began))
        });
        arrived.map_or(f64::NAN, |time| clock.milliseconds(time))
    }

    fn details_of(&mut self, id: u32) -> Result<socket::Details, socket::Error> {
        let clock = self.clock;
        let session = self.sockets.get(id).ok_or(socket::Error::Stale(id))?;
        let (remote, tls) = match &session.line {
            Line::Tcp(tcp) => (tcp.remote(), tcp.tls()),
            Line::Udp(udp) => (Some(udp.remote()), None),
        };
        Ok(socket::Details {
            remote: remote.map(|remote| remote.to_string()).unwrap_or_default(),
            tls_version: tls.map_or("", |(version, _)| version).to_owned(),
            tls_cipher_suite: tls.and_then(|(_, cipher)| cipher).unwrap_or_default().to_owned(),
            looking_up: clock.milliseconds(session.opening.looking_up),
            connecting: clock.milliseconds(session.opening.connecting),
            tls_handshaking: clock.milliseconds(session.opening.tls_handshaking),
            reused: session.reused,
        })
    }

    fn close(&mut self, id: u32) {
        self.called();
        if let Some(session) = self.sockets.remove(id) {
            session.end(&self.local);
        }
    }
}

impl Host {
    /// Begins a call: when it is over at the latest.
    fn until(&mut self, timeout: Option<f64>) -> Result<Instant, socket::Error> {
        self.called();
        deadline(&self.run, timeout).map_err(told)
    }

    /// Reads what kind of socket is wanted, and refuses one that cannot be.
    fn wanted(
        &mut self,
        proto: &'static str,
        address: &str,
        timeout: Option<f64>,
        name: Option<String>,
        tags: Vec<socket::Pair>,
    ) -> Result<(Label, Instant), socket::Error> {
        let deadline = deadline(&self.run, timeout).map_err(told)?;
        let mut label = Label::new(proto, parse_address(address).map_err(told)?, name, tags);
        (label.scope, label.group) = (self.scope, self.groups.current());
        let refused = if self.run.may_send {
            self.sockets.make_room(self.run.limits.requests_in_flight, &self.local)
        } else {
            Err(Error::Denied("no socket may be opened here".to_owned()))
        };
        refused.map_err(|error| {
            label.refused(&self.local, &error);
            told(error)
        })?;
        Ok((label, deadline))
    }

    /// Records what came of asking for a socket.
    fn opened(
        &mut self,
        line: Result<Line, Error>,
        label: Label,
        opening: Opening,
        began: Instant,
        keep: bool,
    ) -> Result<u32, socket::Error> {
        match line {
            Ok(line) => Ok(self.sockets.add(Session::new(line, label, opening, began, &self.local), keep)),
            Err(error) => {
                label.refused(&self.local, &error);
                Err(self.failed(error))
            }
        }
    }

    /// What came of sending.
    fn has_sent(
        &mut self,
        id: u32,
        result: Result<(), Error>,
        length: usize,
        waited: bool,
    ) -> Result<(), socket::Error> {
        if result.is_ok() {
            if let Some(session) = self.sockets.get(id) {
                session.sent = Some(Instant::now());
            }
            self.local.add_bytes(self.scope, self.groups.current(), length as u64, 0);
        }
        self.answered(id, result, waited)
    }

    /// What came of a call: counts what arrived, and remembers a failure for the session's end.
    fn answered<T>(&mut self, id: u32, result: Result<T, Error>, waited: bool) -> Result<T, socket::Error> {
        self.activity.waited |= waited;
        let group = self.groups.current();
        if let Some(session) = self.sockets.get(id) {
            if let Err(error) = &result {
                session.note(error);
            }
            if let Line::Tcp(tcp) = &mut session.line {
                let received = tcp.take_received();
                self.local.add_bytes(self.scope, group, 0, received);
            }
        }
        result.map_err(|error| self.failed(error))
    }

    /// The most bytes that a guest gets at once.
    fn largest(&self) -> usize {
        usize::try_from(self.run.http.max_body).unwrap_or(usize::MAX)
    }

    /// What takes the run's secrets out of what arrives.
    fn mask(&self) -> Option<Mask> {
        let redactor = Arc::clone(self.run.secrets.as_ref()?.redactor());
        Some(Arc::new(move |bytes: &mut [u8]| redactor.mask(bytes)))
    }

    /// What is to be sent with the run's secrets where they are named; `None` where none is. Refuses what is too large.
    fn filled(&mut self, id: u32, bytes: &[u8]) -> Result<Option<Vec<u8>>, socket::Error> {
        let most = self.run.limits.request_bytes;
        let session = self.sockets.get(id).ok_or(socket::Error::Stale(id))?;
        let filled = self.run.secrets.as_deref().map_or(Ok(None), |secrets| fill(secrets, &session.label, bytes));
        let filled = filled.map_err(|error| self.failed(error))?;
        if filled.as_deref().unwrap_or(bytes).len() as u64 > most {
            return Err(too_large(usize::try_from(most).unwrap_or(usize::MAX)));
        }
        Ok(filled)
    }

    /// An error for the guest, without the run's secrets.
    fn failed(&self, error: Error) -> socket::Error {
        use socket::Error as Guest;
        match told(error) {
            Guest::Dns(text) => Guest::Dns(self.unseen(text)),
            Guest::Tls(text) => Guest::Tls(self.unseen(text)),
            Guest::Denied(text) => Guest::Denied(self.unseen(text)),
            Guest::InvalidRequest(text) => Guest::InvalidRequest(self.unseen(text)),
            Guest::Other(text) => Guest::Other(self.unseen(text)),
            silent => silent,
        }
    }
}

/// Puts in the secrets that are named and may go there.
fn fill(secrets: &Secrets, label: &Label, bytes: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let mut named = 0;
    secrets.fill(bytes, |name| {
        named += 1;
        if named > MOST_NAMED {
            return Err(Error::InvalidRequest(format!("a message names secrets more than {MOST_NAMED} times")));
        }
        secrets.check_destination(name, &label.destination())
    })
}

/// When a call is over at the latest.
fn deadline(run: &Run, timeout: Option<f64>) -> Result<Instant, Error> {
    let timeout = match timeout {
        None => run.http.timeout,
        Some(milliseconds) if milliseconds >= 0.0 => Duration::from_secs_f64(milliseconds.min(LONGEST_TIMEOUT) / 1e3),
        Some(other) => return Err(Error::InvalidRequest(format!("a timeout of {other} ms is not possible"))),
    };
    Ok(Instant::now() + timeout)
}

fn tcp(sockets: &mut Sockets, id: u32) -> Result<&mut Tcp, socket::Error> {
    let session = sockets.get(id).ok_or(socket::Error::Stale(id))?;
    match &mut session.line {
        Line::Tcp(tcp) => Ok(tcp),
        Line::Udp(_) => Err(socket::Error::InvalidRequest(format!("socket {id} exchanges datagrams"))),
    }
}

fn udp(sockets: &mut Sockets, id: u32) -> Result<&mut Udp, socket::Error> {
    let session = sockets.get(id).ok_or(socket::Error::Stale(id))?;
    match &mut session.line {
        Line::Udp(udp) => Ok(udp),
        Line::Tcp(_) => Err(socket::Error::InvalidRequest(format!("socket {id} is a connection, not for datagrams"))),
    }
}

fn too_large(most: usize) -> socket::Error {
    socket::Error::TooLarge(u32::try_from(most).unwrap_or(u32::MAX))
}

/// An error as guests see it.
fn told(error: Error) -> socket::Error {
    use socket::Error as Guest;
    match error {
        Error::Timeout | Error::DialTimeout => Guest::Timeout,
        Error::Dns(text) | Error::NoSuchHost(text) => Guest::Dns(text),
        Error::Refused => Guest::Refused,
        Error::Reset | Error::BrokenPipe => Guest::Reset,
        Error::Closed => Guest::Closed,
        Error::Denied(rule) => Guest::Denied(rule),
        Error::NotAllowed(refusal) => Guest::Denied(refusal.to_string()),
        Error::Tls(text) | Error::NotTls(text) | Error::UnknownAuthority(text) | Error::WrongHost(text) => {
            Guest::Tls(text)
        }
        Error::InvalidRequest(text) => Guest::InvalidRequest(text),
        Error::TooLarge(most) => Guest::TooLarge(u32::try_from(most).unwrap_or(u32::MAX)),
        other => Guest::Other(words(&other)),
    }
}
