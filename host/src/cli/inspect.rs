//! `squall inspect`: what a component is, wants and offers, and the plan it would run.

use std::collections::BTreeMap;
use std::mem;

use anyhow::Context as _;
use serde_json::json;
use squall::config;
use squall::plan::{Kind, Plan};
use squall::sandbox::{Capability, Manifest};

use super::component;
use super::exit;
use super::message::{Style, say};
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
        Err(failure) => {
            if let Some(manifest) = &failure.manifest {
                say(&if args.json { format!("{:#}\n", json!({ "capabilities": manifest })) } else { can(manifest) });
            }
            return Ok(failure.report(style));
        }
    };
    let inspection = loaded.component.inspect();
    let options = loaded.options.trim();
    if args.json {
        let options: Option<serde_json::Value> = match options {
            "" => None,
            text => Some(serde_json::from_str(text).context("the options were read once already")?),
        };
        let json = json!({ "component": inspection, "options": options, "plan": shown(loaded.lowered.plan) });
        say(&format!("{json:#}\n"));
        return Ok(exit::PASSED);
    }
    let kind = match inspection.kind {
        Kind::Journey => "journey",
        Kind::Program => "program: each iteration is a run of it, in an instance of its own",
    };
    let mut text = format!(
        "kind      {kind}\nworld     {}\ndigest    sha256:{}\nsize      {} bytes, and {} bytes of initial data for each VU\nmemory    {}\n",
        inspection.world, inspection.digest, inspection.size, inspection.data, inspection.memory_mode
    );
    text += &list("imports", &inspection.imports);
    text += &can(&inspection.manifest);
    text += &list("exports", &inspection.exports);
    if inspection.kind == Kind::Journey {
        text += &list("options", &[if options.is_empty() { "none" } else { options }.to_owned()]);
    }
    say(&format!("{text}\n{}", config::explain(&loaded.lowered)));
    Ok(exit::PASSED)
}

/// What a component can do, each with the functions that let it.
fn can(manifest: &Manifest) -> String {
    let line = |one: &Capability| {
        let functions =
            if one.functions.is_empty() { String::new() } else { format!(": {}", one.functions.join(", ")) };
        let refused = if one.granted { "" } else { " (not granted)" };
        format!("{} ({}{functions}){refused}", one.can, one.capability)
    };
    list("can", &manifest.capabilities.iter().map(line).collect::<Vec<_>>())
}

/// The plan as JSON without secrets, and with the sizes of files instead of their bytes.
fn shown(mut plan: Plan) -> serde_json::Value {
    let sizes: BTreeMap<String, usize> =
        mem::take(&mut plan.files).into_iter().map(|(name, bytes)| (name, bytes.len())).collect();
    let mut json = json!(plan.without_secrets());
    json["files"] = json!(sizes);
    json
}

fn list(label: &str, names: &[String]) -> String {
    match names {
        [] => format!("{label:<9} none\n"),
        names => format!("{label:<9} {}\n", names.join(&format!("\n{:10}", ""))),
    }
}
