//! Rows that send requests as fast as they can and divide what that cost by their number.

use std::path::Path;

use anyhow::{Result, bail};

use super::{Bench, remove};
use crate::bench::peers::{Amount, Load, Tool};
use crate::bench::server::{Listen, Server};
use crate::workspace::{journey, root};

pub(super) const USER_INSTRUCTIONS: &str = "user instructions/req";
const KERNEL_INSTRUCTIONS: &str = "kernel instructions/req";
const USER: &str = "user µs/req";
pub(super) const TOTAL: &str = "user+kernel µs/req";
const MICROSECONDS: f64 = 1e6;
/// What can send the same GET again and again over HTTP/1.1.
const HTTP1: [Tool; 5] = [Tool::Squall, Tool::Wrk, Tool::Hey, Tool::Oha, Tool::K6];

/// One GET and two checks, beside everything that can send a GET.
pub fn quickstart(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "quickstart";
    let server = Server::plain(&bench.squall, &bench.folder)?;
    println!("served by {}", server.name);
    side_by_side(bench, ROW, &HTTP1, &server, &Shape::new("quickstart", 64))?;
    judge(bench, ROW, &[("squall", "oha", 1.0), ("squall", "k6", 1.0 / 6.0)]);
    bench.results.ratio(ROW, TOTAL, "squall", "oha", 1.2);
    Ok(())
}

/// The login flow without think time, beside the same script in k6.
pub fn login_flow(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "login-flow";
    let server = Server::practice(&bench.squall)?;
    // Of a journey of several requests the difference would mean less.
    let shape = Shape { environment: &[("THINK", "0")], is_counted: false, ..Shape::new(ROW, 64) };
    side_by_side(bench, ROW, &[Tool::Squall, Tool::K6], &server, &shape)?;
    judge(bench, ROW, &[("squall", "k6", 1.0 / 6.0)]);
    Ok(())
}

/// Many VUs touch much memory: the same work at 4,000 VUs and at 64.
pub fn crowd(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "crowd";
    let server = Server::plain(&bench.squall, &bench.folder)?;
    for round in 1..=bench.rounds {
        for (subject, connections) in [("64 VUs", 64), ("4,000 VUs", 4_000)] {
            let shape = Shape::new("quickstart", connections);
            one(bench, ROW, subject, Tool::Squall, &server, &shape)?;
        }
        println!("round {round} of {}", bench.rounds);
    }
    bench.results.ratio(ROW, TOTAL, "4,000 VUs", "64 VUs", 3.5);
    Ok(())
}

/// 10 KB that nobody looks at.
pub fn body_unread(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "body-unread";
    let server = Server::speaking(Listen::Plain, &bench.folder)?;
    let shape = Shape { path: "10k", ..Shape::new("quickstart", 64) };
    side_by_side(bench, ROW, &[Tool::Squall, Tool::Wrk, Tool::Oha, Tool::K6], &server, &shape)?;
    judge(bench, ROW, &[("squall", "oha", 1.0)]);
    Ok(())
}

/// 10 KB that the journey takes in.
pub fn body_read(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "body-read";
    let server = Server::speaking(Listen::Plain, &bench.folder)?;
    let shape = Shape { path: "10k", ..Shape::new("body-read", 64) };
    side_by_side(bench, ROW, &[Tool::Squall, Tool::K6], &server, &shape)?;
    judge(bench, ROW, &[("squall", "k6", 1.0 / 6.0)]);
    Ok(())
}

/// One value of a 10 KB document: found by the host, and by serde in the guest.
pub fn json(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "json";
    let server = Server::practice(&bench.squall)?;
    for round in 1..=bench.rounds {
        for (subject, tool, name) in
            [("host", Tool::Squall, "json-host"), ("guest", Tool::Squall, "json-guest"), ("k6", Tool::K6, "json")]
        {
            let shape = Shape { path: "/json/large?items=100", ..Shape::new(name, 64) };
            one(bench, ROW, subject, tool, &server, &shape)?;
        }
        println!("round {round} of {}", bench.rounds);
    }
    judge(bench, ROW, &[("host", "guest", 1.0)]);
    Ok(())
}

/// The same GET by three guests: over `squall:journey`, over `wasi:http`, and by an ordinary program, which begins anew with
/// each.
pub fn wasi_http(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "wasi-http";
    let server = Server::plain(&bench.squall, &bench.folder)?;
    let guests = [("squall:journey", "body-read"), ("wasi:http", "waki-get"), ("program", "program")];
    for round in 1..=bench.rounds {
        for (subject, name) in guests {
            one(bench, ROW, subject, Tool::Squall, &server, &Shape::new(name, 64))?;
        }
        println!("round {round} of {}", bench.rounds);
    }
    judge(bench, ROW, &[("wasi:http", "squall:journey", 5.5), ("program", "squall:journey", 11.0)]);
    Ok(())
}

