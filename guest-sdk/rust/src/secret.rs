//! Texts that a journey can name and never sees.

use crate::bindings::squall::journey::secret as host;
use crate::error::Error;

/// The text that stands for the secret `name`, which the run was given with `--secret` or in `secrets`.
///
/// It goes into the value of a header, into a body, a password, a token, or the value of a request's cookie. There the
/// host puts the secret's value when the request leaves, if the secret is granted for the host that it goes to; to any
/// other the request is not sent, which is [`Error::Denied`]. A URL cannot name a secret.
///
/// ```no_run
/// use squall_sdk::{Error, http, secret};
///
/// fn visit() -> Result<(), Error> {
///     http::Request::get("https://api.shop.test/orders").header("x-api-key", secret("api-key")?).send()?;
///     http::Request::get("https://api.shop.test/me").bearer(&secret("token")?).send()?;
///     Ok(())
/// }
/// ```
///
/// The text is `{{secret:NAME}}`. It may be written by hand as well, but in a text of `format!` each of its braces has to be
/// doubled again; and this call fails at once where no secret has the name, with [`Error::UnknownSecret`].
pub fn secret(name: &str) -> Result<String, Error> {
    Ok(host::reference(name)?)
}
