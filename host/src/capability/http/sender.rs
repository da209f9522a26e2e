//! One request with all its hops: redirects, challenges, and a sample of each.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use send_wrapper::SendWrapper;
use tokio::time::Instant;

use super::super::cookies::Jars;
use super::super::local::Label;
use super::super::random::Random;
use super::super::{Identity, Local, Run};
use super::debug;
use super::filled::Filled;
use super::hop::{Hop, redirect};
use super::payload::Payload;
use super::responses::Answer;
use super::session::Session;
use super::streams::Opened;
use crate::plan::http::Version;
use crate::protocol::http::{Body, Client, Exchange, Header, Request, Target, without_userinfo};
use crate::protocol::{Error, apart};
use crate::wit::http;
use crate::wit::log::Level;

/// The longest timeout a request may ask for, in milliseconds: 1 day.
pub(in super::super) const LONGEST_TIMEOUT: f64 = 8.64e7;

/// Sends requests on behalf of one VU.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) client: &'a Client,
    pub(super) local: &'a SendWrapper<Rc<Local>>,
    pub(super) run: &'a Run,
    pub(super) identity: &'a Identity,
    pub(super) jars: &'a Jars,
    pub(super) random: &'a Random,
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
    pub(super) fn send(&self, asked: Asked<'_>) -> impl Future<Output = Result<Answer, Error>> {
        self.hops(asked, None)
    }

    /// The same, but the last answer is read later, and recorded when it ends.
    pub(super) async fn open(&self, asked: Asked<'_>, opened: &mut Opened) -> Result<Answer, Error> {
        self.hops(asked, Some(opened)).await
    }

    async fn hops(&self, asked: Asked<'_>, mut open: Option<&mut Opened>) -> Result<Answer, Error> {
        let request = asked.request;
        let refuse = |error| self.refuse(request, &request.method, error);
        let filled = self.fill(asked).map_err(refuse)?;
        let filled = filled.as_deref();
        let payload = match asked.options {
            Some(options) if Payload::is_asked(options) => {
                let payload = apart(|| Payload::new(request, options, filled, self.run, self.random));
                Some(Box::new(SendWrapper::new(payload).await.map_err(refuse)?))
            }
            _ => None,
        };
        let (mut hop, mut deadline) = match self.first_hop(asked, filled, payload.as_deref()) {
            Ok(first) => first,
            Err(error) => return Err(refuse(error)),
        };
        let most = request.redirects.unwrap_or(self.run.http.max_redirects);
        let keep_body = !asked.discards_body(self.run.http.discard_bodies);
        let mut redirects = 0;
        loop {
            if let Some(filled) = filled {
                filled.check(&hop).map_err(|error| self.refuse(request, hop.method, error))?;
            }
            if let Some(pace) = &self.run.pace {
                // As in k6, a request begins when it may: its timeout and its times do not count the wait.
                deadline += SendWrapper::new(apart(|| pace.wait())).await;
            }
            let own = hop.own(self.jars);
            let all = own.as_ref().map(|own| hop.with_own(own));
            let headers = all.as_deref().unwrap_or(&hop.headers);
            let sent = Request { method: hop.method, target: &hop.target, headers, body: hop.body, keep_body };
            let mut exchange = match &mut open {
                // Boxed for what copying it into the futures around it would cost.
                None => Box::pin(self.client.exchange(&sent, &hop.target, deadline)).await,
                // Boxed like all that few requests need, or each would have to make room for it.
                Some(opened) => {
                    SendWrapper::new(apart(|| opened.begin(self.client, &sent, deadline, &hop.target))).await
                }
            };
            if let Ok(response) = &mut exchange.result
                && response.is_encoded
                && open.is_none()
                && !(redirects < most && redirect(response, &hop.target).is_some())
            {
                let decoded = SendWrapper::new(apart(|| response.decode(self.run.http.max_body))).await;
                if let Err(error) = decoded {
                    exchange.result = Err(error);
                }
            }
            if let Some(debug) = self.run.http.debug {
                let redactor = self.run.secrets.as_ref().map(|secrets| &**secrets.redactor());
                self.show(&debug::hop(debug, self.client.shared().settings(), &sent, &exchange, redactor));
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
            let is_recorded = match &mut open {
                None => true,
                Some(opened) => {
                    let response = exchange.result.as_ref();
                    let is_redirected =
                        response.is_ok_and(|response| redirects < most && redirect(response, &hop.target).is_some());
                    let is_last = answer.is_none() && !is_redirected;
                    SendWrapper::new(apart(|| opened.settle(self.client, &mut exchange, is_last, deadline))).await
                }
            };
            if is_recorded {
                self.local.add_request(&self.label(request, hop.method, url, expected), &exchange);
            } else if let Some(opened) = &mut open {
                (opened.method, opened.url, opened.expected) = (hop.method.to_owned(), url.to_owned(), expected);
            }
            let response = exchange.result.map_err(|error| self.noted(error))?;
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

    /// The parts of a request that name secrets, with their values.
    pub(super) fn fill(&self, asked: Asked<'_>) -> Result<Option<Box<Filled<'_>>>, Error> {
        match &self.run.secrets {
            None => Ok(None),
            Some(secrets) => Filled::new(secrets, asked),
        }
    }

    pub(super) fn first_hop<'a>(
        &self,
        asked: Asked<'a>,
        filled: Option<&'a Filled<'_>>,
        payload: Option<&'a Payload<'a>>,
    ) -> Result<(Hop<'a>, Instant), Error> {
        let request = asked.request;
        if !self.run.may_send {
            return Err(Error::Denied("no request may be made here".to_owned()));
        }
        let (target, session) = match asked.options {
            None => (self.client.shared().target(&request.url)?, Session::default()),
            Some(options) => (self.target(request, options)?, Session::new(options, filled, self.jars)?),
        };
        let timeout = match request.timeout {
            None => self.run.http.timeout,
            Some(milliseconds) if milliseconds > 0.0 => {
                Duration::from_secs_f64(milliseconds.min(LONGEST_TIMEOUT) / 1e3)
            }
            Some(other) => return Err(Error::InvalidRequest(format!("a timeout of {other} ms is not possible"))),
        };
        let given = filled.and_then(|filled| filled.headers.as_ref()).unwrap_or(&request.headers);
        let mut size = request.method.len() + request.url.len();
        let header = |header: &'a http::Pair| {
            size += header.name.len() + header.value.len();
            Header { name: &header.name, value: &header.value }
        };
        let mut headers: Vec<_> = given.iter().map(header).collect();
        let body = match payload {
            Some(payload) => {
                payload.add_to(&mut headers)?;
                payload.body()
            }
            None => filled.and_then(|filled| filled.body.as_deref()).or(request.body.as_deref()).map(Body::Whole),
        };
        check_size((size + body.map_or(0, Body::length)) as u64, self.run.limits.request_bytes)?;
        let hop = Hop { method: &request.method, headers, body, target, session };
        Ok((hop, Instant::now() + timeout))
    }

    fn target(&self, request: &http::Request, options: &http::RequestOptions) -> Result<Arc<Target>, Error> {
        match options.version {
            None => self.client.shared().target(&request.url),
            Some(version) => self.client.shared().target_by(&request.url, spoken(version)),
        }
    }

    pub(super) fn is_expected(&self, request: &http::Request, status: u16) -> bool {
        match request.expected_statuses.as_slice() {
            [] => self.expected.iter().any(|&(first, last)| (first..=last).contains(&status)),
            ranges => ranges.iter().any(|range| (range.first..=range.last).contains(&status)),
        }
    }

    /// Counts a request that could not even be sent, as k6 does.
    pub(super) fn refuse(&self, request: &http::Request, method: &str, error: Error) -> Error {
        let url = without_userinfo(&request.url);
        self.local.add_request(&self.label(request, method, &url, false), &Exchange::refused(error.clone()));
        error
    }

    /// Counts a request that was refused because of where it would have gone.
    pub(super) fn noted(&self, error: Error) -> Error {
        if let Error::NotAllowed(refusal) = &error {
            self.local.add_denied(self.scope, self.group, &refusal.host);
        }
        error
    }

    pub(super) fn label<'a>(
        &self,
        request: &'a http::Request,
        method: &'a str,
        url: &'a str,
        expected: bool,
    ) -> Label<'a> {
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

fn spoken(version: http::Version) -> Version {
    match version {
        http::Version::Http1 => Version::Http1,
        http::Version::Http2 => Version::Http2,
        http::Version::Http3 => Version::Http3,
    }
}

/// Refuses a request that is larger than it may be.
pub(in super::super) fn check_size(bytes: u64, limit: u64) -> Result<(), Error> {
    if bytes <= limit {
        return Ok(());
    }
    let message = format!("the request has {bytes} bytes, and the limit is {limit} (`limits.requestBytes`)");
    Err(Error::InvalidRequest(message))
}

impl Asked<'_> {
    /// Whether the answer's body is thrown away.
    pub(super) fn discards_body(self, by_default: bool) -> bool {
        self.options.and_then(|options| options.discard_body).unwrap_or(by_default)
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
