//! Takes texts that are not to be shown out of texts that are.
//!
//! A secret comes back in more shapes than one: a server echoes it in JSON, in a URL, in the base64 of an
//! `authorization` header. A [`Redactor`] knows the usual ones of each secret and looks for all of them in one pass. It
//! hides how they are written and found.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands where a secret was.
pub const MARK: &str = "***";
/// Less of a base64 text than this may be anything.
const LEAST_BASE64: usize = 4;
/// Less of the beginning of a secret than this may stay at the end of a text that was cut.
const LEAST_BEGINNING: usize = 4;
/// The signs that a URL may keep as they are: where RFC 3986 has its parts, `encodeURIComponent`, forms, and the path and
/// query of browsers.
const KEPT_IN_URLS: [&str; 6] =
    ["-_.~", "-_.!~*'()", "*-._", "-_.~!$&'()*+,;=:@/?", "-_.~!$&'()*+,;=:@/[]|^%", "-_.~!$&()*+,;=:@/?[]^`{|}\\%"];
/// What ends a text that was cut.
const CUT: char = '…';

/// Finds secrets in texts.
#[derive(Clone)]
pub struct Redactor {
    finder: AhoCorasick,
    forms: Vec<Form>,
}

/// One way to write a secret.
#[derive(Clone)]
struct Form {
    text: Vec<u8>,
    /// Whether it is a part of a base64 text, whose neighbours hold some bits of it too.
    is_base64: bool,
}

impl Redactor {
    /// Makes one that finds these secrets; `None` where there is nothing to find.
    ///
    /// # Panics
    ///
    /// Panics if the secrets have gigabytes.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut forms = BTreeMap::new();
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            for text in written(secret) {
                forms.insert(text, false);
            }
            for text in in_base64(secret.as_bytes()) {
                forms.entry(text).or_insert(true);
            }
        }
        let forms: Vec<Form> = forms.into_iter().map(|(text, is_base64)| Form { text, is_base64 }).collect();
        if forms.is_empty() {
            return None;
        }
        let texts = forms.iter().map(|form| &form.text);
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts);
        // It fails for gigabytes of patterns only.
        Some(Self { finder: finder.expect("secrets have at most some kilobytes"), forms })
    }

    /// Whether a text holds a secret.
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        self.finder.is_match(text)
    }

    /// The text with [`MARK`] in the place of each secret. Where it was cut, no beginning of a secret stays either.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let redacted = match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Whole characters were replaced, so this copies nothing away.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        };
        match redacted.strip_suffix(CUT).and_then(|kept| self.without_beginning(kept)) {
            Some(kept) => Cow::Owned(format!("{kept}{CUT}")),
            None => redacted,
        }
    }

    /// The same of a text that was cut and does not show it.
    #[must_use]
    pub fn cut_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let redacted = self.text(text);
        self.without_beginning(&redacted).map_or(redacted, Cow::Owned)
    }

    /// The same of a text that is one's own: it is copied only where it holds a secret.
    #[must_use]
    pub fn owned(&self, text: String) -> String {
        match self.text(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(redacted) => redacted,
        }
    }

    /// The bytes with [`MARK`] in the place of each secret.
    #[must_use]
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut redacted = Vec::new();
        let mut end = 0;
        for (start, after) in self.places(bytes) {
            redacted.extend_from_slice(&bytes[end..start.max(end)]);
            redacted.extend_from_slice(MARK.as_bytes());
            end = after;
        }
        if end == 0 {
            return Cow::Borrowed(bytes);
        }
        redacted.extend_from_slice(&bytes[end..]);
        Cow::Owned(redacted)
    }

    /// Writes `*` over every byte of each secret, so that all lengths stay what they were.
    pub fn mask(&self, bytes: &mut [u8]) {
        let places: Vec<_> = self.places(bytes).collect();
        for (start, end) in places {
            bytes[start..end].fill(b'*');
        }
    }

    /// Where secrets are, from where to where. Two may touch.
    fn places<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        self.finder.find_iter(bytes).map(|found| {
            let (mut start, mut end) = (found.start(), found.end());
            if self.forms[found.pattern().as_usize()].is_base64 {
                // The letters beside it hold the bits that it shares with what is before and after.
                start -= usize::from(start > 0 && is_base64(bytes[start - 1]));
                end += usize::from(bytes.get(end).is_some_and(|&byte| is_base64(byte)));
                end += bytes[end..].iter().take(2).take_while(|&&byte| byte == b'=').count();
            }
            (start, end)
        })
    }

    /// A text with [`MARK`] in the place of a secret's beginning that it ends with; `None` where it ends with none.
    fn without_beginning(&self, text: &str) -> Option<String> {
        let end = text.len() - self.beginning_at_end(text.as_bytes())?;
        Some(format!("{}{MARK}", String::from_utf8_lossy(&text.as_bytes()[..end])))
    }

    /// How much of a secret's beginning the bytes end with, if it is enough to tell.
    fn beginning_at_end(&self, bytes: &[u8]) -> Option<usize> {
        let of_form = |form: &Form| {
            let most = form.text.len().min(bytes.len());
            (LEAST_BEGINNING..=most).rev().find(|&length| bytes.ends_with(&form.text[..length]))
        };
        self.forms.iter().filter_map(of_form).max()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redactor").field("forms", &self.forms.len()).finish_non_exhaustive()
    }
}

