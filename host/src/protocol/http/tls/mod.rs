//! TLS by rustls, with the system's roots.

use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme,
};

use super::Error;
use super::dial::Socket;
use crate::plan::http::Version;

/// One configuration for all connections of a run, made when the first of them needs it: reading the system's roots
/// takes some 20 ms.
#[derive(Debug, Default)]
pub struct Tls {
    config: OnceLock<Result<Arc<ClientConfig>, Error>>,
    skip_verify: bool,
    version: Version,
}

impl Tls {
    pub(super) fn new(skip_verify: bool, version: Version) -> Self {
        Self { config: OnceLock::new(), skip_verify, version }
    }

    /// Shakes hands.
    pub(super) async fn connect(&self, host: &str, stream: Socket) -> Result<TlsStream<Socket>, Error> {
        let config = self.config.get_or_init(|| config(self.skip_verify, self.version)).clone()?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| Error::Tls(format!("`{host}`: {error}")))?;
        TlsConnector::from(config).connect(name, stream).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(inner) => Error::Tls(inner.to_string()),
                None => Error::from_io(&error),
            }
        })
    }
}

/// The name of a connection's TLS version as k6's `tls_version` tag has it.
pub(super) fn version(stream: &TlsStream<Socket>) -> &'static str {
    match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "tls1.2",
        Some(ProtocolVersion::TLSv1_3) => "tls1.3",
        _ => "tls",
    }
}

/// Whether both sides agreed on HTTP/2 (ALPN).
pub(super) fn agreed_on_http2(stream: &TlsStream<Socket>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

fn config(skip_verify: bool, version: Version) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))?;
    let mut config = if skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider))).with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        // A root that cannot be read is left out, as every client does; without any, handshakes fail and say why.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        builder.with_root_certificates(roots).with_no_client_auth()
    };
    let offered: &[&[u8]] = match version {
        Version::Auto => &[b"h2", b"http/1.1"],
        Version::Http1 => &[b"http/1.1"],
        Version::Http2 => &[b"h2"],
    };
    config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// Accepts any certificate, for `insecureSkipTLSVerify`. Signatures of the handshake are still checked.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
