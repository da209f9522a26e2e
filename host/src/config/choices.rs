//! Values of HTTP options that are one of a few words, or lists of them.

use super::fields::{Decode, Fields};
use super::findings::Findings;
use super::node::{Node, Value};
use super::values::{Shown, reported};
use crate::plan::http::{Connections, Debug, Policy, Select, TlsVersion, Version};

/// Words and what they mean.
type Words<T> = &'static [(&'static str, T)];

const VERSIONS: Words<Version> = &[
    ("auto", Version::Auto),
    ("1.1", Version::Http1),
    ("2", Version::Http2),
    ("3", Version::Http3),
    ("alt-svc", Version::AltSvc),
];
pub(super) const SELECTS: Words<Select> =
    &[("first", Select::First), ("random", Select::Random), ("roundRobin", Select::RoundRobin)];
pub(super) const POLICIES: Words<Policy> = &[
    ("preferIPv4", Policy::PreferIpv4),
    ("preferIPv6", Policy::PreferIpv6),
    ("onlyIPv4", Policy::OnlyIpv4),
    ("onlyIPv6", Policy::OnlyIpv6),
    ("any", Policy::Any),
];
const TLS_VERSIONS: Words<TlsVersion> = &[("tls1.2", TlsVersion::Tls12), ("tls1.3", TlsVersion::Tls13)];
/// Versions that others speak.
const OLD_TLS: [&str; 3] = ["ssl3.0", "tls1.0", "tls1.1"];
const CONNECTIONS: Words<Connections> = &[
    ("per-vu", Connections::PerVu),
    ("per-iteration", Connections::PerIteration),
    ("per-request", Connections::PerRequest),
];

/// How much is shown of requests, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shows(pub Option<Debug>);

/// Statuses: inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statuses(pub Vec<(u16, u16)>);

/// The lowest and the highest version of TLS, where said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TlsVersions {
    pub min: Option<TlsVersion>,
    pub max: Option<TlsVersion>,
}

/// Reads one of `words`.
fn one_of<T: Copy>(words: Words<T>, node: &Node, findings: &mut Findings) -> Option<T> {
    let text = match &node.value {
        Value::Text(text) => text.trim(),
        _ => "",
    };
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    let names: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
    let (last, others) = names.split_last().expect("there are always several words");
    reported(found, node, &format!("{} or {last}", others.join(", ")), findings)
}

fn word<T: PartialEq>(words: Words<T>, value: &T) -> String {
    words.iter().find(|(_, known)| known == value).map_or_else(String::new, |(word, _)| (*word).to_owned())
}

impl Decode for Version {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        // Without quotes they are numbers.
        let text = match node.value {
            Value::Integer(2) => "2",
            Value::Integer(3) => "3",
            Value::Float(number) if (number - 1.1).abs() < 1e-9 => "1.1",
            Value::Float(number) if (number - 2.0).abs() < 1e-9 => "2",
            Value::Float(number) if (number - 3.0).abs() < 1e-9 => "3",
            _ => return one_of(VERSIONS, node, findings),
        };
        VERSIONS.iter().find(|(word, _)| *word == text).map(|(_, version)| *version)
    }
}

impl Decode for Select {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        one_of(SELECTS, node, findings)
    }
}

impl Decode for Policy {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        one_of(POLICIES, node, findings)
    }
}

impl Decode for Connections {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let vus = match &node.value {
            Value::Text(text) => match text.trim().strip_prefix("shared:") {
                Some(vus) => {
                    let vus = vus.trim().parse().ok().filter(|vus| *vus > 0);
                    return reported(vus.map(Self::Shared), node, "like `shared:10`, with 1 or more", findings);
                }
                None => None,
            },
            Value::Table(_) => {
                let mut fields = Fields::open(node, findings)?;
                let shared = fields.take::<u32>("shared", findings);
                let before = findings.errors.len();
                fields.finish(findings, |_| None);
                let shared = shared.filter(|_| findings.errors.len() == before)?;
                if shared.value == 0 {
                    let message = format!("`{}` is 0, but must be at least 1", findings.name(&shared.spot));
                    findings.refuse(&shared.spot, &message, "say how many VUs share their connections");
                    return None;
                }
                Some(shared.value)
            }
            _ => None,
        };
        if let Some(vus) = vus {
            return Some(Self::Shared(vus));
        }
        let text = match &node.value {
            Value::Text(text) => text.trim(),
            _ => "",
        };
        let found = CONNECTIONS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        reported(found, node, "`per-vu`, `per-iteration`, `per-request` or `shared:N`", findings)
    }
}

impl Decode for Shows {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let shows = match &node.value {
            Value::Bool(true) => Some(Some(Debug::Headers)),
            Value::Bool(false) => Some(None),
            Value::Text(text) => match text.trim() {
                "headers" => Some(Some(Debug::Headers)),
                "full" => Some(Some(Debug::Full)),
                // k6's word for nothing.
                "" => Some(None),
                "true" if node.spot.place.has_only_texts() => Some(Some(Debug::Headers)),
                "false" if node.spot.place.has_only_texts() => Some(None),
                _ => None,
            },
            _ => None,
        };
        reported(shows.map(Self), node, "`headers` or `full`", findings)
    }
}

