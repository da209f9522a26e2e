//! The journey's own options: how it wants to be run, unless whoever runs it says otherwise.
//!
//! The names and shapes are k6's. Every value may be overridden by `squall.toml`, the environment and flags.
//!
//! ```
//! use squall_sdk::options::{Options, Scenario, Threshold};
//! use std::time::Duration;
//!
//! let options = Options::new()
//!     .scenario("browse", Scenario::constant_vus(20, Duration::from_secs(60)))
//!     .scenario("buy", Scenario::constant_arrival_rate(5.0, Duration::from_secs(60), 10).exec("check-out"))
//!     .threshold("http_req_duration", "p(95)<500")
//!     .threshold("http_req_failed", Threshold::new("rate<0.01").abort_on_fail());
//! ```

mod http;
mod scenario;
mod threshold;

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use http::{Connections, Dns, HttpVersion, Identity, Policy, Select, TlsVersion};
pub use scenario::Scenario;
pub use threshold::Threshold;

/// The options of a journey.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use]
pub struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    vus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iterations: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stages: Vec<Stage>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    scenarios: Named<Scenario>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    thresholds: Named<Vec<Threshold>>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    tags: Named<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setup_timeout: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teardown_timeout: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_iteration_duration: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_redirects: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discard_response_bodies: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_connection_reuse: Option<bool>,
    #[serde(rename = "noVUConnectionReuse", skip_serializing_if = "Option::is_none")]
    no_vu_connection_reuse: Option<bool>,
    #[serde(rename = "insecureSkipTLSVerify", skip_serializing_if = "Option::is_none")]
    insecure_skip_tls_verify: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    summary_trend_stats: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system_tags: Vec<String>,
    #[serde(flatten)]
    http: http::Requests,
}

impl Options {
    /// No options: one virtual user, one iteration.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many virtual users run at once.
    pub fn vus(mut self, vus: u32) -> Self {
        self.vus = Some(vus);
        self
    }

    /// How long the run lasts.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration.into());
        self
    }

    /// How many iterations the virtual users share.
    pub fn iterations(mut self, iterations: u32) -> Self {
        self.iterations = Some(iterations);
        self
    }

    /// Adds a stage: a ramp to `target` virtual users over `duration`.
    pub fn stage(mut self, duration: Duration, target: u32) -> Self {
        self.stages.push(Stage { duration: duration.into(), target: target.into() });
        self
    }

    /// Adds a scenario. Scenarios replace `vus`, `duration`, `iterations` and stages.
    pub fn scenario(mut self, name: impl Into<String>, scenario: Scenario) -> Self {
        self.scenarios.0.push((name.into(), scenario));
        self
    }

    /// Adds a threshold on a metric, which may be narrowed by tags (`http_req_duration{name:login}`).
    pub fn threshold(mut self, metric: impl Into<String>, threshold: impl Into<Threshold>) -> Self {
        let metric = metric.into();
        match self.thresholds.0.iter_mut().find(|(name, _)| *name == metric) {
            Some((_, thresholds)) => thresholds.push(threshold.into()),
            None => self.thresholds.0.push((metric, vec![threshold.into()])),
        }
        self
    }

    /// Adds a tag to every sample of the run.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.0.push((name.into(), value.into()));
        self
    }

    /// How long setup may take.
    pub fn setup_timeout(mut self, timeout: Duration) -> Self {
        self.setup_timeout = Some(timeout.into());
        self
    }

    /// How long teardown may take.
    pub fn teardown_timeout(mut self, timeout: Duration) -> Self {
        self.teardown_timeout = Some(timeout.into());
        self
    }

    /// The least time between the starts of two iterations of a virtual user.
    pub fn min_iteration_duration(mut self, duration: Duration) -> Self {
        self.min_iteration_duration = Some(duration.into());
        self
    }

    /// How many redirects a request follows unless it says otherwise.
    pub fn max_redirects(mut self, most: u32) -> Self {
        self.max_redirects = Some(most);
        self
    }

    /// The `user-agent` of requests that set none.
    pub fn user_agent(mut self, agent: impl Into<String>) -> Self {
        self.user_agent = Some(agent.into());
        self
    }

    /// Reads bodies off the wire without keeping them.
    pub fn discard_response_bodies(mut self) -> Self {
        self.discard_response_bodies = Some(true);
        self
    }

    /// Opens a connection for each request.
    pub fn no_connection_reuse(mut self) -> Self {
        self.no_connection_reuse = Some(true);
        self
    }

    /// Closes connections between iterations.
    pub fn no_vu_connection_reuse(mut self) -> Self {
        self.no_vu_connection_reuse = Some(true);
        self
    }

    /// Accepts any certificate.
    pub fn insecure_skip_tls_verify(mut self) -> Self {
        self.insecure_skip_tls_verify = Some(true);
        self
    }

    /// Which statistics of a trend the summary shows (`avg`, `p(99)`).
    pub fn summary_trend_stats(mut self, stats: &[&str]) -> Self {
        self.summary_trend_stats = stats.iter().map(|&stat| stat.to_owned()).collect();
        self
    }

    /// Which of the tags that the host knows are put on samples.
    pub fn system_tags(mut self, tags: &[&str]) -> Self {
        self.system_tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        self
    }

    /// The options as the JSON that the host reads.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it cannot panic: see the `expect`")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names are texts, and no value refuses to be written")
    }
}

