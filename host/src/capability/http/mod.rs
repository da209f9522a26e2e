//! `http`: requests for guests. Follows redirects, records samples, and keeps the answers of an iteration.

mod batch;
pub(super) mod debug;
mod failures;
mod filled;
mod hop;
mod pace;
mod payload;
mod responses;
mod sender;
mod session;
mod streams;

use std::future::poll_fn;
use std::pin::{Pin, pin};

use super::Host;
use super::extract::find_pointer;
use crate::protocol::Error;
use crate::protocol::http::Protocol;
use crate::wit::http;
use batch::batch;
pub(super) use failures::Failures;
pub use pace::Pace;
pub(super) use responses::{Answer, Responses};
use sender::{Asked, Sender};
pub(super) use sender::{LONGEST_TIMEOUT, check_size};
pub(super) use streams::{Piece, Streams};

impl http::Host for Host {
    #[expect(clippy::manual_async_fn, reason = "an `async fn` would hold the request twice, and be copied so")]
    fn send(&mut self, request: http::Request) -> impl Future<Output = Result<http::Response, http::Error>> + Send {
        async move { self.one(Asked::from(&request)).await }
    }

    async fn batch(&mut self, requests: Vec<http::Request>) -> Vec<Result<http::Response, http::Error>> {
        self.several(&requests.iter().map(Asked::from).collect::<Vec<_>>()).await
    }

    fn header(&mut self, id: u32, name: String) -> Result<Option<String>, http::LookupError> {
        Ok(self.responses.get(id)?.response.header(&name))
    }

    fn headers(&mut self, id: u32) -> Result<Vec<http::Pair>, http::LookupError> {
        let headers = self.responses.get(id)?.response.headers();
        Ok(headers.into_iter().map(|(name, value)| http::Pair { name, value }).collect())
    }

    fn body(&mut self, id: u32) -> Result<Vec<u8>, http::LookupError> {
        self.called();
        Ok(self.responses.get(id)?.response.body().to_vec())
    }

    fn json(&mut self, id: u32, pointer: String) -> Result<Option<String>, http::LookupError> {
        self.called();
        let answer = self.responses.get(id)?;
        let found = find_pointer(answer.response.body(), &pointer);
        Ok(found.map_err(|error| http::LookupError::NotJson(error.to_string()))?.map(str::to_owned))
    }

    fn timings_of(&mut self, id: u32) -> Result<http::Timings, http::LookupError> {
        let timings = &self.responses.get(id)?.timings;
        let milliseconds = |time| self.clock.milliseconds(time);
        Ok(http::Timings {
            blocked: milliseconds(timings.blocked),
            looking_up: milliseconds(timings.opening.looking_up),
            connecting: milliseconds(timings.opening.connecting),
            tls_handshaking: milliseconds(timings.opening.tls_handshaking),
            sending: milliseconds(timings.sending),
            waiting: milliseconds(timings.waiting),
            receiving: milliseconds(timings.receiving),
            duration: milliseconds(timings.duration()),
        })
    }

    fn url_of(&mut self, id: u32) -> Result<String, http::LookupError> {
        let url = self.responses.get(id)?.target.url().to_owned();
        Ok(self.unseen(url))
    }

    fn release(&mut self, id: u32) {
        self.local.extract().forget(self.serial, Some(id));
        self.responses.release(id);
    }

    async fn send_with(
        &mut self,
        request: http::Request,
        options: http::RequestOptions,
    ) -> Result<http::Response, http::Error> {
        self.one(Asked { request: &request, options: Some(&options) }).await
    }

    async fn batch_with(
        &mut self,
        requests: Vec<(http::Request, http::RequestOptions)>,
    ) -> Vec<Result<http::Response, http::Error>> {
        self.several(&requests.iter().map(Asked::from).collect::<Vec<_>>()).await
    }

    fn last_failures(&mut self) -> Vec<http::Failure> {
        let unseen = |failure: http::Failure| http::Failure { message: self.unseen(failure.message), ..failure };
        self.failures.last().into_iter().map(unseen).collect()
    }

