//! The command line: a thin front door to the library.

mod component;
mod exit;
mod http_args;
mod inspect;
mod limit_args;
mod message;
mod new;
mod run;
mod run_args;
mod service;
mod signals;
mod target;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use message::{Style, say};

/// A load engine scripted in WebAssembly
#[derive(Debug, Parser)]
#[command(name = "squall", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a journey and judge what it measured
    Run(Box<run_args::RunArgs>),
    Inspect(Box<inspect::Args>),
    /// What a run starts for a journey that is not trusted: a process with a wall around it
    #[command(hide = true)]
    IsolatedLoad,
    New(new::Args),
    /// Start the practice server: an API that behaves, misbehaves as told, and counts what it saw
    Target(Box<target::Args>),
    /// Print the version
    Version,
    /// Print a completion script
    Completions {
        /// The shell it is for
        shell: clap_complete::Shell,
    },
}

/// Runs the command that was given and returns its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::IsolatedLoad) {
        return squall::isolate::serve();
    }
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::IsolatedLoad => unreachable!("it was served above"),
        Command::New(args) => Ok(new::run(&args)),
        Command::Target(args) => target::run(*args),
        Command::Version => {
            say(concat!("squall ", env!("CARGO_PKG_VERSION"), "\n"));
            Ok(exit::PASSED)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "squall", &mut script);
            say(&String::from_utf8_lossy(&script));
            Ok(exit::PASSED)
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            Style::detect(false).error(&format!("{error:#}"), None, None);
            ExitCode::from(exit::BUG)
        }
    }
}
