use proptest::prelude::*;
use serde_json::{Value, json};

use super::Typed;
use crate::config::layer::KEYS;
use crate::config::{Sources, lower};

/// The scenario `browse` from TOML, its fields from line 3 on.
fn browse(fields: &'static str) -> String {
    let file = format!("# what to run\n[scenarios.browse]\n{fields}");
    Typed::file(file.leak()).problems()
}

#[test]
fn max_vus_below_pre_allocated_vus_say_both_values_the_place_and_what_to_do() {
    let problems = browse(
        "executor = \"constant-arrival-rate\"\nrate = 5\nduration = \"10s\"\npre-allocated-vus = 10\nmax-vus = 5\n",
    );
    assert_eq!(
        problems,
        "scenario `browse`: `max-vus` is 5 but `pre-allocated-vus` is 10\n  at squall.toml:7\n  \
         hint: raise `max-vus` to 10 or more, or lower `pre-allocated-vus`"
    );
    let journey = r#"{"scenarios":{"a":{"executor":"constant-arrival-rate","rate":5,"duration":"10s","preAllocatedVUs":10,"maxVUs":5}}}"#;
    assert_eq!(
        Typed::journey(journey).problems(),
        "scenario `a`: `maxVUs` is 5 but `preAllocatedVUs` is 10\n  at journey options: scenarios.a.maxVUs\n  \
         hint: raise `maxVUs` to 10 or more, or lower `preAllocatedVUs`"
    );
    let typed = Typed::flags(&[("rate", "5"), ("duration", "10s"), ("vus", "10"), ("maxVUs", "5")]);
    assert_eq!(
        typed.problems(),
        "`--max-vus` is 5 but `--vus` is 10\n  at the command line\n  hint: raise `--max-vus` to 10 or more, or lower `--vus`"
    );
}

