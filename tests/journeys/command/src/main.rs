//! An ordinary program, which knows nothing of squall and ends as its arguments say.

use std::collections::HashMap;
use std::io::Read as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, io, thread};

/// What was written to memory before; a new instance has nothing here.
static RUNS: AtomicU32 = AtomicU32::new(0);

fn main() -> ExitCode {
    let args: Vec<String> = env::args().collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.get(1..).unwrap_or_default() {
        ["exit", status] => std::process::exit(status.parse().expect("a status")),
        ["fail"] => {
            eprintln!("one last word");
            // Not a whole line: what is written last is often not ended.
            eprint!("and half of another");
            return ExitCode::FAILURE;
        }
        ["panic"] => panic!("broken on purpose"),
        ["loop"] => loop {
            std::hint::black_box(0);
        },
        ["sleep", milliseconds] => thread::sleep(Duration::from_millis(milliseconds.parse().expect("a number"))),
        ["grow", mebibytes] => {
            let bytes = vec![1_u8; mebibytes.parse::<usize>().expect("a number") << 20];
            println!("{} bytes", std::hint::black_box(bytes).len());
        }
        ["env"] => {
            let mut variables: Vec<_> = env::vars().map(|(name, value)| format!("{name}={value}")).collect();
            variables.sort();
            println!("env [{}]", variables.join(" "));
        }
        ["read"] => {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            println!("stdin {read:?}, file {}", std::fs::read("/etc/passwd").is_err());
        }
        ["random"] => println!("random {:?}", HashMap::from([(1, 2)]).hasher()),
        _ => {
            let runs = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
            println!("run {runs} of {args:?}");
        }
    }
    ExitCode::SUCCESS
}
