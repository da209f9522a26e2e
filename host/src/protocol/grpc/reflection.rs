//! Asking a server which methods it has (`grpc.reflection.v1`, and `v1alpha`, which has the same messages).
//!
//! The server is asked for its services, for the file of each, and for the files that those import. It may be hostile:
//! how much it can say is limited here, how long it may take by the call's deadline, and what it described is checked
//! like any other set of descriptors.

mod wire;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;

use super::schema::{self, Schema, SchemaError};
use super::{Call, Code, Status};
use wire::{Answer, Answered, Asked, Question};

/// The method that answers, in its present version.
pub const V1: &str = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// The method that answers, as many servers still have it.
pub const V1ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// The most services that are asked about.
const MAX_SERVICES: usize = 1_000;
/// The most that all answers may have: 32 MiB.
const MAX_BYTES: usize = 32 << 20;
/// Services that are about the server itself.
const ITSELF: &str = "grpc.reflection.";

/// Why a server's methods are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReflectionError {
    /// The server does not have the method that would answer.
    #[error("the server does not answer questions about its methods; hint: load its `.proto` file instead")]
    Unsupported,
    /// The call ended before all was asked.
    #[error("the server stopped answering questions about its methods: {}", .0.message)]
    Ended(Status),
    /// The call ended well before all was asked.
    #[error("the server stopped answering questions about its methods, without a reason")]
    Silent,
    /// The server refused to answer.
    #[error("the server does not say what `{what}` is: {message} (code {code})")]
    Refused {
        /// What was asked.
        what: String,
        /// The status code that it gives.
        code: i32,
        /// Its words.
        message: String,
    },
    /// An answer that cannot be read, or that is to another question.
    #[error("the server's answer about `{what}` cannot be used: {reason}")]
    Garbled {
        /// What was asked.
        what: String,
        /// Why.
        reason: String,
    },
    /// The server says too much.
    #[error("the server describes more {what} than can be taken: at most {limit}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much can be taken.
        limit: usize,
    },
    /// What the server described is not right.
    #[error("the server describes its methods wrongly: {0}")]
    Schema(#[from] SchemaError),
}

/// A call in both directions, as far as it is needed here.
trait Exchange {
    async fn send(&mut self, message: Bytes);
    async fn receive(&mut self) -> Result<Option<Bytes>, Status>;
    fn end(&mut self);
}

impl Exchange for Call {
    async fn send(&mut self, message: Bytes) {
        // Where nobody takes it, the call is over, and `receive` says why.
        let _ = Self::send(self, message).await;
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Status> {
        Self::receive(self).await
    }

    fn end(&mut self) {
        Self::end(self);
    }
}

/// Asks for everything, on a fresh call of [`V1`] or [`V1ALPHA`], and ends the call.
pub async fn ask(call: &mut Call) -> Result<Schema, ReflectionError> {
    interview(call).await
}

async fn interview(call: &mut impl Exchange) -> Result<Schema, ReflectionError> {
    let mut interview = Interview { call, bytes_left: MAX_BYTES };
    let files = interview.files().await?;
    interview.call.end();
    Ok(Schema::from_descriptors(files)?)
}

struct Interview<'a, E> {
    call: &'a mut E,
    bytes_left: usize,
}

impl<E: Exchange> Interview<'_, E> {
    /// The descriptors of all files that the server's services need.
    async fn files(&mut self) -> Result<Vec<Bytes>, ReflectionError> {
        let services = self.services().await?;
        let mut files = BTreeMap::new();
        let mut wanted = BTreeSet::new();
        let mut refused = None;
        for service in &services {
            match self.described(service, Asked::FileContainingSymbol(service.clone())).await {
                Ok(found) => take(found, service, &mut files, &mut wanted)?,
                // Some servers list what they cannot describe; the others' methods are still worth having.
                Err(error @ ReflectionError::Refused { .. }) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let Some(refused) = refused.filter(|_| files.is_empty()) {
            return Err(refused);
        }
        while let Some(name) = wanted.pop_first() {
            if !files.contains_key(&name) && !schema::is_well_known(&name) {
                let found = self.described(&name, Asked::FileByFilename(name.clone())).await?;
                take(found, &name, &mut files, &mut wanted)?;
                if !files.contains_key(&name) {
                    return Err(garbled(&name, "the file is not in it"));
                }
            }
        }
        Ok(files.into_values().collect())
    }

    async fn services(&mut self) -> Result<BTreeSet<String>, ReflectionError> {
        let what = "the list of services";
        let services = match self.answer(what, Asked::ListServices(String::new())).await? {
            Answered::ListServices(list) => list.service.into_iter().map(|service| service.name),
            _ => return Err(garbled(what, "it is the answer to another question")),
        };
        let services: BTreeSet<_> = services.filter(|name| !name.starts_with(ITSELF)).collect();
        if services.len() > MAX_SERVICES {
            return Err(ReflectionError::TooMuch { what: "services", limit: MAX_SERVICES });
        }
        Ok(services)
    }

    /// The files that answer a question.
    async fn described(&mut self, what: &str, asked: Asked) -> Result<Vec<Bytes>, ReflectionError> {
        match self.answer(what, asked).await? {
            Answered::FileDescriptor(files) => Ok(files.file_descriptor_proto),
            _ => Err(garbled(what, "it is the answer to another question")),
        }
    }

    async fn answer(&mut self, what: &str, asked: Asked) -> Result<Answered, ReflectionError> {
        let question = Question { host: String::new(), asked: Some(asked) };
        self.call.send(question.encode_to_vec().into()).await;
        let answer = self.call.receive().await.map_err(|status| match status.code {
            Code::UNIMPLEMENTED => ReflectionError::Unsupported,
            _ => ReflectionError::Ended(status),
        })?;
        let answer = answer.ok_or(ReflectionError::Silent)?;
        let left = self.bytes_left.checked_sub(answer.len());
        self.bytes_left = left.ok_or(ReflectionError::TooMuch { what: "bytes of descriptors", limit: MAX_BYTES })?;
        let answer = Answer::decode(answer).map_err(|error| garbled(what, &error.to_string()))?;
        match answer.answered {
            Some(Answered::Error(error)) => Err(ReflectionError::Refused {
                what: schema::shortened(what),
                code: error.error_code,
                message: schema::shortened(&error.error_message),
            }),
            Some(answered) => Ok(answered),
            None => Err(garbled(what, "there is nothing in it")),
        }
    }
}

/// Takes files that are new, and notes what they import.
fn take(
    found: Vec<Bytes>,
    what: &str,
    files: &mut BTreeMap<String, Bytes>,
    wanted: &mut BTreeSet<String>,
) -> Result<(), ReflectionError> {
    for bytes in found {
        let (name, imports) = schema::head(&bytes).map_err(|error| garbled(what, &error.to_string()))?;
        if files.len() >= schema::MAX_FILES || wanted.len() > schema::MAX_FILES {
            return Err(ReflectionError::TooMuch { what: "files", limit: schema::MAX_FILES });
        }
        if files.insert(name, bytes).is_none() {
            wanted.extend(imports);
        }
    }
    Ok(())
}

fn garbled(what: &str, reason: &str) -> ReflectionError {
    ReflectionError::Garbled { what: schema::shortened(what), reason: schema::shortened(reason) }
}

#[cfg(test)]
mod tests;
