//! Linux: timerfd, timer slack, per-thread CPU clocks, `/proc/stat`.

use std::io;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// The CPU time this thread has used.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    since_epoch(clock_gettime(ClockId::ThreadCPUTime))
}

/// How long the machine's CPUs were busy, and how long they were there at all, in clock ticks since boot.
#[must_use]
pub fn machine_cpu() -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // user, nice, system, idle, iowait, irq, softirq, steal; guest times are in user and nice already.
    let ticks: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    let total = ticks.iter().sum();
    let idle: u64 = ticks.get(3..5)?.iter().sum();
    Some((total - idle, total))
}

/// Asks for timers of this thread that are not delayed to save power.
pub fn precise_timers() {
    // Without it timers are up to 50 µs late, which is no reason to fail.
    let _ = rustix::thread::set_current_timer_slack(NonZero::new(1));
}

/// Raises the limit of open files as far as this process may, and returns it; `None` stands for no limit.
#[must_use]
pub fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// An absolute timer on the monotonic clock.
#[derive(Debug)]
pub struct KernelTimer {
    fd: AsyncFd<OwnedFd>,
    /// The same moment on both clocks: [`Instant`] does not tell its reading.
    origin: (Duration, Instant),
}

impl KernelTimer {
    /// Makes a timer on this thread's runtime.
    #[expect(deprecated, reason = "meant for types whose descriptor may change; an `OwnedFd` keeps its own")]
    pub fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let origin = (since_epoch(clock_gettime(ClockId::Monotonic)), Instant::now());
        Ok(Self { fd: AsyncFd::new(fd)?, origin })
    }

    /// Waits until a moment. Dropping the future and waiting for another moment is fine.
    pub async fn until(&self, deadline: Instant) -> io::Result<()> {
        while Instant::now() < deadline {
            self.arm(deadline)?;
            // The timer counts anew whenever it is armed, and readiness is signalled on every expiry, so the count
            // need not be read. Readiness left over from an earlier wait only costs a turn of this loop.
            self.fd.readable().await?.clear_ready();
        }
        Ok(())
    }

    fn arm(&self, deadline: Instant) -> io::Result<()> {
        let at = self.origin.0 + deadline.saturating_duration_since(self.origin.1);
        let it_value = Timespec { tv_sec: at.as_secs().cast_signed(), tv_nsec: at.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &once)?;
        Ok(())
    }
}

fn since_epoch(time: Timespec) -> Duration {
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}
