//! Peers that do not do what one hopes.
#![expect(clippy::disallowed_methods, reason = "a test is no journey")]

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::*;
use crate::plan::{Destination, Http, Scheme};
use crate::protocol::door::Door;
use crate::protocol::{Connector, Network, Opening, RunPlaces};

fn connector(most: u32) -> Connector {
    let network = Network::new(&Arc::new(Http::default()), Door::default());
    Connector::new(&Rc::new(network.with_places(most, Arc::new(RunPlaces::default()))), 1)
}

fn after(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

/// A connection and its other side.
async fn pair(mask: Option<Mask>) -> (Tcp, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = Destination { scheme: Scheme::Tcp, host: "127.0.0.1", port };
    let mut opening = Opening::default();
    let tcp = Tcp::connect(&connector(1), &to, false, mask, after(5000), &mut opening).await.unwrap();
    (tcp, listener.accept().await.unwrap().0)
}

#[test]
fn an_address_is_a_host_and_a_port() {
    let read = |text| parse_address(text).map_err(|error| error.to_string());
    assert_eq!(read("EXAMPLE.test:80"), Ok(("example.test".to_owned(), 80)));
    assert_eq!(read("0x7f.1:6379"), Ok(("127.0.0.1".to_owned(), 6379)));
    assert_eq!(read("[::1]:53"), Ok(("::1".to_owned(), 53)));
    for (text, why) in [
        ("localhost", "write a host and a port, as in `127.0.0.1:6379`"),
        ("a:0", "the port goes from 1 to 65535"),
        ("a:+1", "the port goes from 1 to 65535"),
        ("a:65536", "the port goes from 1 to 65535"),
        ("::1:53", "write an IPv6 address in brackets, as in `[::1]:6379`"),
        (":53", "this is no host"),
        ("a/b:53", "this is no host"),
        ("tcp://a:53", "write an IPv6 address in brackets, as in `[::1]:6379`"),
    ] {
        assert_eq!(read(text), Err(format!("invalid request: `{text}` is no address: {why}")));
    }
}

#[tokio::test]
async fn bytes_come_as_they_are_asked_for_whatever_pieces_they_came_in() {
    let (mut tcp, mut peer) = pair(None).await;
    for piece in ["one\r", "\ntwo\r\nthr", "ee4444", "rest"] {
        peer.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(peer);
    let soon = after(5000);
    assert_eq!(tcp.receive_until(b"\r\n", 100, soon).await.unwrap().unwrap(), b"one\r\n");
    assert_eq!(tcp.receive_until(b"\r\n", 5, soon).await.unwrap().unwrap(), b"two\r\n");
    assert_eq!(tcp.receive_exactly(5, soon).await.unwrap(), b"three");
    assert_eq!(tcp.receive(4, soon).await.unwrap().unwrap(), b"4444");
    assert_eq!(tcp.receive_exactly(5, soon).await, Err(Error::Closed));
    assert_eq!(tcp.receive_until(b"\n", 100, soon).await, Err(Error::Closed), "what came is no line");
    assert_eq!(tcp.receive(100, soon).await.unwrap().unwrap(), b"rest", "and is still there");
    assert_eq!(tcp.receive(100, soon).await, Ok(None));
    assert_eq!(tcp.receive_until(b"\n", 100, soon).await, Ok(None));
    assert_eq!(tcp.take_received(), 23);
}

#[tokio::test]
async fn a_line_without_end_is_read_no_further_than_its_cap() {
    let (mut tcp, mut peer) = pair(None).await;
    let flood = tokio::spawn(async move { while peer.write_all(&[b'x'; 4096]).await.is_ok() {} });
    assert_eq!(tcp.receive_until(b"\n", 10_000, after(5000)).await, Err(Error::TooLarge(10_000)));
    assert_eq!(tcp.take_received(), 10_000);
    drop(tcp);
    flood.await.unwrap();
}

#[tokio::test]
async fn what_came_before_a_deadline_is_there_after_it() {
    let (mut tcp, mut peer) = pair(None).await;
    peer.write_all(b"half").await.unwrap();
    let began = Instant::now();
    assert_eq!(tcp.receive_until(b"\n", 100, after(30)).await, Err(Error::Timeout));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    peer.write_all(b" and half\n").await.unwrap();
    assert_eq!(tcp.receive_until(b"\n", 100, after(5000)).await.unwrap().unwrap(), b"half and half\n");
    assert_eq!(tcp.receive(100, Instant::now()).await, Err(Error::Timeout), "nothing is there now");
}

#[tokio::test]
async fn a_send_that_nobody_takes_ends_at_its_deadline_and_nothing_follows_it() {
    let (mut tcp, mut peer) = pair(None).await;
    let much = vec![0; 32 << 20];
    assert_eq!(tcp.send(&much, after(50)).await, Err(Error::Timeout));
    assert_eq!(tcp.send(b"more", after(5000)).await, Err(Error::BrokenPipe));
    peer.write_all(b"still heard\n").await.unwrap();
    assert_eq!(tcp.receive_until(b"\n", 100, after(5000)).await.unwrap().unwrap(), b"still heard\n");
    assert!(!tcp.is_clean());
}

#[tokio::test]
async fn one_side_can_end_before_the_other() {
    let (mut tcp, mut peer) = pair(None).await;
    tcp.send(b"question", after(5000)).await.unwrap();
    tcp.finish(after(5000)).await.unwrap();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"question");
    peer.write_all(b"answer").await.unwrap();
    assert_eq!(tcp.receive_exactly(6, after(5000)).await.unwrap(), b"answer");
    assert_eq!(tcp.send(b"more", after(5000)).await, Err(Error::BrokenPipe));
}

#[tokio::test]
#[expect(deprecated, reason = "to linger for no time does not block")]
async fn a_connection_that_is_broken_off_is_told_from_one_that_is_closed() {
    let (mut tcp, peer) = pair(None).await;
    peer.set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    assert_eq!(tcp.receive(1, after(5000)).await, Err(Error::Reset));
    assert_eq!(tcp.receive(1, after(5000)).await, Ok(None));
}

#[tokio::test]
async fn what_is_to_be_hidden_is_hidden_across_pieces() {
    let mask: Mask = Arc::new(|bytes: &mut [u8]| {
        if let Some(at) = memchr::memmem::find(bytes, b"secret") {
            bytes[at..at + 6].fill(b'*');
        }
    });
    let (mut tcp, mut peer) = pair(Some(mask)).await;
    for piece in ["a sec", "ret line\n"] {
        peer.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(tcp.receive_until(b"\n", 100, after(5000)).await.unwrap().unwrap(), b"a ****** line\n");
}

#[tokio::test]
async fn a_place_is_given_back_with_its_socket() {
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = Destination { scheme: Scheme::Udp, host: "127.0.0.1", port: peer.local_addr().unwrap().port() };
    let connector = connector(1);
    let bind = || async { Udp::bind(&connector, &to, None, after(5000), &mut Opening::default()).await };
    let first = bind().await.unwrap();
    assert!(matches!(bind().await, Err(Error::TooManyConnections { limit: 1, .. })));
    drop(first);
    assert!(bind().await.is_ok());
}

#[tokio::test]
async fn datagrams_are_whole_empty_or_large_and_a_port_without_anybody_is_told() {
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = Destination { scheme: Scheme::Udp, host: "127.0.0.1", port: peer.local_addr().unwrap().port() };
    let mut udp = Udp::bind(&connector(1), &to, None, after(5000), &mut Opening::default()).await.unwrap();
    assert_eq!(udp.receive(after(20)).await, Err(Error::Timeout));
    let mut buffer = vec![0; 70_000];
    for length in [0, 1, LARGEST_DATAGRAM] {
        udp.send(&vec![7; length], after(5000)).await.unwrap();
        let (seen, from) = peer.recv_from(&mut buffer).await.unwrap();
        assert_eq!(seen, length);
        peer.send_to(&buffer[..seen], from).await.unwrap();
        assert_eq!(udp.receive(after(5000)).await.unwrap(), vec![7; length]);
    }
    let error = udp.send(&vec![7; LARGEST_DATAGRAM + 1], after(5000)).await.unwrap_err();
    assert_eq!(error, Error::TooLarge(65_507));
    drop(peer);
    udp.send(b"anybody?", after(5000)).await.unwrap();
    assert_eq!(udp.receive(after(5000)).await, Err(Error::Refused));
}
