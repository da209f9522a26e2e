//! Cases that nobody thought of, each made from a number, so that each can be had again.
//!
//! In `cargo test` a target runs a few of them. `cargo xtask fuzz` runs it for as long as it is told to, with more at
//! stake: a case that takes too long, or leaves the process much larger, counts as a failure as well.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// The longest that one case may compute, where the system says how long that was.
const LONGEST: Duration = Duration::from_secs(20);
/// The longest that it may take in all. Where others keep the machine busy, computing for a second can take minutes.
const LONGEST_WAIT: Duration = Duration::from_mins(20);
/// The most that the process may ever take, in KiB.
const LARGEST: u64 = 4 << 20;

/// Where a case gets its choices from.
pub(crate) struct Choices(Xoshiro256PlusPlus);

impl Choices {
    pub(crate) fn of(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`, and 0 if that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.number() % (end.max(1) as u64)) as usize
    }

    /// Whether something that happens once in so many times happens.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

/// Runs cases: `least` of them, or as many as the time allows (`SQUALL_FUZZ_SECONDS`), from a seed
/// (`SQUALL_FUZZ_SEED`) or from one of its own.
#[track_caller]
pub(crate) fn cases(name: &str, least: u64, mut case: impl FnMut(&mut Choices)) {
    let given = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seconds = given("SQUALL_FUZZ_SECONDS");
    let first =
        given("SQUALL_FUZZ_SEED").unwrap_or_else(|| if seconds.is_some() { getrandom::u64().unwrap() } else { 0 });
    let least = given("SQUALL_FUZZ_CASES").unwrap_or(if seconds.is_some() { 0 } else { least });
    let last_case = env::var_os("SQUALL_FUZZ_LAST");
    let watched = Watched::start(name.to_owned(), seconds.is_some());
    let started = Instant::now();
    let until = Duration::from_secs(seconds.unwrap_or(0));
    let (mut done, mut slowest) = (0, (Duration::ZERO, first));
    while done < least || started.elapsed() < until {
        let seed = first.wrapping_add(done);
        if let Some(path) = &last_case {
            // A stack that overflows leaves no time to say which case it was.
            fs::write(path, format!("{name} {seed}")).unwrap();
        }
        watched.0.store(seed, Ordering::Relaxed);
        let began = cpu();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| case(&mut Choices::of(seed)))) {
            eprintln!("`{name}` failed: cargo xtask fuzz {name} --seed {seed}");
            resume_unwind(panic);
        }
        slowest = slowest.max((cpu().saturating_sub(began), seed));
        done += 1;
        watched.1.store(done, Ordering::Relaxed);
        if seconds.is_some() && done % 64 == 0 {
            let most = most_memory();
            assert!(most < LARGEST, "the process took {most} KiB; the last seed was {seed}");
        }
    }
    watched.1.store(u64::MAX, Ordering::Relaxed);
    println!(
        "{name}: {done} cases from seed {first} in {:.0?} ({:.0?} of computing), {:?} for the slowest (seed {}), {} MiB at most",
        started.elapsed(),
        cpu(),
        slowest.0,
        slowest.1,
        most_memory() >> 10
    );
}

/// The case under way, and how many are done; a thread ends the process when nothing happens.
#[derive(Clone)]
struct Watched(Arc<AtomicU64>, Arc<AtomicU64>);

impl Watched {
    /// `alone` says that whatever the process computes is of the case.
    fn start(name: String, alone: bool) -> Self {
        let watched = Self(Arc::default(), Arc::default());
        let Self(seed, done) = watched.clone();
        thread::spawn(move || {
            let (mut count, mut since, mut computed) = (0, Instant::now(), cpu());
            loop {
                thread::sleep(Duration::from_millis(200));
                let now = done.load(Ordering::Relaxed);
                let long = alone && cpu().saturating_sub(computed) > LONGEST;
                if now == u64::MAX {
                    return;
                }
                if now != count {
                    (count, since, computed) = (now, Instant::now(), cpu());
                } else if long || since.elapsed() > LONGEST_WAIT {
                    let (seed, took) = (seed.load(Ordering::Relaxed), cpu().saturating_sub(computed));
                    eprintln!("`{name}` takes too long, {took:?} so far: cargo xtask fuzz {name} --seed {seed}");
                    process::abort();
                }
            }
        });
        watched
    }
}

/// How long this process has computed; nothing where the system does not say.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold anything in its brackets: the twelfth and thirteenth number, in hundredths.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|number| number.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// The most memory that this process ever had, in KiB; 0 where the system does not say.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
