//! Two scenarios in an open model: iterations start when they are due, however slow the target is.

use std::sync::LazyLock;
use std::time::Duration;

use squall_sdk::http::{self, Request};
use squall_sdk::options::{Options, Scenario, Threshold};
use squall_sdk::{Error, check, env_or, journey};

static BASE_URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));

fn options() -> Options {
    let seconds = Duration::from_secs;
    Options::new()
        .scenario("browsing", Scenario::constant_arrival_rate(50.0, seconds(10), 10).max_vus(100).exec("browse"))
        .scenario(
            "searching",
            Scenario::ramping_arrival_rate(5.0, &[(seconds(5), 40.0), (seconds(5), 5.0)], 10)
                .max_vus(100)
                .exec("search")
                .start_time(seconds(1))
                .tag("feature", "search"),
        )
        .threshold("http_req_duration{scenario:browsing}", "p(99)<400")
        .threshold("dropped_iterations", Threshold::new("count<10").allow_no_data())
}

fn browse() -> Result<(), Error> {
    let page = http::get(format!("{}/health", *BASE_URL))?;
    check!("page answers", page.status() == 200);
    Ok(())
}

fn search() -> Result<(), Error> {
    let answer = Request::get(format!("{}/search?q=squall", *BASE_URL)).name("/search").send()?;
    check!("search answers", answer.status() == 200);
    Ok(())
}

journey! {
    options: options,
    scenarios: { browse: browse, search: search },
}
