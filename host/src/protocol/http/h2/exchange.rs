//! One exchange on a stream of its own: the request goes out while the answer comes in.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::h2::client::{ResponseFuture, SendRequest};
use ::h2::{RecvStream, SendStream};
use bytes::Bytes;
use tokio::time::{Sleep, sleep};

use super::{Incoming, Slot, error};
use crate::plan::Http;
use crate::protocol::Error;
use crate::protocol::http::multiplexed::Failure;
use crate::protocol::http::taken::Taken;
use crate::protocol::http::{Body, Peer, Progress, Request, Response, head};

/// The most that is asked for at once when a body is sent; the window and the buffer allow less anyway.
const MOST_ASKED: usize = 1 << 30;

/// An exchange on its way. Dropping it resets the stream.
struct Running<'a> {
    slot: &'a Slot,
    send: SendRequest<Bytes>,
    /// What is left of the request's body.
    upload: Option<(SendStream<Bytes>, Body<'a>)>,
    /// The piece of it that is next, and what was handed over of that.
    next: (usize, usize),
    answer: ResponseFuture,
    body: Option<RecvStream>,
    progress: &'a mut Progress,
    begun: Instant,
    /// When the last of the request was handed over.
    sent: Option<Instant>,
    taken: Taken<'a>,
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
        let mut running = self.begin(settings, request, raw, progress)?;
        let first = poll_fn(|context| running.poll_head(context)).await?;
        poll_fn(|context| running.poll_body(context)).await.map_err(Failure::last)?;
        running.progress.timings.receiving = first.elapsed();
        self.connection.state.used.set(true);
        Ok(running.taken.response())
    }

    /// Sends a request and waits for the head of the answer, and until all of the request is sent.
    pub(in super::super) async fn open(
        self,
        settings: &Http,
        request: &Request<'_>,
        progress: &mut Progress,
    ) -> Result<(Incoming, Response), Failure> {
        let mut running = self.begin(settings, request, Vec::new(), progress)?;
        // It is not kept, so there is no limit to it.
        running.taken.keep_nothing();
        poll_fn(|context| running.poll_head(context)).await?;
        poll_fn(|context| {
            running.poll_upload(context);
            if running.upload.is_some() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        let head = running.taken.response();
        let (body, send) = (running.body.take(), running.send.clone());
        drop(running);
        Ok((Incoming::new(self, body, send), head))
    }

    fn begin<'a>(
        &'a self,
        settings: &'a Http,
        request: &Request<'a>,
        raw: Vec<u8>,
        progress: &'a mut Progress,
    ) -> Result<Running<'a>, Failure> {
        let connection = &self.connection;
        progress.peer = Peer { reused: connection.state.used.get(), ..connection.peer };
        let head = head::request(settings, request).map_err(Failure::last)?;
        let body = request.body.filter(|body| body.length() > 0);
        let mut send = connection.send.borrow().clone();
        let begun = Instant::now();
        let (answer, upload) = match send.send_request(head, body.is_none()) {
            Ok(opened) => opened,
            Err(error) => return Err(Failure::unsent(&error)),
        };
        let all_sent = body.is_none().then_some(begun);
        let taken = Taken::new(settings, request, raw);
        let upload = body.map(|body| (upload, body));
        let silence = settings.read_timeout.map(|limit| (limit, Box::pin(sleep(limit))));
        Ok(Running {
            slot: self,
            send,
            upload,
            next: (0, 0),
            answer,
            body: None,
            progress,
            begun,
            sent: all_sent,
            taken,
            silence,
        })
    }
}

impl Running<'_> {
    /// Waits for the head; returns when it came.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<Instant, Failure>> {
        self.poll_upload(context);
        let answer = match Pin::new(&mut self.answer).poll(context) {
            Poll::Pending => return self.poll_silence(context).map_err(Failure::last),
            Poll::Ready(Ok(answer)) => answer,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Failure::before_answer(&error, &mut self.send))),
        };
        let first = self.heard();
        // A server may answer before it has read the whole request.
        let sent = *self.sent.get_or_insert(first);
        self.progress.timings.sending = sent - self.begun;
        self.progress.timings.waiting = first - sent;
        self.taken.head(&answer).map_err(Failure::last)?;
        self.body = Some(answer.into_body());
        Poll::Ready(Ok(first))
    }

    /// Waits for the end of the answer.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // The server may wait for the rest of the request before it sends the rest of the answer.
        self.poll_upload(context);
        while let Some(body) = &mut self.body {
            let Poll::Ready(next) = body.poll_data(context) else { return self.poll_silence(context) };
            let Some(bytes) = next else { break };
            let bytes = bytes.map_err(|error| error::cause(&error, &mut self.send))?;
            self.taken.body(&bytes)?;
            // It fails only for more than came.
            let _ = body.flow_control().release_capacity(bytes.len());
            if self.silence.is_some() {
                self.heard();
            }
        }
        Poll::Ready(Ok(()))
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

    /// Hands over as much of the request's body as there is room for.
    fn poll_upload(&mut self, context: &mut Context<'_>) {
        while let Some((stream, body)) = &mut self.upload {
            let (index, handed) = self.next;
            let Some(piece) = body.piece(index) else { return self.end_upload() };
            let left = &piece[handed..];
            // Nobody has room for nothing: it would be waited for in vain.
            if left.is_empty() {
                self.next = (index + 1, 0);
                continue;
            }
            stream.reserve_capacity(left.len().min(MOST_ASKED));
            if stream.capacity() == 0 {
                match stream.poll_capacity(context) {
                    Poll::Pending => return,
                    Poll::Ready(Some(Ok(_))) => {
                        if stream.capacity() == 0 {
                            continue;
                        }
                    }
                    // The answer says why: it may even be complete (RFC 9113, 8.1).
                    Poll::Ready(Some(Err(_)) | None) => return self.end_upload(),
                }
            }
            let now = &left[..stream.capacity().min(left.len())];
            self.next.1 += now.len();
            let is_last = now.len() == left.len() && body.pieces().skip(index + 1).all(<[u8]>::is_empty);
            if stream.send_data(Bytes::copy_from_slice(now), is_last).is_err() || is_last {
                return self.end_upload();
            }
        }
    }

    fn end_upload(&mut self) {
        self.upload = None;
        let now = self.heard();
        let sent = *self.sent.get_or_insert(now);
        self.progress.timings.sending = sent - self.begun;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let (sent, received) = self.slot.connection.state.claim();
        self.progress.sent += sent;
        self.progress.received += received;
    }
}
