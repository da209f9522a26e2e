//! The tokens of language models, against the server's own clock.

use serde_json::{Value, json};

use super::{CLOCKS, PAUSE, follow, numbers, open, paused, samples, texts};
use crate::support::{exit, practice};

fn part(value: &Value) -> Vec<u8> {
    format!("data: {value}\n\n").into_bytes()
}

fn tokens(answer: &Value) -> Vec<Option<&str>> {
    answer["events"].as_array().unwrap().iter().map(|event| event["token"].as_str()).collect()
}

#[test]
fn tokens_are_timed_by_the_server_s_clock() {
    let delta = |delta: Value| part(&json!({ "choices": [{ "index": 0, "delta": delta }] }));
    let parts = vec![
        delta(json!({ "role": "assistant", "content": "" })),
        delta(json!({ "content": "Hel" })),
        delta(json!({ "content": "lo" })),
        delta(json!({ "content": "!" })),
        part(&json!({ "choices": [], "usage": { "completion_tokens": 7 } })),
        b"data: [DONE]\n\n".to_vec(),
    ];
    let (server, sent) = paused(parts);
    let folder = tempfile::tempdir().unwrap();
    let points = folder.path().join("points.json");
    // What is complete is not taken up again.
    let steps = json!([{ "url": server.url(), "method": "POST", "body": "{}", "tokens": "openai", "reconnects": 3 }]);
    let run = open(&steps).arg("--out").arg(format!("json={}", points.display())).finish().expect(exit::PASSED);
    let (sent, answer) = (sent.lock().unwrap().clone(), run.answers().remove(0));
    assert_eq!(tokens(&answer), [None, Some("Hel"), Some("lo"), Some("!"), None, None], "{run}");
    assert_eq!((server.seen().len(), &*server.seen()[0].method, &answer["end"]), (1, "POST", &json!("end")), "{run}");

    let arrived = numbers(answer["events"].as_array().unwrap(), "arrived");
    let text = std::fs::read_to_string(&points).unwrap();
    let values = |metric: &str| -> Vec<f64> {
        samples(&text, metric).iter().map(|sample| sample["value"].as_f64().unwrap()).collect()
    };
    let first = values("llm_time_to_first_token");
    assert!(first.len() == 1 && first[0] >= sent[1] - CLOCKS, "{first:?} against {sent:?}\n{run}");
    println!("the first token was on its way for {:.3} ms", first[0] - sent[1]);
    let (between, lags) = (values("llm_inter_token_latency"), [2, 3].map(|at| arrived[at] - arrived[at - 1]));
    assert_eq!(between.len(), 2, "{run}");
    for (between, lag) in between.iter().zip(lags) {
        assert!((between - lag).abs() < 0.01, "{between} is not {lag}\n{run}");
    }
    // The server's clock and ours agree on how long all of it took, but for how late the last was.
    let (ours, theirs) = (between.iter().sum::<f64>(), sent[3] - sent[1]);
    assert!(theirs >= 2.0 * PAUSE.as_secs_f64() * 1e3 && ours >= theirs - (first[0] - sent[1]) - CLOCKS, "{run}");
    assert_eq!(values("llm_tokens"), [7.0], "the server said so\n{run}");
    let rate = values("llm_tokens_per_second");
    assert!((rate[0] - 6.0 / (ours / 1e3)).abs() < 0.1, "{rate:?}\n{run}");
    let summary = &answer["summary"];
    assert_eq!((&summary["tokens"], &summary["events"]), (&json!(7), &json!(6)), "{run}");
    assert!((summary["first_token"].as_f64().unwrap() - first[0]).abs() < 0.01, "{run}");
    let tags = &samples(&text, "llm_tokens")[0]["tags"];
    assert_eq!((&tags["format"], &tags["method"], &tags["status"]), (&json!("openai"), &json!("POST"), &json!("200")));
}

#[test]
fn a_practice_server_streams_a_chat_at_its_pace() {
    let server = practice();
    let body = json!({ "messages": [], "stream": true }).to_string();
    let url = server.url() + "/v1/chat/completions?tokens=5&first=100&every=20";
    let run = follow(&json!([{ "url": url, "method": "POST", "body": body, "tokens": "openai" }]));
    let answer = &run.answers()[0];
    assert_eq!(tokens(answer)[..5], [Some("The"), Some(" storm"), Some(" came"), Some(" at"), Some(" night")], "{run}");
    let summary = run.summary();
    assert!(summary.value("llm_time_to_first_token", "avg") >= 100.0 - CLOCKS, "{run}");
    // Each chunk that carries text is a token where the server does not say how many there were.
    assert_eq!((summary.count("llm_tokens"), summary.count("stream_events")), (5, 7), "{run}");
    let rate = summary.value("llm_tokens_per_second", "avg");
    let between = summary.value("llm_inter_token_latency", "avg");
    assert!((rate * between / 1e3 - 1.0).abs() < 0.01, "{rate} per second, one in {between} ms\n{run}");
    assert!(run.stdout.contains("llm_time_to_first_token"), "{run}");
}

#[test]
fn anthropic_and_any_other_form_are_understood() {
    let delta = |text: &str| {
        let data = json!({ "type": "content_block_delta", "delta": { "type": "text_delta", "text": text } });
        format!("event: content_block_delta\ndata: {data}\n\n").into_bytes()
    };
    let usage = json!({ "type": "message_delta", "delta": {}, "usage": { "output_tokens": 9 } });
    let parts = vec![
        b"event: ping\ndata: {\"type\":\"ping\"}\n\n".to_vec(),
        delta("Hi"),
        delta(" there"),
        format!("event: message_delta\ndata: {usage}\n\n").into_bytes(),
        b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_vec(),
    ];
    let (anthropic, _) = paused(parts);
    let (other, _) = paused(vec![
        br#"{"message":{"content":"a"}}"#.to_vec(),
        b"\n{\"message\":{\"content\":\"b\"}}\n".to_vec(),
        br#"{"message":{"content":""},"done":true,"eval_count":5}"#.to_vec(),
    ]);
    let pointers = json!({ "text": "/message/content", "count": "/eval_count" });
    let run = follow(&json!([
        { "url": anthropic.url(), "tokens": "anthropic", "reconnects": 1 },
        { "url": other.url(), "format": "jsonl", "tokens": pointers, "any_content_type": true },
        { "url": other.url(), "tokens": { "text": "content" } },
    ]));
    let answers = run.answers();
    assert_eq!(tokens(&answers[0]), [None, Some("Hi"), Some(" there"), None, None], "{run}");
    assert_eq!(answers[0]["summary"]["tokens"], 9, "{run}");
    assert_eq!(tokens(&answers[1]), [Some("a"), Some("b"), None], "{run}");
    assert_eq!(answers[1]["summary"]["tokens"], 5, "{run}");
    assert!(answers[2]["message"].as_str().unwrap().contains("`content` is not a JSON Pointer"), "{run}");
    assert_eq!(run.summary().count("llm_tokens"), 14, "{run}");
}

#[test]
fn a_stream_without_tokens_has_no_numbers_of_tokens() {
    let server = practice();
    let run = follow(&json!([{ "url": server.url() + "/sse?count=2", "tokens": "openai" }]));
    assert_eq!(texts(&run.answers()[0], "id").len(), 2, "{run}");
    assert_eq!(run.summary().count("llm_tokens"), 0, "{run}");
    assert!(run.summary().metric("llm_tokens_per_second").is_null(), "{run}");
}