/// The quickstart over TLS 1.3 on kept connections.
pub fn tls(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "tls";
    const TRUST: &[(Tool, &[&str])] = &[
        (Tool::Squall, &["--insecure-skip-tls-verify"]),
        (Tool::Oha, &["--insecure"]),
        (Tool::K6, &["--insecure-skip-tls-verify"]),
    ];
    let server = Server::speaking(Listen::Tls, &bench.folder)?;
    let shape = Shape { flags: TRUST, ..Shape::new("quickstart", 64) };
    side_by_side(bench, ROW, &[Tool::Squall, Tool::Wrk, Tool::Oha, Tool::K6], &server, &shape)?;
    judge(bench, ROW, &[("squall", "oha", 1.0)]);
    Ok(())
}

/// HTTP/2: 64 VUs on one connection.
pub fn http2_one(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "http2-one";
    // Connections are shared on a thread, and one connection is work for one thread in every tool.
    const SHARED: &[(Tool, &[&str])] = &[
        (Tool::Squall, &["--http-version", "2", "--connections", "shared:64", "--threads", "1"]),
        (Tool::Oha, &["--http2", "-p", "64"]),
        (Tool::H2load, &["-m", "64"]),
    ];
    let server = Server::speaking(Listen::Http2, &bench.folder)?;
    let shape = Shape { streams: 64, flags: SHARED, ..Shape::new("quickstart", 1) };
    side_by_side(bench, ROW, &[Tool::Squall, Tool::Oha, Tool::H2load], &server, &shape)?;
    judge(bench, ROW, &[("squall", "oha", 1.3)]);
    Ok(())
}

/// HTTP/2: 64 VUs, each on a connection of its own.
pub fn http2_many(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "http2-many";
    const OWN: &[(Tool, &[&str])] = &[
        (Tool::Squall, &["--http-version", "2"]),
        (Tool::Oha, &["--http2", "-p", "1"]),
        (Tool::H2load, &["-m", "1", "-t", "2"]),
    ];
    let server = Server::speaking(Listen::Http2, &bench.folder)?;
    let shape = Shape { flags: OWN, ..Shape::new("quickstart", 64) };
    side_by_side(bench, ROW, &[Tool::Squall, Tool::Oha, Tool::H2load], &server, &shape)?;
    judge(bench, ROW, &[("squall", "oha", 1.3)]);
    Ok(())
}

