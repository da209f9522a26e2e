//! What has come of all windows so far.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Group, Selector, Series, Value, Window};
use crate::metrics::{MetricId, Registry, Tags, builtin};

/// The run so far: a value for every metric and for every part of one that was asked for, and the tree of checks.
#[derive(Debug)]
pub struct Totals {
    registry: Arc<Registry>,
    views: Vec<View>,
    /// The views that a series feeds. Series are few and windows many, so tags are compared once per series.
    feeds: FxHashMap<Arc<Series>, Vec<usize>>,
    root: Group,
}

/// A metric, or the part of it that carries some tags.
#[derive(Debug)]
struct View {
    selector: Selector,
    value: Option<Value>,
}

impl Totals {
    /// Makes totals of nothing that keep these parts of metrics apart, beside
    /// `http_req_duration{expected_response:true}`, which is always there.
    #[must_use]
    pub fn new(registry: Arc<Registry>, selectors: Vec<Selector>) -> Self {
        let expected = Selector {
            metric: builtin::TABLE[builtin::HTTP_REQ_DURATION.0 as usize].0.to_owned(),
            tags: [("expected_response", "true")].into_iter().collect(),
        };
        let mut totals = Self { registry, views: Vec::new(), feeds: FxHashMap::default(), root: Group::default() };
        for selector in std::iter::once(expected).chain(selectors) {
            totals.view(selector);
        }
        totals
    }

    /// Adds a window.
    pub fn add(&mut self, window: &Window) {
        for (series, value) in &window.series {
            if !self.feeds.contains_key(series) {
                let feeds = self.feeds_of(series);
                self.feeds.insert(Arc::clone(series), feeds);
            }
            for &view in self.feeds.get(series).into_iter().flatten() {
                let total = &mut self.views[view].value;
                match total {
                    Some(total) => total.merge(value),
                    None => *total = Some(value.clone()),
                }
            }
            self.count_checks(series, value);
        }
    }

    /// What has come of a metric, or of a part of one that was asked for; `None` when it saw nothing.
    #[must_use]
    pub fn get(&self, selector: &Selector) -> Option<&Value> {
        self.views.iter().find(|view| view.selector == *selector)?.value.as_ref()
    }

    /// What has come of a whole metric; `None` when it saw nothing.
    #[must_use]
    pub fn metric(&self, metric: MetricId) -> Option<&Value> {
        let name = self.registry.get(metric)?.name;
        self.views.iter().find(|view| *view.selector.metric == *name && view.selector.tags.is_empty())?.value.as_ref()
    }

    /// The parts of metrics that were asked for, and what has come of them.
    pub fn parts(&self) -> impl Iterator<Item = (&Selector, Option<&Value>)> {
        let parts = self.views.iter().filter(|view| !view.selector.tags.is_empty());
        parts.map(|view| (&view.selector, view.value.as_ref()))
    }

    /// How many series have been seen.
    #[must_use]
    pub fn series(&self) -> usize {
        self.feeds.len()
    }

    /// The groups and their checks.
    #[must_use]
    pub fn root_group(&self) -> &Group {
        &self.root
    }

    /// Returns the place of a view, making it if it is new.
    fn view(&mut self, selector: Selector) -> usize {
        let known = self.views.iter().position(|view| view.selector == selector);
        known.unwrap_or_else(|| {
            self.views.push(View { selector, value: None });
            self.views.len() - 1
        })
    }

    fn feeds_of(&mut self, series: &Series) -> Vec<usize> {
        let Some(metric) = self.registry.get(series.metric) else { return Vec::new() };
        self.view(Selector { metric: metric.name.to_string(), tags: Tags::default() });
        let views = self.views.iter().enumerate();
        let fed =
            views.filter(|(_, view)| *view.selector.metric == *metric.name && series.tags.matches(&view.selector.tags));
        fed.map(|(place, _)| place).collect()
    }

