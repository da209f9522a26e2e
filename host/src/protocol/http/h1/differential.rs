//! The same answers given to our decoder whole, to it in pieces, and to hyper's client: all three must see the same.

use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::decode::Decoder;

/// What became of an answer: its status and body, or an error.
type Seen = Result<(u16, Vec<u8>), String>;

/// Feeds pieces to our decoder until the answer is complete, then the end of the stream, as the client does.
fn ours<'a>(method: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut decoder = Decoder::new(method, 1 << 20, true, Vec::new());
    for piece in pieces {
        decoder.feed(piece).map_err(|error| error.to_string())?;
        if decoder.is_done() {
            break;
        }
    }
    if !decoder.is_done() {
        decoder.end().map_err(|error| error.to_string())?;
    }
    let status = decoder.status();
    let (raw, head) = decoder.into_raw();
    Ok((status, raw[head..].to_vec()))
}

/// Gives an answer to hyper's client, on a connection that ends with it.
fn hypers(method: &str, answer: &[u8]) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(64 << 10);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection);
        let answer = answer.to_vec();
        tokio::spawn(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && far.read_buf(&mut request).await.unwrap() > 0 {}
            // A client that saw enough has hung up.
            let _ = far.write_all(&answer).await;
        });
        let request = hyper::Request::builder().method(method).uri("/").header("host", "a");
        let request = request.body(Empty::<&[u8]>::new()).unwrap();
        let answer = sender.send_request(request).await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|error| format!("{error:?}"))?;
        Ok((status, body.to_bytes().to_vec()))
    })
}

/// How a body is delimited.
#[derive(Debug, Clone)]
enum Framing {
    Length,
    /// In chunks of about this size, with such a suffix of each size and such trailers.
    Chunked(usize, &'static str, &'static str),
    UntilClose,
}

fn framing() -> impl Strategy<Value = Framing> {
    let suffix = select(vec!["", ";a=b", ";a=\"b\"", " ;a"]);
    let trailers = select(vec!["", "checksum: 1\r\n", "a: b\r\nc: d\r\n"]);
    prop_oneof![
        Just(Framing::Length),
        (1..40_usize, suffix, trailers).prop_map(|(size, suffix, trailers)| Framing::Chunked(size, suffix, trailers)),
        Just(Framing::UntilClose),
    ]
}

/// A well-formed answer.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let interim = select(vec!["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"]);
    let status =
        select(vec!["200 OK", "201 Created", "204 No Content", "302 Found", "304 Not Modified", "404", "500 "]);
    let headers = prop::collection::vec(
        select(vec![
            "server: x",
            "Content-Type:text/plain",
            "set-cookie: a=b; Path=/",
            "empty:",
            "date:  now\t",
            "x: \u{e9}",
        ]),
        0..4,
    );
    let connection = select(vec!["", "connection: close\r\n", "Connection: Keep-Alive\r\n"]);
    let body = prop::collection::vec(any::<u8>(), 0..120);
    (interim, status, headers, connection, framing(), body).prop_map(
        |(interim, status, headers, connection, framing, body)| {
            let mut text = format!("{interim}HTTP/1.1 {status}\r\n{connection}");
            let headers: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
            text.push_str(&headers);
            let has_body = !status.starts_with("204") && !status.starts_with("304");
            let (fields, body) = match framing {
                Framing::Length => (format!("content-length: {}\r\n", body.len()), body),
                Framing::Chunked(size, suffix, trailers) => {
                    let mut coded = Vec::new();
                    for chunk in body.chunks(size) {
                        coded.extend_from_slice(format!("{:X}{suffix}\r\n", chunk.len()).as_bytes());
                        coded.extend_from_slice(chunk);
                        coded.extend_from_slice(b"\r\n");
                    }
                    coded.extend_from_slice(format!("0{suffix}\r\n{trailers}\r\n").as_bytes());
                    ("Transfer-Encoding: chunked\r\n".to_owned(), coded)
                }
                Framing::UntilClose => (String::new(), body),
            };
            let mut bytes = (text + &fields + "\r\n").into_bytes();
            bytes.extend(if has_body { body } else { Vec::new() });
            bytes
        },
    )
}

/// How an answer is damaged.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = || prop_oneof![any::<u8>(), select(b"\r\n :;,0123456789aF".to_vec())];
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<Index>().prop_map(Damage::Remove),
    ]
}

fn damaged(mut answer: Vec<u8>, damage: &Damage) -> Vec<u8> {
    match damage {
        Damage::Cut(at) => answer.truncate(at.index(answer.len())),
        Damage::Replace(at, byte) => {
            let at = at.index(answer.len());
            answer[at] = *byte;
        }
        Damage::Insert(at, byte) => answer.insert(at.index(answer.len()), *byte),
        Damage::Remove(at) => {
            answer.remove(at.index(answer.len()));
        }
    }
    answer
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).filter(|piece| !piece.is_empty()).collect()
}

fn same(left: &Seen, right: &Seen) -> bool {
    match (left, right) {
        (Ok(left), Ok(right)) => left == right,
        (Err(_), Err(_)) => true,
        _ => false,
    }
}

/// Whether we and hyper differ where we mean to.
fn differ_on_purpose(ours: &Seen, theirs: &Seen) -> bool {
    match (ours, theirs) {
        // Nobody asked for another protocol, so we do not take one.
        (Err(error), Ok((101, _))) => error.contains("status 101"),
        // hyper does not look at the framing where there is no body. We refuse a wrong one in any answer.
        (Err(error), Ok((_, body))) if error.contains("is not a length") || error.contains("of HTTP/1.0") => {
            body.is_empty()
        }
        // hyper lets a line of the trailers end with LF alone.
        (Err(error), Ok(_)) => error.contains("does not end with CRLF"),
        // We drop trailers without looking at what they are, or how many.
        (Ok(_), Err(error)) => ["HeaderName", "HeaderValue", "trailers count"].iter().any(|why| error.contains(why)),
        _ => false,
    }
}

fn method() -> impl Strategy<Value = &'static str> {
    select(vec!["GET", "GET", "POST", "HEAD"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_good_answer_is_the_same_to_us_and_to_hyper(
        method in method(), answer in answer(), cuts in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let whole = ours(method, [&answer[..]]);
        prop_assert!(whole.is_ok(), "{whole:?}");
        prop_assert_eq!(&ours(method, pieces(&answer, &cuts)), &whole);
        prop_assert_eq!(&hypers(method, &answer), &whole);
    }

    #[test]
    fn a_damaged_answer_is_the_same_to_us_and_to_hyper(
        method in method(), answer in answer(), damage in damage(), cuts in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let answer = damaged(answer, &damage);
        let whole = ours(method, [&answer[..]]);
        let cut = ours(method, pieces(&answer, &cuts));
        prop_assert!(same(&cut, &whole), "in pieces {cut:?}, whole {whole:?}");
        let theirs = hypers(method, &answer);
        prop_assert!(
            same(&theirs, &whole) || differ_on_purpose(&whole, &theirs),
            "{:?}\nhyper {theirs:?}\nours {whole:?}",
            String::from_utf8_lossy(&answer)
        );
    }
}
