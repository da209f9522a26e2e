//! Messages within messages whose types only they name.
//!
//! A `google.protobuf.Any` holds bytes that are decoded when it is written as JSON, and these may hold another one: each
//! begins to count its depth anew, so a few megabytes nest deeply enough to use up a stack. The depth over all of them
//! is measured here, before anything is written.

use std::collections::HashSet;

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};

/// How deep a message may be, with all that is in it.
const MAX_DEPTH: usize = 100;
const ANY: &str = "google.protobuf.Any";

/// Whether a message of this type can hold an `Any`.
pub(super) fn reaches(message: &MessageDescriptor) -> bool {
    let mut seen = HashSet::from([message.full_name().to_owned()]);
    let mut left = vec![message.clone()];
    while let Some(message) = left.pop() {
        // Extensions are fields that other files add.
        if message.full_name() == ANY {
            return true;
        }
        let kinds = message.fields().map(|field| field.kind()).chain(message.extensions().map(|field| field.kind()));
        for kind in kinds {
            if let Kind::Message(inner) = kind
                && seen.insert(inner.full_name().to_owned())
            {
                left.push(inner);
            }
        }
    }
    false
}

/// Finds out whether a message can be written without going too deep.
pub(super) fn guard(message: &DynamicMessage) -> Result<(), String> {
    measure(message, MAX_DEPTH)
}

fn measure(message: &DynamicMessage, left: usize) -> Result<(), String> {
    let left = left.checked_sub(1).ok_or_else(|| format!("it is nested more than {MAX_DEPTH} messages deep"))?;
    if message.descriptor().full_name() == ANY {
        return opened(message).map_or(Ok(()), |inner| measure(&inner, left));
    }
    let fields = message.fields().map(|(_, value)| value).chain(message.extensions().map(|(_, value)| value));
    for value in fields {
        match value {
            Value::Message(inner) => measure(inner, left)?,
            Value::List(list) => {
                list.iter().filter_map(Value::as_message).try_for_each(|inner| measure(inner, left))?
            }
            Value::Map(map) => map.values().filter_map(Value::as_message).try_for_each(|inner| measure(inner, left))?,
            _ => {}
        }
    }
    Ok(())
}

/// The message in an `Any`. One that cannot be read has no depth: who writes it will say what is wrong.
fn opened(message: &DynamicMessage) -> Option<DynamicMessage> {
    let (url, value) = (message.get_field_by_name("type_url")?, message.get_field_by_name("value")?);
    let name = url.as_str()?.rsplit('/').next()?;
    let inner = message.descriptor().parent_pool().get_message_by_name(name)?;
    DynamicMessage::decode(inner, value.as_bytes()?.clone()).ok()
}
