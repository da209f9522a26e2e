//! `squall inspect`: what a component is, wants and offers, and the plan it would run.

use anyhow::Context as _;
use serde_json::json;
use squall::config;

use super::component;
use super::exit;
use super::message::Style;
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
    let style = Style::detect(args.run.no_color);
    let loaded = match component::load(&args.run, style) {
        Ok(loaded) => loaded,
        Err(failure) => return Ok(failure.report(style)),
    };
    let inspection = loaded.component.inspect();
    let options = loaded.options.trim();
    if args.json {
        let options: Option<serde_json::Value> = match options {
            "" => None,
            text => Some(serde_json::from_str(text).context("the options were read once already")?),
        };
        println!("{:#}", json!({ "component": inspection, "options": options, "plan": loaded.lowered.plan }));
        return Ok(exit::PASSED);
    }
    println!("world     {}", inspection.world);
    println!("digest    sha256:{}", inspection.digest);
    println!("size      {} bytes, and {} bytes of initial data for each VU", inspection.size, inspection.data);
    println!("memory    {}", inspection.memory_mode);
    list("imports", &inspection.imports);
    list("exports", &inspection.exports);
    println!("options   {}\n", if options.is_empty() { "none" } else { options });
    print!("{}", config::explain(&loaded.lowered));
    Ok(exit::PASSED)
}

fn list(label: &str, names: &[String]) {
    if names.is_empty() {
        println!("{label:<9} none");
    }
    for (index, name) in names.iter().enumerate() {
        println!("{:<9} {name}", if index == 0 { label } else { "" });
    }
}
