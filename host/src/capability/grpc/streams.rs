//! Calls that stream.

use std::time::Duration;

use tokio::time::Instant;

use super::super::Host;
use super::failure::Failed;
use super::unary::unreadable;
use super::{Asked, Prepared};
use crate::metrics::{SeriesId, builtin};
use crate::protocol::grpc::{Call, Channel, Event, Head};
use crate::protocol::{Error, Opening};
use crate::wit::grpc;

/// A call that a guest has an id of.
pub(super) enum Live {
    Running(Box<Running>),
    /// It is over; when its end came.
    Over(Duration),
}

/// A call under way.
pub(super) struct Running {
    call: Call,
    channel: Channel,
    prepared: Prepared,
    method: Box<str>,
    form: grpc::Form,
    discard: bool,
    scope: u32,
    group: u32,
    sent: SeriesId,
    received: SeriesId,
    has_received: bool,
}

impl Host {
    pub(super) async fn open_stream(&mut self, asked: Asked<'_>) -> Result<u32, Failed> {
        let (channel, prepared) = self.prepared_method(&asked)?;
        let known = &**prepared.0;
        if asked.form == grpc::Form::Json && !asked.options.discard_messages {
            self.known_method(known, asked.method)?;
        }
        self.check_calls()?;
        let metadata = self.call_metadata(&channel, &asked.options.metadata)?;
        let begun = Instant::now();
        let deadline = super::timeout_of(asked.options.timeout)?.map(|timeout| begun + timeout);
        let limit = self.run.http.max_body;
        let head =
            Head { uri: &known.uri, metadata: &metadata, deadline, limit, discard: asked.options.discard_messages };
        let Some(open) = &self.grpc.0 else { return Err(Failed::Stale(asked.connection)) };
        let mut opening = Opening::default();
        let opened = open.channels.begin(&self.client, &channel, &head, &mut opening);
        // A stream may go on for as long as it likes, but a connection for it must not be waited for without end.
        let patience = deadline.unwrap_or(begun + self.run.http.timeout);
        let opened = tokio::time::timeout_at(patience, opened).await;
        let call = opened.unwrap_or(Err(Error::Timeout)).map_err(|error| self.note_denied(error))?;
        let ip = call.peer().remote.map(|remote| remote.ip()).filter(|_| self.local.is_with_ip());
        let tags = self.call_tags(known, &asked, channel.authority(), ip, None);
        let series = |metric| self.local.session_series(metric, &tags);
        self.local.add(series(builtin::GRPC_STREAMS), 1.0);
        let running = Running {
            call,
            method: Box::from(asked.method),
            form: asked.form,
            discard: asked.options.discard_messages,
            scope: self.scope,
            group: self.groups.current(),
            sent: series(builtin::GRPC_STREAMS_MSGS_SENT),
            received: series(builtin::GRPC_STREAMS_MSGS_RECEIVED),
            has_received: false,
            channel,
            prepared: prepared.clone(),
        };
        let open = self.grpc.0.get_or_insert_default();
        open.last = open.last.wrapping_add(1);
        open.calls.insert(open.last, Live::Running(Box::new(running)));
        Ok(open.last)
    }

    pub(super) async fn send_on(&mut self, id: u32, message: grpc::Message) -> Result<(), Failed> {
        let running = self.running_call(id)?;
        let (prepared, channel, method) = (running.prepared.clone(), running.channel.clone(), running.method.clone());
        let options = nothing();
        let asked = Asked { connection: 0, method: &method, form: running.form, options: &options };
        let bytes = self.encoded_message(&asked, &channel, &prepared.0, message)?;
        let running = self.running_call(id)?;
        let series = running.sent;
        let sent = running.call.send(bytes).await;
        sent.map_err(|_| Failed::Ended)?;
        self.local.add(series, 1.0);
        Ok(())
    }

    pub(super) fn half_close(&mut self, id: u32) -> Result<(), Failed> {
        match self.running_call(id) {
            Ok(running) => running.call.end(),
            Err(Failed::Ended) => {}
            Err(other) => return Err(other),
        }
        Ok(())
    }

