//! Guests that call the host very often, or with very much, and names and values that no report should show as they are.

use super::row::Row;

pub fn rows() -> Vec<Row> {
    vec![
        Row::attack("1e7 calls of a clock", "host-calls")
            .says_one_of(&["result host-calls: 10000000 calls", "timed out"]),
        Row::attack("1e7 values of a metric", "metric-calls")
            .says_one_of(&["result metric-calls: 10000000 calls", "timed out"]),
        Row::attack("500 GB in one list", "huge-list").says("trapped"),
        Row::attack("40 MB in one text", "huge-string").says("trapped"),
        Row::attack("100,000 requests in one batch", "request-list").says("trapped"),
        Row::attack("log line of 10 MB", "log-line").limits("hostCallBytes = \"16MiB\"\n").says("xxx…"),
        Row::attack("40 MB of random bytes", "random-flood")
            .says_one_of(&["result random-flood: 41943040 bytes", "timed out"]),
        Row::attack("100,000 cookie jars", "jars").says("result jars: allowed"),
        Row::attack("groups 2,000 deep", "groups").says("result groups"),
    ]
}

pub fn names() -> Vec<Row> {
    vec![
        Row::attack("1e6 values of a tag", "label-values").env("COUNT", "1000000").says_one_of(&[
            "result label-values",
            "timed out",
            "trapped",
        ]),
        Row::attack("100,000 names of tags", "label-names").env("COUNT", "100000").says_one_of(&[
            "result label-names",
            "timed out",
            "trapped",
        ]),
        Row::attack("1e6 names of checks", "check-names").env("COUNT", "1000000").says_one_of(&[
            "result check-names",
            "timed out",
            "trapped",
        ]),
        Row::attack("1e6 declared checks", "check-declares").env("COUNT", "1000000").says_one_of(&[
            "result check-declares",
            "timed out",
            "trapped",
        ]),
        Row::attack("1e6 names of groups", "group-names").env("COUNT", "1000000").says_one_of(&[
            "result group-names",
            "timed out",
            "trapped",
        ]),
        Row::attack("2,000 names of requests", "request-names")
            .says_one_of(&["result request-names: 2000 answers", "timed out"]),
        Row::attack("5,000 tags on a request", "request-tags").says("result request-tags"),
        Row::attack("NaN, infinity, -0.0, 1e308", "values").says("result values: 7 values"),
        Row::attack("ANSI, HTML, NUL and 10 kB in names", "odd-names")
            .says("result odd-names: allowed: 200")
            .never("\u{1b}")
            .never("\u{9b}")
            .never("\u{202e}")
            .never("\0"),
        Row::attack("text that is not UTF-8", "not-utf8").says("trapped"),
    ]
}

pub fn alone() -> Vec<Row> {
    vec![
        Row::attack("1e6 lines of log", "log-flood").says("it logs more than it may").within(20),
        Row::attack("summary texts outside the folder", "nothing")
            .flag("--env")
            .flag("SUMMARY_ATTACK=outside")
            .says("4 files of the journey's summary were not written"),
        Row::attack("100,000 summary texts", "nothing").flag("--env").flag("SUMMARY_ATTACK=flood").says_one_of(&[
            "100000 files of the journey's summary were not written",
            "`handle-summary` trapped: too much data",
        ]),
        Row::attack("ANSI in the summary", "nothing")
            .flag("--env")
            .flag("SUMMARY_ATTACK=terminal")
            .says("hello")
            .never("\u{1b}"),
    ]
}
