//! A journey that measures things of its own: a metric of each kind, tags, and groups.

use std::sync::LazyLock;
use std::time::Duration;

use squall_sdk::http::{self, Request};
use squall_sdk::metric::{Counter, Gauge, Rate, Trend};
use squall_sdk::options::{Options, Threshold};
use squall_sdk::{Error, check, env_or, group, journey};

static BASE_URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));

static SEARCHES: Counter = Counter::new("searches");
static BYTES: Counter = Counter::data("search_bytes");
static RESULT_SIZE: Gauge = Gauge::data("result_size");
static FAST: Rate = Rate::new("fast_searches");
static SERVER_TIME: Trend = Trend::time("server_time");

fn options() -> Options {
    Options::new()
        .vus(5)
        .duration(Duration::from_secs(10))
        .threshold("fast_searches", "rate>0.95")
        .threshold("server_time{term:load}", "p(95)<300")
        .threshold("searches", Threshold::new("count>0").abort_on_fail().delay_abort_eval(Duration::from_secs(5)))
}

fn search(term: &str) -> Result<(), Error> {
    let answer = Request::get(format!("{}/search?q={term}", *BASE_URL)).name("/search").tag("term", term).send()?;
    check!("search answers", answer.status() == 200);
    let tags = [("term", term)];
    SEARCHES.add_tagged(1, &tags);
    BYTES.add_tagged(answer.body_len(), &tags);
    RESULT_SIZE.add(answer.body_len());
    FAST.add(answer.duration() < Duration::from_millis(200));
    SERVER_TIME.add_tagged(answer.timings()?.waiting, &tags);
    Ok(())
}

fn visit() -> Result<(), Error> {
    group("start", || http::get(format!("{}/health", *BASE_URL)))?;
    group("search", || {
        search("load")?;
        group("refine", || search("load+test"))
    })
}

journey! {
    options: options,
    scenarios: { default: visit },
}
