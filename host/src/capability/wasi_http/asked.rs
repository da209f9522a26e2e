//! What a guest asks for, out of wasmtime's types.

use std::fmt::Write as _;

use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Method, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;

/// A request as the guest gave it.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    /// What its `content-length` says.
    pub(super) length: Option<u64>,
    pub(super) body: Option<HyperOutgoingBody>,
    pub(super) options: RequestOptions,
}

impl Asked {
    pub(super) fn new(request: HostOutgoingRequest, options: RequestOptions) -> Result<Self, ErrorCode> {
        let HostOutgoingRequest { method, scheme, authority, path_with_query, headers, body } = request;
        let mut headers = HeaderMap::from(headers);
        let length = match headers.remove(CONTENT_LENGTH) {
            None => None,
            Some(length) => {
                let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                let length = digits.and_then(|digits| digits.parse().ok());
                Some(length.ok_or(ErrorCode::HttpRequestBodySize(None))?)
            }
        };
        if body.is_none() && length.is_some_and(|length| length > 0) {
            return Err(ErrorCode::HttpRequestBodySize(Some(0)));
        }
        let scheme = match &scheme {
            Some(Scheme::Http) => "http",
            // As wasmtime has it where the guest names none.
            Some(Scheme::Https) | None => "https",
            Some(Scheme::Other(_)) => return Err(ErrorCode::HttpProtocolError),
        };
        let authority = authority.filter(|authority| !authority.is_empty()).ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let path = path_with_query.unwrap_or_default();
        let mut url = String::with_capacity(scheme.len() + 3 + authority.len() + path.len());
        // A text takes all that is written to it.
        let _ = write!(url, "{scheme}://{authority}{path}");
        Ok(Self { method: name(method), url, headers, length, body, options })
    }
}

fn name(method: Method) -> String {
    let name = match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => return name,
    };
    name.to_owned()
}
