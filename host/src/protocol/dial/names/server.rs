//! A DNS server of the user's choice, asked without the system: no hosts file, no search domains.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RecordType};

use crate::plan::http::Policy;
use crate::protocol::Error;

/// A DNS server, by UDP, and by TCP where the answer is too large.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    resolver: OnceLock<Result<TokioResolver, Error>>,
}

impl Server {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, resolver: OnceLock::new() }
    }

    /// Asks for the addresses of a host that a policy allows.
    pub(super) fn ask(
        &self,
        host: &str,
        policy: Policy,
    ) -> impl Future<Output = Result<Vec<IpAddr>, Error>> + Send + 'static + use<> {
        let resolver = self.resolver.get_or_init(|| resolver(self.address)).clone();
        let host = host.to_owned();
        async move {
            let (resolver, name) = (resolver?, name(&host)?);
            let (v4, v6) = match policy {
                Policy::OnlyIpv4 => (query(&resolver, &name, RecordType::A).await, Ok(Vec::new())),
                Policy::OnlyIpv6 => (Ok(Vec::new()), query(&resolver, &name, RecordType::AAAA).await),
                Policy::PreferIpv4 | Policy::PreferIpv6 | Policy::Any => {
                    futures_util::future::join(
                        query(&resolver, &name, RecordType::A),
                        query(&resolver, &name, RecordType::AAAA),
                    )
                    .await
                }
            };
            merge(&host, v4, v6)
        }
    }
}

/// Puts the answers for both families together. One that failed does not count where the other has an address, and does
/// where it has none: then nobody knows whether there is such a host.
fn merge(
    host: &str,
    v4: Result<Vec<IpAddr>, NetError>,
    v6: Result<Vec<IpAddr>, NetError>,
) -> Result<Vec<IpAddr>, Error> {
    let (mut addresses, mut failure) = (Vec::new(), None);
    for answer in [v4, v6] {
        match answer {
            Ok(more) => addresses.extend(more),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        Some(error) if addresses.is_empty() => Err(sort(host, &error)),
        _ => Ok(addresses),
    }
}

fn sort(host: &str, error: &NetError) -> Error {
    match error {
        NetError::Dns(DnsError::ResponseCode(code)) => {
            Error::Dns(format!("`{host}`: the DNS server answered `{}`", code.to_str()))
        }
        NetError::Timeout => Error::Dns(format!("`{host}`: the DNS server did not answer in time")),
        other => Error::Dns(format!("`{host}`: {other}")),
    }
}

async fn query(resolver: &TokioResolver, name: &Name, kind: RecordType) -> Result<Vec<IpAddr>, NetError> {
    match resolver.lookup(name.clone(), kind).await {
        Ok(answer) => Ok(answer.answers().iter().filter_map(|record| record.data.ip_addr()).collect()),
        Err(error) if error.is_no_records_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The host as a name that no search domain is put behind.
fn name(host: &str) -> Result<Name, Error> {
    let mut name = Name::from_ascii(host).map_err(|error| Error::NoSuchHost(format!("`{host}`: {error}")))?;
    name.set_fqdn(true);
    Ok(name)
}

fn resolver(address: SocketAddr) -> Result<TokioResolver, Error> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let mut server = NameServerConfig::udp(address.ip());
    server.connections = connections.into();
    let mut config = ResolverConfig::default();
    config.name_servers = vec![server];
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    // Answers are kept by `Names`, as long as the user says and not as long as the server does.
    options.cache_size = 0;
    options.attempts = 1;
    builder.build().map_err(|error| Error::Dns(format!("DNS server `{address}`: {error}")))
}
