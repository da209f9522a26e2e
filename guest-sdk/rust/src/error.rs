//! Everything that can go wrong in a journey, as one type for `?`.

use std::fmt;
use std::num::{ParseFloatError, ParseIntError};
use std::str::Utf8Error;

use crate::bindings::squall::events::events;
use crate::bindings::squall::journey::{cookies, extract, http, metric, secret, tls};
use crate::bindings::squall::socket::socket;
use crate::grpc;

/// Why something in a journey did not work.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No answer within the timeout.
    Timeout,
    /// The host name could not be resolved; the resolver's words.
    Dns(String),
    /// The connection was refused.
    Refused,
    /// The connection was closed or reset before the answer was complete.
    Reset,
    /// The other side closed the connection before all that was asked for had come.
    Closed,
    /// The TLS handshake failed; the reason.
    Tls(String),
    /// The answer is not HTTP; what is wrong with it.
    Protocol(String),
    /// The run's policy does not allow this request; the rule.
    Denied(String),
    /// The URL cannot be used; why.
    InvalidUrl(String),
    /// The method, a header or another field cannot be used; which and why.
    InvalidRequest(String),
    /// The answer is larger than the limit, in bytes.
    TooLarge(u32),
    /// The content type is not that of a stream of events; which it is.
    ContentType(String),
    /// A stream could not be taken up again: the answer's status.
    NotResumed(u16),
    /// The response was released or belongs to an earlier iteration; its id.
    Stale(u32),
    /// The body is not valid JSON; the parser's words.
    NotJson(String),
    /// A path, an expression, a selector or a group cannot be used; which and why.
    InvalidExpression(String),
    /// Reading from the answer would go over a limit; the value and the limit.
    TooMuch(String),
    /// JSON could not be read into, or written from, the type asked for; why.
    Json(String),
    /// The cookie may not be set; which and why.
    InvalidCookie(String),
    /// The metric's name cannot be used; why.
    InvalidMetric(String),
    /// The metric exists with another kind or unit; which.
    MetricConflict(String),
    /// The run has as many metrics as it may; the limit.
    TooManyMetrics(u32),
    /// The run was given no such secret; which, and what it was given.
    UnknownSecret(String),
    /// The client's certificate cannot be used; why.
    InvalidCertificate(String),
    /// The client's key cannot be used; why.
    InvalidKey(String),
    /// A gRPC call did not end well; how it ended.
    Grpc(Box<grpc::Status>),
    /// There is no such gRPC method among those that are known; which, and what is known.
    UnknownMethod(String),
    /// A message does not fit its type; where and why.
    InvalidMessage(String),
    /// A `.proto` file or a set of descriptors cannot be used; where and why.
    InvalidSchema(String),
    /// The server does not say which gRPC methods it has; why.
    NoReflection(String),
    /// Anything else: the host's words, or the author's.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, detail) = match self {
            Self::Timeout => ("the request timed out", ""),
            Self::Dns(why) => ("the host name could not be resolved: ", why.as_str()),
            Self::Refused => ("the connection was refused", ""),
            Self::Reset => ("the connection was reset", ""),
            Self::Closed => ("the other side closed the connection too early", ""),
            Self::Tls(why) => ("the TLS handshake failed: ", why.as_str()),
            Self::Protocol(why) => ("the answer is not HTTP: ", why.as_str()),
            Self::Denied(why) => ("the request is not allowed: ", why.as_str()),
            Self::InvalidUrl(why) => ("the URL is invalid: ", why.as_str()),
            Self::InvalidRequest(why) => ("the request is invalid: ", why.as_str()),
            Self::TooLarge(limit) => return write!(f, "the answer is larger than {limit} bytes"),
            Self::Stale(id) => {
                return write!(f, "response {id} was released or is of an earlier iteration");
            }
            Self::ContentType(given) => ("the content type is not that of the stream: ", given.as_str()),
            Self::NotResumed(status) => {
                return write!(f, "the stream could not be taken up again: the answer is {status}");
            }
            Self::NotJson(why) => ("the body is not JSON: ", why.as_str()),
            Self::InvalidExpression(why) => ("the expression is invalid: ", why.as_str()),
            Self::TooMuch(why) => ("reading the answer is too much: ", why.as_str()),
            Self::InvalidCookie(why) => ("the cookie is invalid: ", why.as_str()),
            Self::InvalidMetric(why) => ("the metric's name is invalid: ", why.as_str()),
            Self::MetricConflict(why) => ("the metric exists already: ", why.as_str()),
            Self::InvalidCertificate(why) => ("the client's certificate is invalid: ", why.as_str()),
            Self::InvalidKey(why) => ("the client's key is invalid: ", why.as_str()),
            Self::InvalidMessage(why) => ("the message does not fit: ", why.as_str()),
            Self::InvalidSchema(why) => ("the schema is invalid: ", why.as_str()),
            Self::NoReflection(why) => ("the server does not say which methods it has: ", why.as_str()),
            Self::Grpc(status) => return write!(f, "the call ended with {status}"),
            Self::TooManyMetrics(limit) => {
                return write!(f, "the run has {limit} metrics, as many as it may");
            }
            Self::Json(why) | Self::UnknownSecret(why) | Self::UnknownMethod(why) | Self::Other(why) => {
                ("", why.as_str())
            }
        };
        f.write_str(what)?;
        f.write_str(detail)
    }
}

