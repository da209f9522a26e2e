//! A part of a whole, and how loads are split.
//!
//! A split never rewrites a load: a part holds the whole [`Load`](super::Load) and a [`Share`] that says which VUs,
//! arrivals and iterations of it are the part's own. So a split can be split again, and nothing is lost or doubled by
//! rounding.

use serde::{Deserialize, Serialize};

use super::{Plan, Scenario};

/// A thread is worth starting for this many VUs; fewer of them are cheaper together.
const VUS_PER_THREAD: u32 = 32;

/// Every `count`-th item of a sequence, starting with item `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which one, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// A share of this share.
    #[must_use]
    pub fn part(self, index: u32, count: u32) -> Self {
        Self { index: self.index + self.count * index, count: self.count * count }
    }

    /// How many of a sequence's first `total` items belong to it.
    #[must_use]
    pub fn of(self, total: u64) -> u64 {
        total.saturating_sub(u64::from(self.index)).div_ceil(u64::from(self.count))
    }

    /// The place in the whole sequence of its `n`-th item, from 0.
    #[must_use]
    pub fn nth(self, n: u64) -> u64 {
        u64::from(self.index) + u64::from(self.count) * n
    }
}

impl Scenario {
    /// The most VUs there will be in this part.
    #[must_use]
    pub fn max_vus(&self) -> u32 {
        self.own(self.load.max_vus())
    }

    /// VUs of this part to make before the start.
    #[must_use]
    pub fn initial_vus(&self) -> u32 {
        self.own(self.load.initial_vus())
    }

    /// How many of the scenario's first `vus` VUs are in this part.
    #[must_use]
    pub fn own(&self, vus: u32) -> u32 {
        self.share.of(u64::from(vus)) as u32
    }
}

impl Plan {
    /// Returns the part of machine `index` of `count`.
    ///
    /// A scenario with fewer VUs than machines is on as many machines as it has VUs, and missing from the others'
    /// parts. The limit of requests per second is split as the VUs are.
    #[must_use]
    pub fn share(&self, index: u32, count: u32) -> Self {
        let mut part = self.deal(count, 1).swap_remove(index as usize);
        let vus = f64::from(part.max_vus()) / f64::from(self.max_vus().max(1));
        part.http.rps = self.http.rps.map(|rps| rps * vus).filter(|_| part.max_vus() > 0);
        part
    }

    /// Returns the parts of this machine's threads. A scenario with few VUs is on few threads, and missing from the
    /// others' parts.
    ///
    /// The limit of requests per second stays whole: the threads of a machine share one limiter, so that a thread with
    /// nothing to send leaves its part to the others.
    #[must_use]
    pub fn workers(&self, threads: usize) -> Vec<Self> {
        self.deal(u32::try_from(threads).unwrap_or(u32::MAX).max(1), VUS_PER_THREAD)
    }

