//! What a VU is asked to do, and how far it got.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// What a VU should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Iterate.
    Run,
    /// Start no iteration, keep the instance and wait.
    Park,
    /// Start no iteration and end.
    Leave,
}

/// The two ends of a VU: its task reads what is asked of it, the executor asks.
///
/// A VU looks at it between iterations only, which costs one load; nothing waits on it while an iteration runs.
#[derive(Debug)]
pub struct Handle {
    ordinal: u32,
    wish: Cell<Wish>,
    busy: Cell<bool>,
    instances: Cell<u32>,
    iterations: Cell<u32>,
    waker: RefCell<Option<Waker>>,
}

impl Handle {
    /// Makes the handle of a scenario's VU number `ordinal`, from 0, counted over all threads and machines.
    #[must_use]
    pub fn new(ordinal: u32) -> Self {
        Self {
            ordinal,
            wish: Cell::new(Wish::Run),
            busy: Cell::new(false),
            instances: Cell::new(0),
            iterations: Cell::new(0),
            waker: RefCell::new(None),
        }
    }

    /// The handle of a VU that takes the place of this one, which was interrupted: it counts on.
    #[must_use]
    pub fn successor(&self) -> Self {
        let handle = Self::new(self.ordinal);
        handle.instances.set(self.instances.get());
        handle.iterations.set(self.iterations.get());
        handle
    }

    /// Its number in the scenario, from 0.
    #[must_use]
    pub fn ordinal(&self) -> u32 {
        self.ordinal
    }

    /// What is asked of it.
    #[must_use]
    pub fn wish(&self) -> Wish {
        self.wish.get()
    }

    /// Asks for something.
    pub fn ask(&self, wish: Wish) {
        self.wish.set(wish);
        self.wake();
    }

    /// Wakes the VU if it waits in [`Handle::until`].
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Waits until `ready` returns something; looks again after every [`Handle::wake`]. Only the VU's task may wait.
    pub async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        poll_fn(|context| {
            if let Some(value) = ready() {
                return Poll::Ready(value);
            }
            // The waker is kept when the wait is over, as the next wait is nearly always that of the same task.
            let mut waker = self.waker.borrow_mut();
            match &mut *waker {
                Some(waker) => waker.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
            Poll::Pending
        })
        .await
    }

    /// Whether an iteration is running.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy.get()
    }

    pub(super) fn set_busy(&self, busy: bool) {
        self.busy.set(busy);
    }

    /// How many iterations it has begun.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations.get()
    }

    /// Counts an iteration and returns its number, from 0.
    pub(super) fn next_iteration(&self) -> u32 {
        let number = self.iterations.get();
        self.iterations.set(number.wrapping_add(1));
        number
    }

    /// Counts an instance and returns its number, from 1.
    pub(super) fn next_instance(&self) -> u32 {
        let number = self.instances.get() + 1;
        self.instances.set(number);
        number
    }
}
