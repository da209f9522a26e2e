//! What goes wrong, as guests see it.

use super::super::Host;
use crate::protocol::Error;
use crate::protocol::grpc::Status;
use crate::protocol::grpc::schema::SchemaError;
use crate::wit::grpc;

/// k6's codes of what our own side found wrong with HTTP/2: nothing was reset, the peer does not speak it.
const GENERIC: std::ops::Range<u16> = 1600..1610;
const CONNECTION: std::ops::Range<u16> = 1650..1700;

/// Why a guest's call of the host came to nothing.
#[derive(Debug)]
pub(super) enum Failed {
    Network(Error),
    Schema(SchemaError),
    NoReflection(String),
    Ended,
    Stale(u32),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Network(error)
    }
}

impl From<SchemaError> for Failed {
    fn from(error: SchemaError) -> Self {
        Self::Schema(error)
    }
}

impl Host {
    /// A failure without the run's secrets, of which a server's words may hold one.
    pub(super) fn grpc_error(&self, failed: Failed) -> grpc::Error {
        match failed {
            Failed::Network(error) => self.network_error(error),
            Failed::Schema(error) => {
                let text = self.unseen(error.to_string());
                match error {
                    SchemaError::UnknownMethod { .. } => grpc::Error::UnknownMethod(text),
                    SchemaError::Json { .. } | SchemaError::Bytes { .. } => grpc::Error::InvalidMessage(text),
                    _ => grpc::Error::InvalidSchema(text),
                }
            }
            Failed::NoReflection(why) => grpc::Error::NoReflection(self.unseen(why)),
            Failed::Ended => grpc::Error::Ended,
            Failed::Stale(id) => grpc::Error::Stale(id),
        }
    }

    fn network_error(&self, error: Error) -> grpc::Error {
        use grpc::Error as Guest;
        match error {
            Error::Timeout | Error::DialTimeout => Guest::Timeout,
            Error::Dns(text) | Error::NoSuchHost(text) => Guest::Dns(self.unseen(text)),
            Error::Refused => Guest::Refused,
            Error::Reset | Error::BrokenPipe => Guest::Reset(error.to_string()),
            Error::Denied(rule) => Guest::Denied(self.unseen(rule)),
            Error::NotAllowed(refusal) => Guest::Denied(self.unseen(refusal.to_string())),
            Error::Tls(text) | Error::NotTls(text) | Error::UnknownAuthority(text) | Error::WrongHost(text) => {
                Guest::Tls(self.unseen(text))
            }
            Error::Http2 { code, reason } if GENERIC.contains(&code) || CONNECTION.contains(&code) => {
                Guest::Protocol(self.unseen(reason))
            }
            Error::Http2 { reason, .. } => Guest::Reset(self.unseen(reason)),
            Error::Protocol(text) | Error::Decoding(text) => Guest::Protocol(self.unseen(text)),
            Error::InvalidUrl(text) | Error::InvalidRequest(text) => Guest::InvalidRequest(self.unseen(text)),
            Error::TooLarge(limit) => Guest::TooLarge(u32::try_from(limit).unwrap_or(u32::MAX)),
            other => Guest::Other(self.unseen(other.to_string())),
        }
    }

    /// How a call ended, for the guest.
    pub(super) fn shown_status(&self, status: Status) -> grpc::Status {
        let mut details = status.details;
        if let Some(secrets) = &self.run.secrets {
            secrets.redactor().mask(&mut details);
        }
        grpc::Status {
            code: status.code.0,
            message: self.unseen(status.message),
            details,
            failure: status.cause.map(|cause| self.network_error(cause)),
        }
    }

    /// Metadata for the guest.
    pub(super) fn shown_pairs(&self, pairs: Vec<(String, String)>) -> Vec<grpc::Pair> {
        pairs.into_iter().map(|(name, value)| grpc::Pair { name, value: self.unseen(value) }).collect()
    }
}
