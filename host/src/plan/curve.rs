//! When each iteration is due.
//!
//! A [`Curve`] is a piecewise-linear target over time. Executors that hold a number of VUs read its value; those that
//! hold a rate read its integral. Nothing here looks at a clock, so every property can be tested exactly.
//!
//! What hides here is the arithmetic. Areas are integers (128 bits, in units far below one arrival), so a constant
//! rate yields exactly `rate · length` arrivals however long it lasts; only a moment inside a ramp is a square root in
//! floating point.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PlanError;

/// Area units per arrival: a rate in fixed point with 40 binary places, times nanoseconds.
const ARRIVAL: u128 = (1 << RATE_BITS) * 1_000_000_000;
const RATE_BITS: u32 = 40;
/// A millionth of an arrival. A rate such as 100 per minute has no exact binary form, and an area that misses a whole
/// number by less than this is meant to be the whole number.
const SLACK: u128 = ARRIVAL / 1_000_000;
/// Greater targets are mistakes, and would overflow the areas.
const MAX_TARGET: f64 = 1e9;
/// About 104 days. Longer curves would overflow the areas.
const MAX_LENGTH: Duration = Duration::from_nanos(1 << 53);

/// A target at every moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Curve {
    parts: Parts,
    segments: Vec<Segment>,
    area: u128,
}

/// What the user gave, and what a curve looks like when it travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Parts {
    start: f64,
    stages: Vec<Stage>,
}

/// A segment of a ramp: reach a target over a duration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// How long. A stage that takes no time is a jump.
    pub duration: Duration,
    /// What is reached at its end.
    pub target: f64,
}

/// A stage that takes time. Times are nanoseconds, areas are in units of [`ARRIVAL`].
#[derive(Debug, Clone, Copy, PartialEq)]
struct Segment {
    begin: u64,
    length: u64,
    from: f64,
    to: f64,
    area_before: u128,
    area_after: u128,
}

impl Curve {
    /// Joins the stages, the first of which starts at `start`.
    pub fn new(start: f64, stages: &[Stage]) -> Result<Self, PlanError> {
        let mut from = check_target(start)?;
        let (mut begin, mut area) = (Duration::ZERO, 0);
        let mut segments = Vec::with_capacity(stages.len());
        for stage in stages {
            let to = check_target(stage.target)?;
            let end = begin.saturating_add(stage.duration);
            if end > MAX_LENGTH {
                return Err(PlanError::TooLong { limit: MAX_LENGTH });
            }
            if !stage.duration.is_zero() {
                let length = nanos(stage.duration);
                let after = area + (fixed(from) + fixed(to)) * u128::from(length) / 2;
                segments.push(Segment { begin: nanos(begin), length, from, to, area_before: area, area_after: after });
                area = after;
            }
            (from, begin) = (to, end);
        }
        if segments.is_empty() {
            return Err(PlanError::NoLength);
        }
        let parts = Parts { start, stages: stages.to_vec() };
        Ok(Self { parts, segments, area })
    }

    /// Holds one value.
    pub fn constant(value: f64, length: Duration) -> Result<Self, PlanError> {
        let stage = Stage { duration: length, target: value };
        Self::new(value, &[stage])
    }

    /// What was asked for: the value at the start, and the stages.
    #[must_use]
    pub fn stages(&self) -> (f64, &[Stage]) {
        (self.parts.start, &self.parts.stages)
    }

    /// The value if it never changes.
    #[must_use]
    pub fn constant_value(&self) -> Option<f64> {
        let first = self.segments[0].from;
        let is_first = |value: f64| value.total_cmp(&first).is_eq();
        let flat = |segment: &Segment| is_first(segment.from) && is_first(segment.to);
        self.segments.iter().all(flat).then_some(first)
    }

    /// The greatest value.
    #[must_use]
    pub fn peak(&self) -> f64 {
        let ends = self.segments.iter().map(|segment| segment.from.max(segment.to));
        ends.fold(0.0, f64::max)
    }