    pub(super) async fn receive_on(&mut self, id: u32, timeout: Option<f64>) -> Result<Option<grpc::Event>, Failed> {
        let until = match timeout {
            Some(milliseconds) if milliseconds <= 0.0 => Some(Instant::now()),
            timeout => super::timeout_of(timeout)?.map(|timeout| Instant::now() + timeout),
        };
        loop {
            let running = self.running_call(id)?;
            let next = running.call.next(until).await;
            let Some(event) = next.map_err(|_| Failed::Ended)? else { return Ok(None) };
            running.has_received = true;
            match event {
                Event::Headers(headers) => return Ok(Some(grpc::Event::Headers(self.shown_pairs(headers)))),
                Event::Message(bytes) => {
                    let (form, prepared, series) = (running.form, running.prepared.clone(), running.received);
                    let discard = running.discard;
                    self.local.add(series, 1.0);
                    if discard {
                        continue;
                    }
                    match self.decoded_message(&prepared.0, form, bytes) {
                        Ok(message) => return Ok(Some(grpc::Event::Message(message))),
                        Err(failed) => {
                            self.running_call(id)?.call.cancel();
                            self.end_call(id);
                            return Ok(Some(grpc::Event::End((self.shown_status(unreadable(failed)), Vec::new()))));
                        }
                    }
                }
                Event::End(status, trailers) => {
                    self.end_call(id);
                    return Ok(Some(grpc::Event::End((self.shown_status(status), self.shown_pairs(trailers)))));
                }
            }
        }
    }

    pub(super) fn arrived_on(&self, id: u32) -> Option<Duration> {
        match self.grpc.0.as_ref()?.calls.get(&id)? {
            Live::Running(running) => running.has_received.then(|| running.call.arrived()),
            Live::Over(arrived) => Some(*arrived),
        }
    }

    pub(super) fn cancel_call(&mut self, id: u32) {
        if let Ok(running) = self.running_call(id) {
            running.call.cancel();
            self.end_call(id);
        }
    }

    /// Ends all calls that are under way.
    pub(super) fn end_calls(&mut self) {
        let Some(open) = &self.grpc.0 else { return };
        let ids: Vec<u32> = open.calls.keys().copied().collect();
        for id in ids {
            self.cancel_call(id);
        }
        if let Some(open) = &mut self.grpc.0 {
            open.calls.clear();
        }
    }

    fn running_call(&mut self, id: u32) -> Result<&mut Running, Failed> {
        match self.grpc.0.as_mut().and_then(|open| open.calls.get_mut(&id)) {
            Some(Live::Running(running)) => Ok(running),
            Some(Live::Over(_)) => Err(Failed::Ended),
            None => Err(Failed::Stale(id)),
        }
    }

    /// Frees what a call holds that is over.
    fn end_call(&mut self, id: u32) {
        let Some(live) = self.grpc.0.as_mut().and_then(|open| open.calls.get_mut(&id)) else { return };
        let Live::Running(running) = &*live else { return };
        let (arrived, scope, group) = (running.call.arrived(), running.scope, running.group);
        let (sent, received) = running.call.claim_bytes();
        *live = Live::Over(arrived);
        self.local.add_bytes(scope, group, sent, received);
    }

    /// Refuses one call more than may be open, and forgets calls that are over where there are too many.
    fn check_calls(&mut self) -> Result<(), Error> {
        let Some(open) = &mut self.grpc.0 else { return Ok(()) };
        let running = open.calls.values().filter(|live| matches!(live, Live::Running(_))).count();
        let most = self.run.limits.requests_in_flight;
        if running >= most as usize {
            let why = format!("{most} calls are open, and no more may be (`limits.requestsInFlight`)");
            return Err(Error::InvalidRequest(why));
        }
        if open.calls.len() >= self.run.limits.handles as usize {
            open.calls.retain(|_, live| matches!(live, Live::Running(_)));
        }
        Ok(())
    }
}

/// Options of which none is set.
fn nothing() -> grpc::CallOptions {
    grpc::CallOptions { metadata: Vec::new(), timeout: None, name: None, tags: Vec::new(), discard_messages: false }
}
