//! Answers that are read on the host.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{Finished, Squall, exit, journey, practice};

/// Fetches a URL once and reads from the answer.
#[track_caller]
fn read(url: &str, readings: &Value) -> (Finished, Vec<Value>) {
    let run = Squall::fetch(&json!([{ "url": url, "extract": readings }])).finish().expect(exit::PASSED);
    let extracted =
        run.answers()[0]["extracted"].as_array().unwrap_or_else(|| panic!("nothing was read\n{run}")).clone();
    (run, extracted)
}

#[test]
fn json_is_read_by_path_and_pointer() {
    let target = practice();
    let readings = json!([
        { "json_path": "$.items[?@.price > 100].owner.name" },
        { "json_path": "$.items[*].id", "nth": -1 },
        { "json_path": "$.items[*].id", "nth": 3 },
        { "json_path": "$.items[*].id", "nth": 9 },
        { "json_path": "$.items[0].tags" },
        { "json_path": "$.items[?match(@.owner.email, 'user[23]@.*')].id", "nth": -1 },
        { "values": "$.items[:2]['id', 'available']" },
        { "pointer": "/items/4/owner/address" },
    ]);
    let (run, read) = read(&(target.url() + "/json/large?items=5"), &readings);
    assert_eq!(target.stats().requests, 1);
    let expected = json!([
        null,
        ["1", "2", "3", "4", "5"],
        "3",
        null,
        r#"["new","t1"]"#,
        ["2", "3"],
        [1, true, 2, true],
        r#"{"city":"Delft"}"#
    ]);
    assert_eq!(Value::from(read), expected, "{run}");
}

