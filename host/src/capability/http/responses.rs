//! The answers of an iteration, kept by the host.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::protocol::Error;
use crate::protocol::http::{Peer, Response, Target, Timings};
use crate::wit::http;

/// Bytes that are kept of an answer beside its head, its body and its URL.
const EACH: usize = size_of::<(u32, Answer)>();

/// The answers of one iteration, by id.
#[derive(Debug, Default)]
pub(in super::super) struct Responses {
    kept: VecDeque<(u32, Answer)>,
    last_id: u32,
    bytes: u64,
}

/// What is kept of an exchange.
#[derive(Debug)]
pub(in super::super) struct Answer {
    pub(in super::super) response: Response,
    pub(super) timings: Timings,
    pub(super) peer: Peer,
    /// The redirects that were followed.
    pub(super) redirects: u32,
    pub(super) target: Arc<Target>,
}

impl Answer {
    /// How long the first byte took to come after the request's last.
    pub(in super::super) fn waiting(&self) -> std::time::Duration {
        self.timings.waiting
    }

    /// The protocol as tags have it, and the status.
    pub(in super::super) fn version_and_status(&self) -> (&'static str, u16) {
        (self.peer.protocol.as_str(), self.response.status)
    }

    /// What keeping it costs: answers without a body are not for nothing, and their URLs may be long.
    fn size(&self) -> u64 {
        (self.response.size() + self.target.url().len() + EACH) as u64
    }
}

impl Responses {
    /// Frees all answers and returns the last one's buffer.
    pub(in super::super) fn clear(&mut self) -> Option<Response> {
        self.bytes = 0;
        let last = self.kept.pop_back();
        self.kept.clear();
        last.map(|(_, answer)| answer.response)
    }

    pub(super) fn keep(&mut self, answer: Answer, limit: u64) -> Result<u32, Error> {
        let size = answer.size();
        if self.bytes + size > limit {
            return Err(Error::TooLarge(limit));
        }
        self.next_id()?;
        self.bytes += size;
        self.kept.push_back((self.last_id, answer));
        Ok(self.last_id)
    }

    /// A new id. They are never used again, or a kept one would silently read someone else's answer.
    pub(super) fn next_id(&mut self) -> Result<u32, Error> {
        let next = self.last_id.checked_add(1);
        self.last_id = next.ok_or_else(|| Error::Other("this instance used up its response ids".to_owned()))?;
        Ok(self.last_id)
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Answer> {
        let at = self.kept.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(&mut self.kept[at].1)
    }

    pub(in super::super) fn get(&self, id: u32) -> Result<&Answer, http::LookupError> {
        let at = self.kept.binary_search_by_key(&id, |&(id, _)| id).map_err(|_| http::LookupError::Stale(id))?;
        Ok(&self.kept[at].1)
    }

    /// The answer itself, without what is known about it.
    pub(in super::super) fn response(&self, id: u32) -> Result<&Response, http::LookupError> {
        Ok(&self.get(id)?.response)
    }

    pub(in super::super) fn release(&mut self, id: u32) {
        if let Ok(at) = self.kept.binary_search_by_key(&id, |&(id, _)| id)
            && let Some((_, answer)) = self.kept.remove(at)
        {
            self.bytes -= answer.size();
        }
    }
}
