//! The sockets of the practice server: one that gives back what it gets, and one that ticks.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};
use url::form_urlencoded;

use super::answer::error;
use super::duration;
use super::route::Route;
use super::stats::{Counters, OpenSocket};

/// Buffers of a socket, in bytes: a bench has thousands of them.
const BUFFER: usize = 4 << 10;
/// The largest message.
const MAX_MESSAGE: usize = 16 << 20;

type Socket = WebSocketStream<TokioIo<Upgraded>>;
type Broken = tokio_tungstenite::tungstenite::Error;

/// What a socket was asked to do, in its query.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Orders {
    /// Wait so long before each message that is given back.
    delay: Duration,
    /// Close with this code after so many messages, and say why.
    close: Option<u16>,
    after: u64,
    reason: String,
    /// Tick so often, and so many times.
    every: Duration,
    count: u64,
}

impl Orders {
    fn read(query: &str) -> Result<Self, String> {
        let mut orders = Self {
            delay: Duration::ZERO,
            close: None,
            after: 0,
            reason: String::new(),
            every: Duration::from_secs(1),
            count: u64::MAX,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let time = || duration::parse(&value).map_err(|error| error.to_string());
            let number = || value.parse::<u64>().map_err(|_| format!("`{name}={value}` is not a number"));
            match &*name {
                "delay" => orders.delay = time()?,
                "every" => orders.every = time()?.max(Duration::from_millis(1)),
                "count" => orders.count = number()?,
                "after" => orders.after = number()?,
                "close" => {
                    let code = u16::try_from(number()?).ok().filter(|code| (1000..5000).contains(code));
                    orders.close = Some(code.ok_or_else(|| format!("`{value}` is not a code to close with"))?);
                }
                "reason" => orders.reason = value.chars().take(30).collect(),
                _ => {}
            }
        }
        Ok(orders)
    }

    fn goodbye(&self, code: u16) -> Message {
        Message::Close(Some(CloseFrame { code: code.into(), reason: self.reason.clone().into() }))
    }
}

/// Answers a request for a socket, and serves it from then on.
pub(super) fn upgrade(route: Route, parts: &mut Parts, counters: &Arc<Counters>, worker: usize) -> Response {
    let orders = match Orders::read(parts.uri.query().unwrap_or_default()) {
        Ok(orders) => orders,
        Err(wrong) => return error(StatusCode::BAD_REQUEST, &wrong),
    };
    let wants = |name: HeaderName, token: &str| {
        let values = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(token))
    };
    let is_asked = wants(UPGRADE, "websocket") && wants(CONNECTION, "upgrade");
    let key = parts.headers.get(SEC_WEBSOCKET_KEY).cloned();
    let (true, Some(key), Some(upgrade)) = (is_asked, key, parts.extensions.remove::<OnUpgrade>()) else {
        return error(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket, and the request does not ask for one");
    };
    // The first one that is offered is as good as any.
    let offered = parts.headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let chosen = offered.and_then(|all| all.split(',').next()).and_then(|one| HeaderValue::from_str(one.trim()).ok());
    let counters = Arc::clone(counters);
    // Owned by the worker's runtime, which ends with the server.
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let open = counters.opened(worker);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_MESSAGE + BUFFER);
        let config = config.max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let io = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        // A client that breaks off has ended its socket as well as one that says goodbye.
        let _ = match route {
            Route::Ticks => tick(socket, &orders, &open).await,
            _ => give_back(socket, &orders, &open).await,
        };
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(chosen) = chosen {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    response
}

/// Gives every message back.
async fn give_back(mut socket: Socket, orders: &Orders, open: &OpenSocket) -> Result<(), Broken> {
    let mut seen = 0;
    loop {
        if let Some(code) = orders.close
            && seen >= orders.after
        {
            return close(socket, orders.goodbye(code), open).await;
        }
        let Some(message) = socket.next().await else { return Ok(()) };
        let message = message?;
        if message.is_text() || message.is_binary() {
            seen += 1;
            open.received();
            if orders.delay > Duration::ZERO {
                tokio::time::sleep(orders.delay).await;
            }
            open.sent();
            socket.send(message).await?;
        }
    }
}

/// Sends a number now and then, and closes after the last.
async fn tick(socket: Socket, orders: &Orders, open: &OpenSocket) -> Result<(), Broken> {
    let (mut sink, mut stream) = socket.split();
    let mut timer = tokio::time::interval(orders.every);
    let mut tick = 0;
    while tick < orders.count {
        tokio::select! {
            _ = timer.tick() => {
                tick += 1;
                open.sent();
                sink.send(Message::text(tick.to_string())).await?;
            }
            message = stream.next() => match message {
                Some(message) => if !message?.is_close() { open.received() },
                None => return Ok(()),
            },
        }
    }
    let Ok(socket) = sink.reunite(stream) else { return Ok(()) };
    close(socket, orders.goodbye(orders.close.unwrap_or(1000)), open).await
}

/// Says goodbye and waits for the answer.
async fn close(mut socket: Socket, goodbye: Message, open: &OpenSocket) -> Result<(), Broken> {
    socket.send(goodbye).await?;
    while let Some(message) = socket.next().await {
        if !message?.is_close() {
            open.received();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_from_the_query() {
        let orders = Orders::read("delay=5ms&close=4001&after=2&reason=so&every=10ms&count=3&other=x").unwrap();
        let ms = Duration::from_millis;
        assert_eq!(
            orders,
            Orders { delay: ms(5), close: Some(4001), after: 2, reason: "so".to_owned(), every: ms(10), count: 3 }
        );
        for wrong in ["delay=5", "close=70000", "close=999", "count=x"] {
            assert!(Orders::read(wrong).is_err(), "{wrong}");
        }
    }
}
