//! How deep a message is and how much is in it, found without recursion, and room for one that is deep.
//!
//! Reading a message and writing it takes some stack for each message within another, and a guest leaves the host little of
//! its own. Few types can be deep at all: those that contain themselves, and `google.protobuf.Any`, whose bytes are decoded
//! when it is written as JSON and count anew each time, so that a few megabytes would nest deeply enough for any stack.
//! What is too deep is refused; what is deep goes to a thread with a stack that is large enough.

use prost_reflect::{Kind, MessageDescriptor};

use super::definitions::Parts;

/// How deep messages and brackets may be where there is little room.
const LITTLE: usize = 16;
/// How deep a message may be, with all that is in it. The decoder has the same limit, but only between one `Any` and the next.
const MOST: usize = 100;
/// How many fields and elements a message may have, with all that is in it: each takes a byte or two, and some dozens once
/// it is decoded.
const MOST_ELEMENTS: usize = 8_000_000;
/// A message of so many bytes cannot become too much.
pub(super) const SMALL: usize = 1 << 20;
/// Enough for the deepest message and the deepest JSON that are read, which is 128 levels, in a build without optimisation.
const ROOM: usize = 16 << 20;
const ANY: &str = "google.protobuf.Any";

/// Whether a message of this type can be deep.
pub(super) fn is_deep(message: &MessageDescriptor) -> bool {
    let mut level = vec![message.clone()];
    for _ in 0..LITTLE {
        if level.iter().any(|message| message.full_name() == ANY) {
            return true;
        }
        let mut next: Vec<_> = level.iter().flat_map(inner).collect();
        next.sort_by(|a, b| a.full_name().cmp(b.full_name()));
        next.dedup();
        level = next;
    }
    !level.is_empty()
}

/// The types of the messages in a message.
fn inner(message: &MessageDescriptor) -> Vec<MessageDescriptor> {
    let kinds = message.fields().map(|field| field.kind()).chain(message.extensions().map(|field| field.kind()));
    kinds.filter_map(|kind| kind.as_message().cloned()).collect()
}

/// Does something with a JSON text, on a larger stack if it is deep.
pub(super) fn with_json<T: Send>(json: &str, work: impl FnOnce() -> T + Send) -> Option<T> {
    let (mut depth, mut most, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => depth += 1,
            b'}' | b']' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    if most <= LITTLE { Some(work()) } else { with_room(work) }
}

/// Does something with a message, on a larger stack if it is deep.
pub(super) fn with_message<T: Send>(
    message: &MessageDescriptor,
    bytes: &[u8],
    work: impl FnOnce() -> T + Send,
) -> Result<Option<T>, String> {
    Ok(if measure(message, bytes)? <= LITTLE { Some(work()) } else { with_room(work) })
}

/// Does something on a stack of its own; `None` where the system has no thread for it.
pub(super) fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(ROOM).spawn_scoped(scope, work).ok()?;
        Some(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// How deep the messages in a message go, those in `Any`s among them.
fn measure(message: &MessageDescriptor, bytes: &[u8]) -> Result<usize, String> {
    let outermost = if message.full_name() == ANY { opened(message, bytes)? } else { None };
    let mut open = vec![outermost.unwrap_or_else(|| (message.clone(), Parts::of(bytes)))];
    let (mut most, mut elements) = (1, 0);
    while let Some((message, parts)) = open.last_mut() {
        let Some(part) = parts.next().transpose()? else {
            open.pop();
            continue;
        };
        elements += 1 + part.content.filter(|_| is_packed(message, part.number)).map_or(0, <[u8]>::len);
        if elements > MOST_ELEMENTS {
            return Err(format!("it has more than {MOST_ELEMENTS} fields and elements"));
        }
        let Some(content) = part.content else { continue };
        let field = message.get_field(part.number).map(|field| field.kind());
        let field = field.or_else(|| Some(message.get_extension(part.number)?.kind()));
        let Some(Kind::Message(inner)) = field else { continue };
        if inner.full_name() == ANY {
            open.extend(opened(&inner, content)?);
        } else {
            open.push((inner, Parts::of(content)));
        }
        most = most.max(open.len());
        if most > MOST {
            return Err(format!("it is nested more than {MOST} messages deep"));
        }
    }
    Ok(most)
}

/// Whether a field holds many numbers, of which each can be as short as a byte.
fn is_packed(message: &MessageDescriptor, number: u32) -> bool {
    let of_messages = |kind: &Kind| matches!(kind, Kind::Message(_) | Kind::String | Kind::Bytes);
    message.get_field(number).is_some_and(|field| field.is_list() && !of_messages(&field.kind()))
}

/// The message in an `Any`. One of an unknown type has no depth: who writes it will say what is wrong.
fn opened<'a>(any: &MessageDescriptor, bytes: &'a [u8]) -> Result<Option<(MessageDescriptor, Parts<'a>)>, String> {
    let (mut url, mut value) = (None, None);
    for part in Parts::of(bytes) {
        let part = part?;
        match part.number {
            1 => url = part.content,
            2 => value = part.content,
            _ => {}
        }
    }
    let name = url.and_then(|url| std::str::from_utf8(url).ok()).and_then(|url| url.rsplit('/').next());
    let inner = name.and_then(|name| any.parent_pool().get_message_by_name(name));
    Ok(inner.zip(value.map(Parts::of)))
}
