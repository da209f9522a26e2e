//! The load process: locks itself in, then does what it is told.

use std::collections::BTreeMap;
use std::error::Error;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::{io, process};

use tokio::signal::unix::{SignalKind, signal};

use super::Refusal;
use super::message::{Down, Order, Up};
use super::ship::{Ship, ShipSamples, Way};
use super::wire::{LARGEST_UP, Reader, WireError, Writer};
use crate::metrics::Registry;
use crate::output::Output;
use crate::plan::{Limits, Policy};
use crate::platform::confine::{self, ConfineError};
use crate::protocol::Network;
use crate::run::{self, RunOptions, Stopper};
use crate::sandbox::{Component, LoadError};

/// Files that a process has open beside its connections: streams, clocks, event loops, a name being resolved.
const OTHER_FILES: u64 = 1024;

/// The load process on its way.
struct Served {
    reader: Reader,
    stream: UnixStream,
    writer: Writer,
    component: Option<Component>,
}

/// Serves as the load process of the one that started this process, to the end of the run.
///
/// Must be called first of all, while the process has one thread and has opened nothing.
#[must_use]
pub fn serve() -> ExitCode {
    // This closes what was left open, so the connection is taken up after it.
    let prepared = confine::prepare();
    match Served::connect().and_then(|served| served.work(prepared)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl Served {
    /// Takes up the connection, which is standard input.
    fn connect() -> Result<Self, Box<dyn Error>> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        if stream.peer_addr().is_err() {
            return Err("this command is squall's own: it takes its orders from another squall".into());
        }
        let (reader, writer) = (Reader::trusting(stream.try_clone()?), Writer::new(stream.try_clone()?, LARGEST_UP));
        Ok(Self { reader, stream, writer, component: None })
    }

    fn work(mut self, prepared: Result<(), ConfineError>) -> Result<(), Box<dyn Error>> {
        let Down::Walls(walls) = self.reader.next()? else { return Err("the first message is not the first".into()) };
        // Everything that needs the doors open: nothing untrusted is here yet.
        leave_signals_to_the_parent()?;
        Network::read_system_roots();
        match prepared.and_then(|()| confine::enter(walls)) {
            Ok(confinement) => self.writer.send(&Up::Confined(confinement))?,
            Err(error) => {
                let is_landlock = matches!(error, ConfineError::Missing { what: "landlock", .. });
                return Ok(self.writer.send(&Up::NoWall(full(&error), is_landlock))?);
            }
        }
        loop {
            match self.reader.next() {
                Ok(Down::Component(length, name, bounds)) => self.load(length as usize, name, &bounds)?,
                Ok(Down::Options(env)) => {
                    let options = self.options(env)?;
                    self.writer.send(&Up::Options(options))?;
                }
                Ok(Down::Run(order)) => return self.run(*order),
                // There is nothing to stop yet.
                Ok(Down::Stop | Down::StopNow) => {}
                Ok(Down::Walls(_)) => return Err("there is a wall already".into()),
                Err(WireError::Closed) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn load(&mut self, length: usize, name: String, (limits, policy): &(Limits, Policy)) -> Result<(), Box<dyn Error>> {
        let bytes = self.reader.bytes(length)?;
        // Nothing is cached: this process can write no file, and the next one must not run what this one compiled.
        let answer = match Component::load_within(bytes, None, limits, policy) {
            Ok(component) => Up::Loaded(Box::new(self.component.insert(component.named(name)).inspect())),
            Err(error) => refused(error),
        };
        Ok(self.writer.send(&answer)?)
    }

    fn options(&self, env: BTreeMap<String, String>) -> Result<Result<String, String>, Box<dyn Error>> {
        let component = self.component.as_ref().ok_or("there is no component")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let logged = std::sync::Mutex::new(Writer::new(self.stream.try_clone()?, LARGEST_UP));
        let log = move |line: &str| {
            let mut writer = logged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // If the parent is gone, the answer will find out.
            let _ = writer.send(&Up::Log(line.to_owned()));
        };
        let options = runtime.block_on(component.options(env, log));
        Ok(options.map_err(|error| error.to_string()))
    }

    fn run(mut self, order: Order) -> Result<(), Box<dyn Error>> {
        let Order { plan, threads, summary, samples } = order;
        let journey = match self.component.as_ref().ok_or("there is no component")?.journey(&plan) {
            Ok(journey) => Arc::new(journey),
            Err(error) => return Ok(self.writer.send(&refused(error))?),
        };
        // All code there will ever be is compiled.
        confine::forbid_new_code()?;
        confine::unlimit_memory()?;
        if let Some(connections) = plan.limits.run_connections {
            confine::limit_files(u64::from(connections) + OTHER_FILES)?;
        }
        let registry = Arc::new(Registry::default());
        let way = Way::new(self.stream.try_clone()?, Arc::clone(&registry));
        let mut outputs: Vec<Box<dyn Output>> = vec![Box::new(Ship(way.clone()))];
        if samples {
            outputs.push(Box::new(ShipSamples(way.clone())));
        }
        let options = RunOptions { threads: Some(threads), summary };
        let handle = run::start(plan, journey, registry, outputs, options)?;
        obey(self.reader, handle.stopper())?;
        let failed = handle.wait().err().map(|error| full(&error));
        way.send(&Up::Ended(failed))?;
        // The thread that waits for orders would wait for ever.
        process::exit(0)
    }
}

/// Does what the parent says while the run is on, and ends when it is gone.
fn obey(mut reader: Reader, stopper: Stopper) -> io::Result<()> {
    let listener = thread::Builder::new().name("squall-orders".to_owned()).spawn(move || {
        loop {
            match reader.next() {
                Ok(Down::Stop) => stopper.stop(),
                Ok(Down::StopNow) => stopper.stop_now(),
                // Nobody is left to run for.
                Ok(_) | Err(_) => process::exit(1),
            }
        }
    });
    listener.map(drop)
}

/// Ctrl-C reaches all processes of a terminal. This one ends when its parent says so.
fn leave_signals_to_the_parent() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _guard = runtime.enter();
    // What watches a signal once takes the place of the system's own handling for good.
    drop((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?));
    Ok(())
}

fn refused(error: LoadError) -> Up {
    let (message, hint, is_policy) = (error.to_string(), error.hint(), error.is_refusal());
    let manifest = match error {
        LoadError::Refused { manifest, .. } => Some(manifest),
        _ => None,
    };
    Up::Refused(Refusal { message, hint, is_policy, manifest })
}

/// An error with its causes, on one line.
fn full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
