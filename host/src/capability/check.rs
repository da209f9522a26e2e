//! `check` and `group`: named assertions, and named spans.

use std::time::Instant;

use super::Host;
use crate::metrics::{Excess, builtin};
use crate::wit::{check, group};

/// A deeper nesting of groups is a runaway recursion.
const DEEPEST: usize = 64;

/// The open groups of an iteration, outermost first.
#[derive(Debug, Default)]
pub(super) struct Groups {
    open: Vec<(u32, Instant)>,
}

impl Groups {
    /// The innermost open group as [`super::Local`] numbers it; 0 outside of any.
    pub(super) fn current(&self) -> u32 {
        self.open.last().map_or(0, |&(id, _)| id)
    }
}

impl Host {
    pub(super) fn close_groups(&mut self) {
        while !self.groups.open.is_empty() {
            self.close_group();
        }
    }

    fn close_group(&mut self) {
        if let Some((id, started)) = self.groups.open.pop() {
            let milliseconds = started.elapsed().as_secs_f64() * 1e3;
            self.local.add_in_group(builtin::GROUP_DURATION, self.scope, id, milliseconds);
        }
    }
}

impl check::Host for Host {
    fn check(&mut self, name: String, ok: bool) -> bool {
        self.called();
        let id = self.local.check(&name);
        self.local.add_check(self.scope, self.groups.current(), id, ok);
        ok
    }

    fn declare(&mut self, name: String) -> u32 {
        self.local.check(&name)
    }

    fn report(&mut self, id: u32, ok: bool) {
        self.called();
        if !self.local.add_check(self.scope, self.groups.current(), id, ok) {
            self.warn_once(Excess::Ids, || format!("a result was dropped: no check has the id {id}"));
        }
    }
}

impl group::Host for Host {
    fn begin(&mut self, name: String) {
        self.called();
        if self.groups.open.len() >= DEEPEST {
            self.warn_once(Excess::DeepGroups, || format!("a group was not opened: {DEEPEST} groups are open already"));
            return;
        }
        let id = self.local.group(self.groups.current(), &name);
        self.groups.open.push((id, Instant::now()));
    }

    fn end(&mut self) {
        self.called();
        self.close_group();
    }
}
