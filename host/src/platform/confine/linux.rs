//! Linux: what to give up, in which order.

use std::fs;
use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getrlimit, set_dumpable_behavior, set_parent_process_death_signal,
    setrlimit,
};

use super::{ConfineError, Confinement, Walls, calls, files};

/// The most bytes a file may have that the process writes: only images of memories, which have no name, are left to it.
const LARGEST_FILE: u64 = 1 << 30;

/// Whether a process can be shut in here at all.
pub fn is_possible() -> Result<(), ConfineError> {
    calls::architecture().map(|_| ())
}

/// Makes the process die with its parent, lets go of what it was given by accident, and hides it from debuggers.
///
/// Must be called before the process has opened anything or started a thread.
pub fn prepare() -> Result<(), ConfineError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed("tying the process to its parent"))?;
    close_inherited().map_err(|source| ConfineError::Failed { what: "closing files that were left open", source })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("hiding the process's memory"))?;
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        let why = format!("the process has {threads} threads already, and landlock holds for one of them");
        return Err(ConfineError::Missing { what: "a process of one thread", why });
    }
    Ok(())
}

/// Closes the doors: limits, landlock, seccomp, in this order, as each may need what the next one takes.
pub fn enter(walls: Walls) -> Result<Confinement, ConfineError> {
    for (resource, most) in [(Resource::Core, 0), (Resource::Fsize, LARGEST_FILE)] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(failed("setting a limit of the process"))?;
    }
    // Soft: it holds off a component that makes the compiler eat the machine, which runs no code of its own. Memories
    // of instances are mapped in advance, so later the parent watches what is used instead.
    let memory = Rlimit { current: Some(walls.memory), maximum: getrlimit(Resource::Data).maximum };
    setrlimit(Resource::Data, memory).map_err(failed("limiting the memory of the process"))?;
    let landlock = if walls.landlock { Some(files::lock()?) } else { None };
    calls::restrict()?;
    Ok(Confinement { landlock })
}

/// Refuses all memory that is to be run as code from now on, on every thread.
pub fn forbid_new_code() -> Result<(), ConfineError> {
    calls::forbid_new_code()
}

/// Takes the limit of memory away that compiling had.
pub fn unlimit_memory() -> io::Result<()> {
    let maximum = getrlimit(Resource::Data).maximum;
    Ok(setrlimit(Resource::Data, Rlimit { current: maximum, maximum })?)
}

/// Lets the process have at most so many files and connections open, for good.
pub fn limit_files(most: u64) -> io::Result<()> {
    let most = getrlimit(Resource::Nofile).maximum.map_or(most, |allowed| allowed.min(most));
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Bytes of memory that a process holds.
#[must_use]
pub fn resident(process: u32) -> Option<u64> {
    let pages: u64 = fs::read_to_string(format!("/proc/{process}/statm")).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Whether a signal is how the wall ends a process that tried what it forbids.
#[must_use]
pub fn watches(signal: i32) -> bool {
    signal == Signal::SYS.as_raw()
}

/// Closes everything but the standard streams. Whoever started squall may have left something open.
#[allow(unsafe_code, reason = "a number from the list of open files has no owner to close it")]
fn close_inherited() -> io::Result<()> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let numbers: Vec<i32> = fs::read_dir("/proc/self/fd")?.filter_map(|entry| number(entry.ok()?)).collect();
    // One of them was that of the list itself, which is closed by now.
    let is_open = |number: &i32| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    for number in numbers.into_iter().filter(|number| *number > 2).filter(is_open) {
        // SAFETY: the process has just started and has opened nothing that it keeps, so nothing in it owns this number.
        unsafe { rustix::io::close(number) };
    }
    Ok(())
}

fn failed(what: &'static str) -> impl Fn(rustix::io::Errno) -> ConfineError {
    move |error| ConfineError::Failed { what, source: error.into() }
}
