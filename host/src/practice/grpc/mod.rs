//! gRPC on the practice port: `squall.practice.v1.Echo`, and reflection.
//!
//! Clients speak HTTP/2 at once on a connection, which the server sees by its first bytes. Knows no client of ours: what a
//! call is on the wire is written here a second time, so that a mistake in one is not a mistake in both.

mod call;
mod echo;
mod reflection;
mod status;
#[cfg(test)]
mod tests;
mod wire;

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::answer::error;
use super::stats::Flight;
use call::Call;
use status::Status;

/// The path of the echo service.
pub(super) const ECHO: &str = "squall.practice.v1.Echo";
/// The paths of reflection, in both versions.
pub(super) const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";
pub(super) const REFLECTION_ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";

/// What is to become of a call, by the options of the server.
pub(super) enum Order {
    /// Its answer.
    Answer,
    /// An error.
    Fail,
    /// A refusal: the rate limit is reached.
    Refuse,
}

/// Whether a request is a call of a gRPC client.
pub(super) fn is_call(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Answers a call. It is in flight until its last message is written.
pub(super) async fn answer(parts: &Parts, body: Body, order: Order, flight: Flight) -> Response {
    if !is_call(&parts.headers) {
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "what is here is for gRPC clients");
    }
    let call = match order {
        Order::Answer => Call::new(&parts.headers, body, flight),
        Order::Fail => return Status::new(13, "an error, as ordered").alone(),
        Order::Refuse => return Status::new(8, "too many requests").alone(),
    };
    let mut path = parts.uri.path().trim_start_matches('/').splitn(2, '/');
    let (service, method) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
    match (service, method) {
        _ if parts.method != http::Method::POST => Status::new(12, "a call is a `POST`").alone(),
        (ECHO, method) => echo::answer(method, call).await,
        (REFLECTION | REFLECTION_ALPHA, "ServerReflectionInfo") => reflection::answer(call),
        (service, method) => Status::new(12, format!("there is no method `{service}/{method}`")).alone(),
    }
}
