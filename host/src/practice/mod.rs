//! The server behind `squall target`: a real HTTP server that behaves like the API people test.
//!
//! It misbehaves as [`Options`] say (latency, stalls, errors, a rate limit) and counts what it saw, so that a test can
//! hold what squall reports against what really arrived. It knows nothing of the rest of squall. Its threads, its
//! routes and its store stay inside; a [`Server`] runs until it is stopped or dropped.

mod answer;
mod auth;
mod connection;
mod documents;
mod duration;
mod events;
mod grpc;
mod http3;
mod lines;
mod mishap;
mod options;
mod pattern;
mod route;
mod secure;
mod stats;
mod token;
mod websocket;
mod workflows;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use answer::{error, headers_of};
use connection::{Inbox, Parcel};
use lines::{LineCounters, Sockets};
use mishap::Mishaps;
use route::Route;
use secure::{Bound, Secure};
use stats::{Counters, Flight};
use workflows::Workflows;

pub use duration::DurationError;
pub use lines::LineStats;
pub use options::{Latency, OptionError, Options, Stall};
pub use stats::{Recorded, Stats};

/// The largest body that is read: 16 MiB.
const MAX_BODY: usize = 16 << 20;

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on `{addr}`")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The error rate is no share.
    #[error("an error rate of {given} is not possible: it goes from 0 to 1")]
    ErrorRate {
        /// The rate as given.
        given: f64,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
    /// A thread or its event loop could not be made.
    #[error("cannot start a thread for the server")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

/// A server that runs. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    secure: Secure,
    tcp: Option<SocketAddr>,
    udp: Option<SocketAddr>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

/// What all threads of a server use.
#[derive(Debug)]
struct Shared {
    started: Instant,
    counters: Arc<Counters>,
    lines: Arc<LineCounters>,
    mishaps: Mishaps,
    workflows: Workflows,
    record: usize,
    recorded: Mutex<Vec<Recorded>>,
}

/// One thread's view of the server.
#[derive(Debug)]
struct Worker {
    number: usize,
    shared: Arc<Shared>,
}

/// Starts a server on threads of its own; it is ready when this returns.
pub fn serve(options: &Options, threads: NonZeroUsize) -> Result<Server, ServeError> {
    if !(0.0..=1.0).contains(&options.error_rate) {
        return Err(ServeError::ErrorRate { given: options.error_rate });
    }
    let cannot_listen = |source| ServeError::Listen { addr: options.listen, source };
    let cannot_start = |source| ServeError::Thread { source };
    let listener = std::net::TcpListener::bind(options.listen).map_err(cannot_listen)?;
    listener.set_nonblocking(true).map_err(cannot_listen)?;
    let addr = listener.local_addr().map_err(cannot_listen)?;

    let bound = Bound::new(options.tls, options.http3)?;
    let secure = bound.as_ref().map(Bound::describe).transpose().map_err(cannot_listen)?.unwrap_or_default();

    let started = Instant::now();
    let shared = Arc::new(Shared {
        started,
        counters: Arc::new(Counters::new(threads.get() + usize::from(bound.is_some()), started)),
        lines: Arc::default(),
        mishaps: Mishaps::new(options, started),
        workflows: Workflows::new(),
        record: options.record,
        recorded: Mutex::default(),
    });
    let (inlets, outlets): (Vec<_>, Vec<_>) = (0..threads.get()).map(|_| unbounded_channel()).unzip();
    let mut dealer = Some((listener, inlets));
    let mut sockets = Sockets::default();
    let not_there = |addr: SocketAddr| move |source| ServeError::Listen { addr, source };
    let tcp = options.tcp.map(|addr| sockets.listen(addr).map_err(not_there(addr))).transpose()?;
    let udp = options.udp.map(|addr| sockets.bind(addr).map_err(not_there(addr))).transpose()?;
    let mut server = Server { addr, secure, tcp, udp, shared, stop: CancellationToken::new(), threads: Vec::new() };
    if !sockets.is_empty() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
        let (lines, stop) = (Arc::clone(&server.shared.lines), server.stop.clone());
        let serve = move || sockets.serve(&runtime, &lines, &stop);
        let thread = thread::Builder::new().name("practice-lines".to_owned()).spawn(serve).map_err(cannot_start)?;
        server.threads.push(thread);
    }
    for (number, parcels) in outlets.into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
        let worker = Worker { number, shared: Arc::clone(&server.shared) };
        let (stop, dealer) = (server.stop.clone(), dealer.take());
        let thread = thread::Builder::new()
            .name(format!("practice-{number}"))
            .spawn(move || worker.run(&runtime, addr, parcels, dealer, &stop))
            .map_err(cannot_start)?;
        server.threads.push(thread);
    }
    if let Some(bound) = bound {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
        let worker = Arc::new(Worker { number: threads.get(), shared: Arc::clone(&server.shared) });
        let stop = server.stop.clone();
        let serve = move || runtime.block_on(bound.serve(worker, stop));
        let thread = thread::Builder::new().name("practice-tls".to_owned()).spawn(serve).map_err(cannot_start)?;
        server.threads.push(thread);
    }
    Ok(server)
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Its URL behind TLS, if it has one.
    #[must_use]
    pub fn tls_url(&self) -> Option<String> {
        self.secure.tls.map(|addr| format!("https://{addr}"))
    }

    /// Its URL over HTTP/3, if it has one.
    #[must_use]
    pub fn http3_url(&self) -> Option<String> {
        self.secure.http3.map(|addr| format!("https://{addr}"))
    }

    /// The certificate that it shows there, PEM: what a client has to trust. Empty where there is none.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.secure.certificate
    }

    /// Where it answers lines over TCP, if it does.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Where it answers datagrams, if it does.
    #[must_use]
    pub fn udp(&self) -> Option<SocketAddr> {
        self.udp
    }

    /// What it saw so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// The requests it kept in full, in the order of their arrival; see [`Options::record`].
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        self.shared.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes every connection, whatever it is doing, ends the threads and says what the server saw.
    #[must_use]
    pub fn stop(mut self) -> Stats {
        let stats = self.stats();
        self.end();
        stats
    }

    fn end(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn stats(&self) -> Stats {
        Stats { lines: self.lines.stats(), ..self.counters.stats() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Worker {
    /// Serves until told to stop; the runtime then takes the connections with it.
    fn run(
        self,
        runtime: &Runtime,
        addr: SocketAddr,
        parcels: UnboundedReceiver<Parcel>,
        dealer: Option<(std::net::TcpListener, Vec<UnboundedSender<Parcel>>)>,
        stop: &CancellationToken,
    ) {
        let counters = Arc::clone(&self.shared.counters);
        let inbox = Inbox { parcels, counters, worker: self.number, addr };
        let service = handle.with_state(Arc::new(self)).into_make_service();
        runtime.block_on(async {
            let deal = async {
                if let Some((listener, inlets)) = dealer {
                    let listener = tokio::net::TcpListener::from_std(listener)
                        .expect("the listener does not block and the runtime has a driver");
                    connection::deal(listener, inlets).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                _ = axum::serve(inbox, service) => {}
                () = deal => {}
                () = stop.cancelled() => {}
            }
        });
    }

    fn record(&self, parts: &Parts, arrival: Instant) {
        let mut recorded = self.shared.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.len() < self.shared.record {
            recorded.push(Recorded {
                at: arrival.saturating_duration_since(self.shared.started),
                method: parts.method.as_str().to_owned(),
                target: parts.uri.to_string(),
                headers: headers_of(&parts.headers),
            });
        }
    }

    /// A call of a gRPC client; its own status is in its trailers, which nobody counts.
    async fn call(&self, parts: &Parts, body: Body, is_over_limit: bool, flight: Flight) -> Response {
        let mishaps = &self.shared.mishaps;
        if let Some(at) = mishaps.answer_at(Instant::now()) {
            tokio::time::sleep_until(at.into()).await;
        }
        let order = if is_over_limit {
            grpc::Order::Refuse
        } else if mishaps.fails() {
            grpc::Order::Fail
        } else {
            grpc::Order::Answer
        };
        let response = grpc::answer(parts, body, order, flight).await;
        self.shared.counters.answered(self.number, response.status().as_u16());
        response
    }

    /// `/__stats` and its reset.
    fn control(&self, route: Route, method: &Method) -> Response {
        let counters = &self.shared.counters;
        if route.methods().is_some_and(|methods| !methods.contains(method)) {
            return answer::wrong_method(route);
        }
        if route == Route::ResetStats {
            counters.reset();
            self.shared.lines.reset();
            self.shared.recorded.lock().unwrap_or_else(PoisonError::into_inner).clear();
            return answer::json(StatusCode::OK, &json!({ "reset": true }));
        }
        let stats = serde_json::to_value(self.shared.stats()).unwrap_or(Value::Null);
        answer::json(StatusCode::OK, &stats)
    }
}

/// One request, from its arrival to its answer.
async fn handle(State(worker): State<Arc<Worker>>, request: Request) -> Response {
    let arrival = Instant::now();
    let (mut parts, body) = request.into_parts();
    let found = route::find(parts.uri.path());
    if found.route.is_control() {
        return worker.control(found.route, &parts.method);
    }
    let shared = &worker.shared;
    let flight = shared.counters.arrived(worker.number, found.route, arrival);
    if shared.record > 0 {
        worker.record(&parts, arrival);
    }
    let mishaps = &shared.mishaps;
    let limited = mishaps.limits_all() || found.route == Route::Limited;
    let admitted = if limited { mishaps.admit(arrival) } else { Ok(()) };
    if found.route.is_grpc() || (found.route == Route::Unknown && grpc::is_call(&parts.headers)) {
        // Boxed, so that the other requests do not carry a call's state.
        return Box::pin(worker.call(&parts, body, admitted.is_err(), flight)).await;
    }
    let body = read(body).await;
    if let Some(at) = mishaps.answer_at(arrival) {
        tokio::time::sleep_until(at.into()).await;
    }
    let response = match (admitted, body) {
        (Err(wait), _) => answer::too_many(wait),
        (_, Err(refusal)) => refusal,
        _ if mishaps.fails() => error(StatusCode::INTERNAL_SERVER_ERROR, "an error, as ordered"),
        _ if found.route.is_socket() => websocket::upgrade(found.route, &mut parts, &shared.counters, worker.number),
        (_, Ok(body)) => answer::answer(&answer::Request { found, parts: &parts, body }, &shared.workflows).await,
    };
    shared.counters.answered(worker.number, response.status().as_u16());
    response
}

/// Reads a body whole, also where nobody looks at it: only then can the connection be used again.
async fn read(body: Body) -> Result<Bytes, Response> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let too_large = |_| error(StatusCode::PAYLOAD_TOO_LARGE, "the body is incomplete or over 16 MiB");
    axum::body::to_bytes(body, MAX_BODY).await.map_err(too_large)
}
