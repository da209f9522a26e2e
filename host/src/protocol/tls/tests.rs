//! Against a TLS server in the same process.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::*;
use crate::plan::http;
use crate::plan::http::{Connections, Identity, Secret, TlsVersion};
use crate::protocol::Network;
use crate::protocol::door::Door;
use crate::protocol::http::{Client, Owner, Request, Shared};
use crate::protocol::stream::Stream;

/// An authority that trusts itself.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        Self::called(&format!("authority {}", MADE.fetch_add(1, Ordering::Relaxed)))
    }

    fn called(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        issue(&self.0, names, |_| ())
    }

    fn settings(&self) -> http::Tls {
        http::Tls { system_roots: false, roots: vec![self.0.pem()], ..http::Tls::default() }
    }
}

fn issue(
    issuer: &Issuer<'_, KeyPair>,
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap(), key)
}

fn identity(authority: &Authority, domains: &[&str]) -> Identity {
    let (certificate, key) = authority.issue(&["client"]);
    Identity {
        certificate: certificate.pem(),
        key: Secret(key.serialize_pem()),
        password: None,
        domains: domains.iter().map(ToString::to_string).collect(),
    }
}

const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

/// What a server is made of.
struct Server<'a> {
    certificate: (rcgen::Certificate, KeyPair),
    versions: &'a [&'static SupportedProtocolVersion],
    alpn: &'a [&'a str],
    clients_of: Option<&'a Authority>,
}

impl Server<'_> {
    fn of(certificate: (rcgen::Certificate, KeyPair)) -> Self {
        Self { certificate, versions: BOTH, alpn: &[], clients_of: None }
    }

    fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(self.versions).unwrap();
        let builder = match self.clients_of {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (certificate, key) = &self.certificate;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// Connects a client of these settings to a server, as `localhost`. After the handshake the client writes and reads a
/// byte.
async fn meet(server: &Server<'_>, settings: http::Tls, version: Version) -> Result<Agreed, Error> {
    Box::pin(meet_at_length(server, settings, version)).await.map(|secured| secured.agreed)
}

async fn meet_at_length(server: &Server<'_>, settings: http::Tls, version: Version) -> Result<Secured, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(server.config());
    let serve = async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(mut stream) = acceptor.accept(stream).await {
            let mut byte = [0; 1];
            let _ = stream.read_exact(&mut byte).await;
            let _ = stream.write_all(&byte).await;
            let _ = stream.shutdown().await;
        }
    };
    let tls = Tls::new(&Arc::new(Http { tls: settings, version, ..Http::default() }));
    let own = Own::default();
    let ask = async {
        let socket = Socket::Tcp(TcpStream::connect(address).await.unwrap());
        let secured = tls.connect(&own, "localhost", socket, Alpn::Http).await?;
        let Secured { stream, agreed } = secured;
        let mut stream = Stream::Tls(stream);
        stream.write_all(b"x").await.map_err(|error| Error::from_io(&error))?;
        stream.flush().await.map_err(|error| Error::from_io(&error))?;
        stream.read_exact(&mut [0; 1]).await.map_err(|error| Error::from_io(&error))?;
        let Stream::Tls(stream) = stream else { unreachable!("it was made so") };
        Ok(Secured { stream, agreed })
    };
    let ((), asked) = Box::pin(LocalSet::new().run_until(async { tokio::join!(Box::pin(serve), Box::pin(ask)) })).await;
    asked
}

#[tokio::test]
async fn the_version_and_the_cipher_suite_are_told_by_their_names() {
    let authority = Authority::new();
    let server = Server::of(authority.issue(&["localhost"]));
    let newest = meet(&server, authority.settings(), Version::Auto).await.unwrap();
    assert_eq!((newest.version, newest.is_http2), ("tls1.3", false));
    assert!(newest.cipher.is_some_and(|name| name.starts_with("TLS_AES_")), "{:?}", newest.cipher);
    let suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let settings = http::Tls { ciphers: vec![suite.to_owned()], ..authority.settings() };
    let older = meet(&server, settings, Version::Auto).await.unwrap();
    assert_eq!((older.version, older.cipher), ("tls1.2", Some(suite)));
}

