//! Reaches for what WASI would give: files, sockets, the process, handles. None of it was granted.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use squall_sdk::{env_or, log};

fn run() {
    let name = env_or("ATTACK", "files");
    let result = match name.as_str() {
        "files" => files(),
        "sockets" => sockets(),
        "exit" => std::process::exit(0),
        "output" => output(),
        other => format!("there is no attack `{other}`"),
    };
    log::info(&format!("result wasi-{name}: {result}"));
}

fn files() -> String {
    let paths = ["/etc/passwd", "../../etc/passwd", "/proc/self/environ", "a\0b", ".", "/"];
    let read = paths.iter().filter(|path| std::fs::read(path).is_ok()).count();
    let listed = paths.iter().filter(|path| std::fs::read_dir(path).is_ok()).count();
    let written = std::fs::write("/tmp/squall-hostile", "x").is_ok() || std::fs::write("squall-hostile", "x").is_ok();
    let variables = std::env::vars().count();
    let arguments = std::env::args().count();
    format!("{read} read, {listed} listed, written {written}, {variables} variables, {arguments} arguments")
}

fn sockets() -> String {
    let target = env_or("BASE_URL", "http://127.0.0.1:1").replace("http://", "");
    let tcp = TcpStream::connect(&target).is_ok();
    let listens = TcpListener::bind("127.0.0.1:0").is_ok();
    let udp = UdpSocket::bind("127.0.0.1:0").is_ok();
    let names = "localhost:80".to_socket_addrs().is_ok();
    format!("tcp {tcp}, listens {listens}, udp {udp}, names {names}")
}

fn output() -> String {
    println!("\x1b[2J\x1b]0;owned\x07 stdout");
    eprintln!("\x1b[2J\x1b]0;owned\x07 stderr");
    let _ = std::io::stdout().write_all(b"\xff\xfe no text\n");
    "written".to_owned()
}

squall_sdk::journey!(run);
