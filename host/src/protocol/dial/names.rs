//! From a name to addresses: asked once, kept for a while, in the order in which they are tried.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};
use send_wrapper::SendWrapper;

use crate::plan::Source;
use crate::plan::http::{Dns, Policy, Select};
use crate::protocol::Error;
use crate::protocol::door::Candidates;

mod server;
mod system;

use server::Server;

/// How many names a worker keeps. A journey with ever new ones gains nothing from keeping them.
const KEPT_NAMES: usize = 1024;

/// The addresses that may be used, or why there is none.
type Answer = Result<Arc<[IpAddr]>, Error>;
type Question = BoxFuture<'static, Answer>;

/// The names a worker thread knows.
#[derive(Debug)]
pub(super) struct Names {
    ttl: Option<Duration>,
    select: Select,
    policy: Policy,
    server: Option<Server>,
    state: SendWrapper<RefCell<State>>,
}

#[derive(Debug)]
struct State {
    known: HashMap<Box<str>, Known>,
    /// Questions that wait for their answers. Held weakly: a question that nobody waits for is dropped, and not found
    /// half asked by whoever comes next.
    asked: HashMap<Box<str>, WeakShared<Question>>,
    random: Xoshiro256PlusPlus,
}

#[derive(Debug)]
struct Known {
    addresses: Arc<[IpAddr]>,
    since: Instant,
    turn: usize,
}

impl Names {
    pub(super) fn new(dns: &Dns) -> Self {
        let seed = RandomState::new().build_hasher().finish();
        let state =
            State { known: HashMap::new(), asked: HashMap::new(), random: Xoshiro256PlusPlus::seed_from_u64(seed) };
        Self {
            ttl: dns.ttl,
            select: dns.select,
            policy: dns.policy,
            server: dns.server.map(Server::new),
            state: SendWrapper::new(RefCell::new(state)),
        }
    }

    /// The addresses of a host in the order in which they are tried, if they are known.
    pub(super) fn known(&self, host: &str, port: u16) -> Option<Candidates> {
        let (addresses, turn) = self.state.borrow_mut().fresh(host, self.ttl, self.select)?;
        Some(order(&addresses, self.policy, turn, port))
    }

    /// Asks for the addresses of a host; returns them in the order in which they are tried.
    pub(super) async fn ask(&self, host: &str, port: u16) -> Result<Candidates, Error> {
        let ask = || match &self.server {
            Some(server) => server.ask(host, self.policy).boxed(),
            None => system::ask(host).boxed(),
        };
        let addresses = self.share(host, ask).await?;
        let turn = self.state.borrow_mut().turn(host, self.select);
        Ok(order(&addresses, self.policy, turn, port))
    }

    /// Waits for an answer together with everybody who asks for the same name now, and keeps it.
    async fn share<F>(&self, host: &str, ask: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Result<Vec<IpAddr>, Error>> + Send + 'static,
    {
        let question = self.state.borrow_mut().question(host, || {
            let (answer, policy, host) = (ask(), self.policy, host.to_owned());
            async move { allowed(&host, answer.await?, policy) }.boxed()
        });
        let answer = question.await;
        if let Ok(addresses) = &answer {
            self.state.borrow_mut().keep(host, addresses);
        }
        answer
    }
}

impl State {
    /// What is known of a name and not too old, and whose turn it is.
    fn fresh(&mut self, host: &str, ttl: Option<Duration>, select: Select) -> Option<(Arc<[IpAddr]>, usize)> {
        let known = self.known.get(host)?;
        let fresh = ttl.is_none_or(|ttl| known.since.elapsed() < ttl);
        let addresses = fresh.then(|| Arc::clone(&known.addresses))?;
        Some((addresses, self.turn(host, select)))
    }

    /// Which of a name's addresses is tried first, as a number that may be larger than there are.
    fn turn(&mut self, host: &str, select: Select) -> usize {
        match select {
            Select::First => 0,
            Select::Random => self.random.next_u32() as usize,
            Select::RoundRobin => self.known.get_mut(host).map_or(0, |known| {
                known.turn = known.turn.wrapping_add(1);
                known.turn.wrapping_sub(1)
            }),
        }
    }

