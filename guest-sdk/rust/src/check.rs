//! Checks: named assertions that are counted and never stop an iteration.
//!
//! The contract declares a check once and reports by id. Authors only ever write names: [`check!`](crate::check!) keeps
//! the id in a static of its call site, and [`check`] looks it up by the name's address first.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::bindings::squall::journey::check as host;

/// Ids are kept one higher than the host gave them, so that 0 can mean "not declared yet".
const UNDECLARED: u32 = 0;

/// A check that is declared at its first result. [`check!`](crate::check!) makes one for each call site.
#[derive(Debug)]
pub struct Check {
    name: &'static str,
    id: AtomicU32,
}

impl Check {
    /// Names a check, without telling the host yet.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, id: AtomicU32::new(UNDECLARED) }
    }

    /// Counts one result and returns it.
    pub fn report(&self, ok: bool) -> bool {
        let mut id = self.id.load(Relaxed);
        if id == UNDECLARED {
            id = host::declare(self.name).wrapping_add(1);
            self.id.store(id, Relaxed);
        }
        host::report(id.wrapping_sub(1), ok);
        ok
    }
}

/// Counts one result of the check `name` and returns it.
///
/// ```no_run
/// # use squall_sdk::{check, http};
/// # fn main() -> Result<(), squall_sdk::Error> {
/// # let url = "http://127.0.0.1:8080/";
/// let page = http::get(url)?;
/// if !check("status is 200", page.status() == 200) {
///     return Ok(());
/// }
/// # Ok(()) }
/// ```
#[expect(clippy::must_use_candidate, reason = "counting is the purpose; the result is for convenience")]
pub fn check(name: &str, ok: bool) -> bool {
    let id = KNOWN.with_borrow_mut(|known| known.id_of(name, host::declare));
    host::report(id, ok);
    ok
}

/// Counts results of checks, and returns whether all of them passed.
///
/// ```no_run
/// # use squall_sdk::{check, http};
/// # fn main() -> Result<(), squall_sdk::Error> {
/// # let page = http::get("http://127.0.0.1:8080/")?;
/// check!("status is 200", page.status() == 200);
/// check! {
///     "status is 200": page.status() == 200,
///     "has a body": page.body_len() > 0,
/// };
/// check!(page.status() == 200); // named `page.status() == 200`
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! check {
    ($name:literal, $ok:expr $(,)?) => {{
        static CHECK: $crate::Check = $crate::Check::new($name);
        CHECK.report($ok)
    }};
    ($($name:literal : $ok:expr),+ $(,)?) => {{
        let mut passed = true;
        $(passed &= $crate::check!($name, $ok);)+
        passed
    }};
    ($ok:expr $(,)?) => {{
        static CHECK: $crate::Check = $crate::Check::new(::core::stringify!($ok));
        CHECK.report($ok)
    }};
}

thread_local! {
    static KNOWN: RefCell<Known> = const { RefCell::new(Known { checks: Vec::new() }) };
}

/// The ids of the names this instance has used.
struct Known {
    checks: Vec<KnownCheck>,
}

struct KnownCheck {
    /// Where the name was the last time: a literal does not move, so comparing its text is the exception.
    address: usize,
    name: Box<str>,
    id: u32,
}

impl Known {
    fn id_of(&mut self, name: &str, declare: impl FnOnce(&str) -> u32) -> u32 {
        let address = name.as_ptr() as usize;
        // The text is compared all the same: another name may lie where a freed one lay.
        if let Some(check) = self.checks.iter().find(|check| check.address == address && *check.name == *name) {
            return check.id;
        }
        if let Some(check) = self.checks.iter_mut().find(|check| *check.name == *name) {
            check.address = address;
            return check.id;
        }
        let id = declare(name);
        self.checks.push(KnownCheck { address, name: name.into(), id });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::Known;

    #[test]
    fn a_name_is_declared_once_wherever_it_lies() {
        let mut known = Known { checks: Vec::new() };
        let elsewhere = String::from("status is 200");
        assert_eq!(known.id_of("status is 200", |_| 4), 4);
        assert_eq!(known.id_of("status is 200", |_| unreachable!()), 4);
        assert_eq!(known.id_of(&elsewhere, |_| unreachable!()), 4);
        assert_eq!(known.id_of("has a body", |_| 5), 5);
    }

    #[test]
    fn another_name_at_the_same_address_is_another_check() {
        let mut known = Known { checks: Vec::new() };
        let mut name = String::from("first");
        assert_eq!(known.id_of(&name, |_| 1), 1);
        name.clear();
        name.push_str("other");
        assert_eq!(known.id_of(&name, |_| 2), 2);
    }
}
