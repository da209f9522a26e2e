//! The options of TLS, lowered. Certificates and keys are texts in a plan, so files are read here.

use std::collections::BTreeMap;

use super::fields::Given;
use super::identities::IdentityOption;
use super::lower::Lowering;
use super::names;
use super::node::{Place, Spot};
use super::places;
use super::values::Shown;
use crate::plan::Secret;
use crate::plan::http::{Identity, Tls, TlsVersion};

/// More than any bundle of certificates.
const MOST_PEM_BYTES: u64 = 16 << 20;

/// What squall can speak, by IANA's names, and since when.
const CIPHERS: [(&str, TlsVersion); 9] = [
    ("TLS_AES_128_GCM_SHA256", TlsVersion::Tls13),
    ("TLS_AES_256_GCM_SHA384", TlsVersion::Tls13),
    ("TLS_CHACHA20_POLY1305_SHA256", TlsVersion::Tls13),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", TlsVersion::Tls12),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", TlsVersion::Tls12),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", TlsVersion::Tls12),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", TlsVersion::Tls12),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", TlsVersion::Tls12),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", TlsVersion::Tls12),
];

/// What a PEM text must hold.
#[derive(Clone, Copy)]
enum Pem {
    Certificate,
    Key,
}

impl Pem {
    /// The parts of the text that it is about, and nothing else: a file may hold a key beside the certificates, which is
    /// to be in no place where it is not looked for.
    fn parts(self, text: &str) -> Option<String> {
        let mut parts = String::new();
        let mut inside = false;
        for line in text.lines().map(str::trim) {
            if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
                inside = match self {
                    Self::Certificate => label == "CERTIFICATE",
                    Self::Key => label.ends_with("PRIVATE KEY"),
                };
            }
            if inside {
                parts.push_str(line);
                parts.push('\n');
            }
            inside &= !line.starts_with("-----END ");
        }
        (!parts.is_empty()).then_some(parts)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "private key",
        }
    }
}

