//! A call that was begun, until its end: what it sends, and what it makes of what comes.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use ::h2::client::SendRequest;
use ::h2::{FlowControl, Reason, SendStream};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::call::{Answer, Event};
use super::frames::{Encoding, Frame, Frames};
use super::head::{Head, is_grpc};
use super::inbox::{Came, Inbox, Source};
use super::metadata::received;
use super::status::{Code, Status};
use crate::protocol::Error;
use crate::protocol::http::{Client, Failure, Slot, cause};

/// The most that is asked for at once when a message is sent.
const MOST_ASKED: usize = 1 << 30;

/// Who takes the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taker {
    /// Whoever made the call, and waits for it.
    Waited,
    /// A task, which notes when each piece came.
    Noted,
}

#[derive(Debug)]
pub(super) struct Running {
    // Dropped in this order: the slot wakes others when the stream is gone.
    pub(super) upload: SendStream<Bytes>,
    reader: Reader,
    requests: SendRequest<Bytes>,
    pub(super) slot: Slot,
    /// What is to be sent next, and then.
    pub(super) pending: [Bytes; 2],
    /// Whether nothing follows.
    pub(super) is_ending: bool,
    /// Whether all was sent, or nobody takes any more.
    pub(super) is_sent: bool,
    frames: Frames,
    encoding: Encoding,
    limit: u64,
    /// What has come and is not looked at yet.
    piece: Bytes,
    flow: Rc<RefCell<Option<FlowControl>>>,
    /// Whether the answer is over.
    pub(super) is_over: bool,
    pub(super) begun: std::time::Instant,
    pub(super) arrived: std::time::Instant,
    pub(super) deadline: Option<Instant>,
}

#[derive(Debug)]
enum Reader {
    Waited(Source),
    Noted(Inbox),
}

/// What comes next, with messages still as they came.
pub(super) enum Next {
    Headers(Vec<(String, String)>),
    Frame(Frame),
    End(Status, Vec<(String, String)>),
    /// The stream broke before any answer, which may mean that the server never saw the call.
    Broken(Failure, Status),
}

impl Running {
    pub(super) fn begin(slot: Slot, client: &Client, head: &Head<'_>, taker: Taker) -> Result<Self, Failure> {
        let request = head.request(&client.shared().settings().user_agent).map_err(Failure::last)?;
        let mut requests = slot.requests();
        let begun = std::time::Instant::now();
        let (answer, upload) = requests.send_request(request, false).map_err(|error| Failure::unsent(&error))?;
        let (source, flow) = (Source::Waiting(answer), Rc::default());
        let reader = match taker {
            Taker::Waited => Reader::Waited(source),
            Taker::Noted => Reader::Noted(Inbox::new(source, Rc::clone(&flow))),
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
    pub(super) async fn whole(&mut self, discard: bool) -> Result<Answer, (Failure, Status)> {
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

    pub(super) fn answer(
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
    pub(super) async fn event(&mut self, next: Next) -> Event {
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

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
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

    pub(super) fn give_up(&mut self) {
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

    pub(super) fn has_pending(&self) -> bool {
        !self.pending[0].is_empty() || !self.pending[1].is_empty()
    }

    /// Hands over as much of what is pending as there is room for.
    pub(super) fn poll_upload(&mut self, context: &mut Context<'_>) {
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

/// What is said to whoever goes on with a call that is over.
pub(super) fn ended() -> Error {
    Error::Other("the call is over".to_owned())
}