    /// The question for a name that waits for its answer, or a new one.
    fn question(&mut self, host: &str, ask: impl FnOnce() -> Question) -> Shared<Question> {
        let asked = self.asked.get(host).and_then(WeakShared::upgrade);
        // An answer that is there already is for those who asked for it.
        if let Some(question) = asked.filter(|question| question.peek().is_none()) {
            return question;
        }
        let question = ask().shared();
        if self.asked.len() >= KEPT_NAMES {
            self.asked.retain(|_, question| question.upgrade().is_some());
        }
        if let Some(weak) = question.downgrade() {
            self.asked.insert(host.into(), weak);
        }
        question
    }

    fn keep(&mut self, host: &str, addresses: &Arc<[IpAddr]>) {
        if let Some(known) = self.known.get_mut(host) {
            // All who waited bring the same answer; the first says how old it is.
            if !Arc::ptr_eq(&known.addresses, addresses) {
                known.addresses = Arc::clone(addresses);
                known.since = Instant::now();
            }
            return;
        }
        if self.known.len() >= KEPT_NAMES {
            self.known.clear();
        }
        let known = Known { addresses: Arc::clone(addresses), since: Instant::now(), turn: 0 };
        self.known.insert(host.into(), known);
    }
}

/// The addresses that a policy allows.
fn allowed(host: &str, mut addresses: Vec<IpAddr>, policy: Policy) -> Answer {
    let family = match policy {
        Policy::OnlyIpv4 => "IPv4 ",
        Policy::OnlyIpv6 => "IPv6 ",
        Policy::PreferIpv4 | Policy::PreferIpv6 | Policy::Any => "",
    };
    addresses.retain(|address| match policy {
        Policy::OnlyIpv4 => address.is_ipv4(),
        Policy::OnlyIpv6 => address.is_ipv6(),
        Policy::PreferIpv4 | Policy::PreferIpv6 | Policy::Any => true,
    });
    if addresses.is_empty() {
        return Err(Error::NoSuchHost(format!("`{host}` has no {family}address")));
    }
    Ok(addresses.into())
}

/// Orders addresses: the policy says which family comes first, the turn which address of it; after that the families
/// alternate (RFC 8305, 4).
fn order(addresses: &[IpAddr], policy: Policy, turn: usize, port: u16) -> Candidates {
    let at = |address: IpAddr| SocketAddr::new(address, port);
    if let [only] = addresses {
        return Candidates { first: at(*only), rest: Vec::new(), source: Source::Names };
    }
    let v6_first = match policy {
        Policy::PreferIpv4 | Policy::OnlyIpv4 => !addresses.iter().any(IpAddr::is_ipv4),
        Policy::PreferIpv6 | Policy::OnlyIpv6 => addresses.iter().any(IpAddr::is_ipv6),
        Policy::Any => addresses[turn % addresses.len()].is_ipv6(),
    };
    // The addresses of a family, from the one whose turn it is.
    let family = |v6: bool| {
        let count = addresses.iter().filter(|address| address.is_ipv6() == v6).count();
        let skip = match policy {
            Policy::Any => addresses[..turn % addresses.len()].iter().filter(|address| address.is_ipv6() == v6).count(),
            _ => turn % count.max(1),
        };
        addresses.iter().copied().filter(move |address| address.is_ipv6() == v6).cycle().skip(skip).take(count)
    };
    let (mut preferred, mut other) = (family(v6_first), family(!v6_first));
    let mut ordered = Vec::with_capacity(addresses.len());
    while ordered.len() < addresses.len() {
        ordered.extend(preferred.next().map(at));
        ordered.extend(other.next().map(at));
    }
    let first = ordered.remove(0);
    Candidates { first, rest: ordered, source: Source::Names }
}

#[cfg(test)]
mod tests;
