//! The body of an answer on its way out.
//!
//! Whoever sends an answer is done with its body when as many bytes went out as the head announced; then the instance that
//! writes it finds its stream closed, although it did nothing wrong. So a body that went out whole is kept and read on until
//! the instance has ended.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use http::header::CONTENT_LENGTH;
use http::{Method, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty};
use tokio::sync::oneshot;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// Where a body goes that went out whole.
pub(super) type Rest = oneshot::Sender<HyperOutgoingBody>;

struct Outgoing {
    body: HyperOutgoingBody,
    /// What is still to go out, if that was announced.
    left: Option<u64>,
    rest: Option<Rest>,
}

/// Has the body of an answer handed over when it went out whole.
pub(super) fn outgoing(
    response: Response<HyperOutgoingBody>,
    method: &Method,
    rest: Rest,
) -> Response<HyperOutgoingBody> {
    let announced = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    // An answer to HEAD announces what it does not have.
    let left = if *method == Method::HEAD { Some(0) } else { announced };
    response.map(|body| Outgoing { body, left, rest: Some(rest) }.boxed_unsync())
}

/// Reads the rest of a body that went out whole; never ends.
pub(super) async fn drain(rest: oneshot::Receiver<HyperOutgoingBody>) {
    if let Ok(mut body) = rest.await {
        while let Some(Ok(_)) = body.frame().await {}
    }
    std::future::pending::<()>().await;
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, &mut self.left) {
            *left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.remaining() as u64));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if let (Some(0), Some(rest)) = (self.left, self.rest.take()) {
            let none = Empty::new().map_err(|never| match never {}).boxed_unsync();
            // An instance that has ended already has nothing more to write.
            let _ = rest.send(mem::replace(&mut self.body, none));
        }
    }
}
