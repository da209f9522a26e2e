//! Where the tokens of a language model are in the data of an event.
//!
//! A token here is an event that carries text of the answer. Providers put one token into an event, or a few; what the
//! answer really had the provider may say at the end, and then that counts.

use std::borrow::Cow;

use serde::Deserialize;

use crate::capability::extract::find_pointer;
use crate::wit::events::{TokenPointers, Tokens};

/// What one event says about the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The text of a token.
    pub(super) text: Option<String>,
    /// How many tokens the answer had in all.
    pub(super) count: Option<u32>,
    /// Whether the answer is complete, so that nothing is missing if the stream ends.
    pub(super) is_last: bool,
}

/// Looks into an event. What is no JSON says nothing.
pub(super) fn find(tokens: &Tokens, kind: &str, data: &str) -> Found {
    match tokens {
        Tokens::None => Found::default(),
        Tokens::Openai => openai(data),
        Tokens::Anthropic => anthropic(kind, data),
        Tokens::Pointers(pointers) => pointed(pointers, data),
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    /// Completions that are no chat.
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

/// What goes on in an answer: its text, what the model thinks before, and what it gives to tools.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: Option<u32>,
    output_tokens: Option<u32>,
}

fn openai(data: &str) -> Found {
    if data.trim_ascii() == "[DONE]" {
        return Found { is_last: true, ..Found::default() };
    }
    let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(data) else { return Found::default() };
    let texts = chunk.choices.into_iter().flat_map(|choice| {
        let delta = choice.delta.map(|delta| {
            let tools = delta.tool_calls.into_iter().flatten().filter_map(|call| call.function?.arguments);
            [delta.content, delta.reasoning_content, delta.reasoning, delta.refusal].into_iter().flatten().chain(tools)
        });
        choice.text.into_iter().chain(delta.into_iter().flatten())
    });
    Found {
        text: texts.filter(|text| !text.is_empty()).map(Cow::into_owned).next(),
        count: chunk.usage.and_then(|usage| usage.completion_tokens),
        is_last: false,
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    delta: Option<Block<'a>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow)]
    partial_json: Option<Cow<'a, str>>,
}

fn anthropic(kind: &str, data: &str) -> Found {
    let Ok(message) = serde_json::from_str::<Message<'_>>(data) else { return Found::default() };
    match message.kind.as_deref().unwrap_or(kind) {
        "content_block_delta" => {
            let texts = message.delta.map(|delta| [delta.text, delta.thinking, delta.partial_json]);
            let mut texts = texts.into_iter().flatten().flatten().filter(|text| !text.is_empty());
            Found { text: texts.next().map(Cow::into_owned), ..Found::default() }
        }
        "message_delta" => Found { count: message.usage.and_then(|usage| usage.output_tokens), ..Found::default() },
        "message_stop" => Found { is_last: true, ..Found::default() },
        _ => Found::default(),
    }
}

fn pointed(pointers: &TokenPointers, data: &str) -> Found {
    let at = |pointer: &str| find_pointer(data.as_bytes(), pointer).ok().flatten();
    let text = at(&pointers.text).and_then(|text| serde_json::from_str::<String>(text).ok());
    Found {
        text: text.filter(|text| !text.is_empty()),
        count: pointers.count.as_deref().and_then(at).and_then(|count| count.parse().ok()),
        is_last: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tokens: &Tokens, data: &str) -> Option<String> {
        find(tokens, "message", data).text
    }

    #[test]
    fn a_chunk_of_openai_is_a_token_if_it_has_text() {
        for (data, expected) in [
            (r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#, None),
            (r#"{"choices":[{"index":0,"delta":{"content":"Hel\"lo"}}],"usage":null}"#, Some("Hel\"lo")),
            (r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}"#, Some("hm")),
            (r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a"}}]}}]}"#, Some("{\"a")),
            (r#"{"choices":[{"text":"old","finish_reason":null}]}"#, Some("old")),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, None),
            (r#"{"choices":[{"delta":{}},{"delta":{"content":"second"}}]}"#, Some("second")),
            (r#"{"error":{"message":"overloaded"}}"#, None),
            ("not JSON", None),
            (r#"{"choices":7}"#, None),
        ] {
            assert_eq!(text(&Tokens::Openai, data).as_deref(), expected, "{data}");
        }
    }

    #[test]
    fn openai_says_at_last_how_many_there_were_and_that_it_is_done() {
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"#;
        assert_eq!(find(&Tokens::Openai, "message", usage).count, Some(12));
        assert!(find(&Tokens::Openai, "message", "[DONE]").is_last);
    }

    #[test]
    fn a_content_block_delta_of_anthropic_is_a_token() {
        let find = |kind: &str, data: &str| find(&Tokens::Anthropic, kind, data);
        let delta = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#;
        assert_eq!(find("content_block_delta", delta).text.as_deref(), Some("Hi"));
        let thinking = r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"hm"}}"#;
        assert_eq!(find("", thinking).text.as_deref(), Some("hm"));
        let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}"#;
        assert_eq!(find("message_start", start), Found::default());
        let end = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#;
        assert_eq!(find("message_delta", end), Found { count: Some(15), ..Found::default() });
        assert!(find("message_stop", r#"{"type":"message_stop"}"#).is_last);
        assert_eq!(find("ping", r#"{"type":"ping"}"#), Found::default());
    }

    #[test]
    fn pointers_find_tokens_in_any_other_form() {
        let pointers = TokenPointers { text: "/message/content".to_owned(), count: Some("/eval_count".to_owned()) };
        let tokens = Tokens::Pointers(pointers);
        assert_eq!(text(&tokens, r#"{"message":{"content":"Hi"},"done":false}"#).as_deref(), Some("Hi"));
        for data in [r#"{"message":{"content":""}}"#, r#"{"message":{"content":7}}"#, "{}", "["] {
            assert_eq!(text(&tokens, data), None, "{data}");
        }
        let end = r#"{"message":{"content":""},"done":true,"eval_count":298}"#;
        assert_eq!(find(&tokens, "", end), Found { count: Some(298), ..Found::default() });
    }
}
