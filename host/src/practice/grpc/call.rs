//! A call: the messages that come in, the deadline, and the answer's frames.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use prost::Message;

use super::super::MAX_BODY;
use super::super::stats::Flight;
use super::status::{self, Status};

/// A message's prefix: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A call that is being answered.
pub(super) struct Call {
    body: Body,
    buffer: BytesMut,
    deadline: Option<Instant>,
    /// What is to be said back of the metadata.
    pub(super) metadata: Vec<(HeaderName, HeaderValue)>,
    pub(super) received: u32,
    _flight: Flight,
}

/// What becomes of a call, step by step.
pub(super) trait Steps: Send + 'static {
    /// The next message, or how it ends.
    fn step(&mut self, call: &mut Call) -> impl Future<Output = Result<Bytes, Status>> + Send;
}

impl Call {
    pub(super) fn new(headers: &HeaderMap, body: Body, flight: Flight) -> Self {
        let metadata = headers.iter().filter(|(name, _)| name.as_str().starts_with("x-"));
        Self {
            body,
            buffer: BytesMut::new(),
            deadline: timeout(headers).and_then(|timeout| Instant::now().checked_add(timeout)),
            metadata: metadata.map(|(name, value)| (name.clone(), value.clone())).collect(),
            received: 0,
            _flight: flight,
        }
    }

    /// The next message; none when there are no more.
    pub(super) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        loop {
            if let Some(message) = self.take()? {
                self.received += 1;
                let message = M::decode(message).map_err(|error| Status::new(13, error.to_string()))?;
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Status::new(13, "the last message is not complete")),
                Some(Err(error)) => return Err(Status::new(1, error.to_string())),
            }
        }
    }

    /// The one message of a call that has one.
    pub(super) async fn only<M: Message + Default>(&mut self) -> Result<M, Status> {
        let message = self.next().await?;
        message.ok_or_else(|| Status::new(13, "there is no message"))
    }

    /// Waits, but not beyond the deadline.
    pub(super) async fn wait(&mut self, milliseconds: u32) -> Result<(), Status> {
        if milliseconds == 0 {
            return Ok(());
        }
        self.in_time(tokio::time::sleep(Duration::from_millis(milliseconds.into()))).await
    }

    /// The next message, if it comes before the deadline.
    pub(super) async fn next_in_time<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        match self.deadline {
            None => self.next().await,
            Some(deadline) => {
                tokio::time::timeout_at(deadline.into(), self.next()).await.unwrap_or_else(|_| Err(too_late()))
            }
        }
    }

    /// Does something, but not beyond the deadline.
    async fn in_time<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Status> {
        match self.deadline {
            None => Ok(work.await),
            Some(deadline) => tokio::time::timeout_at(deadline.into(), work).await.map_err(|_| too_late()),
        }
    }

    /// Answers with one message, or with none where it did not go well.
    pub(super) fn reply(&self, reply: Result<Bytes, Status>) -> Response {
        let mut response = status::head();
        status::copy(&self.metadata, response.headers_mut());
        let status = reply.as_ref().err().cloned().unwrap_or_default();
        let Ok(message) = reply else {
            self.close(&status, response.headers_mut());
            return response;
        };
        let mut trailers = HeaderMap::new();
        self.close(&status, &mut trailers);
        let body = Full::new(message).with_trailers(std::future::ready(Some(Ok::<_, Infallible>(trailers))));
        *response.body_mut() = Body::new(body);
        response
    }

    /// Answers with one message after the other.
    pub(super) fn stream(self, steps: impl Steps) -> Response {
        let mut response = status::head();
        status::copy(&self.metadata, response.headers_mut());
        let frames = stream::unfold(Some((self, steps)), |running| async move {
            let (mut call, mut steps) = running?;
            let deadline = call.deadline;
            let step = steps.step(&mut call);
            let step = match deadline {
                None => step.await,
                Some(deadline) => {
                    tokio::time::timeout_at(deadline.into(), step).await.unwrap_or_else(|_| Err(too_late()))
                }
            };
            match step {
                Ok(message) => Some((Ok::<_, Infallible>(Frame::data(message)), Some((call, steps)))),
                Err(status) => {
                    let mut trailers = HeaderMap::new();
                    call.close(&status, &mut trailers);
                    Some((Ok(Frame::trailers(trailers)), None))
                }
            }
        });
        *response.body_mut() = Body::new(StreamBody::new(frames));
        response
    }

    fn close(&self, status: &Status, trailers: &mut HeaderMap) {
        status.put(trailers);
        if trailers.get(http::header::CONTENT_TYPE).is_none() {
            status::copy(&self.metadata, trailers);
        }
        trailers.insert("squall-received", HeaderValue::from(self.received));
    }

    /// A message that is complete.
    fn take(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        match prefix[0] {
            _ if length > MAX_BODY => Err(Status::new(8, "the message is over 16 MiB")),
            0 if self.buffer.len() < PREFIX + length => Ok(None),
            0 => {
                self.buffer.advance(PREFIX);
                Ok(Some(self.buffer.split_to(length).freeze()))
            }
            _ => Err(Status::new(12, "compressed messages are not understood")),
        }
    }
}

/// A message as it goes on the wire.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).expect("what is said back came in a message of at most 16 MiB"));
    message.encode(&mut bytes).expect("a buffer grows");
    bytes.freeze()
}

fn too_late() -> Status {
    Status::new(4, "the deadline is over")
}

/// `grpc-timeout`: up to eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.saturating_mul(3600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_a_number_and_a_unit() {
        let of = |text: &'static str| {
            timeout(&HeaderMap::from_iter([(HeaderName::from_static("grpc-timeout"), HeaderValue::from_static(text))]))
        };
        assert_eq!(of("250m"), Some(Duration::from_millis(250)));
        assert_eq!(of("2S"), Some(Duration::from_secs(2)));
        assert_eq!(of("99999999H"), Some(Duration::from_hours(99_999_999)));
        for text in ["", "m", "5", "-1S", "5x"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
