//! What is recorded of one socket.

use std::rc::Rc;
use std::time::{Duration, Instant};

use send_wrapper::SendWrapper;

use crate::capability::Local;
use crate::metrics::{Tags, builtin};
use crate::plan::Scheme;
use crate::protocol::{Error, Way};
use crate::wit::metric::Tag;

/// A socket from when it is asked for to its end, which is when this is dropped.
pub(super) struct Session {
    local: SendWrapper<Rc<Local>>,
    /// Scope and group.
    label: (u32, u32),
    scheme: Scheme,
    way: Way,
    began: Instant,
    opened: Option<Instant>,
    /// Whether its beginning is recorded.
    is_counted: bool,
}

/// Counts bytes of a socket as they come and go.
#[derive(Clone)]
pub(super) struct Meter {
    local: SendWrapper<Rc<Local>>,
    label: (u32, u32),
}

impl Session {
    pub(super) fn new(local: &Rc<Local>, label: (u32, u32), scheme: Scheme, way: Way) -> Self {
        let local = SendWrapper::new(Rc::clone(local));
        Self { local, label, scheme, way, began: Instant::now(), opened: None, is_counted: false }
    }

    /// Records a socket that was asked for, and had no way.
    pub(super) fn refused(local: &Local, label: (u32, u32), scheme: Scheme, name: &str, error: &Error) {
        let tags = tags(local, label, scheme, name, Some(error));
        local.add(local.session_series(builtin::SOCKET_SESSIONS, &tags), 1.0);
    }

    /// Where it may connect from, if it is not the system's to choose.
    pub(super) fn from(&self) -> Option<std::net::SocketAddr> {
        self.way.from
    }

    /// It is there.
    pub(super) fn open(&mut self) {
        let opened = *self.opened.insert(Instant::now());
        self.count(None);
        if self.scheme == Scheme::Tcp {
            let tags = self.tags(None);
            let series = self.local.session_series(builtin::SOCKET_CONNECTING, &tags);
            self.local.add(series, milliseconds(opened - self.began));
        }
    }

    /// It will never be there.
    pub(super) fn fail(mut self, error: &Error) {
        self.count(Some(error));
    }

    /// What counts its bytes.
    pub(super) fn meter(&self) -> Meter {
        Meter { local: self.local.clone(), label: self.label }
    }

    fn count(&mut self, error: Option<&Error>) {
        if !std::mem::replace(&mut self.is_counted, true) {
            let tags = self.tags(error);
            self.local.add(self.local.session_series(builtin::SOCKET_SESSIONS, &tags), 1.0);
        }
    }

    fn tags(&self, error: Option<&Error>) -> Tags {
        tags(&self.local, self.label, self.scheme, &self.way.name, error)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // One that was given up before it was there was asked for nevertheless.
        self.count(None);
        if let Some(opened) = self.opened {
            let series = self.local.session_series(builtin::SOCKET_SESSION_DURATION, &self.tags(None));
            self.local.add(series, milliseconds(opened.elapsed()));
        }
    }
}

impl Meter {
    pub(super) fn sent(&self, bytes: usize) {
        self.local.add_bytes(self.label.0, self.label.1, bytes as u64, 0);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.local.add_bytes(self.label.0, self.label.1, 0, bytes as u64);
    }
}

fn tags(local: &Local, (scope, group): (u32, u32), scheme: Scheme, name: &str, error: Option<&Error>) -> Tags {
    let failure = error.map(|error| (error.to_string(), error.code().to_string()));
    let mut system = vec![("proto", scheme.as_str()), ("url", name), ("name", name)];
    if let Some((error, code)) = &failure {
        system.extend([("error", error.as_str()), ("error_code", code)]);
    }
    local.session_tags::<Tag>(scope, group, &system, &[])
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
