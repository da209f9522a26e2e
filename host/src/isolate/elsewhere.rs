//! Systems without Unix sockets, which have no wall either.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use super::{Confinement, IsolateError, Settings};
use crate::metrics::Registry;
use crate::output::Output;
use crate::plan::{Limits, Plan, Policy};
use crate::platform::confine;
use crate::run::RunOptions;
use crate::sandbox::Inspection;
use crate::verdict::Report;

/// A load process. There is none here.
#[derive(Debug)]
pub struct Isolated(Infallible);

/// A run in a load process. There is none here.
#[derive(Debug)]
pub struct Handle(Infallible);

/// Ends a run early. There is none here.
#[derive(Debug, Clone)]
pub struct Stopper(Infallible);

impl Isolated {
    /// Says what is missing.
    pub fn spawn(_: Command, _: Settings) -> Result<Self, IsolateError> {
        let message = confine::is_possible().err().map_or_else(String::new, |error| error.to_string());
        Err(IsolateError::NoWall { message, only_landlock: false })
    }

    /// What stands around it.
    #[must_use]
    pub fn confinement(&self) -> Confinement {
        match self.0 {}
    }

    /// Checks and compiles the component.
    pub fn load(&mut self, _: &[u8], _: &str, _: &Limits, _: &Policy) -> Result<Inspection, IsolateError> {
        match self.0 {}
    }

    /// The journey's own options as JSON.
    pub fn options(&mut self, _: BTreeMap<String, String>, _: impl FnMut(&str)) -> Result<String, IsolateError> {
        match self.0 {}
    }

    /// Starts the run.
    pub fn start(
        self,
        _: Plan,
        _: Arc<Registry>,
        _: Vec<Box<dyn Output>>,
        _: RunOptions,
    ) -> Result<Handle, IsolateError> {
        match self.0 {}
    }
}

impl Handle {
    /// What ends the run early.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        match self.0 {}
    }

    /// Waits for the end of the run.
    pub fn wait(self) -> Result<Report, IsolateError> {
        match self.0 {}
    }
}

impl Stopper {
    /// Lets running iterations end.
    pub fn stop(&self) {
        match self.0 {}
    }

    /// Interrupts running iterations.
    pub fn stop_now(&self) {
        match self.0 {}
    }
}

/// Says that there is nothing to serve.
#[must_use]
pub fn serve() -> ExitCode {
    ExitCode::FAILURE
}
