//! One call: messages out, messages in, and how it ended.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::h2::client::SendRequest;
use ::h2::{FlowControl, Reason, SendStream};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use send_wrapper::SendWrapper;
use tokio::time::Instant;

use super::channel::{Channel, Channels};
use super::frames::{Encoding, Frame, Frames, framed};
use super::inbox::{Came, Inbox, Source};
use super::metadata::{Metadata, received};
use super::status::{Code, Status};
use crate::protocol::http::{Client, Failure, Peer, Slot, cause};
use crate::protocol::{Error, Opening};

/// The longest deadline that eight digits of microseconds can tell.
const IN_MICROSECONDS: Duration = Duration::from_micros(99_999_999);
/// The most that is asked for at once when a message is sent.
const MOST_ASKED: usize = 1 << 30;

/// What begins a call.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    /// Where the method is.
    pub uri: &'a Uri,
    /// What goes with it.
    pub metadata: &'a Metadata,
    /// When it must be over.
    pub deadline: Option<Instant>,
    /// The largest message that is taken, in bytes.
    pub limit: u64,
    /// Whether messages are thrown away, unread.
    pub discard: bool,
}

/// Who takes the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Whoever made the call, and waits for it.
    Waited,
    /// A task, which notes when each piece came.
    Noted,
}

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

