//! What the host lets a guest do: one WIT interface per file. Translates WIT and records samples; knows no socket.
//!
//! [`Host`] is one VU's side of every interface. [`Local`] is what the VUs of one worker thread share, above all which
//! series a sample goes to: looked up once, then an index.

mod check;
mod cookies;
mod events;
mod extract;
#[cfg(test)]
mod fuzz;
mod grpc;
mod http;
mod local;
mod log;
mod metric;
mod names;
mod random;
mod recent;
mod secret;
mod socket;
#[cfg(test)]
mod tests;
mod time;
mod tls;
mod waiting;
mod wasi;
mod wasi_http;
mod wasi_sockets;
mod websocket;

pub use grpc::Schemas;
pub use http::Pace;
pub use local::Local;
pub(crate) use log::shorten;
pub use secret::Secrets;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use send_wrapper::SendWrapper;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::WasiHttpView;

use crate::metrics::{Excess, Registry, Tags};
use crate::plan::http::Connections;
use crate::plan::{Http, Limits, Policy};
use crate::protocol::Error;
pub use crate::protocol::RunPlaces;
use crate::protocol::http::{Client, Owner};
use crate::wit;
use check::Groups;
use cookies::Jars;
use events::Events;
use grpc::Grpc;
use http::{Failures, Responses, Streams};
use random::Random;
use recent::Recent;
use socket::Sockets;
use time::Clock;
use websocket::Websockets;

/// How a journey reaches the person who runs it, and the run.
pub trait Sink: Send + Sync {
    /// Passes on what a journey logged.
    fn log(&self, vu: u32, scenario: &Arc<str>, level: wit::log::Level, message: String);
    /// Asks for the end of the run.
    fn abort(&self, reason: &str);
    /// Marks the run as failed.
    fn fail(&self, reason: &str);
}

/// What all VUs of a run on this machine share.
pub struct Run {
    /// When the run's clock started.
    pub started: Instant,
    /// Seeds every random choice.
    pub seed: u64,
    /// The run's metrics.
    pub registry: Arc<Registry>,
    /// Where messages and wishes go.
    pub sink: Arc<dyn Sink>,
    /// How requests are made where the journey says nothing.
    pub http: Arc<Http>,
    /// How often requests may start, if there is a limit.
    pub pace: Option<Arc<Pace>>,
    /// Whether requests may be made at all.
    pub may_send: bool,
    /// Files granted to the journeys, by name.
    pub files: Arc<BTreeMap<String, Arc<[u8]>>>,
    /// What is known of gRPC's methods.
    pub schemas: Arc<Schemas>,
    /// What journeys can name and never see, if there is something.
    pub secrets: Option<Arc<Secrets>>,
    /// What journeys may use.
    pub limits: Arc<Limits>,
    /// The connections that all VUs of the run may have open, on all threads.
    pub places: Arc<RunPlaces>,
    /// Whom the run trusts, and what its journeys may reach.
    pub policy: Arc<Policy>,
}

/// Who the guest is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The VU's number, from 1; 0 for `setup`, `teardown` and `handle-summary`.
    pub vu: u32,
    /// Which instance of this VU, from 1.
    pub instance: u32,
    /// The scenario's name.
    pub scenario: Arc<str>,
    /// Tags on everything it does.
    pub tags: Tags,
    /// Variables granted.
    pub env: Arc<BTreeMap<String, String>>,
    /// How its scenario uses connections.
    pub connections: Connections,
    /// What a program is called with, its own name first; `None` for a journey.
    pub arguments: Option<Arc<[String]>>,
}

/// One VU's side of every interface.
pub struct Host {
    run: Arc<Run>,
    local: SendWrapper<Rc<Local>>,
    identity: Identity,
    /// The identity's tags as [`Local`] numbers them.
    scope: u32,
    /// This host's number in its thread, which no other has.
    serial: u32,
    iteration: (u32, u64),
    random: Random,
    clock: Clock,
    groups: Groups,
    /// Shared with the requests that go on while the guest does something else.
    client: Arc<Client>,
    responses: Responses,
    streams: Streams,
    events: Events,
    websockets: Websockets,
    sockets: Sockets,
    grpc: Grpc,
    jars: Jars,
    failures: Failures,
    /// The statuses that the guest said are no failure.
    expected: Option<Box<[(u16, u16)]>>,
    wasi: Option<Box<wasi::Wasi>>,
    /// Requests by `wasi:http`, if it ever made one.
    outgoing: Option<Box<wasi_http::Outgoing>>,
    /// What it logged in this iteration, if it ever logged anything.
    recent: Option<Recent>,
    activity: Activity,
}

/// What a guest did since it was last asked, for whoever watches over it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// It called the host.
    pub called: bool,
    /// It waited in the host, so others had their turn.
    pub waited: bool,
}