    /// Splits into `count` plans so that a part of a scenario has at least `vus` VUs. Each scenario starts where the
    /// one before ended, so that small ones do not all meet in the first part.
    fn deal(&self, count: u32, vus: u32) -> Vec<Self> {
        let empty = Self { scenarios: Vec::new(), ..self.clone() };
        let mut plans = vec![empty; count as usize];
        let mut next = 0;
        for scenario in &self.scenarios {
            let parts = (scenario.max_vus() / vus).clamp(1, count);
            for part in 0..parts {
                let share = scenario.share.part(part, parts);
                plans[(next + part as usize) % count as usize].scenarios.push(Scenario { share, ..scenario.clone() });
            }
            next += parts as usize;
        }
        plans
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{Budget, Curve, Load, Stage};
    use super::*;

    fn scenario(name: &str, vus: u32) -> Scenario {
        let curve = Curve::constant(f64::from(vus), Duration::from_secs(10)).unwrap();
        let load = Load::Vus { curve, graceful_ramp_down: Duration::ZERO };
        Scenario::new(name, load).unwrap()
    }

    #[test]
    fn a_small_scenario_stays_on_one_thread_and_the_next_one_takes_another() {
        let plan = Plan::new(vec![scenario("a", 10), scenario("b", 63), scenario("c", 200)]);
        let workers = plan.workers(4);
        let names = |worker: &Plan| -> String { worker.scenarios.iter().map(|part| part.name.to_string()).collect() };
        assert_eq!(workers.iter().map(names).collect::<Vec<_>>(), ["ac", "bc", "c", "c"]);
        assert_eq!(workers[0].scenarios[1].number, 2);
        assert_eq!(workers[0].scenarios[1].max_vus(), 50);
    }

    #[test]
    fn a_machine_without_a_vu_has_no_part() {
        let plan = Plan::new(vec![scenario("a", 2)]);
        let vus: Vec<_> = (0..3).map(|index| plan.share(index, 3).max_vus()).collect();
        assert_eq!(vus, [1, 1, 0]);
        assert!(plan.share(2, 3).scenarios.is_empty());
    }

    #[test]
    fn the_limit_of_requests_is_split_among_machines_and_shared_by_threads() {
        let mut plan = Plan::new(vec![scenario("a", 300), scenario("b", 1)]);
        plan.http.rps = Some(100.0);
        let machines: Vec<_> = (0..4).map(|index| plan.share(index, 4)).collect();
        let sum: f64 = machines.iter().filter_map(|part| part.http.rps).sum();
        assert!((sum - 100.0).abs() < 1e-9, "{sum}");
        assert!(machines.iter().all(|part| part.http.rps.is_some_and(|rps| (24.0..26.0).contains(&rps))));
        assert!(machines[0].workers(2).iter().all(|part| part.http.rps == machines[0].http.rps));
        assert_eq!(Plan::new(vec![scenario("a", 1)]).share(0, 2).http.rps, None);
    }

    proptest! {
        #[test]
        fn nested_shares_are_a_partition(outer in 1..6_u32, inner in 1..6_u32, total in 0..500_u64) {
            let mut seen = Vec::new();
            for a in 0..outer {
                for b in 0..inner {
                    let share = Share::WHOLE.part(a, outer).part(b, inner);
                    seen.extend((0..share.of(total)).map(|n| share.nth(n)));
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..total).collect::<Vec<_>>());
        }

        #[test]
        fn the_parts_of_a_plan_lose_nothing(
            machines in 1..5_u32, threads in 1..5_usize, vus in 1..300_u32, more in 0..1000_u64, rate in 0..100_u32,
            at in 0..12_000_u64,
        ) {
            let ramp = Curve::new(0.0, &[
                Stage { duration: Duration::from_secs(5), target: f64::from(vus) },
                Stage { duration: Duration::from_secs(5), target: 0.0 },
            ]).unwrap();
            let loads = [
                Load::Vus { curve: ramp, graceful_ramp_down: Duration::ZERO },
                Load::Iterations {
                    vus, budget: Budget::Shared(u64::from(vus) + more), max_duration: Duration::from_secs(1),
                },
                Load::Arrivals {
                    curve: Curve::constant(f64::from(rate), Duration::from_secs(3)).unwrap(), pre_allocated: vus / 2, max: vus,
                },
            ];
            let plan = Plan::new(loads.map(|load| Scenario::new("s", load).unwrap()).into());
            let at = Duration::from_millis(at);
            let mut sums: BTreeMap<(u32, &str), u64> = BTreeMap::new();
            for machine in 0..machines {
                for part in plan.share(machine, machines).workers(threads).iter().flat_map(|plan| &plan.scenarios) {
                    let mut add = |what, value: u64| *sums.entry((part.number, what)).or_default() += value;
                    prop_assert!(part.max_vus() >= 1, "a part without a VU could run nothing");
                    add("max", u64::from(part.max_vus()));
                    add("initial", u64::from(part.initial_vus()));
                    match &part.load {
                        Load::Vus { curve, .. } => add("now", u64::from(part.own(curve.vus(at)))),
                        Load::Iterations { budget: Budget::Shared(all), .. } => add("items", part.share.of(*all)),
                        Load::Arrivals { curve, .. } => add("items", part.share.of(curve.total())),
                        Load::Iterations { .. } => {}
                    }
                }
            }
            for scenario in &plan.scenarios {
                let sum = |what| sums.get(&(scenario.number, what)).copied().unwrap_or_default();
                prop_assert_eq!(sum("max"), u64::from(scenario.load.max_vus()));
                prop_assert_eq!(sum("initial"), u64::from(scenario.load.initial_vus()));
                match &scenario.load {
                    Load::Vus { curve, .. } => prop_assert_eq!(sum("now"), u64::from(curve.vus(at))),
                    Load::Iterations { .. } => prop_assert_eq!(sum("items"), u64::from(vus) + more),
                    Load::Arrivals { curve, .. } => prop_assert_eq!(sum("items"), curve.total()),
                }
            }
        }
    }
}
