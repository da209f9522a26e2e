use std::time::Duration;

use super::{Typed, from};
use crate::config::layer::KEYS;
use crate::plan::{ComponentLimits, Limits};

#[test]
fn the_defaults_depend_on_whether_the_journey_is_trusted() {
    assert_eq!(Typed::journey("").lower().plan.limits, Limits::default());
    let lowered = Typed::file("untrusted = true").lower();
    assert_eq!(lowered.plan.limits, Limits::untrusted());
    let shown = |key: &str| lowered.origins.get(None, key).unwrap().value.clone();
    assert_eq!(
        [shown("limits.runMemory"), shown("limits.runCpu"), shown("limits.maxTraps")],
        ["4GiB", "4h0m0s", "1000"]
    );
}

#[test]
fn every_limit_can_be_set_and_says_where_it_came_from() {
    let file = "[limits]\nmemory = \"1MiB\"\nrun-memory = \"2MiB\"\ntable-elements = 3\nrun-table-elements = 4\n\
                stack = \"128KiB\"\ninterrupt = false\ncpu-timeout = \"1s\"\niteration-cpu = \"2s\"\nrun-cpu = \"3s\"\n\
                iteration-timeout = \"4s\"\nhost-call-bytes = \"1MiB\"\nhandles = 20\nrequests-in-flight = 5\n\
                max-connections = 6\nrun-connections = 7\nrequest-bytes = \"1MB\"\nresponse-bytes = \"2MB\"\nlog-bytes = 0\n\
                series = 8\ntag-values = 9\nname-bytes = 32\nnames = 10\nmetrics = 0\nmax-traps = 11\n\
                component-bytes = \"1MB\"\nfunctions = 12\nfunction-bytes = \"1KiB\"\n";
    let lowered = Typed::file(file).lower();
    let seconds = Duration::from_secs;
    let expected = Limits {
        memory: 1 << 20,
        run_memory: Some(2 << 20),
        table_elements: 3,
        run_table_elements: Some(4),
        stack: 128 << 10,
        interrupt: false,
        cpu_timeout: seconds(1),
        iteration_cpu: Some(seconds(2)),
        run_cpu: Some(seconds(3)),
        iteration_timeout: Some(seconds(4)),
        host_call_bytes: 1 << 20,
        handles: 20,
        requests_in_flight: 5,
        connections: 6,
        run_connections: Some(7),
        request_bytes: 1_000_000,
        response_bytes: 2_000_000,
        log_bytes: 0,
        series: 8,
        tag_values: 9,
        name_bytes: 32,
        names: 10,
        metrics: 0,
        max_traps: Some(11),
        component: ComponentLimits { bytes: 1_000_000, functions: 12, function_bytes: 1024, ..Default::default() },
    };
    assert_eq!(lowered.plan.limits, expected);
    for key in KEYS.iter().filter(|key| key.starts_with("limits.")) {
        assert!(from(&lowered, key).starts_with("squall.toml:"), "{key}");
    }
}

#[test]
fn none_takes_a_limit_back_and_so_does_0_where_nothing_can_take_none() {
    let file = "untrusted = true\n[limits]\nrun-memory = \"none\"\nrun-table-elements = \"none\"\niteration-cpu = 0\nrun-cpu = \"none\"\n\
                iteration-timeout = \"none\"\nrun-connections = \"none\"\nmax-traps = 0\n";
    let lowered = Typed::file(file).lower();
    let expected = Limits {
        run_memory: None,
        run_table_elements: None,
        iteration_cpu: None,
        run_cpu: None,
        iteration_timeout: None,
        run_connections: None,
        max_traps: None,
        ..Limits::untrusted()
    };
    assert_eq!(lowered.plan.limits, expected);
    let origin = lowered.origins.get(None, "limits.iterationCpu").unwrap();
    assert_eq!((origin.value.as_str(), origin.from.as_str()), ("none", "squall.toml:5"));
    let lowered = Typed::file("[limits]\nmaxTraps = 5").and_variables(&[("SQUALL_MAX_TRAPS", "none")]).lower();
    assert_eq!(lowered.plan.limits.max_traps, None);
}

#[test]
fn limits_that_nothing_could_live_with_are_refused() {
    let file = "[limits]\nrun-memory = 1\ntable-elements = 0\nrun-connections = 0\nstack = \"1KiB\"\nhost-call-bytes = \"1KiB\"\n\
                handles = 1\nresponse-bytes = 0\nname-bytes = 3\nmax-traps = \"some\"\nmemory = \"none\"\n";
    assert_eq!(
        Typed::file(file).problems(),
        "`limits.memory` must be a number of bytes like `64MiB`, but is the text `none`\n  at squall.toml:11\n\
         `limits.max-traps` must be a whole number, 0 or more, but is the text `some`\n  at squall.toml:10\n\
         `limits.run-memory` is 1B, but must be at least 64KiB\n  at squall.toml:2\n  hint: write `none` for no limit\n\
         `limits.table-elements` is 0, but must be at least 1\n  at squall.toml:3\n\
         `limits.stack` is 1KiB, but must be at least 64KiB\n  at squall.toml:5\n\
         `limits.host-call-bytes` is 1KiB, but must be at least 64KiB\n  at squall.toml:6\n\
         `limits.handles` is 1, but must be at least 16\n  at squall.toml:7\n\
         `limits.run-connections` is 0, but must be at least 1\n  at squall.toml:4\n  hint: write `none` for no limit\n\
         `limits.response-bytes` is 0B, but must be at least 1KiB\n  at squall.toml:8\n\
         `limits.name-bytes` is 3, but must be at least 16\n  at squall.toml:9"
    );
    let large = Typed::flags(&[("limits.stack", "1GiB")]).problems();
    assert_eq!(large, "`--limits.stack` is 1GiB, but must be at most 256MiB\n  at the command line");
}

#[test]
fn no_limit_is_for_the_journey_to_set() {
    for key in KEYS.iter().filter_map(|key| key.strip_prefix("limits.")) {
        let json = format!(r#"{{"limits":{{"{key}":0}}}}"#);
        let problems = Typed::journey(json.leak()).problems();
        assert!(problems.contains(&format!("`limits.{key}` is not for the journey to set")), "{problems}");
    }
}
