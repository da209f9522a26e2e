//! A component as the scheduler drives it, and the instances of one that is a journey.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{Engine, Store};

use super::budget::Budget;
use super::linked::Linked;
use super::program::ProgramInstance;
use super::state::State;
use super::stores::Stores;
use super::trap::{Symbols, Trap};
use super::watch::{Overrun, RunCpu, Watch};
use crate::capability::{Host, Identity, Local, Pace, Run, RunPlaces, Schemas, Secrets, Sink, shorten};
use crate::metrics::{Recorder, SystemTags, Tags};
use crate::plan::http::Connections;
use crate::plan::{Http, Kind, Limits, Plan, Policy, Scenario};
use crate::vu::{
    Context, Detail, Instance, Iteration, Journey, JourneyError, Lifecycle, Notice, NoticeLevel, Outcome, Seat, Worker,
};
use crate::wit;

/// Bytes of a guest's words about its failure that are kept.
const LONGEST_FAILURE: usize = 16 << 10;

/// A component, be it a journey or a program, as the scheduler's journey.
pub struct Sandbox {
    engine: Engine,
    linked: Linked,
    symbols: Arc<Symbols>,
    limits: Arc<Limits>,
    /// One for all worker threads, as is what follows.
    budget: Arc<Budget>,
    cpu: Option<Arc<RunCpu>>,
    places: Arc<RunPlaces>,
    policy: Arc<Policy>,
    http: Arc<Http>,
    /// One for all worker threads.
    pace: Option<Arc<Pace>>,
    files: Arc<BTreeMap<String, Arc<[u8]>>>,
    /// One for all worker threads.
    schemas: Arc<Schemas>,
    secrets: Option<Arc<Secrets>>,
    /// How scenarios use connections, where not as all do.
    connections: Arc<HashMap<Arc<str>, Connections>>,
    arguments: Arc<Arguments>,
    system_tags: SystemTags,
    tags: Tags,
    env: Arc<BTreeMap<String, String>>,
}

impl Sandbox {
    pub(super) fn new(engine: Engine, linked: Linked, symbols: Symbols, plan: &Plan) -> Self {
        Self {
            engine,
            arguments: Arc::new(Arguments::new(&linked, &symbols, plan)),
            linked,
            symbols: Arc::new(symbols),
            limits: Arc::new(plan.limits.clone()),
            budget: Arc::new(Budget::new(&plan.limits)),
            cpu: plan.limits.run_cpu.map(|most| Arc::new(RunCpu::new(most))),
            places: Arc::new(RunPlaces::new(plan.limits.run_connections)),
            policy: Arc::new(plan.policy.clone()),
            http: Arc::new(plan.http.clone()),
            pace: plan.http.rps.map(|rps| Arc::new(Pace::new(rps))),
            files: Arc::new(plan.files.clone()),
            schemas: Arc::default(),
            secrets: Secrets::of(plan).map(Arc::new),
            connections: Arc::new(connections_of(plan)),
            system_tags: plan.system_tags.clone(),
            tags: plan.tags.clone(),
            env: Arc::new(plan.env.clone()),
        }
    }
}

impl Journey for Sandbox {
    type Worker = SandboxWorker;

    fn worker(&self, context: &Arc<Context>, recorder: &Recorder) -> SandboxWorker {
        let run = Run {
            started: context.started,
            seed: context.seed,
            registry: Arc::clone(&context.registry),
            sink: Arc::new(ToContext(Arc::clone(context))),
            http: Arc::clone(&self.http),
            pace: self.pace.clone(),
            files: Arc::clone(&self.files),
            schemas: Arc::clone(&self.schemas),
            secrets: self.secrets.clone(),
            may_send: true,
            limits: Arc::clone(&self.limits),
            places: Arc::clone(&self.places),
            policy: Arc::clone(&self.policy),
        };
        let local = Local::new(recorder.clone(), &run, self.system_tags.clone());
        SandboxWorker {
            linked: self.linked.clone(),
            symbols: Arc::clone(&self.symbols),
            stores: Rc::new(Stores::new(&self.engine, &self.limits, &self.budget)),
            iterations: Watch::of_iterations(&self.limits, self.cpu.as_ref(), context),
            once: Watch::of_once(&self.limits),
            run: Arc::new(run),
            local: Rc::new(local),
            tags: self.tags.clone(),
            env: Arc::clone(&self.env),
            connections: Arc::clone(&self.connections),
            arguments: Arc::clone(&self.arguments),
        }
    }
}