/// A ramp to a target over a time.
#[derive(Clone, Debug, Serialize)]
struct Stage {
    duration: Text,
    target: Number,
}

/// A JSON object that keeps the order in which its members were added.
#[derive(Clone, Debug)]
struct Named<T>(Vec<(String, T)>);

impl<T> Named<T> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A duration as the options write it: `1m30s`, `500ms`.
#[derive(Clone, Debug, Serialize)]
struct Text(String);

impl From<Duration> for Text {
    fn from(duration: Duration) -> Self {
        Self(written(duration))
    }
}

/// A rate or a target: whole numbers are written without a fraction.
#[derive(Clone, Copy, Debug)]
struct Number(f64);

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 1e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

fn written(duration: Duration) -> String {
    let units = [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    let mut left = duration.as_nanos();
    let mut text = String::new();
    for (unit, nanoseconds) in units {
        if left >= nanoseconds {
            write!(text, "{}{unit}", left / nanoseconds).expect("a `String` takes any text");
            left %= nanoseconds;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn durations_are_written_in_the_units_people_use() {
        assert_eq!(written(Duration::ZERO), "0s");
        assert_eq!(written(10 * SECOND), "10s");
        assert_eq!(written(90 * SECOND), "1m30s");
        assert_eq!(written(Duration::from_millis(500)), "500ms");
        assert_eq!(written(Duration::from_millis(3_600_001)), "1h1ms");
        assert_eq!(written(Duration::from_nanos(1_002_003)), "1ms2us3ns");
    }

    #[test]
    fn no_options_are_an_empty_object() {
        assert_eq!(Options::new().to_json(), "{}");
    }

    #[test]
    fn the_shortcuts_have_k6s_names() {
        let options = Options::new().vus(10).duration(90 * SECOND).iterations(5).stage(SECOND, 3).tag("team", "shop");
        assert_eq!(
            options.to_json(),
            r#"{"vus":10,"duration":"1m30s","iterations":5,"stages":[{"duration":"1s","target":3}],"tags":{"team":"shop"}}"#
        );
    }

    #[test]
    fn thresholds_are_texts_until_they_need_to_be_objects() {
        let options = Options::new()
            .threshold("http_req_duration", "p(95)<500")
            .threshold("http_req_duration", Threshold::new("p(99)<900").abort_on_fail().delay_abort_eval(10 * SECOND))
            .threshold("checks", Threshold::new("rate>0.99").allow_no_data());
        assert_eq!(
            options.to_json(),
            concat!(
                r#"{"thresholds":{"http_req_duration":["p(95)<500","#,
                r#"{"threshold":"p(99)<900","abortOnFail":true,"delayAbortEval":"10s"}],"#,
                r#""checks":[{"threshold":"rate>0.99","allowNoData":true}]}}"#
            )
        );
    }

    #[test]
    fn the_other_options_have_k6s_names() {
        let options = Options::new()
            .setup_timeout(SECOND)
            .teardown_timeout(2 * SECOND)
            .min_iteration_duration(3 * SECOND)
            .max_redirects(4)
            .user_agent("me")
            .discard_response_bodies()
            .no_connection_reuse()
            .no_vu_connection_reuse()
            .insecure_skip_tls_verify()
            .summary_trend_stats(&["avg", "p(99)"])
            .system_tags(&["url"]);
        assert_eq!(
            options.to_json(),
            concat!(
                r#"{"setupTimeout":"1s","teardownTimeout":"2s","minIterationDuration":"3s","maxRedirects":4,"#,
                r#""userAgent":"me","discardResponseBodies":true,"noConnectionReuse":true,"noVUConnectionReuse":true,"#,
                r#""insecureSkipTLSVerify":true,"summaryTrendStats":["avg","p(99)"],"systemTags":["url"]}"#
            )
        );
    }
}
