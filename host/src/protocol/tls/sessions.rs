//! The sessions that one VU may resume. VUs are users of their own, so none resumes another's.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_rustls::rustls::NamedGroup;
use tokio_rustls::rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use tokio_rustls::rustls::pki_types::ServerName;

/// How many servers a VU remembers; the oldest makes room.
const SERVERS: usize = 16;

/// How many tickets of TLS 1.3 it keeps of each. A ticket serves once, holds the server's certificates, and each new
/// connection brings new ones, so more would only cost memory.
const TICKETS: usize = 2;

/// One VU's sessions.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Vec<Server>>);

struct Server {
    name: ServerName<'static>,
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    /// The oldest first.
    tls13: Vec<Tls13ClientSessionValue>,
}

/// Resumes what is in `sessions`.
pub(super) fn resumption(sessions: &Arc<Sessions>) -> Resumption {
    Resumption::store(Arc::<Sessions>::clone(sessions))
}

/// Resumes nothing.
pub(super) fn none() -> Resumption {
    Resumption::disabled()
}

impl Sessions {
    fn servers(&self) -> MutexGuard<'_, Vec<Server>> {
        // Nothing in here can be left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find<T>(&self, name: &ServerName<'_>, read: impl FnOnce(&mut Server) -> Option<T>) -> Option<T> {
        self.servers().iter_mut().find(|server| server.name == *name).and_then(read)
    }

    fn edit(&self, name: ServerName<'static>, edit: impl FnOnce(&mut Server)) {
        let mut servers = self.servers();
        if let Some(server) = servers.iter_mut().find(|server| server.name == name) {
            return edit(server);
        }
        if servers.len() == SERVERS {
            servers.remove(0);
        }
        let mut server = Server { name, group: None, tls12: None, tls13: Vec::new() };
        edit(&mut server);
        servers.reserve_exact(1);
        servers.push(server);
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.edit(server_name, |server| server.group = Some(group));
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.find(server_name, |server| server.group)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.edit(server_name, |server| server.tls12 = Some(value));
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.find(server_name, |server| server.tls12.clone())
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.find(server_name, |server| server.tls12.take());
    }

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.edit(server_name, |server| {
            if server.tls13.len() == TICKETS {
                server.tls13.remove(0);
            }
            server.tls13.reserve_exact(1);
            server.tls13.push(value);
        });
    }

    fn take_tls13_ticket(&self, server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.find(server_name, |server| server.tls13.pop())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Sessions are secrets.
        formatter.write_str("Sessions")
    }
}
