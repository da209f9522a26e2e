//! QUIC's streams as the `h3` crate wants them: they count bytes, and bound what a server makes us hold.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::h3::error::Code;
use ::h3::quic::{
    BidiStream, Connection, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream, StreamErrorIncoming,
    StreamId, WriteBuf,
};
use bytes::{Buf as _, Bytes};
use quinn::{ReadError, VarInt, WriteError};

use super::State;

/// What may come on one of the server's own streams, which carry settings and little else.
const MOST_OF_CONTROL: u64 = 1 << 20;

/// A stream for one request, opened and not used yet.
pub(super) type Pair = (quinn::SendStream, quinn::RecvStream);

/// What came and was not taken in by an exchange yet, in bytes, and the most it may be.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Cell<u64>,
    pub(super) most: u64,
}

/// More came than is taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Flood {
    /// A head without end, or frames that nobody knows.
    #[error("the head is larger than {0} bytes")]
    OfBytes(u64),
    /// One interim answer after the other.
    #[error("more than {0} interim answers")]
    OfHeads(usize),
}

/// The stream for the request that is sent next. The `h3` crate asks for one in the moment in which it is told to send,
/// and waiting for one is ours.
#[derive(Clone, Default)]
pub(super) struct Next(Rc<RefCell<Option<Begun>>>);

/// A stream, and what is known of it.
type Begun = (Pair, Rc<Held>);

/// A connection, as the `h3` crate's driver uses it.
pub(super) struct Carrier {
    connection: quinn::Connection,
    accepting: Waiting<quinn::RecvStream>,
    opening: Waiting<quinn::SendStream>,
    next: Next,
    state: Rc<State>,
}

/// A future of a connection, kept while it is not ready.
type Waiting<T> = Option<Pin<Box<dyn Future<Output = Result<T, quinn::ConnectionError>>>>>;

/// What opens streams for requests.
#[derive(Clone)]
pub(super) struct Opener {
    connection: quinn::Connection,
    next: Next,
    state: Rc<State>,
}

/// Both directions of a request's stream.
pub(super) struct Both {
    writer: Writer,
    reader: Reader,
}

/// What is written to a stream. One that is dropped before its end is reset.
pub(super) struct Writer {
    stream: quinn::SendStream,
    writing: Option<WriteBuf<Bytes>>,
    is_over: bool,
    state: Rc<State>,
}

/// What is read from a stream. One that is dropped before its end is stopped.
pub(super) struct Reader {
    stream: quinn::RecvStream,
    held: Rc<Held>,
    is_over: bool,
    state: Rc<State>,
}

impl Next {
    pub(super) fn put(&self, pair: Pair, held: &Rc<Held>) {
        *self.0.borrow_mut() = Some((pair, Rc::clone(held)));
    }
}

impl Carrier {
    pub(super) fn new(connection: quinn::Connection, next: Next, state: Rc<State>) -> Self {
        Self { connection, accepting: None, opening: None, next, state }
    }

    fn poll_open_uni(&mut self, context: &mut Context<'_>) -> Poll<Result<Writer, StreamErrorIncoming>> {
        let connection = &self.connection;
        let opening = self.opening.get_or_insert_with(|| {
            let connection = connection.clone();
            Box::pin(async move { connection.open_uni().await })
        });
        let opened = ready!(opening.as_mut().poll(context));
        self.opening = None;
        let stream = opened
            .map_err(|error| StreamErrorIncoming::ConnectionErrorIncoming { connection_error: of_connection(error) })?;
        Poll::Ready(Ok(Writer { stream, writing: None, is_over: false, state: Rc::clone(&self.state) }))
    }
}

impl Connection<Bytes> for Carrier {
    type RecvStream = Reader;
    type OpenStreams = Opener;

    fn poll_accept_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Reader, ConnectionErrorIncoming>> {
        let connection = &self.connection;
        let accepting = self.accepting.get_or_insert_with(|| {
            let connection = connection.clone();
            Box::pin(async move { connection.accept_uni().await })
        });
        let accepted = ready!(accepting.as_mut().poll(context));
        self.accepting = None;
        let held = Rc::new(Held { bytes: Cell::new(0), most: MOST_OF_CONTROL });
        let stream = accepted.map_err(of_connection)?;
        Poll::Ready(Ok(Reader { stream, held, is_over: false, state: Rc::clone(&self.state) }))
    }

    fn poll_accept_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Both, ConnectionErrorIncoming>> {
        // QUIC does not let the server open any: it was told that there may be none.
        Poll::Pending
    }

    fn opener(&self) -> Opener {
        Opener { connection: self.connection.clone(), next: self.next.clone(), state: Rc::clone(&self.state) }
    }
}

impl OpenStreams<Bytes> for Carrier {
    type BidiStream = Both;
    type SendStream = Writer;

    fn poll_open_bidi(&mut self, context: &mut Context<'_>) -> Poll<Result<Both, StreamErrorIncoming>> {
        OpenStreams::poll_open_bidi(&mut self.opener(), context)
    }

