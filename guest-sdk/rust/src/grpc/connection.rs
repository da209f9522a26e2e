//! Ways to servers.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use super::{Answer, Call, host};
use crate::Error;
use crate::vu::milliseconds;

/// How a connection is made. TLS is the default.
#[derive(Debug)]
#[must_use = "no connection is there until it is opened"]
pub struct Connect<'a> {
    address: Cow<'a, str>,
    plaintext: bool,
    reflect: bool,
    metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    timeout: Option<f64>,
    authority: Option<Cow<'a, str>>,
}

/// A connection to a server. The virtual user keeps it when this is dropped, and gets it back when it connects to the same
/// address in the same way, also in its next iteration.
#[derive(Debug)]
pub struct Connection {
    id: u32,
}

impl Connection {
    /// A connection to `host:port`, to be opened.
    pub fn to<'a>(address: impl Into<Cow<'a, str>>) -> Connect<'a> {
        Connect {
            address: address.into(),
            plaintext: false,
            reflect: false,
            metadata: Vec::new(),
            timeout: None,
            authority: None,
        }
    }

    /// A call of `package.Service/Method`, to be made.
    pub fn call<'a>(&self, method: impl Into<Cow<'a, str>>) -> Call<'a> {
        Call::new(self.id, method.into())
    }

    /// Makes a unary call with a message as JSON.
    pub fn invoke(&self, method: &str, message: &impl Serialize) -> Result<Answer, Error> {
        self.call(method).json(message)
    }

    /// Closes it, unless other virtual users share it.
    pub fn close(self) {
        host::close(self.id);
    }
}

impl<'a> Connect<'a> {
    /// Goes without TLS.
    pub fn plaintext(mut self) -> Self {
        self.plaintext = true;
        self
    }

    /// Asks the server which methods it has. The run asks each server once.
    pub fn reflect(mut self) -> Self {
        self.reflect = true;
        self
    }

    /// Metadata that goes with the question of `reflect`.
    pub fn reflect_metadata(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.metadata.push((name.into(), value.into()));
        self
    }

    /// The time to connect and to ask.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(milliseconds(limit));
        self
    }

    /// The server's name, where it is not the address: in requests, and in its certificate.
    pub fn authority(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.authority = Some(name.into());
        self
    }

    /// Opens the connection, or takes the one that is there.
    pub fn open(self) -> Result<Connection, Error> {
        let metadata = pairs(&self.metadata);
        let options = host::ConnectOptions {
            plaintext: self.plaintext,
            reflect: self.reflect,
            reflect_metadata: &metadata,
            timeout: self.timeout,
            authority: self.authority.as_deref(),
        };
        Ok(Connection { id: host::connect(&self.address, options)? })
    }
}

pub(super) fn pairs<'a>(of: &'a [(Cow<'_, str>, Cow<'_, str>)]) -> Vec<host::PairParam<'a>> {
    of.iter().map(|(name, value)| host::PairParam { name, value }).collect()
}
