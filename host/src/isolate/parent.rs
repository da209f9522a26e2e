//! The parent's side before the run: a process, a component in it, its options.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::feed::{Feed, Handle};
use super::guard::{Cause, End, Guard};
use super::message::{Down, Order, Up};
use super::wire::{LARGEST_DOWN, Reader, WireError, Writer};
use super::words::Words;
use super::{Confinement, IsolateError, Settings};
use crate::metrics::Registry;
use crate::output::Output;
use crate::plan::http::Place;
use crate::plan::{Limits, Plan, Policy};
use crate::platform;
use crate::platform::confine::{self, Walls};
use crate::run::RunOptions;
use crate::sandbox::Inspection;

/// How long the process may take to start and lock itself in.
const STARTING: Duration = Duration::from_secs(30);
/// How long it may leave a message of ours unread.
const UNREAD: Duration = Duration::from_secs(30);
/// What a component may log while it is asked for its options.
const MOST_LOGGED: usize = 1000;
/// What the C library, the roots of TLS and threads need of the environment. The rest stays here.
const ENVIRONMENT: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR", "RUST_BACKTRACE"];

/// A load process that has locked itself in. Dropping it ends the process.
#[derive(Debug)]
pub struct Isolated {
    pub(super) reader: Reader,
    pub(super) writer: Arc<Mutex<Writer>>,
    pub(super) guard: Guard,
    pub(super) words: Words,
    pub(super) confinement: Confinement,
    settings: Settings,
}

impl Isolated {
    /// Starts a process by this command, which calls [`super::serve`], and waits until it has locked itself in.
    pub fn spawn(mut command: Command, settings: Settings) -> Result<Self, IsolateError> {
        let no_wall = |message: String| IsolateError::NoWall { message, only_landlock: false };
        confine::is_possible().map_err(|error| no_wall(error.to_string()))?;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(UNREAD))?;
        command.env_clear();
        for (name, value) in ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))) {
            command.env(name, value);
        }
        // What says how many cores there are cannot be read from inside.
        command.env("RAYON_NUM_THREADS", platform::cores().to_string());
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::piped());
        let (guard, stderr) = Guard::start(command)?;
        let writer = Arc::new(Mutex::new(Writer::new(ours.try_clone()?, LARGEST_DOWN)));
        let words = stderr.map(Words::listen).unwrap_or_default();
        let confinement = Confinement { landlock: None };
        let mut isolated = Self { reader: Reader::wary(ours), writer, guard, words, confinement, settings };
        let walls = Walls { landlock: settings.landlock, memory: settings.compile_memory };
        match isolated.ask(&Down::Walls(walls), Some((STARTING, "start")))? {
            Up::Confined(confinement) => Ok(Self { confinement, ..isolated }),
            Up::NoWall(message, only_landlock) => Err(IsolateError::NoWall { message, only_landlock }),
            _ => Err(isolated.foul()),
        }
    }

    /// What stands around it.
    #[must_use]
    pub fn confinement(&self) -> Confinement {
        self.confinement
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.guard.id
    }

    /// Lets the process check and compile a component, which has this name where its traps are shown.
    pub fn load(
        &mut self,
        component: &[u8],
        name: &str,
        limits: &Limits,
        policy: &Policy,
    ) -> Result<Inspection, IsolateError> {
        self.guard.within(Some((self.settings.compile_time, "compile the component")));
        let order =
            Down::Component(component.len() as u64, name.to_owned(), Box::new((limits.clone(), policy.clone())));
        let sent = send(&self.writer, &order, Some(component));
        let answer = match sent {
            Ok(()) => self.hear(),
            Err(error) => Err(self.lost(&error.into())),
        };
        self.guard.within(None);
        match answer? {
            Up::Loaded(inspection) => Ok(*inspection),
            Up::Refused(refusal) => Err(IsolateError::Refused(refusal)),
            _ => Err(self.foul()),
        }
    }

    /// The journey's own options as JSON; empty if it has none. `env` is what the journey may see, `log` takes what it
    /// logs meanwhile.
    pub fn options(
        &mut self,
        env: BTreeMap<String, String>,
        mut log: impl FnMut(&str),
    ) -> Result<String, IsolateError> {
        let mut answer = self.ask(&Down::Options(env), Some((self.settings.compile_time, "give its options")))?;
        for _ in 0..MOST_LOGGED {
            match answer {
                Up::Log(line) => log(&line),
                Up::Options(Ok(options)) => {
                    self.guard.within(None);
                    return Ok(options);
                }
                Up::Options(Err(message)) => return Err(IsolateError::NoOptions { message }),
                _ => return Err(self.foul()),
            }
            answer = self.hear()?;
        }
        Err(IsolateError::NoOptions { message: format!("it logged more than {MOST_LOGGED} lines meanwhile") })
    }

    /// Starts the run of the component that was loaded. The registry is a new one, and the outputs know it.
    pub fn start(
        mut self,
        plan: Plan,
        registry: Arc<Registry>,
        outputs: Vec<Box<dyn Output>>,
        options: RunOptions,
    ) -> Result<Handle, IsolateError> {
        check(&plan)?;
        let RunOptions { threads, summary } = options;
        let order = Order {
            plan,
            threads: threads.unwrap_or_else(platform::cores),
            summary,
            samples: outputs.iter().any(|output| output.wants_samples()),
        };
        let down = Down::Run(Box::new(order));
        if let Err(error) = send(&self.writer, &down, None) {
            return Err(self.lost(&error.into()));
        }
        let Down::Run(order) = down else { unreachable!("it was just made") };
        Feed::start(self, *order, registry, outputs)
    }

    /// Sends an order and waits for the answer, for as long as is given.
    fn ask(&mut self, order: &Down, limit: Option<(Duration, &'static str)>) -> Result<Up, IsolateError> {
        self.guard.within(limit);
        if let Err(error) = send(&self.writer, order, None) {
            return Err(self.lost(&error.into()));
        }
        self.hear()
    }

    fn hear(&mut self) -> Result<Up, IsolateError> {
        self.reader.next().map_err(|error| self.lost(&error))
    }

    /// The process has said what it may not say here.
    fn foul(&mut self) -> IsolateError {
        self.lost(&WireError::Foul("an answer to a question that was not asked".to_owned()))
    }

    /// Why nothing more comes: how the process ended. It is ended if it has not.
    fn lost(&mut self, error: &WireError) -> IsolateError {
        let end = self.guard.end(matches!(error, WireError::Closed | WireError::Io(_)));
        ended(error, end.as_ref(), &self.words.take())
    }
}

