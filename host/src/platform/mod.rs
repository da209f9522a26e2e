//! What the operating system gives, behind one interface: clocks, timers, limits, cores.
//!
//! Linux is the home; elsewhere a portable stand-in does the same less precisely, or says that it cannot.

pub mod confine;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;
mod timer;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use portable as system;

pub use system::{machine_cpu, precise_timers, raise_file_limit, thread_cpu_time};
pub use timer::Timer;

/// How many threads can run at once.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_core() {
        assert!(cores() >= 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn computing_takes_cpu_time_of_the_thread_and_the_machine() {
        let (thread, machine) = (thread_cpu_time(), machine_cpu().unwrap());
        let mut sum = 0_u64;
        while thread_cpu_time() < thread + std::time::Duration::from_millis(30) {
            sum = std::hint::black_box(sum + 1);
        }
        let (busy, total) = machine_cpu().unwrap();
        assert!(busy > machine.0 && total >= busy);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_file_limit_only_rises() {
        let limit = raise_file_limit().unwrap();
        assert!(limit >= 256);
        assert_eq!(raise_file_limit(), Some(limit));
    }
}