impl Host {
    /// Makes a VU's side.
    #[must_use]
    pub fn new(run: Arc<Run>, local: &Rc<Local>, identity: Identity) -> Self {
        let scope = local.scope(&identity.tags);
        Self {
            random: Random::new(run.seed, &identity.scenario),
            clock: Clock::of(&run.policy),
            run,
            client: Arc::new(Client::new(
                local.http(),
                Owner { vu: identity.vu, connections: identity.connections },
                &identity.scenario,
            )),
            local: SendWrapper::new(Rc::clone(local)),
            scope,
            serial: local.number_host(),
            identity,
            iteration: (0, 0),
            groups: Groups::default(),
            responses: Responses::default(),
            streams: Streams::default(),
            events: Events::default(),
            websockets: Websockets::default(),
            sockets: Sockets::default(),
            grpc: Grpc::default(),
            jars: Jars::default(),
            failures: Failures::default(),
            expected: None,
            wasi: None,
            outgoing: None,
            recent: None,
            activity: Activity::default(),
        }
    }

    /// Begins an iteration: its number for this VU, its number in the scenario, and its random sequence.
    pub fn begin(&mut self, number: u32, index: u64, stream: u64) {
        self.iteration = (number, index);
        self.random.restart(stream);
        if let Some(recent) = &self.recent {
            recent.clear();
        }
    }

    /// Opens a group by its host's will: what runs once in a run is filed under its name.
    pub fn enter(&mut self, group: &str) {
        wit::group::Host::begin(self, group.to_owned());
    }

    /// Ends an iteration: closes its groups, frees its answers and its cookies. Returns why it failed even if the guest
    /// says that it did not: a request without an answer, where that is to be told (`throw`).
    #[must_use]
    pub fn end(&mut self) -> Option<String> {
        self.end_events();
        self.end_streams();
        let thrown = self.end_outgoing();
        self.end_websockets();
        self.sockets.end_iteration(self.identity.connections != Connections::PerIteration, &self.local);
        self.end_grpc();
        self.close_groups();
        self.local.extract().forget(self.serial, None);
        if let Some(response) = self.responses.clear() {
            self.client.recycle(response);
        }
        if self.identity.connections == Connections::PerIteration {
            self.client.close_all();
        }
        self.jars.end_iteration(self.run.http.keep_cookies);
        self.failures.end_iteration().or(thrown)
    }

    /// Forgets what belonged to the guest's instance, which is gone. What belongs to the VU stays: its connections, its
    /// cookies where they are kept.
    pub fn leave(&mut self) {
        self.wasi = None;
        self.expected = None;
    }

    /// Returns what the guest did since the last call, and forgets it.
    pub fn take_activity(&mut self) -> Activity {
        std::mem::take(&mut self.activity)
    }

    /// Who the guest is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The last lines that it logged in this iteration, the oldest first, without the run's secrets.
    #[must_use]
    pub fn last_words(&self) -> Vec<String> {
        let lines = self.recent.as_ref().map(Recent::all).unwrap_or_default();
        lines.into_iter().map(|line| self.unseen(line)).collect()
    }

    fn called(&mut self) {
        self.activity.called = true;
    }

    /// Counts what the guest had too much of. The person is told of the first on each thread now, and of all at the end: a
    /// guest that does so again and again is no reason for a flood.
    fn warn_once(&self, what: Excess, message: impl FnOnce() -> String) {
        if self.local.exceed(what) {
            self.run.sink.log(self.identity.vu, &self.identity.scenario, wit::log::Level::Warn, message());
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(outgoing) = &self.outgoing {
            outgoing.stop();
        }
        // What it kept for a next iteration ends with it.
        self.sockets.end_all(&self.local);
    }
}

/// Adds every interface of the world, and WASI as far as language runtimes need it.
pub fn link<T: WasiView + WasiHttpView + 'static>(
    linker: &mut Linker<T>,
    host: fn(&mut T) -> &mut Host,
) -> wasmtime::Result<()> {
    wit::Journey::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    wasi_http::link(linker, host)?;
    wit::protocols::squall::events::events::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    wit::protocols::squall::websocket::websocket::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    wit::protocols::squall::socket::socket::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    wit::grpc::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    waiting::link(linker, host)?;
    wasi_sockets::link(linker, host)
}

/// Why a request has no answer, as guests see it.
fn to_guest(error: Error) -> wit::http::Error {
    use wit::http::Error as Guest;
    match error {
        Error::Timeout | Error::DialTimeout => Guest::Timeout,
        Error::Dns(text) | Error::NoSuchHost(text) => Guest::Dns(text),
        Error::Refused => Guest::Refused,
        Error::Reset | Error::BrokenPipe => Guest::Reset,
        Error::Denied(rule) => Guest::Denied(rule),
        Error::NotAllowed(refusal) => Guest::Denied(refusal.to_string()),
        Error::Tls(text) | Error::NotTls(text) | Error::UnknownAuthority(text) | Error::WrongHost(text) => {
            Guest::Tls(text)
        }
        Error::Protocol(text) | Error::Decoding(text) | Error::Http2 { reason: text, .. } => Guest::Protocol(text),
        Error::InvalidUrl(text) => Guest::InvalidUrl(text),
        Error::InvalidRequest(text) => Guest::InvalidRequest(text),
        Error::TooLarge(limit) => Guest::TooLarge(u32::try_from(limit).unwrap_or(u32::MAX)),
        other => Guest::Other(other.to_string()),
    }
}
