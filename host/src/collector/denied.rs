//! Requests that were refused because of where they would have gone, by host.

use std::collections::BTreeMap;

use crate::aggregate::{Value, Window};
use crate::metrics::builtin;
use crate::plan::{ByDefault, NetPolicy};
use crate::verdict::Warning;

/// Hosts that are named in the summary; the others are counted together.
const NAMED: usize = 3;
/// Hosts that are counted each by itself. The recorders hold them to a limit of their own.
const KEPT: usize = 10_000;

/// What stands for hosts beyond the limits of tags and of series.
const OTHER: &str = "_other";

/// How often each host was refused.
#[derive(Debug, Default)]
pub(super) struct Denied {
    hosts: BTreeMap<String, u64>,
    total: u64,
}

impl Denied {
    /// Counts what a window holds.
    pub(super) fn add(&mut self, window: &Window) {
        let series = window.series.iter().filter(|(series, _)| series.metric == builtin::POLICY_DENIED);
        for (series, value) in series {
            let Value::Counter(count) = value else { continue };
            let count = count.round() as u64;
            self.total += count;
            let host = series.tags.get("host").unwrap_or(OTHER);
            if let Some(known) = self.hosts.get_mut(host) {
                *known += count;
            } else if host != OTHER && self.hosts.len() < KEPT {
                self.hosts.insert(host.to_owned(), count);
            }
        }
    }

    /// What the user should know of it.
    pub(super) fn warning(&self, policy: &NetPolicy) -> Option<Warning> {
        if self.total == 0 {
            return None;
        }
        let mut hosts: Vec<(&str, u64)> = self.hosts.iter().map(|(host, count)| (host.as_str(), *count)).collect();
        hosts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        hosts.truncate(NAMED);
        let others = self.total - hosts.iter().map(|(_, count)| count).sum::<u64>();
        let mut parts: Vec<String> = hosts.iter().map(|(host, count)| format!("{count} to `{host}`")).collect();
        parts.extend((others > 0).then(|| format!("{others} to others")));
        let requests = if self.total == 1 { "1 request was" } else { &format!("{} requests were", self.total) };
        let hint = match policy.by_default {
            ByDefault::Deny => {
                "allow with `--allow-net` what the journey may reach; the tag `error` of each request says what was refused"
            }
            ByDefault::Allow => "`--deny-net`, `blacklistIPs` and `blockHostnames` say who must not be reached",
        };
        Some(Warning {
            message: format!("{requests} refused by the network policy: {}", parts.join(", ")),
            hint: Some(hint.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::aggregate::WindowRecorder;
    use crate::metrics::{Record as _, Registry};

    #[test]
    fn the_most_refused_are_named_and_the_others_counted() {
        let recorder = WindowRecorder::new(Arc::new(Registry::default()), 100, None);
        let mut denied = Denied::default();
        assert_eq!(denied.warning(&NetPolicy::default()), None);
        let refuse = |host: &str, group: &str, times: usize| {
            let tags = [("host", host), ("group", group)].into_iter().collect();
            (0..times).for_each(|_| recorder.add(recorder.series(builtin::POLICY_DENIED, &tags), 1.0));
        };
        refuse("a.test", "", 1);
        denied.add(&recorder.take(Duration::ZERO, Duration::from_secs(1)));
        let warning = denied.warning(&NetPolicy::default()).unwrap();
        assert_eq!(warning.message, "1 request was refused by the network policy: 1 to `a.test`");
        for (host, group, times) in
            [("m.test", "", 5), ("m.test", "::g", 5), ("b.test", "", 3), ("c.test", "", 2), ("d.test", "", 1)]
        {
            refuse(host, group, times);
        }
        denied.add(&recorder.take(Duration::from_secs(1), Duration::from_secs(1)));
        let warning = denied.warning(&NetPolicy::default()).unwrap();
        assert_eq!(
            warning.message,
            "17 requests were refused by the network policy: 10 to `m.test`, 3 to `b.test`, 2 to `c.test`, 2 to others"
        );
    }
}
