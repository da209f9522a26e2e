//! Opening a socket: what the guest asks for, with the VU's cookies and the run's secrets.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::http::{LONGEST_TIMEOUT, check_size};
use super::super::secret::Secrets;
use super::super::{Host, Local};
use super::record::{Asked, Recorded};
use crate::protocol::Error;
use crate::protocol::http::{Credentials, Header, Target, basic, without_userinfo};
use crate::protocol::websocket::{Attempt, Problem, Upgrade, Upgraded, destination, target};
use crate::wit::protocols::squall::websocket::websocket::ConnectOptions;

impl Host {
    /// Opens a socket, and records what came of it.
    pub(super) async fn open_socket(
        &self,
        url: &str,
        options: &ConnectOptions,
    ) -> Result<(Upgraded, Recorded), Problem> {
        let begun = std::time::Instant::now();
        let mut attempt = Attempt::default();
        let opened = self.try_open_socket(url, options, &mut attempt).await;
        let shown = without_userinfo(url);
        let asked = Asked {
            scope: self.scope,
            group: self.groups.current(),
            url: options.name.as_deref().unwrap_or(&shown),
            tags: &options.tags,
            begun,
        };
        let local: &std::rc::Rc<Local> = &self.local;
        match opened {
            Ok(upgraded) => {
                let recorded = Recorded::opened(local, &asked, &attempt, &upgraded);
                Ok((upgraded, recorded))
            }
            Err(problem) => {
                Recorded::failed(local, &asked, &attempt, &problem);
                if let Problem::Connection(Error::NotAllowed(refusal)) = &problem {
                    self.local.add_denied(self.scope, asked.group, &refusal.host);
                }
                Err(problem)
            }
        }
    }

    async fn try_open_socket(
        &self,
        url: &str,
        options: &ConnectOptions,
        attempt: &mut Attempt,
    ) -> Result<Upgraded, Problem> {
        if !self.run.may_send {
            return Err(Error::Denied("no socket may be opened here".to_owned()).into());
        }
        let deadline = Instant::now() + self.time_to_open(options)?;
        self.check_sockets()?;
        let target = Arc::new(self.socket_target(url)?);
        if !self.jars.has(options.jar) {
            return Err(Error::InvalidRequest(format!("there is no cookie jar {}", options.jar)).into());
        }
        let values = self.header_values(options, &target)?;
        let mut headers: Vec<Header<'_>> = options.headers.iter().zip(&values).map(header).collect();
        let cookie = self.cookie(&headers, options.jar, &target);
        if let Some(value) = &cookie {
            headers.retain(|header| !header.name.eq_ignore_ascii_case("cookie"));
            headers.push(Header { name: "cookie", value });
        }
        let authorization = match target.credentials() {
            Some((username, password)) if !has(&headers, "authorization") => {
                Some(basic(Credentials { username, password }))
            }
            _ => None,
        };
        if let Some(value) = &authorization {
            headers.push(Header { name: "authorization", value });
        }
        let size = headers.iter().map(|header| header.name.len() + header.value.len()).sum::<usize>() + url.len();
        check_size(size as u64, self.run.limits.request_bytes)?;
        let upgrade = Upgrade { target: &target, headers: &headers, subprotocols: &options.subprotocols };
        let opened = upgrade.open(self.client.connector(), &self.run.http, deadline, attempt).await;
        let answer = match &opened {
            Ok(upgraded) => Some(&upgraded.answer),
            Err(Problem::Rejected(answer)) => Some(&**answer),
            Err(_) => None,
        };
        if let Some(answer) = answer.filter(|answer| answer.has_cookies) {
            self.jars.receive(options.jar, answer, &target);
        }
        opened
    }

    fn time_to_open(&self, options: &ConnectOptions) -> Result<Duration, Error> {
        match options.timeout {
            None => Ok(self.run.http.timeout),
            Some(timeout) if timeout > 0.0 => Ok(Duration::from_secs_f64(timeout.min(LONGEST_TIMEOUT) / 1e3)),
            Some(other) => Err(Error::InvalidRequest(format!("a timeout of {other} ms is not possible"))),
        }
    }

    /// Refuses one more than may be open.
    fn check_sockets(&self) -> Result<(), Error> {
        let most = self.run.limits.requests_in_flight;
        if self.websockets.0.as_ref().is_none_or(|sockets| sockets.live() < most) {
            return Ok(());
        }
        let message = format!("{most} sockets are open, and no more may be (`limits.requestsInFlight`)");
        Err(Error::InvalidRequest(message))
    }

    fn socket_target(&self, url: &str) -> Result<Target, Error> {
        if self.run.secrets.is_some() && Secrets::is_named_in_url(url) {
            let message = "a URL cannot name a secret, for URLs are in metrics and logs: a header or a message can";
            return Err(Error::InvalidRequest(message.to_owned()));
        }
        target(url)
    }

    /// The values of the headers, with the secrets they name.
    fn header_values<'a>(&self, options: &'a ConnectOptions, to: &Target) -> Result<Vec<Cow<'a, str>>, Error> {
        let values = options.headers.iter().map(|header| {
            let Some(secrets) = &self.run.secrets else { return Ok(Cow::Borrowed(header.value.as_str())) };
            let filled = secrets.fill_text(&header.value, |name| secrets.check_destination(name, &destination(to)))?;
            Ok(filled.map_or(Cow::Borrowed(header.value.as_str()), Cow::Owned))
        });
        values.collect()
    }

    /// The guest's own cookies, then the jar's, as one header; `None` where the jar has none.
    fn cookie(&self, headers: &[Header<'_>], jar: u32, to: &Target) -> Option<String> {
        if self.jars.is_empty() {
            return None;
        }
        let mut of_jar = Vec::new();
        self.jars.each(jar, to, |name, value| of_jar.push(format!("{name}={value}")));
        if of_jar.is_empty() {
            return None;
        }
        let given = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("cookie"));
        let given = given.map(|header| header.value.to_owned());
        Some(given.chain(of_jar).collect::<Vec<_>>().join("; "))
    }
}

fn header<'a>(
    (given, value): (&'a crate::wit::protocols::squall::websocket::websocket::Pair, &'a Cow<'a, str>),
) -> Header<'a> {
    Header { name: &given.name, value }
}

fn has(headers: &[Header<'_>], name: &str) -> bool {
    headers.iter().any(|header| header.name.eq_ignore_ascii_case(name))
}
