//! Calls the host very often, or with very much.

use std::hint::black_box;

use squall_sdk::http::{self, Jar, Request};
use squall_sdk::metric::{Counter, Trend};
use squall_sdk::{check, env_or, group, log, random_bytes, vu};

use crate::{Attempt, said, target};

static FLOOD: Counter = Counter::new("hostile_flood");
static TREND: Trend = Trend::new("hostile_tagged");

pub fn attack(name: &str) -> Option<Attempt> {
    Some(match name {
        "host-calls" => Ok(times(10_000_000, || {
            black_box(vu::now());
        })),
        "metric-calls" => Ok(times(10_000_000, || FLOOD.add(1.0))),
        "huge-list" => Ok(huge_list()),
        "huge-string" => Ok(huge_string()),
        "request-list" => Ok(request_list()),
        "log-line" => Ok(log_line()),
        "log-flood" => Ok(log_flood()),
        "random-flood" => Ok(random_flood()),
        "jars" => Ok(jars()),
        "groups" => Ok(groups()),
        "setup-data" => Ok("x".repeat(40 << 20)),
        _ => return None,
    })
}

fn times(count: u32, mut call: impl FnMut()) -> String {
    (0..count).for_each(|_| call());
    format!("{count} calls")
}

/// Half a million tags that all name the same megabyte: 500 GB, if the host copied each.
fn huge_list() -> String {
    let text = "x".repeat(1 << 20);
    let tags: Vec<(&str, &str)> = (0..500_000).map(|_| (text.as_str(), text.as_str())).collect();
    TREND.add_tagged(1.0, &tags);
    "passed".to_owned()
}

fn huge_string() -> String {
    log::info(&"x".repeat(40 << 20));
    "passed".to_owned()
}

/// A batch of 100,000 requests that share one long URL.
fn request_list() -> String {
    let url = format!("{}/health?{}", target(), "x".repeat(1 << 20));
    let requests = (0..100_000).map(|_| Request::get(&url)).collect();
    let answers = http::batch(requests);
    format!("{} answers", answers.len())
}

fn log_line() -> String {
    log::info(&format!("long {}", "x".repeat(10 << 20)));
    "passed".to_owned()
}

fn log_flood() -> String {
    let count: u32 = env_or("COUNT", "1000000").parse().unwrap_or_default();
    for number in 0..count {
        log::info(&format!("flood {number} {}", "x".repeat(100)));
    }
    format!("{count} lines")
}

fn random_flood() -> String {
    let mut bytes = vec![0; 40 << 20];
    random_bytes(&mut bytes);
    format!("{} bytes, the last {}", bytes.len(), bytes[bytes.len() - 1])
}

fn jars() -> String {
    let last = (0..100_000).fold(None, |_, _| Some(Jar::new()));
    let kept = last.map(|jar| jar.cookies(&target()));
    kept.map_or_else(String::new, |kept| said(kept.map(|cookies| cookies.len())))
}

/// Opens groups inside groups; each holds the names of all around it.
fn groups() -> String {
    fn open(depth: u32) {
        if depth > 0 {
            group("a group with a name of some length", || {
                check!("inside", true);
                open(depth - 1);
            });
        }
    }
    open(2_000);
    "2000 deep".to_owned()
}