impl std::error::Error for Error {}

impl Error {
    /// An error with the author's own words.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }
}

impl From<std::io::Error> for Error {
    #[cold]
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<http::Error> for Error {
    #[cold]
    fn from(error: http::Error) -> Self {
        match error {
            http::Error::Timeout => Self::Timeout,
            http::Error::Dns(why) => Self::Dns(why),
            http::Error::Refused => Self::Refused,
            http::Error::Reset => Self::Reset,
            http::Error::Tls(why) => Self::Tls(why),
            http::Error::Protocol(why) => Self::Protocol(why),
            http::Error::Denied(why) => Self::Denied(why),
            http::Error::InvalidUrl(why) => Self::InvalidUrl(why),
            http::Error::InvalidRequest(why) => Self::InvalidRequest(why),
            http::Error::TooLarge(limit) => Self::TooLarge(limit),
            http::Error::Other(why) => Self::Other(why),
        }
    }
}

impl From<socket::Error> for Error {
    #[cold]
    fn from(error: socket::Error) -> Self {
        match error {
            socket::Error::Timeout => Self::Timeout,
            socket::Error::Dns(why) => Self::Dns(why),
            socket::Error::Refused => Self::Refused,
            socket::Error::Reset => Self::Reset,
            socket::Error::Closed => Self::Closed,
            socket::Error::Tls(why) => Self::Tls(why),
            socket::Error::Denied(why) => Self::Denied(why),
            socket::Error::TooLarge(limit) => Self::TooLarge(limit),
            socket::Error::InvalidRequest(why) => Self::InvalidRequest(why),
            socket::Error::Stale(id) => Self::Other(format!("socket {id} is closed or of an earlier iteration")),
            socket::Error::Other(why) => Self::Other(why),
        }
    }
}

impl From<events::Error> for Error {
    #[cold]
    fn from(error: events::Error) -> Self {
        match error {
            events::Error::Timeout => Self::Timeout,
            events::Error::Dns(why) => Self::Dns(why),
            events::Error::Refused => Self::Refused,
            events::Error::Reset => Self::Reset,
            events::Error::Tls(why) => Self::Tls(why),
            events::Error::Protocol(why) => Self::Protocol(why),
            events::Error::Denied(why) => Self::Denied(why),
            events::Error::TooLarge(limit) => Self::TooLarge(limit),
            events::Error::ContentType(given) => Self::ContentType(given),
            events::Error::Status(status) => Self::NotResumed(status),
            events::Error::InvalidRequest(why) => Self::InvalidRequest(why),
            events::Error::Stale(id) => Self::Stale(id),
            events::Error::Other(why) => Self::Other(why),
        }
    }
}

impl From<http::LookupError> for Error {
    #[cold]
    fn from(error: http::LookupError) -> Self {
        match error {
            http::LookupError::Stale(id) => Self::Stale(id),
            http::LookupError::NotJson(why) => Self::NotJson(why),
            http::LookupError::Other(why) => Self::Other(why),
        }
    }
}

impl From<cookies::Error> for Error {
    #[cold]
    fn from(error: cookies::Error) -> Self {
        match error {
            cookies::Error::InvalidUrl(why) => Self::InvalidUrl(why),
            cookies::Error::InvalidCookie(why) => Self::InvalidCookie(why),
            cookies::Error::UnknownJar(jar) => Self::Other(format!("there is no cookie jar {jar} in this iteration")),
            cookies::Error::Other(why) => Self::Other(why),
        }
    }
}

impl From<extract::Error> for Error {
    #[cold]
    fn from(error: extract::Error) -> Self {
        match error {
            extract::Error::Stale(id) => Self::Stale(id),
            extract::Error::NotJson(why) => Self::NotJson(why),
            extract::Error::InvalidExpression(why) => Self::InvalidExpression(why),
            extract::Error::TooMuch(why) => Self::TooMuch(why),
            extract::Error::Other(why) => Self::Other(why),
        }
    }
}

impl From<metric::Error> for Error {
    #[cold]
    fn from(error: metric::Error) -> Self {
        match error {
            metric::Error::InvalidName(why) => Self::InvalidMetric(why),
            metric::Error::Conflict(why) => Self::MetricConflict(why),
            metric::Error::TooMany(limit) => Self::TooManyMetrics(limit),
            metric::Error::Other(why) => Self::Other(why),
        }
    }
}

impl From<secret::Error> for Error {
    #[cold]
    fn from(error: secret::Error) -> Self {
        match error {
            secret::Error::Unknown(why) => Self::UnknownSecret(why),
            secret::Error::Other(why) => Self::Other(why),
        }
    }
}

impl From<tls::Error> for Error {
    #[cold]
    fn from(error: tls::Error) -> Self {
        match error {
            tls::Error::InvalidCertificate(why) => Self::InvalidCertificate(why),
            tls::Error::InvalidKey(why) => Self::InvalidKey(why),
            tls::Error::Other(why) => Self::Other(why),
        }
    }
}

impl From<serde_json::Error> for Error {
    // Keeping only the words keeps serde_json out of journeys that read no JSON.
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::Other(message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::Other(message.to_owned())
    }
}

/// Errors of the standard library that scripts meet most; their words are kept, their type is not.
macro_rules! keep_the_words {
    ($($error:ty),+) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Other(error.to_string())
            }
        }
    )+};
}

keep_the_words!(ParseIntError, ParseFloatError, Utf8Error, std::string::FromUtf8Error, Box<dyn std::error::Error>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_happened_and_the_hosts_words() {
        assert_eq!(Error::from(http::Error::Timeout).to_string(), "the request timed out");
        assert_eq!(
            Error::from(http::Error::Dns("no such host".into())).to_string(),
            "the host name could not be resolved: no such host"
        );
        assert_eq!(
            Error::from(http::LookupError::Stale(7)).to_string(),
            "response 7 was released or is of an earlier iteration"
        );
        assert_eq!(Error::from("out of stock").to_string(), "out of stock");
    }

    #[test]
    fn errors_of_the_standard_library_pass_through_the_question_mark() {
        fn parse(text: &str) -> Result<i32, Error> {
            Ok(text.parse::<i32>()?)
        }
        assert_eq!(parse("3").expect("a number"), 3);
        assert_eq!(parse("x").expect_err("not a number").to_string(), "invalid digit found in string");
    }
}
