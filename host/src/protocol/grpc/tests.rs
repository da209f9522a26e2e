//! Calls against a server of the `h2` crate in the same thread, without TLS.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::h2::server::{self, SendResponse};
use ::h2::{Reason, RecvStream, SendStream};
use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::plan::Http;
use crate::plan::http::Connections;
use crate::protocol::door::Door;
use crate::protocol::http::{Body, Client, Coding, Owner, Shared, encode};
use crate::protocol::{Error, Network, Opening};

/// What the server saw.
#[derive(Default)]
struct Seen {
    connections: Cell<usize>,
    requests: RefCell<Vec<(String, HeaderMap)>>,
    resets: RefCell<Vec<Reason>>,
}

/// A call as the server sees it.
struct Asked {
    number: usize,
    seen: Rc<Seen>,
    respond: SendResponse<Bytes>,
    body: RecvStream,
}

impl Asked {
    fn head(&mut self, pairs: &[(&'static str, &str)], is_end: bool) -> SendStream<Bytes> {
        let mut head = Response::builder().header("content-type", "application/grpc");
        for &(name, value) in pairs {
            head = head.header(name, value);
        }
        self.respond.send_response(head.body(()).unwrap(), is_end).unwrap()
    }

    /// Reads all of the request's body, without its prefixes.
    async fn messages(&mut self) -> Vec<Bytes> {
        let mut frames = frames::Frames::new(u64::MAX, false);
        let mut messages = Vec::new();
        while let Some(Ok(mut bytes)) = self.body.data().await {
            self.body.flow_control().release_capacity(bytes.len()).unwrap();
            while let Some(frame) = frames.take(&mut bytes).unwrap() {
                messages.push(frame.bytes);
            }
        }
        messages
    }

    /// Waits until the client resets the stream.
    fn note_reset(mut self) {
        spawn_local(async move {
            if let Ok(reason) = std::future::poll_fn(|context| self.respond.poll_reset(context)).await {
                self.seen.resets.borrow_mut().push(reason);
            }
        });
    }
}

fn message(text: &[u8]) -> Bytes {
    let (prefix, rest) = frames::framed(Bytes::copy_from_slice(text)).unwrap();
    [prefix, rest].concat().into()
}

fn trailers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
}

/// Answers with the request's messages.
fn echo(mut asked: Asked) {
    spawn_local(async move {
        let mut stream = asked.head(&[("x-early", "1")], false);
        for text in asked.messages().await {
            stream.send_data(message(&text), false).unwrap();
        }
        stream.send_trailers(trailers(&[("grpc-status", "0"), ("x-late-bin", "AQ")])).unwrap();
    });
}

async fn serve(behave: impl Fn(Asked) + 'static) -> (String, Rc<Seen>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (seen, behave) = (Rc::<Seen>::default(), Rc::new(behave));
    let all = Rc::clone(&seen);
    spawn_local(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (seen, behave) = (Rc::clone(&all), Rc::clone(&behave));
            seen.connections.set(seen.connections.get() + 1);
            spawn_local(async move {
                let mut server = server::handshake(socket).await.unwrap();
                while let Some(Ok((request, respond))) = server.accept().await {
                    let (parts, body) = request.into_parts();
                    let uri = format!("{} {}", parts.method, parts.uri);
                    seen.requests.borrow_mut().push((uri, parts.headers));
                    let number = seen.requests.borrow().len();
                    behave(Asked { number, seen: Rc::clone(&seen), respond, body });
                }
            });
        }
    });
    (address, seen)
}

/// One VU.
struct Vu {
    client: Client,
    channels: Channels,
    /// A group's connections live as long as somebody has a way to them.
    kept: RefCell<Vec<Channel>>,
    opening: Opening,
}

impl Vu {
    fn new(shared: &Rc<Shared>, vu: u32, connections: Connections) -> Self {
        let client = Client::new(shared, Owner { vu, connections }, "test");
        Self { client, channels: Channels::default(), kept: RefCell::default(), opening: Opening::default() }
    }

