//! Every built-in metric on one screen. Names, kinds and definitions are k6's unless the line says otherwise.

use super::{Contains, Kind, MetricId};

/// Declares the constants and the table together, so that an id is always its row.
macro_rules! builtin {
    ($($(#[$doc:meta])* $constant:ident = $id:literal, $name:literal, $kind:ident, $contains:ident;)*) => {
        $($(#[$doc])* pub const $constant: MetricId = MetricId($id);)*
        /// Name, kind and unit of every built-in metric; the index is the id.
        pub const TABLE: &[(&str, Kind, Contains)] = &[$(($name, Kind::$kind, Contains::$contains),)*];
        #[cfg(test)]
        const IDS: &[u32] = &[$($id,)*];
    };
}

builtin! {
    /// Active VUs.
    VUS = 0, "vus", Gauge, Default;
    /// Initialised VUs.
    VUS_MAX = 1, "vus_max", Gauge, Default;
    /// Iterations that ended by themselves (also failed, trapped or timed out ones; not interrupted ones).
    ITERATIONS = 2, "iterations", Counter, Default;
    /// How long an iteration took.
    ITERATION_DURATION = 3, "iteration_duration", Trend, Time;
    /// Arrivals with no VU free to take them, and iterations left over at `maxDuration`.
    DROPPED_ITERATIONS = 4, "dropped_iterations", Counter, Default;
    /// squall's own: how late an arrival started, against its due time.
    ITERATION_DELAY = 5, "iteration_delay", Trend, Time;
    /// squall's own: the share of iterations that returned an error, trapped or timed out.
    ITERATIONS_FAILED = 6, "iterations_failed", Rate, Default;
    /// The share of checks that held.
    CHECKS = 7, "checks", Rate, Default;
    /// How long a group took.
    GROUP_DURATION = 8, "group_duration", Trend, Time;
    /// Bytes received.
    DATA_RECEIVED = 9, "data_received", Counter, Data;
    /// Bytes sent.
    DATA_SENT = 10, "data_sent", Counter, Data;
    /// Requests.
    HTTP_REQS = 11, "http_reqs", Counter, Default;
    /// The share of requests with no or an unexpected answer.
    HTTP_REQ_FAILED = 12, "http_req_failed", Rate, Default;
    /// sending + waiting + receiving.
    HTTP_REQ_DURATION = 13, "http_req_duration", Trend, Time;
    /// Waiting for a connection: looking up, connecting and the TLS handshake included.
    HTTP_REQ_BLOCKED = 14, "http_req_blocked", Trend, Time;
    /// squall's own: resolving the host name.
    HTTP_REQ_LOOKING_UP = 15, "http_req_looking_up", Trend, Time;
    /// Opening the TCP connection.
    HTTP_REQ_CONNECTING = 16, "http_req_connecting", Trend, Time;
    /// The TLS handshake.
    HTTP_REQ_TLS_HANDSHAKING = 17, "http_req_tls_handshaking", Trend, Time;
    /// Writing the request.
    HTTP_REQ_SENDING = 18, "http_req_sending", Trend, Time;
    /// From the last byte written to the first byte received.
    HTTP_REQ_WAITING = 19, "http_req_waiting", Trend, Time;
    /// From the first byte received to the last.
    HTTP_REQ_RECEIVING = 20, "http_req_receiving", Trend, Time;
    /// squall's own: `iteration_delay + iteration_duration`, what a user of an open model waited since the intended start.
    ITERATION_TOTAL = 21, "iteration_total", Trend, Time;
    /// squall's own: `http_req_blocked + http_req_duration`, everything from asking for a connection to the last byte.
    HTTP_REQ_TOTAL_DURATION = 22, "http_req_total_duration", Trend, Time;
    /// squall's own: requests sent again because the server had closed the connection they were sent on.
    HTTP_REQ_RETRIES = 23, "http_req_retries", Counter, Default;
    /// squall's own: requests refused by the network policy, by `host`.
    POLICY_DENIED = 24, "policy_denied", Counter, Default;
    /// WebSocket connections that were asked for. k6 counts those that were opened, at their end.
    WS_SESSIONS = 25, "ws_sessions", Counter, Default;
    /// From asking for a WebSocket to being able to use it: looking up, connecting, TLS handshake and upgrade.
    WS_CONNECTING = 26, "ws_connecting", Trend, Time;
    /// From asking for a WebSocket to its end.
    WS_SESSION_DURATION = 27, "ws_session_duration", Trend, Time;
    /// Messages sent on WebSockets.
    WS_MSGS_SENT = 28, "ws_msgs_sent", Counter, Default;
    /// Messages received on WebSockets.
    WS_MSGS_RECEIVED = 29, "ws_msgs_received", Counter, Default;
    /// From a WebSocket ping to its pong.
    WS_PING = 30, "ws_ping", Trend, Time;
    /// From the first byte of a unary gRPC call to the end of its answer.
    GRPC_REQ_DURATION = 31, "grpc_req_duration", Trend, Time;
    /// gRPC streams that were begun.
    GRPC_STREAMS = 32, "grpc_streams", Counter, Default;
    /// Messages sent on gRPC streams.
    GRPC_STREAMS_MSGS_SENT = 33, "grpc_streams_msgs_sent", Counter, Default;
    /// Messages received on gRPC streams.
    GRPC_STREAMS_MSGS_RECEIVED = 34, "grpc_streams_msgs_received", Counter, Default;
    /// squall's own: events of an answer that streams: server-sent events, lines of JSON.
    STREAM_EVENTS = 35, "stream_events", Counter, Default;
    /// squall's own: from the request's last byte to the first event's arrival.
    STREAM_TIME_TO_FIRST_EVENT = 36, "stream_time_to_first_event", Trend, Time;
    /// squall's own: streams of events that were taken up again after their end.
    STREAM_RECONNECTS = 37, "stream_reconnects", Counter, Default;
    /// squall's own: tokens of a language model's answer.
    LLM_TOKENS = 38, "llm_tokens", Counter, Default;
    /// squall's own: from the request's last byte to the first token's arrival.
    LLM_TIME_TO_FIRST_TOKEN = 39, "llm_time_to_first_token", Trend, Time;
    /// squall's own: from one token's arrival to the next one's.
    LLM_INTER_TOKEN_LATENCY = 40, "llm_inter_token_latency", Trend, Time;
    /// squall's own: of one answer, tokens after the first by the seconds from the first to the last.
    LLM_TOKENS_PER_SECOND = 41, "llm_tokens_per_second", Trend, Default;
    /// squall's own: TCP connections and UDP sockets that were asked for.
    SOCKET_SESSIONS = 42, "socket_sessions", Counter, Default;
    /// squall's own: from asking for a TCP connection to being able to use it.
    SOCKET_CONNECTING = 43, "socket_connecting", Trend, Time;
    /// squall's own: from an open socket to its end.
    SOCKET_SESSION_DURATION = 44, "socket_session_duration", Trend, Time;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_row_of_its_metric() {
        for (row, id) in IDS.iter().enumerate() {
            assert_eq!(row, *id as usize, "`{}`", TABLE[row].0);
        }
    }
}
