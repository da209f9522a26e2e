//! How many connections may be open: those of one VU, and those of all VUs of a run on this machine.
//!
//! A connection has a place from before it is dialled until its socket is closed. Places are counted only then, never for
//! a request on a connection that is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Error;

/// The places of all VUs of a run on this machine. Threads share them.
#[derive(Debug)]
pub struct RunPlaces {
    limit: u32,
    taken: AtomicU32,
}

/// The places of one VU.
#[derive(Debug)]
pub(super) struct Places {
    limit: u32,
    taken: AtomicU32,
    run: Arc<RunPlaces>,
}

/// The place of one connection; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl RunPlaces {
    /// Makes so many places; `None` for as many as the system allows.
    #[must_use]
    pub fn new(limit: Option<u32>) -> Self {
        Self { limit: limit.unwrap_or(u32::MAX), taken: AtomicU32::new(0) }
    }
}

impl Default for RunPlaces {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Places {
    pub(super) fn new(limit: u32, run: Arc<RunPlaces>) -> Self {
        Self { limit, taken: AtomicU32::new(0), run }
    }

    /// Takes a place, if there is one.
    pub(super) fn take(self: &Arc<Self>) -> Result<Place, Error> {
        if !take(&self.taken, self.limit) {
            return Err(Error::TooManyConnections { limit: self.limit, key: "limits.maxConnections" });
        }
        if !take(&self.run.taken, self.run.limit) {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::TooManyConnections { limit: self.run.limit, key: "limits.runConnections" });
        }
        Ok(Place(Arc::clone(self)))
    }
}

fn take(taken: &AtomicU32, limit: u32) -> bool {
    let next = |taken: u32| (taken < limit).then(|| taken + 1);
    taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
        self.0.run.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_to_the_vu_and_to_the_run() {
        let run = Arc::new(RunPlaces::new(Some(3)));
        let [one, other] = [2, 2].map(|limit| Arc::new(Places::new(limit, Arc::clone(&run))));
        let held = [one.take().unwrap(), one.take().unwrap()];
        assert_eq!(one.take().unwrap_err().to_string(), "too many connections: limit 2 (`limits.maxConnections`)");
        let third = other.take().unwrap();
        for _ in 0..10 {
            assert_eq!(
                other.take().unwrap_err().to_string(),
                "too many connections: limit 3 (`limits.runConnections`)"
            );
        }
        drop(held);
        let fourth = other.take().unwrap();
        assert_eq!((one.taken.load(Ordering::Relaxed), run.taken.load(Ordering::Relaxed)), (0, 2));
        drop((third, fourth));
        assert_eq!((other.taken.load(Ordering::Relaxed), run.taken.load(Ordering::Relaxed)), (0, 0));
    }
}