    fn one() -> Self {
        Self::new(&shared(), 1, Connections::PerVu)
    }

    fn channel(&self, address: &str) -> Channel {
        let channel = self.channels.channel(&self.client, "test", address, true, None).unwrap();
        self.kept.borrow_mut().push(channel.clone());
        channel
    }

    async fn try_unary(&mut self, address: &str, text: &[u8], limit: u64, within: Duration) -> Result<Answer, Error> {
        let channel = self.channel(address);
        let (uri, metadata) = (channel.uri("a.B/C").unwrap(), Metadata::default());
        let deadline = Some(Instant::now() + within);
        let head = Head { uri: &uri, metadata: &metadata, deadline, limit, discard: false };
        let message = Bytes::copy_from_slice(text);
        self.channels.unary(&self.client, &channel, &head, message, &mut self.opening).await
    }

    async fn unary(&mut self, address: &str, text: &[u8]) -> Answer {
        self.try_unary(address, text, 1 << 20, Duration::from_secs(10)).await.unwrap()
    }

    async fn begin(&mut self, address: &str, within: Option<Duration>) -> Call {
        let channel = self.channel(address);
        let (uri, metadata) = (channel.uri("a.B/C").unwrap(), Metadata::default());
        let deadline = within.map(|within| Instant::now() + within);
        let head = Head { uri: &uri, metadata: &metadata, deadline, limit: 1 << 20, discard: false };
        self.channels.begin(&self.client, &channel, &head, &mut self.opening).await.unwrap()
    }
}

fn shared() -> Rc<Shared> {
    Rc::new(Shared::new(Network::new(&Arc::new(Http::default()), Door::default())))
}

async fn local<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(async { timeout(Duration::from_secs(30), test).await.expect("it hangs") }).await
}

/// What a unary call comes to: its code, the message, and whether that is the server's own.
fn outcome(answer: &Answer) -> (u32, &str, bool) {
    (answer.status.code.0, &answer.status.message, answer.status.cause.is_none())
}

#[tokio::test]
async fn a_unary_call_is_one_stream_with_metadata_before_and_after() {
    local(async {
        let (address, seen) = serve(echo).await;
        let mut vu = Vu::one();
        for size in [0, 5, 100_000] {
            let text = vec![b'x'; size];
            let answer = vu.unary(&address, &text).await;
            assert_eq!((outcome(&answer), answer.message.as_deref()), ((0, "", true), Some(&text[..])));
            assert_eq!(answer.headers[1], ("x-early".to_owned(), "1".to_owned()));
            assert_eq!(answer.trailers, [("x-late-bin".to_owned(), "AQ==".to_owned())]);
            assert!(answer.sent > size as u64 && answer.received > size as u64 && answer.duration > Duration::ZERO);
        }
        let requests = seen.requests.borrow();
        let (uri, headers) = &requests[0];
        assert_eq!((uri, seen.connections.get()), (&format!("POST http://{address}/a.B/C"), 1));
        let header = |name: &str| headers.get(name).unwrap().to_str().unwrap();
        assert_eq!((header("te"), header("content-type")), ("trailers", "application/grpc"));
        let timeout: u64 = header("grpc-timeout").strip_suffix('u').unwrap().parse().unwrap();
        assert!((9_000_000..=10_000_000).contains(&timeout), "{timeout}");
        assert!(header("user-agent").starts_with("squall/"));
    })
    .await;
}

/// A case's name, what a server does, and what the call comes to.
type Ending = (&'static str, fn(Asked), (u32, &'static str, bool));

