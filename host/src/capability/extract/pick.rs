//! Which of several results is wanted, by JMeter's match number, and how many may be handed over.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::wit::extract::Error;

/// The most results handed over at once.
const MOST_RESULTS: usize = 10_000;
/// The most bytes of results handed over at once.
const MOST_BYTES: usize = 16 << 20;
/// The longest one call may look for results.
const LONGEST: Duration = Duration::from_secs(2);

/// Which results are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pick {
    /// This one, from 0.
    Nth(usize),
    /// One of all.
    Random,
    All,
}

/// Takes results as they are found, until it has what is wanted.
pub(super) struct Found<T> {
    pick: Pick,
    seen: usize,
    bytes: usize,
    kept: Vec<T>,
    watch: Watch,
}

impl<T> Found<T> {
    pub(super) fn new(nth: i32) -> Self {
        let pick = match nth {
            0 => Pick::Random,
            nth => usize::try_from(nth).map_or(Pick::All, |nth| Pick::Nth(nth - 1)),
        };
        Self { pick, seen: 0, bytes: 0, kept: Vec::new(), watch: Watch::start() }
    }

    /// Takes a result of so many bytes; breaks when no more is needed.
    pub(super) fn offer(&mut self, bytes: usize, result: impl FnOnce() -> T) -> Result<ControlFlow<()>, Error> {
        self.watch.check()?;
        let place = self.seen;
        self.seen += 1;
        if let Pick::Nth(wanted) = self.pick
            && place != wanted
        {
            return Ok(ControlFlow::Continue(()));
        }
        if self.kept.len() == MOST_RESULTS {
            return Err(Error::TooMuch(format!("there are more than {MOST_RESULTS} results, the limit")));
        }
        self.bytes += bytes;
        if self.bytes > MOST_BYTES {
            return Err(Error::TooMuch(format!("the results have more than {MOST_BYTES} bytes, the limit")));
        }
        self.kept.push(result());
        let done = self.pick == Pick::Nth(place);
        Ok(if done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Returns what is wanted; `random` gives a number in [0, 1) if one is needed.
    pub(super) fn choose(mut self, random: impl FnOnce() -> f64) -> Vec<T> {
        if self.pick == Pick::Random && !self.kept.is_empty() {
            let place = (random() * self.kept.len() as f64) as usize;
            return vec![self.kept.swap_remove(place.min(self.kept.len() - 1))];
        }
        self.kept
    }
}

/// Ends work that takes too long: the other virtual users of the thread wait meanwhile.
pub(super) struct Watch {
    started: Instant,
    checks: u32,
}

impl Watch {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), checks: 0 }
    }

    pub(super) fn check(&mut self) -> Result<(), Error> {
        self.checks += 1;
        // Reading the clock costs more than most results do.
        if self.checks.is_multiple_of(16) && self.started.elapsed() > LONGEST {
            return Err(Error::TooMuch(format!("it takes longer than {LONGEST:?}, the limit")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'t>(nth: i32, texts: impl IntoIterator<Item = &'t str>) -> Result<Found<&'t str>, Error> {
        let mut found = Found::new(nth);
        for text in texts {
            if found.offer(text.len(), || text)?.is_break() {
                break;
            }
        }
        Ok(found)
    }

    fn choose(nth: i32, random: f64) -> Vec<&'static str> {
        found(nth, ["a", "b", "c"]).unwrap().choose(|| random)
    }

    #[test]
    fn the_match_number_is_jmeters() {
        assert_eq!((choose(1, 0.0), choose(3, 0.0), choose(4, 0.0)), (vec!["a"], vec!["c"], vec![]));
        assert_eq!(choose(-1, 0.0), ["a", "b", "c"]);
        assert_eq!((choose(0, 0.0), choose(0, 0.5), choose(0, 0.999)), (vec!["a"], vec!["b"], vec!["c"]));
        assert_eq!(choose(i32::MIN, 0.0), ["a", "b", "c"]);
    }

    #[test]
    fn nothing_found_draws_no_random_number() {
        let found = Found::<String>::new(0);
        assert!(found.choose(|| unreachable!("there is nothing to choose from")).is_empty());
    }

    #[test]
    fn more_than_a_guest_should_be_given_is_an_error_with_the_limit() {
        let large = "x".repeat(1 << 20);
        let offer = |nth, count, text| found(nth, std::iter::repeat_n(text, count)).map(|_| ());
        assert!(matches!(offer(-1, 10_001, "x"), Err(Error::TooMuch(why)) if why.contains("10000 results")));
        assert!(offer(-1, 10_000, "x").is_ok());
        assert!(offer(20_000, 30_000, "x").is_ok(), "those before the one that is wanted do not count");
        assert!(matches!(offer(-1, 17, &large), Err(Error::TooMuch(why)) if why.contains("16777216 bytes")));
    }
}
