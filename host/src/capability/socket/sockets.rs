//! The sockets of a VU: those of this iteration by their ids, and those that wait for the next.

use std::collections::BTreeMap;

use super::session::{Label, Session};
use crate::capability::local::Local;
use crate::protocol::Error;

/// What a VU has open. One that never had a socket has none of it.
#[derive(Debug, Default)]
pub(in super::super) struct Sockets(Option<Box<Open>>);

#[derive(Debug, Default)]
struct Open {
    /// Ids are never used again, so that one of an earlier iteration is known as such.
    last: u32,
    live: BTreeMap<u32, (Session, bool)>,
    kept: Vec<Session>,
}

impl Sockets {
    /// Refuses one more than may be open. What waits for the next iteration makes room.
    pub(super) fn make_room(&mut self, most: u32, local: &Local) -> Result<(), Error> {
        let Some(open) = &mut self.0 else { return Ok(()) };
        let most = most as usize;
        if open.live.len() >= most {
            return Err(Error::InvalidRequest(format!(
                "{most} sockets are open, and no more may be (`limits.requestsInFlight`)"
            )));
        }
        while open.live.len() + open.kept.len() >= most {
            open.kept.remove(0).end(local);
        }
        Ok(())
    }

    /// Gives a socket an id.
    pub(super) fn add(&mut self, session: Session, keep: bool) -> u32 {
        let open = self.0.get_or_insert_default();
        open.last = open.last.wrapping_add(1);
        open.live.insert(open.last, (session, keep));
        open.last
    }

    /// Takes a socket that an earlier iteration left, if it can still be used.
    pub(super) fn take_kept(&mut self, label: &Label, local: &Local) -> Option<Session> {
        let kept = &mut self.0.as_mut()?.kept;
        while let Some(at) = kept.iter().position(|session| session.label == *label) {
            let mut session = kept.remove(at);
            if session.can_be_kept() {
                session.reused = true;
                return Some(session);
            }
            session.end(local);
        }
        None
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Session> {
        self.0.as_mut()?.live.get_mut(&id).map(|(session, _)| session)
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Session> {
        self.0.as_mut()?.live.remove(&id).map(|(session, _)| session)
    }

    /// Ends what an iteration has left open; what is to be kept is kept, if it may be.
    pub(in super::super) fn end_iteration(&mut self, may_keep: bool, local: &Local) {
        let Some(open) = &mut self.0 else { return };
        for (_, (mut session, keep)) in std::mem::take(&mut open.live) {
            if keep && may_keep && session.can_be_kept() {
                open.kept.push(session);
            } else {
                session.end(local);
            }
        }
    }

    /// Ends everything.
    pub(in super::super) fn end_all(&mut self, local: &Local) {
        self.end_iteration(false, local);
        for session in self.0.take().into_iter().flat_map(|open| open.kept) {
            session.end(local);
        }
    }
}