const ENDINGS: &[Ending] = &[
    (
        "trailers only",
        |mut asked| drop(asked.head(&[("grpc-status", "5"), ("grpc-message", "none%21")], true)),
        (5, "none!", true),
    ),
    (
        "a status after a message",
        |mut asked| {
            let mut stream = asked.head(&[], false);
            stream.send_data(message(b"a"), false).unwrap();
            stream.send_trailers(trailers(&[("grpc-status", "9")])).unwrap();
        },
        (9, "", true),
    ),
    (
        "no status",
        |mut asked| {
            let mut stream = asked.head(&[], false);
            stream.send_trailers(trailers(&[("x", "y")])).unwrap();
        },
        (2, "protocol: the trailers have no `grpc-status`", false),
    ),
    (
        "no trailers",
        |mut asked| asked.head(&[], false).send_data(message(b"a"), true).unwrap(),
        (13, "protocol: the stream ended without trailers", false),
    ),
    (
        "half a message",
        |mut asked| {
            let mut stream = asked.head(&[], false);
            stream.send_data(Bytes::from_static(&[0, 0, 0, 0, 9, 1]), false).unwrap();
            stream.send_trailers(trailers(&[("grpc-status", "0")])).unwrap();
        },
        (13, "protocol: the stream ended inside a message", false),
    ),
    (
        "no message",
        |mut asked| asked.head(&[], false).send_trailers(trailers(&[("grpc-status", "0")])).unwrap(),
        (13, "protocol: the call ended with `OK` and without a message", false),
    ),
    (
        "two messages",
        |mut asked| {
            let mut stream = asked.head(&[], false);
            stream.send_data([message(b"a"), message(b"b")].concat().into(), false).unwrap();
            asked.note_reset();
            std::mem::forget(stream);
        },
        (13, "protocol: more than one message came for a unary call", false),
    ),
    (
        "4 GiB announced",
        |mut asked| {
            let mut stream = asked.head(&[], false);
            stream.send_data(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1]), false).unwrap();
            asked.note_reset();
            std::mem::forget(stream);
        },
        (8, "response body larger than 1048576 bytes", false),
    ),
    (
        "compressed without a word",
        |mut asked| {
            let mut stream = asked.head(&[], false);
            stream.send_data(Bytes::from_static(&[1, 0, 0, 0, 1, 1]), false).unwrap();
            std::mem::forget(stream);
        },
        (13, "protocol: a message is compressed, and no `grpc-encoding` says how", false),
    ),
    (
        "a page",
        |mut asked| {
            let head = Response::builder().header("content-type", "text/html").body(()).unwrap();
            let mut stream = asked.respond.send_response(head, false).unwrap();
            stream.send_data(Bytes::from_static(b"<html>"), true).unwrap();
        },
        (2, "protocol: the answer's content type is `text/html`, not gRPC's", false),
    ),
    (
        "not found",
        |mut asked| drop(asked.respond.send_response(Response::builder().status(404).body(()).unwrap(), true)),
        (12, "protocol: the server answered with HTTP status 404", false),
    ),
    (
        "a reset",
        |mut asked| asked.respond.send_reset(Reason::ENHANCE_YOUR_CALM),
        (8, "http2: stream error with http2 ErrCode ENHANCE_YOUR_CALM", false),
    ),
    (
        "a reset in a message",
        |mut asked| {
            let mut stream = asked.head(&[], false);
            stream.send_data(Bytes::from_static(&[0, 0, 0, 0, 9, 1]), false).unwrap();
            stream.send_reset(Reason::CANCEL);
        },
        (1, "http2: stream error with http2 ErrCode CANCEL", false),
    ),
];

#[tokio::test]
async fn a_call_ends_as_the_server_or_the_specification_says() {
    for &(name, behave, expected) in ENDINGS {
        local(async {
            let (address, _) = serve(behave).await;
            let answer = Vu::one().unary(&address, b"hello").await;
            assert_eq!(outcome(&answer), expected, "{name}");
        })
        .await;
    }
}

