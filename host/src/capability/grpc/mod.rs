//! `grpc`: calls for guests. Keeps a VU's connections and streams, knows its methods, and records what became of them.

mod failure;
mod filled;
mod known;
mod series;
mod streams;
mod unary;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use send_wrapper::SendWrapper;
use tokio::time::Instant;

use super::Host;
use super::http::{LONGEST_TIMEOUT, watch};
use crate::plan::http::Connections;
use crate::protocol::grpc::schema::{Method, Schema};
use crate::protocol::grpc::{Channel, Channels, Metadata};
use crate::protocol::{Error, Opening};
use crate::wit::grpc;
use failure::Failed;
pub use known::Schemas;
use series::Series;
use streams::Live;

/// Methods of one connection that a VU keeps what it knows of.
const KEPT_METHODS: usize = 64;

/// What a VU has of gRPC. One that does not call has none of it.
#[derive(Default)]
pub(super) struct Grpc(Option<Box<Open>>);

#[derive(Default)]
struct Open {
    channels: Channels,
    /// What the instance has learned, the latest last.
    schemas: Vec<Arc<Schema>>,
    /// The files that it has loaded.
    loaded: Vec<String>,
    connections: Vec<Connection>,
    calls: BTreeMap<u32, Live>,
    /// The last id given.
    last: u32,
}

/// A way to a server, which a VU keeps from one iteration to the next.
struct Connection {
    /// Its id in this iteration, if the guest has asked for it.
    id: Option<u32>,
    channel: Channel,
    methods: Vec<(Box<str>, Prepared)>,
}

/// A method on a connection, looked up once.
#[derive(Clone)]
struct Prepared(SendWrapper<std::rc::Rc<Known>>);

struct Known {
    uri: Uri,
    /// What its messages are; none where nobody has said.
    method: Option<Method>,
    series: std::cell::RefCell<Series>,
}

impl grpc::Host for Host {
    async fn load(&mut self, files: Vec<String>) -> Result<(), grpc::Error> {
        self.called();
        let (loaded, waited) = watch(pin!(SendWrapper::new(Box::pin(self.learn(files))))).await;
        self.activity.waited |= waited;
        loaded.map_err(|error| self.grpc_error(error))
    }

    async fn load_set(&mut self, file: String) -> Result<(), grpc::Error> {
        self.called();
        let (loaded, waited) = watch(pin!(SendWrapper::new(Box::pin(self.learn_set(file))))).await;
        self.activity.waited |= waited;
        loaded.map_err(|error| self.grpc_error(error))
    }

    fn methods(&mut self) -> Vec<String> {
        self.called();
        let Some(open) = &self.grpc.0 else { return Vec::new() };
        let mut all: Vec<String> = open.schemas.iter().flat_map(|schema| schema.methods()).collect();
        all.sort();
        all.dedup();
        all
    }

    async fn connect(&mut self, address: String, options: grpc::ConnectOptions) -> Result<u32, grpc::Error> {
        self.called();
        let (connected, waited) =
            watch(pin!(SendWrapper::new(Box::pin(self.connect_channel(&address, &options))))).await;
        self.activity.waited |= waited;
        connected.map_err(|error| self.grpc_error(error))
    }

    async fn invoke(
        &mut self,
        connection: u32,
        method: String,
        message: grpc::Message,
        answer: grpc::Form,
        options: grpc::CallOptions,
    ) -> Result<grpc::Answer, grpc::Error> {
        self.called();
        let asked = Asked { connection, method: &method, form: answer, options: &options };
        let (answer, waited) = watch(pin!(SendWrapper::new(Box::pin(self.unary(asked, message))))).await;
        self.activity.waited |= waited;
        answer.map_err(|error| self.grpc_error(error))
    }

    async fn open(
        &mut self,
        connection: u32,
        method: String,
        answer: grpc::Form,
        options: grpc::CallOptions,
    ) -> Result<u32, grpc::Error> {
        self.called();
        let asked = Asked { connection, method: &method, form: answer, options: &options };
        let (opened, waited) = watch(pin!(SendWrapper::new(Box::pin(self.open_stream(asked))))).await;
        self.activity.waited |= waited;
        opened.map_err(|error| self.grpc_error(error))
    }

    async fn send(&mut self, call: u32, message: grpc::Message) -> Result<(), grpc::Error> {
        self.called();
        let (sent, waited) = watch(pin!(SendWrapper::new(Box::pin(self.send_on(call, message))))).await;
        self.activity.waited |= waited;
        sent.map_err(|error| self.grpc_error(error))
    }

    fn end(&mut self, call: u32) -> Result<(), grpc::Error> {
        self.called();
        self.half_close(call).map_err(|error| self.grpc_error(error))
    }

    async fn receive(&mut self, call: u32, timeout: Option<f64>) -> Result<Option<grpc::Event>, grpc::Error> {
        self.called();
        let (received, waited) = watch(pin!(SendWrapper::new(Box::pin(self.receive_on(call, timeout))))).await;
        self.activity.waited |= waited;
        received.map_err(|error| self.grpc_error(error))
    }

    fn arrived(&mut self, call: u32) -> f64 {
        self.arrived_on(call).map_or(f64::NAN, |time| self.clock.milliseconds(time))
    }

    fn cancel(&mut self, call: u32) {
        self.called();
        self.cancel_call(call);
    }

    fn close(&mut self, connection: u32) {
        self.called();
        let Some(open) = &mut self.grpc.0 else { return };
        if let Some(at) = open.connections.iter().position(|one| one.id == Some(connection)) {
            open.connections.swap_remove(at).channel.close();
        }
    }
}

