//! `streams`: answers read as they come, and bodies sent piece by piece.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use send_wrapper::SendWrapper;
use tokio::time::Instant;

use super::super::Host;
use super::super::local::Label;
use super::super::secret::Secrets;
use super::responses::Answer;
use super::sender::{Asked, LONGEST_TIMEOUT, Sender, check_size};
use super::watch;
use crate::protocol::Error;
use crate::protocol::http::{Body, Client, Exchange, Request, Streaming, Target, Upload};
use crate::wit::{http, streams};

/// Streams and uploads that a VU may have open.
const MOST: u32 = 100;

/// What comes of an answer that is read as it comes.
#[derive(Debug)]
pub(in super::super) enum Piece {
    Bytes(Vec<u8>),
    /// Nothing yet.
    Nothing,
    End,
}

/// What is open. A VU without streams has none of it.
#[derive(Debug, Default)]
pub(in super::super) struct Streams(Option<Box<Open>>);

#[derive(Debug, Default)]
struct Open {
    answers: BTreeMap<u32, Live>,
    uploads: BTreeMap<u32, Uploading>,
}

/// An answer that is read as it comes.
#[derive(Debug)]
enum Live {
    Running(Box<Running>),
    /// It was read to its end; when its last bytes came.
    Ended(Duration),
}

#[derive(Debug)]
struct Running {
    streaming: Streaming,
    request: http::Request,
    /// The last hop.
    method: String,
    url: String,
    expected: bool,
    throws: bool,
    scope: u32,
    group: u32,
    deadline: Option<Instant>,
}

#[derive(Debug)]
struct Uploading {
    upload: Upload,
    request: http::Request,
    target: Arc<Target>,
    jar: u32,
    throws: bool,
    deadline: Option<Instant>,
    /// Bytes of the body that were given.
    given: u64,
}

/// An answer that is being opened.
#[derive(Debug, Default)]
pub(super) struct Opened {
    streaming: Option<Streaming>,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) expected: bool,
}

impl Opened {
    /// Waits for the head of an answer.
    pub(super) async fn begin(
        &mut self,
        client: &Client,
        request: &Request<'_>,
        deadline: Instant,
        target: &Arc<Target>,
    ) -> Exchange {
        let (exchange, streaming) = SendWrapper::new(Box::pin(client.begin(request, target, deadline))).await;
        self.streaming = streaming;
        exchange
    }

    /// Reads what is left of an answer that is not the last; returns whether it is to be recorded now.
    pub(super) async fn settle(
        &mut self,
        client: &Client,
        exchange: &mut Exchange,
        is_last: bool,
        deadline: Instant,
    ) -> bool {
        let Some(streaming) = self.streaming.as_mut().filter(|_| !is_last) else {
            return self.streaming.is_none();
        };
        let drained = SendWrapper::new(Box::pin(client.drain(streaming, deadline))).await;
        let whole = streaming.exchange(None);
        (exchange.timings, exchange.received) = (whole.timings, whole.received);
        if let Err(error) = drained {
            exchange.result = Err(error);
        }
        self.streaming = None;
        true
    }
}

impl streams::Host for Host {
    async fn open(
        &mut self,
        request: http::Request,
        options: http::RequestOptions,
    ) -> Result<http::Response, http::Error> {
        self.called();
        let (begun, mut opened) = (Instant::now(), Opened::default());
        let asked = Asked { request: &request, options: Some(&options) };
        let answer = if let Err(full) = self.check_room() {
            Err(self.sender().refuse(&request, &request.method, full))
        } else {
            let sender = self.sender();
            let (answer, waited) = watch(pin!(sender.open(asked, &mut opened))).await;
            self.activity.waited |= waited;
            answer
        };
        self.failures.begin_call();
        let response = self.keep(0, asked, answer)?;
        if let Some(streaming) = opened.streaming {
            let Opened { method, url, expected, .. } = opened;
            let throws = asked.throws(self.run.http.throw);
            let (scope, group) = (self.scope, self.groups.current());
            let deadline = deadline(begun, &request);
            let running = Running { streaming, request, method, url, expected, throws, scope, group, deadline };
            self.streams.open().answers.insert(response.id, Live::Running(Box::new(running)));
        }
        Ok(response)
    }

