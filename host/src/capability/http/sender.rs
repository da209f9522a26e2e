//! One request with all its hops: redirects, challenges, and a sample of each.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use send_wrapper::SendWrapper;
use tokio::time::Instant;

use super::super::cookies::Jars;
use super::super::local::Label;
use super::super::{Identity, Local, Run};
use super::debug;
use super::hop::{Hop, redirect};
use super::responses::Answer;
use super::session::Session;
use crate::protocol::http::{Client, Error, Exchange, Header, Request, without_userinfo};
use crate::wit::http;
use crate::wit::log::Level;

/// The longest timeout a request may ask for, in milliseconds: 1 day.
const LONGEST_TIMEOUT: f64 = 8.64e7;

/// Sends requests on behalf of one VU.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) client: &'a Client,
    pub(super) local: &'a SendWrapper<Rc<Local>>,
    pub(super) run: &'a Run,
    pub(super) identity: &'a Identity,
    pub(super) jars: &'a Jars,
    /// The statuses that are no failure where the request names none.
    pub(super) expected: &'a [(u16, u16)],
    pub(super) scope: u32,
    pub(super) group: u32,
}

/// What a guest asks for: a request, and the options of `send-with`.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) request: &'a http::Request,
    pub(super) options: Option<&'a http::RequestOptions>,
}

impl Sender<'_> {
    /// Sends a request, follows its redirects, and records each hop.
    pub(super) async fn send(&self, asked: Asked<'_>) -> Result<Answer, Error> {
        let request = asked.request;
        let (mut hop, mut deadline) = match self.first_hop(asked) {
            Ok(first) => first,
            Err(error) => return Err(self.refuse(request, &request.method, error)),
        };
        let most = request.redirects.unwrap_or(self.run.http.max_redirects);
        let mut redirects = 0;
        loop {
            if let Some(pace) = &self.run.pace {
                // As in k6, a request begins when it may: its timeout and its times do not count the wait.
                deadline += pace.wait().await;
            }
            let own = hop.own(self.jars);
            let all = own.as_ref().map(|own| hop.with_own(own));
            let headers = all.as_deref().unwrap_or(&hop.headers);
            let sent = Request { method: hop.method, target: &hop.target, headers, body: hop.body };
            let exchange = self.client.exchange(&sent, &hop.target, deadline).await;
            if let Some(debug) = self.run.http.debug {
                self.show(&debug::hop(debug, self.client.shared().settings(), &sent, &exchange));
            }
            let mut answer = None;
            let mut expected = false;
            if let Ok(response) = &exchange.result {
                if response.has_cookies {
                    self.jars.receive(hop.session.jar, response, &hop.target);
                }
                // A challenge that is answered was to be expected, as in k6.
                answer = hop.session.challenged(response, &hop);
                expected = answer.is_some() || self.is_expected(request, response.status);
            }
            // The first hop is named as the guest wrote it, but for name and password.
            let is_verbatim = redirects == 0 && hop.target.credentials().is_none();
            let url = if is_verbatim { &request.url } else { hop.target.url() };
            self.local.add_request(&self.label(request, hop.method, url, expected), &exchange);
            let response = exchange.result?;
            if answer.is_some() {
                hop.session.answer = answer;
                self.client.recycle(response);
                continue;
            }
            match redirect(&response, &hop.target) {
                Some(next) if redirects < most => {
                    redirects += 1;
                    let next = next.map_err(|error| self.refuse(request, hop.method, error))?;
                    hop.follow(response.status, next);
                    self.client.recycle(response);
                }
                further => {
                    if further.is_some() && request.redirects.is_none() && most > 0 {
                        self.warn_of_redirects(hop.target.url());
                    }
                    let (timings, peer, target) = (exchange.timings, exchange.peer, Arc::clone(&hop.target));
                    return Ok(Answer { response, timings, peer, redirects, target });
                }
            }
        }
    }

    fn first_hop<'a>(&self, asked: Asked<'a>) -> Result<(Hop<'a>, Instant), Error> {
        let request = asked.request;
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
        let session = Session::new(asked.options, self.jars)?;
        let headers =
            request.headers.iter().map(|header| Header { name: &header.name, value: &header.value }).collect();
        let hop = Hop { method: &request.method, headers, body: asked.body(), target, session };
        Ok((hop, Instant::now() + timeout))
    }

    fn is_expected(&self, request: &http::Request, status: u16) -> bool {
        match request.expected_statuses.as_slice() {
            [] => self.expected.iter().any(|&(first, last)| (first..=last).contains(&status)),
            ranges => ranges.iter().any(|range| (range.first..=range.last).contains(&status)),
        }
    }

    /// Counts a request that could not even be sent, as k6 does.
    fn refuse(&self, request: &http::Request, method: &str, error: Error) -> Error {
        let url = without_userinfo(&request.url);
        self.local.add_request(&self.label(request, method, &url, false), &Exchange::refused(error.clone()));
        error
    }

    fn label<'a>(&self, request: &'a http::Request, method: &'a str, url: &'a str, expected: bool) -> Label<'a> {
        Label {
            scope: self.scope,
            group: self.group,
            method,
            url,
            name: request.name.as_deref(),
            tags: &request.tags,
            expected,
        }
    }

    fn show(&self, text: &str) {
        self.log(Level::Info, text.to_owned());
    }

    /// Says once, for all VUs of the thread, that an answer is a redirect only because there were too many before.
    fn warn_of_redirects(&self, url: &str) {
        if self.local.is_first_redirect_too_many() {
            let most = self.run.http.max_redirects;
            let message = format!(
                "`{url}` redirects once more after {most} redirects, and the journey got the redirect\nhint: raise \
                 `maxRedirects`, or say how many the request should follow"
            );
            self.log(Level::Warn, message);
        }
    }

    fn log(&self, level: Level, message: String) {
        self.run.sink.log(self.identity.vu, &self.identity.scenario, level, message);
    }
}

impl<'a> Asked<'a> {
    /// The body as it goes onto the wire.
    fn body(self) -> Option<&'a [u8]> {
        self.request.body.as_deref()
    }

    /// Whether having no answer fails the iteration.
    pub(super) fn throws(self, by_default: bool) -> bool {
        self.options.and_then(|options| options.throw).unwrap_or(by_default)
    }
}

impl<'a> From<&'a http::Request> for Asked<'a> {
    fn from(request: &'a http::Request) -> Self {
        Self { request, options: None }
    }
}

impl<'a> From<&'a (http::Request, http::RequestOptions)> for Asked<'a> {
    fn from((request, options): &'a (http::Request, http::RequestOptions)) -> Self {
        Self { request, options: Some(options) }
    }
}
