//! Choices by the host's seeded generator: the same seed makes the same choices, on any machine.

use std::ops::Range;

use crate::bindings::squall::journey::vu as host;

/// The most bytes that the host gives at once.
const MOST_BYTES: usize = 65_536;

/// A number in [0, 1).
#[must_use]
pub fn random() -> f64 {
    host::random()
}

/// A number in `range`, its end excluded. An empty range gives its start.
#[must_use]
pub fn random_range<T: Sample>(range: Range<T>) -> T {
    T::sample(range, random())
}

/// Fills `bytes` with random ones.
pub fn random_bytes(bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(MOST_BYTES) {
        let random = host::random_bytes(chunk.len() as u32);
        chunk.copy_from_slice(&random);
    }
}

/// One of `items`, or none of none.
#[must_use]
pub fn choose<T>(items: &[T]) -> Option<&T> {
    if items.is_empty() { None } else { items.get(random_range(0..items.len())) }
}

/// One of `items`, each as often as its weight says. None where no weight is above 0.
///
/// ```no_run
/// use squall_sdk::weighted;
///
/// match weighted(&[(30, "create"), (50, "read"), (20, "run")]) {
///     Some(&action) => println!("{action}"),
///     None => unreachable!("the weights above are not 0"),
/// }
/// ```
#[must_use]
pub fn weighted<T>(items: &[(u32, T)]) -> Option<&T> {
    pick(items, random())
}

fn pick<T>(items: &[(u32, T)], random: f64) -> Option<&T> {
    let total: f64 = items.iter().map(|(weight, _)| f64::from(*weight)).sum();
    let mut left = random * total;
    for (weight, item) in items {
        left -= f64::from(*weight);
        if left < 0.0 {
            return Some(item);
        }
    }
    None
}

/// A type that [`random_range`] can choose from.
pub trait Sample: Sized {
    /// The value that lies at `at`, in [0, 1), of the range.
    fn sample(range: Range<Self>, at: f64) -> Self;
}

macro_rules! sample_integer {
    ($($integer:ty),+) => {$(
        impl Sample for $integer {
            #[allow(
                clippy::cast_lossless,
                clippy::cast_possible_wrap,
                reason = "each cast is right for every integer here; which of them lose nothing differs"
            )]
            fn sample(range: Range<Self>, at: f64) -> Self {
                if range.start >= range.end {
                    return range.start;
                }
                range.start.wrapping_add(step(range.end.abs_diff(range.start) as u64, at) as $integer)
            }
        }
    )+};
}

/// How far into a range of `width` numbers, at least 1, `at` lies. Rounding may reach the end of a wide range, which is
/// excluded.
fn step(width: u64, at: f64) -> u64 {
    ((width as f64 * at) as u64).min(width - 1)
}

sample_integer!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl Sample for f64 {
    fn sample(range: Range<Self>, at: f64) -> Self {
        if range.start >= range.end {
            return range.start;
        }
        // Rounding may reach the end, which is excluded.
        (range.start + (range.end - range.start) * at).min(range.end.next_down())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: f64 = 1.0 - f64::EPSILON / 2.0;

    #[test]
    fn a_number_never_reaches_the_end_of_its_range() {
        assert_eq!(u8::sample(0..3, LAST), 2);
        assert!(u64::sample(0..u64::MAX, LAST) < u64::MAX);
        assert_eq!(i32::sample(-5..5, 0.0), -5);
        assert_eq!(i32::sample(-5..5, LAST), 4);
        assert_eq!(i8::sample(-128..127, LAST), 126);
        assert!(f64::sample(1.0..2.0, LAST) < 2.0);
    }

    #[test]
    fn an_empty_range_gives_its_start() {
        assert_eq!(u32::sample(7..7, 0.5), 7);
        assert_eq!(f64::sample(7.0..1.0, 0.5).total_cmp(&7.0), std::cmp::Ordering::Equal);
    }

    #[test]
    fn weights_share_the_line_in_their_order() {
        let items = [(30, 'a'), (50, 'b'), (0, 'x'), (20, 'c')];
        let at = |random| pick(&items, random).copied();
        assert_eq!(at(0.0), Some('a'));
        assert_eq!(at(0.299), Some('a'));
        assert_eq!(at(0.3), Some('b'));
        assert_eq!(at(0.8), Some('c'));
        assert_eq!(at(LAST), Some('c'));
        assert_eq!(pick::<char>(&[(0, 'a')], 0.0), None);
    }
}
