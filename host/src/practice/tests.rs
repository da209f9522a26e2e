//! The server over real sockets.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

/// An answer as it came.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body should be JSON")
    }
}

fn start(options: &Options) -> Server {
    serve(options, NonZeroUsize::new(2).expect("2 is not 0")).expect("the server should start")
}

/// Sends one request on a connection of its own, which the server closes after its answer.
fn send(addr: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).unwrap();
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").expect("a head should end");
    let head = String::from_utf8(raw[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer { status, headers: headers.collect(), body: raw[end + 4..].to_vec() }
}

fn get(server: &Server, target: &str) -> Answer {
    send(server.addr(), "GET", target, "", "")
}

#[test]
fn a_token_from_login_opens_the_profile_and_nothing_else_does() {
    let server = start(&Options::default());
    let login = |body: &str| send(server.addr(), "POST", "/auth/login", "", body);
    let answer = login(r#"{"username":"ann","password":"secret"}"#);
    assert_eq!((answer.status, &answer.json()["expires_in"]), (200, &json!(3600)));
    let token = answer.json()["token"].as_str().unwrap().to_owned();

    let with_token = format!("authorization: Bearer {token}\r\n");
    let profile = send(server.addr(), "GET", "/api/auth/profile", &with_token, "");
    assert_eq!((profile.status, &profile.json()["username"]), (200, &json!("ann")));
    assert_eq!(get(&server, "/auth/profile").status, 401);
    assert_eq!(send(server.addr(), "GET", "/auth/profile", "authorization: Bearer 00.00\r\n", "").status, 401);

    assert_eq!(login(r#"{"username":"ann","password":"wrong"}"#).status, 401);
    for body in [r#"{"username":"ann"}"#, r#"{"password":"x"}"#, "[]", "no json", ""] {
        assert_eq!(login(body).status, 400, "{body}");
    }
}

#[test]
fn a_door_opens_to_its_name_and_password_only() {
    let server = start(&Options::default());
    let closed = get(&server, "/basic-auth/ann/secret");
    assert_eq!((closed.status, closed.headers["www-authenticate"].as_str()), (401, "Basic realm=\"practice\""));
    let with = |authorization: &str| {
        let header = format!("authorization: {authorization}\r\n");
        send(server.addr(), "GET", "/basic-auth/ann/secret", &header, "").status
    };
    // `ann:secret` and `ann:wrong`
    assert_eq!((with("Basic YW5uOnNlY3JldA=="), with("Basic YW5uOndyb25n")), (200, 401));
    let closed = get(&server, "/digest-auth/ann/secret?algorithm=SHA-256");
    assert_eq!(closed.status, 401);
    assert!(closed.headers["www-authenticate"].contains("algorithm=SHA-256"));
}

#[test]
fn redirects_and_headers_are_as_the_query_asks() {
    let server = start(&Options::default());
    let sent_on = get(&server, "/redirect-to?url=http%3A%2F%2Fh%2F&status=307");
    assert_eq!((sent_on.status, sent_on.headers["location"].as_str()), (307, "http://h/"));
    assert_eq!((get(&server, "/redirect-to").status, get(&server, "/redirect-to?url=x&status=200").status), (400, 400));
    let answer = get(&server, "/response-headers?X-One=1%202&no%20name=x");
    assert_eq!((answer.status, answer.headers["x-one"].as_str()), (200, "1 2"));
}

#[test]
fn a_workflow_is_created_read_run_changed_and_deleted() {
    let server = start(&Options::default());
    let created = send(server.addr(), "POST", "/workflows", "", r#"{"name":"mine"}"#);
    assert_eq!(created.status, 201);
    let at = created.headers["location"].clone();
    assert_eq!(at, format!("/workflows/{}", created.json()["id"]));
    assert_eq!(get(&server, &at).json()["name"], "mine");
    assert_eq!(send(server.addr(), "POST", &format!("{at}/execute"), "", "").status, 202);
    assert_eq!(get(&server, &format!("{at}/metrics")).json()["executions"], 1);
    assert_eq!(send(server.addr(), "PUT", &at, "", r#"{"name":"yours"}"#).json()["name"], "yours");
    assert_eq!(send(server.addr(), "DELETE", &at, "", "").status, 204);
    assert_eq!(get(&server, &at).status, 404);
    assert_eq!(get(&server, "/workflows/none").status, 404);
    for body in ["", "[1]", r#"{"name":1}"#] {
        assert_eq!(send(server.addr(), "POST", "/workflows", "", body).status, 400, "{body}");
    }
    let under_api = send(server.addr(), "POST", "/api/workflows", "", "{}");
    assert!(under_api.headers["location"].starts_with("/api/workflows/"));
}

#[test]
fn workflows_come_in_pages() {
    let server = start(&Options::default());
    let page = get(&server, "/workflows?page=2&limit=10").json();
    assert_eq!((&page["page"], &page["limit"], &page["items"][0]["id"]), (&json!(2), &json!(10), &json!(15)));
    assert_eq!(page["items"].as_array().unwrap().len(), 10);
    assert_eq!(page["total"], 25);
    assert_eq!(get(&server, "/workflows?page=0").status, 400);
    assert_eq!(get(&server, "/workflows?limit=x").status, 400);
}

#[test]
fn the_plain_routes_answer() {
    let server = start(&Options::default());
    assert_eq!(get(&server, "/health").json(), json!({ "status": "ok" }));
    assert_eq!((get(&server, "/").status, get(&server, "/").body.len()), (200, 103));
    assert_eq!(get(&server, "/analytics/dashboard").json()["totals"]["workflows"], 25);
    assert_eq!(get(&server, "/search?q=a%20b").json()["query"], "a b");
    assert_eq!(get(&server, "/search").status, 400);
    assert_eq!(get(&server, "/nowhere").status, 404);
    let refused = send(server.addr(), "DELETE", "/health", "", "");
    assert_eq!((refused.status, refused.headers["allow"].as_str()), (405, "GET, HEAD"));
}

#[test]
fn a_status_is_answered_as_asked() {
    let server = start(&Options::default());
    for status in [200, 201, 204, 304, 404, 418, 503, 599] {
        assert_eq!(get(&server, &format!("/status/{status}")).status, status);
    }
    for status in ["100", "600", "x"] {
        assert_eq!(get(&server, &format!("/status/{status}")).status, 400);
    }
}

#[test]
fn bytes_and_chunks_have_the_length_asked_for() {
    let server = start(&Options::default());
    for length in [0, 10, 100_000] {
        let answer = get(&server, &format!("/bytes/{length}"));
        assert_eq!((answer.body.len(), answer.headers["content-length"].clone()), (length, length.to_string()));
    }
    let chunked = get(&server, "/chunked/2500");
    assert_eq!(chunked.headers["transfer-encoding"], "chunked");
    // Three chunks, each with its length in hexadecimal before and a line feed after, then the empty one.
    assert_eq!(chunked.body.len(), 2500 + 2 * "3e8\r\n\r\n".len() + "1f4\r\n\r\n".len() + "0\r\n\r\n".len());
    assert_eq!(get(&server, "/bytes/99999999999").status, 400);
}

#[test]
fn echo_says_what_was_sent() {
    let server = start(&Options::default());
    let echo = send(server.addr(), "PATCH", "/echo?a=1&b=x%20y&a=2", "x-mine: yes\r\n", "hello").json();
    assert_eq!((&echo["method"], &echo["body"], &echo["path"]), (&json!("PATCH"), &json!("hello"), &json!("/echo")));
    assert_eq!((&echo["headers"]["x-mine"], &echo["query"]), (&json!("yes"), &json!({ "a": "1, 2", "b": "x y" })));
}

#[test]
fn redirects_count_down_and_cookies_come_back() {
    let server = start(&Options::default());
    let redirect = get(&server, "/api/redirect/2");
    assert_eq!((redirect.status, redirect.headers["location"].as_str()), (302, "/api/redirect/1"));
    assert_eq!(get(&server, "/redirect/0").status, 200);

    let set = get(&server, "/cookies/set?k=v");
    assert_eq!((set.status, set.headers["location"].as_str()), (302, "/cookies"));
    assert_eq!(set.headers["set-cookie"], "k=v; Path=/");
    let cookies = send(server.addr(), "GET", "/cookies", "cookie: k=v; other=1\r\n", "");
    assert_eq!(cookies.json(), json!({ "cookies": { "k": "v", "other": "1" } }));
}

#[test]
fn beyond_the_limit_the_answer_is_429_with_retry_after() {
    let server = start(&Options::default());
    let statuses: Vec<u16> = (0..12).map(|_| get(&server, "/limited").status).collect();
    assert_eq!(&statuses[..10], [200; 10]);
    let limited = get(&server, "/limited");
    assert_eq!((limited.status, limited.headers["retry-after"].as_str()), (429, "1"));
    assert_eq!(get(&server, "/health").status, 200, "only `/limited` is limited where no option is set");

    let server = start(&Options { rate_limit: NonZeroUsize::MIN.try_into().ok(), ..Options::default() });
    assert_eq!(get(&server, "/health").status, 200);
    assert_eq!(get(&server, "/health").status, 429);
}

#[test]
fn a_delay_a_latency_and_a_stall_are_waited_for() {
    let server = start(&Options::default());
    let took = |server: &Server, target: &str| {
        let before = Instant::now();
        assert_eq!(get(server, target).status, 200);
        before.elapsed()
    };
    assert!(took(&server, "/delay/50") >= Duration::from_millis(50));
    assert_eq!(get(&server, "/delay/600001").status, 400);
    let slow = start(&Options { latency: "40ms".parse().ok(), ..Options::default() });
    assert!(took(&slow, "/health") >= Duration::from_millis(40));

    let before = Instant::now();
    let stalled = start(&Options { stalls: vec!["0s:300ms".parse().unwrap()], ..Options::default() });
    took(&stalled, "/health");
    // The server was ready before it said so, so its stall is already running.
    assert!(before.elapsed() >= Duration::from_millis(250));
}

#[test]
fn errors_come_at_the_rate_asked_for() {
    let broken = start(&Options { error_rate: 1.0, ..Options::default() });
    assert_eq!(get(&broken, "/health").status, 500);
    assert_eq!(get(&broken, "/__stats").status, 200, "what the server says about itself is not disturbed");
    let error = serve(&Options { error_rate: 1.5, ..Options::default() }, NonZeroUsize::MIN).unwrap_err();
    assert_eq!(error.to_string(), "an error rate of 1.5 is not possible: it goes from 0 to 1");
}

#[test]
fn the_server_says_what_it_saw() {
    let server = start(&Options { record: 2, ..Options::default() });
    get(&server, "/workflows/3");
    get(&server, "/api/workflows/4?x=1");
    get(&server, "/nowhere");
    let stats: Stats = serde_json::from_slice(&get(&server, "/__stats").body).unwrap();
    assert_eq!((stats.requests, stats.connections, stats.max_in_flight), (3, 4, 1));
    let by_route = BTreeMap::from([("/workflows/{id}".to_owned(), 2), ("unknown".to_owned(), 1)]);
    assert_eq!((stats.by_route, stats.by_status), (by_route, BTreeMap::from([(200, 2), (404, 1)])));
    assert_eq!(stats.by_second.iter().sum::<u64>(), 3);
    let targets: Vec<_> = server.recorded().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/workflows/3", "/api/workflows/4?x=1"], "only the first two are kept");

    assert_eq!(get(&server, "/__stats/reset").status, 405);
    assert_eq!(send(server.addr(), "POST", "/__stats/reset", "", "").status, 200);
    assert_eq!(server.stats().requests, 0);
}

#[test]
fn one_connection_serves_many_requests_also_when_nobody_reads_their_bodies() {
    let server = start(&Options::default());
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    for _ in 0..3 {
        stream.write_all(b"POST /status/204 HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nhello").unwrap();
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer[..length]));
    }
    let stats = server.stats();
    assert_eq!((stats.requests, stats.connections, stats.open_connections), (3, 1, 1));
}

#[test]
fn a_stop_closes_connections_and_frees_the_port() {
    let server = start(&Options::default());
    let addr = server.addr();
    let mut waiting = TcpStream::connect(addr).unwrap();
    waiting.write_all(b"GET /delay/600000 HTTP/1.1\r\nhost: t\r\n\r\n").unwrap();
    while server.stats().in_flight == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(server.stop().requests, 1);
    assert!(matches!(waiting.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    let server = start(&Options::default());
    let error = serve(&Options { listen: server.addr(), ..Options::default() }, NonZeroUsize::MIN).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on `{}`", server.addr()));
}

#[test]
fn a_form_is_taken_with_the_token_of_its_page_only() {
    let server = start(&Options::default());
    let page = get(&server, "/html");
    assert_eq!((page.status, &*page.headers["content-type"]), (200, "text/html; charset=utf-8"));
    let page = String::from_utf8(page.body).unwrap();
    let token = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let order = |body: &str| send(server.addr(), "POST", "/html", "", body);
    let ordered = order(&format!("item=3&csrf={token}"));
    assert_eq!((ordered.status, &ordered.json()["order"]["id"]), (201, &json!("order-3")));
    assert_eq!(order(&format!("csrf={token}")).status, 400);
    assert_eq!((order("item=3").status, order("item=3&csrf=00.00").status), (403, 403));
}

#[test]
fn json_is_as_large_as_asked() {
    let server = start(&Options::default());
    assert_eq!(get(&server, "/json/large?items=3").json()["items"][2]["id"], 3);
    assert_eq!(get(&server, "/json/large").json()["total"], 60);
    assert_eq!(
        (get(&server, "/json/large?items=100001").status, get(&server, "/json/large?items=x").status),
        (400, 400)
    );
}

#[test]
fn events_go_on_after_the_last_that_was_seen_and_end_with_204() {
    let server = start(&Options::default());
    let sse = |target: &str, headers: &str| send(server.addr(), "GET", target, headers, "");
    let body = |answer: &Answer| String::from_utf8(answer.body.clone()).unwrap();
    let answer = sse("/sse?count=3&retry=20&event=tick", "");
    assert_eq!((answer.status, &*answer.headers["content-type"]), (200, "text/event-stream"));
    assert!(body(&answer).contains("retry: 20\nevent: tick\nid: 1\ndata: {\"number\":1,"), "{}", body(&answer));
    assert_eq!(body(&answer).matches("data: ").count(), 3);
    let answer = sse("/sse?count=3", "last-event-id: 2\r\n");
    assert!(body(&answer).contains("id: 3\n") && !body(&answer).contains("id: 2\n"), "{}", body(&answer));
    assert_eq!(sse("/sse?count=3", "last-event-id: 3\r\n").status, 204);
    let answer = sse("/sse?count=3&drop=2", "");
    assert_eq!(body(&answer).matches("data: ").count(), 2);
    assert!(!body(&answer).ends_with("0\r\n\r\n"), "the answer should be broken off");
    assert_eq!(get(&server, "/sse?count=x").status, 400);
}

#[test]
fn events_come_when_they_are_due() {
    let server = start(&Options::default());
    let began = Instant::now();
    let answer = get(&server, "/jsonl?count=4&first=60&every=20");
    assert!(began.elapsed() >= Duration::from_millis(120), "{:?}", began.elapsed());
    assert_eq!(String::from_utf8(answer.body).unwrap().matches("\"number\":").count(), 4);
}

#[test]
fn a_chat_streams_tokens_and_says_what_they_cost() {
    let server = start(&Options::default());
    let chat = |target: &str, body: Value| send(server.addr(), "POST", target, "", &body.to_string());
    let asked = json!({"model": "m", "messages": [], "stream": true, "stream_options": {"include_usage": true}});
    let answer = chat("/v1/chat/completions?tokens=12", asked);
    let body = String::from_utf8(answer.body).unwrap();
    assert_eq!(body.matches("\"content\":").count(), 12, "{body}");
    assert!(body.contains("\"completion_tokens\":12") && body.contains("data: [DONE]\n\n"), "{body}");
    let answer = chat("/v1/chat/completions", json!({"messages": [], "max_tokens": 2})).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "The storm");
    assert_eq!(get(&server, "/v1/chat/completions").status, 405);
}
