//! `http`: requests for guests. Follows redirects, records samples, and keeps the answers of an iteration.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use send_wrapper::SendWrapper;
use tokio::time::Instant;

use super::local::Label;
use super::{Host, Local, Run, to_guest};
use crate::protocol::http::{Client, Error, Header, Request, Response, Target, Timings};
use crate::wit::http;

/// The longest timeout a request may ask for, in milliseconds: 1 day.
const LONGEST_TIMEOUT: f64 = 8.64e7;

/// The answers of one iteration, by id.
#[derive(Debug, Default)]
pub(super) struct Responses {
    kept: VecDeque<(u32, Answer)>,
    last_id: u32,
    bytes: u64,
}

/// What is kept of an exchange.
#[derive(Debug)]
struct Answer {
    response: Response,
    timings: Timings,
    target: Arc<Target>,
}

impl Responses {
    /// Frees all answers and returns the last one's buffer.
    pub(super) fn clear(&mut self) -> Option<Response> {
        self.bytes = 0;
        let last = self.kept.pop_back();
        self.kept.clear();
        last.map(|(_, answer)| answer.response)
    }

    fn keep(&mut self, answer: Answer, limit: u64) -> Result<u32, Error> {
        let size = answer.response.size() as u64;
        if self.bytes + size > limit {
            return Err(Error::TooLarge(limit));
        }
        // Ids are never used again, or a kept one would silently read someone else's answer.
        self.last_id = self
            .last_id
            .checked_add(1)
            .ok_or_else(|| Error::Other("this instance used up its response ids".to_owned()))?;
        self.bytes += size;
        self.kept.push_back((self.last_id, answer));
        Ok(self.last_id)
    }

    fn get(&self, id: u32) -> Result<&Answer, http::LookupError> {
        let at = self.kept.binary_search_by_key(&id, |&(id, _)| id).map_err(|_| http::LookupError::Stale(id))?;
        Ok(&self.kept[at].1)
    }

    fn release(&mut self, id: u32) {
        if let Ok(at) = self.kept.binary_search_by_key(&id, |&(id, _)| id)
            && let Some((_, answer)) = self.kept.remove(at)
        {
            self.bytes -= answer.response.size() as u64;
        }
    }
}

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

/// Sends requests on behalf of one VU.
#[derive(Clone, Copy)]
struct Sender<'a> {
    client: &'a Client,
    local: &'a SendWrapper<Rc<Local>>,
    run: &'a Run,
    scope: u32,
    group: u32,
}

/// What changes from hop to hop.
struct Hop<'a> {
    method: &'a str,
    headers: Vec<Header<'a>>,
    body: Option<&'a [u8]>,
    target: Arc<Target>,
}

impl Sender<'_> {
    /// Sends a request, follows its redirects, and records each hop.
    async fn send(&self, request: &http::Request) -> Result<Answer, Error> {
        let mut hop = match self.first_hop(request) {
            Ok((hop, deadline)) => (hop, deadline),
            Err(error) => return Err(self.refuse(request, error)),
        };
        let (hop, deadline) = (&mut hop.0, hop.1);
        let mut left = request.redirects.unwrap_or(self.run.http.max_redirects);
        let mut first = true;
        loop {
            let sent = Request { method: hop.method, target: &hop.target, headers: &hop.headers, body: hop.body };
            let exchange = self.client.exchange(&sent, &hop.target, deadline).await;
            let expected = exchange.result.as_ref().is_ok_and(|response| self.is_expected(request, response.status));
            let label = Label {
                scope: self.scope,
                group: self.group,
                method: hop.method,
                // The first hop is named as the guest wrote it.
                url: if first { &request.url } else { hop.target.url() },
                name: request.name.as_deref(),
                tags: &request.tags,
                expected,
            };
            self.local.add_request(&label, &exchange);
            let response = exchange.result?;
            match redirect(&response, &hop.target) {
                Some(next) if left > 0 => {
                    left -= 1;
                    hop.follow(response.status, next?);
                    self.client.recycle(response);
                }
                _ => return Ok(Answer { response, timings: exchange.timings, target: Arc::clone(&hop.target) }),
            }
            first = false;
        }
    }

    fn first_hop<'a>(&self, request: &'a http::Request) -> Result<(Hop<'a>, Instant), Error> {
        if !self.run.may_send {
            return Err(Error::Denied("no request may be made here".to_owned()));
        }
        let target = self.client.shared().target(&request.url)?;
        let timeout = match request.timeout {
            None => self.run.http.timeout,
            Some(milliseconds) if milliseconds > 0.0 => {
                Duration::from_secs_f64(milliseconds.min(LONGEST_TIMEOUT) / 1e3)
            }
            Some(other) => return Err(Error::InvalidRequest(format!("a timeout of {other} ms is not possible"))),
        };
        let headers =
            request.headers.iter().map(|header| Header { name: &header.name, value: &header.value }).collect();
        let hop = Hop { method: &request.method, headers, body: request.body.as_deref(), target };
        Ok((hop, Instant::now() + timeout))
    }

    fn is_expected(&self, request: &http::Request, status: u16) -> bool {
        match request.expected_statuses.as_slice() {
            [] => self.run.http.expected_statuses.iter().any(|&(first, last)| (first..=last).contains(&status)),
            ranges => ranges.iter().any(|range| (range.first..=range.last).contains(&status)),
        }
    }

    /// Counts a request that could not even be sent, as k6 does.
    fn refuse(&self, request: &http::Request, error: Error) -> Error {
        let label = Label {
            scope: self.scope,
            group: self.group,
            method: &request.method,
            url: &request.url,
            name: request.name.as_deref(),
            tags: &request.tags,
            expected: false,
        };
        self.local.add_request(&label, &crate::protocol::http::Exchange::refused(error.clone()));
        error
    }
}

