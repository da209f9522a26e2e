//! One request with all its hops: redirects, and a sample of each.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use send_wrapper::SendWrapper;
use tokio::time::Instant;

use super::super::local::Label;
use super::super::{Local, Run};
use super::responses::Answer;
use crate::protocol::http::{Client, Error, Exchange, Header, Request, Response, Target};
use crate::wit::http;

/// The longest timeout a request may ask for, in milliseconds: 1 day.
const LONGEST_TIMEOUT: f64 = 8.64e7;

/// Sends requests on behalf of one VU.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) client: &'a Client,
    pub(super) local: &'a SendWrapper<Rc<Local>>,
    pub(super) run: &'a Run,
    pub(super) scope: u32,
    pub(super) group: u32,
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
    pub(super) async fn send(&self, request: &http::Request) -> Result<Answer, Error> {
        let mut hop = match self.first_hop(request) {
            Ok((hop, deadline)) => (hop, deadline),
            Err(error) => return Err(self.refuse(request, error)),
        };
        let (hop, mut deadline) = (&mut hop.0, hop.1);
        let mut left = request.redirects.unwrap_or(self.run.http.max_redirects);
        let mut first = true;
        loop {
            if let Some(pace) = &self.run.pace {
                // As in k6, a request begins when it may: its timeout and its times do not count the wait.
                deadline += pace.wait().await;
            }
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
        self.local.add_request(&label, &Exchange::refused(error.clone()));
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
