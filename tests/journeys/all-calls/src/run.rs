//! Everything but `http`.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use squall_sdk::metric::{Counter, Gauge, Rate, Trend};
use squall_sdk::{Error, check, group, log, random, random_bytes, random_range, sleep, test, vu};

use super::Findings;

static COUNTER: Counter = Counter::new("all_calls_counter");
static BYTES: Counter = Counter::data("all_calls_bytes");
static GAUGE: Gauge = Gauge::new("all_calls_gauge");
static RATE: Rate = Rate::new("all_calls_rate");
static TREND: Trend = Trend::time("all_calls_trend");
static SAME_NAME: Trend = Trend::new("all_calls_counter");
static SAME_COUNTER: Counter = Counter::new("all_calls_counter");
static BAD_NAME: Counter = Counter::new("not a name");

pub fn identity(findings: &mut Findings) {
    static ITERATIONS: AtomicU32 = AtomicU32::new(0);
    findings.expect(vu::id() > 0, "the VU counts from 1");
    findings.expect(vu::instance() == 1, "nothing trapped, so the instance is the first");
    findings.expect(vu::iteration() == ITERATIONS.fetch_add(1, Relaxed), "iterations count from 0");
    findings.expect(vu::scenario_iteration() >= vu::iteration(), "the scenario counts at least this VU's iterations");
    findings.expect(!vu::scenario().is_empty(), "the scenario has a name");
}

pub fn time(findings: &mut Findings) {
    const PAUSE: Duration = Duration::from_millis(5);
    let before = vu::now();
    sleep(PAUSE);
    let slept = vu::now().saturating_sub(before);
    findings.expect(slept >= PAUSE, "a sleep is as long as it should be");
    sleep(Duration::ZERO);
    findings.expect(vu::now() >= before + slept, "the clock never goes back");
    let year_2024 = SystemTime::UNIX_EPOCH + Duration::from_hours(473_352);
    findings.expect(vu::wall_clock() > year_2024, "the time of day is of today");
}

pub fn random_numbers(findings: &mut Findings) {
    let numbers: Vec<f64> = (0..100).map(|_| random()).collect();
    findings.expect(numbers.iter().all(|number| (0.0..1.0).contains(number)), "random numbers lie in [0, 1)");
    findings.expect(numbers.windows(2).any(|two| two[0] < two[1]), "random numbers differ");
    findings.expect((0..100).all(|_| (3..6).contains(&random_range(3..6))), "a range holds its numbers");
    let mut bytes = vec![0; 70_000];
    random_bytes(&mut bytes);
    findings.expect(bytes[..65_536].iter().any(|&byte| byte != 0), "random bytes are random");
    findings.expect(bytes[65_536..].iter().any(|&byte| byte != 0), "random bytes come in any number");
    random_bytes(&mut []);
}

pub fn checks_and_groups(findings: &mut Findings) {
    let text = String::from("checked by a name that moves");
    findings.expect(check(&text, true), "a check returns true as it was given");
    findings.expect(check!("checked by a literal", true), "a declared check returns true as it was given");
    findings.expect(!group("outer", || group("inner", || check!("fails on purpose", false))), "a check returns false");
    let early: Result<(), Error> = group("left early", || {
        Err(Error::new("early"))?;
        Ok(())
    });
    findings.expect(early.is_err(), "a group returns what its body returns");
}

pub fn metrics(findings: &mut Findings) {
    COUNTER.add(2);
    BYTES.add_tagged(1_024, &[("direction", "in")]);
    GAUGE.add(-1.5);
    RATE.add(true);
    RATE.add(false);
    TREND.add(Duration::from_millis(3));
    TREND.add_tagged(f64::NAN, &[("dropped", "and logged")]);
    findings.expect(SAME_COUNTER.declare().is_ok(), "a metric can be declared again");
    findings
        .expect(matches!(SAME_NAME.declare(), Err(Error::MetricConflict(_))), "a metric of another kind is a conflict");
    findings.expect(matches!(BAD_NAME.declare(), Err(Error::InvalidMetric(_))), "a metric's name is checked");
}

pub fn messages() {
    log::debug("all-calls: debug");
    log::info("all-calls: info with a control character \u{7}");
    log::warn("all-calls: warn");
    println!("all-calls: standard output is a message too");
}

/// Ends the run as the variable `END` says. Without it the run goes on.
pub fn ends(how: Option<&str>) {
    match how {
        Some("abort") => test::abort("all-calls: `END` says so"),
        Some("fail") => test::fail("all-calls: `END` says so"),
        _ => {}
    }
}