    fn count_checks(&mut self, series: &Series, value: &Value) {
        let path = series.tags.get("group").unwrap_or_default();
        match (series.metric, value, series.tags.get("check")) {
            (builtin::CHECKS, Value::Rate { passes, total }, Some(check)) => {
                self.root.at(path).count(check, *passes, total - passes);
            }
            // A group without checks is in the tree as well.
            (builtin::GROUP_DURATION, ..) => {
                self.root.at(path);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::WindowRecorder;
    use crate::metrics::Record;

    const SECOND: Duration = Duration::from_secs(1);

    /// One sample: which metric, which status, which value.
    type Given = (usize, usize, u8);

    fn window(registry: &Arc<Registry>, second: u64, samples: &[Given]) -> Window {
        let metrics = [builtin::HTTP_REQS, builtin::HTTP_REQ_DURATION, builtin::CHECKS, builtin::VUS];
        let recorder = WindowRecorder::new(Arc::clone(registry), 100, None);
        for &(metric, status, value) in samples {
            let tags: Tags = [
                ("status", ["200", "404", "500"][status]),
                ("expected_response", ["true", "false", "false"][status]),
                ("check", "ok"),
                ("group", ["", "::a", "::a::b"][status]),
            ]
            .into_iter()
            .collect();
            let id = recorder.series(metrics[metric], &tags);
            recorder.add(id, f64::from(value));
        }
        recorder.take(SECOND * second as u32, SECOND)
    }

    fn totals(registry: &Arc<Registry>) -> Totals {
        let not_found =
            Selector { metric: "http_req_duration".into(), tags: [("status", "404")].into_iter().collect() };
        Totals::new(Arc::clone(registry), vec![not_found])
    }

    #[test]
    fn a_part_of_a_metric_gets_only_its_series_and_the_metric_all() {
        let registry = Arc::new(Registry::default());
        let mut totals = totals(&registry);
        totals.add(&window(&registry, 0, &[(1, 0, 10), (1, 1, 20), (1, 1, 30), (1, 2, 40)]));
        let count = |value: Option<&Value>| match value {
            Some(Value::Trend(trend)) => trend.count(),
            other => panic!("{other:?}"),
        };
        assert_eq!(count(totals.metric(builtin::HTTP_REQ_DURATION)), 4);
        let parts: Vec<(String, u64)> = totals.parts().map(|(part, value)| (part.to_string(), count(value))).collect();
        let expected = [("http_req_duration{expected_response:true}", 1), ("http_req_duration{status:404}", 2)];
        assert_eq!(parts, expected.map(|(name, count)| (name.to_owned(), count)));
        assert_eq!(totals.metric(builtin::HTTP_REQS), None);
    }

    #[test]
    fn checks_are_counted_by_group() {
        let registry = Arc::new(Registry::default());
        let mut totals = totals(&registry);
        totals.add(&window(&registry, 0, &[(2, 0, 1), (2, 0, 0), (2, 2, 1)]));
        totals.add(&window(&registry, 1, &[(2, 2, 1)]));
        let root = totals.root_group();
        assert_eq!((root.checks[0].passes, root.checks[0].fails), (1, 1));
        assert_eq!(root.groups[0].groups[0].checks[0].passes, 2);
    }

    proptest! {
        #[test]
        fn windows_merged_in_any_order_and_association_give_the_same_totals(
            windows in proptest::collection::vec(
                proptest::collection::vec((0_usize..4, 0_usize..3, 0_u8..200), 0..80), 1..6),
            split in 0_usize..6,
        ) {
            let registry = Arc::new(Registry::default());
            let windows: Vec<Window> = windows.iter().zip(0..).map(|(samples, at)| window(&registry, at, samples)).collect();
            let mut one_by_one = totals(&registry);
            for window in &windows {
                one_by_one.add(window);
            }

            let merged = |windows: &[Window]| windows.iter().rev().cloned().reduce(|mut all, window| {
                all.merge(window);
                all
            });
            let (first, second) = windows.split_at(split.min(windows.len()));
            let mut in_two = totals(&registry);
            for window in [merged(second), merged(first)].iter().flatten() {
                in_two.add(window);
            }
            for metric in registry.all() {
                prop_assert_eq!(one_by_one.metric(metric.id), in_two.metric(metric.id), "{}", metric.name);
            }
            for (part, value) in one_by_one.parts() {
                prop_assert_eq!(value, in_two.get(part));
            }
            let checks = |totals: &Totals| -> (u64, u64) {
                fn sum(group: &Group) -> (u64, u64) {
                    let own = group.checks.iter().map(|check| (check.passes, check.fails));
                    let inner = group.groups.iter().map(sum);
                    own.chain(inner).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
                }
                sum(totals.root_group())
            };
            prop_assert_eq!(checks(&one_by_one), checks(&in_two));
        }
    }
}
