//! Iterations and VUs.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

#[tokio::test(start_paused = true)]
async fn shared_iterations_are_run_exactly_and_each_once() {
    let diary = Diary::default();
    let mut bench = Bench::of(shared(7, 100, secs(600)), &diary.sleeping(millis(100)));
    let took = bench.run().await;
    assert_eq!(diary.indexes(), (0..100).collect::<Vec<_>>());
    assert_eq!(took, millis(1500), "7 VUs need 15 rounds");
    assert_eq!(bench.samples.count(builtin::ITERATIONS), 100);
    assert_eq!(bench.samples.of(builtin::ITERATION_DURATION), vec![100.0; 100]);
    let tally = bench.tally();
    assert_eq!((tally.started.get(), tally.completed.get(), tally.planned.get()), (100, 100, 100));
    assert_eq!((tally.active.get(), tally.initialised.get(), tally.dropped.get()), (0, 7, 0));
}

#[tokio::test(start_paused = true)]
async fn every_vu_runs_its_own_iterations() {
    let diary = Diary::default();
    let mut bench = Bench::of(per_vu(3, 4), &diary.sleeping(secs(1)));
    assert_eq!(bench.run().await, secs(4));
    assert_eq!(diary.indexes(), (0..12).collect::<Vec<_>>());
    for vu in 1..=3 {
        let numbers: Vec<_> = diary.entries().iter().filter(|e| e.vu == vu).map(|e| e.iteration.number).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn iterations_left_over_at_max_duration_are_dropped_and_running_ones_may_end() {
    let mut bench = Bench::of(shared(2, 100, secs(5)), &Fake::sleeping(secs(2)));
    assert_eq!(bench.run().await, secs(6), "the third round ends in the graceful period");
    assert_eq!(bench.samples.count(builtin::ITERATIONS), 6);
    assert_eq!(bench.samples.count(builtin::DROPPED_ITERATIONS), 94);
    assert_eq!((bench.tally().dropped.get(), bench.tally().interrupted.get()), (94, 0));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_iteration_is_not_counted_as_an_iteration() {
    let mut scenario = vus(3.0, &[stage(5, 3.0)], secs(30));
    scenario.graceful_stop = secs(1);
    let mut bench = Bench::of(scenario, &Fake::sleeping(secs(4)));
    assert_eq!(bench.run().await, secs(6));
    assert_eq!(bench.samples.count(builtin::ITERATIONS), 3);
    assert_eq!(bench.samples.of(builtin::ITERATION_DURATION).len(), 3);
    assert_eq!(bench.samples.of(builtin::ITERATIONS_FAILED), [0.0; 3]);
    let tally = bench.tally();
    assert_eq!((tally.started.get(), tally.completed.get(), tally.interrupted.get()), (6, 3, 3));
    assert_eq!(tally.active.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn running_iterations_may_end_within_the_graceful_stop() {
    let mut bench = Bench::of(vus(3.0, &[stage(5, 3.0)], secs(30)), &Fake::sleeping(secs(4)));
    assert_eq!(bench.run().await, secs(8));
    assert_eq!((bench.tally().completed.get(), bench.tally().interrupted.get()), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_graceful_stop_iterations_are_interrupted_at_once() {
    let mut scenario = vus(3.0, &[stage(5, 3.0)], secs(30));
    scenario.graceful_stop = Duration::ZERO;
    let mut bench = Bench::of(scenario, &Fake::sleeping(secs(4)));
    assert_eq!(bench.run().await, secs(5));
    assert_eq!((bench.tally().completed.get(), bench.tally().interrupted.get()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn vus_follow_the_ramp_for_an_hour() {
    let stages = [stage(1000, 100.0), stage(1600, 100.0), stage(0, 40.0), stage(1000, 0.0)];
    let mut bench = Bench::of(vus(0.0, &stages, secs(30)), &Fake::sleeping(millis(200)));
    let seen = bench.active_at(&[0, 10, 100, 505, 1500, 2599, 2601, 2625, 3100, 3590]).await;
    assert_eq!(seen, [0, 1, 10, 50, 100, 100, 40, 39, 20, 1]);
    assert_eq!(bench.tally().initialised.get(), 100);
    assert_eq!(bench.tally().interrupted.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_vu_that_is_taken_away_has_the_graceful_ramp_down_to_end() {
    // One VU goes at 2 s and is 2 s into an iteration of 5 s; the other stays.
    let stages = [stage(2, 2.0), stage(0, 1.0), stage(18, 1.0)];
    let patient = vus(2.0, &stages, secs(4));
    let mut bench = Bench::of(patient, &Fake::sleeping(secs(5)));
    assert_eq!(bench.active_at(&[1, 3, 4, 5, 19]).await, [2, 2, 2, 1, 1]);
    assert_eq!((bench.tally().completed.get(), bench.tally().interrupted.get()), (5, 0));

    let hasty = vus(2.0, &stages, secs(2));
    let mut bench = Bench::of(hasty, &Fake::sleeping(secs(5)));
    assert_eq!(bench.active_at(&[1, 3, 4, 5, 19]).await, [2, 2, 1, 1, 1]);
    assert_eq!((bench.tally().completed.get(), bench.tally().interrupted.get()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_vu_that_is_wanted_again_in_time_goes_on_with_its_instance() {
    let diary = Diary::default();
    let stages = [stage(2, 1.0), stage(0, 0.0), stage(1, 0.0), stage(0, 1.0), stage(7, 1.0)];
    let mut bench = Bench::of(vus(1.0, &stages, secs(30)), &diary.sleeping(secs(5)));
    bench.run().await;
    let instances: Vec<_> = diary.entries().iter().map(|entry| entry.instance).collect();
    assert_eq!(instances, [1, 1]);
    assert_eq!(bench.tally().interrupted.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_vu_that_was_interrupted_comes_back_with_a_fresh_instance_and_counts_on() {
    let diary = Diary::default();
    let stages = [stage(2, 1.0), stage(0, 0.0), stage(2, 0.0), stage(0, 1.0), stage(2, 1.0)];
    let mut bench = Bench::of(vus(1.0, &stages, secs(1)), &diary.sleeping(secs(5)));
    bench.run().await;
    let seen: Vec<_> = diary.entries().iter().map(|entry| (entry.instance, entry.iteration.number)).collect();
    assert_eq!(seen, [(1, 0), (2, 1)]);
    assert_eq!((bench.tally().interrupted.get(), bench.tally().completed.get()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_graceful_ramp_down_goes_on_after_the_end_of_the_stages() {
    let mut scenario = vus(2.0, &[stage(4, 2.0), stage(0, 1.0), stage(1, 1.0)], secs(2));
    scenario.graceful_stop = secs(10);
    let mut bench = Bench::of(scenario, &Fake::sleeping(secs(9)));
    assert_eq!(bench.active_at(&[5, 6, 7]).await, [2, 1, 1]);
    assert_eq!((bench.tally().interrupted.get(), bench.tally().completed.get()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn scenarios_start_at_their_start_time() {
    let diary = Diary::default();
    let mut late = per_vu(1, 1);
    late.start = secs(90);
    let start = Instant::now();
    let mut bench = Bench::new(&Plan::new(vec![per_vu(1, 1), late]), &diary.sleeping(secs(1)));
    assert_eq!(bench.run().await, secs(91));
    let seen: Vec<_> = diary.entries().iter().map(|entry| ((entry.at - start).as_secs(), entry.vu)).collect();
    assert_eq!(seen, [(0, 1), (90, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_starts_nothing_new_and_waits_for_what_runs() {
    let mut late = shared(1, 1, secs(60));
    late.start = secs(60);
    let loads =
        [shared(2, 1000, secs(600)), vus(2.0, &[stage(600, 2.0)], secs(30)), arrivals(1.0, secs(600), 5, 5), late];
    let mut bench = Bench::new(&Plan::new(loads.into()), &Fake::sleeping(secs(4)));
    let sender = bench.sender.clone();
    let took = bench.run_beside(async move {
        tokio::time::sleep(millis(9500)).await;
        sender.ask(Level::Graceful);
    });
    assert_eq!(took.await, secs(13), "the last arrival before the stop was at 9 s");
    let completed: Vec<_> = bench.tallies.iter().map(|tally| tally.completed.get()).collect();
    assert_eq!(completed, [6, 6, 10, 0]);
    assert!(bench.tallies.iter().all(|tally| tally.interrupted.get() == 0));
    assert_eq!(bench.samples.count(builtin::DROPPED_ITERATIONS), 0, "nobody dropped what the user stopped");
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_interrupts_what_runs() {
    let loads = [shared(2, 1000, secs(600)), vus(2.0, &[stage(600, 2.0)], secs(30)), arrivals(1.0, secs(600), 5, 5)];
    let mut bench = Bench::new(&Plan::new(loads.into()), &Fake::sleeping(secs(4)));
    let sender = bench.sender.clone();
    let took = bench.run_beside(async move {
        tokio::time::sleep(millis(9500)).await;
        sender.ask(Level::Graceful);
        tokio::time::sleep(secs(1)).await;
        sender.ask(Level::Now);
        // A milder wish changes nothing.
        sender.ask(Level::Graceful);
    });
    assert_eq!(took.await, millis(10_500));
    let interrupted: Vec<_> = bench.tallies.iter().map(|tally| tally.interrupted.get()).collect();
    assert_eq!(interrupted, [2, 2, 3]);
}

/// Iteration 1 ends in some way, all others well; returns the instance of each.
async fn instances_around(outcome: Outcome) -> (Vec<u32>, Bench) {
    let diary = Diary::default();
    let notes = diary.clone();
    let fake = Fake::new(move |pass| {
        notes.note(&pass);
        let outcome = if pass.iteration.number == 1 { outcome.clone() } else { Outcome::Completed };
        async { outcome }
    });
    let mut bench = Bench::of(per_vu(1, 4), &fake);
    bench.run().await;
    (diary.entries().iter().map(|entry| entry.instance).collect(), bench)
}

#[tokio::test(start_paused = true)]
async fn a_trapped_instance_is_replaced_and_a_failed_one_kept() {
    let (instances, bench) = instances_around(Outcome::Trapped { message: "unreachable".into() }).await;
    assert_eq!(instances, [1, 1, 2, 2]);
    assert_eq!(bench.samples.of(builtin::ITERATIONS_FAILED), [0.0, 1.0, 0.0, 0.0]);
    assert_eq!((bench.tally().failed.get(), bench.tally().completed.get()), (1, 4));
    assert_eq!(bench.messages(), ["iteration trapped: unreachable"]);

    let (instances, bench) = instances_around(Outcome::TimedOut { message: "10 s".into() }).await;
    assert_eq!(instances, [1, 1, 2, 2]);
    assert_eq!(bench.messages(), ["iteration timed out: 10 s"]);

    let (instances, bench) = instances_around(Outcome::Failed { message: "no token".into() }).await;
    assert_eq!(instances, [1, 1, 1, 1]);
    assert_eq!(bench.samples.count(builtin::ITERATIONS), 4, "as in k6 a failed iteration is an iteration");
    assert_eq!(bench.messages(), ["iteration failed: no token"]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_cannot_be_replaced_fails_the_iteration() {
    let fake = Fake::new(|_| async { Outcome::Trapped { message: "t".into() } }).on_instantiate(|seat| async move {
        match seat.instance {
            1 => Ok(()),
            _ => Err(JourneyError::Instantiate { message: "no memory".into() }),
        }
    });
    let mut bench = Bench::of(per_vu(1, 3), &fake);
    bench.run().await;
    let tally = bench.tally();
    assert_eq!((tally.started.get(), tally.completed.get(), tally.failed.get()), (3, 3, 3));
    assert_eq!(bench.samples.of(builtin::ITERATIONS_FAILED), [1.0; 3]);
    assert_eq!(bench.messages()[2], "the journey could not be instantiated: no memory");
}

#[tokio::test(start_paused = true)]
async fn a_short_iteration_waits_for_the_least_duration_and_leaves_early_when_asked() {
    let diary = Diary::default();
    let mut plan = Plan::new(vec![vus(1.0, &[stage(10, 1.0)], secs(30))]);
    plan.min_iteration_duration = secs(4);
    let start = Instant::now();
    let mut bench = Bench::new(&plan, &diary.sleeping(millis(300)));
    assert_eq!(bench.run().await, secs(10), "nobody waits for a VU that only waits");
    let seen: Vec<_> = diary.entries().iter().map(|entry| (entry.at - start).as_secs()).collect();
    assert_eq!(seen, [0, 4, 8]);
    assert_eq!(bench.tally().interrupted.get(), 0);
    assert_eq!(bench.samples.of(builtin::ITERATION_DURATION), [300.0; 3]);
}

#[tokio::test]
async fn a_journey_that_never_waits_does_not_starve_its_neighbours() {
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    let fake = Fake::new(move |pass| {
        let counter = Arc::clone(&counter);
        async move {
            if pass.seat.vu == 2 {
                tokio::time::sleep(millis(1)).await;
                counter.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Completed
        }
    });
    let curve = Curve::constant(2.0, millis(300)).unwrap();
    let scenario = Scenario::new("s", Load::Vus { curve, graceful_ramp_down: secs(1) }).unwrap();
    Bench::of(scenario, &fake).run().await;
    assert!(count.load(Ordering::Relaxed) > 1, "{count:?} iterations beside a busy neighbour");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a bug")]
async fn a_panic_in_a_vu_becomes_a_panic_of_the_scheduler() {
    let fake = Fake::new(|_| async { panic!("a bug") });
    Bench::of(vus(1.0, &[stage(10, 1.0)], secs(30)), &fake).run().await;
}

#[tokio::test(start_paused = true)]
async fn samples_of_iterations_carry_the_tags_of_run_and_scenario() {
    let mut scenario = per_vu(1, 1);
    scenario.tags = [("tier", "gold"), ("team", "b")].into_iter().collect();
    let mut plan = Plan::new(vec![scenario]);
    plan.tags = [("team", "a"), ("run", "7")].into_iter().collect();
    let mut bench = Bench::new(&plan, &Fake::sleeping(secs(1)));
    bench.run().await;
    let of_scenario: Tags = [("run", "7"), ("scenario", "s"), ("team", "b"), ("tier", "gold")].into_iter().collect();
    assert_eq!(bench.samples.tags_of(builtin::ITERATIONS), [of_scenario.with([("group", "")])]);
    assert_eq!(bench.samples.tags_of(builtin::DROPPED_ITERATIONS), [of_scenario]);
}

#[tokio::test(start_paused = true)]
async fn a_vu_that_breaks_again_and_again_waits_longer_and_longer() {
    let diary = Diary::default();
    let log = diary.clone();
    // Iterations 13 and later are fine, but for 15.
    let fake = Fake::new(move |pass| {
        log.note(&pass);
        let number = pass.iteration.number;
        async move {
            tokio::time::sleep(millis(1)).await;
            let is_fine = number >= 13 && number != 15;
            if is_fine { Outcome::Completed } else { Outcome::Trapped { message: "no".to_owned() } }
        }
    });
    let mut bench = Bench::of(per_vu(1, 18), &fake);
    bench.run().await;
    let begins: Vec<_> = diary.entries().iter().map(|entry| entry.at).collect();
    let pauses: Vec<_> = begins.windows(2).map(|pair| (pair[1] - pair[0]).as_millis() - 1).collect();
    assert_eq!(pauses, [0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000, 1000, 0, 0, 0, 0]);
    assert_eq!(bench.tally().failed.get(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_vu_whose_iterations_time_out_waits_no_longer_than_they_took() {
    let diary = Diary::default();
    let log = diary.clone();
    let fake = Fake::new(move |pass| {
        log.note(&pass);
        async {
            tokio::time::sleep(secs(1)).await;
            Outcome::TimedOut { message: "late".to_owned() }
        }
    });
    let mut bench = Bench::of(per_vu(1, 15), &fake);
    assert_eq!(bench.run().await, secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_traps_ends_the_run_at_its_limit() {
    let fake = Fake::new(|_| async { Outcome::Trapped { message: "no".to_owned() } });
    let mut plan = Plan::new(vec![vus(10.0, &[stage(3600, 10.0)], secs(30))]);
    plan.limits.max_traps = Some(50);
    let mut bench = Bench::new(&plan, &fake);
    let (context, sender) = (Arc::clone(&bench.context), bench.sender.clone());
    let took = bench
        .run_beside(async move {
            assert_eq!(context.control.wait_for_end().await, End::Exhausted(Exhausted::Traps { limit: 50 }));
            sender.ask(Level::Graceful);
        })
        .await;
    assert!(took < secs(1), "{took:?}");
    assert!((50..60).contains(&bench.tally().failed.get()), "{}", bench.tally().failed.get());
}
