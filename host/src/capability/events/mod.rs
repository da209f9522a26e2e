//! `events`: answers that are streams of events, over the HTTP streams that `capability::http` measures.
//!
//! What is pure has a file of its own: [`sse`] and [`lines`] make events of bytes, [`tokens`] finds tokens in events,
//! [`pulse`] keeps the times. [`stream`] is one stream with its numbers. Here is what waits: opening, reading, and taking a
//! stream up again.

mod ask;
mod lines;
mod parser;
mod pulse;
mod sse;
mod stream;
mod tokens;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Host;
use super::http::{Answer as Answered, Piece};
use super::secret::Secrets;
use crate::protocol::Error as Broken;
use crate::wit::events::{self, Answer, Coming, Error, Event, Options, Request, Summary};
use crate::wit::{http, streams};
use ask::{check, content_type, to_http};
use parser::{Block, TooLarge};
use stream::{State, Stream, format_tag};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;
/// The most of a body that is no stream.
const BODY: usize = 64 << 10;
/// Streams that a VU may have that are not closed, those that are over included.
const MOST: usize = 1000;
/// The longest wait before a stream is taken up again, in milliseconds: 1 day.
const LONGEST_RETRY: f64 = 8.64e7;

/// The streams of an iteration. A VU without any has none of it.
#[derive(Debug, Default)]
pub(super) struct Events(BTreeMap<u32, Stream>);

impl Events {
    fn get(&mut self, id: u32) -> Result<&mut Stream, Error> {
        self.0.get_mut(&id).ok_or(Error::Stale(id))
    }
}

impl events::Host for Host {
    async fn open(&mut self, request: Request, options: Options) -> Result<Answer, Error> {
        self.called();
        check(&options).map_err(Error::InvalidRequest)?;
        if self.events.0.len() >= MOST {
            let message = format!("{MOST} streams of events are not closed, and no more may be");
            return Err(Error::InvalidRequest(message));
        }
        // A connection that is made again is no request without an answer.
        let throw = (options.reconnects > 0).then_some(false);
        let (began, request) = (Instant::now(), to_http(request, &options));
        let response = streams::Host::open(self, request.clone(), ask::options(throw)).await.map_err(to_guest)?;
        let id = response.id;
        let (sent, _) = self.moments(id).unwrap_or_else(|| (began.into_std(), began.into_std()));
        let deadline = request.timeout.and_then(|timeout| {
            // It was checked when the request was made, so it is no longer than a day.
            began.checked_add(Duration::try_from_secs_f64(timeout / 1e3).ok()?)
        });
        let headers = http::Host::headers(self, id).unwrap_or_default();
        let tags = self.stream_tags(id, &request, &options);
        let waiting = self.responses.get(id).map_or(Duration::ZERO, Answered::waiting);
        let mut answer = Answer {
            id,
            status: response.status,
            streams: is_stream(response.status),
            headers: headers.into_iter().map(|http::Pair { name, value }| events::Pair { name, value }).collect(),
            body: Vec::new(),
            waiting: self.clock.milliseconds(waiting),
        };
        if !answer.streams {
            answer.body = self.read_body(id).await?;
        } else if let Some(other) = self.other_content_type(id, &options) {
            self.drop_answer(id);
            return Err(Error::ContentType(other));
        }
        let state = if answer.streams { State::Reading(id) } else { State::Ended };
        let stream = Stream::new(state, request, options, deadline, sent, tags);
        self.events.0.insert(id, stream);
        Ok(answer)
    }

    async fn next(&mut self, id: u32, timeout: Option<f64>) -> Result<Coming, Error> {
        self.called();
        let patience = match timeout {
            None => None,
            Some(timeout) if timeout >= 0.0 => {
                Some(Instant::now() + Duration::from_secs_f64(timeout.min(LONGEST_RETRY) / 1e3))
            }
            Some(other) => return Err(Error::InvalidRequest(format!("a timeout of {other} ms is not possible"))),
        };
        let coming = self.coming(id, patience).await;
        if matches!(coming, Err(_) | Ok(Coming::End))
            && let Ok(stream) = self.events.get(id)
        {
            stream.end(&self.local);
        }
        coming
    }

    fn summary_of(&mut self, id: u32) -> Result<Summary, Error> {
        let clock = self.clock;
        let stream = self.events.get(id)?;
        let pulse = stream.pulse;
        let milliseconds = |time: Option<Duration>| time.map(|time| clock.milliseconds(time));
        let summary = Summary {
            events: pulse.events,
            time_to_first_event: milliseconds(pulse.first_event),
            last_event: milliseconds(pulse.last_event),
            reconnects: stream.attempts,
            last_event_id: stream.last_id().to_owned(),
            tokens: pulse.tokens(),
            time_to_first_token: milliseconds(pulse.first_token),
            tokens_per_second: pulse.tokens_per_second(),
            ended: stream.state == State::Ended,
        };
        Ok(Summary { last_event_id: self.unseen(summary.last_event_id), ..summary })
    }

