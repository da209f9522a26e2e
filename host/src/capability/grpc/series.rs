//! Which series a call is recorded in: looked up once for each method and status.

use std::net::IpAddr;

use super::super::Host;
use super::{Asked, Known};
use crate::metrics::{SeriesId, Tags, builtin};
use crate::protocol::grpc::Status;
use crate::wit::grpc;

/// Combinations that are kept for a method on a connection.
const KEPT: usize = 32;

/// The series of a method on one connection.
#[derive(Debug, Default)]
pub(super) struct Series(Vec<Recorded>);

#[derive(Debug)]
struct Recorded {
    group: u32,
    code: u32,
    ip: Option<IpAddr>,
    name: Option<Box<str>>,
    tags: Box<[(Box<str>, Box<str>)]>,
    series: SeriesId,
}

impl Recorded {
    fn is_for(&self, group: u32, code: u32, ip: Option<IpAddr>, options: &grpc::CallOptions) -> bool {
        (self.group, self.code, self.ip) == (group, code, ip)
            && self.name.as_deref() == options.name.as_deref()
            && self.tags.len() == options.tags.len()
            && self.tags.iter().zip(&options.tags).all(|(kept, tag)| *kept.0 == *tag.name && *kept.1 == *tag.value)
    }
}

impl Host {
    /// Where a unary call's duration goes.
    pub(super) fn call_series(
        &self,
        known: &Known,
        asked: &Asked<'_>,
        authority: &str,
        ip: Option<IpAddr>,
        status: &Status,
    ) -> SeriesId {
        let (group, code) = (self.groups.current(), status.code.0);
        let ip = ip.filter(|_| self.local.is_with_ip());
        if status.cause.is_none()
            && let Some(found) = known.series.borrow().0.iter().find(|one| one.is_for(group, code, ip, asked.options))
        {
            return found.series;
        }
        let tags = self.call_tags(known, asked, authority, ip, Some(status));
        let series = self.local.session_series(builtin::GRPC_REQ_DURATION, &tags);
        if status.cause.is_none() {
            let kept = &mut known.series.borrow_mut().0;
            if kept.len() >= KEPT {
                kept.clear();
            }
            let tags = asked.options.tags.iter();
            kept.push(Recorded {
                group,
                code,
                ip,
                name: asked.options.name.as_deref().map(Box::from),
                tags: tags.map(|tag| (Box::from(&*tag.name), Box::from(&*tag.value))).collect(),
                series,
            });
        }
        series
    }

    /// k6's tags of a call; without a status those of a stream.
    pub(super) fn call_tags(
        &self,
        known: &Known,
        asked: &Asked<'_>,
        authority: &str,
        ip: Option<IpAddr>,
        status: Option<&Status>,
    ) -> Tags {
        let path = known.uri.path();
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
        let url = format!("{authority}{path}");
        let ip = ip.map(|ip| ip.to_string());
        let code = status.map(|status| status.code.0.to_string());
        let cause = status.and_then(|status| status.cause.as_ref());
        let cause = cause.map(|cause| (cause.to_string(), cause.code().to_string()));
        let mut system = vec![
            ("url", url.as_str()),
            ("name", asked.options.name.as_deref().unwrap_or(path)),
            ("service", service),
            ("method", method),
        ];
        system.extend(code.as_deref().map(|code| ("status", code)));
        system.extend(ip.as_deref().map(|ip| ("ip", ip)));
        if let Some((error, code)) = &cause {
            system.extend([("error", error.as_str()), ("error_code", code.as_str())]);
        }
        self.local.session_tags(self.scope, self.groups.current(), &system, &asked.options.tags)
    }
}
