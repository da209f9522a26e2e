//! Who we are: certificates of this client with their keys, and the hosts they are for.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfo;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, CertificateError};

use super::Error;
use crate::plan;

/// Why a certificate of this client cannot be used. Never shows the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate; why.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// The key; why.
    #[error("the key cannot be used: {0}")]
    Key(String),
    /// A domain that is none.
    #[error("`{0}` is neither a host nor a domain like `*.example.com`")]
    Domain(String),
    /// The VU's connections are others' too.
    #[error("connections are shared among virtual users (`shared`), so none of them can have a certificate of its own")]
    Shared,
    /// The VU has as many as it may.
    #[error("a virtual user can hold {0} certificates, and this one does")]
    TooMany(usize),
}

/// A certificate of this client, ready to be shown.
#[derive(Debug)]
pub(super) struct Identity {
    domains: Vec<String>,
    resolver: Arc<dyn ResolvesClientCert>,
}

impl Identity {
    pub(super) fn read(
        certificate: &str,
        key: &str,
        password: Option<&str>,
        domains: &[String],
    ) -> Result<Self, IdentityError> {
        let domains = domains.iter().map(|domain| read_domain(domain)).collect::<Result<_, _>>()?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| IdentityError::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(IdentityError::Certificate("there is no `BEGIN CERTIFICATE` in it".to_owned()));
        }
        let key = read_key(key, password).map_err(IdentityError::Key)?;
        let key = ring::default_provider().key_provider.load_private_key(key);
        let certified = CertifiedKey::new(chain, key.map_err(|error| IdentityError::Key(error.to_string()))?);
        check(&certified)?;
        Ok(Self { domains, resolver: Arc::new(SingleCertAndKey::from(certified)) })
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::clone(&self.resolver)
    }

    pub(super) fn is_for_the_same(&self, other: &Self) -> bool {
        self.domains == other.domains
    }

    /// How well it fits a host: 1 is for all, 2 for the host's domain, 3 for the very host; 0 is not at all.
    fn fits(&self, host: &str) -> u8 {
        if self.domains.is_empty() {
            return 1;
        }
        let fit = |domain: &String| match domain.strip_prefix('*') {
            // As in certificates, `*` is one label.
            Some(parent) if host.find('.').is_some_and(|dot| &host[dot..] == parent) => 2,
            None if domain == host => 3,
            _ => 0,
        };
        self.domains.iter().map(fit).max().unwrap_or(0)
    }
}

/// The one that fits a host best; of several the first.
pub(super) fn choose<'a>(identities: &'a [Arc<Identity>], host: &str) -> Option<&'a Arc<Identity>> {
    let fitting = identities.iter().map(|identity| (identity.fits(host), identity)).filter(|(fit, _)| *fit > 0);
    // `max_by_key` takes the last of several.
    fitting.rev().max_by_key(|(fit, _)| *fit).map(|(_, identity)| identity)
}

/// Whether certificate and key belong together.
fn check(certified: &CertifiedKey) -> Result<(), IdentityError> {
    match certified.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(IdentityError::Key("it is not the certificate's".to_owned()))
        }
        // A certificate of version 1, as `openssl x509 -req` makes them, cannot be compared. The server judges it.
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(why)))
            if why.to_string() == "UnsupportedCertVersion" =>
        {
            Ok(())
        }
        Err(rustls::Error::InvalidCertificate(why)) => Err(IdentityError::Certificate(why.to_string())),
        _ => Ok(()),
    }
}

/// Those of the plan; an error says which one it is.
pub(super) fn read_all(all: &[plan::http::Identity]) -> Result<Vec<Arc<Identity>>, Error> {
    let read = |(number, one): (usize, &plan::http::Identity)| {
        let password = one.password.as_ref().map(|password| password.0.as_str());
        Identity::read(&one.certificate, &one.key.0, password, &one.domains).map(Arc::new).map_err(|error| {
            let whose = match one.domains.as_slice() {
                [] => "all hosts".to_owned(),
                domains => format!("`{}`", domains.join("`, `")),
            };
            Error::Tls(format!("client certificate {} of {} (for {whose}): {error}", number + 1, all.len()))
        })
    };
    all.iter().enumerate().map(read).collect()
}

fn read_domain(text: &str) -> Result<String, IdentityError> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    if name.is_empty() || name.contains(['*', '/', ' ']) || name.starts_with('.') {
        return Err(IdentityError::Domain(text.to_owned()));
    }
    // Hosts of URLs are in lower case.
    Ok(text.to_lowercase())
}

/// A key in PKCS#8, PKCS#1 or SEC 1, or in PKCS#8 encrypted by PBES2.
fn read_key(text: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err("it is encrypted in a way that is too weak to be supported; \
                    convert it: `openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.key -out new.key`"
            .to_owned());
    }
    if let Some(encrypted) = section(text, "ENCRYPTED PRIVATE KEY") {
        let password = password.ok_or("it is encrypted, and there is no password")?;
        let der = STANDARD.decode(encrypted).map_err(|_| "it is not base64")?;
        let info = EncryptedPrivateKeyInfo::try_from(der.as_slice()).map_err(|_| {
            "it is encrypted in a way that is not supported; \
             convert it: `openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.key -out new.key`"
        })?;
        let plain = info.decrypt(password).map_err(|_| "the password does not open it")?;
        return Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into());
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => "there is no `BEGIN PRIVATE KEY` in it".to_owned(),
        // The library's words may quote the line that is wrong, and the line may be of the key.
        _ => "it is not PEM".to_owned(),
    })
}

/// What is between the lines that begin and end a section of PEM, without white space.
fn section(text: &str, label: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (inside, _) = rest.split_once(&format!("-----END {label}-----"))?;
    Some(inside.split_whitespace().collect())
}
