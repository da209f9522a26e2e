//! An ordinary program that speaks over sockets of the standard library, as its arguments say.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::{env, io};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["get", server, path] => println!("answer {}", get(server, path)?),
        ["try", server] => {
            println!("connect {:?}", TcpStream::connect(server).map(|_| ()).map_err(|error| error.kind()));
        }
        ["many", server, number] => {
            let connections: Vec<_> = (0..number.parse()?).map(|_| TcpStream::connect(server)).collect();
            println!("open {}", connections.iter().filter(|one| one.is_ok()).count());
        }
        ["look-up", name] => {
            let found = (*name, 80).to_socket_addrs().map(Iterator::count).map_err(|error| error.kind());
            println!("found {found:?}");
        }
        ["listen", at] => println!("listen {:?}", TcpListener::bind(at).map(|_| ()).map_err(|error| error.kind())),
        ["datagram", server, text] => println!("datagram {:?}", datagram(server, text).map_err(|error| error.kind())),
        ["datagram-from", at] => println!("bind {:?}", UdpSocket::bind(at).map(|_| ()).map_err(|error| error.kind())),
        _ => return Err("what is to be done?".into()),
    }
    Ok(())
}

/// The first line of an answer of HTTP, and how many bytes it had.
fn get(server: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(format!("{} of {} bytes", answer.lines().next().unwrap_or_default(), answer.len()))
}

/// What comes back for a datagram.
#[expect(clippy::disallowed_methods, reason = "the host asks the door")]
fn datagram(server: &str, text: &str) -> io::Result<String> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.send_to(text.as_bytes(), server)?;
    let mut buffer = [0; 1500];
    let (length, _) = socket.recv_from(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}
