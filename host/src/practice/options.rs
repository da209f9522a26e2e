//! How the practice server is told to behave.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::duration::{self, DurationError};

/// How the practice server behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where it listens for TLS, with a certificate of its own.
    pub tls: Option<SocketAddr>,
    /// Where it listens for HTTP/3, with the same certificate.
    pub http3: Option<SocketAddr>,
    /// Where it answers lines over TCP, if it does.
    pub tcp: Option<SocketAddr>,
    /// Where it answers datagrams, if it does.
    pub udp: Option<SocketAddr>,
    /// How long every answer takes at least.
    pub latency: Option<Latency>,
    /// The share of answers, 0 to 1, that are a 500 instead.
    pub error_rate: f64,
    /// When the server answers nothing.
    pub stalls: Vec<Stall>,
    /// Requests per second, over all clients, beyond which the answer is a 429.
    pub rate_limit: Option<NonZeroU32>,
    /// Seeds what is drawn by chance: latencies and errors.
    pub seed: u64,
    /// How many requests are kept in full for [`Server::recorded`](super::Server::recorded); the first ones stay.
    pub record: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            http3: None,
            tcp: None,
            udp: None,
            latency: None,
            error_rate: 0.0,
            stalls: Vec::new(),
            rate_limit: None,
            seed: 0,
            record: 0,
        }
    }
}

/// How long an answer takes at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// Always as long.
    Fixed(Duration),
    /// Drawn evenly from a range, ends included.
    Between(Duration, Duration),
}

/// A time in which no answer is given: a request that arrives in it is answered at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// When it begins, since the server started.
    pub at: Duration,
    /// How long it lasts.
    pub length: Duration,
}

/// Why an option's text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// A part is not a duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// The range runs backwards.
    #[error("the range `{given}` ends before it begins")]
    BackwardRange {
        /// What was written.
        given: String,
    },
    /// There is no `:` in a stall.
    #[error("`{given}` is not a stall: write when it begins and how long it lasts, as in `2s:500ms`")]
    NotAStall {
        /// What was written.
        given: String,
    },
}

impl FromStr for Latency {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        let Some((min, max)) = text.split_once("..") else {
            return Ok(Self::Fixed(duration::parse(text)?));
        };
        let (min, max) = (duration::parse(min)?, duration::parse(max)?);
        if max < min {
            return Err(OptionError::BackwardRange { given: text.to_owned() });
        }
        Ok(Self::Between(min, max))
    }
}

impl FromStr for Stall {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        let (at, length) = text.split_once(':').ok_or_else(|| OptionError::NotAStall { given: text.to_owned() })?;
        Ok(Self { at: duration::parse(at)?, length: duration::parse(length)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_one_duration_or_a_range() {
        let ms = Duration::from_millis;
        assert_eq!("20ms".parse(), Ok(Latency::Fixed(ms(20))));
        assert_eq!("5ms..1s".parse(), Ok(Latency::Between(ms(5), ms(1000))));
        assert_eq!("2s..1s".parse::<Latency>(), Err(OptionError::BackwardRange { given: "2s..1s".to_owned() }));
        assert!("5..9".parse::<Latency>().is_err());
    }

    #[test]
    fn a_stall_says_when_and_how_long() {
        let stall = Stall { at: Duration::from_secs(2), length: Duration::from_millis(500) };
        assert_eq!("2s:500ms".parse(), Ok(stall));
        assert_eq!("2s".parse::<Stall>(), Err(OptionError::NotAStall { given: "2s".to_owned() }));
    }
}