/// The secret as it is, escaped for JSON, Rust, HTML and URLs, and in hexadecimal.
fn written(secret: &str) -> Vec<Vec<u8>> {
    let json = as_json(secret);
    let ascii = |upper| as_ascii_json(&json, upper);
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let texts = [
        secret.to_owned(),
        json.replace('/', "\\/"),
        // JSON in a text of JSON, as logs have it.
        as_json(&json),
        ascii(false),
        ascii(true),
        secret.escape_debug().to_string(),
        secret.escape_default().to_string(),
        html.replace('\'', "&#39;"),
        html.replace('\'', "&#x27;"),
        html,
        json,
    ];
    let mut forms: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    for kept in KEPT_IN_URLS {
        for upper in [true, false] {
            let percent = as_percent(secret.as_bytes(), kept, upper);
            forms.push(percent.replace("%20", "+").into_bytes());
            forms.push(percent.into_bytes());
        }
    }
    forms.extend([true, false].map(|upper| in_hexadecimal(secret, upper).into_bytes()));
    forms
}

/// What a base64 text holds for certain where the secret is in what it encodes, wherever that is: three bytes are four
/// letters, so there are three ways for it to begin.
fn in_base64(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let bytes = [&[0_u8; 2][..before], secret].concat();
        // Letters that hold nothing but bits of the secret.
        let (first, last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        if last.saturating_sub(first) < LEAST_BASE64 {
            continue;
        }
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.push(text.as_bytes()[first..last].to_vec());
        }
    }
    if forms.is_empty() {
        forms.extend([STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret)].map(String::into_bytes));
    }
    forms
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}

/// The text between the quotes.
fn as_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// JSON of nothing but ASCII.
fn as_ascii_json(json: &str, upper: bool) -> String {
    let mut units = [0; 2];
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_ascii() {
            text.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut units) {
            text.push_str("\\u");
            for byte in unit.to_be_bytes() {
                text.extend(hexadecimal(byte, upper).map(char::from));
            }
        }
    }
    text
}

fn as_percent(bytes: &[u8], kept: &str, upper: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.extend(hexadecimal(byte, upper).map(char::from));
        }
    }
    text
}

fn in_hexadecimal(text: &str, upper: bool) -> String {
    text.bytes().flat_map(|byte| hexadecimal(byte, upper)).map(char::from).collect()
}

