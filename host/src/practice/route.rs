//! Which route a path belongs to.

use http::Method;

use super::grpc;

macro_rules! routes {
    ($($route:ident = $pattern:literal;)*) => {
        /// What the server knows how to answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Route { $(#[doc = $pattern] $route,)* }

        /// The pattern of every route, in the order of the enum.
        pub(super) const PATTERNS: &[&str] = &[$($pattern,)*];
    };
}

routes! {
    Root = "/";
    Health = "/health";
    Login = "/auth/login";
    Profile = "/auth/profile";
    Workflows = "/workflows";
    Workflow = "/workflows/{id}";
    Execute = "/workflows/{id}/execute";
    WorkflowMetrics = "/workflows/{id}/metrics";
    Dashboard = "/analytics/dashboard";
    Search = "/search";
    Status = "/status/{code}";
    Delay = "/delay/{ms}";
    Bytes = "/bytes/{n}";
    Chunked = "/chunked/{n}";
    Echo = "/echo";
    Redirect = "/redirect/{n}";
    RedirectTo = "/redirect-to";
    ResponseHeaders = "/response-headers";
    BasicAuth = "/basic-auth/{user}/{password}";
    DigestAuth = "/digest-auth/{user}/{password}";
    Cookies = "/cookies";
    SetCookies = "/cookies/set";
    Html = "/html";
    LargeJson = "/json/large";
    Sse = "/sse";
    JsonLines = "/jsonl";
    ChatCompletions = "/v1/chat/completions";
    Limited = "/limited";
    SocketEcho = "/ws/echo";
    Ticks = "/ws/ticks";
    GrpcEcho = "/squall.practice.v1.Echo/{method}";
    GrpcReflection = "/grpc.reflection.v1.ServerReflection/{method}";
    Unknown = "unknown";
    Stats = "/__stats";
    ResetStats = "/__stats/reset";
}

/// A path, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// The route.
    pub route: Route,
    /// What stands for `{…}` in the pattern; empty where it has none, and two with the slash between them.
    pub parameter: &'a str,
    /// `/api` or nothing: what links to other routes start with.
    pub prefix: &'static str,
}

/// Finds the route of a path, with or without `/api` in front.
pub(super) fn find(path: &str) -> Found<'_> {
    let (prefix, path) = match path.strip_prefix("/api") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => ("/api", rest),
        _ => ("", path),
    };
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let first = segments.next().unwrap_or_default();
    let (second, third, fourth) = (segments.next(), segments.next(), segments.next());
    let (route, parameter) = match (first, second, third, fourth) {
        ("", None, ..) => (Route::Root, ""),
        ("health", None, ..) => (Route::Health, ""),
        ("auth", Some("login"), None, _) => (Route::Login, ""),
        ("auth", Some("profile"), None, _) => (Route::Profile, ""),
        ("workflows", None, ..) => (Route::Workflows, ""),
        ("workflows", Some(id), None, _) => (Route::Workflow, id),
        ("workflows", Some(id), Some("execute"), None) => (Route::Execute, id),
        ("workflows", Some(id), Some("metrics"), None) => (Route::WorkflowMetrics, id),
        ("analytics", Some("dashboard"), None, _) => (Route::Dashboard, ""),
        ("search", None, ..) => (Route::Search, ""),
        ("status", Some(code), None, _) => (Route::Status, code),
        ("delay", Some(ms), None, _) => (Route::Delay, ms),
        ("bytes", Some(n), None, _) => (Route::Bytes, n),
        ("chunked", Some(n), None, _) => (Route::Chunked, n),
        ("echo", None, ..) => (Route::Echo, ""),
        ("redirect", Some(n), None, _) => (Route::Redirect, n),
        ("redirect-to", None, ..) => (Route::RedirectTo, ""),
        ("response-headers", None, ..) => (Route::ResponseHeaders, ""),
        ("basic-auth", Some(_), Some(_), None) => (Route::BasicAuth, rest_of(path)),
        ("digest-auth", Some(_), Some(_), None) => (Route::DigestAuth, rest_of(path)),
        ("cookies", None, ..) => (Route::Cookies, ""),
        ("cookies", Some("set"), None, _) => (Route::SetCookies, ""),
        ("html", None, ..) => (Route::Html, ""),
        ("json", Some("large"), None, _) => (Route::LargeJson, ""),
        ("sse", None, ..) => (Route::Sse, ""),
        ("jsonl", None, ..) => (Route::JsonLines, ""),
        ("v1", Some("chat"), Some("completions"), None) => (Route::ChatCompletions, ""),
        ("limited", None, ..) => (Route::Limited, ""),
        ("ws", Some("echo"), None, _) => (Route::SocketEcho, ""),
        ("ws", Some("ticks"), None, _) => (Route::Ticks, ""),
        (grpc::ECHO, Some(method), None, _) => (Route::GrpcEcho, method),
        (grpc::REFLECTION | grpc::REFLECTION_ALPHA, Some(method), None, _) => (Route::GrpcReflection, method),
        ("__stats", None, ..) => (Route::Stats, ""),
        ("__stats", Some("reset"), None, _) => (Route::ResetStats, ""),
        _ => (Route::Unknown, ""),
    };
    Found { route, parameter, prefix }
}

