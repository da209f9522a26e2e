//! What happens between handing a request over and the end of its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::asked::Asked;
use super::trip::Trip;
use crate::capability::http::check_size;
use crate::protocol::Error;
use crate::protocol::http::{Body, Header, Patience, Progress, Request, Response, Streaming, Target, Upload};

/// As long as nothing else ends it.
const LONGEST: Duration = Duration::from_hours(24);

/// An answer whose head has come.
pub(super) struct Begun {
    pub(super) head: (StatusCode, HeaderMap),
    pub(super) rest: Rest,
}

/// The rest of it.
pub(super) enum Rest {
    /// It came with the head.
    Here(Bytes),
    Live(Box<Live>),
}

/// An answer that is read as it comes. Dropping it gives up the rest, and records it.
pub(super) struct Live {
    trip: Trip,
    /// There until it is recorded.
    streaming: Option<Streaming>,
    status: u16,
    between_bytes: Duration,
}

/// A request until the head of its answer. Dropping it before records that it was not finished.
struct Underway {
    trip: Option<Trip>,
    progress: Progress,
    /// There while its body is sent.
    upload: Option<Upload>,
}

/// Sends a request and waits for the head of the answer.
pub(super) async fn begin(trip: Trip, target: Arc<Target>, asked: Asked) -> Result<Begun, Error> {
    let options = asked.options;
    let patience = Patience { connect: options.connect_timeout, first_byte: options.first_byte_timeout };
    let mut underway = Underway { trip: Some(trip), progress: Progress::new(patience), upload: None };
    match underway.run(&target, asked).await {
        Ok((response, streaming)) => {
            let trip = underway.trip.take().expect("nobody else takes it");
            let between_bytes = options.between_bytes_timeout.unwrap_or(trip.way.run.http.timeout);
            Ok(arrived(trip, response, streaming, between_bytes))
        }
        Err(error) => {
            underway.fail(error.clone());
            Err(error)
        }
    }
}

/// What a head that has come leaves to be read.
fn arrived(trip: Trip, mut response: Response, mut streaming: Streaming, between_bytes: Duration) -> Begun {
    if let Some(secrets) = &trip.way.run.secrets {
        // A server may give back what it was sent, and the guest is not to see it.
        secrets.redactor().mask(response.raw_mut());
    }
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let head = (status, response.header_map());
    let here = trip.way.client.take_whole(&mut streaming);
    let live = Box::new(Live { trip, streaming: Some(streaming), status: response.status, between_bytes });
    let rest = match here {
        Some(bytes) => {
            let bytes = live.shown(bytes);
            live.end(None);
            Rest::Here(bytes)
        }
        None => Rest::Live(live),
    };
    Begun { head, rest }
}

impl Underway {
    async fn run(&mut self, target: &Arc<Target>, asked: Asked) -> Result<(Response, Streaming), Error> {
        let Self { trip, progress, upload } = self;
        let trip = trip.as_ref().expect("it is taken at the end");
        let way = &trip.way;
        let Asked { method, url, headers, length, body, options } = asked;
        if let Some(pace) = &way.run.pace {
            // As in k6, a request begins when it may: its timeout and its times do not count the wait.
            pace.wait().await;
        }
        let mut size = method.len() + url.len();
        let mut given = Vec::with_capacity(headers.len());
        for (name, value) in &headers {
            let (name, bytes) = (name.as_str(), value.as_bytes());
            let value = std::str::from_utf8(bytes)
                .map_err(|_| Error::InvalidRequest(format!("header `{name}` has a value that is not UTF-8")))?;
            size += name.len() + value.len();
            given.push(Header { name, value });
        }
        let mut body = Outbound::new(body, length).await?;
        let limit = way.run.limits.request_bytes;
        let first = body.as_mut().and_then(|body| body.first.take());
        let announced = length.unwrap_or(first.as_ref().map_or(0, |first| first.len() as u64));
        check_size(size as u64 + announced, limit)?;
        let timeout = way.run.http.timeout;
        // Whoever says how long it waits for the first byte waits so long.
        let until_head = if options.first_byte_timeout.is_some() { LONGEST } else { timeout };
        let framed = body.as_ref().map(|_| Body::Later(length));
        let sent = Request { method: &method, target, headers: &given, body: framed, keep_body: true };
        let deadline = Instant::now() + until_head;
        let Some(mut body) = body else {
            return way.client.begin_as_is(&sent, target, deadline, progress).await;
        };
        let upload = upload.insert(way.client.start_as_is(&sent, target, deadline, progress).await?);
        let mut next = first;
        while let Some(bytes) = next {
            size += bytes.len();
            check_size(size as u64, limit)?;
            way.client.write(upload, &bytes, Instant::now() + timeout).await?;
            next = body.next().await?;
        }
        let upload = self.upload.take().expect("it was put there");
        let deadline = Instant::now() + until_head;
        way.client.answer(upload, deadline, progress).await
    }

    fn fail(&mut self, error: Error) {
        let Some(trip) = self.trip.take() else { return };
        let exchange = match &self.upload {
            Some(upload) => upload.exchange(error),
            None => std::mem::take(&mut self.progress).into_exchange(Err(error)),
        };
        trip.record(&exchange, false);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.fail(Error::Other("the request was not finished".to_owned()));
    }
}

/// The body of a request, which its guest may still be writing.
struct Outbound {
    body: HyperOutgoingBody,
    first: Option<Bytes>,
}

impl Outbound {
    /// Waits for the first of a body; `None` where there is none.
    async fn new(body: Option<HyperOutgoingBody>, length: Option<u64>) -> Result<Option<Self>, Error> {
        let Some(body) = body else { return Ok(None) };
        let mut body = Self { body, first: None };
        body.first = body.next().await?;
        Ok((body.first.is_some() || length.is_some()).then_some(body))
    }

    /// The next of it; `None` at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self.body.frame().await {
            None => Ok(None),
            Some(Ok(frame)) => frame
                .into_data()
                .map(Some)
                .map_err(|_| Error::InvalidRequest("a request's trailers cannot be sent".to_owned())),
            Some(Err(_)) => Err(Error::InvalidRequest("the request's body was given up".to_owned())),
        }
    }
}

/// Reads what comes next; `None` at the end.
pub(super) async fn read(mut live: Box<Live>) -> (Box<Live>, Result<Option<Bytes>, Error>) {
    let came = live.next().await;
    (live, came)
}

impl Live {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(streaming) = &mut self.streaming else { return Ok(None) };
        let run = &self.trip.way.run;
        let came = self.trip.way.client.read_as_is(streaming, Instant::now() + self.between_bytes).await?;
        if streaming.lengths().0 > run.http.max_body {
            return Err(Error::TooLarge(run.http.max_body));
        }
        Ok(came.map(|bytes| self.shown(bytes)))
    }

    /// Bytes as the guest may see them.
    fn shown(&self, mut bytes: Vec<u8>) -> Bytes {
        if let Some(secrets) = &self.trip.way.run.secrets {
            secrets.redactor().mask(&mut bytes);
        }
        bytes.into()
    }

    /// Records it.
    pub(super) fn end(mut self: Box<Self>, error: Option<Error>) {
        self.finish(error);
    }

    fn finish(&mut self, error: Option<Error>) {
        let Some(streaming) = self.streaming.take() else { return };
        let expected = error.is_none() && self.trip.is_expected(self.status);
        self.trip.record(&streaming.exchange(error), expected);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(streaming) = &mut self.streaming {
            self.trip.way.client.give_up(streaming);
            self.finish(None);
        }
    }
}