#[test]
fn all_problems_of_all_layers_are_reported_at_once() {
    let typed = Typed { file: Some("vuss = 3\nbatch = 0\n"), ..Typed::journey(r#"{"duration":true,"tags":[]}"#) };
    let typed = typed.and_variables(&[("SQUALL_SEED", "-1")]).and_flags(&[("thresholds", "checks")]);
    assert_eq!(
        typed.problems(),
        "`duration` must be a duration like `30s`, but is `true`\n  at journey options: duration\n\
         `tags` must be a table of texts, but is a list\n  at journey options: tags\n\
         unknown option `vuss`\n  at squall.toml:1\n  hint: did you mean `vus`?\n\
         `SQUALL_SEED` must be a whole number, 0 or more, but is `-1`\n  at the environment\n\
         `--thresholds`: `checks` is not a threshold: a colon between metric and condition is missing, like \
         `http_req_duration: p(95)<500`\n  at the command line\n  hint: write `AGGREGATION OPERATOR NUMBER`, like \
         `p(95)<500`, `rate<0.01` or `count>=1000`\n\
         `batch` is 0, but must be at least 1\n  at squall.toml:2"
    );
}

#[test]
fn a_wrong_type_deep_inside_is_found_by_its_path() {
    let journey = r#"{"scenarios":{"browse":{"executor":"ramping-vus","stages":[{"duration":"1s","target":1},{"duration":[],"target":1}]}}}"#;
    assert_eq!(
        Typed::journey(journey).problems(),
        "scenario `browse`: `stages[1].duration` must be a duration like `30s`, but is a list\n  \
         at journey options: scenarios.browse.stages[1].duration"
    );
}

#[test]
fn options_that_are_no_object_are_refused() {
    assert_eq!(Typed::journey("[1]").problems(), "the journey's options must be an object, but are a list");
    let problems = Typed::journey("{oops").problems();
    assert!(problems.starts_with("the journey's options are not JSON: key must be a string"), "{problems}");
    assert_eq!(Typed::journey("null").lower().warnings, []);
}

#[test]
fn unknown_keys_are_errors_with_a_suggestion() {
    let problems = browse("executor = \"constant-vus\"\nduration = \"10s\"\ngracefull-stop = \"1s\"\n");
    let expected =
        "scenario `browse`: unknown option `gracefull-stop`\n  at squall.toml:5\n  hint: did you mean `graceful-stop`?";
    assert_eq!(problems, expected);
    let problems = browse("executor = \"constant-vus\"\nduration = \"10s\"\nrate = 5\n");
    assert_eq!(
        problems,
        "scenario `browse`: unknown option `rate`\n  at squall.toml:5\n  \
         hint: `rate` belongs to `constant-arrival-rate`, and this is `constant-vus`"
    );
    let expected = "unknown option `iterationTimeout`\n  at journey options: iterationTimeout\n  hint: did you mean `limits.iterationTimeout`?";
    assert_eq!(Typed::journey(r#"{"iterationTimeout":"1s"}"#).problems(), expected);
    let expected = "unknown option `limits.memori`\n  at squall.toml:2\n  hint: did you mean `limits.memory`?";
    assert_eq!(Typed::file("[limits]\nmemori = 1\n").problems(), expected);
    assert_eq!(
        Typed::file("maxVUs = 1\nmax-vus = 2\n").problems(),
        "`maxVUs` and `max-vus` are the same option\n  at squall.toml:2\n  hint: keep one of them"
    );
}

#[test]
fn an_executor_is_named_and_known() {
    assert!(
        browse("vus = 1\n").starts_with("scenario `browse`: `executor` is missing\n  at squall.toml:2\n  hint: choose")
    );
    assert_eq!(
        browse("executor = \"constant-vu\"\n"),
        "scenario `browse`: there is no executor `constant-vu`\n  at squall.toml:3\n  hint: did you mean `constant-vus`?"
    );
    assert_eq!(
        browse("executor = \"externally-controlled\"\n"),
        "scenario `browse`: there is no executor `externally-controlled`\n  at squall.toml:3\n  \
         hint: k6 removed it in 2.0, and squall does not have it yet"
    );
}

#[test]
fn what_an_executor_needs_is_asked_for_at_once() {
    assert_eq!(
        browse("executor = \"constant-arrival-rate\"\n"),
        "scenario `browse`: `rate` is missing\n  at squall.toml:2\n  \
         hint: `constant-arrival-rate` needs it: how many iterations start per `timeUnit`, like 10\n\
         scenario `browse`: `duration` is missing\n  at squall.toml:2\n  \
         hint: `constant-arrival-rate` needs it: how long it runs, like `30s`\n\
         scenario `browse`: `pre-allocated-vus` is missing\n  at squall.toml:2\n  \
         hint: `constant-arrival-rate` needs it: how many VUs are made before the start, like 10"
    );
    assert_eq!(
        Typed::flags(&[("rate", "5")]).problems(),
        "`--rate` needs `--duration` beside it\n  at the command line\n  hint: say how long it runs, like `30s`\n\
         `--rate` needs `--vus` beside it\n  at the command line\n  hint: say how many VUs are made before the start, like 10"
    );
}

#[test]
fn loads_that_run_nothing_are_refused() {
    for (fields, message) in [
        (
            "executor = \"constant-vus\"\nduration = \"10s\"\nvus = 0",
            "`vus` is 0, but must be at least 1\n  at squall.toml:5",
        ),
        (
            "executor = \"constant-vus\"\nduration = 30",
            "`duration` is 30ms, but must be at least 1s\n  at squall.toml:4",
        ),
        (
            "executor = \"constant-vus\"\nduration = \"-1s\"",
            "`duration`: `-1s` is a negative duration\n  at squall.toml:4",
        ),
        ("executor = \"ramping-vus\"\nstages = []", "`stages` are empty\n  at squall.toml:4"),
        (
            "executor = \"ramping-vus\"\nstages = [{ duration = 0, target = 5 }]",
            "`stages` take no time\n  at squall.toml:4\n  hint: give at least one stage a `duration` above 0, like `10s`",
        ),
        (
            "executor = \"ramping-vus\"\nstart-vus = 0\nstages = [{ duration = \"1s\", target = 0 }]",
            "`stages` never leave 0 VUs, so nothing would run\n  at squall.toml:5",
        ),
        (
            "executor = \"ramping-vus\"\nstages = [{ duration = \"1s\", target = 1.5 }]",
            "`stages[0].target` is 1.5, but there are only whole VUs\n  at squall.toml:4",
        ),
        (
            "executor = \"ramping-vus\"\nstages = [{ duration = \"1s\", target = -2 }]",
            "`stages[0].target` must be a number, 0 or more, but is `-2`\n  at squall.toml:4",
        ),
        (
            "executor = \"ramping-vus\"\nstages = [{ duration = \"200d\", target = 2 }]",
            "`stages` is longer than 2501h59m59.254740992s\n  at squall.toml:4",
        ),
        (
            "executor = \"shared-iterations\"\nvus = 10\niterations = 5",
            "`iterations` is 5 but `vus` is 10\n  at squall.toml:5\n  \
             hint: raise `iterations` to 10 or more, or lower `vus`: the VUs share the iterations",
        ),
        (
            "executor = \"per-vu-iterations\"\niterations = 0",
            "`iterations` is 0, but must be at least 1\n  at squall.toml:4",
        ),
        (
            "executor = \"constant-arrival-rate\"\nrate = 0\nduration = \"1s\"\npre-allocated-vus = 1",
            "`rate` is 0, so nothing would start\n  at squall.toml:4",
        ),
        (
            "executor = \"constant-arrival-rate\"\nrate = 1\ntime-unit = 0\nduration = \"1s\"\npre-allocated-vus = 1",
            "`time-unit` is 0, but rates are per unit of time\n  at squall.toml:5",
        ),
        (
            "executor = \"constant-arrival-rate\"\nrate = 1\nduration = \"1s\"\npre-allocated-vus = 0",
            "`pre-allocated-vus` is 0, but must be at least 1\n  at squall.toml:6",
        ),
        (
            "executor = \"constant-arrival-rate\"\nrate = 1e12\nduration = \"1s\"\npre-allocated-vus = 1",
            "`rate`: a target of 1000000000000 is not possible\n  at squall.toml:4",
        ),
        (
            "executor = \"ramping-arrival-rate\"\nstages = [{ duration = \"1s\", target = 0 }]\npre-allocated-vus = 1",
            "`stages` never leave 0, so nothing would start\n  at squall.toml:4",
        ),
        ("executor = \"per-vu-iterations\"\nexec = \"\"", "`exec` is empty\n  at squall.toml:4"),
    ] {
        let problems = browse(fields);
        assert!(problems.starts_with(&format!("scenario `browse`: {message}")), "{fields}\n{problems}");
        assert_eq!(problems.matches("scenario `").count(), 1, "{problems}");
    }
}

#[test]
fn a_scenario_name_has_letters_digits_and_dashes() {
    assert_eq!(
        Typed::file("[scenarios.\"a b\"]\nexecutor = \"per-vu-iterations\"\n").problems(),
        "scenario `a b`: `a b` is not a scenario name: it must match `[0-9A-Za-z_-]+`\n  at squall.toml:1\n  \
         hint: use letters, digits, `_` and `-`"
    );
}

#[test]
fn ways_to_say_what_to_run_exclude_each_other() {
    assert_eq!(
        Typed::journey(r#"{"iterations":5,"stages":[{"duration":"1s","target":1}]}"#).problems(),
        "`stages` and `iterations` cannot be combined\n  at journey options: iterations\n  \
         hint: keep one of them, or write scenarios"
    );
}

#[test]
fn more_vus_than_a_run_can_number_are_refused() {
    assert_eq!(
        Typed::flags(&[("vus", "4000000000"), ("duration", "10s")]).problems(),
        "`--vus`: a target of 4000000000 is not possible\n  at the command line\n  hint: lower it"
    );
    assert_eq!(
        Typed::flags(&[("vus", "4000000000")]).problems(),
        "the scenarios have 4000000000 VUs together, but a run has at most 10000000\n  hint: lower the numbers of VUs"
    );
}

#[test]
fn what_squall_lacks_of_k6_is_an_error_or_a_warning() {
    assert_eq!(
        Typed::journey(r#"{"executionSegment":"0:1/2","paused":false}"#).problems(),
        "`executionSegment` is not supported yet\n  at journey options: executionSegment\n  \
         hint: remove it; the run would not be the one it asks for"
    );
    assert_eq!(
        Typed::journey(r#"{"cloud":{"name":"x"},"noUsageReport":true}"#).warnings(),
        "`noUsageReport` has no effect: squall reports its use to nobody\n  at journey options: noUsageReport\n  hint: remove it\n\
         `cloud` has no effect: squall runs on this machine\n  at journey options: cloud\n  hint: remove it"
    );
    let problems = browse("executor = \"per-vu-iterations\"\noptions = { browser = { type = \"chromium\" } }\n");
    assert_eq!(problems, "scenario `browse`: `options` is not supported yet\n  at squall.toml:4\n  hint: remove it");
}

#[test]
fn a_journey_cannot_write_files_or_lift_its_limits() {
    assert_eq!(
        Typed::journey(r#"{"out":["json=/etc/passwd"],"limits":{"memory":"4GiB"}}"#).problems(),
        "`out` is not for the journey to set\n  at journey options: out\n  hint: set it in `squall.toml` or with a flag\n\
         `limits.memory` is not for the journey to set\n  at journey options: limits.memory\n  \
         hint: set it in `squall.toml` or with a flag"
    );
}

#[test]
fn values_from_a_fixed_set_are_checked() {
    let file = "system-tags = [\"statuss\"]\nsummaryTimeUnit = \"min\"\nsummaryTrendStats = [\"p(101)\"]\n\
                [limits]\nmemory = \"1kB\"\ncpu-timeout = 0\n";
    assert_eq!(
        Typed::file(file).problems(),
        "`system-tags`: there is no system tag `statuss`\n  at squall.toml:1\n  hint: did you mean `status`?\n\
         `limits.memory` is 1000B, but must be at least 64KiB\n  at squall.toml:5\n\
         `limits.cpu-timeout` is 0, but must be longer\n  at squall.toml:6\n\
         `summaryTrendStats`: `p(101)` is not a statistic of a trend\n  at squall.toml:3\n  \
         hint: choose from `avg`, `min`, `med`, `max`, `count` and `p(N)` with N from 0 to 100\n\
         `summaryTimeUnit`: `min` is not a unit of time for summaries\n  at squall.toml:2\n  \
         hint: choose from `s`, `ms` and `us`"
    );
}

#[test]
fn thresholds_say_which_part_of_them_is_wrong() {
    let file = "[thresholds]\nchecks = [\"rate>0.9\", \"rate=1\"]\nhttp_reqs = { abortOnFail = true }\n\
                http_req_failed = { threshold = \"rate<0.1\", abort = true }\nvus = 5\n";
    let problems = Typed::file(file).problems();
    let found: Vec<&str> = problems.lines().filter(|line| !line.starts_with("  hint")).collect();
    assert_eq!(
        found,
        [
            "`thresholds.checks[1]`: `rate=1` is not a threshold: the operator is none of `<`, `<=`, `>`, `>=`, `==`, `===`, `!=`",
            "  at squall.toml:2",
            "`thresholds.http_reqs` has no `threshold`",
            "  at squall.toml:3",
            "unknown option `thresholds.http_req_failed.abort`",
            "  at squall.toml:4",
            "`thresholds.vus` must be a threshold like `p(95)<500`, but is `5`",
            "  at squall.toml:5",
        ]
    );
}

#[test]
fn thresholds_that_can_never_be_judged_are_found_with_all_the_rest() {
    let typed =
        Typed::file("[thresholds]\nhttp_req_durations = \"p(95)<500\"\nchecks = \"count>1\"\n[limits]\nseries = 0\n");
    let problems = typed.problems();
    let found: Vec<&str> = problems.lines().filter(|line| !line.starts_with("  hint")).collect();
    assert_eq!(
        found,
        [
            "threshold `http_req_durations: p(95)<500`: there is no metric `http_req_durations`",
            "  at squall.toml:2",
            "threshold `checks: count>1`: `count` is not for a rate, which `checks` is",
            "  at squall.toml:3",
            "`limits.series` is 0, but must be at least 1",
            "  at squall.toml:5",
        ]
    );
    let typed = Typed::flags(&[("thresholds", "http_req_failed: rate<5")]);
    assert!(typed.warnings().contains("can never fail"), "{}", typed.warnings());
}

#[test]
fn a_variable_that_nothing_reads_is_warned_about_if_it_looks_like_a_slip() {
    let typed = Typed::default().and_variables(&[("SQUALL_VSU", "5"), ("SQUALL_HOME_OF_THE_WIND", "x")]);
    assert_eq!(
        typed.warnings(),
        "nothing reads the variable `SQUALL_VSU`\n  at the environment\n  hint: did you mean `SQUALL_VUS`?"
    );
}

#[test]
fn toml_that_is_none_says_the_line() {
    let problems = Typed::file("seed = 1\nvus = = 2\n").problems();
    assert!(problems.starts_with("`squall.toml` is not TOML: "), "{problems}");
    assert!(problems.contains("\n  at squall.toml:2"), "{problems}");
}

#[test]
fn what_a_journey_wrote_cannot_steer_the_terminal() {
    let problems = Typed::journey("{\"vus\":\"\\u001b[31m\\n\",\"\\u0007\":1}").problems();
    let expected = "`vus` must be a whole number from 0 to 4294967295, but is the text `\\u{1b}[31m\\n`\n  at journey options: vus\n\
                    unknown option `\\u{7}`\n  at journey options: \\u{7}";
    assert_eq!(problems, expected);
}

/// Values that options have, and values that none has.
fn values() -> impl Strategy<Value = Value> {
    let numbers =
        prop_oneof![Just(json!(0)), Just(json!(-1)), Just(json!(1e300)), Just(json!(u64::MAX)), Just(json!(2.5))];
    let texts =
        prop::sample::select(vec!["", "10s", "292y", "106751d", "5%", "64MiB", "constant-vus", "p(95)<1", "é\0"]);
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), numbers, texts.prop_map(Value::from)];
    let keys = prop::sample::select(vec![
        "executor",
        "vus",
        "duration",
        "stages",
        "target",
        "rate",
        "timeUnit",
        "preAllocatedVUs",
        "maxVUs",
        "startTime",
        "iterations",
        "threshold",
        "memory",
        "x",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..4)
                .prop_map(|entries| entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_options_make_it_panic(options in prop::collection::vec((prop::sample::select(KEYS), values()), 0..6)) {
        let json: Value = options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let json = json.to_string();
        if let Ok(lowered) = lower(&Sources { journey_options: Some(&json), ..Sources::default() }) {
            prop_assert!(!crate::config::explain(&lowered).is_empty());
        }
    }

    #[test]
    fn no_numbers_of_a_scenario_make_it_panic(
        executor in prop::sample::select(vec![
            "constant-vus", "ramping-vus", "per-vu-iterations", "shared-iterations", "constant-arrival-rate",
            "ramping-arrival-rate",
        ]),
        numbers in prop::array::uniform6(prop::sample::select(vec![0.0, 0.001, 1.0, 7.0, 1000.0, 1e7, 1e9, 4e9, 1e15])),
    ) {
        let [vus, rate, duration, start, target, most] = numbers;
        let stages = json!([{ "duration": duration, "target": target }, { "duration": 1000, "target": vus }]);
        let all = json!({
            "vus": vus, "iterations": most, "maxDuration": duration, "duration": duration, "startVUs": start,
            "stages": stages, "rate": rate, "startRate": rate, "timeUnit": start, "preAllocatedVUs": vus, "maxVUs": most,
        });
        let mut fields = json!({ "executor": executor, "startTime": duration, "gracefulStop": duration });
        for key in crate::config::scenario_options::Executor::ALL.iter().find(|known| known.name() == executor).unwrap().fields() {
            fields[key] = all[key].clone();
        }
        let json = json!({ "scenarios": { "a": fields } }).to_string();
        if let Ok(lowered) = lower(&Sources { journey_options: Some(&json), ..Sources::default() }) {
            prop_assert!(!crate::config::explain(&lowered).is_empty());
        }
    }
}