/// Flags by tool.
type OfTools = &'static [(Tool, &'static [&'static str])];

/// HTTP/3 beside HTTP/2 over TLS, on a connection per VU. oha as it is installed has no HTTP/3: it is a feature of its build.
pub fn http3(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "http3";
    const BY: [(&str, OfTools); 2] = [
        ("HTTP/3", &[(Tool::Squall, &["--http-version", "3", "--insecure-skip-tls-verify"])]),
        ("HTTP/2 over TLS", &[(Tool::Squall, &["--http-version", "2", "--insecure-skip-tls-verify"])]),
    ];
    let server = Server::secure(&bench.squall)?;
    for round in 1..=bench.rounds {
        for (subject, flags) in BY {
            let shape = Shape { path: "/bytes/100", flags, ..Shape::new("quickstart", 64) };
            one(bench, ROW, subject, Tool::Squall, &server, &shape)?;
        }
        println!("round {round} of {}", bench.rounds);
    }
    judge(bench, ROW, &[("HTTP/3", "HTTP/2 over TLS", 2.0)]);
    Ok(())
}

/// A unary gRPC call on a connection per VU. `req` is a call here.
pub fn grpc_unary(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "grpc-unary";
    let server = Server::practice(&bench.squall)?;
    let folder = root().join("examples/grpc-echo");
    let file = format!("echo.proto={}", folder.join("echo.proto").display());
    let flags: &[(Tool, &[&str])] = &[(Tool::Squall, &["--file", &file])];
    let folder = folder.display().to_string();
    let shape = Shape { flags, environment: &[("PROTO_FOLDER", &folder)], ..Shape::new(ROW, 64) };
    side_by_side(bench, ROW, &[Tool::Squall, Tool::K6], &server, &shape)?;
    judge(bench, ROW, &[("squall", "k6", 1.0 / 3.0)]);
    bench.results.left_out.push(format!("{ROW}: ghz is in no package registry that is used here"));
    Ok(())
}

/// A new connection for each request.
pub fn connections(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "connections";
    const CLOSE: &[(Tool, &[&str])] = &[
        (Tool::Squall, &["--no-connection-reuse"]),
        (Tool::Wrk, &["-H", "Connection: close"]),
        (Tool::Oha, &["--disable-keepalive"]),
        (Tool::K6, &["--no-connection-reuse"]),
    ];
    let server = Server::speaking(Listen::Plain, &bench.folder)?;
    let shape = Shape { flags: CLOSE, ..Shape::new("quickstart", 64) };
    side_by_side(bench, ROW, &[Tool::Squall, Tool::Wrk, Tool::Oha, Tool::K6], &server, &shape)?;
    judge(bench, ROW, &[("squall", "oha", 1.0)]);
    Ok(())
}

/// Every tool in turn, round after round.
fn side_by_side(bench: &mut Bench, row: &'static str, tools: &[Tool], server: &Server, shape: &Shape) -> Result<()> {
    for round in 1..=bench.rounds {
        for &tool in tools {
            one(bench, row, tool.name(), tool, server, shape)?;
        }
        println!("round {round} of {}", bench.rounds);
    }
    Ok(())
}

/// Judges user instructions per request where they are counted, user CPU time where they are not. k6 is judged by CPU
/// time where valgrind counts, which makes Go's runtime another program.
fn judge(bench: &mut Bench, row: &'static str, limits: &[(&str, &str, f64)]) {
    for &(subject, other, limit) in limits {
        let counted = bench.results.get(row, other, USER_INSTRUCTIONS).is_some();
        if !counted {
            bench.results.left_out.push(format!(
                "{row}: instructions per request of {other} were not counted; {subject} ÷ {other} is judged by CPU time alone"
            ));
        }
        bench.results.ratio(row, if counted { USER_INSTRUCTIONS } else { USER }, subject, other, limit);
    }
}

/// Fewer and more requests of the two runs whose difference is counted.
const COUNTED: (u32, u32) = (2_000, 6_000);

/// User instructions per request under valgrind, where that is what counts.
fn count(bench: &mut Bench, row: &'static str, subject: &str, tool: Tool, program: &Path, load: &Load) -> Result<()> {
    // More VUs than there are further requests would make the difference mean less.
    if !matches!(tool, Tool::Squall | Tool::Oha | Tool::H2load) || load.connections > 64 {
        return Ok(());
    }
    let run = |requests| {
        let load = Load { amount: Amount::Requests(requests), ..*load };
        bench.meter.under_valgrind(program, &load.arguments(tool))
    };
    if bench.results.get(row, subject, USER_INSTRUCTIONS).is_none() {
        // valgrind shows another processor, for which squall compiles the component anew, once.
        run(COUNTED.0)?;
    }
    if let (Some(fewer), Some(more)) = (run(COUNTED.0)?, run(COUNTED.1)?) {
        bench.results.add(row, subject, USER_INSTRUCTIONS, (more - fewer) / f64::from(COUNTED.1 - COUNTED.0));
    }
    Ok(())
}

/// The work of one run.
pub(super) struct Shape<'a> {
    /// Names the journey and k6's script.
    pub(super) name: &'a str,
    pub(super) connections: u32,
    /// Requests under way on each connection at once.
    pub(super) streams: u32,
    /// What is asked for, after the server's URL.
    pub(super) path: &'a str,
    pub(super) environment: &'a [(&'a str, &'a str)],
    /// Further arguments, by tool.
    pub(super) flags: &'a [(Tool, &'a [&'a str])],
    /// Whether valgrind may count its instructions.
    pub(super) is_counted: bool,
}

impl<'a> Shape<'a> {
    pub(super) fn new(name: &'a str, connections: u32) -> Self {
        Self { name, connections, streams: 1, path: "", environment: &[], flags: &[], is_counted: true }
    }
}

/// Runs one tool once and adds its figures; a tool that is not installed adds nothing.
pub(super) fn one(
    bench: &mut Bench,
    row: &'static str,
    subject: &str,
    tool: Tool,
    server: &Server,
    shape: &Shape,
) -> Result<()> {
    let Some(program) = bench.program(tool) else {
        return Ok(());
    };
    let (export, journey) = (bench.export(), journey(shape.name));
    let script = bench.scripts.join(format!("{}.js", shape.name));
    remove(&export)?;
    let load = Load {
        journey: &journey,
        script: &script,
        url: &(server.url.clone() + shape.path),
        connections: shape.connections,
        streams: shape.streams,
        amount: Amount::Seconds(bench.seconds),
        environment: shape.environment,
        flags: shape.flags,
        export: &export,
    };
    let cpu_before = bench.meter.cpu_so_far(server.id());
    let cost = bench.meter.run(Path::new(&program), &load.arguments(tool), &[])?;
    let target_cpu = bench.meter.cpu_so_far(server.id()) - cpu_before;
    let requests = match load.requests(tool, &cost.stdout) {
        Ok(requests) => requests,
        Err(error) => bail!("{error:#} (exit code {:?}):\n{}", cost.code, cost.last_words()),
    };
    let per_request = |seconds: f64| seconds / requests * MICROSECONDS;
    let mut figures = Vec::new();
    figures.extend(cost.user_instructions.map(|count| (USER_INSTRUCTIONS, count / requests)));
    figures.extend(cost.kernel_instructions.map(|count| (KERNEL_INSTRUCTIONS, count / requests)));
    figures.extend([
        (USER, per_request(cost.user)),
        (TOTAL, per_request(cost.total())),
        ("req/s", requests / f64::from(bench.seconds)),
        ("peak RSS MiB", cost.peak_kib / 1024.0),
        ("target's µs/req", per_request(target_cpu)),
    ]);
    for (measure, value) in figures {
        bench.results.add(row, subject, measure, value);
    }
    if shape.is_counted {
        count(bench, row, subject, tool, Path::new(&program), &load)?;
    }
    Ok(())
}
