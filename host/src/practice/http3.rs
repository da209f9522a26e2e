//! The server over HTTP/3: the routes are the same, only the way there is not.

use std::net::UdpSocket;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use bytes::{Buf as _, Bytes, BytesMut};
use h3::server::{RequestResolver, RequestStream};
use h3_quinn::{BidiStream, Connection};
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, Request};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, TokioRuntime, TransportConfig, VarInt};
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::{MAX_BODY, Worker, handle};

/// How many requests of a connection are answered at once.
const STREAMS: u32 = 256;
/// How long clients have to hear that the server ends.
const GOODBYE: Duration = Duration::from_millis(25);

/// Serves until told to stop.
pub(super) async fn serve(udp: UdpSocket, config: &ServerConfig, worker: &Arc<Worker>, stop: &CancellationToken) {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h3".to_vec()];
    let Ok(quic) = QuicServerConfig::try_from(config) else { return };
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(VarInt::from_u32(STREAMS));
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(quic));
    config.transport_config(Arc::new(transport));
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), udp, Arc::new(TokioRuntime));
    let Ok(endpoint) = endpoint else { return };
    let mut stopped = pin!(stop.cancelled());
    loop {
        tokio::select! {
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { return };
                let worker = Arc::clone(worker);
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await {
                        let _open = worker.shared.counters.accepted(worker.number);
                        // What a client does wrong ends its connection and nothing else.
                        let _ = answer_all(connection, &worker).await;
                    }
                });
            }
            () = &mut stopped => break,
        }
    }
    endpoint.close(VarInt::from_u32(0x100), b"");
    let _ = tokio::time::timeout(GOODBYE, endpoint.wait_idle()).await;
}

async fn answer_all(connection: quinn::Connection, worker: &Arc<Worker>) -> Result<(), h3::error::ConnectionError> {
    let mut connection = h3::server::Connection::<_, Bytes>::new(Connection::new(connection)).await?;
    while let Some(resolver) = connection.accept().await? {
        let worker = Arc::clone(worker);
        tokio::spawn(async move {
            let _ = answer(resolver, worker).await;
        });
    }
    Ok(())
}

/// Reads one request whole and answers it.
async fn answer(
    resolver: RequestResolver<Connection, Bytes>,
    worker: Arc<Worker>,
) -> Result<(), h3::error::StreamError> {
    let (request, mut stream) = resolver.resolve_request().await?;
    let body = read(&mut stream).await?;
    let (parts, ()) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    let response = handle(State(worker), Request::from_parts(parts, Body::from(body))).await;
    let (mut head, body) = response.into_parts();
    // As servers of the other versions do by themselves.
    let has_length = head.headers.contains_key(CONTENT_LENGTH) || matches!(head.status.as_u16(), 204 | 304);
    if let Some(length) = body.size_hint().exact().filter(|_| !has_length) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    stream.send_response(http::Response::from_parts(head, ())).await?;
    let mut body = pin!(body);
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(bytes) = frame.into_data()
            && !is_head
        {
            stream.send_data(bytes).await?;
        }
    }
    stream.finish().await
}

/// Reads a body; of one that is too large, enough to see that.
async fn read(stream: &mut RequestStream<BidiStream<Bytes>, Bytes>) -> Result<Bytes, h3::error::StreamError> {
    let mut body = BytesMut::new();
    while let Some(mut bytes) = stream.recv_data().await? {
        if body.len() <= MAX_BODY {
            let length = bytes.remaining();
            body.extend_from_slice(&bytes.copy_to_bytes(length));
        }
    }
    Ok(body.freeze())
}
