//! The run's secrets in a request, where its guest named them.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;

use super::exchange::Outbound;
use crate::capability::secret::Secrets;
use crate::protocol::Error;
use crate::protocol::http::Target;

/// A body that may name secrets is put together before it is sent if it has no more bytes than this. Longer ones are
/// sent as they come, and may name none: a name could be cut in two.
const LONGEST: usize = 64 << 10;

/// Refuses a URL that names a secret.
pub(super) fn check_url(secrets: Option<&Secrets>, url: &str) -> Result<(), Error> {
    if secrets.is_some() && Secrets::is_named_in_url(url) {
        let message = "a URL cannot name a secret, for URLs are in metrics and logs: a header or the body can";
        return Err(Error::InvalidRequest(message.to_owned()));
    }
    Ok(())
}

/// Headers as text, with values in the place of what names them.
pub(super) fn headers<'a>(
    secrets: Option<&Secrets>,
    target: &Target,
    headers: &'a HeaderMap,
) -> Result<Vec<(&'a str, Cow<'a, str>)>, Error> {
    let mut given = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let name = name.as_str();
        let value = std::str::from_utf8(value.as_bytes())
            .map_err(|_| Error::InvalidRequest(format!("header `{name}` has a value that is not UTF-8")))?;
        let filled = match secrets {
            None => None,
            Some(secrets) => secrets.fill_text(value, |name| secrets.check(name, target))?,
        };
        given.push((name, filled.map_or(Cow::Borrowed(value), Cow::Owned)));
    }
    Ok(given)
}

/// The whole of a short body, filled in. What was read of a longer one is put back.
pub(super) async fn body(secrets: &Secrets, target: &Target, body: &mut Outbound) -> Result<Option<Vec<u8>>, Error> {
    let mut whole = Vec::new();
    while let Some(bytes) = body.next().await? {
        whole.extend_from_slice(&bytes);
        if whole.len() > LONGEST {
            body.put_back(whole.into());
            return Ok(None);
        }
    }
    let filled = secrets.fill(&whole, |name| secrets.check(name, target))?;
    Ok(Some(filled.unwrap_or(whole)))
}

/// Refuses a piece of a body that names a secret.
pub(super) fn check_piece(secrets: Option<&Secrets>, piece: &Bytes) -> Result<(), Error> {
    if secrets.is_some() && Secrets::is_named(piece) {
        let message = "a body of more than 64 KiB cannot name a secret: a shorter one or a header can";
        return Err(Error::InvalidRequest(message.to_owned()));
    }
    Ok(())
}
