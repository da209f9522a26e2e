//! `squall target`: the practice server from the command line.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use anyhow::Context;
use squall::practice::{self, Latency, Options, Stall, Stats};

use super::exit;
use super::message::say;
use super::service::{self, ServiceArgs};
use super::signals::StopSignals;

/// What it answers, for `--help`.
const ROUTES: &str = "\
Routes, also below `/api`:
  /health                             always 200
  /auth/login, /auth/profile          a token for a name and a password, and what it opens
  /workflows, /workflows/{id}         a list to page through; create, read, change, delete
  /search?q=                          five results
  /status/{code}, /delay/{ms}         as asked
  /bytes/{n}, /chunked/{n}            a body of this length, announced or not
  /echo                               what it was sent, as JSON
  /redirect/{n}                       so many redirects
  /redirect-to?url=&status=           one, to anywhere
  /response-headers?NAME=VALUE        an answer with these headers
  /cookies, /cookies/set?NAME=VALUE   the cookies it was sent; sets some and redirects
  /basic-auth/{user}/{password}       200 to basic authentication
  /digest-auth/{user}/{password}      200 to digest authentication, MD5 or `?algorithm=SHA-256`
  /sse?count=&every=                  server-sent events, so many, so many milliseconds apart; `first` before the first,
                                      `drop` breaks off after so many, `retry` says when to come back; has `Last-Event-ID`
  /jsonl?count=&every=                the same as lines of JSON
  /v1/chat/completions                tokens as OpenAI streams them: `?first=&every=&tokens=`, or `max_tokens`
  /limited                            within `--rate-limit`
  /ws/echo                            a WebSocket that gives messages back: `?delay=5ms`, `?close=4000&after=3&reason=why`
  /ws/ticks?every=10ms&count=5        a WebSocket that sends numbers and closes, with `?close=` as it is told
  /__stats, POST /__stats/reset       what it saw

Lines over TCP (`--tcp`) are answered with themselves, except:
  close, half, reset                  ends the connection: so, in the middle of a line, with RST
  silent                              no answer
  delay MS                            an answer after so long
  bytes N, drip N MS, endless         a line of so many bytes, slowly, without end

Datagrams over UDP (`--udp`) are answered with themselves, except:
  drop, twice, delay MS, bytes N      no answer, two, a late one, one of so many bytes
  stranger                            an answer from another port, then one from this";

/// Start a server to practise on.
///
/// It behaves like the API people test, misbehaves as told, and counts what it saw (`/__stats`). Ctrl-C ends it.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = ROUTES)]
pub struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Listen for HTTPS too, with a certificate of its own; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    tls: Option<SocketAddr>,
    /// Listen for HTTP/3 too, with the same certificate
    #[arg(long, value_name = "ADDR")]
    http3: Option<SocketAddr>,
    /// Write the certificate to a file, for clients to trust
    #[arg(long, value_name = "FILE")]
    cert_out: Option<PathBuf>,
    #[command(flatten)]
    component: ServiceArgs,
    /// Answer lines over TCP here as well; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    tcp: Option<SocketAddr>,
    /// Answer datagrams over UDP here as well
    #[arg(long, value_name = "ADDR")]
    udp: Option<SocketAddr>,
    /// How long every answer takes at least: `20ms`, or drawn from a range, `5ms..50ms`
    #[arg(long, value_name = "TIME")]
    latency: Option<Latency>,
    /// The share of answers, 0 to 1, that are a 500 instead
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    error_rate: f64,
    /// Answer nothing for a while: `2s:500ms` begins 2 s after the start and lasts 500 ms (repeatable)
    #[arg(long = "stall", value_name = "AT:FOR")]
    stalls: Vec<Stall>,
    /// Requests per second beyond which the answer is a 429
    #[arg(long, value_name = "N")]
    rate_limit: Option<NonZeroU32>,
    /// Seeds what is drawn by chance
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads to serve with [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Listen on an address that other machines can reach
    #[arg(long)]
    allow_remote: bool,
}

