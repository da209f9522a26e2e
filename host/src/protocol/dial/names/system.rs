//! The system's own resolver.

use std::io;
use std::net::IpAddr;

use crate::protocol::Error;

/// What the C libraries say of a name that does not exist, or has no address. All else is a failure to find out.
const NO_SUCH_HOST: &[&str] = &[
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "Name has no usable address",
    "nodename nor servname provided, or not known",
    "No such host is known",
];

/// Asks the system for a host's addresses.
pub(super) fn ask(host: &str) -> impl Future<Output = Result<Vec<IpAddr>, Error>> + Send + 'static {
    let host = host.to_owned();
    #[expect(clippy::disallowed_methods, reason = "here is where names are looked up, those the door lets ask")]
    async move {
        match tokio::net::lookup_host((host.as_str(), 0)).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
            Err(error) => Err(sort(&host, &error)),
        }
    }
}

fn sort(host: &str, error: &io::Error) -> Error {
    let said = error.to_string();
    // The standard library puts words of its own before those of the C library.
    let reason = said.strip_prefix("failed to lookup address information: ").unwrap_or(&said);
    if NO_SUCH_HOST.iter().any(|text| reason.contains(text)) {
        return Error::NoSuchHost(format!("`{host}`: no such host"));
    }
    Error::Dns(format!("`{host}`: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_told_from_what_could_not_be_found_out() {
        let sorted = |text: &str| sort("a", &io::Error::other(format!("failed to lookup address information: {text}")));
        assert_eq!(sorted("Name or service not known").code(), 1101);
        let error = sorted("Temporary failure in name resolution");
        assert_eq!(error.code(), 1100);
        assert_eq!(error.to_string(), "lookup failed: `a`: Temporary failure in name resolution");
    }
}
