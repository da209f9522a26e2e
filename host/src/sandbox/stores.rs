//! What the stores of one thread are made with.

use std::rc::Rc;
use std::sync::Arc;

use wasmtime::{Engine, Store};

use super::budget::Budget;
use super::crowd::Crowd;
use super::state::State;
use crate::capability::Host;
use crate::plan::Limits;

/// Makes the stores of one thread.
pub(super) struct Stores {
    engine: Engine,
    limits: Arc<Limits>,
    budget: Arc<Budget>,
    crowd: Rc<Crowd>,
}

impl Stores {
    pub(super) fn new(engine: &Engine, limits: &Arc<Limits>, budget: &Arc<Budget>) -> Self {
        Self { engine: engine.clone(), limits: Arc::clone(limits), budget: Arc::clone(budget), crowd: Rc::default() }
    }

    /// Makes a store around a VU's side.
    pub(super) fn store(&self, host: Host) -> Store<State> {
        State::store(&self.engine, host, &self.limits, &self.budget, &self.crowd)
    }
}
