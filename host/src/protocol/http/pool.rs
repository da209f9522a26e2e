//! Open connections: those of HTTP/1.1 that lie idle, and those of HTTP/2 and HTTP/3, which carry several exchanges at once.
//!
//! Each VU has a pool, or several share one ([`Groups`]). Where HTTP/2 may be spoken, one of those that need a connection
//! opens it and the others wait for that one: first requests that begin together do not open a connection each.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::multiplexed::{Connection, Slot};
use super::{Peer, Target, h1};
use crate::protocol::Error;

/// Open connections.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Pool {
    idle: RefCell<Vec<Idle>>,
    origins: RefCell<Vec<Origin>>,
}

/// An open connection to one origin that carries one exchange at a time.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) target: Arc<Target>,
    pub(super) peer: Peer,
    /// When its last exchange ended.
    pub(super) since: Instant,
    pub(super) http: h1::Connection,
}

/// What leads to one origin by HTTP/2, or will when it turns out to be spoken there; or by HTTP/3.
#[derive(Debug)]
struct Origin {
    target: Arc<Target>,
    is_http3: bool,
    connections: Vec<Connection>,
    flight: Option<Rc<Flight>>,
}

/// A connection that is being opened, as those see it who wait for it.
#[derive(Debug, Default)]
struct Flight {
    landed: Notify,
    error: RefCell<Option<Error>>,
}

/// Where a stream leads, and by what.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Lane<'a> {
    pub(in crate::protocol) target: &'a Arc<Target>,
    pub(in crate::protocol) is_http3: bool,
}

/// What became of a connection that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// It is closed.
    Closed,
    /// It says goodbye first, as those of HTTP/2 do.
    Closing,
}

/// What the next one who needs a connection does.
#[derive(Debug)]
pub(in crate::protocol) enum Turn<'a> {
    /// Uses this stream.
    Stream(Slot),
    /// Opens a connection, for others too.
    Open(Opening<'a>),
}

/// The duty to open a connection. Dropping it hands the duty to one of those who wait.
#[derive(Debug)]
pub(in crate::protocol) struct Opening<'a> {
    pool: &'a Pool,
    lane: Lane<'a>,
    flight: Rc<Flight>,
}

/// What there is for one origin.
enum Found {
    Stream(Slot),
    Nothing(Rc<Flight>),
    Wait { flight: Option<Rc<Flight>>, full: Option<Connection> },
}

impl Pool {
    /// Closes all connections; those in use end with their exchange.
    pub(in crate::protocol) fn close_all(&self) {
        self.idle.borrow_mut().clear();
        self.origins.borrow_mut().clear();
    }

    /// Closes what leads to one origin by HTTP/2; streams in use end by themselves.
    pub(in crate::protocol) fn close(&self, target: &Arc<Target>) {
        self.origins.borrow_mut().retain(|origin| !leads_to(&origin.target, target) || origin.flight.is_some());
    }

    /// Keeps a connection for the next request.
    pub(super) fn put_idle(&self, connection: Idle) {
        self.idle.borrow_mut().push(connection);
    }

