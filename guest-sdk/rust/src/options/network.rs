//! Options of the network below the journey's requests.

use std::time::Duration;

use super::{Number, Options};

impl Options {
    /// The time for one request, connecting and redirects included, where the request says nothing.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout.into());
        self
    }

    /// The time for looking up, connecting and shaking hands, within the request's.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout.into());
        self
    }

    /// The longest silence while an answer is awaited.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = Some(timeout.into());
        self
    }

    /// How long a connection may lie idle and still be used again.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout.into());
        self
    }

    /// How many requests start per second at most, all virtual users together.
    pub fn rps(mut self, requests: f64) -> Self {
        self.rps = Some(Number(requests));
        self
    }

    /// How names are looked up, as k6 writes it.
    ///
    /// ```
    /// # use squall_sdk::options::Options;
    /// let options = Options::new().dns("ttl=1m,select=roundRobin,policy=onlyIPv4");
    /// assert_eq!(options.to_json(), r#"{"dns":"ttl=1m,select=roundRobin,policy=onlyIPv4"}"#);
    /// ```
    pub fn dns(mut self, how: impl Into<String>) -> Self {
        self.dns = Some(how.into());
        self
    }

    /// Where a host is instead of where DNS says: an address, with a port or without. The host may be a domain
    /// (`*.example.com`), or have a port.
    ///
    /// ```
    /// # use squall_sdk::options::Options;
    /// let options = Options::new().host("shop.example.com", "127.0.0.1:8443").host("*.example.com", "::1");
    /// assert_eq!(options.to_json(), r#"{"hosts":{"shop.example.com":"127.0.0.1:8443","*.example.com":"::1"}}"#);
    /// ```
    pub fn host(mut self, host: impl Into<String>, address: impl Into<String>) -> Self {
        self.hosts.0.push((host.into(), address.into()));
        self
    }
}
