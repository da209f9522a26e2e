//! The same answers over three versions of HTTP, and how long each took.
//!
//! `squall target --tls 127.0.0.1:8443 --http3 127.0.0.1:8443 --cert-out target.pem` is something to try it on, with
//! `--cacert target.pem` for the run. The tag `proto` sets the versions apart in every output.

use std::sync::LazyLock;

use squall_sdk::http::{Request, Version};
use squall_sdk::metric::Trend;
use squall_sdk::{Error, check, env_or, journey};

static URL: LazyLock<String> = LazyLock::new(|| env_or("TLS_URL", "https://127.0.0.1:8443"));
static TOOK: LazyLock<Trend> = LazyLock::new(|| Trend::new("request_by_version"));

fn visit() -> Result<(), Error> {
    let versions = [(Version::Http1, "HTTP/1.1"), (Version::Http2, "HTTP/2.0"), (Version::Http3, "HTTP/3.0")];
    for (version, name) in versions {
        let answer = Request::get(format!("{}/health", *URL)).version(version).send()?;
        check!("status is 200", answer.status() == 200);
        check!("the version is the one asked for", answer.details()?.protocol == name);
        TOOK.add_tagged(answer.duration(), &[("version", name)]);
    }
    Ok(())
}

journey!(visit);
