//! An ordinary HTTP client: gets the URLs that it is called with, and says how that went.
//!
//! It knows nothing of squall. `cargo build --release --target wasm32-wasip2` makes a component of it, which `wasmtime run`
//! runs once and `squall run program.wasm --vus 200 --duration 1m -- http://127.0.0.1:8080/` runs again and again.

use std::env;
use std::error::Error;
use std::process::ExitCode;

use waki::Client;

fn main() -> ExitCode {
    let mut urls: Vec<String> = env::args().skip(1).collect();
    if urls.is_empty() {
        urls.extend(env::var("BASE_URL"));
    }
    if urls.is_empty() {
        eprintln!("usage: program URL...");
        return ExitCode::FAILURE;
    }
    for url in &urls {
        if let Err(error) = visit(url) {
            eprintln!("{url}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn visit(url: &str) -> Result<(), Box<dyn Error>> {
    let answer = Client::new().get(url).send()?;
    let status = answer.status_code();
    let body = answer.body()?;
    if status >= 400 {
        return Err(format!("status {status}, and {} bytes", body.len()).into());
    }
    Ok(())
}
