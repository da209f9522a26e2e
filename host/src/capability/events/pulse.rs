//! When events and tokens came: the numbers of a stream, without a clock of their own.

use std::time::Duration;

/// What a stream came to so far. Times are since the last byte of its first request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Pulse {
    pub(super) events: u32,
    pub(super) first_event: Option<Duration>,
    pub(super) last_event: Option<Duration>,
    /// Events that are tokens.
    pub(super) chunks: u32,
    /// What the server said at last.
    pub(super) counted: Option<u32>,
    pub(super) first_token: Option<Duration>,
    pub(super) last_token: Option<Duration>,
}

impl Pulse {
    /// Takes in an event; returns whether it was the first.
    pub(super) fn event(&mut self, at: Duration) -> bool {
        self.events = self.events.saturating_add(1);
        self.last_event = Some(at);
        let is_first = self.first_event.is_none();
        self.first_event.get_or_insert(at);
        is_first
    }

    /// Takes in a token; returns the time since the one before, if there was one.
    pub(super) fn token(&mut self, at: Duration) -> Option<Duration> {
        self.chunks = self.chunks.saturating_add(1);
        self.first_token.get_or_insert(at);
        let before = self.last_token.replace(at);
        before.map(|before| at.saturating_sub(before))
    }

    /// The tokens: what the server said at last, else the events that are one.
    pub(super) fn tokens(&self) -> u32 {
        self.counted.unwrap_or(self.chunks)
    }

    /// Tokens after the first by the seconds from the first to the last; `None` where no time passed between two.
    pub(super) fn tokens_per_second(&self) -> Option<f64> {
        let seconds = self.last_token?.checked_sub(self.first_token?)?.as_secs_f64();
        (seconds > 0.0 && self.tokens() > 1).then(|| f64::from(self.tokens() - 1) / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_counts_the_tokens_after_the_first() {
        let mut pulse = Pulse::default();
        assert_eq!(pulse.tokens_per_second(), None);
        let ms = Duration::from_millis;
        assert_eq!(pulse.token(ms(500)), None);
        assert_eq!(pulse.tokens_per_second(), None);
        assert_eq!(pulse.token(ms(550)), Some(ms(50)));
        assert_eq!(pulse.token(ms(600)), Some(ms(50)));
        assert_eq!((pulse.tokens(), pulse.tokens_per_second()), (3, Some(20.0)));
        pulse.counted = Some(11);
        assert_eq!((pulse.tokens(), pulse.tokens_per_second()), (11, Some(100.0)));
        pulse.counted = Some(0);
        assert_eq!(pulse.tokens_per_second(), None);
    }

    #[test]
    fn tokens_that_came_together_have_no_rate() {
        let mut pulse = Pulse::default();
        for _ in 0..3 {
            pulse.token(Duration::from_millis(5));
        }
        assert_eq!((pulse.chunks, pulse.tokens_per_second()), (3, None));
    }

    #[test]
    fn only_the_first_event_is_the_first() {
        let mut pulse = Pulse::default();
        assert!(pulse.event(Duration::from_millis(3)));
        assert!(!pulse.event(Duration::from_millis(4)));
        assert_eq!((pulse.events, pulse.first_event), (2, Some(Duration::from_millis(3))));
        assert_eq!(pulse.last_event, Some(Duration::from_millis(4)));
    }
}
