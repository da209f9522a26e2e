use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::plan::{Budget, Curve, Load, Scenario};
use crate::verdict::Ending;
use crate::vu::fake::Fake;
use crate::vu::{JourneyError, Outcome};

const LONG: Duration = Duration::from_mins(10);

fn constant_vus(vus: u32, length: Duration) -> Scenario {
    let curve = Curve::constant(f64::from(vus), length).unwrap();
    Scenario::new("s", Load::Vus { curve, graceful_ramp_down: LONG }).unwrap()
}

fn per_vu(vus: u32, each: u64) -> Scenario {
    let load = Load::Iterations { vus, budget: Budget::PerVu(each), max_duration: LONG };
    Scenario::new("s", load).unwrap()
}

fn begin(plan: Plan, fake: Fake) -> RunHandle {
    start(
        plan,
        Arc::new(fake),
        Arc::new(Registry::default()),
        Vec::new(),
        RunOptions { threads: Some(2), ..RunOptions::default() },
    )
    .unwrap()
}

fn failure(function: &'static str) -> JourneyError {
    JourneyError::Failed { function, message: "no".into() }
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A journey of endless iterations that counts its teardowns, and says when `vus` iterations have begun.
fn endless(vus: u32) -> (Fake, Arc<AtomicU32>, std::sync::mpsc::Receiver<()>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (began, torn_down) = (AtomicU32::new(0), Arc::new(AtomicU32::new(0)));
    let teardowns = Arc::clone(&torn_down);
    let fake = Fake::new(move |_| {
        if began.fetch_add(1, Ordering::Relaxed) + 1 == vus {
            sender.send(()).unwrap();
        }
        async {
            tokio::time::sleep(LONG).await;
            Outcome::Completed
        }
    });
    let fake = fake.on_teardown(move |_| {
        teardowns.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    });
    (fake, torn_down, receiver)
}

#[test]
fn a_run_goes_from_setup_over_all_threads_to_teardown() {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let (of_setup, of_iteration, of_teardown) = (Arc::clone(&steps), Arc::clone(&steps), Arc::clone(&steps));
    let threads = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
    let seen = Arc::clone(&threads);
    let fake = Fake::new(move |pass| {
        seen.lock().unwrap().insert(thread::current().name().map(str::to_owned));
        of_iteration.lock().unwrap().push(String::from_utf8(pass.seat.data.to_vec()).unwrap());
        async { Outcome::Completed }
    });
    let fake = fake.on_setup(move |_| {
        of_setup.lock().unwrap().push("setup".to_owned());
        async { Ok(b"token".to_vec()) }
    });
    let fake = fake.on_teardown(move |data| {
        of_teardown.lock().unwrap().push(format!("teardown {}", String::from_utf8_lossy(&data)));
        async { Ok(()) }
    });
    let instances = Arc::clone(&fake.instances);
    let report = begin(Plan::new(vec![per_vu(64, 3)]), fake).wait().unwrap();
    assert_eq!(report.ending, Ending::Completed);
    let steps = steps.lock().unwrap();
    assert_eq!((&*steps[0], &*steps[193]), ("setup", "teardown token"));
    assert!(steps[1..193].iter().all(|step| step == "token"));
    assert_eq!(threads.lock().unwrap().len(), 2);
    assert_eq!(instances.load(Ordering::Relaxed), 64);
    let totals = &report.scenarios[0];
    assert_eq!((totals.planned, totals.started, totals.completed), (192, 192, 192));
}

#[test]
fn a_failed_setup_runs_nothing() {
    let fake = Fake::new(|_| async { panic!("must not run") }).on_setup(|_| async { Err(failure("setup")) });
    let fake = fake.on_teardown(|_| async { panic!("must not run") });
    let report = begin(Plan::new(vec![per_vu(1, 1)]), fake).wait().unwrap();
    assert_eq!(report.ending, Ending::SetupFailed { message: "`setup` failed: no".into() });
}

#[test]
fn a_setup_that_takes_too_long_is_given_up() {
    let fake = Fake::sleeping(LONG).on_setup(|_| async {
        tokio::time::sleep(LONG).await;
        Ok(Vec::new())
    });
    let mut plan = Plan::new(vec![per_vu(1, 1)]);
    plan.setup_timeout = Some(millis(30));
    assert_eq!(begin(plan, fake).wait().unwrap().ending, Ending::SetupTimedOut);
}

#[test]
fn a_journey_that_cannot_be_instantiated_ends_the_run_and_is_torn_down() {
    let (fake, torn_down, _) = endless(1);
    let fake = fake.on_instantiate(|seat| async move {
        match seat.vu {
            40 => Err(JourneyError::Instantiate { message: "no memory".into() }),
            _ => Ok(()),
        }
    });
    let report = begin(Plan::new(vec![constant_vus(64, LONG)]), fake).wait().unwrap();
    let message = "the journey could not be instantiated: no memory".to_owned();
    assert_eq!(report.ending, Ending::JourneyFailed { message });
    assert_eq!(torn_down.load(Ordering::Relaxed), 1);
}

#[test]
fn a_failed_or_slow_teardown_is_how_the_run_ended() {
    let fake = Fake::sleeping(millis(1)).on_teardown(|_| async { Err(failure("teardown")) });
    let report = begin(Plan::new(vec![per_vu(1, 1)]), fake).wait().unwrap();
    assert_eq!(report.ending, Ending::TeardownFailed { message: "`teardown` failed: no".into() });

    let fake = Fake::sleeping(millis(1)).on_teardown(|_| async {
        tokio::time::sleep(LONG).await;
        Ok(())
    });
    let mut plan = Plan::new(vec![per_vu(1, 1)]);
    plan.teardown_timeout = Some(millis(30));
    assert_eq!(begin(plan, fake).wait().unwrap().ending, Ending::TeardownTimedOut);
}

#[test]
fn a_stop_and_a_second_one_end_the_run_with_a_report() {
    let (fake, torn_down, began) = endless(64);
    let run = begin(Plan::new(vec![constant_vus(64, LONG)]), fake);
    began.recv().unwrap();
    let stopper = run.stopper();
    stopper.stop();
    thread::sleep(millis(50));
    assert!(run.control.as_ref().is_some_and(|control| !control.is_finished()), "iterations may end");
    stopper.stop_now();
    let report = run.wait().unwrap();
    assert_eq!(report.ending, Ending::Interrupted);
    assert_eq!((report.scenarios[0].started, report.scenarios[0].interrupted), (64, 64));
    assert_eq!(torn_down.load(Ordering::Relaxed), 0, "the second stop leaves no time for it");
}

#[test]
fn a_graceful_stop_lets_iterations_end_and_tears_down() {
    let torn_down = Arc::new(AtomicU32::new(0));
    let teardowns = Arc::clone(&torn_down);
    let (sender, began) = std::sync::mpsc::channel();
    let fake = Fake::new(move |_| {
        // The test hears only the first.
        let _ = sender.send(());
        async {
            tokio::time::sleep(millis(100)).await;
            Outcome::Completed
        }
    });
    let fake = fake.on_teardown(move |_| {
        teardowns.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    });
    let run = begin(Plan::new(vec![constant_vus(64, LONG)]), fake);
    began.recv().unwrap();
    run.stopper().stop();
    let report = run.wait().unwrap();
    assert_eq!(report.ending, Ending::Interrupted);
    let totals = &report.scenarios[0];
    assert_eq!((totals.completed, totals.interrupted), (totals.started, 0));
    assert!(totals.started > 0);
    assert_eq!(torn_down.load(Ordering::Relaxed), 1);
}

#[test]
fn a_stop_during_setup_ends_the_run() {
    let (sender, began) = std::sync::mpsc::channel();
    let fake = Fake::sleeping(LONG).on_setup(move |_| {
        sender.send(()).unwrap();
        async {
            tokio::time::sleep(LONG).await;
            Ok(Vec::new())
        }
    });
    let run = begin(Plan::new(vec![per_vu(1, 1)]), fake);
    began.recv().unwrap();
    run.stopper().stop();
    assert_eq!(run.wait().unwrap().ending, Ending::Interrupted);
}

#[test]
fn a_journey_ends_the_run() {
    let fake = Fake::new(|pass| async move {
        if pass.seat.vu == 7 {
            pass.context.control.abort("enough");
        }
        tokio::time::sleep(millis(5)).await;
        Outcome::Completed
    });
    let report = begin(Plan::new(vec![constant_vus(64, LONG)]), fake).wait().unwrap();
    assert_eq!(report.ending, Ending::JourneyAborted { reason: "enough".into() });
    assert_eq!(report.scenarios[0].interrupted, 0);
}

#[test]
fn a_journey_that_ends_the_run_in_setup_is_not_called_failed() {
    let fake = Fake::sleeping(LONG).on_setup(|context| async move {
        context.control.abort("closed today");
        std::future::pending().await
    });
    let report = begin(Plan::new(vec![per_vu(1, 1)]), fake).wait().unwrap();
    assert_eq!(report.ending, Ending::JourneyAborted { reason: "closed today".into() });
}

#[test]
fn a_panic_on_a_worker_is_an_error_and_ends_the_others() {
    let fake = Fake::new(|pass| async move {
        assert!(pass.seat.vu != 7, "a bug");
        tokio::time::sleep(LONG).await;
        Outcome::Completed
    });
    let error = begin(Plan::new(vec![constant_vus(64, LONG)]), fake).wait().unwrap_err();
    assert!(matches!(&error, RunError::Panicked { message } if message == "a bug"), "{error}");
}

#[test]
fn a_panic_while_conducting_is_an_error() {
    let fake = Fake::sleeping(LONG).on_setup(|_| async { panic!("a bug") });
    let error = begin(Plan::new(vec![per_vu(1, 1)]), fake).wait().unwrap_err();
    assert!(matches!(&error, RunError::Panicked { message } if message == "a bug"), "{error}");
}

#[test]
fn dropping_the_handle_ends_the_run() {
    let (fake, _, began) = endless(64);
    let run = begin(Plan::new(vec![constant_vus(64, LONG)]), fake);
    began.recv().unwrap();
    let before = Instant::now();
    drop(run);
    assert!(before.elapsed() < Duration::from_mins(1));
}

#[test]
fn an_empty_plan_is_refused() {
    let result =
        start(Plan::new(Vec::new()), Arc::new(Fake::sleeping(LONG)), Arc::default(), Vec::new(), RunOptions::default());
    assert!(matches!(result, Err(RunError::NoScenario)));
}

#[test]
fn what_a_run_used_up_ends_it_and_is_torn_down() {
    for (what, ending) in [
        (Exhausted::Cpu { limit: LONG }, Ending::CpuUsedUp { limit: LONG }),
        (Exhausted::Traps { limit: 7 }, Ending::TooManyTraps { limit: 7 }),
    ] {
        let torn_down = Arc::new(AtomicU32::new(0));
        let teardowns = Arc::clone(&torn_down);
        let fake = Fake::new(move |pass| async move {
            pass.context.control.exhaust(what);
            // The traps let it end; without computing time it is interrupted at once.
            tokio::time::sleep(if let Exhausted::Cpu { .. } = what { LONG } else { millis(1) }).await;
            Outcome::Completed
        });
        let fake = fake.on_teardown(move |_| {
            teardowns.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        });
        let begin_of_run = Instant::now();
        let report = begin(Plan::new(vec![constant_vus(4, LONG)]), fake).wait().unwrap();
        assert_eq!(report.ending, ending);
        assert_eq!(torn_down.load(Ordering::Relaxed), 1);
        assert!(begin_of_run.elapsed() < Duration::from_secs(10));
    }
}
