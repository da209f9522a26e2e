//! How a run is shown, which is no part of what happens in it.

use std::path::PathBuf;

use super::fields::Given;
use super::findings::Findings;
use super::layer::Layer;
use super::node::Spot;
use super::origins::Origins;
use crate::verdict::{SummaryOptions, TimeUnit, TrendStat};

/// How a run is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Presentation {
    /// What summaries show of a trend.
    pub trend_stats: Vec<TrendStat>,
    /// The unit of times in summaries.
    pub time_unit: TimeUnit,
    /// Where the summary goes as JSON.
    pub summary_export: Option<PathBuf>,
    /// Further outputs, such as `json=samples.json`.
    pub out: Vec<String>,
    /// Whether there is no progress.
    pub quiet: bool,
    /// Whether text has no colour, whatever the terminal can do.
    pub no_color: bool,
    /// Whether details about the run itself are shown.
    pub verbose: bool,
}

/// Takes what a layer says of presentation.
pub(super) fn lower(layer: &Layer, findings: &mut Findings, origins: &mut Origins) -> Presentation {
    let trend_stats = trend_stats(layer.summary_trend_stats.as_ref(), findings, origins);
    let time_unit = time_unit(layer.summary_time_unit.as_ref(), findings, origins);
    let export = layer.summary_export.as_ref().filter(|given| !given.value.is_empty());
    origins.note(None, "summaryExport", export, &"none".to_owned());
    let switch = |key: &str, given: Option<&Given<bool>>, origins: &mut Origins| {
        origins.note(None, key, given, &false);
        given.is_some_and(|given| given.value)
    };
    origins.note(None, "out", layer.out.as_ref(), &Vec::new());
    Presentation {
        trend_stats,
        time_unit,
        summary_export: export.map(|given| PathBuf::from(&given.value)),
        out: layer.out.as_ref().map_or_else(Vec::new, |given| given.value.clone()),
        quiet: switch("quiet", layer.quiet.as_ref(), origins),
        no_color: switch("noColor", layer.no_color.as_ref(), origins),
        verbose: switch("verbose", layer.verbose.as_ref(), origins),
    }
}

fn trend_stats(given: Option<&Given<Vec<String>>>, findings: &mut Findings, origins: &mut Origins) -> Vec<TrendStat> {
    let default = SummaryOptions::default().trend_stats;
    let names: Vec<String> = default.iter().map(|stat| stat.name.clone()).collect();
    origins.note(None, "summaryTrendStats", given, &names);
    let Some(given) = given else { return default };
    let mut read = |text: &String| {
        let stat = TrendStat::parse(text).ok();
        if stat.is_none() {
            let hint = "choose from `avg`, `min`, `med`, `max`, `count` and `p(N)` with N from 0 to 100";
            refuse(&given.spot, text, "is not a statistic of a trend", hint, findings);
        }
        stat
    };
    given.value.iter().filter_map(&mut read).collect()
}

fn time_unit(given: Option<&Given<String>>, findings: &mut Findings, origins: &mut Origins) -> TimeUnit {
    origins.note(None, "summaryTimeUnit", given, &"the one that suits".to_owned());
    let Some(given) = given else { return TimeUnit::Auto };
    TimeUnit::parse(&given.value).unwrap_or_else(|| {
        let is = "is not a unit of time for summaries";
        refuse(&given.spot, &given.value, is, "choose from `s`, `ms` and `us`", findings);
        TimeUnit::Auto
    })
}

fn refuse(spot: &Spot, value: &str, is: &str, hint: &str, findings: &mut Findings) {
    let message = format!("`{}`: `{value}` {is}", spot.name);
    let problem = findings.problem(spot, &message).hint(hint);
    findings.error(problem);
}