fn connections_of(plan: &Plan) -> HashMap<Arc<str>, Connections> {
    let named = |scenario: &Scenario| Some((Arc::clone(&scenario.name), scenario.connections?));
    plan.scenarios.iter().filter_map(named).collect()
}

/// What programs are called with: their own name first.
#[derive(Default)]
struct Arguments {
    everywhere: Option<Arc<[String]>>,
    /// By scenario, where others are given.
    own: HashMap<Arc<str>, Arc<[String]>>,
}

impl Arguments {
    fn new(linked: &Linked, symbols: &Symbols, plan: &Plan) -> Self {
        if linked.kind() == Kind::Journey {
            return Self::default();
        }
        let name = symbols.journey().unwrap_or("program.wasm");
        let called = |args: &[String]| -> Arc<[String]> {
            std::iter::once(name.to_owned()).chain(args.iter().cloned()).collect()
        };
        let own = |scenario: &Scenario| Some((Arc::clone(&scenario.name), called(scenario.args.as_deref()?)));
        Self { everywhere: Some(called(&plan.args)), own: plan.scenarios.iter().filter_map(own).collect() }
    }

    fn of(&self, scenario: &Arc<str>) -> Option<Arc<[String]>> {
        self.own.get(scenario).cloned().or_else(|| self.everywhere.clone())
    }
}

/// One worker thread's part.
pub struct SandboxWorker {
    linked: Linked,
    symbols: Arc<Symbols>,
    stores: Rc<Stores>,
    /// What watches over iterations, and over what runs once.
    iterations: Option<Rc<Watch>>,
    once: Option<Rc<Watch>>,
    run: Arc<Run>,
    local: Rc<Local>,
    tags: Tags,
    env: Arc<BTreeMap<String, String>>,
    connections: Arc<HashMap<Arc<str>, Connections>>,
    arguments: Arc<Arguments>,
}

/// What one VU runs.
pub struct SandboxInstance(Guest);

enum Guest {
    Journey(JourneyInstance),
    Program(Box<ProgramInstance>),
}

/// One VU's copy of a journey.
struct JourneyInstance {
    store: Store<State>,
    journey: wit::Journey,
    exec: Arc<str>,
    data: Arc<[u8]>,
    watch: Option<Rc<Watch>>,
    symbols: Arc<Symbols>,
    /// How it broke, and in which iteration.
    broken: Option<Box<(Trap, String)>>,
}

impl SandboxWorker {
    fn host(&self, identity: Identity) -> Host {
        Host::new(Arc::clone(&self.run), &self.local, identity)
    }

    async fn instance(
        &self,
        pre: &wit::JourneyPre<State>,
        identity: Identity,
        watch: Option<&Watch>,
    ) -> Result<(Store<State>, wit::Journey), JourneyError> {
        let mut store = self.stores.store(self.host(identity));
        let making = pre.instantiate_async(&mut store);
        let journey = match watch {
            None => making.await,
            Some(watch) => watch.over(pin!(making)).await,
        };
        let journey = journey.map_err(|error| JourneyError::Instantiate { message: Trap::of(&error).summary() })?;
        store.data_mut().is_made();
        Ok((store, journey))
    }

    /// Calls a function that runs once.
    async fn call_once<T>(&self, call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
        match &self.once {
            None => call.await,
            Some(watch) => watch.over(pin!(call)).await,
        }
    }

    /// Makes an instance for a function that runs once, whose samples carry its name as their group.
    async fn once(
        &self,
        pre: &wit::JourneyPre<State>,
        function: &'static str,
    ) -> Result<(Store<State>, wit::Journey), JourneyError> {
        let identity = Identity {
            vu: 0,
            instance: 1,
            scenario: Arc::from(""),
            tags: self.tags.clone(),
            env: Arc::clone(&self.env),
            connections: self.run.http.connections,
            arguments: None,
        };
        let (mut store, journey) = self.instance(pre, identity, self.once.as_deref()).await?;
        let host = &mut store.data_mut().host;
        // A stream that no iteration has.
        host.begin(0, 0, u64::MAX);
        host.enter(function);
        Ok((store, journey))
    }
}

impl Worker for SandboxWorker {
    type Instance = SandboxInstance;

