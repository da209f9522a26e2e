//! Secrets in calls: in the values of metadata and in messages that are JSON.

use bytes::Bytes;

use super::super::Host;
use super::super::secret::Secrets;
use super::failure::Failed;
use super::{Asked, Known};
use crate::protocol::Error;
use crate::protocol::grpc::Channel;
use crate::wit::grpc;

/// How often one text may name a secret: a short name may stand for a long value.
const MOST_NAMED: usize = 100;

impl Host {
    /// A text with the values of the secrets that it names; `None` where it names none.
    pub(super) fn filled_metadata(&self, channel: &Channel, text: &str) -> Result<Option<String>, Error> {
        let Some(secrets) = &self.run.secrets else { return Ok(None) };
        secrets.fill_text(text, |name| secrets.check_destination(name, &channel.destination()))
    }

    /// A message as it goes on the wire.
    pub(super) fn encoded_message(
        &self,
        asked: &Asked<'_>,
        channel: &Channel,
        known: &Known,
        message: grpc::Message,
    ) -> Result<Bytes, Failed> {
        let secrets = self.run.secrets.as_ref();
        let bytes = match message {
            grpc::Message::Raw(bytes) => {
                if secrets.is_some() && Secrets::is_named(&bytes) {
                    // Its length stands before the text that names it.
                    let why = "a message of bytes cannot name a secret: one that is JSON can";
                    return Err(Error::InvalidRequest(why.to_owned()).into());
                }
                Bytes::from(bytes)
            }
            grpc::Message::Json(text) => {
                let method = self.known_method(known, asked.method)?;
                let mut named = 0;
                let filled = match secrets {
                    None => None,
                    Some(secrets) => secrets.fill_json(&text, |name| {
                        named += 1;
                        if named > MOST_NAMED {
                            let why = format!("a message names secrets more than {MOST_NAMED} times");
                            return Err(Error::InvalidRequest(why));
                        }
                        secrets.check_destination(name, &channel.destination())
                    })?,
                };
                method.encode_json(filled.as_deref().unwrap_or(&text))?
            }
        };
        let limit = self.run.limits.request_bytes;
        if bytes.len() as u64 > limit {
            let length = bytes.len();
            let why = format!("the message has {length} bytes, and the limit is {limit} (`limits.requestBytes`)");
            return Err(Error::InvalidRequest(why).into());
        }
        Ok(bytes)
    }

    /// A message that came, without the run's secrets.
    pub(super) fn decoded_message(
        &self,
        known: &Known,
        form: grpc::Form,
        bytes: Bytes,
    ) -> Result<grpc::Message, Failed> {
        // What is to be JSON was asked for only where the types are known.
        if let (grpc::Form::Json, Some(method)) = (form, &known.method) {
            return Ok(grpc::Message::Json(self.unseen(method.decode_json(&bytes)?)));
        }
        let mut bytes = Vec::from(bytes);
        if let Some(secrets) = &self.run.secrets {
            secrets.redactor().mask(&mut bytes);
        }
        Ok(grpc::Message::Raw(bytes))
    }
}
