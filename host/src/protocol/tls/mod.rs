//! TLS by rustls, as the plan has it: whom to trust, who we are, which versions and cipher suites, under which name.
//!
//! What all VUs of a worker thread share is [`Tls`]; what a VU has of its own, its certificates and the sessions it may
//! resume, is [`Own`]. Everybody else sees a stream and what was agreed on.

mod failure;
mod identity;
mod key_log;
mod own;
mod roots;
mod sessions;
mod suites;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test is no journey")]
mod tests;
mod verify;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use send_wrapper::SendWrapper;
use tokio::task::spawn_local;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion};
use tokio_util::task::AbortOnDropHandle;

pub(super) use failure::{in_our_words, of_alert};
use identity::Identity;
pub use identity::IdentityError;
use key_log::KeyLogFile;
use own::Configs;
pub(super) use own::Own;
pub(super) use suites::initial as initial_suite;
use verify::{AcceptAny, Witness};

use super::Error;
use super::dial::Socket;
use crate::plan::Http;
use crate::plan::http::{TlsVersion, Version};

/// A secured connection.
#[derive(Debug)]
pub(super) struct Secured {
    pub(super) stream: Box<TlsStream<Socket>>,
    pub(super) agreed: Agreed,
}

/// What a handshake came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreed {
    /// Whether HTTP/2 was agreed on. Where the server takes no part in choosing, it is not.
    pub(super) is_http2: bool,
    /// The version as k6's `tls_version` tag has it.
    pub(super) version: &'static str,
    /// The cipher suite by its IANA name.
    pub(super) cipher: Option<&'static str>,
}

/// What is offered to be spoken inside TLS (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpn {
    /// HTTP in the plan's versions.
    Http,
    /// HTTP/1.1 and nothing else.
    Http1,
    /// HTTP/2 and nothing else.
    Http2,
    /// HTTP/3 and nothing else; only inside QUIC.
    Http3,
    /// Nothing: the port says it.
    None,
}

/// HTTP/3's name in TLS (RFC 9114, 3.1).
pub(super) const HTTP3: &[u8] = b"h3";

/// How to secure a connection of QUIC, which does it by itself.
#[derive(Debug)]
pub(super) struct QuicTerms {
    pub(super) config: Arc<ClientConfig>,
    /// The name to ask for.
    pub(super) name: ServerName<'static>,
}

/// What the VUs of a worker thread share.
#[derive(Debug)]
pub(super) struct Tls {
    settings: Arc<Http>,
    made: SendWrapper<OnceCell<Result<Made, Error>>>,
}

/// The plan's settings in rustls' terms.
#[derive(Debug)]
struct Made {
    /// Without a certificate of ours, and without resumption.
    base: Arc<ClientConfig>,
    verifier: Arc<dyn ServerCertVerifier>,
    identities: Vec<Arc<Identity>>,
    names: BTreeMap<String, ServerName<'static>>,
    configs: RefCell<Configs>,
}

/// Reads the system's roots now, for a process that will not be able to later.
pub(super) fn read_system_roots() {
    let _ = roots::system_roots();
}

/// Finds what is wrong with the settings, before anything depends on them.
pub(super) fn check(settings: &Http) -> Result<(), Error> {
    // Nothing is wrong with the default, and reading the system's roots takes some 20 ms.
    if settings.tls == crate::plan::http::Tls::default() {
        return Ok(());
    }
    Made::new(settings).map(|_| ())
}

impl Tls {
    pub(super) fn new(settings: &Arc<Http>) -> Self {
        let tls = Self { settings: Arc::clone(settings), made: SendWrapper::new(OnceCell::new()) };
        // Opening an encrypted key may take a tenth of a second, which no request should be charged with.
        if !settings.tls.identities.is_empty() {
            tls.made.get_or_init(|| Made::new(settings));
        }
        tls
    }

    /// Shakes hands. Must be called inside a `LocalSet`.
    pub(super) async fn connect(&self, own: &Own, host: &str, socket: Socket, alpn: Alpn) -> Result<Secured, Error> {
        let (config, name) = self.terms(own, host, alpn)?;
        let handshake = TlsConnector::from(config).connect(name, socket);
        // Verifying a certificate takes a deep stack. A VU has one of its own that keeps every page it ever touched, so
        // the handshake goes on the thread's. Whoever gives up waiting ends it.
        let handshake = AbortOnDropHandle::new(spawn_local(handshake)).await;
        let stream = handshake.map_err(|_| Error::Reset)?.map_err(|error| failure::of(&error))?;
        let session = stream.get_ref().1;
        let is_http2 = agreed(alpn, self.settings.version, session.alpn_protocol())?;
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "tls1.2",
            Some(ProtocolVersion::TLSv1_3) => "tls1.3",
            _ => "tls",
        };
        let cipher = session.negotiated_cipher_suite().and_then(|suite| suites::name(suite.suite()));
        Ok(Secured { agreed: Agreed { is_http2, version, cipher }, stream: Box::new(stream) })
    }

    /// How to secure a connection of QUIC to a host.
    pub(super) fn quic(&self, own: &Own, host: &str) -> Result<QuicTerms, Error> {
        let (config, name) = self.terms(own, host, Alpn::Http3)?;
        let suites = &config.crypto_provider().cipher_suites;
        let is_possible = self.settings.tls.max >= TlsVersion::Tls13
            && suites.iter().any(|suite| suite.version().version == ProtocolVersion::TLSv1_3);
        // QUIC's library takes it for granted.
        if !is_possible {
            let message = "HTTP/3 needs TLS 1.3, and `tlsVersion` or `tlsCipherSuites` leaves it out";
            return Err(Error::Tls(message.to_owned()));
        }
        Ok(QuicTerms { config, name })
    }

    /// How to reach a host, and the name to ask for.
    fn terms(&self, own: &Own, host: &str, alpn: Alpn) -> Result<(Arc<ClientConfig>, ServerName<'static>), Error> {
        let made = self.made.get_or_init(|| Made::new(&self.settings)).as_ref().map_err(Clone::clone)?;
        let identity = own.identity(host).or_else(|| identity::choose(&made.identities, host).cloned());
        let config = if self.settings.tls.resumption || own.has_identities() {
            own.config(identity, alpn, |identity, sessions| {
                made.config(identity, alpn, self.settings.tls.resumption.then_some(sessions))
            })
        } else {
            made.configs.borrow_mut().get_or_make(identity, alpn, |identity| made.config(identity, alpn, None))
        };
        let name = match made.names.get(host).or_else(|| made.names.get("*")) {
            Some(name) => name.clone(),
            None => server_name(host)?,
        };
        Ok((config, name))
    }
}