    async fn instantiate(&self, seat: &Seat) -> Result<SandboxInstance, JourneyError> {
        let identity = Identity {
            vu: seat.vu,
            instance: seat.instance,
            scenario: Arc::clone(&seat.scenario),
            tags: seat.tags.clone(),
            env: Arc::clone(&seat.env),
            connections: self.connections.get(&seat.scenario).copied().unwrap_or(self.run.http.connections),
            arguments: self.arguments.of(&seat.scenario),
        };
        let watch = self.iterations.clone();
        Ok(SandboxInstance(match &self.linked {
            Linked::Journey(pre) => {
                let (mut store, journey) = self.instance(pre, identity, watch.as_deref()).await?;
                store.data_mut().join();
                let (exec, data) = (Arc::clone(&seat.exec), Arc::clone(&seat.data));
                let symbols = Arc::clone(&self.symbols);
                Guest::Journey(JourneyInstance { store, journey, exec, data, watch, symbols, broken: None })
            }
            Linked::Program(pre) => {
                let program = ProgramInstance::new(pre, &self.stores, self.host(identity), watch, &self.symbols);
                Guest::Program(Box::new(program))
            }
        }))
    }
}

/// A program has none of this.
impl Lifecycle for SandboxWorker {
    async fn setup(&self) -> Result<Vec<u8>, JourneyError> {
        let Linked::Journey(pre) = &self.linked else { return Ok(Vec::new()) };
        let (mut store, journey) = self.once(pre, "setup").await?;
        let returned = self.call_once(journey.call_setup(&mut store)).await;
        let thrown = store.data_mut().host.end();
        let returned = returned.map(|returned| unless_thrown(returned, thrown));
        once_done("setup", returned, &store, &self.symbols)
    }

    async fn teardown(&self, data: &Arc<[u8]>) -> Result<(), JourneyError> {
        let Linked::Journey(pre) = &self.linked else { return Ok(()) };
        let (mut store, journey) = self.once(pre, "teardown").await?;
        let returned = self.call_once(journey.call_teardown(&mut store, data)).await;
        let thrown = store.data_mut().host.end();
        let returned = returned.map(|returned| unless_thrown(returned, thrown));
        once_done("teardown", returned, &store, &self.symbols)
    }

    async fn handle_summary(&self, summary: &str) -> Result<Vec<(String, String)>, JourneyError> {
        let Linked::Journey(pre) = &self.linked else { return Ok(Vec::new()) };
        let (mut store, journey) = self.once(pre, "handle-summary").await?;
        let returned = self.call_once(journey.call_handle_summary(&mut store, summary)).await;
        once_done("handle-summary", returned.map(Ok), &store, &self.symbols)
    }
}

impl Instance for SandboxInstance {
    async fn iterate(&mut self, iteration: &Iteration) -> Outcome {
        match &mut self.0 {
            Guest::Journey(journey) => journey.iterate(iteration).await,
            Guest::Program(program) => program.iterate(iteration).await,
        }
    }

    fn detail(&mut self) -> Option<Detail> {
        match &mut self.0 {
            Guest::Journey(journey) => journey.detail(),
            Guest::Program(program) => program.detail(),
        }
    }
}

impl Instance for JourneyInstance {
    async fn iterate(&mut self, iteration: &Iteration) -> Outcome {
        let state = self.store.data_mut();
        state.begin();
        state.host.begin(iteration.number, iteration.index, iteration.stream);
        self.store.set_epoch_deadline(1);
        let call = self.journey.call_iterate(&mut self.store, &self.exec, &self.data);
        let returned = match &self.watch {
            None => call.await,
            Some(watch) => watch.over(pin!(call)).await,
        };
        let thrown = self.store.data_mut().host.end();
        match returned.map(|returned| unless_thrown(returned, thrown)) {
            Ok(Ok(())) => Outcome::Completed,
            Ok(Err(message)) => Outcome::Failed { message },
            Err(error) => self.broke(&error, iteration.number),
        }
    }

    fn detail(&mut self) -> Option<Detail> {
        let (trap, before) = *self.broken.take()?;
        let said = self.store.data().host.last_words();
        Some(trap.detail(before, said, Arc::clone(&self.symbols)))
    }
}

impl JourneyInstance {
    /// Says how an iteration broke the instance, and keeps what there is to say beyond that.
    fn broke(&mut self, error: &wasmtime::Error, number: u32) -> Outcome {
        let refused = self.store.data_mut().take_refused();
        let trap = Trap::of(error).after(refused.map(|refused| format!("it was refused to grow: {refused}")));
        let message = trap.summary();
        let is_overrun = error.is::<Overrun>();
        let what = if is_overrun { "timed out" } else { "trapped" };
        self.broken = Some(Box::new((trap, format!("iteration {number} {what}"))));
        if is_overrun { Outcome::TimedOut { message } } else { Outcome::Trapped { message } }
    }
}

