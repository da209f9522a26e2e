//! HTTP requests, sent and measured by the host.
//!
//! ```no_run
//! use squall_sdk::http::{self, Request};
//!
//! # fn main() -> Result<(), squall_sdk::Error> {
//! let page = http::get("http://127.0.0.1:8080/")?;
//! let created = Request::post("http://127.0.0.1:8080/workflows")
//!     .bearer("a token")
//!     .json(&serde_json::json!({ "name": "nightly" }))
//!     .expect_status(201)
//!     .send()?;
//! let id: Option<String> = created.json_pointer("/id")?;
//! # Ok(()) }
//! ```
//!
//! Only the status, the length of the body and the duration come back with a [`Response`]; headers, body and the rest
//! are fetched from the host when asked for, and a body that nobody reads never enters the guest. What a journey wants of
//! a body, the host can find: see [`Extract`].

mod cookies;
mod extract;
mod form;
mod multipart;
mod request;
mod response;
mod streaming;

use serde::Serialize;

use crate::Error;
use crate::bindings::squall::journey::http as host;

pub use cookies::{Cookie, Jar};
pub use extract::{Extract, Hash};
pub use multipart::{Multipart, Part};
pub use request::{Coding, Request, Statuses, Version};
pub use response::{Details, Response, Timings};
pub use streaming::{Streaming, Upload};

/// Sends a GET.
pub fn get(url: impl AsRef<str>) -> Result<Response, Error> {
    plain("GET", url.as_ref(), None)
}

/// Sends a HEAD.
pub fn head(url: impl AsRef<str>) -> Result<Response, Error> {
    plain("HEAD", url.as_ref(), None)
}

/// Sends a DELETE.
pub fn delete(url: impl AsRef<str>) -> Result<Response, Error> {
    plain("DELETE", url.as_ref(), None)
}

/// Sends a POST with `body` as it is. [`post_json`] and [`Request`] set the content type too.
pub fn post(url: impl AsRef<str>, body: impl AsRef<[u8]>) -> Result<Response, Error> {
    plain("POST", url.as_ref(), Some(body.as_ref()))
}

/// Sends a PUT with `body` as it is.
pub fn put(url: impl AsRef<str>, body: impl AsRef<[u8]>) -> Result<Response, Error> {
    plain("PUT", url.as_ref(), Some(body.as_ref()))
}

/// Sends a PATCH with `body` as it is.
pub fn patch(url: impl AsRef<str>, body: impl AsRef<[u8]>) -> Result<Response, Error> {
    plain("PATCH", url.as_ref(), Some(body.as_ref()))
}

/// Sends a POST with `value` as JSON.
pub fn post_json(url: impl AsRef<str>, value: &impl Serialize) -> Result<Response, Error> {
    Request::post(url.as_ref()).json(value).send()
}

/// Sends several requests at once and answers in their order. At most 20 are in flight, 6 of them to one host.
#[must_use]
pub fn batch(requests: Vec<Request<'_>>) -> Vec<Result<Response, Error>> {
    request::send_all(requests)
}

/// The statuses that do not count as failed from here on in this VU, where a request names none (k6's
/// `setResponseCallback`). An empty list is the run's default.
///
/// ```no_run
/// squall_sdk::http::set_expected_statuses(&[&200, &(400..=404)]);
/// ```
pub fn set_expected_statuses(statuses: &[&dyn Statuses]) {
    let range = |statuses: &&dyn Statuses| {
        let (first, last) = statuses.bounds();
        host::StatusRange { first, last }
    };
    host::set_expected_statuses(&statuses.iter().map(range).collect::<Vec<_>>());
}

/// Why a request of the last send or batch has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Its place in the batch, from 0.
    pub place: u32,
    /// k6's numeric error code, the `error_code` tag.
    pub code: u32,
    /// The reason, the `error` tag.
    pub message: String,
}

/// The requests of the last send or batch that have no answer, in their order.
#[must_use]
pub fn last_failures() -> Vec<Failure> {
    let failures = host::last_failures().into_iter();
    failures.map(|host::Failure { place, code, message }| Failure { place, code, message }).collect()
}

/// The hot path: a request that needs nothing but a method and a URL sends without allocating.
fn plain(method: &str, url: &str, body: Option<&[u8]>) -> Result<Response, Error> {
    send(host::Request {
        method,
        url,
        headers: &[],
        body,
        timeout: None,
        name: None,
        tags: &[],
        redirects: None,
        expected_statuses: &[],
    })
}

fn send(request: host::Request<'_>) -> Result<Response, Error> {
    match host::send(request) {
        Ok(response) => Ok(Response::new(response)),
        Err(error) => Err(error.into()),
    }
}
