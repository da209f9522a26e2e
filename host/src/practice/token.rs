//! Bearer tokens that the server can check without remembering them.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Makes the token of a user.
pub(super) fn issue(username: &str) -> String {
    let mut token = String::new();
    for byte in username.bytes() {
        token.push(digit(byte >> 4));
        token.push(digit(byte & 15));
    }
    token.push('.');
    token + &format!("{:016x}", seal(username))
}

/// Returns the user of a valid `authorization` header.
pub(super) fn user_of(authorization: &str) -> Option<String> {
    let (scheme, token) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (name, _) = token.split_once('.')?;
    let digits = name
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok());
    let bytes = digits
        .map(|pair| u8::from_str_radix(pair?, 16).ok())
        .collect::<Option<Vec<u8>>>()?;
    let username = String::from_utf8(bytes).ok()?;
    (issue(&username) == token).then_some(username)
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).expect("half a byte is below 16")
}

/// Enough to tell a made-up token from an issued one; nothing here is worth protecting.
fn seal(username: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    ("squall practice", username).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issued_token_names_its_user_and_a_made_up_one_nobody() {
        let token = issue("zoë");
        assert_eq!(user_of(&format!("Bearer {token}")), Some("zoë".to_owned()));
        assert_eq!(user_of(&format!("bearer {token}")), Some("zoë".to_owned()));
        for header in [
            format!("Basic {token}"),
            "Bearer ".to_owned(),
            format!("Bearer {token}0"),
            "Bearer 61.0".to_owned(),
        ] {
            assert_eq!(user_of(&header), None, "{header}");
        }
    }
}
