//! `multipart/form-data` (RFC 7578), as browsers write it.

use std::borrow::Cow;

/// A part of a form.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The field's name.
    pub name: &'a str,
    /// The file's name, if it is a file.
    pub filename: Option<&'a str>,
    /// The content type; `None` guesses it by the file's name.
    pub content_type: Option<&'a str>,
    /// The content.
    pub content: &'a [u8],
}

/// Content types by the end of a file's name.
const TYPES: &[(&str, &str)] = &[
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// Finds a boundary that none of the parts holds.
pub fn boundary(parts: &[Part<'_>], mut number: impl FnMut() -> u64) -> String {
    loop {
        let boundary = format!("squall-{:016x}{:016x}", number(), number());
        if !parts.iter().any(|part| contains(part.content, boundary.as_bytes())) {
            return boundary;
        }
    }
}

/// Writes the parts. What they contain is not copied.
#[must_use]
pub fn multipart<'a>(parts: &[Part<'a>], boundary: &str) -> Vec<Cow<'a, [u8]>> {
    let mut pieces = Vec::with_capacity(parts.len() * 2 + 1);
    let mut line_end = "";
    for part in parts {
        let name = escaped(part.name);
        let mut head = format!("{line_end}--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
        if let Some(filename) = part.filename {
            for text in ["; filename=\"", &escaped(filename), "\""] {
                head.push_str(text);
            }
        }
        if let Some(content_type) = part.content_type.or_else(|| part.filename.map(content_type_of)) {
            head.push_str("\r\nContent-Type: ");
            head.push_str(content_type);
        }
        head.push_str("\r\n\r\n");
        pieces.push(Cow::Owned(head.into_bytes()));
        pieces.push(Cow::Borrowed(part.content));
        line_end = "\r\n";
    }
    pieces.push(Cow::Owned(format!("{line_end}--{boundary}--\r\n").into_bytes()));
    pieces
}

/// What a file's name says about its content.
fn content_type_of(name: &str) -> &'static str {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    let found = TYPES.iter().find(|(known, _)| end.eq_ignore_ascii_case(known));
    found.map_or("application/octet-stream", |(_, content_type)| content_type)
}

/// A name between quotes, which it must not end.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// Whether bytes hold others. The first byte of a boundary is rare enough to make this one pass.
fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == wanted[0]) {
        rest = &rest[at..];
        if rest.starts_with(wanted) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part<'a>(name: &'a str, filename: Option<&'a str>, content: &'a [u8]) -> Part<'a> {
        Part { name, filename, content_type: None, content }
    }

    #[test]
    fn a_form_is_written_as_browsers_do() {
        let parts = [
            part("plain", None, b"value"),
            part("a \"b\"\r\nc", Some("ph\"oto\n.PNG"), b"\x89PNG"),
            Part { content_type: Some("a/b"), ..part("f", Some("x.json"), b"") },
        ];
        let text = multipart(&parts, "B").concat();
        let expected = "--B\r\nContent-Disposition: form-data; name=\"plain\"\r\n\r\nvalue\r\n--B\r\nContent-Disposition: \
                        form-data; name=\"a %22b%22%0D%0Ac\"; filename=\"ph%22oto%0A.PNG\"\r\nContent-Type: image/png\r\n\r\n\
                        \u{89}PNG\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.json\"\r\nContent-Type: \
                        a/b\r\n\r\n\r\n--B--\r\n";
        let expected: Vec<u8> = expected.chars().map(|char| char as u8).collect();
        assert_eq!(text.escape_ascii().to_string(), expected.escape_ascii().to_string());
        assert_eq!(multipart(&[], "B").concat(), b"--B--\r\n");
    }

    #[test]
    fn a_boundary_that_a_part_holds_is_not_taken() {
        let taken = format!("squall-{:016x}{:016x}", 1, 2);
        let mut numbers = 1..;
        let content = format!("sssquall-squall--{taken}");
        let found = boundary(&[part("a", None, content.as_bytes())], || numbers.next().unwrap());
        assert_eq!(found, format!("squall-{:016x}{:016x}", 3, 4));
    }

    #[test]
    fn the_type_of_a_file_is_guessed_by_the_end_of_its_name() {
        for (name, expected) in
            [("a.JSON", "application/json"), ("a.b.csv", "text/csv"), ("png", "application/octet-stream")]
        {
            assert_eq!(content_type_of(name), expected, "{name}");
        }
        assert!(TYPES.is_sorted());
    }
}
