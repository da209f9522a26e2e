//! Who is woken when a socket can go on: the guest where it waits, the task that reads for it where not.
//!
//! A message for a guest that waits costs one switch of tasks so, as if it read its socket itself.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use send_wrapper::SendWrapper;

/// Who is woken, and which sockets can go on.
pub(super) struct Wakes(SendWrapper<State>);

#[derive(Default)]
struct State {
    ready: RefCell<VecDeque<u32>>,
    /// Whether the guest waits; its waker is gone once it was woken.
    waits: Cell<bool>,
    guest: Cell<Option<Waker>>,
    reader: Cell<Option<Waker>>,
}

/// Wakes on behalf of one socket.
#[derive(Debug)]
pub(super) struct Bell {
    wakes: Arc<Wakes>,
    socket: u32,
    is_ready: AtomicBool,
}

/// The guest waits as long as this lives.
pub(super) struct Waiting<'a>(&'a Wakes);

impl Default for Wakes {
    fn default() -> Self {
        // A VU lives on one thread, and so do its sockets; wakers have to be `Send` wherever they are.
        Self(SendWrapper::new(State::default()))
    }
}

impl Wakes {
    /// Notes that the guest waits.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.0.waits.set(true);
        Waiting(self)
    }

    /// Takes out a socket that can go on.
    pub(super) fn next(&self) -> Option<u32> {
        self.0.ready.borrow_mut().pop_front()
    }

    /// How many sockets can go on.
    pub(super) fn ready(&self) -> usize {
        self.0.ready.borrow().len()
    }

    /// Remembers who reads while the guest does not wait.
    pub(super) fn set_reader(&self, waker: &Waker) {
        self.0.reader.set(Some(waker.clone()));
    }

    /// Wakes whoever reads now.
    pub(super) fn wake(&self) {
        let who = if self.0.waits.get() { &self.0.guest } else { &self.0.reader };
        if let Some(waker) = who.take() {
            waker.wake();
        }
    }

    /// Wakes the guest, if it waits.
    pub(super) fn wake_guest(&self) {
        if let Some(waker) = self.0.guest.take() {
            waker.wake();
        }
    }

    /// Wakes the task, whoever reads.
    pub(super) fn wake_reader(&self) {
        if let Some(waker) = self.0.reader.take() {
            waker.wake();
        }
    }
}

impl Waiting<'_> {
    /// Remembers the guest's waker.
    pub(super) fn set(&self, waker: &Waker) {
        self.0.0.guest.set(Some(waker.clone()));
    }
}

impl std::fmt::Debug for Wakes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Wakes")
            .field("ready", &self.0.ready)
            .field("waits", &self.0.waits)
            .finish_non_exhaustive()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.waits.set(false);
        self.0.0.guest.set(None);
        if self.0.ready() > 0 {
            self.0.wake_reader();
        }
    }
}

impl Bell {
    pub(super) fn new(wakes: &Arc<Wakes>, socket: u32) -> Arc<Self> {
        Arc::new(Self { wakes: Arc::clone(wakes), socket, is_ready: AtomicBool::new(false) })
    }

    /// Notes that the socket goes on now, so that it can be woken again.
    pub(super) fn answered(&self) {
        self.is_ready.store(false, Ordering::Relaxed);
    }

    /// Notes that the socket can go on, without waking anybody.
    pub(super) fn queue(&self) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            self.wakes.0.ready.borrow_mut().push_back(self.socket);
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue();
        self.wakes.wake();
    }
}
