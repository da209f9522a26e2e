//! Names and values that no report should show as they are, and more of them than any report should hold.

use squall_sdk::http::{self, Request};
use squall_sdk::metric::{Counter, Gauge, Trend};
use squall_sdk::{Check, check, env_or, group, log};

use crate::{Attempt, said, target};

static LABELS: Counter = Counter::new("hostile_labels");
static VALUES: Trend = Trend::new("hostile_values");
static LATEST: Gauge = Gauge::new("hostile_gauge");
static ODD: Counter = Counter::new("hostile_odd");

pub fn attack(name: &str) -> Option<Attempt> {
    let count: u32 = env_or("COUNT", "1000000").parse().unwrap_or_default();
    Some(match name {
        "label-values" => Ok(many(count, |number| LABELS.add_tagged(1.0, &[("user", &number.to_string())]))),
        "label-names" => Ok(many(count, |number| LABELS.add_tagged(1.0, &[(&format!("n{number}"), "x")]))),
        "check-names" => Ok(many(count, |number| {
            check(&format!("check {number}"), true);
        })),
        "check-declares" => Ok(many(count, |number| {
            Check::new(format!("declared {number}").leak()).report(true);
        })),
        "group-names" => Ok(many(count, |number| group(&format!("group {number}"), || ()))),
        "request-names" => Ok(request_names(env_or("COUNT", "2000").parse().unwrap_or_default())),
        "request-tags" => Ok(request_tags()),
        "values" => Ok(values()),
        "odd-names" => Ok(odd_names()),
        "not-utf8" => Ok(not_utf8()),
        _ => return None,
    })
}

fn many(count: u32, mut name: impl FnMut(u32)) -> String {
    (0..count).for_each(&mut name);
    format!("{count} names")
}

/// Requests whose URLs all differ, and which have no `name`.
fn request_names(count: u32) -> String {
    let target = target();
    let answered = (0..count).filter(|number| http::get(format!("{target}/health?user={number}")).is_ok()).count();
    format!("{answered} answers")
}

fn request_tags() -> String {
    let names: Vec<String> = (0..5000).map(|number| format!("tag{number}")).collect();
    let mut request = Request::get(format!("{}/health", target())).name("tagged");
    for name in &names {
        request = request.tag(name.as_str(), "x");
    }
    said(request.send().map(|answer| answer.status()))
}

/// Values of which four are numbers that can be reported.
fn values() -> String {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e308, -1.0, 2.0] {
        VALUES.add(value);
        LATEST.add(value);
    }
    "7 values".to_owned()
}

fn odd_names() -> String {
    let long = "L".repeat(10_000);
    let odd = [
        "\x1b[31mred\x1b[0m",
        "<script>alert(1)</script>",
        "nul\0inside",
        "line\nerror: forged",
        "\u{202e}turned",
        "\u{9b}31mc1",
        long.as_str(),
    ];
    for name in odd {
        check(name, true);
        group(name, || ODD.add_tagged(1.0, &[("odd", name), (name, "value")]));
        log::warn(name);
    }
    let sent = Request::get(format!("{}/health", target())).name(odd[0]).tag("odd", odd[1]).send();
    said(sent.map(|answer| answer.status()))
}

#[allow(unsafe_code, reason = "a text that is none is the attack")]
fn not_utf8() -> String {
    // SAFETY: it is not sound; but nothing in here looks at it, and the host must not believe it.
    let text = unsafe { std::str::from_utf8_unchecked(std::hint::black_box(b"\xff\xfe\xed\xa0\x80")) };
    log::info(text);
    "passed".to_owned()
}
