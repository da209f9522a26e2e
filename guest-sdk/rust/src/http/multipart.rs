//! Forms with files.

use std::borrow::Cow;

use crate::bindings::squall::journey::http as host;

/// A `multipart/form-data` body: fields and files, put together by the host.
///
/// ```no_run
/// use squall_sdk::http::{Multipart, Part, Request};
///
/// # fn main() -> Result<(), squall_sdk::Error> {
/// let form = Multipart::new()
///     .text("title", "a photo")
///     .file("photo", "photo.png") // granted by `--file photo.png`
///     .part(Part::bytes("note", b"{}").filename("note.json").content_type("application/json"));
/// let answer = Request::post("http://127.0.0.1:8080/echo").multipart(form).send()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Multipart<'a> {
    parts: Vec<Part<'a>>,
}

/// A part of a form.
#[derive(Debug)]
pub struct Part<'a> {
    name: Cow<'a, str>,
    filename: Option<Cow<'a, str>>,
    content_type: Option<Cow<'a, str>>,
    content: Content<'a>,
}

/// What something is made of.
#[derive(Debug)]
pub(super) enum Content<'a> {
    Bytes(Cow<'a, [u8]>),
    File(Cow<'a, str>),
}

impl<'a> Multipart<'a> {
    /// A form without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plain field.
    #[must_use]
    pub fn text(self, name: impl Into<Cow<'a, str>>, value: &'a str) -> Self {
        self.part(Part::bytes(name, value.as_bytes()))
    }

    /// Adds a file that was granted to the run under this name (`--file`). Its bytes never enter the journey.
    #[must_use]
    pub fn file(self, name: impl Into<Cow<'a, str>>, granted: impl Into<Cow<'a, str>>) -> Self {
        self.part(Part::file(name, granted))
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, part: Part<'a>) -> Self {
        self.parts.push(part);
        self
    }

    pub(super) fn lowered(&self) -> Vec<host::Part<'_>> {
        self.parts.iter().map(Part::lowered).collect()
    }
}

impl<'a> Part<'a> {
    /// A part with this content.
    pub fn bytes(name: impl Into<Cow<'a, str>>, content: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { name: name.into(), filename: None, content_type: None, content: Content::Bytes(content.into()) }
    }

    /// A part with a file that was granted to the run under this name.
    pub fn file(name: impl Into<Cow<'a, str>>, granted: impl Into<Cow<'a, str>>) -> Self {
        Self { name: name.into(), filename: None, content_type: None, content: Content::File(granted.into()) }
    }

    /// The file's name. A granted file has its own unless this is called.
    #[must_use]
    pub fn filename(mut self, filename: impl Into<Cow<'a, str>>) -> Self {
        self.filename = Some(filename.into());
        self
    }

    /// The content type. Without it the file's name decides; a part without a file's name has none.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<Cow<'a, str>>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }
}

impl Part<'_> {
    fn lowered(&self) -> host::Part<'_> {
        host::Part {
            name: &self.name,
            filename: self.filename.as_deref(),
            content_type: self.content_type.as_deref(),
            content: self.content.lowered(),
        }
    }
}

impl Content<'_> {
    pub(super) fn lowered(&self) -> host::Content<'_> {
        match self {
            Self::Bytes(bytes) => host::Content::Bytes(bytes),
            Self::File(name) => host::Content::File(name),
        }
    }
}
