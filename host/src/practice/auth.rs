//! `/basic-auth` and `/digest-auth`: doors that open to a name and a password.

use std::fmt::Write as _;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use md5::Md5;
use serde_json::json;
use sha2::Sha256;

use super::answer::{Request, error, json, query, with};

const REALM: &str = "practice";
/// Nothing is remembered of a client, so all get the same.
const NONCE: &str = "8f1c0b3e5d7a49a2";
const OPAQUE: &str = "5ccc069c";

/// Opens to the name and the password of the path.
pub(super) fn basic(request: &Request<'_>) -> Response {
    let (username, password) = expected(request);
    let wanted = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
    if given(request) == wanted { welcome(username) } else { closed(&format!("Basic realm=\"{REALM}\"")) }
}

/// Opens to an answer to its challenge; `?algorithm=SHA-256` asks for that in place of MD5.
pub(super) fn digest(request: &Request<'_>) -> Response {
    let (username, password) = expected(request);
    let wants_sha = query(request).any(|(name, value)| name == "algorithm" && value == "SHA-256");
    let (algorithm, hash): (_, fn(&str) -> String) =
        if wants_sha { ("SHA-256", hex::<Sha256>) } else { ("MD5", hex::<Md5>) };
    let challenge = format!(
        "Digest realm=\"{REALM}\", qop=\"auth\", algorithm={algorithm}, nonce=\"{NONCE}\", opaque=\"{OPAQUE}\""
    );
    let given = given(request).strip_prefix("Digest ").unwrap_or_default();
    let field = |wanted: &str| {
        let fields = given.split(", ").filter_map(|field| field.split_once('='));
        fields.into_iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value.trim_matches('"'))
    };
    let uri = request.parts.uri.path_and_query().map_or("", |uri| uri.as_str());
    let secret = hash(&format!("{username}:{REALM}:{password}"));
    let what = hash(&format!("{}:{uri}", request.parts.method));
    let response = hash(&format!("{secret}:{NONCE}:{}:{}:auth:{what}", field("nc"), field("cnonce")));
    let is_right = field("response") == response
        && (field("username"), field("nonce"), field("uri"), field("qop")) == (username, NONCE, uri, "auth")
        && field("opaque") == OPAQUE;
    if is_right { welcome(username) } else { closed(&challenge) }
}

fn welcome(username: &str) -> Response {
    json(StatusCode::OK, &json!({ "authenticated": true, "user": username }))
}

fn closed(challenge: &str) -> Response {
    with(error(StatusCode::UNAUTHORIZED, "name and password are needed"), WWW_AUTHENTICATE, challenge)
}

fn expected<'a>(request: &'a Request<'_>) -> (&'a str, &'a str) {
    request.found.parameter.split_once('/').unwrap_or_default()
}

fn given<'a>(request: &'a Request<'_>) -> &'a str {
    request.parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn hex<D: sha2::Digest>(text: &str) -> String {
    D::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
