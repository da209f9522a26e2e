//! WebSocket: what the target saw of it first, what squall said of it second.

mod hostile;
mod reach;
mod sessions;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Finished, Squall, journey};

/// A run of steps on WebSockets, and its samples.
struct Talked {
    run: Finished,
    answers: Vec<Value>,
    points: Vec<Value>,
}

/// Prepares one iteration of these steps, whose samples go into the folder.
fn prepare(steps: &Value, folder: &TempDir) -> Squall {
    let points = folder.path().join("points.json").display().to_string();
    Squall::run(journey("ws-steps")).grant("STEPS", steps.to_string()).arg("--out").arg(format!("json={points}"))
}

/// Runs it.
#[track_caller]
fn talked(squall: Squall, folder: &TempDir) -> Talked {
    let run = squall.finish().without_panic();
    let text = std::fs::read_to_string(folder.path().join("points.json")).unwrap_or_default();
    let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let points = points.filter(|point| point["type"] == "Point").collect();
    Talked { answers: run.answers(), run, points }
}

/// Does these steps with these flags.
#[track_caller]
fn talk_with(steps: &Value, flags: &str) -> Talked {
    let folder = tempfile::tempdir().unwrap();
    talked(prepare(steps, &folder).flags(flags), &folder)
}

#[track_caller]
fn talk(steps: &Value) -> Talked {
    talk_with(steps, "")
}

impl Talked {
    /// The tags of a metric's samples, each once and in their order.
    fn tags(&self, metric: &str) -> Vec<Value> {
        let points = self.points.iter().filter(|point| point["metric"] == metric);
        let mut tags: Vec<Value> = points.map(|point| point["data"]["tags"].clone()).collect();
        tags.dedup();
        tags
    }

    /// How many samples a metric has.
    fn samples(&self, metric: &str) -> usize {
        self.points.iter().filter(|point| point["metric"] == metric).count()
    }

    /// What the answer to a step says.
    #[track_caller]
    fn says(&self, step: usize, key: &str) -> &str {
        let answer = self.answers.iter().find(|answer| answer["step"] == step && answer[key].is_string());
        answer.unwrap_or_else(|| panic!("step {step} has no `{key}`\n{}", self.run))[key].as_str().unwrap()
    }
}

/// The URL of a server's sockets.
fn ws(url: &str, path: &str) -> String {
    url.replacen("http", "ws", 1) + path
}
