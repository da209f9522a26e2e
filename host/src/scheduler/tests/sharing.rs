//! Parts of a plan on several threads.

use super::*;

/// Which iterations run, over all parts, as (VU, index, stream) without when.
async fn iterations(plan: &Plan, machines: u32, threads: usize) -> Vec<(u64, u64)> {
    let diary = Diary::default();
    for machine in 0..machines {
        for part in plan.share(machine, machines).workers(threads) {
            Bench::new(&part, &diary.sleeping(secs(1))).run().await;
        }
    }
    let mut all: Vec<_> = diary.entries().iter().map(|entry| (entry.iteration.index, entry.iteration.stream)).collect();
    all.sort_unstable();
    all
}

#[tokio::test(start_paused = true)]
async fn the_same_iterations_run_however_the_plan_is_shared() {
    let loads = [
        shared(80, 333, secs(600)),
        per_vu(70, 3),
        vus(0.0, &[stage(10, 90.0), stage(5, 0.0)], secs(30)),
        arrivals(70.0, secs(5), 140, 140),
    ];
    for load in loads {
        let plan = Plan::new(vec![load]);
        let whole = iterations(&plan, 1, 1).await;
        let streams: std::collections::BTreeSet<_> = whole.iter().map(|(_, stream)| stream).collect();
        assert_eq!(streams.len(), whole.len(), "every iteration has its own stream");
        assert_eq!(iterations(&plan, 1, 2).await, whole, "{:?}", plan.scenarios[0].load);
        assert_eq!(iterations(&plan, 3, 2).await, whole, "{:?}", plan.scenarios[0].load);
    }
}

#[tokio::test(start_paused = true)]
async fn vu_numbers_are_unique_over_scenarios_and_parts() {
    let plan = Plan::new(vec![per_vu(70, 1), per_vu(100, 1)]);
    let diary = Diary::default();
    for part in plan.workers(2) {
        Bench::new(&part, &diary.sleeping(secs(1))).run().await;
    }
    let mut vus: Vec<_> = diary.entries().iter().map(|entry| entry.vu).collect();
    vus.sort_unstable();
    assert_eq!(vus, (1..=170).collect::<Vec<_>>());
}