#[tokio::test]
async fn each_failure_has_its_own_code() {
    let authority = Authority::new();
    let fails = async |server: &Server<'_>, settings: http::Tls| {
        let error = meet(server, settings, Version::Auto).await.unwrap_err();
        (error.code(), error.to_string())
    };
    let good = Server::of(authority.issue(&["localhost"]));
    let stranger = Authority::new();
    let (code, text) = fails(&good, stranger.settings()).await;
    assert_eq!((code, text.as_str()), (1310, "tls: certificate signed by unknown authority"));
    let again = Server::of(Authority::called("again").issue(&["localhost"]));
    let (code, text) = fails(&again, Authority::called("again").settings()).await;
    assert_eq!(code, 1310, "{text}");
    let (code, text) = fails(&Server::of(authority.issue(&["elsewhere.test"])), authority.settings()).await;
    assert_eq!(code, 1311, "{text}");
    assert!(text.contains("localhost") && text.contains("elsewhere.test"), "{text}");
    let old = issue(&authority.0, &["localhost"], |params| params.not_after = date_time_ymd(2004, 5, 6));
    let (code, text) = fails(&Server::of(old), authority.settings()).await;
    assert_eq!((code, text.as_str()), (1300, "tls: certificate expired: it was valid until 2004-05-06 00:00 UTC"));
    let only_13 = Server { versions: &[&version::TLS13], ..Server::of(authority.issue(&["localhost"])) };
    let (code, text) = fails(&only_13, http::Tls { max: TlsVersion::Tls12, ..authority.settings() }).await;
    assert_eq!((code, text.as_str()), (1300, "tls: the server sent the alert `protocol_version`"));
    let itself = CertificateParams::new(vec!["localhost".to_owned()]).map(|mut params| {
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap(), key)
    });
    let (code, text) = fails(&Server::of(itself.unwrap()), authority.settings()).await;
    assert_eq!(code, 1310, "{text}");
}

#[tokio::test]
async fn a_refused_client_is_an_error_of_tls_in_both_versions() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for only in [&version::TLS12, &version::TLS13] {
        let versions: &[_] = &[only];
        let certificate = authority.issue(&["localhost"]);
        let server = Server { versions, clients_of: Some(&authority), ..Server::of(certificate) };
        let none = meet(&server, authority.settings(), Version::Auto).await.unwrap_err();
        assert!(matches!(&none, Error::Tls(text) if text.contains("alert")), "{only:?}: {none:?}");
        let settings = http::Tls { identities: vec![identity(&stranger, &[])], ..authority.settings() };
        let wrong = meet(&server, settings, Version::Auto).await.unwrap_err();
        assert!(matches!(&wrong, Error::Tls(text) if text.contains("unknown_ca")), "{only:?}: {wrong:?}");
        let settings = http::Tls { identities: vec![identity(&authority, &["localhost"])], ..authority.settings() };
        meet(&server, settings, Version::Auto).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_client_is_an_error_of_tls_over_http2_too() {
    let authority = Authority::new();
    let server = Server {
        versions: &[&version::TLS13],
        alpn: &["h2"],
        clients_of: Some(&authority),
        ..Server::of(authority.issue(&["localhost"]))
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let acceptor = TlsAcceptor::from(server.config());
    let serve = async { assert!(acceptor.accept(listener.accept().await.unwrap().0).await.is_err()) };
    let shared = Rc::new(Shared::new(Network::new(
        &Arc::new(Http { tls: authority.settings(), ..Http::default() }),
        Door::default(),
    )));
    let client = Client::new(&shared, Owner { vu: 1, connections: Connections::PerVu }, "");
    let target = shared.target(&url).unwrap();
    let request = Request { method: "GET", target: &target, headers: &[], body: None, keep_body: true };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let local = LocalSet::new();
    let ((), exchange) =
        local.run_until(async { tokio::join!(Box::pin(serve), client.exchange(&request, &target, deadline)) }).await;
    assert_eq!(exchange.peer.protocol.as_str(), "HTTP/2.0");
    let error = exchange.result.unwrap_err();
    assert_eq!(error, Error::Tls("the server sent the alert `certificate_required`".to_owned()));
}

#[tokio::test]
async fn http2_is_demanded_of_a_server_that_may_not_speak_it() {
    let authority = Authority::new();
    let silent = Server::of(authority.issue(&["localhost"]));
    let error = meet(&silent, authority.settings(), Version::Http2).await.unwrap_err();
    assert_eq!(error, Error::Tls("the server does not speak HTTP/2, it chose nothing".to_owned()));
    let older = Server { alpn: &["http/1.1"], ..Server::of(authority.issue(&["localhost"])) };
    let error = meet(&older, authority.settings(), Version::Http2).await.unwrap_err();
    assert_eq!(error, Error::Tls("the server sent the alert `no_application_protocol`".to_owned()));
    let newer = Server { alpn: &["h2", "http/1.1"], ..Server::of(authority.issue(&["localhost"])) };
    assert!(meet(&newer, authority.settings(), Version::Http2).await.unwrap().is_http2);
    assert!(!meet(&newer, authority.settings(), Version::Http1).await.unwrap().is_http2);
}

#[tokio::test]
async fn what_is_not_tls_is_told_from_what_hangs_up() {
    let settings = Arc::new(Http { tls: Authority::new().settings(), ..Http::default() });
    for (answer, code) in [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], 1301), (b"", 1220), (b"220 mail\r\n", 1301)] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let socket = Socket::Tcp(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        let (mut peer, _) = listener.accept().await.unwrap();
        let serve = async move {
            let _ = peer.read(&mut [0; 4096]).await;
            let _ = peer.write_all(answer).await;
        };
        let (tls, own) = (Tls::new(&settings), Own::default());
        let connect = tls.connect(&own, "localhost", socket, Alpn::Http);
        let ((), error) = LocalSet::new().run_until(async { tokio::join!(Box::pin(serve), connect) }).await;
        assert_eq!(error.unwrap_err().code(), code, "{answer:?}");
    }
}

