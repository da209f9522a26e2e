//! Does with sockets what the variable `STEPS` says, and logs every answer as JSON: what tests of sockets are written with.
//!
//! `STEPS` is a list of objects. `{vu}` and `{iteration}` in any text of it are the numbers of the VU and the iteration.
//! Sockets have names, which `on` says; without one it is `a`.
//!
//! ```json
//! [{ "connect": "127.0.0.1:6379", "tls": true, "keep": true, "name": "cache", "tags": { "a": "b" }, "timeout_ms": 100 },
//!  { "bind": "127.0.0.1:53", "on": "u" },
//!  { "send": "PING\n", "timeout_ms": 50 }, { "send_size": 1000 },
//!  { "line": 65536 }, { "until": "\r\n", "at_most": 100 }, { "exactly": 10 }, { "receive": 10 },
//!  { "finish": true }, { "details": true }, { "close": true }, { "sleep_ms": 10 }]
//! ```
//!
//! Every answer is one line: `answer {"step": 0, "text": "...", "length": 3, "round_trip": 0.1, "took": 1.2}`, `"end": true` at
//! the end of what the other side sends, or an `error` and its `kind`. `repeat` does a step several times and tells of the last.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use squall_sdk::socket::{TcpSocket, UdpSocket};
use squall_sdk::{Error, env, log, secret, sleep, vu};

/// Log messages are cut at 8 KiB; no test shows more than this.
const SHOWN: usize = 2000;

enum Socket {
    Tcp(TcpSocket),
    Udp(UdpSocket),
}

fn talk() -> Result<(), Error> {
    let steps = env("STEPS").ok_or_else(|| Error::new("the variable `STEPS` is missing"))?;
    let steps = steps.replace("{vu}", &vu::id().to_string()).replace("{iteration}", &vu::iteration().to_string());
    let steps: Vec<Value> = serde_json::from_str(&steps)?;
    let mut sockets = HashMap::new();
    for (number, step) in steps.iter().enumerate() {
        let began = Instant::now();
        let mut answer = Ok(Map::new());
        for _ in 0..step["repeat"].as_u64().unwrap_or(1) {
            answer = run(step, &mut sockets);
        }
        let mut told = answer.unwrap_or_else(|error| {
            let kind = format!("{error:?}");
            let kind = kind.split(['(', ' ']).next().unwrap_or_default();
            Map::from_iter([("error".to_owned(), json!(error.to_string())), ("kind".to_owned(), json!(kind))])
        });
        told.insert("step".to_owned(), json!(number));
        told.insert("took".to_owned(), json!(began.elapsed().as_secs_f64() * 1e3));
        if step["quiet"].as_bool() != Some(true) {
            log::info(&format!("answer {}", Value::Object(told)));
        }
    }
    Ok(())
}

fn run(step: &Value, sockets: &mut HashMap<String, Socket>) -> Result<Map<String, Value>, Error> {
    let name = step["on"].as_str().unwrap_or("a");
    let timeout = step["timeout_ms"].as_u64().map(Duration::from_millis);
    if let Some(milliseconds) = step["sleep_ms"].as_u64() {
        sleep(Duration::from_millis(milliseconds));
    } else if let Some(address) = step["connect"].as_str() {
        sockets.insert(name.to_owned(), Socket::Tcp(connect(address, step, timeout)?));
    } else if let Some(address) = step["bind"].as_str() {
        let options = UdpSocket::to(address);
        let options = timeout.into_iter().fold(options, squall_sdk::socket::UdpOptions::timeout);
        sockets.insert(name.to_owned(), Socket::Udp(options.bind()?));
    } else if step["close"].as_bool() == Some(true) {
        sockets.remove(name);
    } else {
        return match sockets.get_mut(name).ok_or_else(|| Error::new(format!("there is no socket `{name}`")))? {
            Socket::Tcp(socket) => with_tcp(socket, step, timeout),
            Socket::Udp(socket) => with_udp(socket, step, timeout),
        };
    }
    Ok(Map::new())
}

fn connect(address: &str, step: &Value, timeout: Option<Duration>) -> Result<TcpSocket, Error> {
    let mut options = TcpSocket::to(address);
    if step["tls"].as_bool() == Some(true) {
        options = options.tls();
    }
    if step["keep"].as_bool() == Some(true) {
        options = options.keep();
    }
    if let Some(timeout) = timeout {
        options = options.timeout(timeout);
    }
    if let Some(name) = step["name"].as_str() {
        options = options.name(name);
    }
    for (name, value) in step["tags"].as_object().into_iter().flatten() {
        options = options.tag(name, value.as_str().unwrap_or_default());
    }
    options.connect()
}

fn with_tcp(socket: &mut TcpSocket, step: &Value, timeout: Option<Duration>) -> Result<Map<String, Value>, Error> {
    socket.set_timeout(timeout);
    let number = |name: &str| step[name].as_u64().map(|number| number as u32);
    let received = if let Some(length) = number("line") {
        socket.receive_until(b"\n", length)?
    } else if let Some(delimiter) = step["until"].as_str() {
        socket.receive_until(delimiter, number("at_most").unwrap_or(u32::MAX))?
    } else if let Some(length) = number("exactly") {
        Some(socket.receive_exactly(length)?)
    } else if step["receive"].as_bool() == Some(true) {
        socket.receive()?
    } else if step["finish"].as_bool() == Some(true) {
        return socket.finish().map(|()| Map::new());
    } else if step["details"].as_bool() == Some(true) {
        return Ok(Map::from_iter([("details".to_owned(), json!(format!("{:?}", socket.details()?)))]));
    } else {
        return socket.send(to_send(step)?).map(|()| Map::new());
    };
    Ok(shown(received, socket.round_trip()))
}

fn with_udp(socket: &mut UdpSocket, step: &Value, timeout: Option<Duration>) -> Result<Map<String, Value>, Error> {
    socket.set_timeout(timeout);
    if step["receive"].as_bool() == Some(true) {
        let datagram = socket.receive()?;
        return Ok(shown(Some(datagram), socket.round_trip()));
    }
    socket.send(to_send(step)?).map(|()| Map::new())
}

fn to_send(step: &Value) -> Result<Vec<u8>, Error> {
    if let Some(length) = step["send_size"].as_u64() {
        return Ok(vec![b'x'; length as usize]);
    }
    let text = step["send"].as_str().ok_or_else(|| Error::new(format!("`{step}` is no step")))?;
    let named = step["secret"].as_str().map(secret).transpose()?;
    Ok(named.map_or_else(|| text.to_owned(), |secret| text.replace("{secret}", &secret)).into_bytes())
}

fn shown(received: Option<Vec<u8>>, round_trip: Duration) -> Map<String, Value> {
    let Some(bytes) = received else { return Map::from_iter([("end".to_owned(), json!(true))]) };
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned();
    let shown =
        [("text", json!(text)), ("length", json!(bytes.len())), ("round_trip", json!(round_trip.as_secs_f64() * 1e3))];
    shown.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

squall_sdk::journey!(talk);
