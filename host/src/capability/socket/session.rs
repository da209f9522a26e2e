//! One socket and what is recorded of it.

use std::time::Duration;

use tokio::time::Instant;

use crate::capability::local::Local;
use crate::metrics::{MetricId, SeriesId, Tags, builtin};
use crate::plan::{Destination, Scheme};
use crate::protocol::socket::{Tcp, Udp};
use crate::protocol::{Error, Opening};
use crate::wit::protocols::squall::socket::socket::Pair;

/// A socket that is open.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) line: Line,
    pub(super) label: Label,
    pub(super) opening: Opening,
    /// When it was asked for, and when it was there.
    pub(super) began: Instant,
    opened: Instant,
    /// When the last bytes had been sent.
    pub(super) sent: Option<Instant>,
    /// Whether an earlier iteration opened it.
    pub(super) reused: bool,
    /// Of the first call that failed: what the session's end is filed under.
    failure: Option<Error>,
    duration: SeriesId,
}

/// What is spoken on.
#[derive(Debug)]
pub(super) enum Line {
    Tcp(Box<Tcp>),
    Udp(Udp),
}

/// What a socket is for, and what it is filed under. Two with equal labels can stand for one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    /// `tcp`, `tls` or `udp`.
    pub(super) proto: &'static str,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) scope: u32,
    pub(super) group: u32,
}

impl Label {
    /// Reads what a guest gave.
    pub(super) fn new(proto: &'static str, (host, port): (String, u16), name: Option<String>, tags: Vec<Pair>) -> Self {
        let tags = tags.into_iter().map(|tag| (tag.name, tag.value)).collect();
        Self { proto, host, port, name, tags, scope: 0, group: 0 }
    }

    pub(super) fn destination(&self) -> Destination<'_> {
        let scheme = if self.proto == "udp" { Scheme::Udp } else { Scheme::Tcp };
        Destination { scheme, host: &self.host, port: self.port }
    }

    fn tags(&self, local: &Local, failure: Option<&Error>) -> Tags {
        let url = self.name.clone().unwrap_or_else(|| self.destination().to_string());
        let failure = failure.map(|error| (words(error), error.code().to_string()));
        // With a name, `url` takes its value, as with HTTP.
        let mut system = vec![("proto", self.proto), ("url", &url), ("name", &url)];
        if let Some((error, code)) = &failure {
            system.extend([("error", error.as_str()), ("error_code", code)]);
        }
        local.session_tags(self.scope, self.group, &system, &self.tags)
    }

    /// Records a socket that was asked for and is not there.
    pub(super) fn refused(&self, local: &Local, error: &Error) {
        let tags = self.tags(local, Some(error));
        local.add(local.session_series(builtin::SOCKET_SESSIONS, &tags), 1.0);
        if let Error::NotAllowed(refusal) = error {
            local.add_denied(self.scope, self.group, &refusal.host);
        }
    }
}

impl Session {
    /// Begins the session of a socket that is there now.
    pub(super) fn new(line: Line, label: Label, opening: Opening, began: Instant, local: &Local) -> Self {
        let opened = Instant::now();
        let tags = label.tags(local, None);
        let add = |metric: MetricId, value| local.add(local.session_series(metric, &tags), value);
        add(builtin::SOCKET_SESSIONS, 1.0);
        if matches!(line, Line::Tcp(_)) {
            add(builtin::SOCKET_CONNECTING, milliseconds(opened - began));
        }
        let duration = local.session_series(builtin::SOCKET_SESSION_DURATION, &tags);
        Self { line, label, opening, began, opened, sent: None, reused: false, failure: None, duration }
    }

    /// Remembers the first failure.
    pub(super) fn note(&mut self, error: &Error) {
        self.failure.get_or_insert_with(|| error.clone());
    }

    /// Whether the next iteration can use it as if it were new.
    pub(super) fn can_be_kept(&mut self) -> bool {
        match &mut self.line {
            Line::Tcp(tcp) => self.failure.is_none() && tcp.is_clean(),
            Line::Udp(_) => false,
        }
    }

    /// Records the end.
    pub(super) fn end(self, local: &Local) {
        let series = match &self.failure {
            None => self.duration,
            Some(error) => local.session_series(builtin::SOCKET_SESSION_DURATION, &self.label.tags(local, Some(error))),
        };
        local.add(series, milliseconds(self.opened.elapsed()));
    }
}

/// An error in words that fit a socket.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Timeout => "timeout".to_owned(),
        Error::TooLarge(most) => format!("larger than {most} bytes"),
        other => other.to_string(),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
