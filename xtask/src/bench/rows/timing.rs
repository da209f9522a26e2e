//! Rows about time: arrivals, neighbours, start, and the collector's share of a core.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Bench;
use crate::bench::peers::{squall_run, value};
use crate::bench::server::Server;
use crate::child::Beside;
use crate::workspace::journey;

/// Asks for the percentiles that the rows read.
const STATS: (&str, &str) = ("SQUALL_SUMMARY_TREND_STATS", "avg,min,med,max,p(90),p(95),p(99)");

/// An open model at 10,000/s with a journey that does nothing.
pub fn lateness(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "lateness";
    const RATE: u32 = 10_000;
    const SECONDS: u32 = 10;
    for _ in 0..bench.rounds {
        let (rate, duration) = (RATE.to_string(), format!("{SECONDS}s"));
        bench.squall(
            "noop",
            &["--rate", &rate, "--duration", &duration, "--vus", "100", "--max-vus", "1000"],
            &[STATS],
        )?;
        let export = bench.export();
        for (measure, key) in [("p99 ms late", "p(99)"), ("median ms late", "med"), ("max ms late", "max")] {
            let late = value(&export, "iteration_delay", key)?;
            bench.results.add(ROW, "squall", measure, late);
        }
        let started = value(&export, "iterations", "count")?;
        let planned = f64::from(RATE * SECONDS);
        bench.results.add(ROW, "squall", "arrivals", started);
        bench.results.add(ROW, "squall", "arrivals off the plan", (started - planned).abs());
    }
    bench.results.limit(ROW, "squall", "p99 ms late", 0.5);
    bench.results.limit(ROW, "squall", "arrivals off the plan", 0.0);
    Ok(())
}

/// Sleeps of 5 ms on threads that a guest in `loop {}` shares.
pub fn neighbour(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "neighbour";
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // Enough for every worker to have some, so that many share their thread with the one that loops.
    let vus = (32 * cores).to_string();
    for _ in 0..bench.rounds {
        bench.squall("spin", &["--vus", &vus, "--duration", "8s", "--env", "SPIN_VU=1"], &[STATS])?;
        let export = bench.export();
        for (measure, key) in [("p99 ms late", "p(99)"), ("median ms late", "med"), ("max ms late", "max")] {
            let late = value(&export, "sleep_late", key)?;
            bench.results.add(ROW, "squall", measure, late);
        }
    }
    bench.results.limit(ROW, "squall", "p99 ms late", 2.0);
    Ok(())
}

/// 200 VUs that ask a target which answers after 50 ms, and 198 of them beside 2 that loop for ever.
pub fn neighbours(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "neighbours";
    const P99: &str = "p99 ms";
    let server = Server::practice(&bench.squall)?;
    let configuration = bench.folder.join("neighbours.toml");
    let flags = format!("--config={}", configuration.display());
    for _ in 0..bench.rounds {
        for (subject, looping) in [("200 that behave", 0), ("198 beside 2 that loop", 2)] {
            fs::write(&configuration, scenarios(&server.url, looping))?;
            bench.squall("spin", &[&flags], &[STATS])?;
            let export = bench.export();
            for (measure, key) in [(P99, "p(99)"), ("median ms", "med"), ("max ms", "max")] {
                bench.results.add(ROW, subject, measure, value(&export, "http_req_duration", key)?);
            }
            bench.results.add(ROW, subject, "requests", value(&export, "http_reqs", "count")?);
        }
    }
    bench.results.ratio(ROW, P99, "198 beside 2 that loop", "200 that behave", 1.1);
    Ok(())
}

/// 200 VUs, of which so many loop and the others get what the target is slow with.
fn scenarios(url: &str, looping: u32) -> String {
    let scenario = |name: &str, exec: &str, vus: u32| {
        format!(
            "[scenarios.{name}]\nexecutor = \"constant-vus\"\nexec = \"{exec}\"\nvus = {vus}\nduration = \"8s\"\n\
             graceful-stop = \"1s\"\nenv = {{ BASE_URL = \"{url}/delay/50\", SLEEP = \"0.05\" }}\n"
        )
    };
    let mut text = scenario("visitors", "visit", 200 - looping);
    if looping > 0 {
        text += &scenario("loops", "default", looping);
    }
    text
}

/// From the start of the process to the first byte of its first request.
pub fn cold_start(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "cold-start";
    // The first run compiles the component and keeps it.
    first_request(bench)?;
    for _ in 0..bench.rounds * 3 {
        let took = first_request(bench)?;
        bench.results.add(ROW, "squall", "ms to the first request", took.as_secs_f64() * 1e3);
    }
    bench.results.limit(ROW, "squall", "ms to the first request", 50.0);
    Ok(())
}

fn first_request(bench: &Bench) -> Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("BASE_URL=http://{}", listener.local_addr()?);
    let (sender, receiver) = mpsc::channel();
    // Ends with the listener's first connection; squall opens one, or the wait below gives up and the program fails.
    thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else {
            return;
        };
        let mut request = [0; 4096];
        if stream.read(&mut request).is_ok_and(|length| length > 0) {
            // The receiver has gone if this took too long.
            let _ = sender.send(Instant::now());
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    });
    let start = Instant::now();
    let mut command = Command::new(&bench.squall);
    command
        .args(squall_run(&journey("quickstart").to_string_lossy(), &bench.export().to_string_lossy()))
        .args(["--vus", "1", "--iterations", "1", "--env", &url])
        .stdout(Stdio::null());
    let mut running = Beside::start(&mut command)?;
    let Ok(arrived) = receiver.recv_timeout(Duration::from_secs(30)) else {
        bail!("squall sent no request within 30 s");
    };
    while !running.ended()? && start.elapsed() < Duration::from_secs(40) {
        thread::sleep(Duration::from_millis(5));
    }
    Ok(arrived - start)
}

/// The collector's share of a core while 10,000 VUs feed 100 series.
pub fn collector(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "collector";
    let server = Server::plain(&bench.squall, &bench.folder)?;
    let url = format!("BASE_URL={}", server.url);
    for _ in 0..bench.few_rounds {
        let cost = bench.squall(
            "many-series",
            &["-v", "--vus", "10000", "--duration", "10s", "--env", &url, "--env", "SERIES=100", "--env", "SLEEP=1"],
            &[],
        )?;
        let said = format!("{}\n{}", cost.stderr, cost.stdout);
        let (cpu, over) = collector_line(&said).context("squall -v printed no `collector: cpu N ms over M s`")?;
        bench.results.add(ROW, "squall", "% of a core", cpu / 1e3 / over * 100.0);
    }
    bench.results.limit(ROW, "squall", "% of a core", 1.0);
    Ok(())
}

/// Milliseconds and seconds in `collector: cpu 12 ms over 10.0 s`.
fn collector_line(text: &str) -> Option<(f64, f64)> {
    let rest = &text[text.find("collector: cpu ")?..];
    let words: Vec<&str> = rest.lines().next()?.split_whitespace().collect();
    match words.as_slice() {
        [_, _, cpu, "ms", "over", seconds, "s", ..] => Some((cpu.parse().ok()?, seconds.parse().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collectors_line_is_read() {
        assert_eq!(collector_line("debug: collector: cpu 12.5 ms over 10.0 s\n"), Some((12.5, 10.0)));
        assert_eq!(collector_line("collector: idle"), None);
    }
}
