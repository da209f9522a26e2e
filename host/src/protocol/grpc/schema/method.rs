//! One method, and its messages between JSON and bytes.

use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};

use super::error::shortened;
use super::{SchemaError, depth, path};

/// The longest JSON text that an answer may become: 64 MiB.
const MAX_JSON: usize = 64 << 20;

/// Why a deep message could not be read or written.
const NO_ROOM: &str = "it is deep, and the system has no thread for that";

/// A method of a service. Cheap to clone.
#[derive(Clone)]
pub struct Method(Arc<Inner>);

struct Inner {
    path: Arc<str>,
    client_streaming: bool,
    server_streaming: bool,
    input: MessageDescriptor,
    output: MessageDescriptor,
    /// Whether its messages can be deep, once that was asked.
    takes_deep: OnceLock<bool>,
    gives_deep: OnceLock<bool>,
}

impl Method {
    pub(super) fn new(method: &MethodDescriptor) -> Self {
        Self(Arc::new(Inner {
            path: format!("{}/{}", method.parent_service().full_name(), method.name()).into(),
            client_streaming: method.is_client_streaming(),
            server_streaming: method.is_server_streaming(),
            input: method.input(),
            output: method.output(),
            takes_deep: OnceLock::new(),
            gives_deep: OnceLock::new(),
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
        let refused = |path, reason: &str| SchemaError::Json {
            message: input.full_name().to_owned(),
            path,
            reason: shortened(reason),
        };
        let encode = || {
            let mut reader = serde_json::Deserializer::from_str(json);
            let message = DynamicMessage::deserialize(input.clone(), &mut reader)?;
            reader.end()?;
            Ok::<Bytes, serde_json::Error>(message.encode_to_vec().into())
        };
        let encoded = if self.0.takes_deep() { depth::with_json(json, encode) } else { Some(encode()) };
        let encoded = encoded.ok_or_else(|| refused(String::new(), NO_ROOM))?;
        encoded.map_err(|error| refused(path::of(json, error.line(), error.column()), &error.to_string()))
    }

    /// Reads a message that it answers, as JSON (proto3's mapping).
    pub fn decode_json(&self, bytes: &[u8]) -> Result<String, SchemaError> {
        let output = &self.0.output;
        let decode = || {
            let message = DynamicMessage::decode(output.clone(), bytes).map_err(|error| error.to_string())?;
            let mut text = Bounded { text: Vec::with_capacity(bytes.len() * 2), limit: MAX_JSON };
            // As k6 has it: fields that are not set are there, with their defaults.
            let all = SerializeOptions::new().skip_default_fields(false);
            let written = message.serialize_with_options(&mut serde_json::Serializer::new(&mut text), &all);
            written.map_err(|error| error.to_string())?;
            String::from_utf8(text.text).map_err(|error| error.to_string())
        };
        let decoded = if self.0.gives_deep() || bytes.len() > depth::SMALL {
            depth::with_message(output, bytes, decode)
                .and_then(|decoded| decoded.unwrap_or_else(|| Err(NO_ROOM.to_owned())))
        } else {
            decode()
        };
        decoded.map_err(|reason| SchemaError::Bytes {
            message: output.full_name().to_owned(),
            length: bytes.len(),
            reason: shortened(&reason),
        })
    }
}

impl Inner {
    fn takes_deep(&self) -> bool {
        *self.takes_deep.get_or_init(|| depth::is_deep(&self.input))
    }

    fn gives_deep(&self) -> bool {
        *self.gives_deep.get_or_init(|| depth::is_deep(&self.output))
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