#[test]
fn settings_that_cannot_work_are_found_before_the_run() {
    let authority = Authority::new();
    let wrong = |change: &dyn Fn(&mut http::Tls)| {
        let mut tls = authority.settings();
        change(&mut tls);
        check(&Http { tls, ..Http::default() }).unwrap_err().to_string()
    };
    assert_eq!(check(&Http { tls: authority.settings(), ..Http::default() }), Ok(()));
    let text = wrong(&|tls| tls.ciphers = vec!["TLS_RSA_WITH_RC4_128_SHA".to_owned()]);
    assert!(text.starts_with("tls: cipher suite `TLS_RSA_WITH_RC4_128_SHA` is not one of `TLS_AES_"), "{text}");
    let text = wrong(&|tls| {
        (tls.min, tls.ciphers) = (TlsVersion::Tls13, vec!["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned()]);
    });
    let none = "tls: none of the cipher suites `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` belongs to TLS 1.3";
    assert_eq!(text, none);
    let text = wrong(&|tls| (tls.min, tls.max) = (TlsVersion::Tls13, TlsVersion::Tls12));
    assert_eq!(text, "tls: the lowest version, TLS 1.3, is above the highest, TLS 1.2");
    let text = wrong(&|tls| tls.roots.push("nothing".to_owned()));
    assert_eq!(text, "tls: root certificates 2: there is no `BEGIN CERTIFICATE` in them");
    assert_eq!(wrong(&|tls| tls.roots.clear()), "tls: no root certificate is trusted, so no server can be");
    let text = wrong(&|tls| tls.key_log = Some("no/such/folder/keys".into()));
    assert!(text.starts_with("tls: key log `no/such/folder/keys`: "), "{text}");
    let text = wrong(&|tls| tls.server_names = BTreeMap::from([("*".to_owned(), "not a name".to_owned())]));
    assert!(text.contains("`not a name`"), "{text}");
}

#[test]
fn a_key_that_cannot_be_used_is_named_by_its_certificate_and_never_shown() {
    let authority = Authority::new();
    let wrong = |change: &dyn Fn(&mut Identity)| {
        let mut broken = identity(&authority, &["*.example.com", "b.test"]);
        change(&mut broken);
        let identities = vec![identity(&authority, &[]), broken];
        let tls = http::Tls { identities, ..authority.settings() };
        let text = check(&Http { tls, ..Http::default() }).unwrap_err().to_string();
        let whose = "tls: client certificate 2 of 2 (for `*.example.com`, `b.test`): ";
        text.strip_prefix(whose).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let other = KeyPair::generate().unwrap().serialize_pem();
    let text = wrong(&|identity| identity.key = Secret(other.clone()));
    assert_eq!(text, "the key cannot be used: it is not the certificate's");
    let text = wrong(&|identity| identity.key = Secret("-----BEGIN PRIVATE KEY-----\nsecret!\n".to_owned()));
    assert!(text.starts_with("the key cannot be used: ") && !text.contains("secret"), "{text}");
    let text = wrong(&|identity| identity.certificate = identity.key.0.clone());
    assert_eq!(text, "the certificate cannot be used: there is no `BEGIN CERTIFICATE` in it");
    let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n";
    let text = wrong(&|identity| identity.key = Secret(legacy.to_owned()));
    assert!(text.contains("openssl pkcs8 -topk8 -v2 aes-256-cbc"), "{text}");
}

#[test]
fn an_encrypted_key_is_opened_by_its_password() {
    use base64::Engine as _;
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["client"]);
    let der = key.serialize_der();
    let salt_and_vector = ([1; 16], [2; 16]);
    let scheme = pkcs8::pkcs5::pbes2::Parameters::pbkdf2_sha256_aes256cbc(1000, &salt_and_vector.0, &salt_and_vector.1);
    let info = pkcs8::PrivateKeyInfo::try_from(der.as_slice()).unwrap();
    let sealed = info.encrypt_with_params(scheme.unwrap(), "open sesame").unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(sealed.as_bytes());
    let pem = format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\r\n{text}\r\n-----END ENCRYPTED PRIVATE KEY-----\r\n");
    let read = |password| identity::Identity::read(&certificate.pem(), &pem, password, &[]).map(|_| ());
    assert_eq!(read(Some("open sesame")), Ok(()));
    assert_eq!(read(Some("open")), Err(IdentityError::Key("the password does not open it".to_owned())));
    assert_eq!(read(None), Err(IdentityError::Key("it is encrypted, and there is no password".to_owned())));
}

#[test]
fn the_certificate_that_fits_a_host_best_is_shown() {
    let authority = Authority::new();
    let domains: [&[&str]; 4] = [&[], &["*.example.com"], &["a.example.com", "B.test"], &["a.example.com"]];
    let all: Vec<_> = domains.iter().map(|domains| identity(&authority, domains)).collect();
    let all = identity::read_all(&all).unwrap();
    let chosen = |host: &str| {
        let one = identity::choose(&all, host).unwrap();
        all.iter().position(|other| Arc::ptr_eq(one, other)).unwrap()
    };
    assert_eq!(["c.test", "b.example.com", "a.example.com", "b.test"].map(chosen), [0, 1, 2, 2]);
    assert_eq!(["example.com", "x.y.example.com"].map(chosen), [0, 0], "`*` is one label");
    assert!(identity::choose(&all[1..], "c.test").is_none());
}

#[test]
fn a_vus_own_certificates_are_few_and_go_first() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["client"]);
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let own = Own::default();
    let add = |domain: &str| own.add(&certificate, &key, None, &[domain.to_owned()]);
    for number in 0..64 {
        add(&format!("h{number}.test")).unwrap();
    }
    assert_eq!(add("h64.test"), Err(IdentityError::TooMany(64)));
    assert_eq!(add("h0.test"), Ok(()), "it takes the place of the earlier one");
    assert_eq!(add("*"), Err(IdentityError::Domain("*".to_owned())));
    assert!(own.identity("h1.test").is_some() && own.identity("h64.test").is_none());
    own.clear();
    assert!(!own.has_identities());
}