    /// How long it lasts.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.segments.last().map_or(Duration::ZERO, |last| Duration::from_nanos(last.begin + last.length))
    }

    /// The value at a moment; after the end, the last one.
    #[must_use]
    pub fn value(&self, at: Duration) -> f64 {
        match self.segment_at(at) {
            Some((segment, elapsed)) => {
                let progress = elapsed as f64 / segment.length as f64;
                segment.from + (segment.to - segment.from) * progress
            }
            None => self.last_target(),
        }
    }

    /// The area under the curve up to a moment: for a rate, how many arrivals were due by then.
    #[must_use]
    pub fn integral(&self, at: Duration) -> f64 {
        match self.segment_at(at) {
            Some((segment, elapsed)) => {
                let seconds = elapsed as f64 / 1e9;
                let slope = (segment.to - segment.from) / (segment.length as f64 / 1e9);
                arrivals(segment.area_before) + seconds * (segment.from + slope * seconds / 2.0)
            }
            None => arrivals(self.area),
        }
    }

    /// How many arrivals there are in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        // The limits on targets and lengths keep it below 2^53.
        self.area.saturating_sub(SLACK).div_ceil(ARRIVAL) as u64
    }

    /// Returns when arrival `n` (from 0) is due, or `None` once the curve has ended.
    ///
    /// That is when the integral has reached `n` and grows on, so nothing is due while the rate is 0. With a constant
    /// rate the first arrival is due at once.
    #[must_use]
    pub fn due(&self, n: u64) -> Option<Duration> {
        self.cursor().due(n)
    }

    /// Starts a walk along the due times, for callers that ask for many in ascending order.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor { rest: &self.segments, total: self.total() }
    }

    /// How many VUs there are at a moment.
    ///
    /// As in k6, a ramp towards more VUs has one more from the moment on at which the line reaches it, and a ramp
    /// towards fewer one less from the moment on at which the line has come down to it.
    #[must_use]
    pub fn vus(&self, at: Duration) -> u32 {
        match self.segment_at(at) {
            Some((segment, elapsed)) => {
                let (from, to) = (whole(segment.from), whole(segment.to));
                let moved = u128::from(from.abs_diff(to)) * u128::from(elapsed) / u128::from(segment.length);
                towards(from, to, moved as u32)
            }
            None => whole(self.last_target()),
        }
    }

    /// The moments at which the number of VUs changes, with the new number. The first is the start.
    pub fn changes(&self) -> impl Iterator<Item = (Duration, u32)> + '_ {
        let jump = (nanos(self.length()), whole(self.last_target()));
        let steps = self.segments.iter().flat_map(Segment::steps);
        let mut last = None;
        steps.chain([jump]).filter_map(move |(at, vus)| {
            let is_new = last != Some(vus);
            last = Some(vus);
            is_new.then_some((Duration::from_nanos(at), vus))
        })
    }

    fn segment_at(&self, at: Duration) -> Option<(&Segment, u64)> {
        if at >= self.length() {
            return None;
        }
        let at = nanos(at);
        let later = self.segments.partition_point(|segment| segment.begin <= at);
        let segment = &self.segments[later - 1];
        Some((segment, at - segment.begin))
    }

    fn last_target(&self) -> f64 {
        self.parts.stages.last().map_or(self.parts.start, |stage| stage.target)
    }
}

/// A walk along a curve's due times.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [Segment],
    total: u64,
}

impl Cursor<'_> {
    /// Returns when arrival `n` is due. `n` must not be less than in the call before.
    pub fn due(&mut self, n: u64) -> Option<Duration> {
        if n >= self.total {
            return None;
        }
        let wanted = u128::from(n) * ARRIVAL;
        while let [segment, later @ ..] = self.rest {
            if wanted + SLACK < segment.area_after {
                let inside = segment.reach(wanted.saturating_sub(segment.area_before));
                return Some(Duration::from_nanos(segment.begin + inside));
            }
            self.rest = later;
        }
        None
    }
}

