//! How the guests of one thread get along: one that computes for long makes room for those that do not.
//!
//! A guest that computes gives way at every tick of the engine's clock, and then has its turn again as soon as everybody
//! else had theirs. Among guests that all compute, that is fair. Beside guests that wait for answers it is not: whenever an
//! answer comes, a guest is in the middle of its turn, and the thread, always busy, is one that the system prefers last. So
//! a guest that goes on for long pauses between its turns while there are others, and longer the longer it goes on, until
//! a tenth of the thread is all that such guests have together.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use send_wrapper::SendWrapper;

use super::engine::TICK;

/// What a guest may compute in one go without a pause: more than most that do so in an iteration.
const FREE: Duration = Duration::from_millis(20);
/// Up to so much computing in one go, the pause between two turns; then the last of them. A turn is a tick at most.
const PAUSES: [(Duration, Duration); 2] =
    [(Duration::from_millis(100), Duration::from_millis(1)), (Duration::from_millis(500), Duration::from_millis(2))];
const LAST_PAUSE: Duration = Duration::from_millis(5);
/// However many there are.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The guests of one thread.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Guests that run iterations.
    members: Cell<u32>,
    /// Those of them that compute for long.
    busy: Cell<u32>,
}

/// One guest among them.
#[derive(Debug)]
pub(super) struct Member {
    crowd: SendWrapper<Rc<Crowd>>,
    has_joined: bool,
    is_busy: bool,
    /// Ticks in one go, without waiting.
    ticks: u32,
}

impl Member {
    /// A guest that has not joined yet: nobody makes room, and it makes none.
    pub(super) fn new(crowd: &Rc<Crowd>) -> Self {
        Self { crowd: SendWrapper::new(Rc::clone(crowd)), has_joined: false, is_busy: false, ticks: 0 }
    }

    /// From now on it is there.
    pub(super) fn join(&mut self) {
        self.has_joined = true;
        self.crowd.members.set(self.crowd.members.get() + 1);
    }

    /// It waited, or begins anew.
    pub(super) fn rest(&mut self) {
        self.ticks = 0;
        if self.is_busy {
            self.is_busy = false;
            self.crowd.busy.set(self.crowd.busy.get() - 1);
        }
    }

    /// It computed for a tick. Returns how long it is to pause.
    pub(super) fn tick(&mut self) -> Duration {
        self.ticks = self.ticks.saturating_add(1);
        let computed = TICK * self.ticks;
        if computed < FREE || !self.has_joined {
            return Duration::ZERO;
        }
        if !self.is_busy {
            self.is_busy = true;
            self.crowd.busy.set(self.crowd.busy.get() + 1);
        }
        let busy = self.crowd.busy.get();
        if busy >= self.crowd.members.get() {
            return Duration::ZERO;
        }
        let pause = PAUSES.iter().find(|(until, _)| computed < *until).map_or(LAST_PAUSE, |(_, pause)| *pause);
        pause.saturating_mul(busy).min(LONGEST_PAUSE)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.rest();
        if self.has_joined {
            self.crowd.members.set(self.crowd.members.get() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(crowd: &Rc<Crowd>) -> Member {
        let mut member = Member::new(crowd);
        member.join();
        member
    }

    fn after(member: &mut Member, computed: Duration) -> Duration {
        member.rest();
        let ticks = computed.as_nanos() / TICK.as_nanos();
        (0..ticks).map(|_| member.tick()).last().unwrap()
    }

    #[test]
    fn one_that_computes_makes_room_the_longer_the_more() {
        let crowd = Rc::default();
        let (mut busy, _other) = (joined(&crowd), joined(&crowd));
        let pauses =
            [1, 19, 20, 99, 100, 499, 500, 5000].map(|ms| after(&mut busy, Duration::from_millis(ms)).as_millis());
        assert_eq!(pauses, [0, 0, 1, 1, 2, 2, 5, 5]);
    }

    #[test]
    fn nobody_makes_room_for_those_who_compute_as_well() {
        let crowd = Rc::default();
        let mut alone = joined(&crowd);
        assert_eq!(after(&mut alone, Duration::from_secs(1)), Duration::ZERO);
        let mut second = joined(&crowd);
        assert_eq!(after(&mut alone, Duration::from_secs(1)), LAST_PAUSE);
        after(&mut second, Duration::from_secs(1));
        assert_eq!(alone.tick(), Duration::ZERO);
        second.rest();
        assert_eq!(alone.tick(), LAST_PAUSE);
        drop(second);
        assert_eq!(alone.tick(), Duration::ZERO);
        let mut making = Member::new(&crowd);
        assert_eq!(after(&mut making, Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn those_who_compute_share_what_they_have() {
        let crowd = Rc::default();
        let (_other, mut busy) = (joined(&crowd), vec![joined(&crowd), joined(&crowd), joined(&crowd)]);
        for member in &mut busy {
            after(member, Duration::from_secs(1));
        }
        assert_eq!(busy[0].tick(), LAST_PAUSE * 3);
        busy.clear();
        assert_eq!((crowd.members.get(), crowd.busy.get()), (1, 0));
    }
}
