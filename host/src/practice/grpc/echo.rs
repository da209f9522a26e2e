//! `squall.practice.v1.Echo`.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::super::MAX_BODY;
use super::call::{Call, Steps, framed};
use super::status::Status;
use super::wire::{ChatMessage, CountReply, CountRequest, Ending, SayReply, SayRequest, SumReply, SumRequest};

/// Answers a call of one of its methods.
pub(super) async fn answer(method: &str, mut call: Call) -> Response {
    match method {
        "Say" => {
            let reply = say(&mut call).await;
            call.reply(reply)
        }
        "Sum" => {
            let reply = sum(&mut call).await;
            call.reply(reply)
        }
        "Count" => match call.only().await {
            Ok(request) => call.stream(Count { request, number: 0 }),
            Err(status) => call.reply(Err(status)),
        },
        "Chat" => call.stream(Chat),
        other => Status::new(12, format!("there is no method `{other}` in `{}`", super::ECHO)).alone(),
    }
}

async fn say(call: &mut Call) -> Result<Bytes, Status> {
    let SayRequest { text, data, delay_ms, ending } = call.only().await?;
    call.wait(delay_ms).await?;
    ended(ending.filter(|ending| ending.code != 0))?;
    let metadata = call.metadata.iter().map(|(name, value)| {
        let value = match value.to_str() {
            Ok(text) => text.to_owned(),
            Err(_) => STANDARD.encode(value.as_bytes()),
        };
        (name.as_str().to_owned(), value)
    });
    Ok(framed(&SayReply { text, data, metadata: metadata.collect() }))
}

async fn sum(call: &mut Call) -> Result<Bytes, Status> {
    let (mut sum, mut count) = (0_i64, 0);
    loop {
        // A client may take its time, but not more than its own deadline.
        let Some(SumRequest { value }) = call.next_in_time().await? else {
            return Ok(framed(&SumReply { sum, count }));
        };
        sum = sum.wrapping_add(value);
        count += 1;
    }
}

/// The numbers up to one.
struct Count {
    request: CountRequest,
    number: u32,
}

impl Steps for Count {
    async fn step(&mut self, call: &mut Call) -> Result<Bytes, Status> {
        if self.number >= self.request.to {
            return Err(self.request.ending.take().unwrap_or_default().into());
        }
        call.wait(self.request.interval_ms).await?;
        self.number += 1;
        let padding = Bytes::from(vec![b'.'; (self.request.padding as usize).min(MAX_BODY)]);
        Ok(framed(&CountReply { number: self.number, padding }))
    }
}

/// Each message as it comes.
struct Chat;

impl Steps for Chat {
    async fn step(&mut self, call: &mut Call) -> Result<Bytes, Status> {
        let message = call.next::<ChatMessage>().await?.ok_or_else(Status::default)?;
        call.wait(message.delay_ms).await?;
        ended(message.ending)?;
        Ok(framed(&ChatMessage { text: message.text, delay_ms: 0, ending: None }))
    }
}

fn ended(ending: Option<Ending>) -> Result<(), Status> {
    ending.map_or(Ok(()), |ending| Err(ending.into()))
}