impl Segment {
    /// The nanoseconds after its begin at which the segment has covered this area.
    fn reach(&self, wanted: u128) -> u64 {
        let (from, to) = (fixed(self.from), fixed(self.to));
        if from == to {
            return (wanted.div_ceil(from.max(1)) as u64).min(self.length);
        }
        if wanted == 0 {
            return 0;
        }
        // The root of `slope/2 · t² + from · t = wanted`, in the form that neither cancels nor divides by a slope
        // near 0. A ramp down to 0 may bring the discriminant just below 0.
        let wanted = arrivals(wanted);
        let slope = (self.to - self.from) / (self.length as f64 / 1e9);
        let discriminant = (self.from * self.from + 2.0 * slope * wanted).max(0.0);
        let seconds = 2.0 * wanted / (self.from + discriminant.sqrt());
        ((seconds * 1e9).round() as u64).min(self.length)
    }

    /// Every number of VUs on the way, and when it is reached.
    fn steps(&self) -> impl Iterator<Item = (u64, u32)> + use<> {
        let (from, to) = (whole(self.from), whole(self.to));
        let (begin, length, all) = (self.begin, u128::from(self.length), from.abs_diff(to));
        (0..=all).map(move |step| {
            let elapsed = (u128::from(step) * length).div_ceil(u128::from(all.max(1)));
            (begin + elapsed as u64, towards(from, to, step))
        })
    }
}

impl TryFrom<Parts> for Curve {
    type Error = PlanError;

    fn try_from(parts: Parts) -> Result<Self, PlanError> {
        Self::new(parts.start, &parts.stages)
    }
}

impl From<Curve> for Parts {
    fn from(curve: Curve) -> Self {
        curve.parts
    }
}

fn check_target(target: f64) -> Result<f64, PlanError> {
    if (0.0..=MAX_TARGET).contains(&target) {
        Ok(target)
    } else {
        Err(PlanError::Target { target: target.to_string() })
    }
}

/// No curve is longer than [`MAX_LENGTH`], so its nanoseconds fit.
fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// A target with [`RATE_BITS`] binary places. At most 2^70, as targets are limited.
fn fixed(target: f64) -> u128 {
    (target * (1_u64 << RATE_BITS) as f64).round() as u128
}

fn arrivals(area: u128) -> f64 {
    area as f64 / ARRIVAL as f64
}

/// Targets of VU curves are whole; this only drops the fraction's type.
fn whole(target: f64) -> u32 {
    target.round() as u32
}

