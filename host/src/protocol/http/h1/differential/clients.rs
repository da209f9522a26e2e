//! An answer as our decoder sees it, and as hyper's client does.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::super::MAX_HEADERS;
use super::super::decode::Decoder;
use crate::protocol::Error;

/// What became of an answer.
pub(super) type Outcome = Result<Seen, Fault>;

/// Names in lower case, sorted by them; several of one name in the order they came.
pub(super) type Headers = Vec<(String, Vec<u8>)>;

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    /// Whether the connection takes another request.
    pub(super) reusable: bool,
}

/// Why there is none.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The connection ended too early.
    Incomplete,
    /// The answer is none.
    Invalid(String),
    /// The answer is not complete, and nothing more comes.
    Waiting,
}

/// Whether both came to the same. Why an answer is invalid may be told in other words.
pub(super) fn same(left: &Outcome, right: &Outcome) -> bool {
    match (left, right) {
        (Ok(left), Ok(right)) => left == right,
        (Err(left), Err(right)) => std::mem::discriminant(left) == std::mem::discriminant(right),
        _ => false,
    }
}

/// Feeds pieces to our decoder until the answer is complete, then the end of the stream if it ends, as the client does.
pub(super) fn ours(method: &str, pieces: &[&[u8]], ends: bool) -> Outcome {
    let fault = |error: Error| match error {
        Error::Reset => Fault::Incomplete,
        other => Fault::Invalid(other.to_string()),
    };
    let mut decoder = Decoder::new(method, 1 << 20, true, Vec::new());
    let mut pieces = pieces.iter();
    while !decoder.is_done() {
        match pieces.next() {
            Some(piece) => decoder.feed_or_keep(&mut piece.to_vec()).map_err(fault)?,
            None if ends => decoder.end().map_err(fault)?,
            None => return Err(Fault::Waiting),
        }
    }
    // What else has arrived is seen when the connection is taken up again.
    let reusable = decoder.is_reusable() && pieces.next().is_none() && !ends;
    let status = decoder.status();
    let (raw, head) = decoder.into_raw();
    let mut fields = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut fields);
    assert_eq!(parsed.parse(&raw[..head]), Ok(httparse::Status::Complete(head)), "the head is kept whole");
    let headers = parsed.headers.iter().map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec()));
    Ok(Seen { status, headers: sorted(headers), body: raw[head..].to_vec(), reusable })
}

fn sorted(headers: impl Iterator<Item = (String, Vec<u8>)>) -> Headers {
    let mut headers: Vec<_> = headers.collect();
    headers.sort_by(|left, right| left.0.cmp(&right.0));
    headers
}

/// Gives the pieces to hyper's client.
pub(super) fn hypers(method: &str, pieces: &[&[u8]], ends: bool) -> Outcome {
    // Its time stands still while anything is left to do, so waiting for nothing takes none.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (near, far) = duplex(64 << 10);
        let (sender, connection) = handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection);
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let server = tokio::spawn(serve(far, pieces, ends));
        let outcome = tokio::time::timeout(Duration::from_secs(1), exchange(method, sender)).await;
        server.abort();
        outcome.unwrap_or(Err(Fault::Waiting))
    })
}

async fn serve(mut stream: DuplexStream, pieces: Vec<Vec<u8>>, ends: bool) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.is_ok_and(|length| length > 0) {}
    for piece in pieces {
        // A client that saw enough has hung up.
        let _ = stream.write_all(&piece).await;
        tokio::task::yield_now().await;
    }
    if !ends {
        std::future::pending::<()>().await;
    }
}

async fn exchange(method: &str, mut sender: SendRequest<Empty<&'static [u8]>>) -> Outcome {
    let request = hyper::Request::builder().method(method).uri("/").header("host", "a");
    let answer = sender.send_request(request.body(Empty::new()).unwrap()).await.map_err(|error| fault(&error))?;
    let status = answer.status().as_u16();
    let headers = answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let headers = sorted(headers);
    let body = answer.into_body().collect().await.map_err(|error| fault(&error))?.to_bytes().to_vec();
    // Its connection looks at what else there is.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let reusable =
        tokio::time::timeout(Duration::from_millis(10), sender.ready()).await.is_ok_and(|ready| ready.is_ok());
    Ok(Seen { status, headers, body, reusable })
}

fn fault(error: &hyper::Error) -> Fault {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if error.is_incomplete_message() || io.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof) {
        Fault::Incomplete
    } else {
        Fault::Invalid(format!("{error:?}"))
    }
}