    /// Takes a connection that leads where the request goes; drops those that were closed meanwhile, or lay idle for
    /// longer than the limit.
    pub(super) fn take_idle(&self, target: &Arc<Target>, limit: Option<Duration>) -> Option<Idle> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let at = idle.iter().rposition(|connection| leads_to(&connection.target, target))?;
            let mut connection = idle.swap_remove(at);
            if connection.http.is_open() && limit.is_none_or(|limit| connection.since.elapsed() < limit) {
                return Some(connection);
            }
        }
    }

    /// Closes what lies idle for one target.
    pub(super) fn forget_idle(&self, target: &Arc<Target>) {
        self.idle.borrow_mut().retain(|connection| !leads_to(&connection.target, target));
    }

    /// Gives up what has been idle for longest, so that another connection may take its place.
    pub(super) fn give_up_idle(&self) -> Option<GivenUp> {
        let (idle, origins) = (&mut *self.idle.borrow_mut(), &mut *self.origins.borrow_mut());
        let oldest = idle.iter().enumerate().min_by_key(|(_, connection)| connection.since).map(|(at, _)| at);
        if let Some(at) = oldest {
            idle.remove(at);
            return Some(GivenUp::Closed);
        }
        let all = origins.iter().enumerate().flat_map(|(origin, of)| {
            of.connections.iter().enumerate().filter_map(move |(at, one)| Some((one.idle_since()?, origin, at)))
        });
        let (_, origin, at) = all.min()?;
        origins[origin].connections.remove(at);
        Some(GivenUp::Closing)
    }

    /// Waits for a stream to an origin, or for being the one who opens a connection. `may_grow` says whether another one
    /// is opened when the server allows no more streams on those there are; `idle` how long one may lie idle.
    pub(in crate::protocol) async fn turn<'a>(
        &'a self,
        lane: Lane<'a>,
        may_grow: bool,
        idle: Option<Duration>,
    ) -> Result<Turn<'a>, Error> {
        loop {
            let (flight, full) = match self.find(lane, may_grow, idle) {
                Found::Stream(slot) => return Ok(Turn::Stream(slot)),
                Found::Nothing(flight) => return Ok(Turn::Open(Opening { pool: self, lane, flight })),
                Found::Wait { flight, full } => (flight, full),
            };
            tokio::select! {
                () = landed(flight.as_deref()), if flight.is_some() => {}
                () = freed(full.as_ref()), if full.is_some() => {}
            }
            // Who opened it failed for all who waited: one failure is not repeated by each of them in turn.
            if let Some(error) = flight.and_then(|flight| flight.error.borrow().clone()) {
                return Err(error);
            }
        }
    }

    /// Adds a connection.
    pub(super) fn put(&self, lane: Lane<'_>, connection: Connection) {
        origin(&mut self.origins.borrow_mut(), lane).connections.push(connection);
    }

    fn find(&self, lane: Lane<'_>, may_grow: bool, idle: Option<Duration>) -> Found {
        let origins = &mut *self.origins.borrow_mut();
        let origin = origin(origins, lane);
        let mut at = 0;
        while let Some(connection) = origin.connections.get(at) {
            if !connection.is_open(idle) {
                origin.connections.swap_remove(at);
                continue;
            }
            if let Some(slot) = connection.slot() {
                return Found::Stream(slot);
            }
            at += 1;
        }
        origin.connections.retain(|connection| !connection.is_useless());
        // One that the server has not named its limit for may soon have room for many, so that is worth a wait.
        let unsettled = origin.connections.iter().find(|connection| !connection.is_settled());
        let may_grow = may_grow && unsettled.is_none();
        let full = unsettled.or(origin.connections.first()).cloned();
        if origin.flight.is_none() && (full.is_none() || may_grow) {
            let flight = Rc::<Flight>::default();
            origin.flight = Some(Rc::clone(&flight));
            return Found::Nothing(flight);
        }
        Found::Wait { flight: origin.flight.clone(), full }
    }
}

impl Opening<'_> {
    /// Has a connection for all who wait.
    pub(in crate::protocol) fn succeed(self, connection: Connection) {
        self.pool.put(self.lane, connection);
    }

    /// Has none, and says why.
    pub(in crate::protocol) fn fail(self, error: &Error) {
        *self.flight.error.borrow_mut() = Some(error.clone());
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut origins = self.pool.origins.borrow_mut();
        let ours = |flight: &Rc<Flight>| Rc::ptr_eq(flight, &self.flight);
        if let Some(at) = origins.iter().position(|origin| origin.flight.as_ref().is_some_and(ours)) {
            origins[at].flight = None;
            if origins[at].connections.is_empty() {
                origins.swap_remove(at);
            }
        }
        self.flight.landed.notify_waiters();
    }
}

async fn landed(flight: Option<&Flight>) {
    if let Some(flight) = flight {
        flight.landed.notified().await;
    }
}

async fn freed(connection: Option<&Connection>) {
    if let Some(connection) = connection {
        connection.freed().await;
    }
}