    fn close(&mut self, id: u32) {
        self.called();
        let Some(mut stream) = self.events.0.remove(&id) else { return };
        if let State::Reading(answer) = stream.state {
            self.drop_answer(answer);
        }
        stream.end(&self.local);
    }
}

impl Host {
    /// Ends what an iteration has left open.
    pub(super) fn end_events(&mut self) {
        for stream in std::mem::take(&mut self.events.0).values_mut() {
            stream.end(&self.local);
        }
    }

    /// Reads until an event is complete, the stream is over, or the patience is.
    async fn coming(&mut self, id: u32, patience: Option<Instant>) -> Result<Coming, Error> {
        let default = Instant::now() + self.run.http.timeout;
        loop {
            if let Some(block) = self.parse(id)? {
                return self.hand_out(id, block);
            }
            let stream = self.events.get(id)?;
            let deadline = stream.deadline.unwrap_or(default);
            let patience = patience.filter(|patience| *patience < deadline);
            match stream.state {
                State::Ended => return Ok(Coming::End),
                State::Waiting(until) => {
                    let last = patience.unwrap_or(deadline);
                    self.wait(until.min(last)).await;
                    match patience {
                        Some(_) if until > last => return Ok(Coming::Nothing),
                        None if until > last => return Err(Error::Timeout),
                        _ => Box::pin(self.reopen(id, deadline)).await?,
                    }
                }
                State::Reading(answer) => match self.read_piece(answer, PIECE, deadline, patience).await {
                    Ok(Piece::Bytes(bytes)) => {
                        let arrived = self.moments(answer).map(|(_, arrived)| arrived);
                        let stream = self.events.get(id)?;
                        let arrived = arrived.unwrap_or(stream.sent);
                        stream.take_in(bytes, arrived);
                        // What is always there already would keep all others from their turn.
                        tokio::task::coop::consume_budget().await;
                    }
                    Ok(Piece::Nothing) => return Ok(Coming::Nothing),
                    Ok(Piece::End) => {
                        self.drop_answer(answer);
                        let stream = self.events.get(id)?;
                        let last = stream.finish();
                        end_connection(stream, None)?;
                        if let Some(block) = last {
                            return self.hand_out(id, block);
                        }
                    }
                    Err(error) => {
                        self.drop_answer(answer);
                        end_connection(self.events.get(id)?, Some(error))?;
                    }
                },
            }
        }
    }

    async fn wait(&mut self, until: Instant) {
        if until > Instant::now() {
            self.activity.waited = true;
            sleep_until(until).await;
        }
    }

    /// The next event of the bytes that are here.
    fn parse(&mut self, id: u32) -> Result<Option<Block>, Error> {
        let limit = self.run.http.max_body;
        let stream = self.events.get(id)?;
        let (parsed, state) = (stream.parse(limit), stream.state);
        parsed.map_err(|TooLarge(limit)| {
            let State::Reading(answer) = state else { return too_large(limit) };
            let error = to_guest(self.break_off(answer, Broken::TooLarge(limit)));
            self.responses.release(answer);
            error
        })
    }

    /// Records an event and makes it the guest's, without the run's secrets.
    fn hand_out(&mut self, id: u32, mut block: Block) -> Result<Coming, Error> {
        for text in [&mut block.id, &mut block.kind, &mut block.data] {
            *text = self.unseen(std::mem::take(text));
        }
        let (clock, connection) = (self.clock, self.events.get(id)?.connection);
        let taken = self.events.get(id)?.take(block, &self.local);
        let Block { id, kind, data, retry } = taken.block;
        let arrived = clock.milliseconds(taken.arrived);
        Ok(Coming::Event(Event { id, kind, data, retry, arrived, connection, token: taken.token }))
    }

