//! One exchange on a stream of its own: the request goes out while the answer comes in.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ::h3::client::RequestStream;
use ::h3::error::StreamError;
use bytes::{Buf as _, Bytes};
use tokio::time::{Sleep, sleep};

use super::quic::{Flood, Held, Reader, Writer};
use super::{Incoming, Slot, error};
use crate::plan::Http;
use crate::protocol::Error;
use crate::protocol::http::multiplexed::Failure;
use crate::protocol::http::taken::Taken;
use crate::protocol::http::{Body, Peer, Progress, Request, Response, head};

/// How much of a body is handed over at once.
const AT_ONCE: usize = 64 << 10;
/// The largest head of an answer, as in the other versions.
pub(super) const MAX_HEAD: u64 = 256 << 10;
/// What may come that is no part of a body before that is too much: a head as it travels, or frames that nobody knows.
const MOST_HELD: u64 = MAX_HEAD + (64 << 10);
/// How many interim answers may come before the one that counts (RFC 9110, 15.2), as over HTTP/1.1.
const MOST_INTERIM: usize = 100;

pub(super) type Sender = RequestStream<Writer, Bytes>;
pub(super) type Receiver = RequestStream<Reader, Bytes>;

/// A request that goes out beside its answer.
type Upload<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// An exchange on its way. Dropping it resets the stream.
struct Running<'a> {
    receiver: Receiver,
    held: Rc<Held>,
    sending: Sending<'a>,
    account: Account<'a>,
    taken: Taken<'a>,
}

/// What an exchange has cost so far. Bytes are put to its account when it ends, however it ends.
struct Account<'a> {
    slot: &'a Slot,
    progress: &'a mut Progress,
}

/// The part of it that sends, and the time in which nothing comes.
struct Sending<'a> {
    upload: Option<Upload<'a>>,
    begun: Instant,
    /// When the last of the request was handed over.
    sent: Option<Instant>,
    /// Goes off when nothing has come for too long, if there is a limit to that.
    silence: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Slot {
    /// Sends a request and reads the whole answer. `raw` is a buffer to reuse.
    pub(in super::super) async fn exchange(
        self,
        settings: &Http,
        request: &Request<'_>,
        raw: Vec<u8>,
        progress: &mut Progress,
    ) -> Result<Response, Failure> {
        let mut running = self.begin(settings, request, raw, progress).await?;
        let first = running.head().await?;
        poll_fn(|context| running.poll_body(context)).await.map_err(Failure::last)?;
        running.account.progress.timings.receiving = first.elapsed();
        if let Some((announced, came)) = running.taken.misses() {
            return Err(Failure::last(error::cut(announced, came)));
        }
        let response = running.taken.response();
        drop(running);
        self.connection.state.used.set(true);
        Ok(response)
    }

    /// Sends a request and waits for the head of the answer, and until all of the request is sent.
    pub(in super::super) async fn open(
        self,
        settings: &Http,
        request: &Request<'_>,
        progress: &mut Progress,
    ) -> Result<(Incoming, Response), Failure> {
        let (receiver, held, answer, announced) = {
            let mut running = self.begin(settings, request, Vec::new(), progress).await?;
            // It is not kept, so there is no limit to it.
            running.taken.keep_nothing();
            running.head().await?;
            poll_fn(|context| {
                running.sending.poll_upload(context);
                if running.sending.upload.is_some() { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            let announced = running.taken.announced_body();
            (running.receiver, running.held, running.taken.response(), announced)
        };
        Ok((Incoming::new(self, receiver, held, announced), answer))
    }

    /// Sends the head of a request.
    pub(super) async fn send(
        &self,
        settings: &Http,
        request: &Request<'_>,
        progress: &mut Progress,
    ) -> Result<(Sender, Receiver, Rc<Held>), Failure> {
        let connection = &self.connection;
        progress.peer = Peer { reused: connection.state.used.get(), ..connection.peer };
        let parts = head::request(settings, request).map_err(Failure::last)?;
        let Some(pair) = self.pair.borrow_mut().take() else {
            return Err(Failure::last(Error::Other("a stream carries one request".to_owned())));
        };
        let held = Rc::new(Held { bytes: Cell::new(0), most: MOST_HELD });
        let mut send = connection.send.borrow().clone();
        connection.next.put(pair, &held);
        match send.send_request(parts).await {
            Ok(stream) => {
                let (sender, receiver) = stream.split();
                Ok((sender, receiver, held))
            }
            Err(error) => Err(error::unsent(&error, connection)),
        }
    }

    async fn begin<'a>(
        &'a self,
        settings: &'a Http,
        request: &Request<'a>,
        raw: Vec<u8>,
        progress: &'a mut Progress,
    ) -> Result<Running<'a>, Failure> {
        let begun = Instant::now();
        let account = Account { slot: self, progress };
        let (mut sender, receiver, held) = self.send(settings, request, account.progress).await?;
        let upload: Option<Upload<'a>> = if let Some(body) = request.body.filter(|body| body.length() > 0) {
            Some(Box::pin(upload(sender, body)))
        } else {
            // The answer tells what is wrong.
            let _ = sender.finish().await;
            None
        };
        let sent = upload.is_none().then_some(begun);
        let silence = settings.read_timeout.map(|limit| (limit, Box::pin(sleep(limit))));
        let sending = Sending { upload, begun, sent, silence };
        let taken = Taken::new(settings, request, raw);
        Ok(Running { receiver, held, sending, account, taken })
    }
}

