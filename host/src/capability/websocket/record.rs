//! What is recorded of a socket, and under which tags. Its series are looked up once, when it opens.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::super::Local;
use crate::metrics::{SeriesId, Tags, builtin};
use crate::protocol::websocket::{Attempt, Problem, Upgraded, Watch};
use crate::wit::protocols::squall::websocket::websocket::Pair;

/// What was asked for, as far as it is recorded.
pub(super) struct Asked<'a> {
    pub(super) scope: u32,
    pub(super) group: u32,
    /// The name, where there is one.
    pub(super) url: &'a str,
    pub(super) tags: &'a [Pair],
    pub(super) begun: Instant,
}

/// Records an open socket.
pub(super) struct Recorded {
    local: Rc<Local>,
    begun: Instant,
    duration: SeriesId,
    sent: SeriesId,
    received: SeriesId,
    ping: SeriesId,
    bytes_sent: SeriesId,
    bytes_received: SeriesId,
}

impl Recorded {
    /// Records that a socket was opened.
    pub(super) fn opened(local: &Rc<Local>, asked: &Asked<'_>, attempt: &Attempt, upgraded: &Upgraded) -> Self {
        let status = upgraded.answer.status.to_string();
        let tags = tags(local, asked, attempt, &[("status", &status), ("subproto", &upgraded.subprotocol)]);
        let series = |metric| local.session_series(metric, &tags);
        local.add(series(builtin::WS_SESSIONS), 1.0);
        local.add(series(builtin::WS_CONNECTING), milliseconds(upgraded.connecting));
        local.add_bytes(asked.scope, asked.group, attempt.sent, attempt.received);
        // Bytes have no tags but the scope's and the group's.
        let base = local.session_tags::<Pair>(asked.scope, asked.group, &[], &[]);
        Self {
            local: Rc::clone(local),
            begun: asked.begun,
            duration: series(builtin::WS_SESSION_DURATION),
            sent: series(builtin::WS_MSGS_SENT),
            received: series(builtin::WS_MSGS_RECEIVED),
            ping: series(builtin::WS_PING),
            bytes_sent: local.session_series(builtin::DATA_SENT, &base),
            bytes_received: local.session_series(builtin::DATA_RECEIVED, &base),
        }
    }

    /// Records that none was.
    pub(super) fn failed(local: &Rc<Local>, asked: &Asked<'_>, attempt: &Attempt, problem: &Problem) {
        let status = match problem {
            Problem::Rejected(answer) => answer.status,
            _ => 0,
        };
        let (status, code, error) = (status.to_string(), problem.code().to_string(), problem.to_string());
        let system = [("status", status.as_str()), ("error", error.as_str()), ("error_code", code.as_str())];
        let tags = tags(local, asked, attempt, &system);
        local.add(local.session_series(builtin::WS_SESSIONS, &tags), 1.0);
        local.add_bytes(asked.scope, asked.group, attempt.sent, attempt.received);
    }
}

fn tags(local: &Local, asked: &Asked<'_>, attempt: &Attempt, more: &[(&'static str, &str)]) -> Tags {
    let ip = attempt.remote.map(|remote| remote.ip().to_string());
    let mut system = vec![("url", asked.url), ("name", asked.url)];
    system.extend_from_slice(more);
    system.extend(attempt.tls_version.map(|version| ("tls_version", version)));
    system.extend(ip.as_deref().map(|ip| ("ip", ip)));
    local.session_tags(asked.scope, asked.group, &system, asked.tags)
}

impl Watch for Recorded {
    fn sent(&self) {
        self.local.add(self.sent, 1.0);
    }

    fn received(&self) {
        self.local.add(self.received, 1.0);
    }

    fn pinged(&self, took: Duration) {
        self.local.add(self.ping, milliseconds(took));
    }

    fn bytes(&self, sent: u64, received: u64) {
        if sent > 0 {
            self.local.add(self.bytes_sent, sent as f64);
        }
        if received > 0 {
            self.local.add(self.bytes_received, received as f64);
        }
    }

    fn ended(&self) {
        self.local.add(self.duration, milliseconds(self.begun.elapsed()));
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
