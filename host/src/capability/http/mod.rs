//! `http`: requests for guests. Follows redirects, records samples, and keeps the answers of an iteration.

mod batch;
mod pace;
mod responses;
mod sender;

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use super::{Host, to_guest};
use crate::protocol::http::Error;
use crate::wit::http;
use batch::batch;
pub use pace::Pace;
use responses::Answer;
pub(super) use responses::Responses;
use sender::Sender;

impl http::Host for Host {
    async fn send(&mut self, request: http::Request) -> Result<http::Response, http::Error> {
        self.called();
        let (answer, waited) = watch(self.sender().send(&request)).await;
        self.activity.waited |= waited;
        self.keep(answer)
    }

    async fn batch(&mut self, requests: Vec<http::Request>) -> Vec<Result<http::Response, http::Error>> {
        self.called();
        let (answers, waited) = watch(batch(&self.sender(), &requests)).await;
        self.activity.waited |= waited;
        answers.into_iter().map(|answer| self.keep(answer)).collect()
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
        let document: serde_json::Value = serde_json::from_slice(answer.response.body())
            .map_err(|error| http::LookupError::NotJson(error.to_string()))?;
        Ok(document.pointer(&pointer).map(ToString::to_string))
    }

    fn timings_of(&mut self, id: u32) -> Result<http::Timings, http::LookupError> {
        let timings = &self.responses.get(id)?.timings;
        Ok(http::Timings {
            blocked: milliseconds(timings.blocked),
            looking_up: milliseconds(timings.looking_up),
            connecting: milliseconds(timings.connecting),
            tls_handshaking: milliseconds(timings.tls_handshaking),
            sending: milliseconds(timings.sending),
            waiting: milliseconds(timings.waiting),
            receiving: milliseconds(timings.receiving),
            duration: milliseconds(timings.duration()),
        })
    }

    fn url_of(&mut self, id: u32) -> Result<String, http::LookupError> {
        Ok(self.responses.get(id)?.target.url().to_owned())
    }

    fn release(&mut self, id: u32) {
        self.responses.release(id);
    }

    async fn send_with(
        &mut self,
        request: http::Request,
        _options: http::RequestOptions,
    ) -> Result<http::Response, http::Error> {
        self.send(request).await
    }

    async fn batch_with(
        &mut self,
        requests: Vec<(http::Request, http::RequestOptions)>,
    ) -> Vec<Result<http::Response, http::Error>> {
        self.batch(requests.into_iter().map(|(request, _)| request).collect()).await
    }

    fn last_failures(&mut self) -> Vec<http::Failure> {
        Vec::new()
    }

    fn set_expected_statuses(&mut self, _statuses: Vec<http::StatusRange>) {}

    fn details_of(&mut self, id: u32) -> Result<http::Details, http::LookupError> {
        Err(http::LookupError::Stale(id))
    }
}

impl Host {
    fn sender(&self) -> Sender<'_> {
        Sender {
            client: &self.client,
            local: &self.local,
            run: &self.run,
            scope: self.scope,
            group: self.groups.current(),
        }
    }

    fn keep(&mut self, answer: Result<Answer, Error>) -> Result<http::Response, http::Error> {
        let answer = answer.map_err(to_guest)?;
        let (status, length) = (answer.response.status, answer.response.body_length);
        let duration = milliseconds(answer.timings.duration());
        let id = self.responses.keep(answer, self.run.held_bytes).map_err(to_guest)?;
        Ok(http::Response { id, status, body_length: u32::try_from(length).unwrap_or(u32::MAX), duration })
    }
}

/// Returns what a future comes to, and whether it ever had to wait. A request that fails at once (a refused connection, a
/// bad URL) gave nobody else a turn, so a guest that repeats it must still be interrupted.
async fn watch<F: Future>(future: F) -> (F::Output, bool) {
    let mut future = pin!(future);
    let mut waited = false;
    let output = poll_fn(|context| {
        let poll = future.as_mut().poll(context);
        waited |= poll.is_pending();
        poll
    });
    let output = output.await;
    (output, waited)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