fn origin<'a>(origins: &'a mut Vec<Origin>, lane: Lane<'_>) -> &'a mut Origin {
    let is_it = |origin: &Origin| origin.is_http3 == lane.is_http3 && leads_to(&origin.target, lane.target);
    let at = origins.iter().position(is_it).unwrap_or_else(|| {
        let Lane { target, is_http3 } = lane;
        origins.push(Origin { target: Arc::clone(target), is_http3, connections: Vec::new(), flight: None });
        origins.len() - 1
    });
    &mut origins[at]
}

/// Whether what leads to one target leads to another.
fn leads_to(one: &Arc<Target>, other: &Arc<Target>) -> bool {
    Arc::ptr_eq(one, other) || (one.same_origin(other) && one.version() == other.version())
}

/// The pools of a worker thread that several VUs share, by scenario.
#[derive(Debug, Default)]
pub(super) struct Groups {
    scenarios: FxHashMap<Box<str>, Scenario>,
}

#[derive(Debug, Default)]
struct Scenario {
    /// The VUs in the order in which they first asked. One that comes again, with a new instance, keeps its place.
    seats: FxHashMap<u32, usize>,
    /// Each lives as long as one of its VUs.
    pools: Vec<Weak<Pool>>,
}

impl Groups {
    /// The pool that a VU shares with others of its scenario, so many together.
    pub(super) fn pool(&mut self, scenario: &str, vu: u32, members: u32) -> Rc<Pool> {
        if !self.scenarios.contains_key(scenario) {
            self.scenarios.insert(scenario.into(), Scenario::default());
        }
        let Some(Scenario { seats, pools }) = self.scenarios.get_mut(scenario) else { return Rc::default() };
        let next = seats.len();
        let group = *seats.entry(vu).or_insert(next) / members.max(1) as usize;
        if group >= pools.len() {
            pools.resize_with(group + 1, Weak::new);
        }
        pools[group].upgrade().unwrap_or_else(|| {
            let pool = Rc::<Pool>::default();
            pools[group] = Rc::downgrade(&pool);
            pool
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_vus_of_a_scenario_share_a_pool() {
        let mut groups = Groups::default();
        let pools: Vec<Rc<Pool>> = [7, 3, 9].map(|vu| groups.pool("a", vu, 2)).into();
        assert!(Rc::ptr_eq(&pools[0], &pools[1]) && !Rc::ptr_eq(&pools[1], &pools[2]));
        assert!(!Rc::ptr_eq(&pools[0], &groups.pool("b", 7, 2)), "scenarios do not mix");
        assert!(Rc::ptr_eq(&pools[1], &groups.pool("a", 3, 2)), "a new instance of a VU keeps its place");
    }

    #[test]
    fn a_pool_ends_with_its_last_vu() {
        let mut groups = Groups::default();
        let weak = Rc::downgrade(&groups.pool("a", 1, 2));
        assert!(weak.upgrade().is_none());
        assert_eq!(Rc::strong_count(&groups.pool("a", 1, 2)), 1);
    }

    #[tokio::test]
    async fn one_opens_and_the_others_wait_for_it() {
        let (pool, target) = (Pool::default(), Arc::new(Target::parse("https://a.test").unwrap()));
        let lane = Lane { target: &target, is_http3: false };
        let Ok(Turn::Open(opening)) = pool.turn(lane, false, None).await else { panic!("nobody opens") };
        let wait = || async { pool.turn(lane, false, None).await };
        let (second, third) = (wait(), wait());
        tokio::pin!(second, third);
        assert!(futures_util::poll!(&mut second).is_pending() && futures_util::poll!(&mut third).is_pending());
        // The one who opens is cancelled: exactly one of the others takes over.
        drop(opening);
        let std::task::Poll::Ready(Ok(Turn::Open(opening))) = futures_util::poll!(&mut second) else { panic!("hangs") };
        assert!(futures_util::poll!(&mut third).is_pending());
        opening.fail(&Error::Refused);
        assert_eq!(third.await.unwrap_err(), Error::Refused);
        assert!(pool.origins.borrow().is_empty(), "nothing is kept of what came to nothing");
    }
}
