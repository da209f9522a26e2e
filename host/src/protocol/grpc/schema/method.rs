//! One method, and its messages between JSON and bytes.

use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};

use super::error::shortened;
use super::{SchemaError, any, path};

/// The longest JSON text that an answer may become: 64 MiB.
const MAX_JSON: usize = 64 << 20;

/// A method of a service. Cheap to clone.
#[derive(Clone)]
pub struct Method(Arc<Inner>);

struct Inner {
    path: Arc<str>,
    client_streaming: bool,
    server_streaming: bool,
    input: MessageDescriptor,
    output: MessageDescriptor,
    /// Whether an answer can have messages of a type that only it names.
    open: OnceLock<bool>,
}

impl Method {
    pub(super) fn new(method: &MethodDescriptor) -> Self {
        Self(Arc::new(Inner {
            path: format!("{}/{}", method.parent_service().full_name(), method.name()).into(),
            client_streaming: method.is_client_streaming(),
            server_streaming: method.is_server_streaming(),
            input: method.input(),
            output: method.output(),
            open: OnceLock::new(),
        }))
    }

    /// Its name, as `package.Service/Method`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The same, to be kept.
    pub(super) fn shared_path(&self) -> Arc<str> {
        Arc::clone(&self.0.path)
    }

    /// Whether the client sends a stream of messages.
    #[must_use]
    pub fn client_streaming(&self) -> bool {
        self.0.client_streaming
    }

    /// Whether the server answers with a stream of messages.
    #[must_use]
    pub fn server_streaming(&self) -> bool {
        self.0.server_streaming
    }

    /// Writes a message that it is sent, from JSON (proto3's mapping).
    pub fn encode_json(&self, json: &str) -> Result<Bytes, SchemaError> {
        let input = &self.0.input;
        let mut reader = serde_json::Deserializer::from_str(json);
        let message = DynamicMessage::deserialize(input.clone(), &mut reader);
        let message = message.and_then(|message| reader.end().map(|()| message));
        message.map(|message| message.encode_to_vec().into()).map_err(|error| SchemaError::Json {
            message: input.full_name().to_owned(),
            path: path::of(json, error.line(), error.column()),
            reason: shortened(&error.to_string()),
        })
    }

    /// Reads a message that it answers, as JSON (proto3's mapping).
    pub fn decode_json(&self, bytes: &[u8]) -> Result<String, SchemaError> {
        let output = &self.0.output;
        let refused = |reason: String| SchemaError::Bytes {
            message: output.full_name().to_owned(),
            length: bytes.len(),
            reason: shortened(&reason),
        };
        let message = DynamicMessage::decode(output.clone(), bytes).map_err(|error| refused(error.to_string()))?;
        if *self.0.open.get_or_init(|| any::reaches(output)) {
            any::guard(&message).map_err(refused)?;
        }
        let mut text = Bounded { text: Vec::with_capacity(bytes.len() * 2), limit: MAX_JSON };
        // As k6 has it: fields that are not set are there, with their defaults.
        let all = SerializeOptions::new().skip_default_fields(false);
        message
            .serialize_with_options(&mut serde_json::Serializer::new(&mut text), &all)
            .map_err(|error| refused(error.to_string()))?;
        String::from_utf8(text.text).map_err(|error| refused(error.to_string()))
    }
}

/// A text that does not grow without end: a few bytes may stand for a message with many fields.
struct Bounded {
    text: Vec<u8>,
    limit: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.text.len().min(self.limit) {
            return Err(io::Error::other(format!("its JSON has more than {} bytes", self.limit)));
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Method").field(&self.0.path).finish()
    }
}
