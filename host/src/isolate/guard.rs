//! Watches over the load process: ends it when it takes too long or too much, and says how it ended.

use std::process::{Child, ChildStderr, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::platform::confine;

/// How often the process is looked at.
const PERIOD: Duration = Duration::from_millis(250);
/// How long a process that has closed its connection may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The watch over a process. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Guard {
    orders: Sender<Order>,
    thread: Option<JoinHandle<Option<End>>>,
    pub(super) id: u32,
}

/// The way to a guard for others.
#[derive(Debug, Clone)]
pub(super) struct GuardSender(Sender<Order>);

#[derive(Debug)]
enum Order {
    /// From now on it may take so long for this; `None` for as long as it likes.
    Within(Option<(Duration, &'static str)>),
    /// It may hold so many bytes of memory.
    Memory(u64),
    /// It is to end now.
    End,
    /// It is about to end by itself.
    Await,
}

/// How a process ended.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) status: ExitStatus,
    /// Why the guard ended it, if it did.
    pub(super) cause: Option<Cause>,
}

/// Why a guard ended a process.
#[derive(Debug, Clone)]
pub(super) enum Cause {
    /// It took too long for this.
    Late(&'static str, Duration),
    /// It held more memory than this.
    Memory(u64),
    /// It was told to.
    Told,
}

impl Guard {
    /// Starts a process and watches over it. The process dies with the thread that started it, which is the guard's.
    pub(super) fn start(mut command: Command) -> io::Result<(Self, Option<ChildStderr>)> {
        let (orders, receiver) = channel();
        let (report, started) = sync_channel(1);
        let thread = thread::Builder::new().name("squall-guard".to_owned()).spawn(move || {
            match command.spawn() {
                Ok(mut child) => {
                    // The command holds the child's end of the connection, which must close with the child.
                    drop(command);
                    let _ = report.send(Ok((child.id(), child.stderr.take())));
                    watch(child, &receiver)
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                    None
                }
            }
        })?;
        let gone = |_| Err(io::Error::other("the thread that watches over it panicked"));
        let (id, stderr) = started.recv().unwrap_or_else(gone)?;
        Ok((Self { orders, thread: Some(thread), id }, stderr))
    }

    /// The way to it for others.
    pub(super) fn sender(&self) -> GuardSender {
        GuardSender(self.orders.clone())
    }

    /// Gives the process so long for something; the time before no longer counts.
    pub(super) fn within(&self, limit: Option<(Duration, &'static str)>) {
        let _ = self.orders.send(Order::Within(limit));
    }

    /// Lets the process hold so much memory.
    pub(super) fn memory(&self, bytes: u64) {
        let _ = self.orders.send(Order::Memory(bytes));
    }

    /// Waits for the end of a process that is about to end, or ends it now.
    pub(super) fn end(&mut self, by_itself: bool) -> Option<End> {
        let _ = self.orders.send(if by_itself { Order::Await } else { Order::End });
        self.thread.take()?.join().ok().flatten()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.orders.send(Order::End);
            let _ = thread.join();
        }
    }
}

impl GuardSender {
    /// Gives the process so long for something; the time before no longer counts.
    pub(super) fn within(&self, limit: Duration, what: &'static str) {
        let _ = self.0.send(Order::Within(Some((limit, what))));
    }

    /// Ends the process now.
    pub(super) fn end(&self) {
        let _ = self.0.send(Order::End);
    }
}

impl End {
    /// Whether a signal from outside ended it.
    pub(super) fn is_by_signal(&self) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        self.cause.is_none() && self.status.signal().is_some_and(|signal| !confine::watches(signal))
    }
}

fn watch(mut child: Child, orders: &Receiver<Order>) -> Option<End> {
    let (mut deadline, mut memory) = (None, u64::MAX);
    let mut period = PERIOD;
    let cause = loop {
        match orders.recv_timeout(period) {
            Ok(Order::Within(limit)) => {
                deadline = limit.map(|(limit, what)| (Instant::now() + limit, Cause::Late(what, limit)));
            }
            Ok(Order::Memory(bytes)) => memory = bytes,
            Ok(Order::Await) => {
                // Whatever it was late for, it is done with; ending is all that is left.
                deadline = Some((Instant::now() + PATIENCE, Cause::Told));
                period = Duration::from_millis(5);
            }
            Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => break Cause::Told,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Some(End { status, cause: None });
        }
        match &deadline {
            Some((until, cause)) if Instant::now() >= *until => break cause.clone(),
            _ => {}
        }
        if memory < u64::MAX && confine::resident(child.id()).is_some_and(|bytes| bytes > memory) {
            break Cause::Memory(memory);
        }
    };
    // It may have ended by itself meanwhile, which `wait` tells as well.
    let _ = child.kill();
    child.wait().ok().map(|status| End { status, cause: Some(cause) })
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::unix::process::ExitStatusExt as _;
        match (&self.cause, self.status.signal()) {
            (Some(Cause::Late(what, limit)), _) => write!(f, "the load process took longer than {limit:?} to {what}"),
            (Some(Cause::Memory(bytes)), _) => {
                write!(f, "the load process held more than {} MiB of memory, and was ended", bytes >> 20)
            }
            (_, Some(signal)) if confine::watches(signal) => {
                f.write_str("the load process was ended by the system: it tried something that the wall forbids")
            }
            (Some(Cause::Told), _) => f.write_str("the load process did not end, and was ended"),
            (None, Some(signal)) => write!(f, "the load process was ended by signal {signal}"),
            (None, None) => write!(f, "the load process ended too soon, with {}", self.status),
        }
    }
}
