use super::{Typed, from};
use crate::config::{explain, granted};
use crate::plan::Load;
use crate::plan::http::Connections;

#[test]
fn each_layer_wins_over_those_below() {
    let journey = r#"{"batch":1,"maxRedirects":1,"userAgent":"1","seed":1}"#;
    let file = "maxRedirects = 2\nuser-agent = \"2\"\nseed = 2\n";
    let typed = Typed { file: Some(file), ..Typed::journey(journey) };
    let typed = typed.and_variables(&[("SQUALL_USER_AGENT", "3"), ("SQUALL_SEED", "3")]).and_flags(&[("seed", "4")]);
    let lowered = typed.lower();
    let http = &lowered.plan.http;
    assert_eq!((http.batch, http.max_redirects, http.user_agent.as_str(), lowered.plan.seed), (1, 2, "3", 4));
    assert_eq!(http.batch_per_host, 6);
    let origins = ["batchPerHost", "batch", "maxRedirects", "userAgent", "seed"].map(|key| from(&lowered, key));
    assert_eq!(origins, ["default", "journey options", "squall.toml:1", "SQUALL_USER_AGENT", "--seed"]);
    assert_eq!(lowered.warnings, []);
}

#[test]
fn nothing_given_is_one_iteration_with_the_defaults() {
    let lowered = Typed::journey("").lower();
    let plan = &lowered.plan;
    assert_eq!(plan.scenarios.len(), 1);
    assert_eq!(&*plan.scenarios[0].name, "default");
    let Load::Iterations { vus: 1, budget: crate::plan::Budget::Shared(1), .. } = plan.scenarios[0].load else {
        panic!("{:?}", plan.scenarios[0].load)
    };
    let mut default = crate::plan::Plan::new(plan.scenarios.clone());
    default.seed = plan.seed;
    assert_eq!(*plan, default);
    assert_eq!(lowered.threads, None);
    assert!(lowered.presentation.out.is_empty());
}

