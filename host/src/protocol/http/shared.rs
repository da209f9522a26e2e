//! What all clients of a worker thread share.

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use send_wrapper::SendWrapper;

use super::dial::Dialler;
use super::tls::Tls;
use super::{Error, Target};
use crate::plan::Http;

/// How many parsed URLs a worker keeps. Journeys ask for the same few again and again.
const KEPT_TARGETS: usize = 1024;

/// What all clients of a worker thread share.
#[derive(Debug)]
pub struct Shared {
    settings: Arc<Http>,
    tls: Tls,
    dialler: Dialler,
    targets: SendWrapper<RefCell<FxHashMap<Box<str>, Arc<Target>>>>,
}

impl Shared {
    /// Makes a worker's part.
    #[must_use]
    pub fn new(settings: Arc<Http>) -> Self {
        let tls = Tls::new(settings.tls.skip_verify);
        let dialler = Dialler::new(&settings);
        Self { settings, tls, dialler, targets: SendWrapper::new(RefCell::default()) }
    }

    /// Takes a URL apart, or finds it taken apart already.
    pub fn target(&self, url: &str) -> Result<Arc<Target>, Error> {
        if let Some(target) = self.targets.borrow().get(url) {
            return Ok(Arc::clone(target));
        }
        let target = Arc::new(Target::parse(url)?);
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

    pub(super) fn dialler(&self) -> &Dialler {
        &self.dialler
    }
}
