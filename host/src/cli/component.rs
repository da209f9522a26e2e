//! From what the user typed to a component and a plan.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use squall::artifact;
use squall::config::{self, FileReader, Lowered, Problem, Sources};
use squall::isolate::{IsolateError, Isolated, Settings};
use squall::output::plain;
use squall::plan::{Kind, Limits, Policy};
use squall::sandbox::{Cache, Component, Inspection, LoadError, Manifest};

use super::exit;
use super::message::Style;
use super::run_args::RunArgs;

/// The most that is shown of what a journey logs while it is asked for its options, in bytes.
const MOST_LOGGED: usize = 64 << 10;

/// A component, in this process or behind a wall.
pub enum Place {
    Here(Box<Component>),
    /// With what it is, wants and offers: its bytes are looked at there only.
    Walled(Box<Isolated>, Box<Inspection>),
}

impl Place {
    /// What the component is, wants and offers.
    pub fn inspect(&self) -> Inspection {
        match self {
            Self::Here(component) => component.inspect(),
            Self::Walled(_, inspection) => (**inspection).clone(),
        }
    }
}

/// A component, what it said of itself, and what will happen with it.
pub struct Loaded {
    pub component: Place,
    /// Its options as JSON; empty if it has none.
    pub options: String,
    pub lowered: Lowered,
}

/// Why there is nothing to run.
pub struct Failure {
    problems: Vec<Problem>,
    code: u8,
    /// What the component can do, if that is why.
    pub manifest: Option<Manifest>,
}

impl Failure {
    /// The journey cannot be used.
    pub fn journey(message: impl Into<String>, hint: Option<&str>) -> Self {
        let problem = Problem { message: message.into(), place: None, hint: hint.map(str::to_owned) };
        Self { problems: vec![problem], code: exit::JOURNEY, manifest: None }
    }

    /// The component cannot be loaded, or the policy refuses it.
    pub fn load(name: &dyn std::fmt::Display, error: &LoadError) -> Self {
        let failure = Self::journey(format!("`{name}` {error}"), error.hint().as_deref());
        let manifest = match error {
            LoadError::Refused { manifest, .. } => Some(manifest.clone()),
            _ => None,
        };
        let code = if error.is_refusal() { exit::REFUSED } else { failure.code };
        Self { code, manifest, ..failure }
    }

    /// The configuration cannot be used.
    pub fn configuration(problems: Vec<Problem>) -> Self {
        Self { problems, code: exit::CONFIGURATION, manifest: None }
    }

    /// A load process cannot do what is asked of it. Without a wall nothing was run, which the policy has decided.
    pub fn isolated(journey: &str, error: &IsolateError) -> Self {
        let about_it = matches!(error, IsolateError::Refused { .. } | IsolateError::NoOptions { .. });
        let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
        let message = if about_it { format!("`{journey}` {error}") } else { format!("{error}{cause}") };
        let refused = match error {
            IsolateError::NoWall { .. } | IsolateError::Barred { .. } => true,
            IsolateError::Refused(refusal) => refusal.is_policy,
            _ => false,
        };
        let manifest = match error {
            IsolateError::Refused(refusal) => refusal.manifest.clone(),
            _ => None,
        };
        let failure = Self::journey(message, error.hint());
        Self { code: if refused { exit::REFUSED } else { failure.code }, manifest, ..failure }
    }

    /// Prints every problem and returns the exit code.
    pub fn report(&self, style: Style) -> u8 {
        for problem in &self.problems {
            style.error(&problem.message, problem.place.as_deref(), problem.hint.as_deref());
        }
        self.code
    }
}

/// Reads, checks and compiles the component, asks it for its options, and decides what will happen.
pub fn load(args: &RunArgs, style: Style) -> Result<Loaded, Failure> {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let file = args.read_config(&environment).map_err(|problem| Failure::configuration(vec![problem]))?;
    let sources = Sources {
        kind: Kind::default(),
        journey_options: None,
        file: file.as_ref().map(|(path, text)| (path.as_path(), text.as_str())),
        reader: FileReader::new(&read_file),
        environment: &environment,
        flags: args.flags(&environment),
        scenario: args.scenario().map(str::to_owned),
    };
    let journey = Path::new(&args.journey);
    // Neither is the journey's to set, so they are known before it is asked for its options.
    let bounds = config::bounds(&sources);
    let wall = args.wall().filter(|_| bounds.1.untrusted);
    let (component, options) = if let Some(settings) = wall {
        walled(journey, settings, &bounds, &sources)?
    } else {
        let component = compile(journey, &bounds, style)?;
        let options = options(&component, &sources, journey)?;
        (Place::Here(Box::new(component)), options)
    };
    let sources = Sources {
        kind: component.inspect().kind,
        journey_options: Some(&options).filter(|text| !text.trim().is_empty()).map(String::as_str),
        ..sources
    };
    let lowered =
        config::lower(&sources).map_err(|problems| Failure::configuration(problems.iter().cloned().collect()))?;
    for warning in &lowered.warnings {
        style.warning(&warning.message, warning.place.as_deref(), warning.hint.as_deref());
    }
    Ok(Loaded { component, options, lowered })
}

