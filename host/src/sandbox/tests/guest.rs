//! Small guests in the text format, and how they are driven.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use crate::metrics::{Recorder, Registry};
use crate::plan::{Limits, Plan, Policy};
use crate::sandbox::instance::{Sandbox, SandboxInstance, SandboxWorker};
use crate::sandbox::{Component, LoadError};
use crate::vu::{Context, Instance as _, Iteration, Journey as _, JourneyError, Outcome, Seat, Worker as _};

/// What a guest consists of, apart from what all of them need. Bodies return the address of a result: `$return`.
pub(super) struct Guest {
    /// Before the module: imports and types.
    pub(super) before: &'static str,
    /// Arguments of the module's instantiation.
    pub(super) with: &'static str,
    /// Imports of the module.
    pub(super) imports: &'static str,
    /// Functions and tables of the module.
    pub(super) inside: &'static str,
    /// Pages of its memory.
    pub(super) pages: u32,
    /// After its instance: more instances.
    pub(super) after: String,
    pub(super) start: &'static str,
    pub(super) options: &'static str,
    pub(super) setup: &'static str,
    pub(super) iterate: &'static str,
}

pub(super) const LOOP: &str = "(loop $for_ever (br $for_ever)) unreachable";

impl Default for Guest {
    fn default() -> Self {
        Self {
            before: "",
            with: "",
            imports: "",
            inside: "",
            pages: 1,
            after: String::new(),
            start: "",
            options: "",
            setup: "(call $return)",
            iterate: "(call $return)",
        }
    }
}

impl Guest {
    /// A guest whose iterations do this.
    pub(super) fn iterating(iterate: &'static str) -> Self {
        Self { iterate, ..Self::default() }
    }

    /// Lets the guest call `$sleep`.
    pub(super) fn with_sleep(self) -> Self {
        Self {
            before: r#"(import "squall:journey/vu@0.1.1" (instance $vu (export "sleep" (func (param "milliseconds" f64)))))
  (core func $sleep (canon lower (func $vu "sleep")))"#,
            with: r#"(with "vu" (instance (export "sleep" (func $sleep))))"#,
            imports: r#"(import "vu" "sleep" (func $sleep (param f64)))"#,
            ..self
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { before, with, imports, inside, pages, after, start, options, setup, iterate } = self;
        let text = format!(
            r#"(component
  {before}
  (core module $module
    {imports}
    (memory (export "memory") {pages})
    {inside}
    (func $start {start})
    (start $start)
    (func $return (result i32) (i32.store (i32.const 64) (i32.const 0)) (i32.const 64))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "options") (result i32) {options} (i32.store (i32.const 36) (i32.const 0)) (i32.const 32))
    (func (export "setup") (result i32) {setup})
    (func (export "iterate") (param i32 i32 i32 i32) (result i32) (local $n i32) {iterate})
    (func (export "teardown") (param i32 i32) (result i32) (call $return))
    (func (export "handle-summary") (param i32 i32) (result i32) (call $return)))
  (core instance $instance (instantiate $module {with}))
  {after}
  (alias core export $instance "memory" (core memory $memory))
  (alias core export $instance "realloc" (core func $realloc))
  (func $options (result string)
    (canon lift (core func $instance "options") (memory $memory) (realloc $realloc)))
  (func $setup (result (result (list u8) (error string)))
    (canon lift (core func $instance "setup") (memory $memory) (realloc $realloc)))
  (func $iterate (param "scenario" string) (param "data" (list u8)) (result (result (error string)))
    (canon lift (core func $instance "iterate") (memory $memory) (realloc $realloc)))
  (func $teardown (param "data" (list u8)) (result (result (error string)))
    (canon lift (core func $instance "teardown") (memory $memory) (realloc $realloc)))
  (func $summary (param "summary" string) (result (list (tuple string string)))
    (canon lift (core func $instance "handle-summary") (memory $memory) (realloc $realloc)))
  (export "options" (func $options))
  (export "setup" (func $setup))
  (export "iterate" (func $iterate))
  (export "teardown" (func $teardown))
  (export "handle-summary" (func $summary)))"#
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    pub(super) fn load(&self) -> Component {
        self.load_within(&Limits::default())
    }

    /// The same for a run with these limits.
    pub(super) fn load_within(&self, limits: &Limits) -> Component {
        Component::load_within(self.bytes(), None, limits, &Policy::default()).unwrap()
    }

    /// Makes a run of it with these limits.
    pub(super) fn run(&self, limits: Limits) -> Run {
        Run::new(&self.load(), limits).unwrap()
    }

    /// How one iteration ends, or why there is none.
    pub(super) fn iterate(&self, limits: Limits) -> Result<Outcome, String> {
        let run = self.run(limits);
        block_on(async { Ok(run.instance(1).await.map_err(|error| error.to_string())?.go().await) })
    }
}

/// A run of one worker.
pub(super) struct Run {
    pub(super) context: Arc<Context>,
    pub(super) worker: SandboxWorker,
    pub(super) sandbox: Sandbox,
}

impl Run {
    pub(super) fn new(component: &Component, limits: Limits) -> Result<Self, LoadError> {
        let mut plan = Plan::new(Vec::new());
        plan.limits = limits;
        let sandbox = component.journey(&plan)?;
        let (sender, _) = sync_channel(1);
        let context = Arc::new(Context::new(0, Arc::new(Registry::default()), sender));
        let worker = sandbox.worker(&context, &Recorder::discard());
        Ok(Self { context, worker, sandbox })
    }

    pub(super) async fn instance(&self, vu: u32) -> Result<SandboxInstance, JourneyError> {
        self.worker.instantiate(&seat(vu)).await
    }
}

pub(super) fn seat(vu: u32) -> Seat {
    Seat {
        vu,
        instance: 1,
        scenario: Arc::from("default"),
        exec: Arc::from("default"),
        tags: crate::metrics::Tags::default(),
        env: Arc::default(),
        data: Arc::default(),
    }
}

impl SandboxInstance {
    /// Runs an iteration.
    pub(super) async fn go(&mut self) -> Outcome {
        self.iterate(&Iteration { number: 0, index: 0, stream: 0 }).await
    }
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_mins(1), future).await.expect("it ends in time")
    })
}
