//! One request, from its head to its answer.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use wasmtime::Trap;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::body::{drain, outgoing};
use super::component::{Answer, Service};

/// Failures of a kind that somebody is told of.
const TOLD: u64 = 5;

/// Has an instance answer a request.
pub(super) async fn handle(
    service: Arc<Service>,
    request: http::Request<Incoming>,
) -> http::Response<HyperOutgoingBody> {
    let _flight = service.counters.arrived();
    let what = Rc::new(format!("{} {}", request.method(), request.uri().path()));
    let method = request.method().clone();
    let ((sender, answer), (rest, whole)) = (oneshot::channel(), oneshot::channel());
    // An instance may have more to do when its answer has begun: its body, at least. It ends by itself, in time.
    spawn_local(answered(Arc::clone(&service), request, sender, whole, Rc::clone(&what)));
    let response = match answer.await {
        Ok(Ok(response)) => outgoing(response, &method, rest),
        Ok(Err(code)) => {
            failed(&service, &service.counters.unanswered, || format!("`{what}` has no answer: {code:?}"));
            error("the component gave an error instead of an answer")
        }
        Err(_) => error("the component gave no answer"),
    };
    service.counters.answered(response.status().as_u16());
    response
}

/// Runs an instance to its end, and counts how that went.
async fn answered(
    service: Arc<Service>,
    request: http::Request<Incoming>,
    sender: oneshot::Sender<Answer>,
    whole: oneshot::Receiver<HyperOutgoingBody>,
    what: Rc<String>,
) {
    let counters = &service.counters;
    let limit = service.timeout();
    let answered = async {
        tokio::select! {
            ended = service.answer(request, sender) => ended,
            () = drain(whole) => Ok(()),
        }
    };
    let Ok(ended) = tokio::time::timeout(limit, answered).await else {
        failed(&service, &counters.timeouts, || format!("`{what}` did not end within {limit:?}"));
        return;
    };
    if let Err(error) = ended {
        // The first line of a trap is where it was; the cause is at the end.
        let why = error.downcast_ref::<Trap>().map_or_else(|| error.root_cause().to_string(), ToString::to_string);
        failed(&service, &counters.traps, || format!("`{what}` trapped: {why}"));
    }
}

/// Counts a failure and tells of the first ones.
fn failed(service: &Service, counter: &std::sync::atomic::AtomicU64, text: impl FnOnce() -> String) {
    let before = counter.fetch_add(1, Ordering::Relaxed);
    if before < TOLD {
        let more = if before + 1 == TOLD { " (no more of these are told)" } else { "" };
        service.tell(&format!("{}{more}", text()));
    }
}

fn error(text: &'static str) -> http::Response<HyperOutgoingBody> {
    let body = Full::new(Bytes::from_static(text.as_bytes()));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    response
}
