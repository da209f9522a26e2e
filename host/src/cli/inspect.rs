//! `squall inspect`: what a component is, wants and offers, and the plan it would run.

use anyhow::Context as _;
use serde_json::json;

use super::component;
use super::run;
use super::run_args::RunArgs;

/// Show what a journey is, wants and offers, and the plan it would run
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    run: RunArgs,
}

/// Prints what is known of a component.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let loaded = match component::load(&args.run) {
        Ok(loaded) => loaded,
        Err(failure) => return Ok(failure.report()),
    };
    let inspection = loaded.component.inspect();
    let lowered = match run::lower(&args.run, &loaded) {
        Ok(lowered) => lowered,
        Err(failure) => return Ok(failure.report()),
    };
    if args.json {
        let options: serde_json::Value = match loaded.options.trim() {
            "" => serde_json::Value::Null,
            text => serde_json::from_str(text).context("the options were read once already")?,
        };
        let all = json!({ "component": inspection, "options": options, "plan": lowered.plan });
        println!("{all:#}");
        return Ok(0);
    }
    println!("world     {}", inspection.world);
    println!("digest    sha256:{}", inspection.digest);
    println!("size      {} bytes, {} of them initial data of each VU", inspection.size, inspection.data);
    println!("memory    {}", match inspection.memory_mode {
        squall::sandbox::MemoryMode::Dense => "dense slots",
        squall::sandbox::MemoryMode::CopyOnWrite => "copy-on-write images",
    });
    list("imports", &inspection.imports);
    list("exports", &inspection.exports);
    println!("options   {}", if loaded.options.trim().is_empty() { "none" } else { loaded.options.trim() });
    println!("\n{}", squall::config::explain(&lowered));
    Ok(0)
}

fn list(label: &str, names: &[String]) {
    for (index, name) in names.iter().enumerate() {
        println!("{:<9} {name}", if index == 0 { label } else { "" });
    }
    if names.is_empty() {
        println!("{label:<9} none");
    }
}
