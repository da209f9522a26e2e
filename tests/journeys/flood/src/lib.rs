//! Gives the host `COUNT` of what `WHAT` says, every one of them new: log lines, lines of standard output, names of checks,
//! groups, requests, values and names of tags, values that are no numbers, or ids that nobody has.

// It calls the host past the SDK, which only a guest can.
#![cfg(target_family = "wasm")]

use std::sync::LazyLock;

use squall_sdk::__private::bindings::squall::journey::{check, group, metric};
use squall_sdk::http::Request;
use squall_sdk::metric::{Counter, Trend};
use squall_sdk::{Error, env_or, log, test};

static WHAT: LazyLock<String> = LazyLock::new(|| env_or("WHAT", ""));
static COUNT: LazyLock<u32> = LazyLock::new(|| env_or("COUNT", "1000000").parse().unwrap_or(0));

static ORDERS: Counter = Counter::new("orders");
static SIZE: Trend = Trend::new("size");

/// What no terminal should get: a title, colours, a cursor that moves, text that is turned around, another line.
const UGLY: &str = "\x1b]0;owned\x07\x1b[31mred\x1b[0m\x1b[2J\u{9b}1A\u{202e}\u{2028}\r\nerror: forged";

fn flood() -> Result<(), Error> {
    match WHAT.as_str() {
        "logs" => each(|number| log::info(&format!("line {number} of a flood of lines, each as long as this one"))),
        "stdout" => each(|number| println!("line {number}")),
        "checks" => each(|number| {
            check::check(&format!("check {number}"), true);
        }),
        "groups" => each(|number| {
            group::begin(&format!("group {number}"));
            if number % 50 == 0 {
                (0..50).for_each(|_| group::end());
            }
        }),
        "requests" => each(|number| drop(Request::get(format!("ftp://127.0.0.1/{number}")).send())),
        "tag-values" => each(|number| ORDERS.add_tagged(1.0, &[("user", &number.to_string())])),
        "tag-names" => each(|number| ORDERS.add_tagged(1.0, &[(&number.to_string(), "x")])),
        "values" => each(|number| SIZE.add([f64::NAN, f64::INFINITY, 1e308, -1e308][number as usize % 4])),
        "ids" => each(|number| {
            check::report(number + 10, true);
            metric::add(number + 10_000, 1.0, &[]);
        }),
        "ugly" => {
            log::error(UGLY);
            check::check(UGLY, false);
            group::begin(UGLY);
            check::check("inside", false);
            test::fail(UGLY);
            return Err(Error::new(UGLY));
        }
        other => return Err(Error::new(format!("`WHAT` is `{other}`"))),
    }
    if *WHAT == "values" {
        for value in [-0.0, -2.0, 4.0] {
            SIZE.add(value);
        }
    }
    Ok(())
}

fn each(call: impl Fn(u32)) {
    (0..*COUNT).for_each(call);
}

/// With `ugly` it makes a summary of its own, and wishes for files.
fn summary(_: &str) -> Vec<(String, String)> {
    match WHAT.as_str() {
        "ugly" => vec![("stdout".to_owned(), format!("{UGLY}\n")), ("summary.txt".to_owned(), UGLY.to_owned())],
        _ => Vec::new(),
    }
}

squall_sdk::journey! {
    scenarios: { default: flood },
    handle_summary: summary,
}
