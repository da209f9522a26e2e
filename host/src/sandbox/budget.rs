//! What all VUs of a run may use together: one budget, however many there are.
//!
//! A limit of a store holds for one VU; a thousand VUs at the limit are a thousand limits. So what a VU takes is taken out
//! of the run's budget as well, and given back when its store is dropped.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::Limits;

/// A run's budget of memory and of table elements, shared by all threads.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) memory: Pot,
    pub(super) elements: Pot,
}

/// So much there is, and so much of it is taken.
#[derive(Debug)]
pub(super) struct Pot {
    taken: AtomicU64,
    most: Option<u64>,
}

/// A guest was to have more than a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} would be {} with {} more, over the limit of {} (`{option}`)", Amount(*.had + *.more, *.is_bytes), Amount(*.more, *.is_bytes), Amount(*.limit, *.is_bytes))]
pub(super) struct Refused {
    pub(super) what: &'static str,
    pub(super) option: &'static str,
    pub(super) had: u64,
    pub(super) more: u64,
    pub(super) limit: u64,
    pub(super) is_bytes: bool,
}

/// A number of elements, or of bytes in the largest unit that has it whole.
struct Amount(u64, bool);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(amount, is_bytes) = *self;
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match units.iter().find(|(_, size)| amount >= *size && amount.is_multiple_of(*size)) {
            Some((unit, size)) if is_bytes => write!(f, "{}{unit}", amount / size),
            _ if is_bytes => write!(f, "{amount}B"),
            _ => write!(f, "{amount}"),
        }
    }
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { memory: Pot::new(limits.run_memory), elements: Pot::new(limits.run_table_elements) }
    }
}

impl Pot {
    fn new(most: Option<u64>) -> Self {
        Self { taken: AtomicU64::new(0), most }
    }

    /// Takes so much, or says how much is taken and how much there is. Without a limit nothing is counted.
    pub(super) fn take(&self, amount: u64) -> Result<(), (u64, u64)> {
        let Some(most) = self.most else { return Ok(()) };
        let take = |taken: u64| taken.checked_add(amount).filter(|sum| *sum <= most);
        let taken = self.taken.try_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(|_| ()).map_err(|taken| (taken, most))
    }

    pub(super) fn give_back(&self, amount: u64) {
        if self.most.is_some() {
            self.taken.fetch_sub(amount, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more_than_there_is() {
        let pot = Pot::new(Some(100));
        assert_eq!(pot.take(60), Ok(()));
        assert_eq!(pot.take(41), Err((60, 100)));
        assert_eq!(pot.take(u64::MAX), Err((60, 100)));
        assert_eq!(pot.take(40), Ok(()));
        pot.give_back(60);
        assert_eq!(pot.take(60), Ok(()));
        assert_eq!(Pot::new(None).take(u64::MAX), Ok(()));
    }

    #[test]
    fn threads_together_take_no_more_than_there_is() {
        let pot = Arc::new(Pot::new(Some(1000)));
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let pot = Arc::clone(&pot);
                thread::spawn(move || (0..1000).filter(|_| pot.take(1).is_ok()).count())
            })
            .collect();
        let taken: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        assert_eq!(taken, 1000);
    }

    #[test]
    fn a_refusal_says_the_value_the_limit_and_the_option() {
        let refused = Refused {
            what: "the memory of all virtual users",
            option: "run-memory",
            had: 3 << 20,
            more: 1 << 16,
            limit: 3 << 20,
            is_bytes: true,
        };
        assert_eq!(
            refused.to_string(),
            "the memory of all virtual users would be 3136KiB with 64KiB more, over the limit of 3MiB (`run-memory`)"
        );
    }
}