    async fn read(&mut self, id: u32, at_most: u32) -> Result<Option<Vec<u8>>, http::Error> {
        self.called();
        let deadline = Instant::now() + self.run.http.timeout;
        match self.read_piece(id, at_most as usize, deadline, None).await? {
            Piece::Bytes(bytes) => Ok(Some(bytes)),
            Piece::Nothing | Piece::End => Ok(None),
        }
    }

    fn arrived(&mut self, id: u32) -> f64 {
        let clock = self.clock;
        match self.streams.open().answers.get(&id) {
            Some(Live::Running(running)) => clock.milliseconds(running.streaming.arrived()),
            Some(Live::Ended(arrived)) => clock.milliseconds(*arrived),
            None => f64::NAN,
        }
    }

    fn close(&mut self, id: u32) {
        self.called();
        if let Some(Live::Running(running)) = self.streams.open().answers.get_mut(&id) {
            self.client.give_up(&mut running.streaming);
        }
        self.end_stream(id, None);
        self.streams.open().answers.remove(&id);
    }

    async fn start(
        &mut self,
        request: http::Request,
        options: http::RequestOptions,
        length: Option<u32>,
    ) -> Result<u32, http::Error> {
        self.called();
        let asked = Asked { request: &request, options: Some(&options) };
        let started = if let Err(full) = self.check_room() {
            Err(self.sender().refuse(&request, &request.method, full))
        } else {
            let sender = self.sender();
            let (started, waited) = watch(pin!(sender.start(asked, length))).await;
            self.activity.waited |= waited;
            started
        };
        self.failures.begin_call();
        let throws = asked.throws(self.run.http.throw);
        let started = started.and_then(|started| Ok((started, self.responses.next_id()?)));
        match started {
            Ok(((upload, target, jar, begun), id)) => {
                let deadline = deadline(begun, &request);
                let uploading = Uploading { upload, request, target, jar, throws, deadline, given: 0 };
                self.streams.open().uploads.insert(id, uploading);
                Ok(id)
            }
            Err(error) => {
                self.failures.add(0, &request, &error, throws);
                Err(self.told(error))
            }
        }
    }

    async fn write(&mut self, upload: u32, bytes: Vec<u8>) -> Result<(), http::Error> {
        self.called();
        let Some(uploading) = self.streams.open().uploads.get_mut(&upload) else { return Err(no_upload(upload)) };
        let deadline = uploading.deadline.unwrap_or_else(|| Instant::now() + self.run.http.timeout);
        uploading.given += bytes.len() as u64;
        let written = if let Err(larger) = check_size(uploading.given, self.run.limits.request_bytes) {
            Err(larger)
        } else if self.run.secrets.is_some() && Secrets::is_named(&bytes) {
            // Its length may be announced, and its pieces may cut a name in two.
            let message = "a body that is sent piece by piece cannot name a secret: a whole body or a header can";
            Err(Error::InvalidRequest(message.to_owned()))
        } else {
            let write = self.client.write(&mut uploading.upload, &bytes, deadline);
            let (written, waited) = watch(pin!(SendWrapper::new(Box::pin(write)))).await;
            self.activity.waited |= waited;
            written
        };
        let Err(error) = written else { return Ok(()) };
        if let Some(uploading) = self.streams.open().uploads.remove(&upload) {
            self.failures.begin_call();
            self.failures.add(0, &uploading.request, &error, uploading.throws);
            self.record_upload(&uploading, &error);
        }
        Err(self.told(error))
    }

    async fn finish(&mut self, upload: u32) -> Result<http::Response, http::Error> {
        self.called();
        let Some(uploading) = self.streams.open().uploads.remove(&upload) else { return Err(no_upload(upload)) };
        let Uploading { upload, request, target, jar, throws, deadline, .. } = uploading;
        let deadline = deadline.unwrap_or_else(|| Instant::now() + self.run.http.timeout);
        let sender = self.sender();
        let (answer, waited) = watch(pin!(sender.finish(upload, &request, &target, jar, deadline))).await;
        self.activity.waited |= waited;
        self.failures.begin_call();
        self.try_keep(answer).map_err(|error| {
            self.failures.add(0, &request, &error, throws);
            self.told(error)
        })
    }
}