#[test]
fn a_higher_layer_that_says_what_to_run_voids_all_below() {
    let typed = Typed::journey(r#"{"stages":[{"duration":"10s","target":5}],"vus":3}"#);
    let typed = typed.and_flags(&[("duration", "20s")]);
    let lowered = typed.lower();
    assert_eq!(from(&lowered, "default/executor"), "--duration");
    assert_eq!(from(&lowered, "default/vus"), "journey options");
    assert_eq!(
        typed.warnings(),
        "`--duration` overrode `stages` of the journey's options entirely\n  at journey options: stages"
    );
}

#[test]
fn scenarios_that_are_overridden_are_warned_about() {
    let journey = r#"{"scenarios":{"a":{"executor":"constant-vus","duration":"10s"}}}"#;
    let typed = Typed { file: Some("iterations = 5"), ..Typed::journey(journey) };
    assert_eq!(from(&typed.lower(), "default/iterations"), "squall.toml:1");
    assert_eq!(
        typed.warnings(),
        "`iterations` overrode `scenarios` of the journey's options entirely\n  at journey options: scenarios"
    );
}

#[test]
fn vus_alone_override_scenarios_with_shared_iterations() {
    let journey = r#"{"scenarios":{"a":{"executor":"constant-vus","duration":"10s"}}}"#;
    let typed = Typed::journey(journey).and_flags(&[("vus", "4")]);
    let lowered = typed.lower();
    assert_eq!(&*lowered.plan.scenarios[0].name, "default");
    assert_eq!(lowered.origins.get(Some("default"), "executor").unwrap().value, "shared-iterations");
    assert_eq!(lowered.plan.max_vus(), 4);
    assert!(typed.warnings().starts_with("`--vus` overrode `scenarios`"), "{}", typed.warnings());
}

#[test]
fn vus_of_a_higher_layer_keep_the_shortcut_below() {
    let typed = Typed::journey(r#"{"duration":"10s","vus":2}"#).and_flags(&[("vus", "7")]);
    let lowered = typed.lower();
    assert_eq!(from(&lowered, "default/vus"), "--vus");
    assert_eq!(from(&lowered, "default/duration"), "journey options");
    assert_eq!(lowered.warnings, []);
}

#[test]
fn options_that_nothing_reads_are_warned_about() {
    let journey = r#"{"vus":2,"maxVUs":5,"scenarios":{"a":{"executor":"constant-vus","duration":"10s"}}}"#;
    assert_eq!(
        Typed::journey(journey).warnings(),
        "`maxVUs` has no effect: it only works with `rate`\n  at journey options: maxVUs\n  hint: remove it\n\
         `vus` has no effect: the scenarios say how many VUs there are\n  at journey options: vus\n  hint: remove it"
    );
}

#[test]
fn thresholds_and_tags_are_replaced_as_a_whole_with_a_warning() {
    let journey = r#"{"thresholds":{"checks":["rate>0.9"]},"tags":{"team":"a"}}"#;
    let typed = Typed::journey(journey).and_flags(&[("thresholds", "http_reqs: count>1"), ("tags", "run=5")]);
    let plan = typed.lower().plan;
    assert_eq!(plan.thresholds.len(), 1);
    assert_eq!(plan.thresholds[0].selector.metric, "http_reqs");
    assert_eq!(plan.tags, [("run", "5")].into_iter().collect());
    assert_eq!(
        typed.warnings(),
        "`--thresholds` overrode `thresholds` of the journey's options entirely\n  at journey options: thresholds\n\
         `--tags` overrode `tags` of the journey's options entirely\n  at journey options: tags"
    );
    let same = Typed::journey(r#"{"tags":{"run":"1"}}"#).and_flags(&[("tags", "run=5")]);
    assert_eq!(same.warnings(), "");
}

#[test]
fn variables_of_all_layers_add_up() {
    let typed = Typed::file("[env]\nA = 1\nTOKEN = \"x\"\n").and_flags(&[("env", "A=2,C=3")]);
    let lowered = typed.lower();
    let env: Vec<_> = lowered.plan.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["A=2", "C=3", "TOKEN=x"]);
    assert_eq!([from(&lowered, "env.A"), from(&lowered, "env.TOKEN")], ["--env", "squall.toml:3"]);
    assert_eq!(lowered.origins.get(None, "env.TOKEN").unwrap().value, "(hidden)");
    assert_eq!(granted(&typed.sources()), lowered.plan.env);
}

#[test]
fn every_form_of_a_variable_is_read() {
    let typed = Typed::default().and_variables(&[
        ("SQUALL_STAGES", "10s:5,1m:20"),
        ("SQUALL_TAGS", "a=1,b=2"),
        ("SQUALL_THRESHOLDS", r#"{"http_req_duration":["p(95)<500",{"threshold":"p(99)<900","abortOnFail":true}]}"#),
        ("SQUALL_SYSTEM_TAGS", "url, status"),
        ("SQUALL_NO_SETUP", "true"),
        ("SQUALL_NO_VU_CONNECTION_REUSE", "1"),
        ("SQUALL_MAX_FAILED_ITERATIONS", "1%"),
        ("SQUALL_ITERATION_TIMEOUT", "10s"),
        ("SQUALL_MEMORY", "1MiB"),
        ("SQUALL_OUT", "json=a,json=b"),
        ("SQUALL_QUIET", ""),
        ("OTHER", "x"),
    ]);
    let lowered = typed.lower();
    let plan = &lowered.plan;
    assert_eq!(plan.max_vus(), 20);
    assert_eq!(plan.tags, [("a", "1"), ("b", "2")].into_iter().collect());
    assert_eq!(plan.thresholds.len(), 2);
    assert!(plan.thresholds[1].abort_on_fail);
    assert_eq!(plan.system_tags.0, ["url", "status"]);
    assert_eq!(plan.setup_timeout, None);
    assert!(plan.http.connections == Connections::PerIteration && !lowered.presentation.quiet);
    assert!((plan.max_failed_iterations - 0.01).abs() < 1e-12);
    assert_eq!(plan.limits.iteration_timeout.unwrap().as_secs(), 10);
    assert_eq!(plan.limits.memory, 1 << 20);
    assert_eq!(lowered.presentation.out, ["json=a", "json=b"]);
}

#[test]
fn one_scenario_can_be_chosen() {
    let file =
        "[scenarios.a]\nexecutor = \"per-vu-iterations\"\n[scenarios.b]\nexecutor = \"per-vu-iterations\"\nvus = 2\n";
    let names = |typed: &Typed| -> Vec<String> {
        typed.lower().plan.scenarios.iter().map(|scenario| scenario.name.to_string()).collect()
    };
    let mut typed = Typed::file(file);
    assert_eq!(names(&typed), ["a", "b"]);
    typed.scenario = Some("b");
    assert_eq!(names(&typed), ["b"]);
    assert!(typed.lower().origins.iter().all(|origin| origin.scenario.as_deref() != Some("a")));
    typed.scenario = Some("c");
    assert_eq!(typed.problems(), "there is no scenario `c`\n  at the command line\n  hint: there are `a` and `b`");
    assert_eq!(names(&Typed::file(file).and_variables(&[("SQUALL_SCENARIO", "a")])), ["a"]);
}

#[test]
fn the_explanation_is_a_table_of_values_and_origins() {
    let file = "seed = 42\n\n[scenarios.browse]\nexecutor = \"constant-arrival-rate\"\nrate = 300\ntime-unit = \"1m\"\n\
                duration = \"20s\"\npre-allocated-vus = 2\nmax-vus = 4\n[thresholds]\nchecks = \"rate>0.9\"\n";
    let text = explain(&Typed::file(file).and_variables(&[("SQUALL_BATCH", "3")]).lower());
    let start = "\
plan
  scenarios                 1                              derived
  max VUs                   4                              derived
  longest                   50s with graceful stops        derived

scenario browse
  executor                  constant-arrival-rate          squall.toml:4
  rate                      300                            squall.toml:5
  timeUnit                  1m0s                           squall.toml:6
  duration                  20s                            squall.toml:7
  preAllocatedVUs           2                              squall.toml:8
  maxVUs                    4                              squall.toml:9
  exec                      default                        default
  startTime                 0s                             default
  gracefulStop              30s                            default
  max VUs                   4                              derived
  ends                      20s                            derived
  peak rate                 5/s                            derived
  arrivals                  100                            derived

options
  thresholds.checks         rate>0.9                       squall.toml:11
  seed                      42                             squall.toml:1
";
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed(&text).starts_with(&squeezed(start)), "{text}");
    assert!(squeezed(&text).contains("batch 3 SQUALL_BATCH"), "{text}");
    let columns: Vec<_> =
        text.lines().filter(|line| line.contains("squall.toml")).map(|line| line.find("squall.toml")).collect();
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
}
