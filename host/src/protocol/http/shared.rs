//! What all clients of a worker thread share.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use send_wrapper::SendWrapper;

use super::Target;
use super::pool::{Groups, Pool};
use crate::plan::Http;
use crate::plan::http::Version;
use crate::protocol::{Error, Network};

/// How many parsed URLs a worker keeps. Journeys ask for the same few again and again.
const KEPT_TARGETS: usize = 1024;
/// Longer ones are taken apart each time.
const LONGEST_KEPT: usize = 8 << 10;

/// What all clients of a worker thread share.
#[derive(Debug)]
pub struct Shared {
    network: Rc<Network>,
    targets: SendWrapper<RefCell<FxHashMap<Box<str>, Arc<Target>>>>,
    groups: SendWrapper<RefCell<Groups>>,
    /// Where TLS did not agree on HTTP/2 when it was last asked.
    http1: SendWrapper<RefCell<FxHashSet<Box<str>>>>,
}

impl Shared {
    /// Makes a worker's part, with connections of its own.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self {
            network: Rc::new(network),
            targets: SendWrapper::new(RefCell::default()),
            groups: SendWrapper::new(RefCell::default()),
            http1: SendWrapper::new(RefCell::default()),
        }
    }

    /// Takes a URL apart, or finds it taken apart already.
    pub fn target(&self, url: &str) -> Result<Arc<Target>, Error> {
        if let Some(target) = self.targets.borrow().get(url) {
            return Ok(Arc::clone(target));
        }
        let target = Arc::new(Target::parse(url)?);
        self.keep_target(url, &target);
        Ok(target)
    }

    /// The same for a request that asks for a version of HTTP. It shares no connection with those that do not.
    pub fn target_by(&self, url: &str, version: Version) -> Result<Arc<Target>, Error> {
        // No URL begins like this.
        let key = format!("{version:?} {url}");
        if let Some(target) = self.targets.borrow().get(key.as_str()) {
            return Ok(Arc::clone(target));
        }
        let target = Arc::new(Target::parse(url)?.by(version));
        self.keep_target(&key, &target);
        Ok(target)
    }

    fn keep_target(&self, key: &str, target: &Arc<Target>) {
        if key.len() > LONGEST_KEPT {
            return;
        }
        let mut targets = self.targets.borrow_mut();
        if targets.len() >= KEPT_TARGETS {
            // A journey with ever new URLs gains nothing from keeping them.
            targets.clear();
        }
        targets.insert(key.into(), Arc::clone(target));
    }

    /// How requests are made.
    #[must_use]
    pub fn settings(&self) -> &Http {
        self.network.settings()
    }

    pub(super) fn network(&self) -> &Rc<Network> {
        &self.network
    }

    /// The connections that a VU shares with others of its scenario, so many together.
    pub(in crate::protocol) fn pool(&self, scenario: &str, vu: u32, members: u32) -> Rc<Pool> {
        self.groups.borrow_mut().pool(scenario, vu, members)
    }

    /// Whether an origin is known not to speak HTTP/2: nobody needs to wait for what another finds out about it.
    pub(super) fn speaks_http1(&self, target: &Target) -> bool {
        self.http1.borrow().contains(target.authority())
    }

    pub(super) fn note_http1(&self, target: &Target) {
        let mut http1 = self.http1.borrow_mut();
        if http1.len() >= KEPT_TARGETS {
            http1.clear();
        }
        if !http1.contains(target.authority()) {
            http1.insert(target.authority().into());
        }
    }

    pub(super) fn forget_http1(&self, target: &Target) {
        self.http1.borrow_mut().remove(target.authority());
    }
}