impl Hop<'_> {
    /// Turns to the next hop (RFC 9110, 15.4): what changes the method, and what another origin must not see.
    fn follow(&mut self, status: u16, next: Target) {
        let becomes_get = match status {
            303 => self.method != "HEAD",
            301 | 302 => self.method == "POST",
            _ => false,
        };
        if becomes_get {
            self.method = "GET";
            self.body = None;
            self.headers.retain(|header| !header.name.to_ascii_lowercase().starts_with("content-"));
        }
        if !self.target.same_origin(&next) {
            self.headers.retain(|header| {
                !["authorization", "cookie", "proxy-authorization"]
                    .iter()
                    .any(|name| header.name.eq_ignore_ascii_case(name))
            });
        }
        self.target = Arc::new(next);
    }
}

/// Where an answer sends us, if it does.
fn redirect(response: &Response, from: &Target) -> Option<Result<Target, Error>> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.header("location")?;
    Some(from.join(&location))
}

/// Sends several requests at once, so many in all and so many to one host, and returns the answers in order.
async fn batch(sender: &Sender<'_>, requests: &[http::Request]) -> Vec<Result<Answer, Error>> {
    let limits = &sender.run.http;
    let host_of = |request: &http::Request| sender.client.shared().target(&request.url).ok();
    let mut waiting: VecDeque<(usize, Option<Arc<Target>>)> = requests.iter().map(host_of).enumerate().collect();
    let mut in_flight: Vec<Option<Arc<Target>>> = Vec::new();
    let mut running = FuturesUnordered::new();
    let mut answers: Vec<Option<Result<Answer, Error>>> = requests.iter().map(|_| None).collect();
    let same_host = |one: &Option<Arc<Target>>, other: &Option<Arc<Target>>| match (one, other) {
        (Some(one), Some(other)) => one.same_origin(other),
        _ => false,
    };
    loop {
        while running.len() < limits.batch.max(1) as usize {
            let free = |target: &Option<Arc<Target>>| {
                let to_host = in_flight.iter().filter(|other| same_host(target, other)).count();
                limits.batch_per_host == 0 || to_host < limits.batch_per_host as usize
            };
            let Some(at) = waiting.iter().position(|(_, target)| free(target)) else { break };
            let Some((index, target)) = waiting.remove(at) else { break };
            in_flight.push(target.clone());
            running.push(async move { (index, target, sender.send(&requests[index]).await) });
        }
        let Some((index, target, answer)) = running.next().await else { break };
        if let Some(at) =
            in_flight.iter().position(|other| same_host(other, &target) || (other.is_none() && target.is_none()))
        {
            in_flight.swap_remove(at);
        }
        answers[index] = Some(answer);
    }
    let never = || Err(Error::Other("the request was not sent".to_owned()));
    answers.into_iter().map(|answer| answer.unwrap_or_else(never)).collect()
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
