//! One request's way and what it is filed under.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::Way;
use super::asked::Asked;
use crate::capability::local::Label;
use crate::protocol::http::{Exchange, Target, without_userinfo};

/// One request's way, and what it is filed under.
pub(super) struct Trip {
    pub(super) way: Rc<Way>,
    pub(super) method: String,
    url: Url,
    group: u32,
    /// The statuses that are no failure, where the guest said so.
    expected: Option<Box<[(u16, u16)]>>,
}

enum Url {
    /// As the guest gave it.
    Given(String),
    Known(Arc<Target>),
}

impl Trip {
    pub(super) fn new(way: &Rc<Way>, group: u32, asked: &Asked, expected: Option<Box<[(u16, u16)]>>) -> Self {
        let url = Url::Given(asked.url.clone());
        Self { way: Rc::clone(way), method: asked.method.clone(), url, group, expected }
    }

    /// The same to where its URL leads.
    pub(super) fn to(self, target: &Arc<Target>) -> Self {
        Self { url: Url::Known(Arc::clone(target)), ..self }
    }

    pub(super) fn url(&self) -> Cow<'_, str> {
        match &self.url {
            Url::Given(url) => without_userinfo(url),
            Url::Known(target) => Cow::Borrowed(target.url()),
        }
    }

    pub(super) fn is_expected(&self, status: u16) -> bool {
        let ranges = self.expected.as_deref().unwrap_or(&self.way.run.http.expected_statuses);
        ranges.iter().any(|&(first, last)| (first..=last).contains(&status))
    }

    /// Records what it came to. A failure may fail the iteration, and is counted where the run does not allow it.
    pub(super) fn record(&self, exchange: &Exchange, expected: bool) {
        if self.way.is_stopped.get() {
            return;
        }
        let url = self.url();
        let (scope, group) = (self.way.scope, self.group);
        let label = Label { scope, group, method: &self.method, url: &url, name: None, tags: &[], expected };
        self.way.local.add_request(&label, exchange);
        let Err(error) = &exchange.result else { return };
        if let crate::protocol::Error::NotAllowed(refusal) = error {
            self.way.local.add_denied(scope, group, &refusal.host);
        }
        if self.way.run.http.throw {
            let message = || format!("{} `{url}`: {error}", self.method);
            self.way.thrown.borrow_mut().get_or_insert_with(message);
        }
    }
}
