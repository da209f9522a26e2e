//! Reaches for what it was not given.

use squall_sdk::http::Request;
use squall_sdk::{env, env_all, env_or, log, secret, tls};

use crate::{Attempt, said, target};

pub fn attack(name: &str) -> Option<Attempt> {
    Some(match name {
        "files" => Ok(files()),
        "environment" => Ok(environment()),
        "certificate" => Ok(certificate()),
        "secrets" => Ok(secrets()),
        _ => return None,
    })
}

/// Names of files that nobody granted.
fn files() -> String {
    let url = format!("{}/echo?files", target());
    let names = [
        "../../etc/passwd",
        "/etc/passwd",
        "passwd\0.png",
        "/proc/self/environ",
        "link",
        ".",
        "",
        "file:///etc/passwd",
    ];
    let tried = names.map(|name| Request::post(&url).body_file(name).send().map(|answer| answer.status()));
    let refused = tried.iter().filter(|tried| tried.is_err()).count();
    format!(
        "{refused} of {} refused, the first {}",
        names.len(),
        tried.into_iter().next().map(said).unwrap_or_default()
    )
}

/// The process has a variable `SQUALL_HOSTILE_SECRET`, and one called `HOME`.
fn environment() -> String {
    let found = ["SQUALL_HOSTILE_SECRET", "HOME", "PATH"].iter().filter(|name| env(name).is_some()).count();
    let leaked = env_all().iter().filter(|(_, value)| value.contains("leak")).count();
    format!("{found} found, {leaked} leaked")
}

/// A secret that it was not given, and one that was given for another host: by its name, by hand, in a URL.
fn secrets() -> String {
    let echo = format!("{}/echo?secrets", target());
    let send = |text: &str| Request::post(&echo).header("x-key", text).body(text.as_bytes()).send().is_ok();
    let unknown = secret("of-another").is_ok() || send("{{secret:of-another}}");
    let elsewhere = secret("own").is_ok_and(|text| send(&text));
    let in_url = Request::get(format!("{echo}&{{{{secret:own}}}}")).send().is_ok();
    log::info("{{secret:own}}");
    format!("unknown {unknown}, elsewhere {elsewhere}, in a URL {in_url}")
}

/// A key whose password takes the host a year to try.
fn certificate() -> String {
    said(tls::Certificate::new(&env_or("CERT", ""), &env_or("KEY", "")).password("a").show())
}
