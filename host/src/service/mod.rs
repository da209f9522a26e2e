//! A component as the target: the server behind `squall target --component`.
//!
//! It serves a component that exports `wasi:http/incoming-handler`, so that a journey can be tried, and squall be
//! calibrated, without any other server. Each request has an instance of its own, with memory and time of its own: what a
//! request does to its instance, no other sees, and one that traps or does not end is answered with a 500. The component
//! reaches nothing but its request: no files, no network, and of the environment what it is given.
//!
//! wasmtime, hyper and the threads stay inside; a [`Server`] runs until it is stopped or dropped.

mod body;
mod component;
mod counters;
mod handle;
mod threads;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use component::Service;
pub use counters::Stats;

/// How a component is served.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads to serve with.
    pub threads: NonZeroUsize,
    /// Bytes of memory that a request may use.
    pub memory: usize,
    /// How long a request may take, its body included.
    pub timeout: Duration,
    /// The environment that the component sees.
    pub env: Vec<(String, String)>,
    /// Who is told of requests that failed: the first of each kind, and then no more.
    pub tell: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Why a component cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It is no component, or not a valid one.
    #[error("it cannot be compiled: {message}")]
    Compile {
        /// What is wrong with it.
        message: String,
    },
    /// It answers no requests.
    #[error("it exports no `wasi:http/incoming-handler@0.2`, so it answers no requests; it exports {exports}")]
    NoHandler {
        /// What it exports.
        exports: String,
    },
    /// It needs what a service does not have.
    #[error("it needs what a service does not have: {message}")]
    Imports {
        /// What, and why.
        message: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on `{addr}`")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A thread or its event loop could not be made.
    #[error("cannot start a thread for the server")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

/// A component that is served. Dropping it stops it.
pub struct Server {
    addr: SocketAddr,
    service: Arc<Service>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

/// Serves a component on threads of its own; it is ready when this returns.
pub fn serve(bytes: &[u8], options: &Options) -> Result<Server, ServeError> {
    let service = Arc::new(Service::new(bytes, options)?);
    let cannot_listen = |source| ServeError::Listen { addr: options.listen, source };
    let listener = std::net::TcpListener::bind(options.listen).map_err(cannot_listen)?;
    listener.set_nonblocking(true).map_err(cannot_listen)?;
    let addr = listener.local_addr().map_err(cannot_listen)?;
    let mut server = Server { addr, service, stop: CancellationToken::new(), threads: Vec::new() };
    let started = threads::start(listener, options.threads, &server.service, &server.stop, &mut server.threads);
    // What did start ends with the server that is dropped here.
    started.map_err(|source| ServeError::Thread { source })?;
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

    /// What it saw so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.service.counters.stats()
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

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Options").field("listen", &self.listen).finish_non_exhaustive()
    }
}
