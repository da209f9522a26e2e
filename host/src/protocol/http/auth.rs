//! What an `authorization` header says: basic (RFC 7617) and digest (RFC 7616).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_auth::{DigestClient, PasswordParams, digest::Qop};

use super::Body;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// The user's name.
    pub username: &'a str,
    /// The password.
    pub password: &'a str,
}

/// The value of an `authorization` header that gives name and password away.
#[must_use]
pub fn basic(credentials: Credentials<'_>) -> String {
    let Credentials { username, password } = credentials;
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// Answers the first digest challenge among `www-authenticate` headers that can be answered; `None` if there is none.
#[must_use]
pub fn digest(
    challenges: &[String],
    method: &str,
    uri: &str,
    body: Option<Body<'_>>,
    credentials: Credentials<'_>,
) -> Option<String> {
    let parsed = challenges.iter().filter_map(|header| http_auth::parse_challenges(header).ok()).flatten();
    let mut clients = parsed.filter_map(|challenge| DigestClient::try_from(&challenge).ok());
    clients.find_map(|mut client| {
        // The body goes into the answer only where the server wants nothing less.
        let is_without = client.qop() & Qop::Auth;
        let whole = body.filter(|_| !is_without).map(Body::whole).unwrap_or_default();
        let body = (!is_without).then_some(&*whole);
        let Credentials { username, password } = credentials;
        client.respond(&PasswordParams { username, password, uri, method, body }).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUFASA: Credentials<'_> = Credentials { username: "Mufasa", password: "Circle of Life" };

    fn answer(challenges: &[&str]) -> Option<String> {
        let challenges: Vec<String> = challenges.iter().map(|&text| text.to_owned()).collect();
        digest(&challenges, "GET", "/dir/index.html", None, MUFASA)
    }

    #[test]
    fn basic_is_name_and_password_in_base64() {
        let credentials = Credentials { username: "Aladdin", password: "open sesame" };
        assert_eq!(basic(credentials), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_digest_says_which_algorithm_and_nonce_it_answers() {
        for algorithm in ["MD5", "SHA-256"] {
            let challenge = format!("Digest realm=\"r\", qop=\"auth, auth-int\", algorithm={algorithm}, nonce=\"n1\"");
            let answer = answer(&["Basic realm=\"r\"", &challenge]).unwrap();
            for part in [format!("algorithm={algorithm}"), "nonce=\"n1\"".to_owned(), "qop=auth,".to_owned()] {
                assert!(answer.starts_with("Digest ") && answer.contains(&part), "{answer}");
            }
            assert!(!answer.contains("Circle"), "{answer}");
        }
        assert!(answer(&["Digest realm=\"r\", qop=\"auth-int\", nonce=\"n\""]).unwrap().contains("qop=auth-int"));
    }

    #[test]
    fn what_is_no_digest_challenge_is_not_answered() {
        for challenge in ["Basic realm=\"r\"", "Digest", "Digest realm=\"r\", nonce=\"n\", algorithm=ROT13", "%%%"] {
            assert_eq!(answer(&[challenge]), None, "{challenge}");
        }
    }
}
