//! TLS against nginx: what it saw of us first, what squall said of it second.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Authority, Finished, Issued, Nginx, Squall, exit, left_out, write};

/// What the servers of these tests answer with.
const SERVER: &str = "ssl_certificate server.pem; ssl_certificate_key server.key; location / { return 200 'hello'; }";

/// nginx with a certificate for `localhost`, `127.0.0.1`, `other.test` and `*.wild.test`, and the authority that signed it.
struct Site {
    folder: TempDir,
    authority: Authority,
    nginx: Nginx,
}

impl Site {
    /// Starts it with this beside the certificate; `None`, loudly, where nginx is missing.
    #[track_caller]
    fn start(settings: &str) -> Option<Self> {
        let authority = Authority::new();
        let issued = authority.issue(&["localhost", "127.0.0.1", "other.test", "*.wild.test"]);
        Self::with(authority, &issued, settings)
    }

    #[track_caller]
    fn with(authority: Authority, issued: &Issued, settings: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        issued.write(folder.path(), "server");
        write(folder.path(), "authority.pem", authority.certificate());
        let server = format!("{settings} {SERVER}");
        let nginx = Nginx::start(folder.path(), &[("ssl", &server), ("", "location / { return 200 'plain'; }")])?;
        Some(Self { folder, authority, nginx })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn url(&self) -> String {
        self.url_of("localhost")
    }

    fn url_of(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.nginx.port(0))
    }

    /// Does these steps, and trusts the authority.
    fn fetch(&self, steps: &Value) -> Squall {
        Squall::fetch(steps).arg("--cacert").arg(self.path("authority.pem"))
    }

    /// Gets the page of `localhost` once.
    fn get(&self) -> Squall {
        self.fetch(&json!([{ "url": self.url() }]))
    }

    /// Tells who the first client said it was.
    fn client(&self, number: usize) -> String {
        self.nginx.seen(number + 1)[number]["client"].as_str().unwrap().to_owned()
    }
}

/// Runs, and returns the tags of the first request beside what came of it.
#[track_caller]
fn tags(squall: Squall) -> (Value, Finished) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.json");
    let run = squall.arg("--out").arg(format!("json={}", file.display())).finish();
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("no points: {error}\n{run}"));
    let mut points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let point = points.find(|point| point["type"] == "Point" && point["metric"] == "http_reqs");
    (point.unwrap_or_else(|| panic!("no point of `http_reqs`\n{run}"))["data"]["tags"].clone(), run)
}

/// Asserts that the one request fails with this code of k6's and with these words.
#[track_caller]
fn fails(squall: Squall, code: &str, words: &str) {
    let (tags, run) = tags(squall);
    assert_eq!((&tags["error_code"], &tags["status"]), (&json!(code), &json!("0")), "{tags}\n{run}");
    assert!(tags["error"].as_str().is_some_and(|error| error.contains(words)), "`{words}` is not in {tags}\n{run}");
}

