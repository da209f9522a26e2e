//! A VU that runs a program: each iteration is one run of it, in an instance of its own.
//!
//! What the VU is lives on from run to run: its number, its connections, its cookies. What the program is does not: its
//! memory, its handles, what it wrote and did not end.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::CommandPre;

use super::instance::unless_thrown;
use super::state::State;
use super::stores::Stores;
use super::trap::{Symbols, Trap};
use super::watch::{Overrun, Watch};
use crate::capability::Host;
use crate::vu::{Detail, Instance, Iteration, Outcome};

/// What a program that ran to its end, but not well, exits with.
const FAILURE: i32 = 1;

/// A VU that runs a program.
pub(super) struct ProgramInstance {
    pre: CommandPre<State>,
    stores: Rc<Stores>,
    /// The VU's side, which is in the store while the program runs. Gone after a run that was interrupted.
    host: Option<Host>,
    watch: Option<Rc<Watch>>,
    symbols: Arc<Symbols>,
    /// What is to be said of the last run.
    failed: Option<Box<(Trap, String)>>,
}

impl ProgramInstance {
    pub(super) fn new(
        pre: &CommandPre<State>,
        stores: &Rc<Stores>,
        host: Host,
        watch: Option<Rc<Watch>>,
        symbols: &Arc<Symbols>,
    ) -> Self {
        let (pre, stores, symbols) = (pre.clone(), Rc::clone(stores), Arc::clone(symbols));
        Self { pre, stores, host: Some(host), watch, symbols, failed: None }
    }

    /// Runs the program once; returns its exit status, and what it was refused last.
    async fn run(&mut self, mut host: Host, iteration: &Iteration) -> (wasmtime::Result<i32>, Option<String>) {
        host.begin(iteration.number, iteration.index, iteration.stream);
        let mut store = self.stores.store(host);
        let run = async {
            let program = self.pre.instantiate_async(&mut store).await?;
            store.data_mut().is_made();
            store.data_mut().join();
            let returned = program.wasi_cli_run().call_run(&mut store).await?;
            Ok(if returned.is_ok() { 0 } else { FAILURE })
        };
        let returned = match &self.watch {
            None => run.await,
            Some(watch) => watch.over(pin!(run)).await,
        };
        let refused = store.data_mut().take_refused();
        let mut host = store.into_data().into_host();
        // With the instance goes what it holds of the host, and what it wrote is in the log to its last word.
        host.leave();
        self.host = Some(host);
        (returned, refused.map(|refused| format!("it was refused to grow: {refused}")))
    }

    /// Keeps what there is to say of a run that did not end well, and returns it in short.
    fn fail(&mut self, trap: Trap, before: String) -> String {
        let message = trap.summary();
        self.failed = Some(Box::new((trap, before)));
        message
    }
}

impl Instance for ProgramInstance {
    async fn iterate(&mut self, iteration: &Iteration) -> Outcome {
        self.failed = None;
        let host = self.host.take().expect("whoever interrupts an iteration drops its instance");
        let (returned, refused) = self.run(host, iteration).await;
        let thrown = self.host.as_mut().and_then(Host::end);
        let number = iteration.number;
        // A program that exits ends by an error that says how.
        let exited = |error: wasmtime::Error| error.downcast::<I32Exit>().map(|I32Exit(status)| status);
        let status = match returned.or_else(exited) {
            Ok(status) => status,
            Err(error) => {
                let trap = Trap::of(&error).after(refused);
                return if error.is::<Overrun>() {
                    Outcome::TimedOut { message: self.fail(trap, format!("iteration {number} timed out")) }
                } else {
                    Outcome::Trapped { message: self.fail(trap, format!("iteration {number} trapped")) }
                };
            }
        };
        let returned = if status == 0 { Ok(()) } else { Err(format!("exited with status {status}")) };
        match unless_thrown(returned, thrown) {
            Ok(()) => Outcome::Completed,
            Err(message) => {
                let message = self.fail(Trap::saying(message), format!("iteration {number} failed"));
                Outcome::Failed { message }
            }
        }
    }

    fn detail(&mut self) -> Option<Detail> {
        let (trap, before) = *self.failed.take()?;
        let said = self.host.as_ref().map(Host::last_words).unwrap_or_default();
        Some(trap.detail(before, said, Arc::clone(&self.symbols)))
    }
}
