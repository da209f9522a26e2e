//! Connections of HTTP/1.1, against a server in the same thread.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

use super::*;
use crate::plan::Http;
use crate::protocol::door::Door;
use crate::protocol::{Network, RunPlaces};

/// Starts a server whose connections answer so many requests each and close on the next; returns its URL and counts its
/// connections.
async fn serve(answers: usize) -> (String, Rc<Cell<usize>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Rc::new(Cell::new(0));
    let all = Rc::clone(&connections);
    spawn_local(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            all.set(all.get() + 1);
            spawn_local(async move {
                let mut bytes = vec![0; 4096];
                for _ in 0..answers {
                    let Ok(1..) = socket.read(&mut bytes).await else { return };
                    socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                }
                let _ = socket.read(&mut bytes).await;
            });
        }
    });
    (url, connections)
}

async fn send(client: &Client, method: &str, url: &str) -> Exchange {
    let target = client.shared().target(url).unwrap();
    let request = Request { method, target: &target, headers: &[], body: None, keep_body: true };
    client.exchange(&request, &target, tokio::time::Instant::now() + Duration::from_secs(10)).await
}

fn clients(connections: Connections) -> [Client; 3] {
    let shared = Rc::new(Shared::new(Network::new(&Arc::new(Http::default()), Door::default())));
    [1, 2, 3].map(|vu| Client::new(&shared, Owner { vu, connections }, "test"))
}

#[tokio::test]
async fn vus_that_share_take_the_idle_connections_of_each_other() {
    let test = async {
        for (policy, expected) in [(Connections::PerVu, 3), (Connections::Shared(3), 1), (Connections::Shared(2), 2)] {
            let (url, connections) = serve(100).await;
            let clients = clients(policy);
            for client in clients.iter().chain(&clients) {
                assert!(send(client, "GET", &url).await.result.is_ok());
            }
            assert_eq!(connections.get(), expected, "{policy:?}");
        }
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn connections_are_counted_for_the_vu_and_for_the_run_and_idle_ones_make_room() {
    let test = async {
        let mut urls = Vec::new();
        for _ in 0..4 {
            urls.push(serve(100).await.0);
        }
        let run = Arc::new(RunPlaces::new(Some(3)));
        let shared = Shared::new(Network::new(&Arc::new(Http::default()), Door::default()).with_places(2, run));
        let (shared, connections) = (Rc::new(shared), Connections::PerVu);
        let [one, other, third] = [1, 2, 3].map(|vu| Client::new(&shared, Owner { vu, connections }, "test"));
        for url in urls.iter().chain(&urls) {
            assert!(send(&one, "GET", url).await.result.is_ok(), "an idle one makes room");
        }
        let at_once = urls.iter().map(|url| send(&one, "GET", url));
        let mut refused: Vec<Error> =
            futures_util::future::join_all(at_once).await.into_iter().filter_map(|sent| sent.result.err()).collect();
        assert!((1..=2).contains(&refused.len()), "{refused:?}");
        let expected = Error::TooManyConnections { limit: 2, key: "limits.maxConnections" };
        assert_eq!((refused.pop(), expected.code()), (Some(expected), 1210));
        assert!(send(&other, "GET", &urls[0]).await.result.is_ok());
        let full = send(&third, "GET", &urls[0]).await.result.unwrap_err();
        assert_eq!(full.to_string(), "too many connections: limit 3 (`limits.runConnections`)");
        let nowhere = send(&other, "GET", "http://127.0.0.1:1/").await.result.unwrap_err();
        assert_eq!(nowhere, Error::Refused, "one that could not be opened gives its place back");
        drop(one);
        for url in &urls {
            assert!(send(&third, "GET", url).await.result.is_ok());
        }
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn connections_of_one_request_each_are_given_back() {
    let test = async {
        let (url, _) = serve(1).await;
        let network = Network::new(&Arc::new(Http::default()), Door::default());
        let shared = Shared::new(network.with_places(1, Arc::default()));
        let owner = Owner { vu: 1, connections: Connections::PerRequest };
        let client = Client::new(&Rc::new(shared), owner, "test");
        for _ in 0..20 {
            assert!(send(&client, "GET", &url).await.result.is_ok());
        }
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_reused_connection_that_was_closed_is_tried_again_only_where_that_is_safe() {
    let test = async {
        let (url, connections) = serve(1).await;
        let [client, ..] = clients(Connections::PerVu);
        assert!(send(&client, "GET", &url).await.result.is_ok());
        let again = send(&client, "GET", &url).await;
        assert!(again.retried && again.result.is_ok() && connections.get() == 2);
        let post = send(&client, "POST", &url).await;
        assert_eq!((post.retried, post.result.unwrap_err()), (false, Error::Reset));
        let (url, connections) = serve(0).await;
        let fresh = send(&client, "GET", &url).await;
        assert_eq!((fresh.retried, fresh.result.unwrap_err(), connections.get()), (false, Error::Reset, 1));
    };
    LocalSet::new().run_until(test).await;
}
