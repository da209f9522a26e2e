//! What each route answers.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE,
    WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::auth;
use super::documents;
use super::events;
use super::pattern::Pattern;
use super::route::{Found, Route};
use super::token;
use super::workflows::Workflows;

/// The longest `/delay`.
const MAX_DELAY: Duration = Duration::from_mins(10);
/// The longest `/bytes` and `/chunked`: 10 GB.
const MAX_BYTES: u64 = 10_000_000_000;
/// The longest chain of `/redirect`.
const MAX_REDIRECTS: u32 = 1000;

const ROOT: &str =
    "<!doctype html>\n<title>squall target</title>\n<p>A server to practise on. See /__stats for what it saw.\n";
const HEALTH: &str = r#"{"status":"ok"}"#;

/// A request, read whole.
pub(super) struct Request<'a> {
    pub(super) found: Found<'a>,
    pub(super) parts: &'a Parts,
    pub(super) body: Bytes,
}

/// Answers a request that nothing has gone wrong with.
pub(super) async fn answer(request: &Request<'_>, workflows: &Workflows) -> Response {
    let (method, parameter) = (&request.parts.method, request.found.parameter);
    match request.found.route {
        route if route.methods().is_some_and(|methods| !methods.contains(method)) => wrong_method(route),
        Route::Root => constant("text/html; charset=utf-8", ROOT),
        Route::Health => constant("application/json", HEALTH),
        Route::Login => login(request),
        Route::Profile => profile(request),
        Route::Workflows if *method == Method::POST => create(request, workflows),
        Route::Workflows => list(request, workflows),
        Route::Workflow => workflow(request, workflows),
        Route::Execute => execute(parameter, workflows),
        Route::WorkflowMetrics => metrics(parameter, workflows),
        Route::Dashboard => dashboard(workflows),
        Route::Search => search(request),
        Route::Status => status(parameter),
        Route::Delay => delay(parameter).await,
        Route::Bytes => bytes(parameter, Pattern::sized),
        Route::Chunked => bytes(parameter, Pattern::chunked),
        Route::Echo => echo(request),
        Route::Redirect => redirect(request),
        Route::RedirectTo => redirect_to(request),
        Route::ResponseHeaders => response_headers(request),
        Route::BasicAuth => auth::basic(request),
        Route::DigestAuth => auth::digest(request),
        Route::Cookies => cookies(request),
        Route::SetCookies => set_cookies(request),
        Route::Html if *method == Method::POST => order(request),
        Route::Html => text("text/html; charset=utf-8", documents::page()),
        Route::LargeJson => large_json(request),
        Route::Sse => events::server_sent(request),
        Route::JsonLines => events::json_lines(request),
        Route::ChatCompletions => events::chat(request),
        Route::Limited => json(StatusCode::OK, &json!({ "limited": false })),
        // The others are answered elsewhere.
        Route::GrpcEcho
        | Route::GrpcReflection
        | Route::Unknown
        | Route::SocketEcho
        | Route::Ticks
        | Route::Stats
        | Route::ResetStats => error(StatusCode::NOT_FOUND, "there is nothing here"),
    }
}

