//! `tls`: who a VU is to servers that ask.

use super::Host;
use crate::protocol::IdentityError;
use crate::wit::tls;

impl tls::Host for Host {
    fn use_certificate(
        &mut self,
        certificate: String,
        key: String,
        password: Option<String>,
        domains: Vec<String>,
    ) -> Result<(), tls::Error> {
        self.called();
        let used = self.client.use_certificate(&certificate, &key, password.as_deref(), &domains);
        self.close_grpc();
        used.map_err(|error| match error {
            IdentityError::Certificate(why) => tls::Error::InvalidCertificate(why),
            IdentityError::Key(why) => tls::Error::InvalidKey(why),
            other => tls::Error::Other(other.to_string()),
        })
    }

    fn clear_certificates(&mut self) {
        self.client.clear_certificates();
        self.close_grpc();
    }
}