#[derive(Debug)]
struct Running {
    // Dropped in this order: the slot wakes others when the stream is gone.
    upload: SendStream<Bytes>,
    reader: Reader,
    requests: SendRequest<Bytes>,
    slot: Slot,
    /// What is to be sent next, and then.
    pending: [Bytes; 2],
    /// Whether nothing follows.
    is_ending: bool,
    /// Whether all was sent, or nobody takes any more.
    is_sent: bool,
    frames: Frames,
    encoding: Encoding,
    limit: u64,
    /// What has come and is not looked at yet.
    piece: Bytes,
    flow: Rc<RefCell<Option<FlowControl>>>,
    /// Whether the answer is over.
    is_over: bool,
    begun: std::time::Instant,
    arrived: std::time::Instant,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Reader {
    Waited(Source),
    Noted(Inbox),
}

/// What comes next, with messages still as they came.
enum Next {
    Headers(Vec<(String, String)>),
    Frame(Frame),
    End(Status, Vec<(String, String)>),
    /// The stream broke before any answer, which may mean that the server never saw the call.
    Broken(Failure, Status),
}

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
            match Running::begin(slot, client, head, Pace::Noted) {
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
        let mut running = match Running::begin(slot, client, head, Pace::Waited) {
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

impl Running {
    fn begin(slot: Slot, client: &Client, head: &Head<'_>, pace: Pace) -> Result<Self, Failure> {
        let request = request(head, &client.shared().settings().user_agent).map_err(Failure::last)?;
        let mut requests = slot.requests();
        let begun = std::time::Instant::now();
        let (answer, upload) = requests.send_request(request, false).map_err(|error| Failure::unsent(&error))?;
        let (source, flow) = (Source::Waiting(answer), Rc::default());
        let reader = match pace {
            Pace::Waited => Reader::Waited(source),
            Pace::Noted => Reader::Noted(Inbox::new(source, Rc::clone(&flow))),
        };
        Ok(Self {
            upload,
            reader,
            requests,
            slot,
            pending: [Bytes::new(), Bytes::new()],
            is_ending: false,
            is_sent: false,
            frames: Frames::new(head.limit, head.discard),
            encoding: Encoding::Identity,
            limit: head.limit,
            piece: Bytes::new(),
            flow,
            is_over: false,
            begun,
            arrived: begun,
            deadline: head.deadline,
        })
    }

    /// Sends what is pending and reads the whole answer.
    async fn whole(&mut self, discard: bool) -> Result<Answer, (Failure, Status)> {
        let (mut headers, mut message, mut messages) = (Vec::new(), None, 0_u32);
        loop {
            match poll_fn(|context| self.poll_next(context)).await {
                Next::Headers(came) => headers = came,
                Next::Frame(frame) => {
                    messages += 1;
                    if messages > 1 {
                        self.give_up();
                        let status = Status::wrong(Code::INTERNAL, "more than one message came for a unary call");
                        return Ok(self.answer(status, None, headers, Vec::new()));
                    }
                    match self.opened(frame).await {
                        Ok(bytes) => message = (!discard).then_some(bytes),
                        Err(status) => return Ok(self.answer(status, None, headers, Vec::new())),
                    }
                }
                Next::End(status, trailers) => {
                    let status = if status.code == Code::OK && messages == 0 {
                        Status::wrong(Code::INTERNAL, "the call ended with `OK` and without a message")
                    } else {
                        status
                    };
                    return Ok(self.answer(status, message, headers, trailers));
                }
                Next::Broken(failure, status) => return Err((failure, status)),
            }
        }
    }

    fn answer(
        &self,
        status: Status,
        message: Option<Bytes>,
        headers: Vec<(String, String)>,
        trailers: Vec<(String, String)>,
    ) -> Answer {
        let (sent, received) = self.slot.claim_bytes();
        let (duration, peer) = (self.arrived - self.begun, self.slot.peer());
        self.slot.mark_used();
        Answer { status, message, headers, trailers, duration, sent, received, peer }
    }

    /// What came, for the caller.
    async fn event(&mut self, next: Next) -> Event {
        match next {
            Next::Headers(headers) => Event::Headers(headers),
            Next::Frame(frame) => match self.opened(frame).await {
                Ok(message) => Event::Message(message),
                Err(status) => Event::End(status, Vec::new()),
            },
            Next::End(status, trailers) => {
                self.slot.mark_used();
                Event::End(status, trailers)
            }
            Next::Broken(_, status) => Event::End(status, Vec::new()),
        }
    }

    /// A message without its compression; gives up the call where there is no such thing.
    async fn opened(&mut self, frame: Frame) -> Result<Bytes, Status> {
        if !frame.compressed {
            return Ok(frame.bytes);
        }
        let opened = self.encoding.open(frame, self.limit).await;
        opened.map_err(|error| {
            self.give_up();
            Status::of(code_of(&error), error)
        })
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        self.poll_upload(context);
        loop {
            if !self.piece.is_empty() {
                let before = self.piece.len();
                let found = self.frames.take(&mut self.piece);
                if let Some(flow) = &mut *self.flow.borrow_mut() {
                    // It fails only for more than came.
                    let _ = flow.release_capacity(before - self.piece.len());
                }
                match found {
                    Ok(Some(frame)) => return Poll::Ready(Next::Frame(frame)),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(self.stop(Status::of(code_of(&error), error))),
                }
            }
            let came = match &mut self.reader {
                Reader::Waited(source) => {
                    let (came, flow) = std::task::ready!(source.poll_next(context));
                    if flow.is_some() {
                        *self.flow.borrow_mut() = flow;
                    }
                    self.arrived = std::time::Instant::now();
                    came
                }
                Reader::Noted(inbox) => {
                    let (came, at) = std::task::ready!(inbox.poll_next(context));
                    self.arrived = at;
                    came
                }
            };
            if let Some(next) = self.take(came) {
                return Poll::Ready(next);
            }
        }
    }

    /// Makes of what came what the caller is to know.
    fn take(&mut self, came: Came) -> Option<Next> {
        match came {
            Came::Head(head, is_end) => Some(self.head(&head, is_end)),
            Came::Data(bytes) => {
                self.piece = bytes;
                None
            }
            Came::End(trailers) => {
                self.is_over = true;
                let said = trailers.as_ref().map(Status::from_trailers);
                let is_cut = self.frames.is_inside();
                let status = match said {
                    Some(Some(status)) if status.code != Code::OK || !is_cut => status,
                    _ if is_cut => Status::wrong(Code::INTERNAL, "the stream ended inside a message"),
                    Some(_) => Status::wrong(Code::UNKNOWN, "the trailers have no `grpc-status`"),
                    None => Status::wrong(Code::INTERNAL, "the stream ended without trailers"),
                };
                self.half_close();
                Some(Next::End(status, trailers.as_ref().map(received).unwrap_or_default()))
            }
            Came::Broken(error) => {
                self.is_over = true;
                let failure = Failure::before_answer(&error, &mut self.requests);
                let mut status = Status::from_broken(&error, cause(&error, &mut self.requests));
                // A server that knows the deadline may be the first to act on it.
                let is_late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
                if status.code == Code::CANCELLED && is_late {
                    status = Status::too_late();
                }
                Some(Next::Broken(failure, status))
            }
        }
    }

    fn head(&mut self, head: &http::response::Parts, is_end: bool) -> Next {
        if is_end && let Some(status) = Status::from_trailers(&head.headers) {
            self.is_over = true;
            self.half_close();
            return Next::End(status, received(&head.headers));
        }
        if head.status != StatusCode::OK {
            return self.stop(Status::from_http(head.status));
        }
        let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if !is_grpc(kind) {
            let kind = String::from_utf8_lossy(kind).chars().take(100).collect::<String>();
            let what = if kind.is_empty() { "nothing".to_owned() } else { format!("`{kind}`") };
            return self.stop(Status::wrong(Code::UNKNOWN, format!("the answer's content type is {what}, not gRPC's")));
        }
        let encoding = head.headers.get("grpc-encoding").map(|value| value.to_str().unwrap_or("?"));
        self.encoding = encoding.map_or(Encoding::Identity, Encoding::named);
        Next::Headers(received(&head.headers))
    }

    /// Ends a call that goes wrong.
    fn stop(&mut self, status: Status) -> Next {
        self.give_up();
        Next::End(status, Vec::new())
    }

    fn give_up(&mut self) {
        self.is_over = true;
        self.is_sent = true;
        self.upload.send_reset(Reason::CANCEL);
    }

    /// Ends our side of a stream whose other side has ended: nobody reads what we would still send.
    fn half_close(&mut self) {
        if !self.is_sent {
            self.is_sent = true;
            self.upload.send_reset(Reason::CANCEL);
        }
    }

    fn has_pending(&self) -> bool {
        !self.pending[0].is_empty() || !self.pending[1].is_empty()
    }

    /// Hands over as much of what is pending as there is room for.
    fn poll_upload(&mut self, context: &mut Context<'_>) {
        while !self.is_sent {
            if self.pending[0].is_empty() {
                self.pending.swap(0, 1);
            }
            let [next, then] = &mut self.pending;
            if next.is_empty() {
                if self.is_ending {
                    // The stream may be over already; the answer says why.
                    let _ = self.upload.send_data(Bytes::new(), true);
                    self.is_sent = true;
                }
                return;
            }
            let length = next.len();
            self.upload.reserve_capacity(length.min(MOST_ASKED));
            if self.upload.capacity() == 0 {
                match self.upload.poll_capacity(context) {
                    Poll::Pending => return,
                    Poll::Ready(Some(Ok(_))) => continue,
                    // The answer says why.
                    Poll::Ready(Some(Err(_)) | None) => {
                        self.is_sent = true;
                        return;
                    }
                }
            }
            let now = next.split_to(self.upload.capacity().min(length));
            let is_last = self.is_ending && next.is_empty() && then.is_empty();
            let is_refused = self.upload.send_data(now, is_last).is_err();
            self.is_sent = is_last || is_refused;
        }
    }
}

/// The code that the specification gives to what is wrong with a message.
fn code_of(error: &Error) -> Code {
    if let Error::TooLarge(_) = error { Code::RESOURCE_EXHAUSTED } else { Code::INTERNAL }
}

fn ended() -> Error {
    Error::Other("the call is over".to_owned())
}

/// Whether a content type is gRPC's: itself, or with what the messages are made of behind `+` or `;`.
fn is_grpc(kind: &[u8]) -> bool {
    const NAME: &[u8] = b"application/grpc";
    let Some((name, rest)) = kind.split_at_checked(NAME.len()) else { return false };
    name.eq_ignore_ascii_case(NAME) && matches!(rest, [] | [b'+' | b';', ..])
}

fn request(head: &Head<'_>, user_agent: &str) -> Result<Request<()>, Error> {
    const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
    const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = head.uri.clone();
    *request.version_mut() = Version::HTTP_2;
    let mut headers = HeaderMap::with_capacity(head.metadata.0.len() + 5);
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if let Some(deadline) = head.deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        let value = HeaderValue::from_maybe_shared(Bytes::from(timeout(left)));
        headers.insert(GRPC_TIMEOUT, value.expect("digits and a letter are a header's value"));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity, deflate, gzip"));
    if !user_agent.is_empty() && !head.metadata.0.contains_key(USER_AGENT) {
        let agent = HeaderValue::from_str(user_agent)
            .map_err(|_| Error::InvalidRequest(format!("`{user_agent}` is not a user agent")))?;
        headers.insert(USER_AGENT, agent);
    }
    for (name, value) in &head.metadata.0 {
        headers.append(name, value.clone());
    }
    *request.headers_mut() = headers;
    Ok(request)
}

/// A timeout as `grpc-timeout` has it: at most eight digits and a unit, and never less than there is.
fn timeout(left: Duration) -> String {
    if left <= IN_MICROSECONDS {
        return format!("{}u", left.as_nanos().div_ceil(1_000).max(1));
    }
    format!("{}m", left.as_nanos().div_ceil(1_000_000).min(99_999_999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_eight_digits_at_most() {
        for (left, text) in [
            (Duration::ZERO, "1u"),
            (Duration::from_nanos(1), "1u"),
            (Duration::from_millis(1500), "1500000u"),
            (Duration::from_secs(99), "99000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_hours(24), "86400000m"),
            (Duration::from_hours(100_000), "99999999m"),
        ] {
            assert_eq!(timeout(left), text);
        }
    }

    #[test]
    fn a_content_type_is_grpcs_or_not() {
        for good in ["application/grpc", "application/grpc+proto", "Application/gRPC;charset=utf-8"] {
            assert!(is_grpc(good.as_bytes()), "{good}");
        }
        for bad in ["", "application/grpc-web", "application/json", "text/html", "application/grp"] {
            assert!(!is_grpc(bad.as_bytes()), "{bad}");
        }
    }
}