/// An answer of JSON.
pub(super) fn json(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An error as `{"error": …}`.
pub(super) fn error(status: StatusCode, message: &str) -> Response {
    json(status, &json!({ "error": message }))
}

/// The answer to a request beyond the rate limit.
pub(super) fn too_many(wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let response = error(StatusCode::TOO_MANY_REQUESTS, "too many requests");
    with(response, RETRY_AFTER, &seconds.max(1).to_string())
}

/// The answer to a method that the route does not know.
pub(super) fn wrong_method(route: Route) -> Response {
    let allowed = route.methods().unwrap_or_default().iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    with(error(StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here"), ALLOW, &allowed)
}

fn text(content_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn constant(content_type: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn with(mut response: Response, name: HeaderName, value: &str) -> Response {
    // What cannot stand in a header (a line feed in a cookie) is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().append(name, value);
    }
    response
}

pub(super) fn bad(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, message)
}

fn login(request: &Request<'_>) -> Response {
    let Ok(credentials) = serde_json::from_slice::<Value>(&request.body) else {
        return bad("the body is not JSON");
    };
    let field = |name: &str| credentials[name].as_str().filter(|text| !text.is_empty());
    match (field("username"), field("password")) {
        (Some(_), Some("wrong")) => error(StatusCode::UNAUTHORIZED, "the password is wrong"),
        (Some(username), Some(_)) => {
            json(StatusCode::OK, &json!({ "token": token::issue(username), "expires_in": 3600 }))
        }
        (None, _) => bad("`username` is missing"),
        (_, None) => bad("`password` is missing"),
    }
}

fn profile(request: &Request<'_>) -> Response {
    let authorization = request.parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match authorization.and_then(token::user_of) {
        Some(username) => json(StatusCode::OK, &json!({ "username": username, "role": "tester" })),
        None => with(error(StatusCode::UNAUTHORIZED, "a valid token is needed"), WWW_AUTHENTICATE, "Bearer"),
    }
}

fn list(request: &Request<'_>, workflows: &Workflows) -> Response {
    let (mut page, mut limit) = (1, 20);
    for (name, value) in query(request) {
        let number = match &*name {
            "page" => &mut page,
            "limit" => &mut limit,
            _ => continue,
        };
        match value.parse() {
            Ok(given @ 1..) => *number = given,
            _ => return bad(&format!("`{name}` is not a number from 1")),
        }
    }
    json(StatusCode::OK, &workflows.list(page, limit.min(100)))
}

fn create(request: &Request<'_>, workflows: &Workflows) -> Response {
    match fields(&request.body) {
        Ok(fields) => {
            let (id, workflow) = workflows.create(fields);
            let location = format!("{}/workflows/{id}", request.found.prefix);
            with(json(StatusCode::CREATED, &workflow), LOCATION, &location)
        }
        Err(message) => bad(message),
    }
}

fn workflow(request: &Request<'_>, workflows: &Workflows) -> Response {
    let Ok(id) = request.found.parameter.parse() else {
        return no_workflow();
    };
    let found = match request.parts.method {
        Method::PUT => match fields(&request.body) {
            Ok(fields) => workflows.replace(id, fields),
            Err(message) => return bad(message),
        },
        Method::DELETE if workflows.delete(id) => return empty(StatusCode::NO_CONTENT),
        Method::DELETE => None,
        _ => workflows.get(id),
    };
    found.map_or_else(no_workflow, |workflow| json(StatusCode::OK, &workflow))
}

fn execute(id: &str, workflows: &Workflows) -> Response {
    let number = id.parse().ok().and_then(|id| workflows.execute(id));
    number.map_or_else(no_workflow, |number| {
        let execution = json!({ "execution_id": format!("{id}-{number}"), "workflow_id": id, "status": "queued" });
        json(StatusCode::ACCEPTED, &execution)
    })
}

fn metrics(id: &str, workflows: &Workflows) -> Response {
    let executions = id.parse().ok().and_then(|id| workflows.executions(id));
    executions.map_or_else(no_workflow, |executions| {
        let latency = json!({ "p50": 12.5, "p95": 48.0, "p99": 120.0 });
        let metrics =
            json!({ "workflow_id": id, "executions": executions, "success_rate": 0.99, "latency_ms": latency });
        json(StatusCode::OK, &metrics)
    })
}

fn no_workflow() -> Response {
    error(StatusCode::NOT_FOUND, "there is no such workflow")
}

/// The fields of a workflow as sent: an object whose `name`, if there is one, is text.
fn fields(body: &[u8]) -> Result<Map<String, Value>, &'static str> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) if fields.get("name").is_none_or(Value::is_string) => Ok(fields),
        Ok(Value::Object(_)) => Err("`name` is not text"),
        Ok(_) => Err("the body is not a JSON object"),
        Err(_) => Err("the body is not JSON"),
    }
}

fn dashboard(workflows: &Workflows) -> Response {
    let series: Vec<Value> = (0..24).map(|hour| json!({ "hour": hour, "executions": 100 + hour * 7 % 40 })).collect();
    let totals = json!({ "workflows": workflows.count(), "executions": 2844, "failures": 31 });
    json(StatusCode::OK, &json!({ "period": "24h", "totals": totals, "series": series }))
}

fn search(request: &Request<'_>) -> Response {
    let Some((_, wanted)) = query(request).find(|(name, _)| name == "q") else {
        return bad("`q` is missing");
    };
    let items: Vec<Value> = (1..=5)
        .map(|id| json!({ "id": id, "title": format!("{wanted} {id}"), "score": 1.0 / f64::from(id) }))
        .collect();
    json(StatusCode::OK, &json!({ "query": wanted, "total": items.len(), "items": items }))
}

fn status(code: &str) -> Response {
    match code.parse().ok().filter(|code| (200..600).contains(code)).map(StatusCode::from_u16) {
        Some(Ok(status)) if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => empty(status),
        Some(Ok(status)) => json(status, &json!({ "status": status.as_u16() })),
        _ => bad("not a status from 200 to 599"),
    }
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

async fn delay(ms: &str) -> Response {
    let Some(delay) = ms.parse().ok().map(Duration::from_millis).filter(|delay| *delay <= MAX_DELAY) else {
        return bad("not a number of milliseconds up to 600000");
    };
    tokio::time::sleep(delay).await;
    json(StatusCode::OK, &json!({ "delayed": delay.as_millis() as u64 }))
}

fn bytes(length: &str, body: fn(u64) -> Pattern) -> Response {
    match length.parse() {
        Ok(length @ 0..=MAX_BYTES) => {
            let mut response = Response::new(Body::new(body(length)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            response
        }
        _ => bad("not a number of bytes up to 10000000000"),
    }
}

fn echo(request: &Request<'_>) -> Response {
    let mut headers = Map::new();
    for (name, value) in &request.parts.headers {
        gather(&mut headers, name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    let mut arguments = Map::new();
    for (name, value) in query(request) {
        gather(&mut arguments, &name, &value);
    }
    let echo = json!({
        "method": request.parts.method.as_str(),
        "path": request.parts.uri.path(),
        "query": arguments,
        "headers": headers,
        "body": String::from_utf8_lossy(&request.body),
    });
    json(StatusCode::OK, &echo)
}

/// Adds a value; a name that comes again has its values joined as HTTP joins headers.
fn gather(values: &mut Map<String, Value>, name: &str, value: &str) {
    match values.get_mut(name) {
        Some(Value::String(text)) => *text = format!("{text}, {value}"),
        _ => drop(values.insert(name.to_owned(), Value::from(value))),
    }
}

fn redirect(request: &Request<'_>) -> Response {
    match request.found.parameter.parse() {
        Ok(0) => json(StatusCode::OK, &json!({ "redirected": true })),
        Ok(left @ 1..=MAX_REDIRECTS) => {
            with(empty(StatusCode::FOUND), LOCATION, &format!("{}/redirect/{}", request.found.prefix, left - 1))
        }
        _ => bad("not a number of redirects up to 1000"),
    }
}

/// Sends on to `?url=`, with `?status=`, by default 302.
fn redirect_to(request: &Request<'_>) -> Response {
    let parameter = |wanted: &str| query(request).find(|(name, _)| name == wanted).map(|(_, value)| value);
    let Some(url) = parameter("url") else { return bad("`url` is missing") };
    let status = parameter("status").map_or(Some(302), |status| status.parse().ok());
    match status.filter(|status| (300..400).contains(status)).map(StatusCode::from_u16) {
        Some(Ok(status)) => with(empty(status), LOCATION, &url),
        _ => bad("`status` is not from 300 to 399"),
    }
}

/// Answers with the headers that the query names.
fn response_headers(request: &Request<'_>) -> Response {
    query(request).fold(json(StatusCode::OK, &json!({})), |response, (name, value)| {
        match HeaderName::try_from(&*name) {
            Ok(name) => with(response, name, &value),
            Err(_) => response,
        }
    })
}

fn cookies(request: &Request<'_>) -> Response {
    let mut cookies = Map::new();
    for header in request.parts.headers.get_all(COOKIE) {
        let pairs = header.to_str().unwrap_or_default().split(';').filter_map(|pair| pair.trim().split_once('='));
        cookies.extend(pairs.map(|(name, value)| (name.to_owned(), Value::from(value))));
    }
    json(StatusCode::OK, &json!({ "cookies": cookies }))
}

fn set_cookies(request: &Request<'_>) -> Response {
    let response = with(empty(StatusCode::FOUND), LOCATION, &format!("{}/cookies", request.found.prefix));
    query(request)
        .fold(response, |response, (name, value)| with(response, SET_COOKIE, &format!("{name}={value}; Path=/")))
}

/// Takes the form of a page, with the token that the page was given.
fn order(request: &Request<'_>) -> Response {
    let field = |wanted: &str| {
        let mut fields = form_urlencoded::parse(&request.body);
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    match (field("csrf"), field("item")) {
        (Some(token), Some(item)) if documents::is_from_page(&token) => {
            json(StatusCode::CREATED, &json!({ "order": { "id": format!("order-{item}"), "item": item } }))
        }
        (Some(token), None) if documents::is_from_page(&token) => bad("`item` is missing"),
        _ => error(StatusCode::FORBIDDEN, "`csrf` is not the token of a page"),
    }
}

fn large_json(request: &Request<'_>) -> Response {
    let items = query(request).find(|(name, _)| name == "items");
    match items.map_or(Ok(documents::ITEMS), |(_, value)| value.parse()) {
        Ok(items @ 0..=documents::MAX_ITEMS) => text("application/json", documents::list(items)),
        _ => bad("`items` is not a number up to 100000"),
    }
}

pub(super) fn query<'a>(request: &'a Request<'_>) -> form_urlencoded::Parse<'a> {
    form_urlencoded::parse(request.parts.uri.query().unwrap_or_default().as_bytes())
}

/// The headers as text, in the order they came.
pub(super) fn headers_of(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
