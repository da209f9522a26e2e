//! The plan as a table, with where each value came from.

use std::fmt::Write as _;

use super::Lowered;
use super::values::Shown;
use crate::plan::{Load, Scenario};

/// A key, a value and where it came from; or a headline.
enum Row {
    Headline(String),
    Value([String; 3]),
}

/// Describes what will happen: every value and where it came from, and what follows from them.
#[must_use]
pub fn explain(lowered: &Lowered) -> String {
    let plan = &lowered.plan;
    let mut rows = vec![Row::Headline("plan".to_owned())];
    let derived = |key: &str, value: String| Row::Value([key.to_owned(), value, "derived".to_owned()]);
    rows.push(derived("scenarios", plan.scenarios.len().to_string()));
    rows.push(derived("max VUs", plan.max_vus().to_string()));
    rows.push(derived("longest", format!("{} with graceful stops", plan.max_length().shown())));
    for scenario in &plan.scenarios {
        rows.push(Row::Headline(format!("scenario {}", scenario.name)));
        rows.extend(values(lowered, Some(&scenario.name)));
        rows.extend(facts(scenario).map(|(key, value)| derived(key, value)));
    }
    rows.push(Row::Headline("options".to_owned()));
    rows.extend(values(lowered, None));
    table(&rows)
}

fn values<'a>(lowered: &'a Lowered, scenario: Option<&'a str>) -> impl Iterator<Item = Row> + 'a {
    let origins = lowered.origins.iter().filter(move |origin| origin.scenario.as_deref() == scenario);
    origins.map(|origin| Row::Value([origin.key.clone(), origin.value.clone(), origin.from.clone()]))
}

/// What follows from a scenario's options.
fn facts(scenario: &Scenario) -> impl Iterator<Item = (&'static str, String)> {
    let load = &scenario.load;
    let end = scenario.start + load.length();
    let arrivals = match load {
        Load::Arrivals { curve, .. } => Some(("arrivals", curve.total().to_string())),
        _ => None,
    };
    let peak = match load {
        Load::Arrivals { curve, .. } => Some(("peak rate", format!("{}/s", rounded(curve.peak())))),
        _ => None,
    };
    let until = match load {
        Load::Iterations { .. } => format!("{} at the latest", end.shown()),
        _ => end.shown(),
    };
    let always = [("max VUs", load.max_vus().to_string()), ("ends", until)];
    always.into_iter().chain(peak).chain(arrivals)
}

fn rounded(rate: f64) -> String {
    let text = format!("{rate:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn table(rows: &[Row]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| match row {
            Row::Value(cells) => Some(cells[column].chars().count()),
            Row::Headline(_) => None,
        });
        // One long value must not push the last column out of sight.
        cells.max().unwrap_or_default().min(44)
    };
    let (keys, values) = (width(0), width(1));
    let mut text = String::new();
    for row in rows {
        let line = match row {
            Row::Headline(title) if text.is_empty() => title.clone(),
            Row::Headline(title) => format!("\n{title}"),
            Row::Value([key, value, from]) => format!("  {key:keys$}  {value:values$}  {from}"),
        };
        writeln!(text, "{}", line.trim_end()).expect("a `String` takes any text");
    }
    text
}
