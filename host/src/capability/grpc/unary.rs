//! Unary calls.

use tokio::time::Instant;

use super::super::Host;
use super::Asked;
use super::failure::Failed;
use crate::protocol::grpc::{Answer, Code, Head, Status};
use crate::protocol::{Error, Opening};
use crate::wit::grpc;

impl Host {
    /// Makes a unary call and records it.
    pub(super) async fn unary(&mut self, asked: Asked<'_>, message: grpc::Message) -> Result<grpc::Answer, Failed> {
        let (channel, prepared) = self.prepared_method(&asked)?;
        let known = &**prepared.0;
        if asked.form == grpc::Form::Json && !asked.options.discard_messages {
            self.known_method(known, asked.method)?;
        }
        if known.method.as_ref().is_some_and(|method| method.client_streaming() || method.server_streaming()) {
            let why = format!("`{}` streams: `open` begins such a call", asked.method);
            return Err(Error::InvalidRequest(why).into());
        }
        let metadata = self.call_metadata(&channel, &asked.options.metadata)?;
        let bytes = self.encoded_message(&asked, &channel, known, message)?;
        let timeout = super::timeout_of(asked.options.timeout)?.unwrap_or(self.run.http.timeout);
        let head = Head {
            uri: &known.uri,
            metadata: &metadata,
            deadline: Some(Instant::now() + timeout),
            limit: self.run.http.max_body,
            discard: asked.options.discard_messages,
        };
        let Some(open) = &self.grpc.0 else { return Err(Failed::Stale(asked.connection)) };
        let mut opening = Opening::default();
        let called = open.channels.unary(&self.client, &channel, &head, bytes, &mut opening);
        let answer = called.await.map_err(|error| self.note_denied(error))?;
        let (answer, message) = self.message_of(known, asked.form, answer);
        self.record_call(known, &asked, channel.authority(), &answer);
        let Answer { status, headers, trailers, duration, .. } = answer;
        Ok(grpc::Answer {
            status: self.shown_status(status),
            message,
            headers: self.shown_pairs(headers),
            trailers: self.shown_pairs(trailers),
            duration: self.clock.milliseconds(duration),
        })
    }

    /// Reads the message of an answer. One that is not what the method says is a failure of the call.
    fn message_of(
        &self,
        known: &super::Known,
        form: grpc::Form,
        mut answer: Answer,
    ) -> (Answer, Option<grpc::Message>) {
        let Some(bytes) = answer.message.take() else { return (answer, None) };
        match self.decoded_message(known, form, bytes) {
            Ok(message) => (answer, Some(message)),
            Err(failed) => {
                answer.status = unreadable(failed);
                (answer, None)
            }
        }
    }

    fn record_call(&self, known: &super::Known, asked: &Asked<'_>, authority: &str, answer: &Answer) {
        let ip = answer.peer.remote.map(|remote| remote.ip());
        let series = self.call_series(known, asked, authority, ip, &answer.status);
        self.local.add(series, answer.duration.as_secs_f64() * 1e3);
        self.local.add_bytes(self.scope, self.groups.current(), answer.sent, answer.received);
    }
}

/// The status of a call whose message cannot be read.
pub(super) fn unreadable(failed: Failed) -> Status {
    let why = match failed {
        Failed::Schema(error) => Error::Protocol(error.to_string()),
        Failed::Network(error) => error,
        other => Error::Other(format!("{other:?}")),
    };
    Status { code: Code::INTERNAL, message: why.to_string(), details: Vec::new(), cause: Some(why) }
}
