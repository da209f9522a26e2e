//! What happens between handing a request over and the end of its answer.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::asked::Asked;
use super::trip::Trip;
use super::{Way, filled};
use crate::capability::http::{check_size, debug};
use crate::plan::http::Debug;
use crate::protocol::Error;
use crate::protocol::http::{Body, Header, Patience, Progress, Request, Response, Streaming, Target, Upload};
use crate::wit::log::Level;

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
    let mut live = Box::new(Live { trip, streaming: Some(streaming), status: response.status, between_bytes });
    let rest = match here {
        Some(bytes) => {
            let bytes = live.shown(bytes);
            live.finish(None);
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
        let run = &trip.way.run;
        let Asked { method, url, headers, length, body, options } = asked;
        let secrets = run.secrets.as_deref();
        filled::check_url(secrets, &url)?;
        if let Some(pace) = &run.pace {
            // As in k6, a request begins when it may: its timeout and its times do not count the wait.
            pace.wait().await;
        }
        let texts = filled::headers(secrets, target, &headers)?;
        let given: Vec<_> = texts.iter().map(|(name, value)| Header { name, value }).collect();
        let size = given.iter().map(|header| header.name.len() + header.value.len()).sum::<usize>();
        let mut body = body.map(Outbound::new);
        let whole = match (secrets, &mut body) {
            (Some(secrets), Some(body)) => filled::body(secrets, target, body).await?,
            _ => None,
        };
        let first = match &mut body {
            Some(body) if whole.is_none() => body.next().await?,
            _ => None,
        };
        let framed = match (&whole, &first) {
            (Some(whole), _) if !whole.is_empty() || length.is_some() => Some(Body::Whole(whole)),
            (None, Some(_)) => Some(Body::Later(length)),
            (None, None) if length.is_some() => Some(Body::Whole(&[])),
            _ => None,
        };
        // Whoever says how long it waits for the first byte waits so long.
        let until_head = if options.first_byte_timeout.is_some() { LONGEST } else { run.http.timeout };
        let sent = Request { method: &method, target, headers: &given, body: framed, keep_body: true };
        let size = (method.len() + url.len() + size) as u64;
        let known = framed.map_or(0, Body::length) as u64;
        check_size(size.saturating_add(known.max(length.unwrap_or(0))), run.limits.request_bytes)?;
        let begun = async {
            let client = &trip.way.client;
            let deadline = Instant::now() + until_head;
            let (Some(mut body), Some(first)) = (body, first) else {
                return client.begin_as_is(&sent, target, deadline, progress).await;
            };
            let current = upload.insert(client.start_as_is(&sent, target, deadline, progress).await?);
            let (mut next, mut size) = (Some(first), size);
            while let Some(bytes) = next {
                size += bytes.len() as u64;
                check_size(size, run.limits.request_bytes)?;
                filled::check_piece(secrets, &bytes)?;
                client.write(current, &bytes, Instant::now() + run.http.timeout).await?;
                next = body.next().await?;
            }
            let upload = upload.take().expect("it was put there");
            client.answer(upload, Instant::now() + until_head, progress).await
        };
        let begun = begun.await;
        match run.http.debug {
            None => begun,
            Some(debug) => show(&trip.way, debug, &sent, progress, begun),
        }
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
pub(super) struct Outbound {
    body: HyperOutgoingBody,
    /// What was read of it and is not sent.
    ahead: Option<Bytes>,
}

impl Outbound {
    fn new(body: HyperOutgoingBody) -> Self {
        Self { body, ahead: None }
    }

    pub(super) fn put_back(&mut self, bytes: Bytes) {
        self.ahead = Some(bytes);
    }

    /// The next of it; `None` at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
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

/// Shows what went over the wire, and hands it on.
fn show(
    way: &Way,
    debug: Debug,
    sent: &Request<'_>,
    progress: &Progress,
    begun: Result<(Response, Streaming), Error>,
) -> Result<(Response, Streaming), Error> {
    let (head, streaming) = match begun {
        Ok((head, streaming)) => (Ok(head), Some(streaming)),
        Err(error) => (Err(error), None),
    };
    let exchange = progress.clone().into_exchange(head);
    let redactor = way.run.secrets.as_ref().map(|secrets| &**secrets.redactor());
    let text = debug::hop(debug, &way.run.http, sent, &exchange, redactor);
    way.run.sink.log(way.vu, &way.scenario, Level::Info, text);
    Ok((exchange.result?, streaming.expect("where there is a head, there is what follows it")))
}

/// What reading came to; `None` at the end.
type Came = Result<Option<Bytes>, Error>;

/// An answer that is read on.
pub(super) type Reading = Pin<Box<dyn Future<Output = (Box<Live>, Came)>>>;

/// Reads what comes next.
pub(super) async fn read(mut live: Box<Live>) -> (Box<Live>, Came) {
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

    /// Records it, once.
    pub(super) fn finish(&mut self, error: Option<Error>) {
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
