//! How a socket gets there: TLS, proxies, and what it may bring along.

use serde_json::json;

use super::{prepare, talk_with, talked, ws};
use crate::support::{Authority, Nginx, http_proxy, practice, write};

#[test]
fn a_socket_over_tls_shows_its_certificate() {
    let (authority, target) = (Authority::new(), practice());
    let folder = tempfile::tempdir().unwrap();
    authority.issue(&["localhost"]).write(folder.path(), "server");
    authority.issue_client("me").write(folder.path(), "me");
    write(folder.path(), "authority.pem", authority.certificate());
    let server = format!(
        "ssl_certificate server.pem; ssl_certificate_key server.key; ssl_client_certificate authority.pem; \
         ssl_verify_client on; location / {{ proxy_pass {}; proxy_http_version 1.1; proxy_set_header Upgrade \
         $http_upgrade; proxy_set_header Connection upgrade; }}",
        target.url()
    );
    let Some(nginx) = Nginx::start(folder.path(), &[("ssl", &server)]) else { return };
    let path = |name: &str| folder.path().join(name).display().to_string();
    let url = format!("wss://localhost:{}/ws/echo", nginx.port(0));
    let steps = json!([{ "connect": url }, { "send_size": 200_000, "repeat": 3 }, { "receive": 5000, "repeat": 3 }]);
    let run = prepare(&steps, &folder).arg("--cacert").arg(path("authority.pem"));
    let run = run.arg("--cert").arg(path("me.pem")).arg("--key").arg(path("me.key"));
    let talk = talked(run, &folder);
    assert_eq!(target.stats().messages_received, 3, "{}", talk.run);
    assert_eq!(talk.answers.last().unwrap()["length"], 200_000, "{}", talk.run);
    let tags = &talk.tags("ws_sessions")[0];
    assert_eq!((&tags["tls_version"], &tags["status"], &tags["url"]), (&json!("tls1.3"), &json!("101"), &json!(url)));

    let talk = talked(prepare(&json!([{ "connect": url }]), &folder), &folder);
    assert!(talk.says(0, "error").starts_with("the TLS handshake failed"), "{}", talk.run);
    assert_eq!(talk.tags("ws_sessions")[0]["error_code"], "1310");
}

#[test]
fn a_socket_goes_through_a_tunnel_of_an_http_proxy() {
    let (target, proxy) = (practice(), http_proxy(None));
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", format!("proxy = \"http://{}\"\n", proxy.addr()));
    let port = target.addr().port();
    let steps =
        json!([{ "connect": format!("ws://inside.test:{port}/ws/echo") }, { "send": "a" }, { "receive": 5000 }]);
    let talk = talked(prepare(&steps, &folder).arg("--config").arg(config), &folder);
    assert!(proxy.heads()[0].starts_with(&format!("CONNECT inside.test:{port} HTTP/1.1\r\n")), "{}", talk.run);
    assert_eq!(target.stats().messages_received, 1, "{}", talk.run);
    assert_eq!(talk.answers[2]["text"], "a", "{}", talk.run);
}

#[test]
fn the_network_policy_has_rules_for_sockets() {
    let target = practice();
    let steps = json!([{ "connect": ws(&target.url(), "/ws/echo") }]);
    let talk = talk_with(&steps, &format!("--deny-net {}", ws(&target.url(), "")));
    assert_eq!((target.stats().connections, talk.says(0, "error").contains("denied")), (0, true), "{}", talk.run);
    assert_eq!(talk.tags("ws_sessions")[0]["error_code"], "1110", "{}", talk.run);
    let talk = talk_with(&steps, &format!("--deny-net {}", target.url()));
    assert_eq!(target.stats().connections, 1, "a rule for `http` is none for `ws`\n{}", talk.run);
}

#[test]
fn secrets_go_where_they_may_and_are_not_seen() {
    const KEY: &str = "correct-horse-battery";
    let target = practice();
    let run = |hosts: &str| {
        let folder = tempfile::tempdir().unwrap();
        let toml = format!("[secrets.key]\nfrom = \"env:KEY\"\nhosts = [\"{hosts}\"]\n");
        let config = write(folder.path(), "squall.toml", toml);
        let url = ws(&target.url(), "/ws/echo");
        let steps = json!([
            { "connect": url, "headers": { "x-key": "{{secret:key}}" } },
            { "connect": url },
            { "send": "key={{secret:key}}!" }, { "receive": 5000 },
            { "send_bytes": "{{secret:key}}" }, { "receive": 5000 },
            { "send": "{{secret:other}}" },
            { "connect": format!("{url}?key={{{{secret:key}}}}") },
        ]);
        let talk = talked(prepare(&steps, &folder).env("KEY", KEY).arg("--config").arg(config), &folder);
        let everything = [talk.run.stderr.as_str(), &talk.run.stdout, &json!(talk.points).to_string()].concat();
        assert!(!everything.contains(KEY), "{}", talk.run);
        talk
    };
    let talk = run(&ws(&target.url(), ""));
    let recorded = target.recorded();
    let keys = recorded.iter().flat_map(|request| &request.headers).filter(|(name, _)| name == "x-key");
    assert_eq!(keys.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), [KEY], "{}", talk.run);
    assert_eq!(target.stats().messages_received, 2);
    let length = "key=!".len() + KEY.len();
    let text = talk.answers[3]["text"].as_str().unwrap();
    assert!(text.starts_with("key=") && text.ends_with('!'), "{text}, which was {length} bytes long");
    assert!(talk.says(6, "error").contains("secret `other` is not granted"), "{}", talk.run);
    assert!(talk.says(7, "error").contains("a URL cannot name a secret"), "{}", talk.run);

    let before = target.stats().messages_received;
    let talk = run("wss://elsewhere.test");
    assert!(talk.says(0, "error").contains("secret `key` may not go to"), "{}", talk.run);
    assert!(talk.says(2, "error").contains("secret `key` may not go to"), "{}", talk.run);
    assert_eq!(target.stats().messages_received, before, "{}", talk.run);
}