impl Sender<'_> {
    /// Sends the head of a request whose body follows; returns where it goes, its jar, and when it began.
    async fn start(&self, asked: Asked<'_>, length: Option<u32>) -> Result<(Upload, Arc<Target>, u32, Instant), Error> {
        let request = asked.request;
        let refuse = |error| self.refuse(request, &request.method, error);
        let begun = Instant::now();
        let filled = self.fill(asked).map_err(refuse)?;
        let (mut hop, deadline) = self.first_hop(asked, filled.as_deref(), None).map_err(refuse)?;
        if let Some(filled) = &filled {
            filled.check(&hop).map_err(refuse)?;
        }
        let has_body = request.body.is_some()
            || asked.options.is_some_and(|options| options.body.is_some() || !options.compression.is_empty());
        if has_body {
            let message = "the body of an upload is what is written to it: it has no other, and no compression";
            return Err(refuse(Error::InvalidRequest(message.to_owned())));
        }
        check_size(length.map_or(0, u64::from), self.run.limits.request_bytes).map_err(refuse)?;
        hop.body = Some(Body::Later(length.map(u64::from)));
        let own = hop.own(self.jars);
        let all = own.as_ref().map(|own| hop.with_own(own));
        let headers = all.as_deref().unwrap_or(&hop.headers);
        let keep_body = !asked.discards_body(self.run.http.discard_bodies);
        let sent = Request { method: hop.method, target: &hop.target, headers, body: hop.body, keep_body };
        match SendWrapper::new(Box::pin(self.client.start(&sent, &hop.target, deadline))).await {
            Ok(upload) => Ok((upload, Arc::clone(&hop.target), hop.session.jar, begun)),
            Err(exchange) => {
                self.local.add_request(&self.label(request, hop.method, hop.target.url(), false), &exchange);
                Err(self.noted(exchange.result.err().unwrap_or(Error::Reset)))
            }
        }
    }

    /// Ends a body, reads the whole answer and records it.
    async fn finish(
        &self,
        upload: Upload,
        request: &http::Request,
        target: &Arc<Target>,
        jar: u32,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let mut exchange = SendWrapper::new(Box::pin(self.client.finish(upload, deadline))).await;
        if let Ok(response) = &mut exchange.result {
            let decoded = SendWrapper::new(Box::pin(response.decode(self.run.http.max_body))).await;
            if response.has_cookies {
                self.jars.receive(jar, response, target);
            }
            if let Err(error) = decoded {
                exchange.result = Err(error);
            }
        }
        let expected = exchange.result.as_ref().is_ok_and(|response| self.is_expected(request, response.status));
        self.local.add_request(&self.label(request, &request.method, target.url(), expected), &exchange);
        let (timings, peer, target) = (exchange.timings, exchange.peer, Arc::clone(target));
        Ok(Answer { response: exchange.result?, timings, peer, redirects: 0, target })
    }
}

impl Host {
    /// Waits for more of an answer, no longer than its own deadline says, or this one where it has none, which is an error
    /// then; and no longer than `patience`, which is none.
    pub(in super::super) async fn read_piece(
        &mut self,
        id: u32,
        at_most: usize,
        deadline: Instant,
        patience: Option<Instant>,
    ) -> Result<Piece, http::Error> {
        let running = match self.streams.open().answers.get_mut(&id) {
            Some(Live::Running(running)) => running,
            Some(Live::Ended(_)) => return Ok(Piece::End),
            None => return Err(http::Error::Other(format!("no stream {id} is open"))),
        };
        let deadline = running.deadline.unwrap_or(deadline);
        // Bytes that are here already, or are made of few, would never meet the deadline by themselves.
        let read = if Instant::now() >= deadline {
            Some(Err(Error::Timeout))
        } else {
            let read =
                self.client.read_for_now(&mut running.streaming, at_most, deadline, patience.unwrap_or(deadline));
            let (read, waited) = watch(pin!(SendWrapper::new(Box::pin(read)))).await;
            self.activity.waited |= waited;
            read
        };
        match read {
            None => Ok(Piece::Nothing),
            Some(Ok(Some(mut bytes))) => {
                if let Some(secrets) = &self.run.secrets {
                    secrets.redactor().mask(&mut bytes);
                }
                Ok(Piece::Bytes(bytes))
            }
            Some(Ok(None)) => {
                self.end_stream(id, None);
                Ok(Piece::End)
            }
            Some(Err(error)) => Err(self.break_off(id, error)),
        }
    }

