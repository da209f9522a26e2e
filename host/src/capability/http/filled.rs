//! A request with the run's secrets where the guest named them.
//!
//! What was named where is kept: a hop that still carries a secret must go to a host that the secret is for.

use super::super::secret::Secrets;
use super::hop::Hop;
use super::sender::Asked;
use crate::protocol::Error;
use crate::wit::http;

/// The parts of a request that name secrets, with their values. What names none is `None`.
pub(super) struct Filled<'a> {
    secrets: &'a Secrets,
    pub(super) headers: Option<Vec<http::Pair>>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) payload: Option<http::Payload>,
    pub(super) auth: Option<http::Auth>,
    pub(super) cookies: Option<Vec<http::RequestCookie>>,
    named: Vec<(Part, &'a str)>,
}

/// How often a request may name a secret: a short name may stand for a long value.
const MOST_NAMED: usize = 100;

/// Where a secret is in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// In the header of this name.
    Header(String),
    Body,
    Auth,
    Cookies,
}

impl<'a> Filled<'a> {
    /// Puts in the values; `None` where the request names no secret.
    pub(super) fn new(secrets: &'a Secrets, asked: Asked<'_>) -> Result<Option<Box<Self>>, Error> {
        let request = asked.request;
        if Secrets::is_named_in_url(&request.url) {
            let message = "a URL cannot name a secret, for URLs are in metrics and logs: a header or the body can";
            return Err(Error::InvalidRequest(message.to_owned()));
        }
        let mut filled =
            Self { secrets, headers: None, body: None, payload: None, auth: None, cookies: None, named: Vec::new() };
        for (index, header) in request.headers.iter().enumerate() {
            if let Some(value) = filled.text(&header.value, &Part::Header(header.name.clone()))? {
                filled.headers.get_or_insert_with(|| request.headers.clone())[index].value = value;
            }
        }
        if let Some(body) = &request.body {
            filled.body = filled.bytes(body)?;
        }
        if let Some(options) = asked.options {
            filled.fill_options(options)?;
        }
        Ok((!filled.named.is_empty()).then(|| Box::new(filled)))
    }

    /// Refuses a hop that would take a secret where it is not for.
    pub(super) fn check(&self, hop: &Hop<'_>) -> Result<(), Error> {
        let is_carried = |part: &Part| match part {
            Part::Header(name) => hop.headers.iter().any(|header| header.name == name),
            Part::Body => hop.body.is_some(),
            Part::Auth => hop.session.has_auth(),
            Part::Cookies => hop.session.has_cookies(),
        };
        let mut carried = self.named.iter().filter(|(part, _)| is_carried(part));
        carried.try_for_each(|(_, name)| self.secrets.check(name, &hop.target))
    }

    fn fill_options(&mut self, options: &http::RequestOptions) -> Result<(), Error> {
        self.auth = match &options.auth {
            None => None,
            Some(http::Auth::Basic(credentials)) => self.credentials(credentials)?.map(http::Auth::Basic),
            Some(http::Auth::Digest(credentials)) => self.credentials(credentials)?.map(http::Auth::Digest),
            Some(http::Auth::Bearer(token)) => self.text(token, &Part::Auth)?.map(http::Auth::Bearer),
        };
        for (index, cookie) in options.cookies.iter().enumerate() {
            if let Some(value) = self.text(&cookie.value, &Part::Cookies)? {
                self.cookies.get_or_insert_with(|| options.cookies.clone())[index].value = value;
            }
        }
        self.payload = match &options.body {
            None => None,
            Some(http::Payload::Content(content)) => self.content(content)?.map(http::Payload::Content),
            Some(http::Payload::Multipart(parts)) => self.parts(parts)?.map(http::Payload::Multipart),
        };
        Ok(())
    }

    fn credentials(&mut self, given: &http::Credentials) -> Result<Option<http::Credentials>, Error> {
        let username = self.text(&given.username, &Part::Auth)?;
        let password = self.text(&given.password, &Part::Auth)?;
        if username.is_none() && password.is_none() {
            return Ok(None);
        }
        let username = username.unwrap_or_else(|| given.username.clone());
        let password = password.unwrap_or_else(|| given.password.clone());
        Ok(Some(http::Credentials { username, password }))
    }

    fn parts(&mut self, given: &[http::Part]) -> Result<Option<Vec<http::Part>>, Error> {
        let mut filled: Option<Vec<http::Part>> = None;
        for (index, part) in given.iter().enumerate() {
            if let Some(content) = self.content(&part.content)? {
                filled.get_or_insert_with(|| given.to_vec())[index].content = content;
            }
        }
        Ok(filled)
    }

    /// What granted files hold is of whoever runs the journey, who can write there what is to be there.
    fn content(&mut self, content: &http::Content) -> Result<Option<http::Content>, Error> {
        match content {
            http::Content::Bytes(bytes) => Ok(self.bytes(bytes)?.map(http::Content::Bytes)),
            http::Content::File(_) => Ok(None),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let named = &mut self.named;
        self.secrets.fill(bytes, |name| note(named, &Part::Body, name))
    }

    fn text(&mut self, text: &str, part: &Part) -> Result<Option<String>, Error> {
        let named = &mut self.named;
        self.secrets.fill_text(text, |name| note(named, part, name))
    }
}

/// Notes that a part names a secret, and refuses one too many.
fn note<'a>(named: &mut Vec<(Part, &'a str)>, part: &Part, name: &'a str) -> Result<(), Error> {
    if named.len() >= MOST_NAMED {
        return Err(Error::InvalidRequest(format!("a request names secrets more than {MOST_NAMED} times")));
    }
    named.push((part.clone(), name));
    Ok(())
}
