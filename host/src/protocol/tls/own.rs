//! What one VU has of its own: the certificates its journey gave it, and the sessions it may resume.

use std::cell::RefCell;
use std::sync::Arc;

use send_wrapper::SendWrapper;
use tokio_rustls::rustls::ClientConfig;

use super::Alpn;
use super::identity::{self, Identity, IdentityError};
use super::sessions::Sessions;

/// How many certificates a VU may hold.
const MOST: usize = 64;

/// One VU's part; nothing until its first TLS connection or certificate.
#[derive(Debug)]
pub(in super::super) struct Own(SendWrapper<RefCell<Option<Box<Parts>>>>);

#[derive(Debug, Default)]
struct Parts {
    identities: Vec<Arc<Identity>>,
    configs: Configs,
    sessions: Arc<Sessions>,
    /// Those of QUIC, which are none of TLS over TCP.
    of_quic: Option<Arc<Sessions>>,
}

/// rustls' configurations by who we are in them and what is offered. They are few, and told apart by address.
#[derive(Debug, Default)]
pub(super) struct Configs(Vec<(Option<Arc<Identity>>, Alpn, Arc<ClientConfig>)>);

impl Default for Own {
    fn default() -> Self {
        Self(SendWrapper::new(RefCell::default()))
    }
}

impl Own {
    /// Uses a certificate from now on, in place of an earlier one for the same domains.
    pub(in super::super) fn add(
        &self,
        certificate: &str,
        key: &str,
        password: Option<&str>,
        domains: &[String],
    ) -> Result<(), IdentityError> {
        let identity = Identity::read(certificate, key, password, domains)?;
        let mut own = self.0.borrow_mut();
        let parts = own.get_or_insert_default();
        parts.identities.retain(|other| !other.is_for_the_same(&identity));
        if parts.identities.len() == MOST {
            return Err(IdentityError::TooMany(MOST));
        }
        parts.identities.push(Arc::new(identity));
        parts.configs = Configs::default();
        Ok(())
    }

    /// Forgets all certificates.
    pub(in super::super) fn clear(&self) {
        if let Some(parts) = self.0.borrow_mut().as_mut() {
            parts.identities = Vec::new();
            parts.configs = Configs::default();
        }
    }

    /// Whether it has certificates of its own.
    pub(in super::super) fn has_identities(&self) -> bool {
        self.0.borrow().as_ref().is_some_and(|parts| !parts.identities.is_empty())
    }

    pub(super) fn identity(&self, host: &str) -> Option<Arc<Identity>> {
        self.0.borrow().as_ref().and_then(|parts| identity::choose(&parts.identities, host).cloned())
    }

    pub(super) fn config(
        &self,
        identity: Option<Arc<Identity>>,
        alpn: Alpn,
        make: impl FnOnce(Option<&Identity>, &Arc<Sessions>) -> Arc<ClientConfig>,
    ) -> Arc<ClientConfig> {
        let mut own = self.0.borrow_mut();
        let Parts { configs, sessions, of_quic, .. } = &mut **own.get_or_insert_default();
        let sessions = if alpn == Alpn::Http3 { of_quic.get_or_insert_default() } else { sessions };
        configs.get_or_make(identity, alpn, |identity| make(identity, sessions))
    }
}

impl Configs {
    pub(super) fn get_or_make(
        &mut self,
        identity: Option<Arc<Identity>>,
        alpn: Alpn,
        make: impl FnOnce(Option<&Identity>) -> Arc<ClientConfig>,
    ) -> Arc<ClientConfig> {
        let address = |identity: &Option<Arc<Identity>>| identity.as_ref().map(Arc::as_ptr);
        let is_same =
            |other: &Option<Arc<Identity>>, offered: Alpn| address(other) == address(&identity) && offered == alpn;
        if let Some((.., config)) = self.0.iter().find(|(other, offered, _)| is_same(other, *offered)) {
            return Arc::clone(config);
        }
        let config = make(identity.as_deref());
        self.0.reserve_exact(1);
        self.0.push((identity, alpn, Arc::clone(&config)));
        config
    }
}
