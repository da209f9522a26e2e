use std::time::Duration;

use super::{Typed, from};
use crate::plan::{Budget, Curve, Load, Scenario, Stage};

const SECOND: Duration = Duration::from_secs(1);
const GRACEFUL: Duration = Duration::from_secs(30);

fn only(json: &'static str) -> Scenario {
    let mut scenarios = Typed::journey(json).lower().plan.scenarios;
    assert_eq!(scenarios.len(), 1);
    scenarios.remove(0)
}

fn stage(seconds: u32, target: f64) -> Stage {
    Stage { duration: seconds * SECOND, target }
}

#[test]
fn constant_vus_hold_their_number() {
    let scenario = only(r#"{"scenarios":{"a":{"executor":"constant-vus","vus":5,"duration":"10s"}}}"#);
    let curve = Curve::constant(5.0, 10 * SECOND).unwrap();
    assert_eq!(scenario.load, Load::Vus { curve, graceful_ramp_down: GRACEFUL });
    assert_eq!((scenario.start, scenario.graceful_stop, &*scenario.exec), (Duration::ZERO, GRACEFUL, "default"));
}

#[test]
fn ramping_vus_follow_their_stages() {
    let json = r#"{"scenarios":{"a":{"executor":"ramping-vus","startVUs":2,"gracefulRampDown":"5s",
        "stages":[{"duration":"10s","target":20},{"duration":0,"target":5},{"duration":"5s","target":0}]}}}"#;
    let curve = Curve::new(2.0, &[stage(10, 20.0), stage(0, 5.0), stage(5, 0.0)]).unwrap();
    assert_eq!(only(json).load, Load::Vus { curve, graceful_ramp_down: 5 * SECOND });
}

#[test]
fn iterations_are_shared_or_per_vu() {
    let json = r#"{"scenarios":{"a":{"executor":"per-vu-iterations","vus":3,"iterations":7,"maxDuration":"1m"}}}"#;
    let load = Load::Iterations { vus: 3, budget: Budget::PerVu(7), max_duration: 60 * SECOND };
    assert_eq!(only(json).load, load);
    let json = r#"{"scenarios":{"a":{"executor":"shared-iterations"}}}"#;
    let load = Load::Iterations { vus: 1, budget: Budget::Shared(1), max_duration: 600 * SECOND };
    assert_eq!(only(json).load, load);
}

#[test]
fn arrival_rates_are_lowered_to_rates_per_second() {
    let json = r#"{"scenarios":{"a":{"executor":"constant-arrival-rate","rate":90,"timeUnit":"1m","duration":"10s",
        "preAllocatedVUs":3}}}"#;
    let Load::Arrivals { curve, pre_allocated: 3, max: 3 } = only(json).load else { panic!() };
    assert!((curve.peak() - 1.5).abs() < 1e-9);
    let json = r#"{"scenarios":{"a":{"executor":"ramping-arrival-rate","stages":[{"duration":"10s","target":20}],
        "preAllocatedVUs":3,"maxVUs":9}}}"#;
    let curve = Curve::new(0.0, &[stage(10, 20.0)]).unwrap();
    assert_eq!(only(json).load, Load::Arrivals { curve, pre_allocated: 3, max: 9 });
}

#[test]
fn scenarios_keep_their_order_entry_tags_and_variables() {
    let file = "[scenarios.z]\nexecutor = \"constant-vus\"\nduration = \"5s\"\nexec = \"buy\"\nstart-time = \"3s\"\n\
                graceful-stop = \"0s\"\nenv = { A = \"1\" }\ntags = { b = \"2\" }\n\
                [scenarios.a]\nexecutor = \"per-vu-iterations\"\n";
    let plan = Typed::file(file).lower().plan;
    let names: Vec<&str> = plan.scenarios.iter().map(|scenario| &*scenario.name).collect();
    assert_eq!(names, ["z", "a"]);
    let scenario = &plan.scenarios[0];
    assert_eq!((&*scenario.exec, scenario.start, scenario.graceful_stop), ("buy", 3 * SECOND, Duration::ZERO));
    assert_eq!(scenario.env["A"], "1");
    assert_eq!(scenario.tags.get("b"), Some("2"));
    assert_eq!(plan.scenarios[1].first_vu, 2);
}

#[test]
fn the_shortcuts_make_a_default_scenario() {
    let curve = Curve::constant(3.0, 10 * SECOND).unwrap();
    let scenario = only(r#"{"vus":3,"duration":"10s"}"#);
    assert_eq!(scenario.load, Load::Vus { curve, graceful_ramp_down: GRACEFUL });
    assert_eq!(&*scenario.name, "default");

    let curve = Curve::new(4.0, &[stage(10, 50.0)]).unwrap();
    let load = only(r#"{"vus":4,"stages":[{"duration":"10s","target":50}]}"#).load;
    assert_eq!(load, Load::Vus { curve, graceful_ramp_down: GRACEFUL });

    let load = only(r#"{"vus":3,"iterations":9,"duration":"20s"}"#).load;
    assert_eq!(load, Load::Iterations { vus: 3, budget: Budget::Shared(9), max_duration: 20 * SECOND });

    let load = only(r#"{"vus":6}"#).load;
    assert_eq!(load, Load::Iterations { vus: 6, budget: Budget::Shared(6), max_duration: 600 * SECOND });
}

#[test]
fn a_rate_makes_an_open_model() {
    let typed = Typed::flags(&[("rate", "100"), ("duration", "10s"), ("vus", "5"), ("maxVUs", "20")]);
    let lowered = typed.lower();
    let curve = Curve::constant(100.0, 10 * SECOND).unwrap();
    assert_eq!(lowered.plan.scenarios[0].load, Load::Arrivals { curve, pre_allocated: 5, max: 20 });
    assert_eq!(from(&lowered, "default/preAllocatedVUs"), "--vus");
    let typed = Typed::flags(&[("rate", "0.5"), ("duration", "10s"), ("maxVUs", "20")]);
    assert_eq!(typed.lower().plan.scenarios[0].load.initial_vus(), 20);
}

#[test]
fn empty_stages_void_lower_layers_and_run_nothing_themselves() {
    let typed = Typed { file: Some("stages = []"), ..Typed::journey(r#"{"duration":"10s"}"#) };
    assert_eq!(typed.lower().origins.get(Some("default"), "executor").unwrap().value, "shared-iterations");
}
