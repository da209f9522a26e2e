//! One call: messages out, messages in, and how it ended.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use send_wrapper::SendWrapper;
use tokio::time::Instant;

use super::channel::{Channel, Channels};
use super::frames::framed;
use super::head::Head;
use super::running::{Running, Taker, ended};
use super::status::{Code, Status};
use crate::protocol::http::{Client, Peer};
use crate::protocol::{Error, Opening};

/// What a unary call came to.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub status: Status,
    /// The message; none where there was none, or it was thrown away.
    pub message: Option<Bytes>,
    /// The metadata before the message.
    pub headers: Vec<(String, String)>,
    /// The metadata after it.
    pub trailers: Vec<(String, String)>,
    /// From the first byte sent to the end.
    pub duration: Duration,
    /// Bytes written.
    pub sent: u64,
    /// Bytes read.
    pub received: u64,
    /// The other side.
    pub peer: Peer,
}

/// What comes on a call.
#[derive(Debug)]
pub enum Event {
    /// The metadata before the messages.
    Headers(Vec<(String, String)>),
    /// A message.
    Message(Bytes),
    /// The end.
    End(Status, Vec<(String, String)>),
}

/// A call that was begun. Dropping it cancels it.
#[derive(Debug)]
pub struct Call(SendWrapper<Running>);

impl Channels {
    /// Makes a unary call. An error says why it could not even be begun.
    pub async fn unary(
        &self,
        client: &Client,
        channel: &Channel,
        head: &Head<'_>,
        message: Bytes,
        opening: &mut Opening,
    ) -> Result<Answer, Error> {
        let message = framed(message)?;
        let attempts = pin!(attempts(client, channel, head, message, opening));
        let Some(deadline) = head.deadline else { return attempts.await };
        let begun = std::time::Instant::now();
        match self.alarm.bound(deadline, attempts).await {
            Some(answer) => answer,
            None => Ok(Answer {
                status: Status::too_late(),
                message: None,
                headers: Vec::new(),
                trailers: Vec::new(),
                duration: begun.elapsed(),
                sent: 0,
                received: 0,
                peer: Peer::default(),
            }),
        }
    }

    /// Begins a call. An error says why it could not be begun.
    pub async fn begin(
        &self,
        client: &Client,
        channel: &Channel,
        head: &Head<'_>,
        opening: &mut Opening,
    ) -> Result<Call, Error> {
        let mut is_second = false;
        loop {
            let attempt = pin!(channel.slot(client, opening));
            let slot = match head.deadline {
                None => attempt.await?,
                Some(deadline) => self.alarm.bound(deadline, attempt).await.unwrap_or(Err(Error::Timeout))?,
            };
            match Running::begin(slot, client, head, Taker::Noted) {
                Ok(running) => return Ok(Call(SendWrapper::new(running))),
                Err(failure) if failure.is_unprocessed() && !is_second => is_second = true,
                Err(failure) => return Err(failure.error),
            }
        }
    }
}

/// Makes a unary call, and once more where the server says that it has not seen it.
async fn attempts(
    client: &Client,
    channel: &Channel,
    head: &Head<'_>,
    message: (Bytes, Bytes),
    opening: &mut Opening,
) -> Result<Answer, Error> {
    let mut is_second = false;
    loop {
        let slot = channel.slot(client, opening).await?;
        let mut running = match Running::begin(slot, client, head, Taker::Waited) {
            Ok(running) => running,
            Err(failure) if failure.is_unprocessed() && !is_second => {
                is_second = true;
                continue;
            }
            Err(failure) => return Err(failure.error),
        };
        running.pending = [message.0.clone(), message.1.clone()];
        running.is_ending = true;
        match running.whole(head.discard).await {
            Ok(answer) => return Ok(answer),
            Err((failure, _)) if failure.is_unprocessed() && !is_second => is_second = true,
            Err((_, status)) => return Ok(running.answer(status, None, Vec::new(), Vec::new())),
        }
    }
}

impl Call {
    /// Sends a message, as far as the server takes it. An error says that nobody takes any more: [`next`](Self::next) says
    /// why.
    pub async fn send(&mut self, message: Bytes) -> Result<(), Error> {
        let running = &mut *self.0;
        let (prefix, rest) = framed(message)?;
        if running.is_ending || running.is_over {
            return Err(ended());
        }
        running.pending = [prefix, rest];
        let deadline = running.deadline;
        let sent = poll_fn(|context| {
            running.poll_upload(context);
            if running.is_sent {
                Poll::Ready(Err(ended()))
            } else if running.has_pending() {
                Poll::Pending
            } else {
                Poll::Ready(Ok(()))
            }
        });
        match deadline {
            None => sent.await,
            Some(deadline) => tokio::time::timeout_at(deadline, sent).await.unwrap_or(Err(ended())),
        }
    }

    /// Says that no more will be sent.
    pub fn end(&mut self) {
        let running = &mut *self.0;
        if !running.is_ending {
            running.is_ending = true;
            running.poll_upload(&mut Context::from_waker(std::task::Waker::noop()));
        }
    }

    /// Waits for what comes next, at most until then; `None` when nothing came. After the end there is nothing more to wait
    /// for, and an error says so.
    pub async fn next(&mut self, until: Option<Instant>) -> Result<Option<Event>, Error> {
        let running = &mut *self.0;
        if running.is_over {
            return Err(ended());
        }
        let deadline = running.deadline;
        let next = poll_fn(|context| running.poll_next(context));
        let next = match until.into_iter().chain(deadline).min() {
            None => Some(next.await),
            Some(until) => tokio::time::timeout_at(until, next).await.ok(),
        };
        if let Some(next) = next {
            return Ok(Some(running.event(next).await));
        }
        if deadline.is_none_or(|deadline| deadline > Instant::now()) {
            return Ok(None);
        }
        running.arrived = std::time::Instant::now();
        running.give_up();
        Ok(Some(Event::End(Status::too_late(), Vec::new())))
    }

    /// Waits for a message; none at the end. An end that is not well is an error.
    pub async fn receive(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            match self.next(None).await {
                Ok(None | Some(Event::Headers(_))) => {}
                Ok(Some(Event::Message(message))) => return Ok(Some(message)),
                Ok(Some(Event::End(status, _))) if status.code == Code::OK => return Ok(None),
                Ok(Some(Event::End(status, _))) => return Err(status),
                Err(error) => return Err(Status::of(Code::CANCELLED, error)),
            }
        }
    }

    /// Whether the answer is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_over
    }

    /// From the call's begin to the arrival of what came last.
    #[must_use]
    pub fn arrived(&self) -> Duration {
        self.0.arrived - self.0.begun
    }

    /// Gives it up: the server is told.
    pub fn cancel(&mut self) {
        self.0.give_up();
    }

    /// Bytes written and read that nobody has put to an account yet.
    #[must_use]
    pub fn claim_bytes(&self) -> (u64, u64) {
        self.0.slot.claim_bytes()
    }

    /// The other side.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.0.slot.peer()
    }
}