impl QuicTerms {
    /// What was wrong with the server's certificate, if that is why the handshake failed.
    pub(super) fn refusal(&self) -> Option<Error> {
        Witness::take(&self.name).map(|error| failure::sort(&error))
    }
}

impl Made {
    fn new(settings: &Http) -> Result<Self, Error> {
        let tls = &settings.tls;
        let provider = Arc::new(suites::provider(&tls.ciphers)?);
        let versions = suites::versions(tls.min, tls.max, &provider)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|error| Error::Tls(error.to_string()))?;
        let verifier: Arc<dyn ServerCertVerifier> = if tls.skip_verify {
            Arc::new(AcceptAny::new(provider))
        } else {
            let roots = roots::trusted(tls.system_roots, &tls.roots)?;
            if roots.is_empty() {
                // rustls would accept that and refuse every certificate.
                return Err(Error::Tls("no root certificate is trusted, so no server can be".to_owned()));
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            verifier.map_err(|error| Error::Tls(error.to_string()))?
        };
        let mut base =
            builder.dangerous().with_custom_certificate_verifier(Arc::clone(&verifier)).with_no_client_auth();
        base.alpn_protocols = offered(settings.version);
        base.resumption = sessions::none();
        if let Some(path) = &tls.key_log {
            base.key_log = Arc::new(KeyLogFile::open(path)?);
        }
        let named = |(host, name): (&String, &String)| Ok((host.to_lowercase(), server_name(name)?));
        Ok(Self {
            base: Arc::new(base),
            verifier,
            identities: identity::read_all(&tls.identities)?,
            names: tls.server_names.iter().map(named).collect::<Result<_, Error>>()?,
            configs: RefCell::default(),
        })
    }

    fn config(
        &self,
        identity: Option<&Identity>,
        alpn: Alpn,
        sessions: Option<&Arc<sessions::Sessions>>,
    ) -> Arc<ClientConfig> {
        if identity.is_none() && sessions.is_none() && alpn == Alpn::Http {
            return Arc::clone(&self.base);
        }
        let mut config = (*self.base).clone();
        if let Some(identity) = identity {
            config.client_auth_cert_resolver = identity.resolver();
        }
        if let Some(sessions) = sessions {
            config.resumption = sessions::resumption(sessions);
        }
        match alpn {
            Alpn::Http => {}
            Alpn::Http1 => config.alpn_protocols = offered(Version::Http1),
            Alpn::Http2 => config.alpn_protocols = offered(Version::Http2),
            Alpn::Http3 => {
                config.alpn_protocols = vec![HTTP3.to_vec()];
                let verifier = Arc::new(Witness(Arc::clone(&self.verifier)));
                config.dangerous().set_certificate_verifier(verifier);
            }
            Alpn::None => config.alpn_protocols = Vec::new(),
        }
        Arc::new(config)
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name.to_owned()).map_err(|error| Error::Tls(format!("`{name}`: {error}")))
}

/// The protocols offered to the server, the dearest first.
fn offered(version: Version) -> Vec<Vec<u8>> {
    let names: &[&str] = match version {
        // Where HTTP/3 is spoken, TLS is inside QUIC.
        Version::Auto | Version::AltSvc | Version::Http3 => &["h2", "http/1.1"],
        Version::Http1 => &["http/1.1"],
        Version::Http2 => &["h2"],
    };
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Whether the server chose HTTP/2 of what was offered.
fn agreed(alpn: Alpn, version: Version, chosen: Option<&[u8]>) -> Result<bool, Error> {
    let offered = match alpn {
        Alpn::Http => version,
        Alpn::Http2 => Version::Http2,
        Alpn::Http1 | Alpn::Http3 | Alpn::None => return Ok(false),
    };
    match (chosen, offered) {
        (Some(b"h2"), _) => Ok(true),
        (Some(other), Version::Http2) => {
            let other = String::from_utf8_lossy(other);
            Err(Error::Tls(format!("the server does not speak HTTP/2, it chose `{other}`")))
        }
        (None, Version::Http2) => Err(Error::Tls("the server does not speak HTTP/2, it chose nothing".to_owned())),
        _ => Ok(false),
    }
}
