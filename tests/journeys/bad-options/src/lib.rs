//! Exports options in which a number is a text.

fn options() -> &'static str {
    r#"{"vus":"many","duration":"1s"}"#
}

fn nothing() {}

squall_sdk::journey! {
    options: options,
    scenarios: { default: nothing },
}