/// What to say of a process that is gone.
pub(super) fn ended(error: &WireError, end: Option<&End>, words: &[String]) -> IsolateError {
    let mut message = match (error, end) {
        (WireError::Foul(what), _) => format!("the load process broke the rules, and was ended: it sent {what}"),
        (_, Some(end)) => end.to_string(),
        (error, None) => format!("the load process is lost: {error}"),
    };
    for line in words {
        message = format!("{message}\n  {line}");
    }
    let hint = match end.and_then(|end| end.cause.as_ref()) {
        Some(Cause::Late(..)) => Some("make the journey smaller; a component is compiled anew for every untrusted run"),
        Some(Cause::Memory(_)) => Some("use fewer VUs, or lower `limits.memory` or the number of samples in flight"),
        _ => None,
    };
    IsolateError::Ended { message, hint }
}

pub(super) fn send(writer: &Mutex<Writer>, message: &Down, bytes: Option<&[u8]>) -> io::Result<()> {
    let mut writer = writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    writer.send(message)?;
    bytes.map_or(Ok(()), |bytes| writer.raw(bytes))
}

/// Returns an error if the plan needs what the wall does not let through.
fn check(plan: &Plan) -> Result<(), IsolateError> {
    if plan.http.tls.key_log.is_some() {
        return Err(IsolateError::Barred { what: "file for the secrets of TLS sessions (`SSLKEYLOGFILE`)" });
    }
    if plan.http.hosts.values().any(|place| matches!(place, Place::Socket(_))) {
        return Err(IsolateError::Barred { what: "Unix sockets (`hosts`)" });
    }
    Ok(())
}
