use super::*;
use crate::verdict::tests::hand_made;
use crate::verdict::{Reason, TrendStat};

/// k6's layout, with p(99) and the generator's line.
const GOLDEN: &str = "  █ THRESHOLDS \n
    http_req_duration
    ✓ 'p(95)<3000' p(95)=2.8s
    ✗ 'p(99)<100' p(99)=4.2s

    http_req_failed
    ✓ 'rate<0.01' rate=0.50%


  █ TOTAL RESULTS \n
    checks_total.......: 1000   16.666667/s
    checks_succeeded...: 99.50% 995 out of 1000
    checks_failed......: 0.50%  5 out of 1000

    ✓ status is 200
    ✗ response time < 500ms
      ↳  99% — ✓ 495 / ✗ 5

    CUSTOM
    errors.........................: 0.50%  5 out of 1000

    HTTP
    http_req_duration..............: avg=324.83ms min=1.2ms med=10ms max=4.5s p(90)=250.04ms p(95)=2.8s p(99)=4.2s
      { expected_response:true }...: avg=324.83ms min=1.2ms med=10ms max=4.5s p(90)=250.04ms p(95)=2.8s p(99)=4.2s
    http_req_failed................: 0.50%  5 out of 1000
    http_reqs......................: 1000   16.666667/s

    EXECUTION
    dropped_iterations.............: 3      0.05/s
    iteration_duration.............: avg=324.83ms min=1.2ms med=10ms max=4.5s p(90)=250.04ms p(95)=2.8s p(99)=4.2s
    iterations.....................: 500    8.333333/s
    vus............................: 10     min=0         max=10
    vus_max........................: 10     min=10        max=10

    NETWORK
    data_received..................: 1.2 MB 21 kB/s
    data_sent......................: 99 kB  1.6 kB/s

    generator: valid
";

#[test]
fn the_summary_has_the_layout_of_k6() {
    let text = Summary::render(&hand_made(), &SummaryOptions::default());
    assert_eq!(text, GOLDEN);
}

#[test]
fn an_invalid_generator_says_why_and_what_to_try() {
    let mut report = hand_made();
    let reason = Reason { value: "5 of 10 were dropped".into(), limit: "1 %".into(), hint: "raise `max-vus`".into() };
    report.generator = GeneratorVerdict::Invalid { reasons: vec![reason] };
    let text = Summary::render(&report, &SummaryOptions::default());
    let expected = "    generator: INVALID\n      ✗ 5 of 10 were dropped (limit 1 %)\n        hint: raise `max-vus`\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_threshold_without_data_says_so() {
    let mut report = hand_made();
    report.thresholds[0].value = None;
    report.thresholds[0].passed = false;
    let text = Summary::render(&report, &SummaryOptions::default());
    assert!(text.contains("    ✗ 'p(95)<3000' no data\n"), "{text}");
}

#[test]
fn checks_are_nested_in_their_groups() {
    let mut report = hand_made();
    report.root_group.at("::login::form").count("token", 1, 1);
    report.root_group.at("::empty");
    let text = Summary::render(&report, &SummaryOptions::default());
    let expected = "    █ login\n\n      █ form\n\n        ✗ token\n          ↳  50% — ✓ 1 / ✗ 1\n\n";
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("█ empty"));
}

#[test]
fn statistics_and_unit_are_the_users_choice() {
    let trend_stats = ["count", "p(99.9)"].map(|stat| TrendStat::parse(stat).unwrap()).into();
    let options =
        SummaryOptions { trend_stats, time_unit: crate::verdict::TimeUnit::Seconds, ..SummaryOptions::default() };
    let text = Summary::render(&hand_made(), &options);
    assert!(text.contains("http_req_duration..............: count=100 p(99.9)=4.47s\n"), "{text}");
}

#[test]
fn colour_comes_only_when_asked_for_and_moves_nothing() {
    let plain = Summary::render(&hand_made(), &SummaryOptions::default());
    assert!(!plain.contains('\x1b'));
    let coloured = Summary::render(&hand_made(), &SummaryOptions { color: true, ..SummaryOptions::default() });
    let mut stripped = String::new();
    for part in coloured.split('\x1b') {
        stripped += part.strip_prefix('[').map_or(part, |code| &code[code.find('m').unwrap() + 1..]);
    }
    assert_eq!(stripped, plain);
}