    fn poll_open_send(&mut self, context: &mut Context<'_>) -> Poll<Result<Writer, StreamErrorIncoming>> {
        self.poll_open_uni(context)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        close(&self.connection, code, reason);
    }
}

impl OpenStreams<Bytes> for Opener {
    type BidiStream = Both;
    type SendStream = Writer;

    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Both, StreamErrorIncoming>> {
        let Some(((send, recv), held)) = self.next.0.borrow_mut().take() else {
            return Poll::Ready(Err(StreamErrorIncoming::Unknown("no stream was opened for the request".into())));
        };
        let writer = Writer { stream: send, writing: None, is_over: false, state: Rc::clone(&self.state) };
        let reader = Reader { stream: recv, held, is_over: false, state: Rc::clone(&self.state) };
        Poll::Ready(Ok(Both { writer, reader }))
    }

    fn poll_open_send(&mut self, _: &mut Context<'_>) -> Poll<Result<Writer, StreamErrorIncoming>> {
        Poll::Ready(Err(StreamErrorIncoming::Unknown("only the driver opens such streams".into())))
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        close(&self.connection, code, reason);
    }
}

impl SendStream<Bytes> for Writer {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while let Some(data) = self.writing.as_mut().filter(|data| bytes::Buf::has_remaining(*data)) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, data.chunk())).map_err(of_write)?;
            data.advance(written);
            self.state.sent.set(self.state.sent.get() + written as u64);
        }
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.writing = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.is_over = true;
        Poll::Ready(self.stream.finish().map_err(|error| StreamErrorIncoming::Unknown(Box::new(error))))
    }

    fn reset(&mut self, code: u64) {
        self.is_over = true;
        let _ = self.stream.reset(VarInt::from_u64(code).unwrap_or(VarInt::MAX));
    }

    fn send_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

impl RecvStream for Reader {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        // Nothing is lost with the future: who waits is known to the connection.
        let chunk = match ready!(pin!(self.stream.read_chunk(usize::MAX, true)).poll(context)) {
            Ok(chunk) => chunk,
            Err(error) => {
                self.is_over = true;
                return Poll::Ready(Err(of_read(error)));
            }
        };
        let Some(chunk) = chunk else {
            self.is_over = true;
            return Poll::Ready(Ok(None));
        };
        let length = chunk.bytes.len() as u64;
        self.state.received.set(self.state.received.get() + length);
        let held = self.held.bytes.get() + length;
        self.held.bytes.set(held);
        if held > self.held.most {
            return Poll::Ready(Err(StreamErrorIncoming::Unknown(Box::new(Flood::OfBytes(self.held.most)))));
        }
        Poll::Ready(Ok(Some(chunk.bytes)))
    }

    fn stop_sending(&mut self, code: u64) {
        self.is_over = true;
        let _ = self.stream.stop(VarInt::from_u64(code).unwrap_or(VarInt::MAX));
    }

    fn recv_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

impl SendStream<Bytes> for Both {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.writer.poll_ready(context)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.writer.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.writer.poll_finish(context)
    }

    fn reset(&mut self, code: u64) {
        self.writer.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.writer.send_id()
    }
}

impl RecvStream for Both {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.reader.poll_data(context)
    }

    fn stop_sending(&mut self, code: u64) {
        self.reader.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.reader.recv_id()
    }
}

impl BidiStream<Bytes> for Both {
    type SendStream = Writer;
    type RecvStream = Reader;

    fn split(self) -> (Writer, Reader) {
        (self.writer, self.reader)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_over {
            self.reset(Code::H3_REQUEST_CANCELLED.value());
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.is_over {
            self.stop_sending(Code::H3_REQUEST_CANCELLED.value());
        }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Next")
    }
}

/// Closes a connection.
pub(super) fn close(connection: &quinn::Connection, code: Code, reason: &[u8]) {
    connection.close(VarInt::from_u64(code.value()).unwrap_or(VarInt::MAX), reason);
}

fn id(id: quinn::StreamId) -> StreamId {
    StreamId::try_from(u64::from(id)).expect("both are QUIC's")
}

fn of_connection(error: quinn::ConnectionError) -> ConnectionErrorIncoming {
    match error {
        quinn::ConnectionError::ApplicationClosed(closed) => {
            ConnectionErrorIncoming::ApplicationClose { error_code: closed.error_code.into_inner() }
        }
        quinn::ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        other => ConnectionErrorIncoming::Undefined(Arc::new(other)),
    }
}

fn of_read(error: ReadError) -> StreamErrorIncoming {
    match error {
        ReadError::Reset(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into_inner() },
        ReadError::ConnectionLost(error) => {
            StreamErrorIncoming::ConnectionErrorIncoming { connection_error: of_connection(error) }
        }
        other => StreamErrorIncoming::Unknown(Box::new(other)),
    }
}

fn of_write(error: WriteError) -> StreamErrorIncoming {
    match error {
        WriteError::Stopped(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into_inner() },
        WriteError::ConnectionLost(error) => {
            StreamErrorIncoming::ConnectionErrorIncoming { connection_error: of_connection(error) }
        }
        other => StreamErrorIncoming::Unknown(Box::new(other)),
    }
}
