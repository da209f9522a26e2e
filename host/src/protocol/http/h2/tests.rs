//! The client against a server of the `h2` crate in the same thread, without TLS.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::h2::server::{self, SendResponse};
use ::h2::{Reason, RecvStream};
use bytes::Bytes;
use http::Response;
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use crate::plan::Http;
use crate::plan::http::{Connections, Version};
use crate::protocol::door::Door;
use crate::protocol::http as ours;
use crate::protocol::http::{Client, Exchange, Owner, Protocol, Shared};
use crate::protocol::{Error, Network, RunPlaces};

/// What the server saw.
#[derive(Default)]
struct Seen {
    connections: Cell<usize>,
    open: Cell<usize>,
    requests: RefCell<Vec<String>>,
    resets: Cell<usize>,
}

/// What the server does with a request: the how many-th it is of all, and of its connection.
type Behave = Rc<dyn Fn(Turn, SendResponse<Bytes>, RecvStream)>;

struct Turn {
    seen: Rc<Seen>,
}

/// Starts a server with this many streams per connection; returns its URL and what it sees.
async fn serve(streams: u32, behave: impl Fn(Turn, SendResponse<Bytes>, RecvStream) + 'static) -> (String, Rc<Seen>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (seen, behave): (Rc<Seen>, Behave) = (Rc::default(), Rc::new(behave));
    let all = Rc::clone(&seen);
    spawn_local(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (seen, behave) = (Rc::clone(&all), Rc::clone(&behave));
            seen.connections.set(seen.connections.get() + 1);
            seen.open.set(seen.open.get() + 1);
            spawn_local(async move {
                let mut server = server::Builder::new();
                server.max_concurrent_streams(streams).initial_window_size(1 << 20);
                let mut server = server.handshake::<_, Bytes>(socket).await.unwrap();
                while let Some(Ok((request, respond))) = server.accept().await {
                    let (parts, body) = request.into_parts();
                    let line = format!("{} {} {:?} {:?}", parts.method, parts.uri, parts.version, parts.headers);
                    seen.requests.borrow_mut().push(line);
                    behave(Turn { seen: Rc::clone(&seen) }, respond, body);
                }
                seen.open.set(seen.open.get() - 1);
            });
        }
    });
    (url, seen)
}

fn answer(respond: &mut SendResponse<Bytes>, body: &'static str) {
    let head = Response::builder().header("x-a", "1").header("x-a", "2").body(()).unwrap();
    let mut stream = respond.send_response(head, body.is_empty()).unwrap();
    if !body.is_empty() {
        stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
    }
}

fn shared() -> Rc<Shared> {
    shared_with(Http::default())
}

fn shared_with(settings: Http) -> Rc<Shared> {
    Rc::new(Shared::new(Network::new(&Arc::new(Http { version: Version::Http2, ..settings }), Door::default())))
}

fn client(shared: &Rc<Shared>, vu: u32, connections: Connections) -> Client {
    Client::new(shared, Owner { vu, connections }, "test")
}

async fn send(client: &Client, method: &str, url: &str, body: Option<&[u8]>) -> Exchange {
    let target = client.shared().target(url).unwrap();
    let body = body.map(ours::Body::Whole);
    let request = ours::Request { method, target: &target, headers: &[], body, keep_body: true };
    client.exchange(&request, &target, Instant::now() + Duration::from_secs(10)).await
}

async fn local<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(async { timeout(Duration::from_secs(30), test).await.expect("it hangs") }).await
}

#[tokio::test]
async fn an_answer_looks_as_it_does_in_http_1() {
    local(async {
        let (url, seen) = serve(100, |_, mut respond, _| answer(&mut respond, "hello")).await;
        let client = client(&shared(), 1, Connections::PerVu);
        let exchange = send(&client, "GET", &(url.clone() + "a?b#c"), None).await;
        assert_eq!((exchange.peer.protocol, exchange.peer.reused), (Protocol::Http2, false));
        assert!(exchange.sent > 24 && exchange.received > 5 && exchange.timings.opening.connecting > Duration::ZERO);
        let response = exchange.result.unwrap();
        assert_eq!((response.status, response.body(), response.body_length), (200, &b"hello"[..], 5));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(response.headers(), [pair("x-a", "1"), pair("x-a", "2")]);
        assert!(send(&client, "GET", &url, None).await.peer.reused);
        assert_eq!(seen.connections.get(), 1);
        let request = &seen.requests.borrow()[0];
        assert!(request.starts_with(&format!("GET {url}a?b HTTP/2.0")) && request.contains("squall/"), "{request}");
    })
    .await;
}