/// Reads a file that an option names, of at most so many bytes. Devices, too, end there.
fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let too_large = |has: String| Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {has} bytes")));
    if metadata.len() > most {
        return too_large(metadata.len().to_string());
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return too_large(format!("more than {most}"));
    }
    Ok(bytes)
}

fn read(journey: &Path, limits: &Limits) -> Result<Vec<u8>, Failure> {
    artifact::read(journey, limits.component.bytes).map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        Failure::journey(format!("{error}{cause}"), Some("give the path of a component, or `-` for standard input"))
    })
}

/// Has a process with a wall around it check and compile the component and ask it for its options.
fn walled(
    journey: &Path,
    settings: Settings,
    (limits, policy): &(Limits, Policy),
    sources: &Sources<'_>,
) -> Result<(Place, String), Failure> {
    let failed = |error: IsolateError| Failure::isolated(&journey.display().to_string(), &error);
    let bytes = read(journey, limits)?;
    let mut isolated = Isolated::spawn(this_program(), settings).map_err(failed)?;
    let inspection = isolated.load(&bytes, &file_name(journey), limits, policy).map_err(failed)?;
    let options = isolated.options(config::granted(sources), log()).map_err(failed)?;
    Ok((Place::Walled(Box::new(isolated), Box::new(inspection)), options))
}

/// What a journey is called where its traps are shown.
fn file_name(journey: &Path) -> String {
    journey.file_name().unwrap_or(journey.as_os_str()).to_string_lossy().into_owned()
}

/// This very program, also when its file was replaced meanwhile.
fn this_program() -> Command {
    let mut command = if cfg!(target_os = "linux") {
        Command::new("/proc/self/exe")
    } else {
        Command::new(std::env::current_exe().unwrap_or_else(|_| "squall".into()))
    };
    command.arg("isolated-load");
    command
}

fn compile(journey: &Path, (limits, policy): &(Limits, Policy), style: Style) -> Result<Component, Failure> {
    let name = journey.display();
    let bytes = read(journey, limits)?;
    let cache = Cache::of_user(|name| std::env::var(name).ok());
    let component =
        Component::load_within(bytes, cache, limits, policy).map_err(|error| Failure::load(&name, &error))?;
    let component = component.named(file_name(journey));
    if let Some(error) = component.not_kept() {
        let message = format!("the compiled `{name}` was not kept for the next run: {error}");
        style.warning(&message, None, Some("make `$XDG_CACHE_HOME/squall` a folder that you may write to"));
    }
    Ok(component)
}

fn options(component: &Component, sources: &Sources<'_>, journey: &Path) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::journey(format!("the system gave no event loop: {error}"), None))?;
    runtime
        .block_on(component.options(config::granted(sources), log()))
        .map_err(|error| Failure::journey(format!("`{}` did not give its options: {error}", journey.display()), None))
}

/// Shows what a journey logs while it is asked for its options, up to a point.
fn log() -> impl Fn(&str) + Send + Sync + 'static {
    let left = AtomicUsize::new(MOST_LOGGED);
    move |line: &str| {
        let known = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(line.len() + 1));
        match known {
            Ok(_) => eprintln!("options: {}", plain::line(line)),
            // Nothing more fits, also of what is shorter.
            Err(_) if left.swap(0, Ordering::Relaxed) > 0 => eprintln!("options: further messages are not shown"),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_a_size_and_devices_end_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read_file(&file, 5).unwrap(), b"12345");
        assert_eq!(read_file(&file, 4).unwrap_err().to_string(), "it has 5 bytes");
        assert_eq!(read_file(folder.path(), 5).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(read_file(&folder.path().join("none"), 5).unwrap_err().kind(), io::ErrorKind::NotFound);
        if cfg!(unix) {
            assert_eq!(read_file(Path::new("/dev/zero"), 9).unwrap_err().to_string(), "it has more than 9 bytes");
        }
    }
}