fn hexadecimal(byte: u8, upper: bool) -> [u8; 2] {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const SECRET: &str = "s3cr3t/k\"y>ü =&";

    fn redactor() -> Redactor {
        Redactor::new([SECRET, "hunter2!"]).unwrap()
    }

    #[test]
    fn a_secret_is_found_as_it_is_and_again_and_again() {
        let redactor = redactor();
        assert_eq!(redactor.text(&format!("a{SECRET}b{SECRET}hunter2!c")), "a***b******c");
        assert!(matches!(redactor.text("nothing hunter2"), Cow::Borrowed(_)));
        assert!(redactor.finds("xhunter2!"));
        assert!(Redactor::new([""]).is_none());
    }

    #[test]
    fn a_secret_is_found_as_it_is_usually_written() {
        let redactor = redactor();
        let json = serde_json::to_string(SECRET).unwrap();
        let form = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>();
        let url = url::Url::parse(&format!("http://h.test/{SECRET}x?{SECRET}x")).unwrap();
        for text in [
            json.clone(),
            serde_json::to_string(&json).unwrap(),
            json.replace('/', "\\/"),
            json.replace('ü', "\\u00fc"),
            format!("{SECRET:?}"),
            form.clone(),
            form.replace('+', "%20"),
            "s3cr3t%2fk%22y%3e%c3%bc%20%3d%26".to_owned(),
            url.path().to_owned(),
            url.query().unwrap().to_owned(),
            "s3cr3t/k&quot;y&gt;ü =&amp;".to_owned(),
            in_hexadecimal(SECRET, false),
            in_hexadecimal(SECRET, true),
        ] {
            let shown = redactor.text(&text);
            assert!(shown.contains(MARK) && shown.len() < 10, "`{text}` is shown as `{shown}`");
        }
    }

    #[test]
    fn a_secret_is_found_wherever_it_is_in_a_base64_text() {
        let redactor = redactor();
        for before in ["", "a", "ab", "name:", "longer:"] {
            for after in ["", "x", "xy", "xyz"] {
                let whole = format!("{before}{SECRET}{after}");
                for text in [STANDARD.encode(&whole), URL_SAFE.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                    let shown = redactor.text(&text);
                    let left: usize = shown.split(MARK).map(|rest| rest.trim_end_matches('=').len() * 6 / 8).sum();
                    assert!(shown.contains(MARK), "{before}|{after}: `{text}`");
                    assert!(left <= before.len() + after.len(), "{before}|{after}: `{shown}` is left of `{text}`");
                }
            }
        }
        let basic = format!("Basic {}", STANDARD.encode("ada:hunter2!"));
        assert_eq!(redactor.text(&basic), "Basic YWRhO***");
    }

    #[test]
    fn what_is_masked_keeps_its_length() {
        let mut bytes = format!("{{\"key\":\"hunter2!\",\"b\":\"{}\"}}", STANDARD.encode("hunter2!")).into_bytes();
        redactor().mask(&mut bytes);
        assert_eq!(String::from_utf8(bytes).unwrap(), "{\"key\":\"********\",\"b\":\"************\"}");
    }

    #[test]
    fn no_beginning_of_a_secret_stays_where_a_text_was_cut() {
        let redactor = redactor();
        assert_eq!(redactor.text("the key is hunter…"), "the key is ***…");
        assert_eq!(redactor.text("the key is hunter"), "the key is hunter");
        assert_eq!(redactor.cut_text("the key is hunter"), "the key is ***");
        assert_eq!(redactor.text("hun…"), "hun…");
        assert_eq!(redactor.text("hunter2!…"), "***…");
    }

    #[test]
    fn bytes_that_are_not_text_are_searched_too() {
        assert_eq!(&*redactor().bytes(b"\xff\0hunter2!\xfe"), b"\xff\0***\xfe");
    }

    #[test]
    fn short_secrets_are_found_in_base64_of_their_own() {
        let redactor = Redactor::new(["pin"]).unwrap();
        assert_eq!(redactor.text("cGlu pin 70696e"), "*** *** ***");
    }

    #[test]
    fn a_redactor_shows_nothing_of_what_it_looks_for() {
        assert!(!format!("{:?}", redactor()).contains("hunter"));
    }
}