/// Serves until Ctrl-C or SIGTERM, says what it saw and returns the exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let listens =
        [("listen", Some(args.listen)), ("tls", args.tls), ("http3", args.http3), ("tcp", args.tcp), ("udp", args.udp)];
    let mut listens = listens.into_iter().filter_map(|(flag, addr)| Some((flag, addr?)));
    let remote = listens.find(|(_, addr)| !addr.ip().is_loopback() && !args.allow_remote);
    if let Some((flag, addr)) = remote {
        let port = addr.port();
        eprintln!("error: `--{flag} {addr}` can be reached from other machines");
        eprintln!("  hint: listen on `127.0.0.1:{port}`, or add `--allow-remote`");
        return Ok(exit::USAGE);
    }
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = args.threads.unwrap_or(cores);
    if let Some(component) = &args.component.component {
        return service::run(component, &args.component, args.listen, threads);
    }
    let options = Options {
        listen: args.listen,
        tls: args.tls,
        http3: args.http3,
        tcp: args.tcp,
        udp: args.udp,
        latency: args.latency,
        error_rate: args.error_rate,
        stalls: args.stalls,
        rate_limit: args.rate_limit,
        seed: args.seed,
        record: 0,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot wait for signals")?;
    // Signals are watched before the URL is out: whoever reads it may send one at once.
    let mut signals =
        runtime.block_on(async { StopSignals::watch() }).context("cannot watch for Ctrl-C and SIGTERM")?;
    let server = match practice::serve(&options, threads) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("error: {:#}", anyhow::Error::from(error));
            return Ok(exit::CONFIGURATION);
        }
    };
    if let Some(path) = &args.cert_out {
        std::fs::write(path, server.certificate()).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let secure = [("HTTPS", server.tls_url()), ("HTTP/3", server.http3_url())];
    let secure = secure.into_iter().filter_map(|(what, url)| Some(format!("{what} on {}\n", url?)));
    say(&format!("listening on {}\n{}", server.url(), secure.collect::<String>()));
    for (proto, addr) in [("tcp", server.tcp()), ("udp", server.udp())] {
        if let Some(addr) = addr {
            say(&format!("listening on {proto}://{addr}\n"));
        }
    }
    runtime.block_on(signals.next());
    say(&describe(&server.stop()));
    Ok(exit::PASSED)
}

pub(super) fn describe(stats: &Stats) -> String {
    let mut text = format!(
        "saw {} on {}, at most {} at once\n",
        counted(stats.requests, "request"),
        counted(stats.connections, "connection"),
        stats.max_in_flight
    );
    let statuses: Vec<String> = stats.by_status.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    if !statuses.is_empty() {
        let _ = writeln!(text, "  statuses  {}", statuses.join("  "));
    }
    let lines = &stats.lines;
    if lines.tcp_connections > 0 {
        let lines_on = (counted(lines.tcp_lines, "line"), counted(lines.tcp_connections, "connection"));
        let _ = writeln!(text, "  tcp       {} on {}", lines_on.0, lines_on.1);
    }
    if lines.udp_datagrams > 0 {
        let _ = writeln!(text, "  udp       {}", counted(lines.udp_datagrams, "datagram"));
    }
    let busiest = stats.by_second.iter().max().copied().unwrap_or_default();
    if busiest > 0 {
        let _ = writeln!(text, "  seconds   {}, the busiest with {busiest} requests", stats.by_second.len());
    }
    if stats.max_open_sockets > 0 {
        let (received, sent) = (counted(stats.messages_received, "message"), counted(stats.messages_sent, "message"));
        let most = stats.max_open_sockets;
        let _ = writeln!(text, "  sockets   at most {most} at once; {received} received, {sent} sent");
    }
    for (route, count) in &stats.by_route {
        let _ = writeln!(text, "  {count:>9} {route}");
    }
    text
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_the_server_saw_reads_like_a_report() {
        let stats = Stats {
            requests: 3,
            connections: 1,
            max_in_flight: 1,
            by_route: BTreeMap::from([("/health".to_owned(), 3)]),
            by_status: BTreeMap::from([(200, 2), (500, 1)]),
            by_second: vec![1, 2],
            ..Stats::default()
        };
        let expected = "saw 3 requests on 1 connection, at most 1 at once\n  statuses  200: 2  500: 1\n  \
                        seconds   2, the busiest with 2 requests\n          3 /health\n";
        assert_eq!(describe(&stats), expected);
    }
}
