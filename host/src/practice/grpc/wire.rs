//! The messages, as `echo.proto` and `grpc/reflection/v1/reflection.proto` have them.

use std::collections::HashMap;

use bytes::Bytes;
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Ending {
    #[prost(uint32, tag = "1")]
    pub(super) code: u32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) details: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SayRequest {
    #[prost(string, tag = "1")]
    pub(super) text: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) data: Bytes,
    #[prost(uint32, tag = "3")]
    pub(super) delay_ms: u32,
    #[prost(message, optional, tag = "4")]
    pub(super) ending: Option<Ending>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SayReply {
    #[prost(string, tag = "1")]
    pub(super) text: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) data: Bytes,
    #[prost(map = "string, string", tag = "3")]
    pub(super) metadata: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CountRequest {
    #[prost(uint32, tag = "1")]
    pub(super) to: u32,
    #[prost(uint32, tag = "2")]
    pub(super) interval_ms: u32,
    #[prost(uint32, tag = "3")]
    pub(super) padding: u32,
    #[prost(message, optional, tag = "4")]
    pub(super) ending: Option<Ending>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CountReply {
    #[prost(uint32, tag = "1")]
    pub(super) number: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) padding: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SumRequest {
    #[prost(int64, tag = "1")]
    pub(super) value: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SumReply {
    #[prost(int64, tag = "1")]
    pub(super) sum: i64,
    #[prost(uint32, tag = "2")]
    pub(super) count: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ChatMessage {
    #[prost(string, tag = "1")]
    pub(super) text: String,
    #[prost(uint32, tag = "2")]
    pub(super) delay_ms: u32,
    #[prost(message, optional, tag = "3")]
    pub(super) ending: Option<Ending>,
}

/// `ServerReflectionRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Question {
    #[prost(string, tag = "1")]
    pub(super) host: String,
    #[prost(oneof = "Asked", tags = "3, 4, 7")]
    pub(super) asked: Option<Asked>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Asked {
    #[prost(string, tag = "3")]
    FileByFilename(String),
    #[prost(string, tag = "4")]
    FileContainingSymbol(String),
    #[prost(string, tag = "7")]
    ListServices(String),
}

/// `ServerReflectionResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Answer {
    #[prost(string, tag = "1")]
    pub(super) valid_host: String,
    #[prost(message, optional, tag = "2")]
    pub(super) original_request: Option<Question>,
    #[prost(oneof = "Answered", tags = "4, 6, 7")]
    pub(super) answered: Option<Answered>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Answered {
    #[prost(message, tag = "4")]
    FileDescriptor(Files),
    #[prost(message, tag = "6")]
    ListServices(Services),
    #[prost(message, tag = "7")]
    Error(Refusal),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Files {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) file_descriptor_proto: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Services {
    #[prost(message, repeated, tag = "1")]
    pub(super) service: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Service {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Refusal {
    #[prost(int32, tag = "1")]
    pub(super) error_code: i32,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}
