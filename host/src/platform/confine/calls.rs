//! seccomp: the system calls that a load makes, and no others.
//!
//! The list is what the test suite was seen to call (`strace -f -c`), and what the C libraries use in place of those on
//! other machines. Whatever is not on it ends the process at once, so that an attempt is never silent: the parent sees
//! the signal and says so. A few calls that libraries try and can do without get an error instead.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::ConfineError;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls that are allowed whatever their arguments. Opening files is landlock's matter.
const ALLOWED: &[c_long] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_mincore,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads and waiting.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    // Time.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    // Events.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    // Files and streams.
    libc::SYS_close,
    libc::SYS_faccessat,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_writev,
    // Connections. Nothing listens, nothing accepts.
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    // What there is, and who one is.
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Further filters only add to this one.
    libc::SYS_seccomp,
];

/// The same, by the names that older architectures have for them.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_epoll_wait,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_stat,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

/// What `ioctl` may ask: whether bytes wait, not to wait for them, whether it is a terminal.
const IOCTLS: &[u64] = &[libc::FIONBIO, libc::FIONREAD, libc::TCGETS];
/// What `fcntl` may do: copy a descriptor, set and read its flags, seal the image of a memory.
const FCNTLS: &[i32] = &[
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_ADD_SEALS,
    libc::F_GET_SEALS,
];
/// What `prctl` may set of a thread: its name, how late its timers may be, the names of mappings, and no new privileges.
const PRCTLS: &[i32] = &[libc::PR_SET_NAME, libc::PR_SET_TIMERSLACK, libc::PR_SET_VMA, libc::PR_SET_NO_NEW_PRIVS];
/// Families of sockets. Those beside the internet's get an error: the C library asks for them and does without.
const FAMILIES: &[i32] = &[libc::AF_INET, libc::AF_INET6, libc::AF_UNIX, libc::AF_NETLINK];
/// Kinds of sockets, by the bits that are not flags.
const KINDS: &[i32] = &[libc::SOCK_STREAM, libc::SOCK_DGRAM];
const KIND_BITS: u64 = 0xf;
/// What makes a new namespace when a thread is made.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// The architecture that filters are written for.
pub(super) fn architecture() -> Result<TargetArch, ConfineError> {
    std::env::consts::ARCH.try_into().map_err(|_| ConfineError::Missing {
        what: "seccomp",
        why: format!("there are no filters for `{}`", std::env::consts::ARCH),
    })
}

/// Restricts the calling thread and all it will start.
pub(super) fn restrict() -> Result<(), ConfineError> {
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| ConfineError::Failed { what: "giving up new privileges", source: error.into() })?;
    // Of several filters the strictest answer counts.
    let filters = [
        filter(allowed()?, SeccompAction::KillProcess, SeccompAction::Allow)?,
        filter(other_sockets()?, SeccompAction::Allow, errno(libc::EAFNOSUPPORT))?,
        // Its flags lie in memory, where no filter sees them. The C libraries then use `clone`.
        filter([(libc::SYS_clone3, Vec::new())].into(), SeccompAction::Allow, errno(libc::ENOSYS))?,
    ];
    filters.iter().try_for_each(|filter| seccompiler::apply_filter(filter).map_err(failed))
}

/// Ends the process, on all threads, when memory is made code.
pub(super) fn forbid_new_code() -> Result<(), ConfineError> {
    let executable = masked(2, libc::PROT_EXEC as u64, libc::PROT_EXEC as u64)?;
    let code = || rule(vec![executable.clone()]);
    let rules = [(libc::SYS_mmap, vec![code()?]), (libc::SYS_mprotect, vec![code()?])];
    let filter = filter(rules.into(), SeccompAction::Allow, SeccompAction::KillProcess)?;
    seccompiler::apply_filter_all_threads(&filter).map_err(failed)
}

fn allowed() -> Result<Rules, ConfineError> {
    let mut rules: Rules = ALLOWED.iter().chain(ALLOWED_HERE).map(|&call| (call, Vec::new())).collect();
    let mut sockets = Vec::new();
    for (family, kind) in FAMILIES.iter().flat_map(|family| KINDS.iter().map(move |kind| (family, kind))) {
        sockets.push(rule(vec![is(0, *family as u64)?, masked(1, KIND_BITS, *kind as u64)?])?);
    }
    // glibc looks for the addresses of this machine.
    sockets.push(rule(vec![is(0, libc::AF_NETLINK as u64)?])?);
    rules.insert(libc::SYS_socket, sockets);
    rules.insert(libc::SYS_ioctl, one_of(1, IOCTLS.iter().copied())?);
    rules.insert(libc::SYS_fcntl, one_of(1, FCNTLS.iter().map(|command| *command as u64))?);
    rules.insert(libc::SYS_prctl, one_of(0, PRCTLS.iter().map(|option| *option as u64))?);
    // Its own limits, never those of another process.
    let mut own = vec![rule(vec![is(0, 0)?])?];
    own.push(rule(vec![is(0, u64::from(std::process::id()))?])?);
    rules.insert(libc::SYS_prlimit64, own.clone());
    // A signal to itself is how `abort` ends it.
    rules.insert(libc::SYS_tgkill, vec![rule(vec![is(0, u64::from(std::process::id()))?])?]);
    // Threads of this process, in its own namespaces.
    let thread = masked(0, (libc::CLONE_THREAD | NAMESPACES) as u64, libc::CLONE_THREAD as u64)?;
    rules.insert(libc::SYS_clone, vec![rule(vec![thread])?]);
    // Allowed here only so that the filter with the error is the one that counts.
    rules.insert(libc::SYS_clone3, Vec::new());
    Ok(rules)
}

/// Sockets that are not the internet's.
fn other_sockets() -> Result<Rules, ConfineError> {
    Ok([(libc::SYS_socket, one_of(0, [libc::AF_UNIX as u64, libc::AF_NETLINK as u64])?)].into())
}

fn filter(rules: Rules, mismatch: SeccompAction, matched: SeccompAction) -> Result<BpfProgram, ConfineError> {
    let filter = SeccompFilter::new(rules, mismatch, matched, architecture()?).map_err(unbuilt)?;
    filter.try_into().map_err(unbuilt)
}

/// A rule for each of these values of an argument.
fn one_of(argument: u8, values: impl IntoIterator<Item = u64>) -> Result<Vec<SeccompRule>, ConfineError> {
    values.into_iter().map(|value| rule(vec![is(argument, value)?])).collect()
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, ConfineError> {
    SeccompRule::new(conditions).map_err(unbuilt)
}

fn is(argument: u8, value: u64) -> Result<SeccompCondition, ConfineError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).map_err(unbuilt)
}

fn masked(argument: u8, bits: u64, value: u64) -> Result<SeccompCondition, ConfineError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits), value).map_err(unbuilt)
}

fn errno(error: i32) -> SeccompAction {
    SeccompAction::Errno(error as u32)
}

fn unbuilt(error: seccompiler::BackendError) -> ConfineError {
    ConfineError::Failed { what: "writing the seccomp filter", source: io::Error::other(error) }
}

fn failed(error: seccompiler::Error) -> ConfineError {
    ConfineError::Failed { what: "seccomp", source: io::Error::other(error) }
}