/// What a guest asks for when it calls a method.
#[derive(Clone, Copy)]
struct Asked<'a> {
    connection: u32,
    method: &'a str,
    form: grpc::Form,
    options: &'a grpc::CallOptions,
}

impl Host {
    async fn connect_channel(&mut self, address: &str, options: &grpc::ConnectOptions) -> Result<u32, Failed> {
        if !self.run.may_send {
            return Err(Error::Denied("no call may be made here".to_owned()).into());
        }
        let deadline = Instant::now() + timeout_of(options.timeout)?.unwrap_or(self.run.http.timeout);
        let authority = options.authority.as_deref();
        let open = self.grpc.0.get_or_insert_default();
        let channel =
            open.channels.channel(&self.client, &self.identity.scenario, address, options.plaintext, authority)?;
        let kept = open.connections.iter().position(|one| one.channel.is_same(&channel));
        let most = self.run.limits.connections;
        if kept.is_none() && open.connections.len() >= most as usize {
            return Err(Error::TooManyConnections { limit: most, key: "limits.maxConnections" }.into());
        }
        let mut opening = Opening::default();
        let ready = channel.ready(&self.client, &mut opening);
        let ready = tokio::time::timeout_at(deadline, ready).await;
        ready.unwrap_or(Err(Error::Timeout)).map_err(|error| self.note_denied(error))?;
        if options.reflect {
            let schema = self.reflect(&channel, &options.reflect_metadata, deadline).await?;
            self.add_schema(schema);
        }
        let open = self.grpc.0.get_or_insert_default();
        let at = open.connections.iter().position(|one| one.channel.is_same(&channel)).unwrap_or_else(|| {
            open.connections.push(Connection { id: None, channel, methods: Vec::new() });
            open.connections.len() - 1
        });
        let connection = &mut open.connections[at];
        Ok(*connection.id.get_or_insert_with(|| {
            open.last = open.last.wrapping_add(1);
            open.last
        }))
    }

    /// What is known of a method on a connection.
    fn prepared_method(&mut self, asked: &Asked<'_>) -> Result<(Channel, Prepared), Failed> {
        let stale = || Failed::Stale(asked.connection);
        let open = self.grpc.0.as_mut().ok_or_else(stale)?;
        let connection = open.connections.iter_mut().find(|one| one.id == Some(asked.connection)).ok_or_else(stale)?;
        let channel = connection.channel.clone();
        if let Some((_, known)) = connection.methods.iter().find(|(name, _)| **name == *asked.method) {
            return Ok((channel, known.clone()));
        }
        let uri = channel.uri(asked.method)?;
        let mut schemas = open.schemas.iter().rev();
        let method = schemas.find_map(|schema| schema.method(asked.method).ok().cloned());
        let known = Known { uri, method, series: std::cell::RefCell::default() };
        let known = Prepared(SendWrapper::new(std::rc::Rc::new(known)));
        if connection.methods.len() >= KEPT_METHODS {
            connection.methods.clear();
        }
        connection.methods.push((Box::from(asked.method), known.clone()));
        Ok((channel, known))
    }

    /// The types of a method's messages, or why they are not known.
    fn known_method<'a>(&self, known: &'a Known, name: &str) -> Result<&'a Method, Failed> {
        if let Some(method) = &known.method {
            return Ok(method);
        }
        let schemas = self.grpc.0.as_ref().map(|open| open.schemas.as_slice()).unwrap_or_default();
        let latest = schemas.last().cloned().unwrap_or_default();
        match latest.method(name) {
            Err(error) => Err(Failed::Schema(error)),
            // Cannot be: it was looked for there.
            Ok(_) => Err(Error::Other(format!("`{name}` is not known")).into()),
        }
    }

    /// Counts what was refused because of where it would have gone.
    fn note_denied(&self, error: Error) -> Error {
        if let Error::NotAllowed(refusal) = &error {
            self.local.add_denied(self.scope, self.groups.current(), &refusal.host);
        }
        error
    }

    /// Makes metadata of what a guest gives, with the run's secrets in their places.
    fn call_metadata(&self, channel: &Channel, pairs: &[grpc::Pair]) -> Result<Metadata, Error> {
        let mut metadata = Metadata::default();
        for pair in pairs {
            let filled = self.filled_metadata(channel, &pair.value)?;
            let value = filled.as_deref().unwrap_or(&pair.value);
            metadata.add(&pair.name, value).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        }
        Ok(metadata)
    }

    /// Closes what an iteration leaves open.
    pub(super) fn end_grpc(&mut self) {
        if self.grpc.0.is_none() {
            return;
        }
        self.end_calls();
        let Some(open) = &mut self.grpc.0 else { return };
        for connection in &mut open.connections {
            connection.id = None;
        }
        if self.identity.connections == Connections::PerIteration {
            open.channels.close_all();
            open.connections.clear();
        }
    }

    /// Closes the connections that were opened as somebody else.
    pub(super) fn close_grpc(&mut self) {
        if let Some(open) = &self.grpc.0 {
            open.channels.close_all();
        }
    }
}

/// A timeout as a guest gives it.
fn timeout_of(given: Option<f64>) -> Result<Option<Duration>, Error> {
    match given {
        None => Ok(None),
        Some(milliseconds) if milliseconds > 0.0 => {
            Ok(Some(Duration::from_secs_f64(milliseconds.min(LONGEST_TIMEOUT) / 1e3)))
        }
        Some(other) => Err(Error::InvalidRequest(format!("a timeout of {other} ms is not possible"))),
    }
}
