//! What all clients of a worker thread share.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use send_wrapper::SendWrapper;

use super::dial::Dialler;
use super::places::{Places, RunPlaces};
use super::pool::{Groups, Pool};
use super::tls::{self, Tls};
use super::{Error, Target};
use crate::plan::Http;
use crate::protocol::door::Door;

/// How many parsed URLs a worker keeps. Journeys ask for the same few again and again.
const KEPT_TARGETS: usize = 1024;
/// Longer ones are taken apart each time.
const LONGEST_KEPT: usize = 8 << 10;

/// What all clients of a worker thread share.
#[derive(Debug)]
pub struct Shared {
    settings: Arc<Http>,
    tls: Tls,
    dialler: Dialler,
    /// How many connections a VU may have open, and all VUs of the run.
    connections: u32,
    run_places: Arc<RunPlaces>,
    targets: SendWrapper<RefCell<FxHashMap<Box<str>, Arc<Target>>>>,
    groups: SendWrapper<RefCell<Groups>>,
    /// Where TLS did not agree on HTTP/2 when it was last asked.
    http1: SendWrapper<RefCell<FxHashSet<Box<str>>>>,
}

impl Shared {
    /// Makes a worker's part. All its connections are opened through the door.
    #[must_use]
    pub fn new(settings: Arc<Http>, door: Door) -> Self {
        let tls = Tls::new(&settings);
        let dialler = Dialler::new(&settings, door);
        Self {
            settings,
            tls,
            dialler,
            connections: u32::MAX,
            run_places: Arc::default(),
            targets: SendWrapper::new(RefCell::default()),
            groups: SendWrapper::new(RefCell::default()),
            http1: SendWrapper::new(RefCell::default()),
        }
    }

    /// Reads the system's roots now, for a process that will not be able to later.
    pub fn read_system_roots() {
        tls::read_system_roots();
    }

    /// Lets each VU have so many connections open, and all VUs of the run so many as it has places.
    #[must_use]
    pub fn with_places(self, connections: u32, run_places: Arc<RunPlaces>) -> Self {
        Self { connections, run_places, ..self }
    }

    /// Finds what is wrong with the settings, before anything depends on them.
    pub fn check(settings: &Http) -> Result<(), Error> {
        tls::check(settings)
    }

    /// Takes a URL apart, or finds it taken apart already.
    pub fn target(&self, url: &str) -> Result<Arc<Target>, Error> {
        if let Some(target) = self.targets.borrow().get(url) {
            return Ok(Arc::clone(target));
        }
        let target = Arc::new(Target::parse(url)?);
        if url.len() > LONGEST_KEPT {
            return Ok(target);
        }
        let mut targets = self.targets.borrow_mut();
        if targets.len() >= KEPT_TARGETS {
            // A journey with ever new URLs gains nothing from keeping them.
            targets.clear();
        }
        targets.insert(url.into(), Arc::clone(&target));
        Ok(target)
    }

    /// How requests are made.
    #[must_use]
    pub fn settings(&self) -> &Http {
        &self.settings
    }

    pub(super) fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The places of a VU's connections.
    pub(super) fn places(&self) -> Places {
        Places::new(self.connections, Arc::clone(&self.run_places))
    }

    pub(super) fn dialler(&self) -> &Dialler {
        &self.dialler
    }

    /// The connections that a VU shares with others of its scenario, so many together.
    pub(super) fn pool(&self, scenario: &str, vu: u32, members: u32) -> Rc<Pool> {
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