/// Runs openssl in a folder; `None`, loudly, where it is missing.
#[track_caller]
fn openssl(folder: &Path, line: &str) -> Option<()> {
    let Ok(output) = Command::new("openssl").args(line.split_whitespace()).current_dir(folder).output() else {
        left_out(&format!("openssl is missing: {}", std::panic::Location::caller()));
        return None;
    };
    assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

#[test]
fn a_server_is_trusted_through_a_root_of_the_users_own() {
    let Some(site) = Site::start("") else { return };
    let (tags, run) = tags(site.get());
    let run = run.expect(exit::PASSED);
    assert_eq!(run.answers()[0]["status"], 200, "{run}");
    let seen = &site.nginx.seen(1)[0];
    assert_eq!((&seen["tls"], &seen["server_name"]), (&json!("TLSv1.3"), &json!("localhost")));
    assert_eq!(tags["tls_version"], "tls1.3", "{tags}");
    assert!(run.summary().value("http_req_tls_handshaking", "max") > 0.0, "{run}");
}

#[test]
fn a_server_that_only_the_user_knows_is_refused_by_the_systems_roots() {
    let Some(site) = Site::start("") else { return };
    fails(Squall::fetch(&json!([{ "url": site.url() }])), "1310", "unknown authority");
    let run = Squall::fetch(&json!([{ "url": site.url() }])).arg("--insecure-skip-tls-verify").finish();
    assert_eq!(run.answers()[0]["status"], 200, "{run}");
    assert_eq!(site.nginx.seen(1).len(), 1, "only the second got as far as a request");
}

#[test]
fn a_certificate_for_another_host_and_one_that_expired_are_refused() {
    let authority = Authority::new();
    let other = authority.issue(&["other.test"]);
    let Some(site) = Site::with(authority, &other, "") else { return };
    fails(site.get(), "1311", "other.test");
    let authority = Authority::new();
    let old = authority.issue_expired(&["localhost"]);
    let Some(site) = Site::with(authority, &old, "") else { return };
    fails(site.get(), "1300", "certificate expired: it was valid until 2004-05-06");
    let run = site.get().arg("--insecure-skip-tls-verify").finish();
    assert_eq!(run.answers()[0]["status"], 200, "{run}");
}

#[test]
fn versions_that_do_not_meet_are_an_error_and_those_that_do_are_a_tag() {
    let Some(site) = Site::start("ssl_protocols TLSv1.2;") else { return };
    let (told, run) = tags(site.get());
    assert_eq!(told["tls_version"], "tls1.2", "{run}");
    assert_eq!(site.nginx.seen(1)[0]["tls"], "TLSv1.2");
    fails(site.get().flags("--tls-version tls1.3"), "1300", "protocol_version");
    let Some(both) = Site::start("ssl_protocols TLSv1.2 TLSv1.3;") else { return };
    both.get().flags("--tls-version tls1.2").finish().expect(exit::PASSED);
    assert_eq!(both.nginx.seen(1)[0]["tls"], "TLSv1.2");
}

#[test]
fn only_the_cipher_suites_named_are_offered() {
    let Some(site) = Site::start("") else { return };
    let step = json!([{ "url": site.url(), "show": ["details"] }]);
    let run = site.fetch(&step).flags("--tls-cipher-suites TLS_CHACHA20_POLY1305_SHA256").finish();
    assert_eq!(run.answers()[0]["details"]["tls_cipher_suite"], "TLS_CHACHA20_POLY1305_SHA256", "{run}");
    let older = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    site.get().arg("--tls-cipher-suites").arg(older).finish().expect(exit::PASSED);
    let seen = site.nginx.seen(2);
    assert_eq!((&seen[0]["cipher"], &seen[0]["tls"]), (&json!("TLS_CHACHA20_POLY1305_SHA256"), &json!("TLSv1.3")));
    assert_eq!((&seen[1]["cipher"], &seen[1]["tls"]), (&json!("ECDHE-ECDSA-AES128-GCM-SHA256"), &json!("TLSv1.2")));
    let run = site.get().arg("--tls-cipher-suites").arg(older).flags("--tls-version tls1.3").finish();
    run.expect(exit::CONFIGURATION).says(&["no cipher suite of tls1.3"]);
    assert_eq!(site.nginx.seen(2).len(), 2, "the third did not start");
}

#[test]
fn each_domain_is_shown_its_certificate() {
    let Some(site) = Site::start("ssl_client_certificate authority.pem; ssl_verify_client optional;") else { return };
    let entry = |(name, domains): (&str, &str)| {
        site.authority.issue_client(name).write(site.folder.path(), name);
        let (cert, key) = (site.path(&format!("{name}.pem")), site.path(&format!("{name}.key")));
        format!("[[tls-auth]]\ncert = \"{cert}\"\nkey = \"{key}\"\ndomains = {domains}\n")
    };
    let entries = [("anyone", "[]"), ("local", "[\"localhost\"]"), ("wild", "[\"*.wild.test\"]")].map(entry);
    let config = write(site.folder.path(), "squall.toml", entries.concat());
    let steps =
        json!([{ "url": site.url() }, { "url": site.url_of("127.0.0.1") }, { "url": site.url_of("a.wild.test") }]);
    let each = site.fetch(&steps).flags("--host a.wild.test=127.0.0.1").arg("--config").arg(config);
    each.finish().expect(exit::PASSED);
    assert_eq!([site.client(0), site.client(1), site.client(2)], ["CN=local", "CN=anyone", "CN=wild"]);
    let steps = json!([{ "url": site.url() }, { "url": site.url_of("127.0.0.1") }]);
    let one = site.fetch(&steps).arg("--cert").arg(site.path("anyone.pem")).arg("--key").arg(site.path("anyone.key"));
    one.finish().expect(exit::PASSED);
    assert_eq!([site.client(3), site.client(4)], ["CN=anyone", "CN=anyone"]);
    site.get().finish().expect(exit::PASSED);
    assert_eq!(site.client(5), "", "nothing was shown without being asked for");
}

#[test]
fn each_virtual_user_shows_its_own_certificate() {
    let Some(site) = Site::start("ssl_client_certificate authority.pem; ssl_verify_client optional;") else { return };
    let step = |name: &str| {
        let issued = site.authority.issue_client(name);
        json!({ "certificate": { "cert": issued.certificate, "key": issued.key, "domains": ["localhost"] } })
    };
    site.authority.issue_client("run").write(site.folder.path(), "run");
    let get = json!({ "url": site.url() });
    let elsewhere = json!({ "url": site.url_of("127.0.0.1") });
    let steps = json!([get, step("first"), get, elsewhere, step("second"), get, get, { "certificate": {} }, get]);
    let run = site.fetch(&steps).arg("--cert").arg(site.path("run.pem")).arg("--key").arg(site.path("run.key"));
    run.finish().expect(exit::PASSED);
    let clients: Vec<String> = (0..6).map(|number| site.client(number)).collect();
    assert_eq!(clients, ["CN=run", "CN=first", "CN=run", "CN=second", "CN=second", "CN=run"]);
    let seen = site.nginx.seen(6);
    assert_eq!(seen[3]["connection"], seen[4]["connection"], "a certificate is no reason for a connection each");
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_to_the_journey_without_its_key() {
    let Some(site) = Site::start("") else { return };
    let (one, other) = (site.authority.issue_client("one"), site.authority.issue_client("other"));
    let step = json!([{ "certificate": { "cert": one.certificate, "key": other.key } }]);
    let run = site.fetch(&step).finish();
    let run = run.says(&["the client's key is invalid: it is not the certificate's"]);
    assert!(!run.stderr.contains(other.key.lines().nth(1).unwrap()), "{run}");
    let run = site.fetch(&json!([{ "certificate": { "cert": "none", "key": other.key } }])).finish();
    run.says(&["the client's certificate is invalid: "]);
    let step = json!([{ "certificate": { "cert": one.certificate, "key": one.key } }]);
    let run = site.fetch(&step).flags("--connections shared:2").finish();
    run.says(&["connections are shared among virtual users"]);
}

#[test]
fn keys_are_read_in_every_form_that_openssl_writes() {
    let Some(site) = Site::start("ssl_client_certificate authority.pem; ssl_verify_client on;") else { return };
    let folder = site.folder.path();
    site.authority.issue_client("me").write(folder, "me");
    let forms = [
        ("sec1.key", "ec -in me.key -out sec1.key", None),
        ("sealed.key", "pkcs8 -topk8 -in me.key -out sealed.key -passout pass:open", Some("open")),
        ("scrypt.key", "pkcs8 -topk8 -scrypt -in me.key -out scrypt.key -passout pass:open", Some("open")),
    ];
    for (number, (key, line, password)) in forms.into_iter().enumerate() {
        if openssl(folder, line).is_none() {
            return;
        }
        let auth = json!([{ "cert": site.path("me.pem"), "key": site.path(key), "password": password }]);
        let auth = auth.to_string().replace(",\"password\":null", "");
        site.get().env("SQUALL_TLS_AUTH", auth).finish().expect(exit::PASSED);
        assert_eq!(site.client(number), "CN=me", "{key}");
    }
    // RSA, with its own certificate: PKCS#1 is for nothing else.
    write(folder, "authority.key", site.authority.key());
    openssl(folder, "genrsa -traditional -out rsa.key 2048");
    openssl(folder, "req -new -key rsa.key -subj /CN=rsa -out rsa.csr");
    openssl(folder, "x509 -req -in rsa.csr -CA authority.pem -CAkey authority.key -set_serial 7 -days 2 -out rsa.pem");
    let text = std::fs::read_to_string(folder.join("rsa.key")).unwrap();
    assert!(text.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let run = site.get().arg("--cert").arg(site.path("rsa.pem")).arg("--key").arg(site.path("rsa.key"));
    run.finish().expect(exit::PASSED);
    assert_eq!(site.client(3), "CN=rsa");
}

#[test]
fn a_key_that_cannot_be_opened_ends_the_run_before_it_starts() {
    let Some(site) = Site::start("") else { return };
    let folder = site.folder.path();
    site.authority.issue_client("me").write(folder, "me");
    if openssl(folder, "pkcs8 -topk8 -in me.key -out sealed.key -passout pass:open").is_none() {
        return;
    }
    openssl(folder, "ec -in me.key -out legacy.key -aes128 -passout pass:open");
    let with = |key: &str, password: Value| {
        let auth = json!([{ "cert": site.path("me.pem"), "key": site.path(key), "password": password }]);
        site.get().env("SQUALL_TLS_AUTH", auth.to_string()).finish().expect(exit::CONFIGURATION)
    };
    with("sealed.key", json!("shut")).says(&["client certificate 1 of 1", "the password does not open it"]);
    with("legacy.key", json!("open")).says(&["openssl pkcs8 -topk8 -v2 aes-256-cbc"]);
}

#[test]
fn another_name_can_be_asked_for_and_is_then_checked() {
    let Some(site) = Site::start("") else { return };
    site.get().flags("--tls-server-name localhost=other.test").finish().expect(exit::PASSED);
    site.get().flags("--tls-server-name other.test").finish().expect(exit::PASSED);
    site.get().flags("--tls-server-name elsewhere.test=wrong.test").finish().expect(exit::PASSED);
    let names: Vec<Value> = site.nginx.seen(3).iter().map(|seen| seen["server_name"].clone()).collect();
    assert_eq!(names, ["other.test", "other.test", "localhost"]);
    assert_eq!(site.nginx.seen(1)[0]["host"], format!("localhost:{}", site.nginx.port(0)), "the URL stays");
    fails(site.get().flags("--tls-server-name wrong.test"), "1311", "wrong.test");
}

#[test]
fn secrets_are_written_where_the_environment_says() {
    let Some(site) = Site::start("") else { return };
    let file = site.path("keys.log");
    site.get().env("SSLKEYLOGFILE", &file).finish().expect(exit::PASSED);
    site.get().env("SSLKEYLOGFILE", &file).flags("--tls-version tls1.2").finish().expect(exit::PASSED);
    let text = std::fs::read_to_string(&file).unwrap();
    let labels: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(labels.contains(&"CLIENT_TRAFFIC_SECRET_0") && labels.contains(&"SERVER_TRAFFIC_SECRET_0"), "{labels:?}");
    assert_eq!(labels.last(), Some(&"CLIENT_RANDOM"), "the second run appends");
    let lengths: Vec<usize> = text.lines().last().unwrap().split(' ').map(str::len).collect();
    assert_eq!(lengths, ["CLIENT_RANDOM".len(), 64, 96]);
    let nowhere = site.path("no/such/folder");
    let run = site.get().env("SSLKEYLOGFILE", &nowhere).finish().expect(exit::CONFIGURATION);
    run.says(&["key log", &nowhere]);
}

#[test]
fn a_virtual_user_resumes_its_own_sessions_and_nobody_elses() {
    for version in ["tls1.2", "tls1.3"] {
        let Some(site) = Site::start("ssl_session_cache shared:test:1m;") else { return };
        let reused = |site: &Site, at_least: usize| -> String {
            site.nginx.seen(at_least).iter().filter_map(|seen| seen["reused"].as_str()).collect()
        };
        let three = site.fetch(&json!([{ "url": site.url(), "repeat": 3 }]));
        let three = three.flags("--no-connection-reuse --tls-version").arg(version);
        three.finish().expect(exit::PASSED);
        assert_eq!(reused(&site, 3), ".rr", "{version}");
        let off = site.fetch(&json!([{ "url": site.url(), "repeat": 2 }]));
        let off = off.flags("--no-connection-reuse --no-tls-session-resumption --tls-version").arg(version);
        off.finish().expect(exit::PASSED);
        assert_eq!(reused(&site, 5), ".rr..", "{version}");
        let each = "[scenarios.each]\nexecutor = \"per-vu-iterations\"\nvus = 3\niterations = 1\n";
        let config = write(site.folder.path(), "squall.toml", each);
        site.get().arg("--config").arg(config).arg("--tls-version").arg(version).finish().expect(exit::PASSED);
        assert_eq!(reused(&site, 8), ".rr.....", "{version}");
    }
}

#[test]
fn a_server_without_tls_is_told_from_one_that_hangs_up() {
    let Some(site) = Site::start("") else { return };
    let plain = format!("https://localhost:{}/", site.nginx.port(1));
    fails(site.fetch(&json!([{ "url": plain }])), "1301", "not TLS");
}

#[test]
fn an_idle_connection_that_the_server_closed_is_not_used() {
    let Some(site) = Site::start("keepalive_timeout 50ms;") else { return };
    let post = json!({ "url": site.url(), "method": "POST", "body": "x" });
    let run = site.fetch(&json!([post, { "sleep_ms": 400 }, post])).finish().expect(exit::PASSED);
    assert_eq!(run.answers().iter().filter(|answer| answer["status"] == 200).count(), 2, "{run}");
    let seen = site.nginx.seen(2);
    assert_ne!(seen[0]["connection"], seen[1]["connection"]);
}
