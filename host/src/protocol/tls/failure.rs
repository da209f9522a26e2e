//! What went wrong, in words that stay the same from request to request: they become a tag.

use std::io;

use tokio_rustls::rustls::{self, CertificateError, InvalidMessage};

use super::Error;

/// Sorts what a handshake failed with.
pub(super) fn of(error: &io::Error) -> Error {
    match inner(error) {
        Some(rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        )) => Error::NotTls("the first bytes of the answer are not TLS".to_owned()),
        Some(inner) => sort(inner),
        None => Error::from_io(error),
    }
}

/// Puts what a secured stream failed with after the handshake in our words: in TLS 1.3 this is how a client learns that
/// its certificate was refused. The words are all that is left of an error that went through `h2`, beside its kind,
/// `InvalidData`, which nothing but TLS fails with.
pub(in super::super) fn in_our_words(error: io::Error) -> io::Error {
    match inner(&error).map(sort) {
        Some(Error::Tls(words) | Error::UnknownAuthority(words) | Error::WrongHost(words)) => {
            io::Error::new(io::ErrorKind::InvalidData, words)
        }
        _ => error,
    }
}

fn inner(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The alert that a server sent inside QUIC.
pub(in super::super) fn of_alert(alert: u8) -> Error {
    sort(&rustls::Error::AlertReceived(alert.into()))
}

pub(super) fn sort(error: &rustls::Error) -> Error {
    use rustls::Error as Tls;
    let text = match error {
        Tls::InvalidCertificate(certificate) => return of_certificate(certificate),
        Tls::AlertReceived(alert) => {
            format!("the server sent the alert `{}`", words(&format!("{alert:?}"), '_'))
        }
        Tls::PeerIncompatible(why) => format!("the server is incompatible: {}", words(&format!("{why:?}"), ' ')),
        Tls::PeerMisbehaved(why) => format!("the server misbehaved: {}", words(&format!("{why:?}"), ' ')),
        other => other.to_string(),
    };
    Error::Tls(text)
}

fn of_certificate(error: &CertificateError) -> Error {
    let text = match error {
        CertificateError::UnknownIssuer => {
            return Error::UnknownAuthority("certificate signed by unknown authority".to_owned());
        }
        // What `openssl req -x509` makes for a server.
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            let text = "certificate signed by itself: it is an authority's (CA:TRUE), not a server's";
            return Error::UnknownAuthority(text.to_owned());
        }
        // An authority made anew under its old name.
        CertificateError::BadSignature => {
            let text = "certificate signed by unknown authority: a trusted one has its name, but another key";
            return Error::UnknownAuthority(text.to_owned());
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            return Error::WrongHost(error.to_string());
        }
        // The library's words count the seconds since, and are new each second.
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("certificate expired: it was valid until {}", date(not_after.as_secs()))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("certificate not valid yet: it will be from {}", date(not_before.as_secs()))
        }
        other => format!("invalid certificate: {}", words(&other.to_string(), ' ')),
    };
    Error::Tls(text)
}

/// `HandshakeFailure` is `handshake_failure`, `UnknownCA` is `unknown_ca`; what is no single word stays as it is.
fn words(name: &str, between: char) -> String {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return name.to_owned();
    }
    let bytes = name.as_bytes();
    let mut text = String::with_capacity(name.len() + 8);
    for (at, byte) in bytes.iter().enumerate() {
        let after_small = at > 0 && !bytes[at - 1].is_ascii_uppercase();
        let before_small = at > 0 && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        if byte.is_ascii_uppercase() && (after_small || before_small) {
            text.push(between);
        }
        text.push(char::from(byte.to_ascii_lowercase()));
    }
    text
}

/// A moment as a date and a time, from its seconds since 1970.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0 in eras of 400 years, in which the leap day comes last in its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = 400 * era + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3_600, rest % 3_600 / 60)
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(date(951_868_799), "2000-02-29 23:59 UTC");
        assert_eq!(date(4_102_444_800), "2100-01-01 00:00 UTC");
    }

    #[test]
    fn names_become_words() {
        assert_eq!(words("HandshakeFailure", '_'), "handshake_failure");
        assert_eq!(words("UnknownCA", '_'), "unknown_ca");
        assert_eq!(words("BadCertificateStatusResponse", '_'), "bad_certificate_status_response");
        assert_eq!(words("ServerDoesNotSupportTls12Or13", ' '), "server does not support tls12 or13");
        assert_eq!(words("Unknown(200)", '_'), "Unknown(200)");
    }
}
