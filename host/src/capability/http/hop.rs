//! One hop of a request: what it sends, and what changes on the way to the next (RFC 9110, 15.4).

use std::sync::Arc;

use super::session::Session;
use crate::protocol::Error;
use crate::protocol::http::{Body, Header, Response, Target};

/// One hop.
pub(super) struct Hop<'a> {
    pub(super) method: &'a str,
    /// Headers that the guest gave.
    pub(super) headers: Vec<Header<'a>>,
    pub(super) body: Option<Body<'a>>,
    pub(super) target: Arc<Target>,
    pub(super) session: Session<'a>,
}

/// Headers that the host writes for a session.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) cookie: Option<String>,
    pub(super) authorization: Option<String>,
}

impl<'a> Hop<'a> {
    /// The guest's headers and the host's, which take the place of the guest's.
    pub(super) fn with_own<'o>(&self, own: &'o Own) -> Vec<Header<'o>>
    where
        'a: 'o,
    {
        let written = [("cookie", own.cookie.as_deref()), ("authorization", own.authorization.as_deref())];
        let is_written =
            |name: &str| written.iter().any(|(written, value)| value.is_some() && name.eq_ignore_ascii_case(written));
        let mut headers: Vec<Header<'o>> =
            self.headers.iter().filter(|header| !is_written(header.name)).copied().collect();
        headers.extend(written.into_iter().filter_map(|(name, value)| Some(Header { name, value: value? })));
        headers
    }

    /// The values of a header that the guest gave.
    pub(super) fn given(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// Turns to the next hop: what changes the method, and what another origin must not see.
    pub(super) fn follow(&mut self, status: u16, mut next: Target) {
        let becomes_get = match status {
            303 => self.method != "HEAD",
            301 | 302 => self.method == "POST",
            _ => false,
        };
        if becomes_get {
            self.method = "GET";
            self.body = None;
            self.headers.retain(|header| !header.name.to_ascii_lowercase().starts_with("content-"));
        }
        if self.target.same_origin(&next) {
            next.inherit_credentials(&self.target);
        } else {
            self.headers.retain(|header| {
                !["authorization", "cookie", "proxy-authorization"]
                    .iter()
                    .any(|name| header.name.eq_ignore_ascii_case(name))
            });
            self.session.leave_origin();
        }
        // A digest is for one path.
        self.session.answer = None;
        self.target = Arc::new(next);
    }
}

/// Where an answer sends us, if it does.
pub(super) fn redirect(response: &Response, from: &Target) -> Option<Result<Target, Error>> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.header("location")?;
    Some(from.join(&location))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop<'a>(method: &'a str, url: &str) -> Hop<'a> {
        let headers = [("Authorization", "a"), ("Cookie", "c=1"), ("Content-Type", "t"), ("accept", "x")];
        Hop {
            method,
            headers: headers.map(|(name, value)| Header { name, value }).to_vec(),
            body: Some(Body::Whole(b"body")),
            target: Arc::new(Target::parse(url).unwrap()),
            session: Session::default(),
        }
    }

    fn names<'a>(hop: &Hop<'a>) -> Vec<&'a str> {
        hop.headers.iter().map(|header| header.name).collect()
    }

    #[test]
    fn a_redirect_changes_the_method_where_browsers_do() {
        for (status, method, then, keeps_body) in [
            (301, "POST", "GET", false),
            (302, "POST", "GET", false),
            (303, "PUT", "GET", false),
            (303, "HEAD", "HEAD", true),
            (301, "PUT", "PUT", true),
            (302, "DELETE", "DELETE", true),
            (307, "POST", "POST", true),
            (308, "POST", "POST", true),
        ] {
            let mut hop = hop(method, "http://a.test/");
            hop.follow(status, Target::parse("http://a.test/x").unwrap());
            assert_eq!((hop.method, hop.body.is_some()), (then, keeps_body), "{status} {method}");
            assert_eq!(names(&hop).contains(&"Content-Type"), keeps_body, "{status} {method}");
        }
    }

    #[test]
    fn another_origin_sees_no_secrets_and_they_do_not_come_back() {
        let mut hop = hop("GET", "http://ada:secret@a.test/");
        hop.follow(302, hop.target.join("/x").unwrap());
        assert_eq!(names(&hop), ["Authorization", "Cookie", "Content-Type", "accept"]);
        assert_eq!(hop.target.credentials(), Some(("ada", "secret")));
        for next in ["http://a.test:8080/", "http://a.test/"] {
            hop.follow(302, Target::parse(next).unwrap());
            assert_eq!(names(&hop), ["Content-Type", "accept"], "{next}");
            assert_eq!(hop.target.credentials(), None, "{next}");
        }
    }
}