impl Lowering<'_> {
    pub(super) fn tls(&mut self) -> Tls {
        let (layer, default) = (self.layer, Tls::default());
        let skip_verify = self.pick("insecureSkipTLSVerify", layer.insecure_skip_tls_verify.as_ref(), false);
        let versions = self.pick("tlsVersion", layer.tls_version.as_ref(), <_>::default());
        let (min, max) = (versions.min.unwrap_or(default.min), versions.max.unwrap_or(default.max));
        Tls {
            skip_verify,
            min,
            max,
            ciphers: self.ciphers(min, max),
            identities: self.identities(),
            roots: self.roots(),
            system_roots: self.pick("tlsSystemRoots", layer.tls_system_roots.as_ref(), default.system_roots),
            server_names: self.server_names(),
            resumption: !self.pick("noTlsSessionResumption", layer.no_tls_session_resumption.as_ref(), false),
            key_log: self.key_log(),
        }
    }

    fn ciphers(&mut self, min: TlsVersion, max: TlsVersion) -> Vec<String> {
        let given = self.layer.tls_cipher_suites.as_ref();
        self.origins.note(None, "tlsCipherSuites", given, &vec!["all that squall speaks".to_owned()]);
        let Some(given) = given.filter(|given| !given.value.is_empty()) else {
            return Vec::new();
        };
        let mut known = Vec::new();
        for name in &given.value {
            // Go leaves the hash out of these names.
            let full = format!("{name}_SHA256");
            let found = CIPHERS.iter().find(|(suite, _)| suite == name || *suite == full && name.ends_with("POLY1305"));
            let Some(suite) = found else {
                let message = format!("`{}`: squall does not speak the cipher suite `{name}`", given.spot.name);
                let hint = format!("there are {}", names::listed(CIPHERS.iter().map(|(suite, _)| *suite)));
                self.findings.refuse(&given.spot, &message, &hint);
                return Vec::new();
            };
            known.push(*suite);
        }
        if !known.iter().any(|(_, version)| (min..=max).contains(version)) {
            let versions = if min == max { min.shown() } else { format!("{} to {}", min.shown(), max.shown()) };
            let message = format!("`{}` has no cipher suite of {versions}, so nothing could connect", given.spot.name);
            self.findings.refuse(&given.spot, &message, "add one, or change `tlsVersion`");
        }
        known.iter().map(|(suite, _)| (*suite).to_owned()).collect()
    }

    fn identities(&mut self) -> Vec<Identity> {
        let given = self.layer.tls_auth.iter().flat_map(|given| &given.value);
        let mut identities = Vec::new();
        for (index, option) in given.enumerate() {
            if let Some((identity, shown)) = self.identity(option) {
                self.origins.push(None, &format!("tlsAuth[{index}]"), &shown, option.spot.origin());
                identities.push(identity);
            }
        }
        identities
    }

    /// The identity, and how it is shown.
    fn identity(&mut self, option: &IdentityOption) -> Option<(Identity, String)> {
        let certificate = self.pem(&option.cert.value, &option.cert.spot, Pem::Certificate);
        // A certificate and its key may be one file; then it is complained of once.
        let key = match &option.key {
            Some(key) => self.pem(&key.value.0, &key.spot, Pem::Key),
            None if certificate.is_some() => self.pem(&option.cert.value, &option.cert.spot, Pem::Key),
            None => None,
        };
        let domains = option.domains.as_ref().map_or_else(Vec::new, |given| self.domains(given));
        let mut shown = format!("{}, key (hidden)", shown_pem(&option.cert.value));
        if option.password.is_some() {
            shown.push_str(", password (hidden)");
        }
        if !domains.is_empty() {
            shown = format!("{shown}, for {}", domains.join(", "));
        }
        let password = option.password.as_ref().map(|given| Secret(given.value.0.clone()));
        Some((Identity { certificate: certificate?, key: Secret(key?), password, domains }, shown))
    }

    fn domains(&mut self, given: &Given<Vec<String>>) -> Vec<String> {
        let mut domains = Vec::new();
        for text in &given.value {
            let domain = match text.strip_prefix("*.") {
                Some(domain) => places::host_name(domain).map(|domain| format!("*.{domain}")),
                None => places::host_name(text),
            };
            let Some(domain) = domain else {
                let message = format!("`{}`: `{text}` is not a domain", given.spot.name);
                self.findings.refuse(&given.spot, &message, "write it like `example.com` or `*.example.com`");
                continue;
            };
            domains.push(domain);
        }
        domains
    }

    fn roots(&mut self) -> Vec<String> {
        let given = self.layer.tls_roots.as_ref();
        let texts = given.iter().flat_map(|given| given.value.iter().map(|text| (text, &given.spot)));
        let mut roots = Vec::new();
        let mut shown = Vec::new();
        for (text, spot) in texts {
            roots.extend(self.pem(text, spot, Pem::Certificate));
            shown.push(shown_pem(text));
        }
        let from = given.map_or_else(|| "default".to_owned(), |given| given.spot.origin());
        self.origins.push(None, "tlsRoots", &shown.shown(), from);
        roots
    }

    fn server_names(&mut self) -> BTreeMap<String, String> {
        let given = self.layer.tls_server_name.iter().flat_map(|given| &given.value.0.0);
        let mut server_names = BTreeMap::new();
        for (host, given) in given {
            let known = if host == "*" { Some("*".to_owned()) } else { places::host_name(host) };
            let name = places::host_name(&given.value);
            let (Some(host), Some(name)) = (known.clone(), name) else {
                let wrong = if known.is_none() { host } else { &given.value };
                let message = format!("`{}`: `{wrong}` is not a host's name", given.spot.name);
                self.findings.refuse(
                    &given.spot,
                    &message,
                    "write a name like `example.com`; the host may be `*` for all",
                );
                continue;
            };
            self.origins.push(None, &format!("tlsServerName.{host}"), &name, given.spot.origin());
            server_names.insert(host, name);
        }
        server_names
    }

    /// PEM: the text itself, or what the file of this name holds.
    fn pem(&mut self, text: &str, spot: &Spot, what: Pem) -> Option<String> {
        if is_pem(text) {
            return self.parts(text, "it", spot, what);
        }
        let name = self.findings.name(spot).to_owned();
        if spot.place == Place::Journey {
            let message = format!("`{name}` is no PEM text, and files are not for the journey to choose");
            self.findings.refuse(spot, &message, "put the PEM text there, or name the file in `squall.toml`");
            return None;
        }
        // What has several lines is no path, and may be a key.
        if text.trim().is_empty() || text.contains('\n') {
            let message = format!("`{name}` is neither a PEM text nor the path of a file");
            self.findings.refuse(spot, &message, "a PEM text starts with `-----BEGIN`");
            return None;
        }
        let path = self.beside.files.path(text, spot);
        let shown = format!("`{}`", path.display());
        match self.beside.files.read(&path, MOST_PEM_BYTES).map(String::from_utf8) {
            Ok(Ok(text)) => self.parts(&text, &shown, spot, what),
            Ok(Err(_)) => {
                let message = format!("`{name}`: {shown} is not PEM");
                let hint =
                    "turn DER into PEM with `openssl x509 -inform der`, or a PKCS#12 file with `openssl pkcs12 -nodes`";
                self.findings.refuse(spot, &message, hint);
                None
            }
            Err(error) => {
                let message = format!("`{name}`: {shown} cannot be read: {error}");
                self.findings.refuse(spot, &message, "check the path");
                None
            }
        }
    }

    fn parts(&mut self, text: &str, of: &str, spot: &Spot, what: Pem) -> Option<String> {
        let parts = what.parts(text);
        if parts.is_some() {
            return parts;
        }
        let message = format!("`{}`: {of} holds no {} in PEM", self.findings.name(spot), what.name());
        let hint = match what {
            Pem::Certificate => "it must have a line `-----BEGIN CERTIFICATE-----`",
            Pem::Key => "it must have a line like `-----BEGIN PRIVATE KEY-----`; set `key` if it is elsewhere",
        };
        self.findings.refuse(spot, &message, hint);
        None
    }
}

fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN")
}

fn shown_pem(text: &str) -> String {
    if is_pem(text) { "(PEM text)".to_owned() } else { text.to_owned() }
}
