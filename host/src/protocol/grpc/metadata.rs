//! Metadata: what may be sent, and what came.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Reads base64 with and without padding, as the specification asks.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Writes it without, as the specification would have it.
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, NO_PAD);

/// Names that are the protocol's own. Whatever begins with `grpc-` is, too.
const RESERVED: &[&str] = &[
    "content-type",
    "te",
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "content-length",
];
/// What the protocol says in an answer and the status holds already.
const TOLD: &[&str] =
    &["grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-encoding", "grpc-accept-encoding"];

/// Metadata, as it goes on the wire.
#[derive(Debug, Clone, Default)]
pub struct Metadata(pub(super) HeaderMap);

/// Why a name or a value is no metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The name has letters that none may have.
    #[error("`{0}` is no name of metadata")]
    Name(String),
    /// The name is the protocol's own.
    #[error("`{0}` is gRPC's own and cannot be given")]
    Reserved(String),
    /// The value has letters that none may have.
    #[error("the value of `{0}` is not printable ASCII, which only names that end with `-bin` may be without")]
    Value(String),
    /// The value of a name that ends with `-bin` is not base64.
    #[error("the value of `{0}` is not base64")]
    Base64(String),
}

impl Metadata {
    /// Adds a name and its value; base64 where the name ends with `-bin`.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), MetadataError> {
        let shown = || name.chars().take(100).collect::<String>();
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| MetadataError::Name(shown()))?;
        if key.as_str().starts_with("grpc-") || RESERVED.contains(&key.as_str()) {
            return Err(MetadataError::Reserved(shown()));
        }
        let value = if key.as_str().ends_with("-bin") {
            let bytes = LENIENT.decode(value).map_err(|_| MetadataError::Base64(shown()))?;
            HeaderValue::try_from(PLAIN.encode(bytes)).map_err(|_| MetadataError::Base64(shown()))?
        } else {
            // Blanks around a value are not part of it, and HTTP/2 forbids them.
            let value = value.trim_matches(' ');
            if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                return Err(MetadataError::Value(shown()));
            }
            HeaderValue::from_str(value).map_err(|_| MetadataError::Value(shown()))?
        };
        self.0.append(key, value);
        Ok(())
    }
}

/// What came, without what the status holds already; bytes as base64 with its padding.
pub(super) fn received(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut pairs = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let name = name.as_str();
        if TOLD.contains(&name) {
            continue;
        }
        if name.ends_with("-bin") {
            // Several may stand in one header, with commas between them.
            for one in value.as_bytes().split(|&byte| byte == b',') {
                let value = match LENIENT.decode(one.trim_ascii()) {
                    Ok(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes),
                    Err(_) => String::from_utf8_lossy(one).into_owned(),
                };
                pairs.push((name.to_owned(), value));
            }
        } else {
            pairs.push((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(name: &str, value: &str) -> Result<String, MetadataError> {
        let mut metadata = Metadata::default();
        metadata.add(name, value)?;
        let (name, value) = metadata.0.iter().next().unwrap();
        Ok(format!("{name}: {}", value.to_str().unwrap()))
    }

    #[test]
    fn metadata_goes_out_as_the_specification_has_it() {
        assert_eq!(added("X-Token", " a b ").as_deref(), Ok("x-token: a b"));
        assert_eq!(added("x-bin", "AQ==").as_deref(), Ok("x-bin: AQ"));
        assert_eq!(added("x-bin", "AQ").as_deref(), Ok("x-bin: AQ"));
        assert_eq!(added("x-bin", "?"), Err(MetadataError::Base64("x-bin".to_owned())));
        assert_eq!(added("x", "ä"), Err(MetadataError::Value("x".to_owned())));
        assert_eq!(added("x", "a\r\nb: c"), Err(MetadataError::Value("x".to_owned())));
        for name in ["grpc-timeout", "TE", "content-type", "host"] {
            assert_eq!(added(name, "x"), Err(MetadataError::Reserved(name.to_owned())), "{name}");
        }
        for name in ["", ":path", "a b", "ä", "a\n"] {
            assert_eq!(added(name, "x"), Err(MetadataError::Name(name.to_owned())), "{name}");
        }
    }

    #[test]
    fn what_came_is_shown_without_what_the_status_holds() {
        let headers = [("grpc-status", "0"), ("x", "1"), ("y-bin", "AQ,Ag=="), ("z-bin", "?")];
        let headers = headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let pairs = received(&headers.into_iter().collect());
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("x", "1"), ("y-bin", "AQ=="), ("y-bin", "Ag=="), ("z-bin", "?")]);
    }
}
