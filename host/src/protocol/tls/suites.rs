//! Versions of TLS, and cipher suites by their IANA names.

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::{self, CipherSuite, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::Error;
use crate::plan::http::TlsVersion;

/// The cryptography, restricted to these cipher suites; none named are all.
pub(super) fn provider(names: &[String]) -> Result<CryptoProvider, Error> {
    let mut provider = ring::default_provider();
    if names.is_empty() {
        return Ok(provider);
    }
    let known = std::mem::take(&mut provider.cipher_suites);
    for wanted in names {
        let Some(suite) = known.iter().find(|suite| is_called(suite, wanted)) else {
            let names: Vec<_> = known.iter().filter_map(|suite| name(suite.suite())).collect();
            return Err(Error::Tls(format!("cipher suite `{wanted}` is not one of `{}`", names.join("`, `"))));
        };
        if !provider.cipher_suites.contains(suite) {
            provider.cipher_suites.push(*suite);
        }
    }
    Ok(provider)
}

/// The versions from `min` to `max` that have a cipher suite.
pub(super) fn versions(
    min: TlsVersion,
    max: TlsVersion,
    provider: &CryptoProvider,
) -> Result<Vec<&'static SupportedProtocolVersion>, Error> {
    if min > max {
        let (min, max) = (number(min), number(max));
        return Err(Error::Tls(format!("the lowest version, TLS {min}, is above the highest, TLS {max}")));
    }
    let allowed = [(TlsVersion::Tls13, &version::TLS13), (TlsVersion::Tls12, &version::TLS12)];
    let allowed = allowed.into_iter().filter(|(version, _)| (min..=max).contains(version)).map(|(_, version)| version);
    let has_suite = |version: &&SupportedProtocolVersion| {
        provider.cipher_suites.iter().any(|suite| suite.version().version == version.version)
    };
    let usable: Vec<_> = allowed.filter(has_suite).collect();
    if usable.is_empty() {
        let names: Vec<_> = provider.cipher_suites.iter().filter_map(|suite| name(suite.suite())).collect();
        let versions = if min == max { number(min).to_owned() } else { format!("{} to {}", number(min), number(max)) };
        return Err(Error::Tls(format!(
            "none of the cipher suites `{}` belongs to TLS {versions}",
            names.join("`, `")
        )));
    }
    Ok(usable)
}

/// The suite with which QUIC protects what precedes the handshake's own (RFC 9001, 5.2), whatever the plan allows for it.
pub(in super::super) fn initial() -> rustls::quic::Suite {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    suite.and_then(rustls::Tls13CipherSuite::quic_suite).expect("the library has QUIC for this suite")
}

/// The IANA name of a cipher suite.
pub(super) fn name(suite: CipherSuite) -> Option<&'static str> {
    match suite {
        // The library sets those of TLS 1.3 apart by another prefix.
        CipherSuite::TLS13_AES_128_GCM_SHA256 => Some("TLS_AES_128_GCM_SHA256"),
        CipherSuite::TLS13_AES_256_GCM_SHA384 => Some("TLS_AES_256_GCM_SHA384"),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Some("TLS_CHACHA20_POLY1305_SHA256"),
        other => other.as_str(),
    }
}

/// Go, and so k6, leaves the hash out of some names.
fn is_called(suite: &SupportedCipherSuite, wanted: &str) -> bool {
    name(suite.suite()).is_some_and(|name| name == wanted || name.strip_suffix("_SHA256") == Some(wanted))
}

fn number(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::Tls12 => "1.2",
        TlsVersion::Tls13 => "1.3",
    }
}