/// Calls `options` in an instance of its own. Requests are refused there.
pub(super) async fn options(
    pre: &wit::JourneyPre<State>,
    engine: &Engine,
    env: BTreeMap<String, String>,
    log: Box<dyn Fn(&str) + Send + Sync>,
    limits: &Limits,
    limit: Duration,
    symbols: &Symbols,
) -> Result<String, JourneyError> {
    // Whoever starts a run waits for its options and for nothing else.
    let limits = Arc::new(Limits { cpu_timeout: limits.cpu_timeout.min(limit), ..limits.clone() });
    let run = Run {
        started: Instant::now(),
        seed: 0,
        registry: Arc::default(),
        sink: Arc::new(OnlyLog(log)),
        http: Arc::default(),
        pace: None,
        files: Arc::default(),
        schemas: Arc::default(),
        secrets: None,
        may_send: false,
        limits: Arc::clone(&limits),
        places: Arc::default(),
        policy: Arc::default(),
    };
    let local = Local::new(Recorder::discard(), &run, SystemTags::default());
    let identity = Identity {
        vu: 0,
        instance: 1,
        scenario: Arc::from(""),
        tags: Tags::default(),
        env: Arc::new(env),
        connections: Connections::PerRequest,
        arguments: None,
    };
    let host = Host::new(Arc::new(run), &Rc::new(local), identity);
    let mut store = Stores::new(engine, &limits, &Arc::new(Budget::new(&limits))).store(host);
    let called = async {
        let journey = pre.instantiate_async(&mut store).await;
        let journey = journey.map_err(|error| JourneyError::Instantiate { message: Trap::of(&error).summary() })?;
        store.data_mut().is_made();
        let returned = journey.call_options(&mut store).await.map(Ok);
        once_done("options", returned, &store, symbols)
    };
    let called = async {
        match Watch::of_once(&limits) {
            None => called.await,
            Some(watch) => watch.over(pin!(async { Ok(called.await) })).await.unwrap_or_else(|error| {
                Err(JourneyError::Trapped { function: "options", message: Trap::of(&error).summary() })
            }),
        }
    };
    tokio::time::timeout(limit, called).await.unwrap_or(Err(JourneyError::TimedOut { function: "options", limit }))
}

fn once_done<T>(
    function: &'static str,
    returned: wasmtime::Result<Result<T, String>>,
    store: &Store<State>,
    symbols: &Symbols,
) -> Result<T, JourneyError> {
    match returned {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(message)) => Err(JourneyError::Failed { function, message }),
        Err(error) => {
            let message = Trap::of(&error).full(&store.data().host.last_words(), symbols);
            Err(JourneyError::Trapped { function, message })
        }
    }
}

/// Turns what a guest calls a success into a failure if a request had no answer and was to fail it (`throw`). Cuts what
/// a guest says of its failure, since many such messages may wait for somebody to tell of them.
pub(super) fn unless_thrown<T>(returned: Result<T, String>, thrown: Option<String>) -> Result<T, String> {
    match thrown {
        Some(message) if returned.is_ok() => Err(message),
        _ => returned.map_err(|message| shorten(message, LONGEST_FAILURE)),
    }
}

/// Passes a journey's words and wishes on to the run.
struct ToContext(Arc<Context>);

impl Sink for ToContext {
    fn log(&self, vu: u32, scenario: &Arc<str>, level: wit::log::Level, message: String) {
        let level = match level {
            wit::log::Level::Debug => NoticeLevel::Debug,
            wit::log::Level::Info => NoticeLevel::Info,
            wit::log::Level::Warn => NoticeLevel::Warn,
            wit::log::Level::Error => NoticeLevel::Error,
        };
        self.0.notify(Notice { level, scenario: Arc::clone(scenario), vu, message, from_host: false, detail: None });
    }

    fn abort(&self, reason: &str) {
        self.0.abort(reason);
    }

    fn fail(&self, reason: &str) {
        self.0.fail(reason);
    }
}

/// Where words go while a component is asked for its options; there is no run to end yet.
struct OnlyLog(Box<dyn Fn(&str) + Send + Sync>);

impl Sink for OnlyLog {
    fn log(&self, _vu: u32, _scenario: &Arc<str>, _level: wit::log::Level, message: String) {
        (self.0)(&message);
    }

    fn abort(&self, _reason: &str) {}

    fn fail(&self, _reason: &str) {}
}