    fn set_expected_statuses(&mut self, statuses: Vec<http::StatusRange>) {
        let statuses = statuses.into_iter().map(|range| (range.first, range.last)).collect::<Box<[_]>>();
        self.expected = (!statuses.is_empty()).then_some(statuses);
    }

    fn details_of(&mut self, id: u32) -> Result<http::Details, http::LookupError> {
        let answer = self.responses.get(id)?;
        let (version, reason) = answer.response.status_line();
        let is_old = answer.peer.protocol == Protocol::Http1 && version == "HTTP/1.0";
        let remote = answer.peer.remote;
        Ok(http::Details {
            status_text: reason.to_owned(),
            protocol: if is_old { version } else { answer.peer.protocol.as_str() }.to_owned(),
            remote_ip: remote.map(|remote| remote.ip().to_string()).unwrap_or_default(),
            remote_port: remote.map_or(0, |remote| remote.port()),
            tls_version: answer.peer.tls_version.unwrap_or_default().to_owned(),
            tls_cipher_suite: answer.peer.tls_cipher.unwrap_or_default().to_owned(),
            reused: answer.peer.reused,
            encoded_length: u32::try_from(answer.response.encoded_length).unwrap_or(u32::MAX),
            redirects: answer.redirects,
        })
    }
}

impl Host {
    async fn one(&mut self, asked: Asked<'_>) -> Result<http::Response, http::Error> {
        self.called();
        let sender = self.sender();
        let (answer, waited) = watch(Box::pin(sender.send(asked)).as_mut()).await;
        self.activity.waited |= waited;
        self.failures.begin_call();
        self.keep(0, asked, answer)
    }

    async fn several(&mut self, asked: &[Asked<'_>]) -> Vec<Result<http::Response, http::Error>> {
        self.called();
        let running = self.streams.running().saturating_add(self.outgoing_running());
        let most = self.run.limits.requests_in_flight.saturating_sub(running);
        let sender = self.sender();
        let (answers, waited) = watch(pin!(batch(&sender, asked, most))).await;
        self.activity.waited |= waited;
        self.failures.begin_call();
        let answers = answers.into_iter().zip(asked).enumerate();
        answers.map(|(place, (answer, &asked))| self.keep(place, asked, answer)).collect()
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            client: &self.client,
            local: &self.local,
            run: &self.run,
            identity: &self.identity,
            jars: &self.jars,
            random: &self.random,
            expected: self.expected.as_deref().unwrap_or(&self.run.http.expected_statuses),
            scope: self.scope,
            group: self.groups.current(),
        }
    }

    /// Keeps an answer for the guest, or remembers that there is none.
    fn keep(
        &mut self,
        place: usize,
        asked: Asked<'_>,
        answer: Result<Answer, Error>,
    ) -> Result<http::Response, http::Error> {
        self.try_keep(answer).map_err(|error| {
            self.failures.add(place, asked.request, &error, asked.throws(self.run.http.throw));
            self.told(error)
        })
    }

    fn try_keep(&mut self, answer: Result<Answer, Error>) -> Result<http::Response, Error> {
        let mut answer = answer?;
        if let Some(secrets) = &self.run.secrets {
            // A server may give back what it was sent, and the guest is not to see it.
            secrets.redactor().mask(answer.response.raw_mut());
        }
        let (status, length) = (answer.response.status, answer.response.body_length);
        let duration = self.clock.milliseconds(answer.timings.duration());
        let id = self.responses.keep(answer, self.run.limits.response_bytes)?;
        Ok(http::Response { id, status, body_length: u32::try_from(length).unwrap_or(u32::MAX), duration })
    }
}

/// Returns what a future comes to, and whether it ever had to wait. A request that fails at once (a refused connection, a
/// bad URL) gave nobody else a turn, so a guest that repeats it must still be interrupted.
pub(super) async fn watch<F: Future>(mut future: Pin<&mut F>) -> (F::Output, bool) {
    let mut waited = false;
    let output = poll_fn(|context| {
        let poll = future.as_mut().poll(context);
        waited |= poll.is_pending();
        poll
    });
    let output = output.await;
    (output, waited)
}
