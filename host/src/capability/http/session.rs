//! Who a request comes from: the `cookie` and `authorization` headers that the host writes, hop by hop.

use super::super::cookies::Jars;
use super::filled::Filled;
use super::hop::{Hop, Own};
use crate::protocol::Error;
use crate::protocol::http::{Credentials, Response, basic, digest};
use crate::wit::http;

/// What a request brings of its session. It is for the origin of the first hop.
#[derive(Default)]
pub(super) struct Session<'a> {
    /// The jar's number; 0 is the VU's own.
    pub(super) jar: u32,
    auth: Option<&'a http::Auth>,
    cookies: &'a [http::RequestCookie],
    /// The answer to a digest challenge of this hop.
    pub(super) answer: Option<String>,
}

impl<'a> Session<'a> {
    /// Takes over what the options say, with the secrets they name.
    pub(super) fn new(
        options: &'a http::RequestOptions,
        filled: Option<&'a Filled<'_>>,
        jars: &Jars,
    ) -> Result<Self, Error> {
        if !jars.has(options.jar) {
            return Err(Error::InvalidRequest(format!("there is no cookie jar {}", options.jar)));
        }
        let auth = filled.and_then(|filled| filled.auth.as_ref()).or(options.auth.as_ref());
        let cookies = filled.and_then(|filled| filled.cookies.as_deref()).unwrap_or(&options.cookies);
        for cookie in cookies {
            check_cookie(cookie)?;
        }
        Ok(Self { jar: options.jar, auth, cookies, answer: None })
    }

    /// Whether it still says who asks.
    pub(super) fn has_auth(&self) -> bool {
        self.auth.is_some()
    }

    /// Whether it still brings cookies of its own.
    pub(super) fn has_cookies(&self) -> bool {
        !self.cookies.is_empty()
    }

    /// Drops what only the first origin may see.
    pub(super) fn leave_origin(&mut self) {
        self.auth = None;
        self.cookies = &[];
    }

    /// The answer to an answer of 401, if it holds a challenge that was not answered yet.
    pub(super) fn challenged(&self, response: &Response, hop: &Hop<'_>) -> Option<String> {
        let Some(http::Auth::Digest(credentials)) = self.auth else { return None };
        if response.status != 401 || self.answer.is_some() {
            return None;
        }
        let challenges = response.header_all("www-authenticate");
        digest(&challenges, hop.method, hop.target.path_and_query(), hop.body, of(credentials))
    }
}

impl Hop<'_> {
    /// The headers that the host writes; `None` where there is nothing to write, as for most requests.
    pub(super) fn own(&self, jars: &Jars) -> Option<Box<Own>> {
        let session = &self.session;
        if session.auth.is_none()
            && session.cookies.is_empty()
            && jars.is_empty()
            && self.target.credentials().is_none()
        {
            return None;
        }
        Some(Box::new(Own { cookie: self.cookie(jars), authorization: self.authorization() }))
    }

    /// The guest's own `cookie` header, then the request's cookies, then the jar's: one header, in k6's order.
    fn cookie(&self, jars: &Jars) -> Option<String> {
        let of_request = self.session.cookies;
        let mut header = String::new();
        let mut add = |name: &str, value: &str| {
            let separator = if header.is_empty() { "" } else { "; " };
            for part in [separator, name, "=", value] {
                header.push_str(part);
            }
        };
        for cookie in of_request {
            add(&cookie.name, &cookie.value);
        }
        let is_replaced = |name: &str| of_request.iter().any(|cookie| cookie.replace && cookie.name == name);
        jars.each(self.session.jar, &self.target, |name, value| {
            if !is_replaced(name) {
                add(name, value);
            }
        });
        if header.is_empty() {
            return None;
        }
        let mut given: Vec<&str> = self.given("cookie").collect();
        given.push(&header);
        Some(given.join("; "))
    }

    /// What the request's options say goes before what its headers say, and that before what its URL says.
    fn authorization(&self) -> Option<String> {
        if let Some(auth) = self.session.auth {
            return match auth {
                http::Auth::Basic(credentials) => Some(basic(of(credentials))),
                http::Auth::Bearer(token) => Some(format!("Bearer {token}")),
                http::Auth::Digest(_) => self.session.answer.clone(),
            };
        }
        let (username, password) = self.target.credentials()?;
        let is_given = self.given("authorization").next().is_some();
        (!is_given).then(|| basic(Credentials { username, password }))
    }
}

fn of(credentials: &http::Credentials) -> Credentials<'_> {
    Credentials { username: &credentials.username, password: &credentials.password }
}

/// A `;` would make two cookies of one, an `=` in a name another cookie.
fn check_cookie(cookie: &http::RequestCookie) -> Result<(), Error> {
    let is_name = !cookie.name.is_empty() && !cookie.name.contains(|char: char| char == '=' || is_separator(char));
    if is_name && !cookie.value.contains(is_separator) {
        return Ok(());
    }
    let name = cookie.name.escape_debug();
    Err(Error::InvalidRequest(format!("the cookie `{name}` has a `;` or a control character, or no name")))
}

fn is_separator(char: char) -> bool {
    char == ';' || char.is_control()
}
