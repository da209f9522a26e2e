//! From the name of a journey to a component and its own options.

use std::collections::BTreeMap;

use squall::artifact;
use squall::config;
use squall::sandbox::{Cache, Component};

use super::exit;
use super::message::Style;
use super::run_args::RunArgs;

/// A component and what it said of itself.
pub struct Loaded {
    pub component: Component,
    /// Its options as JSON; empty if it has none.
    pub options: String,
}

/// Why there is nothing to run.
pub struct Failure {
    pub style: Style,
    pub problems: Vec<config::Problem>,
    pub code: u8,
}

impl Failure {
    /// One problem that makes the journey unusable.
    pub fn journey(style: Style, message: String, hint: Option<&str>) -> Self {
        let problem = config::Problem { message, place: None, hint: hint.map(str::to_owned) };
        Self { style, problems: vec![problem], code: exit::JOURNEY }
    }

    /// Prints every problem and returns the exit code.
    pub fn report(&self) -> u8 {
        for problem in &self.problems {
            self.style.error(&problem.message, problem.place.as_deref(), problem.hint.as_deref());
        }
        self.code
    }
}

/// Reads, checks and compiles the component, and asks it for its options.
pub fn load(args: &RunArgs) -> Result<Loaded, Failure> {
    let style = Style::detect(args.no_color);
    let reference = &args.journey;
    let failed = |message: String, hint: Option<&str>| Failure::journey(style, message, hint);
    let bytes = artifact::read(reference).map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        failed(format!("{error}{cause}"), Some("give the path of a component, or `-` for standard input"))
    })?;
    let cache = if args.no_compile_cache { None } else { Cache::of_user(|name| std::env::var(name).ok()) };
    let component = Component::load(bytes, cache)
        .map_err(|error| failed(format!("`{reference}` cannot be run: {error}"), error.hint()))?;
    let env: BTreeMap<String, String> = args.env_pairs().into_iter().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(format!("the system gave no event loop: {error}"), None))?;
    let options = runtime
        .block_on(component.options(env, |line| eprintln!("options: {}", line.escape_debug())))
        .map_err(|error| failed(format!("`{reference}` did not give its options: {error}"), None))?;
    Ok(Loaded { component, options })
}
