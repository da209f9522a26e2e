//! Asks a language model and measures its tokens: the time to the first, the time between two, tokens per second.
//!
//! `BASE_URL` says where (`squall target` answers like `OpenAI`), `MODEL` which model, and `API_KEY` names the secret that is
//! its key, if it needs one (`[secrets.NAME]` in squall.toml says where it may go).

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;
use squall_sdk::events::{Request, Tokens};
use squall_sdk::options::{Options, Threshold};
use squall_sdk::{Error, check, env, env_or, journey, secret};

static URL: LazyLock<String> =
    LazyLock::new(|| format!("{}/v1/chat/completions", env_or("BASE_URL", "http://127.0.0.1:8080")));
static MODEL: LazyLock<String> = LazyLock::new(|| env_or("MODEL", "practice"));

fn options() -> Options {
    Options::new()
        .vus(5)
        .duration(Duration::from_secs(10))
        .threshold("llm_time_to_first_token", "p(95)<2000")
        .threshold("llm_tokens_per_second", "avg>5")
        .threshold("http_req_failed", Threshold::new("rate<0.01"))
}

fn ask() -> Result<(), Error> {
    let question = json!({
        "model": *MODEL,
        "messages": [{ "role": "user", "content": "Tell me about the storm in one sentence." }],
        "stream": true,
        // Then the server says at last how many tokens there were; without it, each chunk counts as one.
        "stream_options": { "include_usage": true },
    });
    // A practice server takes its time from the query; others ignore it.
    let url = format!("{}?first=80&every=10", *URL);
    let mut request = Request::post(url).json(&question).tokens(Tokens::OpenAi).name("/v1/chat/completions");
    if let Some(name) = env("API_KEY") {
        request = request.bearer(&secret(&name)?);
    }
    let mut chat = request.open()?;
    if !check!("the model answers", chat.is_stream()) {
        let body = String::from_utf8_lossy(chat.body()).into_owned();
        return Err(Error::new(format!("the answer is {}: {body}", chat.status())));
    }
    let mut answer = String::new();
    while let Some(event) = chat.next_event()? {
        answer.push_str(event.token.as_deref().unwrap_or_default());
    }
    let summary = chat.summary()?;
    check!("it says something", !answer.is_empty());
    check!("tokens were counted", summary.tokens > 0);
    check!("the first token was measured", summary.time_to_first_token.is_some());
    Ok(())
}

journey! {
    options: options,
    scenarios: { default: ask },
}