#[test]
fn a_page_is_read_by_selector_expression_and_boundary() {
    let target = practice();
    let readings = json!([
        { "css": "title" },
        { "css": "#items a", "attribute": "href", "nth": -1 },
        { "css": "#items a", "attribute": "href", "nth": 2 },
        { "css": "table", "nth": -1 },
        { "regex": r#"href="(/html\?item=(\d))""#, "group": "1", "nth": 5 },
        { "regex": r"Item (?<number>\d)", "group": "number", "nth": -1 },
        { "regex": "Item .", "nth": 1 },
        { "captures": r"data-(id)=.(1|2|(3))" },
        { "left": "<h1>", "right": "</h1>" },
        { "left": "Item ", "right": "<", "nth": -1 },
        { "contains": "Order &amp; pay" },
        { "contains": "Order & pay" },
        { "header": "Content-Type" },
        { "header": "x-none" },
    ]);
    let (run, read) = read(&(target.url() + "/html"), &readings);
    let links: Vec<String> = (1..=5).map(|item| format!("/html?item={item}")).collect();
    let expected = json!([
        "Order & pay",
        links,
        links[1],
        [],
        links[4],
        ["1", "2", "3", "4", "5"],
        "Item 1",
        [["data-id=\"1", "id", "1", null], ["data-id=\"2", "id", "2", null], ["data-id=\"3", "id", "3", "3"]],
        "Order",
        ["1", "2", "3", "4", "5"],
        true,
        false,
        ["text/html; charset=utf-8"],
        [],
    ]);
    assert_eq!(Value::from(read), expected, "{run}");
}

#[test]
fn a_body_is_hashed_measured_and_cut_where_it_is() {
    let target = practice();
    let readings = json!([{ "hash": "md5" }, { "hash": "sha1" }, { "hash": "sha256" }, { "range": [1, 8] }, { "range": [10, 99] },
        { "range": [99, 100] }, {}]);
    let (run, read) = read(&(target.url() + "/health"), &readings);
    // The body is `{"status":"ok"}`.
    let expected = json!([
        "0f0479874bf6f4a7281099b15df27c27",
        "55a490e280d48996e564d00492437eb17faadd28",
        "a29ee2b15c494311c52521766e44af56a3ad2248e7a8ab465e5206463c13d288",
        "\"status",
        "\"ok\"}",
        "",
        15
    ]);
    assert_eq!(Value::from(read), expected, "{run}");
}

#[test]
fn a_random_one_is_the_same_for_the_same_seed() {
    let target = practice();
    let steps =
        json!([{ "url": target.url() + "/json/large?items=50", "extract": [{ "json_path": "$..id", "nth": 0 }] }]);
    let chosen = |seed: &str| {
        let run = Squall::fetch(&steps).flags("--iterations 4 --seed").arg(seed).finish().expect(exit::PASSED);
        run.answers().iter().map(|answer| answer["extracted"][0].clone()).collect::<Vec<Value>>()
    };
    let first = chosen("1");
    assert_eq!(first.len(), 4);
    assert!(first.iter().any(|id| *id != first[0]), "{first:?}");
    assert_eq!(first, chosen("1"));
    assert_ne!(first, chosen("2"));
}

#[test]
fn what_cannot_be_read_says_why_and_the_journey_goes_on() {
    let target = practice();
    let readings = json!([
        { "json_path": "$.a" },
        { "json_path": "a" },
        { "regex": "a(" },
        { "regex": "a", "group": "b" },
        { "css": "a[" },
        { "pointer": "/a" },
        { "contains": "doctype" },
    ]);
    let (run, read) = read(&(target.url() + "/html"), &readings);
    let parts = ["not JSON", "`a`", "`a(`: unclosed group", "no group `b`", "`a[`", "not JSON"];
    for (reading, part) in read.iter().zip(parts) {
        assert!(reading["error"].as_str().is_some_and(|error| error.contains(part)), "{part}: {reading}\n{run}");
    }
    assert_eq!(read[6], true, "{run}");
}

#[test]
fn what_would_be_too_much_names_the_limit() {
    let target = practice();
    let mut results = String::new();
    let readings = json!([
        { "json_path": "$..owner", "nth": -1 },
        { "json_path": "$[?$..id]" },
        { "json_path": "$.items[?count($..id) > 1]" },
        { "regex": r"\d", "nth": -1 },
        { "regex": r"(?-u)a[ab]{2000}c" },
        { "left": "{", "right": ":", "nth": -1 },
        { "json_path": "$.total" },
    ]);
    let (run, read) = read(&(target.url() + "/json/large?items=11000"), &readings);
    for reading in &read {
        let _ = writeln!(results, "{}", reading["error"].as_str().unwrap_or("-"));
    }
    let lines: Vec<&str> = results.lines().collect();
    for (line, part) in [
        (0, "10000 results"),
        (2, "steps"),
        (3, "10000 results"),
        (4, "the limit for an expression"),
        (5, "10000 results"),
    ] {
        assert!(lines[line].contains(part), "{part} in {}\n{run}", lines[line]);
    }
    assert_eq!(read[6], "11000", "{run}");
}

#[test]
fn an_answer_of_before_is_stale_and_another_answers_tree_is_never_read() {
    let target = practice();
    let step = |items: u32| json!({ "url": format!("{}/json/large?items={items}", target.url()), "extract": [{ "json_path": "$.total" }] });
    let run = Squall::fetch(&json!([step(3), step(4)])).flags("--vus 3 --iterations 30").finish().expect(exit::PASSED);
    let answers = run.answers();
    assert_eq!((answers.len(), target.stats().requests), (60, 60));
    for answer in answers {
        let total = if answer["step"] == 0 { "3" } else { "4" };
        assert_eq!(answer["extracted"][0], total, "{run}");
    }
}

#[test]
fn a_token_goes_from_a_page_into_the_form_it_belongs_to() {
    let target = practice();
    let run = Squall::run(journey("correlation")).at(&target, "").flags("--vus 2 --iterations 10").finish();
    let run = run.expect(exit::PASSED);
    let orders: Vec<_> = target.recorded().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!((orders.len(), target.stats().by_status[&201]), (10, 10), "{run}");
    for check in ["page has a token", "order was taken", "order is for the item"] {
        assert_eq!(run.summary().check(check), (10, 0), "{check}\n{run}");
    }
}

#[test]
fn the_journeys_of_the_benchmark_read_what_they_say() {
    let target = practice();
    for (name, check) in
        [("json-host", "has the field"), ("json-guest", "has the field"), ("body-read", "has the whole body")]
    {
        let run =
            Squall::run(journey(name)).at(&target, "/json/large").flags("--iterations 3").finish().expect(exit::PASSED);
        assert_eq!(run.summary().check(check), (3, 0), "{name}\n{run}");
    }
    assert_eq!(target.stats().requests, 9);
}
