//! One stream of events: what it is made of, and what is recorded of it.

use std::time::Duration;

use tokio::time::Instant;

use super::lines::Lines;
use super::parser::{Block, Parser, TooLarge};
use super::pulse::Pulse;
use super::sse::Sse;
use super::tokens;
use crate::capability::Local;
use crate::metrics::{MetricId, SeriesId, Tags, builtin};
use crate::wit::events::{Format, Options, Tokens};
use crate::wit::http;

/// What a stream waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    /// For more of this answer.
    Reading(u32),
    /// For the time to be over after which it is taken up again.
    Waiting(Instant),
    Ended,
}

/// A stream of events.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) state: State,
    /// What is sent again.
    pub(super) request: http::Request,
    pub(super) options: Options,
    pub(super) deadline: Option<Instant>,
    /// The last byte of the first request.
    pub(super) sent: std::time::Instant,
    parser: Parser,
    piece: Vec<u8>,
    taken: usize,
    /// When the piece came.
    arrived: Duration,
    /// The connections that there were before this one, and the attempts to make one.
    pub(super) connection: u32,
    pub(super) attempts: u32,
    /// Whether the answer said that it is complete.
    is_complete: bool,
    pub(super) pulse: Pulse,
    numbers: Numbers,
}

/// An event as the guest gets it, and what it says of the answer.
pub(super) struct Taken {
    pub(super) block: Block,
    pub(super) token: Option<String>,
    pub(super) arrived: Duration,
}

/// Where a stream's values go. Series are made when the first value is there.
#[derive(Debug)]
struct Numbers {
    tags: Tags,
    series: Vec<(MetricId, SeriesId)>,
    /// Whether the tokens are counted.
    is_closed: bool,
}

/// The `format` tag.
pub(super) fn format_tag(options: &Options) -> &'static str {
    match (&options.tokens, options.format) {
        (Tokens::Openai, _) => "openai",
        (Tokens::Anthropic, _) => "anthropic",
        (Tokens::Pointers(_), _) => "tokens",
        (Tokens::None, Format::ServerSentEvents) => "sse",
        (Tokens::None, Format::JsonLines) => "jsonl",
    }
}

impl Stream {
    pub(super) fn new(
        state: State,
        request: http::Request,
        options: Options,
        deadline: Option<Instant>,
        sent: std::time::Instant,
        tags: Tags,
    ) -> Self {
        let parser = match options.format {
            Format::ServerSentEvents => Parser::Sse(Sse::default()),
            Format::JsonLines => Parser::Lines(Lines::default()),
        };
        Self {
            state,
            request,
            options,
            deadline,
            sent,
            parser,
            piece: Vec::new(),
            taken: 0,
            arrived: Duration::ZERO,
            connection: 0,
            attempts: 0,
            is_complete: false,
            pulse: Pulse::default(),
            numbers: Numbers { tags, series: Vec::new(), is_closed: false },
        }
    }

    /// Takes in bytes that came then. All before are taken.
    pub(super) fn take_in(&mut self, piece: Vec<u8>, at: std::time::Instant) {
        (self.piece, self.taken) = (piece, 0);
        self.arrived = at.saturating_duration_since(self.sent);
    }

    /// The next event of the bytes that are here.
    pub(super) fn parse(&mut self, limit: u64) -> Result<Option<Block>, TooLarge> {
        let mut rest = &self.piece[self.taken..];
        let found = self.parser.next(&mut rest, limit);
        self.taken = self.piece.len() - rest.len();
        if rest.is_empty() {
            // A stream that waits keeps nothing that it does not need.
            (self.piece, self.taken) = (Vec::new(), 0);
        }
        found
    }

    /// What the end of an answer completes.
    pub(super) fn finish(&mut self) -> Option<Block> {
        self.parser.finish()
    }

    /// Begins to read another answer.
    pub(super) fn restart(&mut self, id: u32) {
        self.parser.restart();
        (self.piece, self.taken) = (Vec::new(), 0);
        self.connection += 1;
        self.state = State::Reading(id);
    }

    /// The last id that the server gave.
    pub(super) fn last_id(&self) -> &str {
        self.parser.state().0
    }

    /// The milliseconds to wait before the stream is taken up again.
    pub(super) fn retry(&self) -> f64 {
        self.parser.state().1.unwrap_or(self.options.retry)
    }

    /// Whether it is to be taken up again.
    pub(super) fn may_go_on(&self) -> bool {
        !self.is_complete && self.attempts < self.options.reconnects
    }

    /// Records an event and looks for a token in it.
    pub(super) fn take(&mut self, block: Block, local: &Local) -> Taken {
        let arrived = self.arrived;
        let found = tokens::find(&self.options.tokens, &block.kind, &block.data);
        self.numbers.add(local, builtin::STREAM_EVENTS, 1.0);
        if self.pulse.event(arrived) {
            self.numbers.add(local, builtin::STREAM_TIME_TO_FIRST_EVENT, milliseconds(arrived));
        }
        if found.text.is_some() {
            let (metric, time) = match self.pulse.token(arrived) {
                None => (builtin::LLM_TIME_TO_FIRST_TOKEN, arrived),
                Some(since) => (builtin::LLM_INTER_TOKEN_LATENCY, since),
            };
            self.numbers.add(local, metric, milliseconds(time));
        }
        self.pulse.counted = found.count.or(self.pulse.counted);
        self.is_complete |= found.is_last;
        Taken { block, token: found.text, arrived }
    }

    /// Counts that the stream is taken up again.
    pub(super) fn count_reconnect(&mut self, local: &Local) {
        self.attempts += 1;
        self.numbers.add(local, builtin::STREAM_RECONNECTS, 1.0);
    }

    /// Ends it and records what is known only then. Nothing happens the second time.
    pub(super) fn end(&mut self, local: &Local) {
        self.state = State::Ended;
        (self.piece, self.taken) = (Vec::new(), 0);
        if std::mem::replace(&mut self.numbers.is_closed, true) {
            return;
        }
        if self.pulse.tokens() > 0 {
            self.numbers.add(local, builtin::LLM_TOKENS, f64::from(self.pulse.tokens()));
        }
        if let Some(rate) = self.pulse.tokens_per_second() {
            self.numbers.add(local, builtin::LLM_TOKENS_PER_SECOND, rate);
        }
    }
}

impl Numbers {
    fn add(&mut self, local: &Local, metric: MetricId, value: f64) {
        let known = self.series.iter().find(|(known, _)| *known == metric).map(|(_, series)| *series);
        let series = known.unwrap_or_else(|| {
            let series = local.session_series(metric, &self.tags);
            self.series.push((metric, series));
            series
        });
        local.add(series, value);
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