    /// Takes a stream up again; one that cannot be is to be tried again, or an error.
    async fn reopen(&mut self, id: u32, deadline: Instant) -> Result<(), Error> {
        let has_secrets = self.run.secrets.is_some();
        let stream = self.events.get(id)?;
        let last_id = stream.last_id().to_owned();
        if has_secrets && Secrets::is_named(last_id.as_bytes()) {
            // It would be filled in, and the server chooses what its ids are.
            return Err(Error::Protocol("the server's event id names a secret".to_owned()));
        }
        let (mut request, options) = (stream.request.clone(), stream.options.clone());
        ask::name_last_event(&mut request.headers, &last_id);
        if stream.deadline.is_some() {
            request.timeout = Some((deadline - Instant::now()).as_secs_f64().max(1e-3) * 1e3);
        }
        stream.count_reconnect(&self.local);
        let response = match streams::Host::open(self, request, ask::options(Some(false))).await {
            Ok(response) => response,
            Err(error) => return end_connection(self.events.get(id)?, Some(error)),
        };
        let (answer, status) = (response.id, response.status);
        let refused = match status {
            // As in browsers: the server has no more, and says so.
            204 => {
                self.drop_answer(answer);
                self.events.get(id)?.state = State::Ended;
                return Ok(());
            }
            status if !is_stream(status) => Some(Error::Status(status)),
            _ => self.other_content_type(answer, &options).map(Error::ContentType),
        };
        if let Some(refused) = refused {
            self.drop_answer(answer);
            return Err(refused);
        }
        self.events.get(id)?.restart(answer);
        Ok(())
    }

    /// The beginning of an answer that is no stream.
    async fn read_body(&mut self, id: u32) -> Result<Vec<u8>, Error> {
        let (deadline, mut body) = (Instant::now() + self.run.http.timeout, Vec::new());
        while body.len() < BODY {
            match self.read_piece(id, BODY - body.len(), deadline, None).await.map_err(to_guest)? {
                Piece::Bytes(bytes) => body.extend_from_slice(&bytes),
                Piece::Nothing | Piece::End => break,
            }
        }
        self.drop_answer(id);
        Ok(body)
    }

    /// Gives up what is left of an answer, and forgets it.
    fn drop_answer(&mut self, id: u32) {
        streams::Host::close(self, id);
        self.responses.release(id);
    }

    /// The content type of an answer, if it is not what was asked for.
    fn other_content_type(&self, id: u32, options: &Options) -> Option<String> {
        let given = self.responses.get(id).ok().and_then(|answer| answer.response.header("content-type"));
        let given = given.unwrap_or_default();
        let is_fine = options.any_content_type || content_type::fits(options.format, &given);
        (!is_fine).then(|| self.unseen(content_type::shown(&given)))
    }

    /// The tags of a stream: the request's and the format.
    fn stream_tags(&self, id: u32, request: &http::Request, options: &Options) -> crate::metrics::Tags {
        let (protocol, status) = self.responses.get(id).map_or(("", 0), Answered::version_and_status);
        let name = request.name.as_deref().map_or_else(|| ask::without_userinfo(&request.url), str::to_owned);
        let status = status.to_string();
        let system = [
            ("proto", protocol),
            ("status", &*status),
            ("method", &*request.method),
            ("url", &*name),
            ("name", &*name),
        ];
        let mut own: Vec<(String, String)> =
            request.tags.iter().map(|tag| (tag.name.clone(), tag.value.clone())).collect();
        own.push(("format".to_owned(), format_tag(options).to_owned()));
        self.local.session_tags(self.scope, self.groups.current(), &system, &own)
    }
}

/// Says what becomes of a stream whose connection has ended: another, or its end, which is an error if that was one.
fn end_connection(stream: &mut Stream, error: Option<http::Error>) -> Result<(), Error> {
    let may_pass = match &error {
        None => true,
        Some(error) => {
            matches!(error, http::Error::Reset | http::Error::Refused | http::Error::Dns(_) | http::Error::Protocol(_))
        }
    };
    if may_pass && stream.may_go_on() {
        let retry = Duration::from_secs_f64(stream.retry().min(LONGEST_RETRY) / 1e3);
        stream.state = State::Waiting(Instant::now() + retry);
        return Ok(());
    }
    stream.state = State::Ended;
    error.map_or(Ok(()), |error| Err(to_guest(error)))
}

fn is_stream(status: u16) -> bool {
    (200..300).contains(&status) && status != 204
}

fn too_large(limit: u64) -> Error {
    Error::TooLarge(u32::try_from(limit).unwrap_or(u32::MAX))
}

fn to_guest(error: http::Error) -> Error {
    match error {
        http::Error::Timeout => Error::Timeout,
        http::Error::Dns(text) => Error::Dns(text),
        http::Error::Refused => Error::Refused,
        http::Error::Reset => Error::Reset,
        http::Error::Tls(text) => Error::Tls(text),
        http::Error::Protocol(text) => Error::Protocol(text),
        http::Error::Denied(text) => Error::Denied(text),
        http::Error::InvalidUrl(text) | http::Error::InvalidRequest(text) => Error::InvalidRequest(text),
        http::Error::TooLarge(limit) => Error::TooLarge(limit),
        http::Error::Other(text) => Error::Other(text),
    }
}