impl Decode for TlsVersion {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        if let Value::Text(text) = &node.value
            && OLD_TLS.contains(&text.trim())
        {
            let message = format!("`{}` is `{text}`, but squall speaks TLS 1.2 and 1.3", findings.name(&node.spot));
            findings.refuse(&node.spot, &message, "write `tls1.2` or `tls1.3`, or leave it out for both");
            return None;
        }
        one_of(TLS_VERSIONS, node, findings)
    }
}

impl Decode for TlsVersions {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        if matches!(node.value, Value::Text(_)) {
            let version = Some(TlsVersion::decode(node, findings)?);
            return Some(Self { min: version, max: version });
        }
        if !matches!(node.value, Value::Table(_)) {
            return reported(None, node, "a version like `tls1.2`, or a table with `min` and `max`", findings);
        }
        let before = findings.errors.len();
        let mut fields = Fields::open(node, findings)?;
        let min = fields.take::<OptionalVersion>("min", findings).and_then(|given| given.value.0);
        let max = fields.take::<OptionalVersion>("max", findings).and_then(|given| given.value.0);
        fields.finish(findings, |_| None);
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let name = findings.name(&node.spot);
            let message = format!("`{name}`: `min` is {} but `max` is {}", min.shown(), max.shown());
            findings.refuse(&node.spot, &message, "exchange them");
        }
        (findings.errors.len() == before).then_some(Self { min, max })
    }
}

/// A version, or k6's empty text for none.
struct OptionalVersion(Option<TlsVersion>);

impl Decode for OptionalVersion {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.is_empty() => Some(Self(None)),
            _ => TlsVersion::decode(node, findings).map(|version| Self(Some(version))),
        }
    }
}

const STATUSES: &str = "statuses from 100 to 999, like `200-299` or `404`";

impl Decode for Statuses {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let ranges: Vec<Option<(u16, u16)>> = match &node.value {
            Value::List(items) => items.iter().map(|item| statuses(item, findings)).collect(),
            Value::Text(text) => {
                let part = |part: &str| Node::new(Value::Text(part.trim().to_owned()), node.spot.clone());
                let parts = text.split(',').filter(|part| !part.trim().is_empty()).map(part);
                parts.map(|part| statuses(&part, findings)).collect()
            }
            _ => vec![statuses(node, findings)],
        };
        if ranges.is_empty() {
            let message = format!("`{}` is empty, so every answer would be a failure", findings.name(&node.spot));
            findings.refuse(&node.spot, &message, "leave it out for `200-399`");
            return None;
        }
        ranges.into_iter().collect::<Option<_>>().map(Self)
    }
}

fn statuses(node: &Node, findings: &mut Findings) -> Option<(u16, u16)> {
    let status = |text: &str| text.trim().parse::<u16>().ok();
    let range = match &node.value {
        Value::Text(text) => match text.split_once('-') {
            Some((min, max)) => status(min).zip(status(max)),
            None => status(text).map(|status| (status, status)),
        },
        Value::Table(_) => {
            let before = findings.errors.len();
            let mut fields = Fields::open(node, findings)?;
            let min = fields.take::<u32>("min", findings).map(|given| given.value);
            let max = fields.take::<u32>("max", findings).map(|given| given.value);
            fields.finish(findings, |_| None);
            if findings.errors.len() > before {
                return None;
            }
            let Some((min, max)) = min.zip(max) else {
                let message = format!("`{}` has no `min` or no `max`", findings.name(&node.spot));
                findings.refuse(&node.spot, &message, "a range is like `{ min = 200, max = 299 }`");
                return None;
            };
            u16::try_from(min).ok().zip(u16::try_from(max).ok())
        }
        Value::Integer(number) => u16::try_from(*number).ok().map(|status| (status, status)),
        Value::Float(number) if number.fract() == 0.0 => {
            let status = status(&number.to_string());
            status.map(|status| (status, status))
        }
        _ => None,
    };
    let range = range.filter(|(min, max)| min <= max && (100..=999).contains(min) && (100..=999).contains(max));
    reported(range, node, STATUSES, findings)
}

impl Shown for Version {
    fn shown(&self) -> String {
        word(VERSIONS, self)
    }
}

impl Shown for Select {
    fn shown(&self) -> String {
        word(SELECTS, self)
    }
}

impl Shown for Policy {
    fn shown(&self) -> String {
        word(POLICIES, self)
    }
}

impl Shown for Connections {
    fn shown(&self) -> String {
        match self {
            Self::Shared(vus) => format!("shared:{vus}"),
            other => word(CONNECTIONS, other),
        }
    }
}

impl Shown for Shows {
    fn shown(&self) -> String {
        match self.0 {
            None => "none",
            Some(Debug::Headers) => "headers",
            Some(Debug::Full) => "full",
        }
        .to_owned()
    }
}

impl Shown for Statuses {
    fn shown(&self) -> String {
        let range = |(min, max): &(u16, u16)| if min == max { min.to_string() } else { format!("{min}-{max}") };
        self.0.iter().map(range).collect::<Vec<_>>().join(",")
    }
}

impl Shown for TlsVersion {
    fn shown(&self) -> String {
        word(TLS_VERSIONS, self)
    }
}

impl Shown for TlsVersions {
    fn shown(&self) -> String {
        let min = self.min.unwrap_or(TlsVersion::Tls12);
        let max = self.max.unwrap_or(TlsVersion::Tls13);
        if min == max { min.shown() } else { format!("{} to {}", min.shown(), max.shown()) }
    }
}
