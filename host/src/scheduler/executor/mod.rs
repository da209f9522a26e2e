//! One loop per load.

pub(super) mod arrivals;
pub(super) mod iterations;
pub(super) mod vus;

/// The random stream of a closed model's iteration: the VU, and how many iterations it began before.
fn stream(ordinal: u32, number: u32) -> u64 {
    u64::from(ordinal) << 32 | u64::from(number)
}
