//! Proxies that keep what they were asked. Every name is this machine to them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::plain::{Plain, Seen};

/// An HTTP proxy; with `authorization`, only for who brings this value.
pub fn http_proxy(authorization: Option<&'static str>) -> Plain {
    Plain::over("127.0.0.1:0", false, move |stream, seen| {
        while let Some(head) = seen.read_head(stream) {
            let given = head.lines().find_map(|line| line.strip_prefix("proxy-authorization: "));
            if authorization.is_some() && given != authorization {
                let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
                let _ = stream.write_all(refusal.as_bytes());
                continue;
            }
            let target = head.split(' ').nth(1).unwrap_or_default();
            if head.starts_with("CONNECT ") {
                let there = connect(target);
                let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
                seen.pass_on(stream, &there);
                return;
            }
            let Some(rest) = target.strip_prefix("http://") else {
                let _ = stream.write_all(b"HTTP/1.1 400 Not for a proxy\r\ncontent-length: 0\r\n\r\n");
                continue;
            };
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let mut there = connect(authority);
            let forwarded = head.replacen(target, &format!("/{path}"), 1);
            there.write_all(forwarded.as_bytes()).unwrap();
            let _ = stream.write_all(&answer(&mut there));
        }
    })
}

/// A SOCKS5 proxy; with credentials, only for who brings them. What it was asked to connect to is kept as heads.
pub fn socks_proxy(
    credentials: Option<(&'static str, &'static str)>,
    asked: impl Fn(&str) + Send + Sync + 'static,
) -> Plain {
    Plain::over("127.0.0.1:0", false, move |stream, seen| {
        let _ = socks(stream, seen, credentials, &asked);
    })
}

fn socks(stream: &mut TcpStream, seen: &Seen, credentials: Option<(&str, &str)>, asked: &dyn Fn(&str)) -> Option<()> {
    let methods = usize::from(seen.read(stream, 2)?[1]);
    let methods = seen.read(stream, methods)?;
    let method = if credentials.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        return stream.write_all(&[5, 0xff]).ok();
    }
    stream.write_all(&[5, method]).ok()?;
    if let Some((user, password)) = credentials {
        let length = seen.read(stream, 2)?[1].into();
        let given_user = seen.read(stream, length)?;
        let length = seen.read(stream, 1)?[0].into();
        let given_password = seen.read(stream, length)?;
        let fits = given_user == user.as_bytes() && given_password == password.as_bytes();
        stream.write_all(&[1, u8::from(!fits)]).ok()?;
        if !fits {
            return None;
        }
    }
    let kind = seen.read(stream, 4)?[3];
    let host = if kind == 1 {
        seen.read(stream, 4)?.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
    } else {
        let length = seen.read(stream, 1)?[0].into();
        String::from_utf8(seen.read(stream, length)?).ok()?
    };
    let port = seen.read(stream, 2)?;
    let port = u16::from_be_bytes([port[0], port[1]]);
    asked(&format!("{host}:{port}"));
    let Ok(there) = TcpStream::connect(("127.0.0.1", port)) else {
        return stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).ok();
    };
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).ok()?;
    seen.pass_on(stream, &there);
    Some(())
}

fn connect(authority: &str) -> TcpStream {
    let port = authority.rsplit_once(':').map_or(80, |(_, port)| port.parse().unwrap());
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

/// Reads an answer of known length.
fn answer(there: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        there.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    let head = String::from_utf8(bytes.clone()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    there.read_exact(&mut body).unwrap();
    bytes.extend(body);
    bytes
}
