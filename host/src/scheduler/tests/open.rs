//! Arrivals.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

#[tokio::test(start_paused = true)]
async fn arrivals_start_when_they_are_due_and_their_count_is_exact() {
    let diary = Diary::default();
    let start = Instant::now();
    let mut bench = Bench::of(arrivals(10.0, secs(60), 20, 20), &diary.sleeping(millis(1500)));
    assert_eq!(bench.run().await, millis(61_400));
    assert_eq!(diary.indexes(), (0..600).collect::<Vec<_>>());
    for entry in diary.entries() {
        assert_eq!(entry.at - start, millis(entry.iteration.index * 100));
        assert_eq!(entry.iteration.stream, entry.iteration.index);
    }
    assert_eq!(bench.samples.of(builtin::ITERATION_DELAY), [0.0; 600]);
    assert_eq!(bench.samples.of(builtin::ITERATION_TOTAL), [1500.0; 600]);
    assert_eq!((bench.tally().planned.get(), bench.tally().dropped.get()), (600, 0));
    assert_eq!(bench.messages(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_ramping_arrivals_is_exact() {
    let curve = Curve::new(0.0, &[stage(1800, 10.0), stage(1800, 0.0)]).unwrap();
    let load = Load::Arrivals { curve, pre_allocated: 5, max: 5 };
    let mut bench = Bench::of(Scenario::new("s", load).unwrap(), &Fake::sleeping(millis(50)));
    assert_eq!(bench.run().await, secs(3600));
    assert_eq!(bench.samples.count(builtin::ITERATIONS), 18_000);
    assert!(bench.samples.of(builtin::ITERATION_DELAY).iter().all(|delay| *delay <= 1.0), "tokio's clock has steps");
}

#[tokio::test(start_paused = true)]
async fn an_arrival_with_no_free_vu_is_dropped_and_counted_and_the_user_is_warned_once() {
    let mut bench = Bench::of(arrivals(10.0, secs(10), 2, 2), &Fake::sleeping(secs(1)));
    bench.run().await;
    assert_eq!(bench.tally().planned.get(), 100);
    let (completed, dropped) = (bench.tally().completed.get(), bench.tally().dropped.get());
    assert_eq!(completed + dropped, 100);
    assert!((18..=20).contains(&completed), "{completed}");
    assert_eq!(bench.samples.count(builtin::DROPPED_ITERATIONS), dropped);
    assert_eq!(bench.messages(), ["insufficient VUs, reached 2 active VUs and cannot initialize more"]);
}

#[tokio::test(start_paused = true)]
async fn vus_are_added_one_at_a_time_while_the_arrivals_that_found_none_are_dropped() {
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (at_once, greatest) = (Arc::clone(&now), Arc::clone(&most));
    let fake = Fake::sleeping(secs(600)).on_instantiate(move |_| {
        let (at_once, greatest) = (Arc::clone(&at_once), Arc::clone(&greatest));
        async move {
            greatest.fetch_max(at_once.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(millis(250)).await;
            at_once.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        }
    });
    let mut bench = Bench::of(arrivals(10.0, secs(2), 1, 4), &fake);
    bench.run().await;
    // Each VU takes 2.5 arrivals' time to make; the one that then arrives gets it.
    assert_eq!(most.load(Ordering::Relaxed), 1);
    let tally = bench.tally();
    assert_eq!((tally.initialised.get(), tally.started.get(), tally.dropped.get()), (4, 4, 16));
    assert_eq!(bench.messages(), ["insufficient VUs, reached 4 active VUs and cannot initialize more"]);
}

#[tokio::test(start_paused = true)]
async fn a_vu_that_cannot_be_added_is_tried_again() {
    let fake = Fake::sleeping(secs(1)).on_instantiate(|seat| async move {
        match seat.instance {
            1..=3 => Err(JourneyError::Instantiate { message: "no memory".into() }),
            _ => Ok(()),
        }
    });
    let mut bench = Bench::of(arrivals(10.0, secs(1), 0, 1), &fake);
    bench.run().await;
    assert_eq!((bench.tally().started.get(), bench.tally().dropped.get()), (1, 9));
    assert_eq!(bench.messages().iter().filter(|message| message.contains("no memory")).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_arrival_that_starts_late_carries_how_late() {
    // The first iteration keeps the thread for 250 ms; meanwhile two more became due.
    let fake = Fake::new(|pass| async move {
        if pass.iteration.index == 0 {
            tokio::time::advance(millis(250)).await;
        }
        Outcome::Completed
    });
    let mut bench = Bench::of(arrivals(10.0, millis(500), 5, 5), &fake);
    bench.run().await;
    let delays: Vec<_> = bench.samples.of(builtin::ITERATION_DELAY).iter().map(|delay| delay.round() as u64).collect();
    let mut sorted = delays.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 0, 0, 50, 150], "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn the_vu_that_waited_longest_comes_first() {
    let diary = Diary::default();
    let mut bench = Bench::of(arrivals(10.0, secs(1), 3, 3), &diary.sleeping(millis(50)));
    bench.run().await;
    let vus: Vec<_> = diary.entries().iter().map(|entry| entry.vu).collect();
    assert_eq!(vus, [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_trapped_instance_is_replaced_before_its_next_arrival() {
    let diary = Diary::default();
    let notes = diary.clone();
    let fake = Fake::new(move |pass| {
        notes.note(&pass);
        let message = "t".to_owned();
        async { Outcome::Trapped { message } }
    });
    let mut bench = Bench::of(arrivals(1.0, secs(3), 1, 1), &fake);
    bench.run().await;
    let instances: Vec<_> = diary.entries().iter().map(|entry| entry.instance).collect();
    assert_eq!(instances, [1, 2, 3]);
}

#[tokio::test]
async fn the_kernel_timer_releases_every_arrival() {
    let mut plan = Plan::new(vec![arrivals(2000.0, millis(200), 50, 50)]);
    plan.system_tags.0.clear();
    let mut bench = Bench::new(&plan, &Fake::new(|_| async { Outcome::Completed }));
    for crew in &mut bench.scheduler.as_mut().unwrap().crews {
        crew.timer = Timer::precise;
    }
    bench.run().await;
    assert_eq!(bench.tally().planned.get(), 400);
    assert_eq!(bench.tally().completed.get() + bench.tally().dropped.get(), 400);
}

#[tokio::test(start_paused = true)]
async fn arrivals_that_find_only_broken_vus_are_dropped_and_counted() {
    let fake = Fake::new(|_| async { Outcome::Trapped { message: "no".to_owned() } });
    let mut bench = Bench::of(arrivals(100.0, secs(20), 2, 2), &fake);
    bench.run().await;
    let tally = bench.tally();
    assert_eq!(tally.planned.get(), 2000);
    assert_eq!(tally.started.get() + tally.dropped.get(), 2000);
    assert_eq!(
        (tally.failed.get(), bench.samples.count(builtin::DROPPED_ITERATIONS)),
        (tally.started.get(), tally.dropped.get())
    );
    // Each VU breaks about ten times in the first second, and then once a second.
    assert!((40..80).contains(&tally.started.get()), "{}", tally.started.get());
}
