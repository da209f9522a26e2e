//! `grpc.reflection.v1.ServerReflection`, and `v1alpha`, which is the same: what `echo.proto` says.

use std::sync::OnceLock;

use axum::response::Response;
use bytes::Bytes;
use prost::Message as _;
use protox::file::File;

use super::call::{Call, Steps, framed};
use super::status::Status;
use super::wire::{Answer, Answered, Asked, Files, Question, Refusal, Service, Services};

/// The file's name, and what is in it.
const NAME: &str = "squall/practice/v1/echo.proto";
const SOURCE: &str = include_str!("../../../../examples/grpc-echo/echo.proto");

pub(super) fn answer(call: Call) -> Response {
    call.stream(Reflection)
}

struct Reflection;

impl Steps for Reflection {
    async fn step(&mut self, call: &mut Call) -> Result<Bytes, Status> {
        let question = call.next::<Question>().await?.ok_or_else(Status::default)?;
        let answered = question.asked.as_ref().map_or_else(|| unknown("nothing"), answered);
        let valid_host = question.host.clone();
        Ok(framed(&Answer { valid_host, original_request: Some(question), answered: Some(answered) }))
    }
}

fn answered(asked: &Asked) -> Answered {
    match asked {
        Asked::ListServices(_) => {
            let names = [super::REFLECTION, super::REFLECTION_ALPHA, super::ECHO];
            let service = names.map(|name| Service { name: name.to_owned() }).to_vec();
            Answered::ListServices(Services { service })
        }
        Asked::FileByFilename(name) if name == NAME => described(),
        Asked::FileContainingSymbol(symbol) if is_ours(symbol) => described(),
        Asked::FileByFilename(what) | Asked::FileContainingSymbol(what) => unknown(what),
    }
}

/// Whether a symbol is the service, one of its methods, or a message.
fn is_ours(symbol: &str) -> bool {
    symbol == super::ECHO
        || symbol.strip_prefix("squall.practice.v1.").is_some_and(|name| {
            let (name, method) = name.split_once('.').map_or((name, None), |(name, method)| (name, Some(method)));
            match method {
                Some(method) => name == "Echo" && SOURCE.contains(&format!("  rpc {method}(")),
                None => SOURCE.contains(&format!("message {name} {{")),
            }
        })
}

fn described() -> Answered {
    static DESCRIBED: OnceLock<Bytes> = OnceLock::new();
    let file = DESCRIBED.get_or_init(|| {
        let file = File::from_source(NAME, SOURCE).expect("`echo.proto` is right: a test compiles it");
        file.file_descriptor_proto().encode_to_vec().into()
    });
    Answered::FileDescriptor(Files { file_descriptor_proto: vec![file.clone()] })
}

fn unknown(what: &str) -> Answered {
    Answered::Error(Refusal { error_code: 5, error_message: format!("`{what}` is not known") })
}