    /// Ends an answer as one that never came whole.
    pub(in super::super) fn break_off(&mut self, id: u32, error: Error) -> http::Error {
        self.end_stream(id, Some(error.clone()));
        self.told(error)
    }

    /// When the request of a stream was written, and when its answer's last bytes came that were read.
    pub(in super::super) fn moments(&self, id: u32) -> Option<(std::time::Instant, std::time::Instant)> {
        match self.streams.0.as_ref()?.answers.get(&id)? {
            Live::Running(running) => Some((running.streaming.sent_at(), running.streaming.arrived_at())),
            Live::Ended(_) => None,
        }
    }

    /// Records a stream that is over, and completes what is kept of its answer.
    fn end_stream(&mut self, id: u32, error: Option<Error>) {
        let Some(live) = self.streams.open().answers.get_mut(&id) else { return };
        let Live::Running(running) = &*live else { return };
        let arrived = running.streaming.arrived();
        let Live::Running(running) = std::mem::replace(live, Live::Ended(arrived)) else { return };
        let exchange = running.streaming.exchange(error);
        if let Err(error) = &exchange.result {
            self.streams.open().answers.remove(&id);
            self.failures.begin_call();
            self.failures.add(0, &running.request, error, running.throws);
        }
        let label = Label {
            scope: running.scope,
            group: running.group,
            method: &running.method,
            url: &running.url,
            name: running.request.name.as_deref(),
            tags: &running.request.tags,
            expected: running.expected && exchange.result.is_ok(),
        };
        self.local.add_request(&label, &exchange);
        if let Some(answer) = self.responses.get_mut(id) {
            answer.timings = exchange.timings;
            (answer.response.body_length, answer.response.encoded_length) = running.streaming.lengths();
        }
    }

    fn record_upload(&self, uploading: &Uploading, error: &Error) {
        let label = self.sender().label(&uploading.request, &uploading.request.method, uploading.target.url(), false);
        self.local.add_request(&label, &uploading.upload.exchange(error.clone()));
    }

    /// Refuses one more than may be under way.
    fn check_room(&self) -> Result<(), Error> {
        let most = self.run.limits.requests_in_flight.min(MOST);
        if self.streams.running().saturating_add(self.outgoing_running()) < most {
            return Ok(());
        }
        let limit = if most < MOST { " (`limits.requestsInFlight`)" } else { "" };
        Err(Error::InvalidRequest(format!("{most} streams and uploads are open, and no more may be{limit}")))
    }

    /// Ends what an iteration has left open.
    pub(in super::super) fn end_streams(&mut self) {
        let Some(open) = &self.streams.0 else { return };
        let ids: Vec<u32> = open.answers.keys().copied().collect();
        for id in ids {
            self.end_stream(id, None);
        }
        let uploads = self.streams.0.take().map(|open| open.uploads).unwrap_or_default();
        for uploading in uploads.values() {
            self.record_upload(uploading, &Error::Other("the upload was not finished".to_owned()));
        }
    }
}

impl Streams {
    fn open(&mut self) -> &mut Open {
        self.0.get_or_insert_default()
    }

    /// Streams and uploads that are under way.
    pub(in super::super) fn running(&self) -> u32 {
        self.0.as_ref().map_or(0, |open| {
            let running = open.answers.values().filter(|live| matches!(live, Live::Running(_))).count();
            u32::try_from(running + open.uploads.len()).unwrap_or(u32::MAX)
        })
    }
}

/// When a stream ends that has a timeout of its own, which was checked when it began.
fn deadline(begun: Instant, request: &http::Request) -> Option<Instant> {
    request.timeout.map(|timeout| begun + Duration::from_secs_f64(timeout.min(LONGEST_TIMEOUT) / 1e3))
}

fn no_upload(id: u32) -> http::Error {
    http::Error::Other(format!("no upload {id} is open"))
}
