//! The body of an answer as wasmtime reads it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use send_wrapper::SendWrapper;
use wasmtime_wasi_http::Error as Wasi;

use super::flight::Flight;

/// The body of an answer that is read as it comes: nothing is read that nobody asked for. Dropping it gives up the rest.
pub(super) struct Answer(SendWrapper<Rc<Flight>>);

impl Answer {
    pub(super) fn new(flight: Rc<Flight>) -> Self {
        Self(SendWrapper::new(flight))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Wasi;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Wasi>>> {
        self.0.poll_read(context).map(|read| read.map(|bytes| bytes.map(Frame::data)))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.give_up();
    }
}