/// What follows the first segment.
fn rest_of(path: &str) -> &str {
    path.trim_start_matches('/').split_once('/').map_or("", |(_, rest)| rest)
}

impl Route {
    /// The methods it answers; `None` for all.
    pub(super) fn methods(self) -> Option<&'static [Method]> {
        match self {
            Self::Login
            | Self::Execute
            | Self::ChatCompletions
            | Self::GrpcEcho
            | Self::GrpcReflection
            | Self::ResetStats => Some(&[Method::POST]),
            Self::Html | Self::Workflows => Some(&[Method::GET, Method::HEAD, Method::POST]),
            Self::Workflow => Some(&[Method::GET, Method::HEAD, Method::PUT, Method::DELETE]),
            Self::Status
            | Self::Delay
            | Self::Bytes
            | Self::Chunked
            | Self::Echo
            | Self::Redirect
            | Self::RedirectTo
            | Self::ResponseHeaders
            | Self::BasicAuth
            | Self::DigestAuth
            | Self::Limited
            | Self::Unknown => None,
            _ => Some(&[Method::GET, Method::HEAD]),
        }
    }

    /// Whether it is a WebSocket.
    pub(super) fn is_socket(self) -> bool {
        matches!(self, Self::SocketEcho | Self::Ticks)
    }

    /// Whether calls of gRPC clients go there.
    pub(super) fn is_grpc(self) -> bool {
        matches!(self, Self::GrpcEcho | Self::GrpcReflection)
    }

    /// Whether it is about the server itself: neither counted nor disturbed.
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Stats | Self::ResetStats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_finds_its_own_route_with_and_without_api() {
        for (index, pattern) in PATTERNS.iter().enumerate() {
            if *pattern == "unknown" {
                continue;
            }
            for path in [(*pattern).to_owned(), format!("/api{pattern}")] {
                assert_eq!(find(&path).route as usize, index, "{path}");
            }
        }
        assert_eq!(find("/api").route, Route::Root);
    }

    #[test]
    fn the_parameter_and_the_prefix_come_out() {
        let found = find("/api/workflows/42/execute");
        assert_eq!(found, Found { route: Route::Execute, parameter: "42", prefix: "/api" });
        assert_eq!(find("/delay/10").parameter, "10");
    }

    #[test]
    fn what_matches_no_pattern_is_unknown() {
        for path in ["/apiary", "/workflows/1/execute/now", "/auth", "/health/deep", "/workflows/1/other", "*"] {
            assert_eq!(find(path).route, Route::Unknown, "{path}");
        }
    }
}
