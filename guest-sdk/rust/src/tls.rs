//! Who this virtual user is to servers that ask for a client's certificate.
//!
//! Certificates for the whole run are the option `tlsAuth`. These are for one virtual user:
//!
//! ```no_run
//! use squall_sdk::{Error, http, tls, vu};
//!
//! fn visit() -> Result<(), Error> {
//!     if vu::iteration() == 0 {
//!         let (certificate, key) = issue_for(vu::id());
//!         tls::Certificate::new(&certificate, &key).domain("*.example.com").show()?;
//!     }
//!     http::get("https://api.example.com/")?;
//!     Ok(())
//! }
//! # fn issue_for(user: u32) -> (String, String) { (format!("cert {user}"), format!("key {user}")) }
//! ```

use crate::bindings::squall::journey::tls;
use crate::error::Error;

/// Shows a certificate to every server that asks for one, from now on. See [`Certificate`] for more.
///
/// Both are PEM: the certificate with its chain, and the key in PKCS#8, PKCS#1 or SEC 1.
pub fn use_certificate(certificate: &str, key: &str) -> Result<(), Error> {
    Certificate::new(certificate, key).show()
}

/// Forgets this virtual user's certificates.
pub fn clear_certificates() {
    tls::clear_certificates();
}

/// A certificate of this virtual user, with what goes with it.
#[derive(Clone)]
#[must_use = "it is not shown until `show`"]
pub struct Certificate<'a> {
    chain: &'a str,
    key: &'a str,
    password: Option<&'a str>,
    domains: Vec<&'a str>,
}

impl<'a> Certificate<'a> {
    /// A certificate and its key, both PEM, for all hosts.
    pub fn new(certificate: &'a str, key: &'a str) -> Self {
        Self { chain: certificate, key, password: None, domains: Vec::new() }
    }

    /// The password of an encrypted PKCS#8 key.
    pub fn password(mut self, password: &'a str) -> Self {
        self.password = Some(password);
        self
    }

    /// A host it is for, or a domain like `*.example.com`, where `*` is one label. May be called several times.
    pub fn domain(mut self, domain: &'a str) -> Self {
        self.domains.push(domain);
        self
    }

    /// Shows it from now on, before the run's certificates, and in place of an earlier one of the same domains.
    ///
    /// It closes idle connections and takes a while if the key is encrypted, so do it in the first iteration only. It
    /// stays until the instance is replaced (see [`vu::instance`](crate::vu::instance)).
    pub fn show(&self) -> Result<(), Error> {
        Ok(tls::use_certificate(self.chain, self.key, self.password, &self.domains)?)
    }
}

impl std::fmt::Debug for Certificate<'_> {
    // The key is not for logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("domains", &self.domains).finish_non_exhaustive()
    }
}
