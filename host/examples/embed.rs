//! Runs a journey without the command line: load a component, build a plan, start it, read the report.
//!
//! `cargo run -p squall --example embed -- target/journeys/quickstart.wasm` runs it against the practice server.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use squall::metrics::Registry;
use squall::plan::{Curve, Load, Plan, Scenario};
use squall::practice;
use squall::run::{self, RunOptions};
use squall::sandbox::Component;
use squall::verdict::Threshold;

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("usage: embed JOURNEY.wasm")?;
    let server = practice::serve(&practice::Options::default(), NonZeroUsize::MIN)?;

    // What will happen: 20 VUs for a second, and what must be true of it.
    let load = Load::Vus { curve: Curve::constant(20.0, Duration::from_secs(1))?, graceful_ramp_down: Duration::ZERO };
    let mut plan = Plan::new(vec![Scenario::new("visit", load)?]);
    plan.thresholds.push(Threshold::parse("http_req_failed", "rate<0.01")?);
    plan.env.insert("BASE_URL".to_owned(), server.url());

    // What happens in it.
    let component = Component::load(std::fs::read(&path).with_context(|| format!("`{path}` cannot be read"))?, None)?;
    let journey = Arc::new(component.journey(&plan)?);

    let report = run::start(plan, journey, Arc::new(Registry::default()), Vec::new(), RunOptions::default())?.wait()?;
    let seen = server.stop();

    for scenario in &report.scenarios {
        println!("{}: {} iterations, {} failed", scenario.name, scenario.completed, scenario.failed);
    }
    println!("the server saw {} requests; thresholds hold: {}", seen.requests, report.thresholds_hold());
    ensure!(report.thresholds_hold(), "a threshold was crossed");
    Ok(())
}
