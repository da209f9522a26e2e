//! Requests without an answer: those of the last call, and the one that fails its iteration.

use crate::protocol::Error;
use crate::protocol::http::without_userinfo;
use crate::wit::http;

/// What is remembered of requests without an answer. A VU that has all its answers has none of it.
#[derive(Debug, Default)]
pub(in super::super) struct Failures(Option<Box<Known>>);

#[derive(Debug, Default)]
struct Known {
    last: Vec<http::Failure>,
    /// The first that is to fail this iteration.
    thrown: Option<String>,
}

impl Failures {
    /// Forgets those of the call before.
    pub(super) fn begin_call(&mut self) {
        if let Some(known) = &mut self.0 {
            known.last.clear();
        }
    }

    /// Remembers one: its place in the call, and whether it fails the iteration.
    pub(super) fn add(&mut self, place: usize, request: &http::Request, error: &Error, throws: bool) {
        let known = self.0.get_or_insert_default();
        let message = error.to_string();
        if throws {
            let url = without_userinfo(&request.url);
            known.thrown.get_or_insert_with(|| format!("{} `{url}`: {message}", request.method));
        }
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        known.last.push(http::Failure { place, code: error.code().into(), message });
    }

    pub(super) fn last(&self) -> Vec<http::Failure> {
        self.0.as_ref().map(|known| known.last.clone()).unwrap_or_default()
    }

    /// Ends an iteration and says what fails it.
    pub(in super::super) fn end_iteration(&mut self) -> Option<String> {
        self.0.take()?.thrown
    }
}
