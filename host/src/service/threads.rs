//! The threads of a service: one accepts and deals connections out in turn, all serve.

use std::io;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

use super::component::Service;
use super::handle::handle;

/// How long a connection has for the head of a request.
const HEAD: Duration = Duration::from_mins(1);

/// Starts the threads.
pub(super) fn start(
    listener: TcpListener,
    count: NonZeroUsize,
    service: &Arc<Service>,
    stop: &CancellationToken,
    threads: &mut Vec<JoinHandle<()>>,
) -> io::Result<()> {
    let (inlets, outlets): (Vec<_>, Vec<_>) = (0..count.get()).map(|_| unbounded_channel()).unzip();
    let mut dealer = Some((listener, inlets));
    for (number, connections) in outlets.into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (service, stop, dealer) = (Arc::clone(service), stop.clone(), dealer.take());
        let run = move || {
            LocalSet::new().block_on(&runtime, async {
                if let Some((listener, inlets)) = dealer {
                    spawn_local(deal(listener, inlets));
                }
                spawn_local(serve(connections, service));
                // What runs then ends with the set of tasks.
                stop.cancelled().await;
            });
        };
        threads.push(thread::Builder::new().name(format!("service-{number}")).spawn(run)?);
    }
    Ok(())
}

/// Accepts for ever and deals connections out in turn.
async fn deal(listener: TcpListener, workers: Vec<UnboundedSender<std::net::TcpStream>>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut turn = workers.iter().cycle();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some connections have to close first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // A connection that is already gone needs no answer.
        let Ok(stream) = stream.set_nodelay(true).and_then(|()| stream.into_std()) else { continue };
        if turn.next().is_none_or(|worker| worker.send(stream).is_err()) {
            return;
        }
    }
}

/// Serves the connections of a thread.
async fn serve(mut connections: UnboundedReceiver<std::net::TcpStream>, service: Arc<Service>) {
    while let Some(stream) = connections.recv().await {
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { continue };
        service.counters.connections.fetch_add(1, Ordering::Relaxed);
        let service = Arc::clone(&service);
        let answer = service_fn(move |request| {
            let service = Arc::clone(&service);
            async move { Ok::<_, std::convert::Infallible>(handle(service, request).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD);
        spawn_local(async move {
            // A client that breaks off, and an instance that does, end the connection and nothing else.
            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}
