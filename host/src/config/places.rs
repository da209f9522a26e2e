//! Addresses as the user writes them: where hosts are, where connections start, and the proxy between.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

use crate::plan::Secret;
use crate::plan::http::{Place, Proxy, ProxyKind};

/// Reads the key of `hosts`: `host`, `host:port`, or the same with `*.` before it.
pub(super) fn host_pattern(text: &str) -> Option<String> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)),
        None => (text, None),
    };
    let host = match host.strip_prefix("*.") {
        Some(domain) => format!("*.{}", host_name(domain)?),
        None => host_name(host)?,
    };
    Some(port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// A host as URLs have it: in lower case, other alphabets as punycode, IPv6 in brackets.
pub(super) fn host_name(text: &str) -> Option<String> {
    url::Host::parse(text).ok().map(|host| host.to_string())
}

/// Reads the value of `hosts`: an address, with a port or without.
pub(super) fn place(text: &str) -> Option<Place> {
    let text = text.trim();
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.port() != 0).then(|| Place::Address(address.ip(), Some(address.port())));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().map(|address| Place::Address(address, None))
}

/// The path of a Unix socket, where the text is one.
pub(super) fn socket(text: &str) -> Option<&str> {
    text.trim().strip_prefix("unix:").filter(|path| !path.is_empty())
}

/// Shows a place as it is written.
pub(super) fn shown_place(place: &Place) -> String {
    match place {
        Place::Address(address, None) => address.to_string(),
        Place::Address(address, Some(port)) => SocketAddr::new(*address, *port).to_string(),
        Place::Socket(path) => format!("unix:{}", path.display()),
    }
}

/// Reads an address, a network or a range. Like k6, leaves out the first and the last address of an IPv4 network that
/// has more than two: they are the network's own and its broadcast.
pub(super) fn addresses(text: &str) -> Option<(IpAddr, IpAddr)> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Some((address, address));
    }
    if let Some((first, last)) = text.split_once('-') {
        let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        return (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last));
    }
    Some(match text.parse::<IpNet>().ok()? {
        IpNet::V4(net) if net.prefix_len() < 31 => {
            let (first, last) = (u32::from(net.network()) + 1, u32::from(net.broadcast()) - 1);
            (Ipv4Addr::from(first).into(), Ipv4Addr::from(last).into())
        }
        net => (net.network(), net.broadcast()),
    })
}

/// Shows a range as it is written.
pub(super) fn shown_addresses((first, last): &(IpAddr, IpAddr)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// Reads a proxy's URL; the error says what is wrong and shows none of its secrets.
pub(super) fn proxy(text: &str, bypass: Vec<String>) -> Result<Proxy, &'static str> {
    let url = url::Url::parse(text.trim()).map_err(|_| "is no URL")?;
    let (kind, port) = match url.scheme() {
        "http" => (ProxyKind::Http, 80),
        "socks5" | "socks5h" => (ProxyKind::Socks5, 1080),
        "https" => return Err("asks for TLS to the proxy, which squall does not speak"),
        _ => return Err("is neither `http://` nor `socks5://`"),
    };
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("has something after the host, which a proxy's URL has not");
    }
    // Hosts of schemes that browsers do not know are not looked at by the parser of URLs.
    let host = url.host_str().and_then(host_name).ok_or("has no host")?;
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let credentials =
        has_credentials.then(|| (decoded(url.username()), Secret(decoded(url.password().unwrap_or_default()))));
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Proxy { kind, host, port: url.port().unwrap_or(port), credentials, bypass })
}

/// The text with `%41` and its like turned into what they stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let hex = others.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &others[2..];
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Shows a proxy without its secrets.
pub(super) fn shown_proxy(proxy: &Proxy) -> String {
    let scheme = match proxy.kind {
        ProxyKind::Http => "http",
        ProxyKind::Socks5 => "socks5",
    };
    let credentials = if proxy.credentials.is_some() { "(hidden)@" } else { "" };
    let host = if proxy.host.contains(':') { format!("[{}]", proxy.host) } else { proxy.host.clone() };
    format!("{scheme}://{credentials}{host}:{}", proxy.port)
}

/// Reads a host that is reached without the proxy: a name, a domain with a leading dot, an address or a network.
pub(super) fn bypassed(text: &str) -> Option<String> {
    let text = text.trim();
    if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return Some(text.to_owned());
    }
    let domain = text.strip_prefix("*.").or_else(|| text.strip_prefix('.'));
    match domain {
        Some(domain) => host_name(domain).map(|domain| format!(".{domain}")),
        None => host_name(text),
    }
}