#[tokio::test]
async fn compressed_messages_are_opened_and_bombs_are_not() {
    local(async {
        let zeros = vec![0; 3 << 20];
        let gzip = |text| Box::pin(async move { encode(&[Coding::Gzip], Body::Whole(text)).await.unwrap() });
        let (bomb, small) = (gzip(&zeros).await, gzip(b"hello").await);
        let (address, _) = serve(move |mut asked| {
            let body = if asked.number == 1 { &small } else { &bomb };
            let mut bytes = vec![1];
            bytes.extend((body.len() as u32).to_be_bytes());
            bytes.extend(body);
            let mut stream = asked.head(&[("grpc-encoding", "gzip")], false);
            stream.send_data(bytes.into(), false).unwrap();
            stream.send_trailers(trailers(&[("grpc-status", "0")])).unwrap();
        })
        .await;
        let mut vu = Vu::one();
        assert_eq!(vu.unary(&address, b"").await.message.as_deref(), Some(&b"hello"[..]));
        let answer = vu.unary(&address, b"").await;
        assert_eq!(
            (answer.status.code, answer.status.cause),
            (Code::RESOURCE_EXHAUSTED, Some(Error::TooLarge(1 << 20)))
        );
    })
    .await;
}

#[tokio::test]
async fn a_deadline_holds_and_the_server_is_told() {
    local(async {
        let (address, seen) = serve(Asked::note_reset).await;
        let mut vu = Vu::one();
        let begun = Instant::now();
        let answer = vu.try_unary(&address, b"a", 100, Duration::from_millis(100)).await.unwrap();
        assert_eq!(outcome(&answer), (4, "the deadline is over", false));
        assert!((100..2_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        let mut call = vu.begin(&address, Some(Duration::from_millis(100))).await;
        assert!(matches!(call.next(Some(Instant::now())).await, Ok(None)));
        let Ok(Some(Event::End(status, _))) = call.next(None).await else { panic!("no end") };
        assert_eq!((status.code, status.cause), (Code::DEADLINE_EXCEEDED, Some(Error::Timeout)));
        assert!(call.next(None).await.is_err() && call.send(Bytes::new()).await.is_err());
        sleep(Duration::from_millis(50)).await;
        assert_eq!(*seen.resets.borrow(), [Reason::CANCEL, Reason::CANCEL]);
        assert_eq!(seen.connections.get(), 1, "a call that is late costs no connection");
    })
    .await;
}

#[tokio::test]
async fn what_the_server_has_not_seen_is_sent_again_once() {
    local(async {
        let (address, seen) = serve(|mut asked| match asked.number {
            1 | 3 | 4 => asked.respond.send_reset(Reason::REFUSED_STREAM),
            _ => echo(asked),
        })
        .await;
        let mut vu = Vu::one();
        assert_eq!(vu.unary(&address, b"a").await.message.as_deref(), Some(&b"a"[..]));
        assert_eq!(vu.unary(&address, b"a").await.status.code, Code::UNAVAILABLE);
        assert_eq!(seen.requests.borrow().len(), 4);
    })
    .await;
}

#[tokio::test]
async fn streams_go_both_ways_and_say_when_messages_came() {
    local(async {
        let (address, _) = serve(|mut asked| {
            spawn_local(async move {
                let mut stream = asked.head(&[], false);
                for _ in 0..3 {
                    let bytes = asked.body.data().await.unwrap().unwrap();
                    stream.send_data(bytes, false).unwrap();
                }
                while asked.body.data().await.is_some() {}
                stream.send_trailers(trailers(&[("grpc-status", "0")])).unwrap();
            });
        })
        .await;
        let mut call = Vu::one().begin(&address, None).await;
        assert!(matches!(call.next(None).await, Ok(Some(Event::Headers(_)))));
        let mut arrived = Vec::new();
        for text in [&b"one"[..], b"two", b"three"] {
            call.send(Bytes::copy_from_slice(text)).await.unwrap();
            sleep(Duration::from_millis(50)).await;
        }
        // All of them came while nobody asked.
        for text in [&b"one"[..], b"two", b"three"] {
            let Ok(Some(Event::Message(bytes))) = call.next(None).await else { panic!("no message") };
            assert_eq!(bytes, text);
            arrived.push(call.arrived().as_millis());
        }
        assert!(arrived[0] + 40 < arrived[1] && arrived[1] + 40 < arrived[2], "{arrived:?}");
        assert!(matches!(call.next(Some(Instant::now() + Duration::from_millis(10))).await, Ok(None)));
        call.end();
        let Ok(Some(Event::End(status, _))) = call.next(None).await else { panic!("no end") };
        assert_eq!(status.code, Code::OK);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_reads_nothing_stops_the_sender_and_not_the_deadline() {
    local(async {
        let (address, seen) = serve(|mut asked| {
            let mut stream = asked.head(&[], false);
            spawn_local(async move {
                let reason = std::future::poll_fn(|context| stream.poll_reset(context)).await.unwrap();
                asked.seen.resets.borrow_mut().push(reason);
            });
        })
        .await;
        let mut vu = Vu::one();
        let mut call = vu.begin(&address, Some(Duration::from_millis(200))).await;
        let mut sent = 0;
        while call.send(Bytes::from(vec![0; 16 << 10])).await.is_ok() {
            sent += 1;
        }
        assert!(sent <= 5, "{sent} messages, where the window is 64 KiB");
        loop {
            if let Some(Event::End(status, _)) = call.next(None).await.unwrap() {
                break assert_eq!(status.code, Code::DEADLINE_EXCEEDED);
            }
        }
        sleep(Duration::from_millis(50)).await;
        assert_eq!(*seen.resets.borrow(), [Reason::CANCEL]);
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_cancelled() {
    local(async {
        let (address, seen) = serve(Asked::note_reset).await;
        let mut vu = Vu::one();
        let call = vu.begin(&address, None).await;
        sleep(Duration::from_millis(20)).await;
        drop(call);
        sleep(Duration::from_millis(50)).await;
        assert_eq!(*seen.resets.borrow(), [Reason::CANCEL]);
    })
    .await;
}

#[tokio::test]
async fn connections_are_kept_shared_or_opened_anew() {
    for (connections, expected) in [(Connections::PerVu, 3), (Connections::Shared(3), 1), (Connections::PerRequest, 6)]
    {
        local(async {
            let (address, seen) = serve(echo).await;
            let shared = shared();
            let mut vus = [1, 2, 3].map(|vu| Vu::new(&shared, vu, connections));
            for _ in 0..2 {
                for vu in &mut vus {
                    vu.unary(&address, b"a").await;
                }
            }
            assert_eq!(seen.connections.get(), expected, "{connections:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn what_does_not_speak_http_2_is_found_out_at_once() {
    local(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        spawn_local(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                sleep(Duration::from_secs(5)).await;
            }
        });
        let mut vu = Vu::one();
        let channel = vu.channel(&address);
        let error = channel.ready(&vu.client, &mut vu.opening).await.unwrap_err();
        assert!(matches!(&error, Error::Protocol(why) if why.contains("does not speak HTTP/2")), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn addresses_and_methods_that_cannot_be_are_refused() {
    let vu = Vu::one();
    let channel = |address: &str, authority| vu.channels.channel(&vu.client, "test", address, true, authority);
    for bad in ["", ":1", "a b:1", "http://a:1", "a:1/x", "a:99999", "u@a:1", "a:1?x", "a:1#x", "{{secret:x}}:1"] {
        assert!(matches!(channel(bad, None), Err(Error::InvalidRequest(_))), "{bad}");
    }
    for bad in ["a b", "", "a/b", "a\n"] {
        assert!(matches!(channel("a:1", Some(bad)), Err(Error::InvalidRequest(_))), "{bad:?}");
    }
    let there = channel("[::1]:50051", Some("shop.test")).unwrap();
    assert_eq!((there.destination().to_string(), there.authority()), ("grpc://[::1]:50051".to_owned(), "shop.test"));
    assert_eq!(there.uri("/a.B/C").unwrap(), "http://shop.test/a.B/C");
    for bad in ["", "/", "a", "a/", "/b", "a/b/c", "a/b?c", "a/b#c", "a/b c", "a/\u{0}"] {
        assert!(matches!(there.uri(bad), Err(Error::InvalidRequest(_))), "{bad:?}");
    }
}