fn towards(from: u32, to: u32, steps: u32) -> u32 {
    if from < to { from + steps } else { from - steps }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stage(seconds: u64, target: f64) -> Stage {
        Stage { duration: Duration::from_secs(seconds), target }
    }

    fn dues(curve: &Curve) -> Vec<Duration> {
        let mut cursor = curve.cursor();
        (0..curve.total()).map(|n| cursor.due(n).unwrap()).collect()
    }

    #[test]
    fn a_constant_rate_is_exact() {
        let curve = Curve::constant(5000.0, Duration::from_mins(1)).unwrap();
        assert_eq!(curve.total(), 300_000);
        assert_eq!(curve.due(0), Some(Duration::ZERO));
        assert_eq!(curve.due(1), Some(Duration::from_micros(200)));
        assert_eq!(curve.due(299_999), Some(Duration::from_micros(59_999_800)));
        assert_eq!(curve.due(300_000), None);
    }

    #[test]
    fn a_rate_per_minute_is_exact() {
        let curve = Curve::constant(100.0 / 60.0, Duration::from_hours(24)).unwrap();
        assert_eq!(curve.total(), 144_000);
        let last = curve.due(143_999).unwrap();
        assert!(last < Duration::from_hours(24) && last > Duration::from_millis(86_399_399));
    }

    #[test]
    fn nothing_is_due_while_the_rate_is_zero() {
        let curve = Curve::new(0.0, &[stage(10, 0.0), stage(0, 5.0), stage(2, 5.0)]).unwrap();
        assert_eq!(curve.total(), 10);
        assert_eq!(curve.due(0), Some(Duration::from_secs(10)));
        assert_eq!(curve.due(9), Some(Duration::from_millis(11_800)));
        let silent = Curve::constant(0.0, Duration::from_secs(10)).unwrap();
        assert_eq!((silent.total(), silent.due(0)), (0, None));
    }

    #[test]
    fn a_ramp_has_the_area_of_its_triangle() {
        let curve = Curve::new(0.0, &[stage(10, 100.0), stage(10, 0.0)]).unwrap();
        assert_eq!(curve.total(), 1000);
        assert_eq!(curve.due(125), Some(Duration::from_secs(5)));
        assert_eq!(curve.due(500), Some(Duration::from_secs(10)));
        assert_eq!(curve.due(875), Some(Duration::from_secs(15)));
    }

    #[test]
    fn vus_follow_k6_on_ramps_and_jumps() {
        let curve = Curve::new(0.0, &[stage(4, 2.0), stage(0, 5.0), stage(2, 5.0), stage(4, 3.0)]).unwrap();
        let changes: Vec<_> = curve.changes().map(|(at, vus)| (at.as_secs(), vus)).collect();
        assert_eq!(changes, [(0, 0), (2, 1), (4, 2), (4, 5), (8, 4), (10, 3)]);
        assert_eq!(curve.vus(Duration::from_millis(1999)), 0);
        assert_eq!(curve.vus(Duration::from_secs(4)), 5);
        assert_eq!(curve.vus(Duration::from_millis(7999)), 5);
        assert_eq!(curve.vus(Duration::from_secs(99)), 3);
    }

    #[test]
    fn a_curve_needs_time_and_possible_targets() {
        assert_eq!(Curve::new(1.0, &[]), Err(PlanError::NoLength));
        assert_eq!(Curve::new(1.0, &[stage(0, 3.0)]), Err(PlanError::NoLength));
        for target in [-1.0, f64::NAN, f64::INFINITY, 2e9] {
            let error = Curve::new(1.0, &[stage(1, target)]).unwrap_err();
            assert!(matches!(error, PlanError::Target { .. }), "{error}");
        }
        let error = Curve::constant(1.0, Duration::MAX).unwrap_err();
        assert!(matches!(error, PlanError::TooLong { .. }), "{error}");
    }

    #[test]
    fn a_curve_survives_a_journey_and_a_bad_one_is_refused_on_arrival() {
        let curve = Curve::new(1.0, &[stage(4, 2.5), stage(0, 0.0)]).unwrap();
        let text = serde_json::to_string(&curve).unwrap();
        assert_eq!(serde_json::from_str::<Curve>(&text).unwrap(), curve);
        assert!(serde_json::from_str::<Curve>(r#"{"start":-1,"stages":[]}"#).is_err());
    }

    prop_compose! {
        fn curves(max_target: u32)(
            start in 0..max_target,
            stages in prop::collection::vec((0..20_000_u64, 0..max_target), 1..6),
        ) -> Option<Curve> {
            let stages: Vec<_> = stages
                .into_iter()
                .map(|(millis, target)| Stage { duration: Duration::from_millis(millis), target: f64::from(target) / 4.0 })
                .collect();
            Curve::new(f64::from(start) / 4.0, &stages).ok()
        }
    }

    proptest! {
        #[test]
        fn due_times_are_monotone_and_agree_with_the_integral(curve in curves(800)) {
            let Some(curve) = curve else { return Ok(()) };
            let mut before = Duration::ZERO;
            for (n, due) in dues(&curve).into_iter().enumerate() {
                prop_assert!(due >= before && due < curve.length(), "{n}: {before:?} {due:?}");
                prop_assert_eq!(curve.due(n as u64), Some(due));
                let area = curve.integral(due);
                prop_assert!((area - n as f64).abs() < 1e-4, "{} is due at {:?}, where the integral is {}", n, due, area);
                before = due;
            }
            prop_assert!((curve.integral(curve.length()) - curve.total() as f64).abs() <= 1.0);
        }

        #[test]
        fn vus_change_exactly_where_the_changes_say(curve in curves(400), probe in 0..1000_u64) {
            let Some(curve) = curve else { return Ok(()) };
            let changes: Vec<_> = curve.changes().collect();
            prop_assert!(changes.is_sorted_by_key(|(at, _)| *at));
            let at = curve.length().mul_f64(probe as f64 / 1000.0);
            let last = changes.iter().rev().find(|(moment, _)| *moment <= at).unwrap();
            prop_assert_eq!(curve.vus(at), last.1);
            prop_assert!(changes.iter().all(|(_, vus)| f64::from(*vus) <= curve.peak().round()));
        }
    }
}
