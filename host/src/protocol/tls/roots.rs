//! Whom to trust.

use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::Error;

/// The system's roots, if they are wanted, and these.
pub(super) fn trusted(system: bool, further: &[String]) -> Result<Arc<RootCertStore>, Error> {
    let systems = system.then(system_roots);
    let mut store = match systems {
        Some(store) if further.is_empty() => return Ok(store),
        Some(store) => (*store).clone(),
        None => RootCertStore::empty(),
    };
    for (number, text) in further.iter().enumerate() {
        let wrong = |why: String| Error::Tls(format!("root certificates {}: {why}", number + 1));
        let mut found = false;
        for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            store.add(certificate).map_err(|error| wrong(error.to_string()))?;
            found = true;
        }
        if !found {
            return Err(wrong("there is no `BEGIN CERTIFICATE` in them".to_owned()));
        }
    }
    Ok(Arc::new(store))
}

/// Reading them takes some 20 ms, so the process does it once.
pub(super) fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut store = RootCertStore::empty();
        // A root that cannot be read is left out, as every client does; without any, handshakes fail and say why.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    };
    Arc::clone(ROOTS.get_or_init(read))
}
