//! How calls end.

use std::fmt;

use super::host;
use crate::Error;

/// A status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(u32);

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Status {
    code: Code,
    message: String,
    details: Vec<u8>,
    failure: Option<host::Error>,
}

/// Every code and its name.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Its name in capitals; empty where it has none.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($number => stringify!($name),)*
                    _ => "",
                }
            }
        }
    };
}

codes! {
    /// All went well.
    OK = 0;
    /// The call was given up.
    CANCELLED = 1;
    /// Nobody knows.
    UNKNOWN = 2;
    /// The caller asked for something that cannot be.
    INVALID_ARGUMENT = 3;
    /// Not within the deadline.
    DEADLINE_EXCEEDED = 4;
    /// There is no such thing.
    NOT_FOUND = 5;
    /// There is such a thing already.
    ALREADY_EXISTS = 6;
    /// The caller may not do that.
    PERMISSION_DENIED = 7;
    /// Something is used up.
    RESOURCE_EXHAUSTED = 8;
    /// The system is not in the state for that.
    FAILED_PRECONDITION = 9;
    /// The call was broken off.
    ABORTED = 10;
    /// Beyond the valid range.
    OUT_OF_RANGE = 11;
    /// There is no such method.
    UNIMPLEMENTED = 12;
    /// Something is broken.
    INTERNAL = 13;
    /// The server cannot be used now.
    UNAVAILABLE = 14;
    /// Data is lost.
    DATA_LOSS = 15;
    /// Nobody knows who the caller is.
    UNAUTHENTICATED = 16;
}

impl Code {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "" => write!(f, "{}", self.0),
            name => f.write_str(name),
        }
    }
}

impl Status {
    pub(super) fn new(status: host::Status) -> Self {
        let host::Status { code, message, details, failure } = status;
        Self { code: Code(code), message, details, failure }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The server's words; where it had none, what happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// `grpc-status-details-bin`: the bytes of a `google.rpc.Status`.
    #[must_use]
    pub fn details(&self) -> &[u8] {
        &self.details
    }

    /// What happened where the server sent no status.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.failure.clone().map(Error::from)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_shows_its_code_and_the_servers_words() {
        let status = |code, message: &str| {
            let message = message.to_owned();
            Status::new(host::Status { code, message, details: Vec::new(), failure: None }).to_string()
        };
        assert_eq!(status(5, "no such order"), "NOT_FOUND: no such order");
        assert_eq!(status(0, ""), "OK");
        assert_eq!(status(42, ""), "42");
    }
}