/// Hands a body over, as far as the server takes it. What is wrong with that the answer tells; it may even be complete
/// (RFC 9114, 4.1).
async fn upload(mut sender: Sender, body: Body<'_>) {
    for part in body.pieces().flat_map(|piece| piece.chunks(AT_ONCE)) {
        if sender.send_data(Bytes::copy_from_slice(part)).await.is_err() {
            return;
        }
    }
    let _ = sender.finish().await;
}

/// Waits for the head that counts.
pub(super) async fn receive_head(receiver: &mut Receiver) -> Result<http::Response<()>, StreamError> {
    for _ in 0..=MOST_INTERIM {
        let head = receiver.recv_response().await?;
        if !head.status().is_informational() {
            return Ok(head);
        }
    }
    Err(StreamError::Undefined(Box::new(Flood::OfHeads(MOST_INTERIM))))
}

/// Waits for bytes of a body; `None` at the end of the answer. What comes after a body is read, and dropped.
pub(super) fn poll_data(
    receiver: &mut Receiver,
    held: &Held,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, StreamError>> {
    if let Some(mut bytes) = ready!(receiver.poll_recv_data(context))? {
        held.bytes.set(0);
        let length = bytes.remaining();
        return Poll::Ready(Ok(Some(bytes.copy_to_bytes(length))));
    }
    ready!(receiver.poll_recv_trailers(context))?;
    Poll::Ready(Ok(None))
}

impl Running<'_> {
    /// Waits for the head; returns when it came.
    async fn head(&mut self) -> Result<Instant, Failure> {
        let Self { receiver, sending, taken, account, held } = self;
        let connection = &account.slot.connection;
        let answer = {
            let mut answer = pin!(receive_head(receiver));
            poll_fn(|context| {
                sending.poll_upload(context);
                match answer.as_mut().poll(context) {
                    Poll::Pending => sending.poll_silence(context).map_err(Failure::last),
                    Poll::Ready(answer) => {
                        Poll::Ready(answer.map_err(|error| error::before_answer(&error, connection)))
                    }
                }
            })
            .await?
        };
        held.bytes.set(0);
        let first = sending.heard();
        // A server may answer before it has read the whole request.
        let sent = *sending.sent.get_or_insert(first);
        account.progress.timings.sending = sent - sending.begun;
        account.progress.timings.waiting = first - sent;
        taken.head(&answer).map_err(Failure::last)?;
        Ok(first)
    }

    /// Waits for the end of the answer.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // The server may wait for the rest of the request before it sends the rest of the answer.
        self.sending.poll_upload(context);
        loop {
            let Poll::Ready(next) = poll_data(&mut self.receiver, &self.held, context) else {
                return self.sending.poll_silence(context);
            };
            let Some(bytes) = next.map_err(|error| error::cause(&error, &self.account.slot.connection))? else {
                return Poll::Ready(Ok(()));
            };
            self.taken.body(&bytes)?;
            if self.sending.silence.is_some() {
                self.sending.heard();
            }
        }
    }
}

impl Sending<'_> {
    fn poll_upload(&mut self, context: &mut Context<'_>) {
        if let Some(upload) = &mut self.upload
            && upload.as_mut().poll(context).is_ready()
        {
            self.upload = None;
            let now = self.heard();
            self.sent.get_or_insert(now);
        }
    }

    /// Starts the time of silence anew; returns when that was.
    fn heard(&mut self) -> Instant {
        let now = Instant::now();
        if let Some((limit, timer)) = &mut self.silence {
            timer.as_mut().reset((now + *limit).into());
        }
        now
    }

    /// Waits on, unless it was silent for too long.
    fn poll_silence<T>(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        match &mut self.silence {
            // While the request goes out, nobody is silent.
            Some((_, timer)) if self.upload.is_none() => timer.as_mut().poll(context).map(|()| Err(Error::Timeout)),
            _ => Poll::Pending,
        }
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        self.slot.claim(self.progress);
    }
}
