//! When a request goes by HTTP/3: because it or the run says so, or because an earlier answer offered it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::client::Way;
use super::pool::{Lane, Turn};
use super::{Client, Progress, Protocol, Response, Target, h3, multiplexed};
use crate::plan::Destination;
use crate::plan::http::Version;
use crate::protocol::Error;

/// How long an alternative has before the request goes the way it would have gone without. Networks that let no UDP through
/// are not rare, and nobody who was only offered HTTP/3 should wait for it.
const MOST_FOR_ALTERNATIVE: Duration = Duration::from_secs(2);

impl Client {
    /// Finds the way for a request by HTTP/3; `None` where it does not go by that.
    pub(super) async fn way_by_quic(
        &self,
        target: &Arc<Target>,
        progress: &mut Progress,
        started: Instant,
    ) -> Option<Result<Way, Error>> {
        let limit = self.shared().settings().connect_timeout;
        match self.version(target) {
            Version::Http3 if !target.is_tls() => Some(Err(h3::needs_tls())),
            Version::Http3 => Some(self.stream_by_quic(target, target.port(), limit, progress, started).await),
            Version::AltSvc => {
                let port = self.alternatives().find(target.authority(), Instant::now())?;
                let limit = limit.min(MOST_FOR_ALTERNATIVE);
                let way = self.stream_by_quic(target, port, limit, progress, started).await;
                if way.is_err() {
                    self.alternatives().give_up(target.authority(), Instant::now());
                    progress.timings.opening = crate::protocol::Opening::default();
                    return None;
                }
                Some(way)
            }
            Version::Auto | Version::Http1 | Version::Http2 => None,
        }
    }

    /// Remembers what an answer offers, where the run goes by that.
    pub(super) fn learn(&self, target: &Arc<Target>, answer: &Response) {
        if self.version(target) != Version::AltSvc || !target.is_tls() {
            return;
        }
        for offer in answer.header_all("alt-svc") {
            if self.alternatives().learn(target.authority(), target.host(), &offer, Instant::now()) {
                // Requests would go on there for as long as the server leaves them open.
                self.pool().forget_idle(target);
            }
        }
    }

    async fn stream_by_quic(
        &self,
        target: &Arc<Target>,
        port: u16,
        limit: Duration,
        progress: &mut Progress,
        started: Instant,
    ) -> Result<Way, Error> {
        let lane = Lane { target, is_http3: true };
        let opening = if self.keeps_connections() {
            match self.pool().turn(lane, self.may_grow(), self.shared().settings().idle_timeout).await? {
                Turn::Stream(slot) => return Ok(Way::Stream(slot)),
                Turn::Open(opening) => Some(opening),
            }
        } else {
            None
        };
        let opened = timeout(limit, self.open_by_quic(target, port, progress)).await;
        match opened.unwrap_or(Err(Error::DialTimeout)) {
            Ok((connection, slot)) => {
                if let Some(opening) = opening {
                    opening.succeed(connection);
                }
                Ok(Way::Stream(slot))
            }
            Err(error) => {
                progress.timings.blocked = started.elapsed();
                progress.peer.protocol = Protocol::Http3;
                if let Some(opening) = opening {
                    opening.fail(&error);
                }
                Err(error)
            }
        }
    }

    /// Opens a connection and a stream on it, however long it takes.
    async fn open_by_quic(
        &self,
        target: &Arc<Target>,
        port: u16,
        progress: &mut Progress,
    ) -> Result<(multiplexed::Connection, multiplexed::Slot), Error> {
        let to = Destination { port, ..target.destination() };
        let opening = &mut progress.timings.opening;
        let bound = match self.connector().datagrams(&to, opening).await {
            Err(Error::TooManyConnections { .. }) => {
                // What lies idle makes room; the place is taken anew at once.
                drop(self.make_place().await?);
                self.connector().datagrams(&to, opening).await
            }
            bound => bound,
        };
        let (datagrams, place) = bound?;
        let terms = self.connector().quic(target.host())?;
        let (socket, remote) = datagrams.connect()?;
        progress.peer.remote = Some(remote);
        let _handshake = Handshake { started: Instant::now(), took: &mut opening.tls_handshaking };
        let dial = h3::Dial { socket, remote, place, terms };
        let connection = h3::Connection::open(dial, self.shared().settings()).await?;
        let connection = multiplexed::Connection::Http3(connection);
        loop {
            if let Some(slot) = connection.slot() {
                return Ok((connection, slot));
            }
            if !connection.is_open(None) {
                return Err(Error::Reset);
            }
            connection.freed().await;
        }
    }
}

/// Writes down how long the handshake took when it ends, however it ends. It is QUIC's and TLS's in one, so there is no time
/// of connecting beside it.
struct Handshake<'a> {
    started: Instant,
    took: &'a mut Duration,
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        *self.took = self.started.elapsed();
    }
}
