//! How often a trend saw each value: a few exactly, many by bucket.

use super::histogram::{self, Histogram};

/// Distinct values that are kept as they are, before values are taken for the middle of their bucket.
const EXACT: usize = 32;
/// Buckets that are kept as a list. Longer lists cost more to merge than a histogram does.
const LISTED: usize = 512;

/// Counts of values that are not 0.
#[derive(Debug, Clone)]
pub(super) enum Counts {
    /// Values as they are, at most [`EXACT`], sorted.
    Exact(Vec<(u64, u64)>),
    /// Representatives of buckets, sorted.
    Listed(Vec<(u64, u64)>),
    /// The same as a histogram.
    Paged(Histogram),
}

impl Default for Counts {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Counts {
    #[inline]
    pub(super) fn record(&mut self, value: u64, count: u64) {
        match self {
            Self::Paged(histogram) => histogram.record(value, count),
            Self::Exact(values) => match values.binary_search_by_key(&value, |entry| entry.0) {
                Ok(index) => values[index].1 += count,
                Err(index) if values.len() < EXACT => values.insert(index, (value, count)),
                Err(_) => {
                    self.page();
                    self.record(value, count);
                }
            },
            Self::Listed(_) => {
                self.page();
                self.record(value, count);
            }
        }
    }

    /// Makes counts of what came over a wire, which may break the limit or the order.
    pub(super) fn restore(exact: bool, entries: Vec<(u64, u64)>) -> Self {
        let is_sorted = entries.is_sorted_by(|left, right| left.0 < right.0);
        if exact && is_sorted && entries.len() <= EXACT {
            return Self::Exact(entries);
        }
        let mut histogram = Histogram::default();
        for (value, count) in entries {
            histogram.record(value, count);
        }
        Self::Listed(histogram.entries())
    }

    /// Whether values are kept as they are.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }

    /// Turns a list into a histogram.
    #[cold]
    fn page(&mut self) {
        let mut histogram = Histogram::default();
        for (value, count) in self.entries() {
            histogram.record(value, count);
        }
        *self = Self::Paged(histogram);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Paged(histogram), Self::Exact(entries) | Self::Listed(entries)) => {
                for &(value, count) in entries {
                    histogram.record(value, count);
                }
            }
            (Self::Paged(histogram), Self::Paged(other)) => {
                for (value, count) in other.entries() {
                    histogram.record(value, count);
                }
            }
            (Self::Exact(ours), Self::Exact(theirs)) => {
                let all = union(ours, theirs);
                *self = if all.len() <= EXACT { Self::Exact(all) } else { Self::Listed(coarse(&all)) };
            }
            (_, Self::Paged(_)) => {
                self.page();
                self.merge(other);
            }
            (Self::Exact(ours), Self::Listed(theirs)) => *self = Self::Listed(union(&coarse(ours), theirs)),
            (Self::Listed(ours), Self::Exact(theirs)) => *self = Self::Listed(union(ours, &coarse(theirs))),
            (Self::Listed(ours), Self::Listed(theirs)) => *self = Self::Listed(union(ours, theirs)),
        }
        if matches!(self, Self::Listed(entries) if entries.len() > LISTED) {
            self.page();
        }
    }

    pub(super) fn drain(&mut self) -> Self {
        match self {
            Self::Exact(values) => {
                let taken = values.clone();
                values.clear();
                Self::Exact(taken)
            }
            Self::Listed(entries) => Self::Listed(std::mem::take(entries)),
            Self::Paged(histogram) => {
                let entries = histogram.drain();
                // A series that has gone quiet gives its pages back.
                if entries.iter().map(|entry| entry.1).sum::<u64>() <= EXACT as u64 {
                    *self = Self::default();
                }
                Self::Listed(entries)
            }
        }
    }

    pub(super) fn entries(&self) -> Vec<(u64, u64)> {
        match self {
            Self::Exact(entries) | Self::Listed(entries) => entries.clone(),
            Self::Paged(histogram) => histogram.entries(),
        }
    }
}

/// Adds two sorted lists.
fn union(left: &[(u64, u64)], right: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    while let (Some(ours), Some(theirs)) = (left.peek().copied(), right.peek().copied()) {
        let mut next = ours.min(theirs);
        if ours.0 == theirs.0 {
            next = (ours.0, ours.1 + theirs.1);
        }
        if ours.0 == next.0 {
            left.next();
        }
        if theirs.0 == next.0 {
            right.next();
        }
        all.push(next);
    }
    all.extend(left.chain(right));
    all
}

/// Takes values for the representatives of their buckets.
fn coarse(values: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = Vec::with_capacity(values.len());
    for &(value, count) in values {
        let value = histogram::representative(value);
        match all.last_mut() {
            Some(last) if last.0 == value => last.1 += count,
            _ => all.push((value, count)),
        }
    }
    all
}
