//! A DNS server that says what it is told to say, by UDP and TCP, and counts what it was asked.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often a thread looks whether it should end.
const TICK: Duration = Duration::from_millis(10);
/// The largest answer by UDP without EDNS.
const LARGEST_DATAGRAM: usize = 512;

/// What a name comes to.
#[derive(Clone)]
pub enum Name {
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// `SERVFAIL`.
    Failure,
    /// Nothing, ever.
    Silence,
    /// Each of these in turn, for each family; then the last for ever.
    Turns(Vec<Name>),
    /// Another name, whose answer comes along.
    Alias(&'static str),
}

/// A DNS server. Names it does not know do not exist. It ends when it is dropped.
pub struct DnsServer {
    addr: SocketAddr,
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

struct State {
    names: BTreeMap<String, Name>,
    delay: Duration,
    asked: Mutex<Vec<Question>>,
    stop: AtomicBool,
}

#[derive(Clone, PartialEq, Eq)]
struct Question {
    name: String,
    kind: u16,
    tcp: bool,
}

impl DnsServer {
    /// Knows these names, and answers after a while.
    pub fn start(names: &[(&str, Name)], delay: Duration) -> Self {
        // The same port must be free for both; the kernel seldom gives one that is not.
        let (udp, tcp) = std::iter::repeat_with(|| UdpSocket::bind("127.0.0.1:0").unwrap())
            .find_map(|udp| Some((TcpListener::bind(udp.local_addr().unwrap()).ok()?, udp)))
            .map(|(tcp, udp)| (udp, tcp))
            .unwrap();
        let addr = udp.local_addr().unwrap();
        let names = names.iter().map(|(name, what)| ((*name).to_owned(), what.clone())).collect();
        let state = Arc::new(State { names, delay, asked: Mutex::default(), stop: AtomicBool::new(false) });
        let (by_udp, by_tcp) = (Arc::clone(&state), Arc::clone(&state));
        let threads =
            vec![thread::spawn(move || by_udp.serve_udp(&udp)), thread::spawn(move || by_tcp.serve_tcp(&tcp))];
        Self { addr, state, threads }
    }

    /// Knows these addresses by these names.
    pub fn with(names: &[(&str, &[&str])]) -> Self {
        let addresses = |list: &[&str]| Name::Addresses(list.iter().map(|text| text.parse().unwrap()).collect());
        let names: Vec<_> = names.iter().map(|(name, list)| (*name, addresses(list))).collect();
        Self::start(&names, Duration::ZERO)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How often it was asked for a name's IPv4 and IPv6 addresses.
    pub fn asked(&self, name: &str) -> (usize, usize) {
        let asked = self.state.asked.lock().unwrap();
        let count = |kind: u16| asked.iter().filter(|question| question.name == name && question.kind == kind).count();
        (count(1), count(28))
    }

    /// How often it was asked by TCP.
    pub fn asked_by_tcp(&self) -> usize {
        self.state.asked.lock().unwrap().iter().filter(|question| question.tcp).count()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl State {
    #[expect(clippy::disallowed_methods, reason = "a server answers whoever asked")]
    fn serve_udp(&self, socket: &UdpSocket) {
        socket.set_read_timeout(Some(TICK)).unwrap();
        let mut buffer = [0; 1500];
        while !self.stop.load(Ordering::Relaxed) {
            let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
            if let Some(mut answer) = self.answer(&buffer[..length], false) {
                if answer.len() > LARGEST_DATAGRAM {
                    // Truncated: no records, and whoever asks may come again by TCP.
                    answer[2] |= 0x02;
                    answer[7] = 0;
                    answer[6] = 0;
                    answer.truncate(question_end(&answer));
                }
                let _ = socket.send_to(&answer, peer);
            }
        }
    }

    fn serve_tcp(&self, listener: &TcpListener) {
        listener.set_nonblocking(true).unwrap();
        while !self.stop.load(Ordering::Relaxed) {
            let Ok((mut stream, _)) = listener.accept() else {
                thread::sleep(TICK);
                continue;
            };
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let mut length = [0; 2];
            while stream.read_exact(&mut length).is_ok() {
                let mut query = vec![0; u16::from_be_bytes(length).into()];
                if stream.read_exact(&mut query).is_err() {
                    break;
                }
                let Some(answer) = self.answer(&query, true) else { break };
                let mut framed = (answer.len() as u16).to_be_bytes().to_vec();
                framed.extend(answer);
                let _ = stream.write_all(&framed);
            }
        }
    }

    fn answer(&self, query: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let (end, name) = (question_end(query), name_of(query));
        let kind = u16::from_be_bytes([query[end - 4], query[end - 3]]);
        self.asked.lock().unwrap().push(Question { name: name.clone(), kind, tcp });
        let mut known = self.names.get(&name);
        let (mut owner, mut records) = (vec![0xc0, 12], Vec::new());
        while let Some(Name::Alias(other)) = known {
            let encoded = encoded(other);
            records.push(record(&owner, 5, &encoded));
            (owner, known) = (encoded, self.names.get(*other));
        }
        if let Some(Name::Turns(turns)) = known {
            let asked = self.asked.lock().unwrap();
            let before = asked.iter().filter(|question| question.name == name && question.kind == kind).count() - 1;
            known = turns.get(before).or(turns.last());
        }
        if matches!(known, Some(Name::Silence)) {
            return None;
        }
        thread::sleep(self.delay);
        let (code, addresses) = match known {
            Some(Name::Addresses(addresses)) => (0, addresses.as_slice()),
            Some(_) => (2, [].as_slice()),
            None => (3, [].as_slice()),
        };
        records.extend(addresses.iter().filter_map(|address| match (address, kind) {
            (IpAddr::V4(address), 1) => Some(record(&owner, kind, &address.octets())),
            (IpAddr::V6(address), 28) => Some(record(&owner, kind, &address.octets())),
            _ => None,
        }));
        let mut answer = query[..end].to_vec();
        // An answer, recursion available, one question, no authorities, nothing more.
        answer[2] = 0x80 | (query[2] & 0x01);
        answer[3] = 0x80 | code;
        answer[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        answer[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        answer.extend(records.into_iter().flatten());
        Some(answer)
    }
}

/// Where the first question of a message ends.
fn question_end(message: &[u8]) -> usize {
    let mut at = 12;
    while message[at] != 0 {
        at += usize::from(message[at]) + 1;
    }
    at + 5
}

fn name_of(message: &[u8]) -> String {
    let (mut at, mut labels) = (12, Vec::new());
    while message[at] != 0 {
        let end = at + 1 + usize::from(message[at]);
        labels.push(String::from_utf8_lossy(&message[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    labels.join(".")
}

/// A name as messages have it.
fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

/// A record of a name; where the owner is the name asked for, it is where it was before.
fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = owner.to_vec();
    // Class IN; an hour to live, which nobody goes by.
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0x0e, 0x10]);
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}