#[tokio::test]
async fn bodies_go_both_ways_at_once() {
    local(async {
        let (url, _) = serve(100, |_, mut respond, mut body| {
            spawn_local(async move {
                // Answers before it has read anything, and sends back what comes.
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                while let Some(Ok(bytes)) = body.data().await {
                    let _ = body.flow_control().release_capacity(bytes.len());
                    stream.send_data(bytes, false).unwrap();
                }
                stream.send_data(Bytes::new(), true).unwrap();
            });
        })
        .await;
        let body: Vec<u8> = (0..3 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
        let exchange = send(&client(&shared(), 1, Connections::PerVu), "POST", &url, Some(&body)).await;
        assert!(exchange.sent > body.len() as u64 && exchange.received > body.len() as u64);
        assert_eq!(exchange.result.unwrap().body(), body);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_exchange_resets_its_stream_and_not_the_connection() {
    local(async {
        let (url, seen) = serve(1, |turn, mut respond, _| {
            if turn.seen.requests.borrow().len() > 1 {
                return answer(&mut respond, "");
            }
            spawn_local(async move {
                let reset = std::future::poll_fn(|context| respond.poll_reset(context)).await;
                assert_eq!(reset.unwrap(), Reason::CANCEL);
                turn.seen.resets.set(1);
            });
        })
        .await;
        let client = client(&shared(), 1, Connections::PerVu);
        assert!(timeout(Duration::from_millis(50), send(&client, "GET", &url, None)).await.is_err());
        // The server allows one stream, so this one could not be opened if the first were still there.
        assert_eq!(send(&client, "GET", &url, None).await.result.unwrap().status, 200);
        assert_eq!((seen.connections.get(), seen.resets.get()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_connection_ends_with_its_client() {
    local(async {
        let (url, seen) = serve(100, |_, mut respond, _| answer(&mut respond, "")).await;
        let client = client(&shared(), 1, Connections::PerVu);
        assert_eq!(send(&client, "GET", &url, None).await.result.unwrap().status, 200);
        assert_eq!(seen.open.get(), 1);
        drop(client);
        while seen.open.get() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn first_requests_at_once_share_one_connection_even_if_the_first_is_dropped() {
    local(async {
        let (url, seen) = serve(100, |_, mut respond, _| answer(&mut respond, "")).await;
        let shared = shared();
        let clients: Vec<Client> = (1..=20).map(|vu| client(&shared, vu, Connections::Shared(20))).collect();
        let mut first = Box::pin(send(&clients[0], "GET", &url, None));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut others =
            Box::pin(futures_util::future::join_all(clients[1..].iter().map(|client| send(client, "GET", &url, None))));
        assert!(futures_util::poll!(&mut others).is_pending());
        drop(first);
        assert!(others.await.iter().all(|exchange| exchange.result.is_ok() && !exchange.retried));
        // The one that was dropped may have connected already.
        assert!(seen.connections.get() <= 2 && seen.open.get() <= 2, "{} connections", seen.connections.get());
    })
    .await;
}

#[tokio::test]
async fn what_the_server_refused_is_sent_again_once_whatever_the_method() {
    local(async {
        let (url, seen) = serve(100, |turn, mut respond, _| {
            if turn.seen.requests.borrow().len() == 2 {
                return answer(&mut respond, "");
            }
            respond.send_reset(Reason::REFUSED_STREAM);
        })
        .await;
        let client = client(&shared(), 1, Connections::PerVu);
        let exchange = send(&client, "POST", &url, None).await;
        assert!(exchange.retried && exchange.result.is_ok());
        let exchange = send(&client, "POST", &url, None).await;
        assert_eq!(exchange.result.unwrap_err().code(), 1638);
        assert_eq!((seen.requests.borrow().len(), seen.connections.get()), (4, 1));
    })
    .await;
}

#[tokio::test]
async fn other_resets_are_errors_of_their_stream_alone() {
    local(async {
        let (url, seen) = serve(100, |turn, mut respond, _| {
            if turn.seen.requests.borrow().len() > 1 {
                return answer(&mut respond, "");
            }
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"half"), false).unwrap();
            spawn_local(async move {
                sleep(Duration::from_millis(20)).await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            });
        })
        .await;
        let client = client(&shared(), 1, Connections::PerVu);
        let exchange = send(&client, "GET", &url, None).await;
        assert!(!exchange.retried);
        let reason = "stream error with http2 ErrCode INTERNAL_ERROR".to_owned();
        assert_eq!(exchange.result.unwrap_err(), Error::Http2 { code: 1633, reason });
        assert!(send(&client, "GET", &url, None).await.result.is_ok());
        assert_eq!(seen.connections.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn requests_wait_for_a_stream_unless_connections_are_shared() {
    local(async {
        let behave = |_: Turn, mut respond: SendResponse<Bytes>, _: RecvStream| {
            spawn_local(async move {
                sleep(Duration::from_millis(20)).await;
                answer(&mut respond, "");
            });
        };
        let (url, seen) = serve(1, behave).await;
        let own = client(&shared(), 1, Connections::PerVu);
        assert!(send(&own, "GET", &url, None).await.result.is_ok());
        let exchanges = futures_util::future::join_all((0..5).map(|_| send(&own, "GET", &url, None))).await;
        assert!(exchanges.iter().all(|exchange| exchange.result.is_ok() && !exchange.retried));
        let longest = exchanges.iter().map(|exchange| exchange.timings.blocked).max().unwrap();
        assert!(longest >= Duration::from_millis(80), "{longest:?}");
        assert_eq!(seen.connections.get(), 1);
        let shared = client(&shared(), 1, Connections::Shared(1));
        assert!(send(&shared, "GET", &url, None).await.result.is_ok());
        let exchanges = futures_util::future::join_all((0..5).map(|_| send(&shared, "GET", &url, None))).await;
        assert!(exchanges.iter().all(|exchange| exchange.result.is_ok()));
        assert!(seen.connections.get() > 2, "another connection where streams are exhausted");
    })
    .await;
}

#[tokio::test]
async fn silence_and_idleness_have_their_limits() {
    local(async {
        let (url, seen) = serve(100, |turn, mut respond, _| {
            if turn.seen.requests.borrow().len() < 3 {
                return answer(&mut respond, "");
            }
            spawn_local(async move {
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data(Bytes::from_static(b"and then"), false).unwrap();
                sleep(Duration::from_mins(1)).await;
            });
        })
        .await;
        let limit = Some(Duration::from_millis(50));
        let client = client(
            &shared_with(Http { read_timeout: limit, idle_timeout: limit, ..Http::default() }),
            1,
            Connections::PerVu,
        );
        assert!(send(&client, "GET", &url, None).await.result.is_ok());
        sleep(Duration::from_millis(60)).await;
        assert!(!send(&client, "GET", &url, None).await.peer.reused);
        assert_eq!(seen.connections.get(), 2);
        let silent = send(&client, "GET", &url, None).await;
        assert_eq!(silent.result.unwrap_err(), Error::Timeout);
        assert!(silent.timings.total() < Duration::from_secs(5));
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_lies_idle_makes_room_for_another_origin() {
    local(async {
        let mut servers = Vec::new();
        for _ in 0..3 {
            servers.push(serve(100, |_, mut respond, _| answer(&mut respond, "x")).await);
        }
        let network = Network::new(&Arc::new(Http { version: Version::Http2, ..Http::default() }), Door::default());
        let network = network.with_places(2, Arc::new(RunPlaces::new(Some(2))));
        let shared = Rc::new(Shared::new(network));
        let [one, other] = [1, 2].map(|vu| client(&shared, vu, Connections::PerVu));
        for (url, _) in servers.iter().chain(&servers) {
            assert_eq!(send(&one, "GET", url, None).await.result.map(|answer| answer.status), Ok(200));
        }
        assert!(servers.iter().map(|(_, seen)| seen.open.get()).sum::<usize>() <= 3);
        let refused = send(&other, "GET", &servers[0].0, None).await.result.unwrap_err();
        assert_eq!(refused, Error::TooManyConnections { limit: 2, key: "limits.runConnections" });
        one.close_all();
        sleep(Duration::from_millis(100)).await;
        assert!(send(&other, "GET", &servers[0].0, None).await.result.is_ok(), "a closed one has given its place back");
    })
    .await;
}

#[test]
fn http_2_costs_those_who_do_not_use_it_next_to_nothing() {
    assert!(size_of::<Client>() <= 272, "{} bytes", size_of::<Client>());
    let client = client(&shared(), 1, Connections::PerVu);
    let exchange = send(&client, "GET", "http://a.test", None);
    assert!(size_of_val(&exchange) <= 2048, "{} bytes", size_of_val(&exchange));
}
