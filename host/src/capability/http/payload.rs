//! A body that the host puts together: from bytes and granted files, as a form, encoded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rand_xoshiro::rand_core::Rng as _;

use super::super::Run;
use super::super::random::Random;
use super::filled::Filled;
use super::sender::check_size;
use crate::protocol::Error;
use crate::protocol::http::{Body, Coding, Header, Part, boundary, encode, multipart};
use crate::wit::http;

/// Keeps the random numbers of boundaries apart from those of others.
const SALT: u64 = 0x626f_756e_6461_7279;

/// How many codings a body may have, one after the other.
const MOST_CODINGS: usize = 4;

/// Files granted to the run, by name.
type Files = BTreeMap<String, Arc<[u8]>>;

/// A body, and the headers it brings.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    /// `None` where the request has no body and none was asked for.
    pieces: Option<Vec<Cow<'a, [u8]>>>,
    content_type: Option<String>,
    content_encoding: Option<String>,
}

impl<'a> Payload<'a> {
    /// Whether the options ask for one.
    pub(super) fn is_asked(options: &http::RequestOptions) -> bool {
        options.body.is_some() || !options.compression.is_empty()
    }

    /// Puts a request's body together, with the secrets it names. What files hold is only copied to be encoded.
    pub(super) async fn new(
        request: &'a http::Request,
        options: &'a http::RequestOptions,
        filled: Option<&'a Filled<'_>>,
        run: &'a Run,
        random: &Random,
    ) -> Result<Self, Error> {
        let (files, most) = (&*run.files, run.limits.request_bytes);
        if options.compression.len() > MOST_CODINGS {
            return Err(Error::InvalidRequest(format!("a body may have {MOST_CODINGS} codings and no more")));
        }
        let mut content_type = None;
        let body = filled.and_then(|filled| filled.body.as_deref()).or(request.body.as_deref());
        let payload = filled.and_then(|filled| filled.payload.as_ref()).or(options.body.as_ref());
        let mut pieces = match payload {
            None => body.map(|body| vec![Cow::Borrowed(body)]),
            Some(http::Payload::Content(content)) => Some(vec![Cow::Borrowed(bytes_of(content, files)?)]),
            Some(http::Payload::Multipart(parts)) => {
                let parts = parts.iter().map(|part| part_of(part, files)).collect::<Result<Vec<_>, _>>()?;
                // A file may be in many parts of a form and costs nothing there, but whoever looks through them all.
                check_size(parts.iter().map(|part| part.content.len() as u64).sum(), most)?;
                let mut numbers = random.fork(SALT);
                let boundary = boundary(&parts, || numbers.next_u64());
                content_type = Some(format!("multipart/form-data; boundary={boundary}"));
                Some(multipart(&parts, &boundary))
            }
        };
        let mut content_encoding = None;
        if let Some(plain) = pieces.as_mut().filter(|_| !options.compression.is_empty()) {
            check_size(plain.iter().map(|piece| piece.len() as u64).sum(), most)?;
            let codings: Vec<Coding> = options.compression.iter().map(|&coding| coding_of(coding)).collect();
            content_encoding = Some(codings.iter().map(|coding| coding.name()).collect::<Vec<_>>().join(", "));
            *plain = vec![Cow::Owned(encode(&codings, Body::Pieces(plain)).await?)];
        }
        Ok(Self { pieces, content_type, content_encoding })
    }

    /// Adds the headers, which the journey must not have set too.
    pub(super) fn add_to<'s>(&'s self, headers: &mut Vec<Header<'s>>) -> Result<(), Error> {
        let own = [("content-type", &self.content_type), ("content-encoding", &self.content_encoding)];
        for (name, value) in own.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))) {
            if headers.iter().any(|header| header.name.eq_ignore_ascii_case(name)) {
                let message = format!("header `{name}` is set by squall for this body and cannot be given");
                return Err(Error::InvalidRequest(message));
            }
            headers.push(Header { name, value });
        }
        Ok(())
    }

    /// The body as it goes onto the wire.
    pub(super) fn body(&self) -> Option<Body<'_>> {
        self.pieces.as_deref().map(Body::Pieces)
    }
}

fn part_of<'a>(part: &'a http::Part, files: &'a Files) -> Result<Part<'a>, Error> {
    let content = bytes_of(&part.content, files)?;
    let granted = match &part.content {
        http::Content::File(name) => name.rsplit(['/', '\\']).next(),
        http::Content::Bytes(_) => None,
    };
    if let Some(text) = part.content_type.as_deref().filter(|text| text.contains(|char: char| char.is_control())) {
        let message =
            format!("the content type `{}` of part `{}` has a control character", text.escape_debug(), part.name);
        return Err(Error::InvalidRequest(message));
    }
    Ok(Part {
        name: &part.name,
        filename: part.filename.as_deref().or(granted),
        content_type: part.content_type.as_deref(),
        content,
    })
}

fn bytes_of<'a>(content: &'a http::Content, files: &'a Files) -> Result<&'a [u8], Error> {
    match content {
        http::Content::Bytes(bytes) => Ok(bytes),
        http::Content::File(name) => files.get(name).map(|bytes| &**bytes).ok_or_else(|| {
            let granted: Vec<String> = files.keys().map(|name| format!("`{name}`")).collect();
            let granted = if granted.is_empty() { "none".to_owned() } else { granted.join(", ") };
            Error::InvalidRequest(format!("file `{name}` is not granted to the run; granted: {granted}"))
        }),
    }
}

fn coding_of(coding: http::Coding) -> Coding {
    match coding {
        http::Coding::Gzip => Coding::Gzip,
        http::Coding::Deflate => Coding::Deflate,
        http::Coding::Br => Coding::Brotli,
        http::Coding::Zstd => Coding::Zstd,
    }
}
