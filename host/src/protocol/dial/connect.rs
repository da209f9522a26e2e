//! From addresses to a connection: one after the other, the next before the last has given up (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use super::local::Locals;
use crate::platform;
use crate::protocol::door::Admitted;
use crate::protocol::{Error, apart};

/// How long an address has before the next one is tried beside it (RFC 8305, 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first address that answers, of those that may be connected to.
pub(super) async fn connect(admitted: Admitted, locals: &Locals, vu: u32) -> Result<(TcpStream, SocketAddr), Error> {
    let (first, rest) = admitted.into_parts();
    if rest.is_empty() {
        return Ok((attempt(first, locals, vu).await?, first));
    }
    apart(|| race(first, rest, |address| attempt(address, locals, vu))).await
}

#[expect(clippy::disallowed_methods, reason = "here is where connections are opened, to admitted addresses")]
async fn attempt(address: SocketAddr, locals: &Locals, vu: u32) -> Result<TcpStream, Error> {
    let stream = match locals.pick(vu, address)? {
        None => TcpStream::connect(address).await,
        Some(local) => bound(local)?.connect(address).await,
    };
    let stream = stream.map_err(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable => Error::Dial(format!(
            "no local port is free to reach `{address}` from; reuse connections, or give more addresses as `local-ips`"
        )),
        _ => dial_error(&error),
    })?;
    // A request is one write; waiting for more to send would only delay it. Failing to say so changes no answer.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn bound(local: SocketAddr) -> Result<TcpSocket, Error> {
    let socket = if local.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() };
    let socket = socket.map_err(|error| dial_error(&error))?;
    socket.bind(local).map_err(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            Error::Dial(format!("`{}` of `local-ips` is no address of this machine", local.ip()))
        }
        io::ErrorKind::AddrInUse => Error::Dial(format!("no port of `{}` is free", local.ip())),
        _ => dial_error(&error),
    })?;
    Ok(socket)
}

/// Sorts an error of the operating system that was met while connecting.
pub(super) fn dial_error(error: &io::Error) -> Error {
    // `EMFILE` and `ENFILE`, for which the standard library has no kind.
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::ConnectionRefused, _) => Error::Refused,
        (io::ErrorKind::TimedOut, _) => Error::DialTimeout,
        (io::ErrorKind::ConnectionReset, _) => Error::Reset,
        (_, Some(24)) if cfg!(unix) => Error::Dial(match platform::raise_file_limit() {
            Some(limit) => format!("all {limit} files that may be open are open; raise the limit with `ulimit -n`"),
            None => "too many open files; raise the limit with `ulimit -n`".to_owned(),
        }),
        _ => Error::Dial(error.to_string()),
    }
}

/// Starts one attempt after the other, the next as soon as one fails or the last has had its head start. The first to
/// succeed wins and the others are dropped; if none does, the failure of the first that failed is what is told.
async fn race<T, A>(
    first: SocketAddr,
    rest: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> A,
) -> Result<(T, SocketAddr), Error>
where
    A: Future<Output = Result<T, Error>>,
{
    let mut running = FuturesUnordered::new();
    let start = |address| {
        let attempt = attempt(address);
        async move { (address, attempt.await) }
    };
    let mut left = rest.into_iter();
    let mut failure = None;
    let mut next = pin!(sleep(HEAD_START));
    running.push(start(first));
    loop {
        tokio::select! {
            biased;
            ended = running.next() => match ended {
                Some((address, Ok(won))) => return Ok((won, address)),
                Some((_, Err(error))) => {
                    failure.get_or_insert(error);
                }
                None => {}
            },
            () = &mut next, if left.len() > 0 => {}
        }
        match left.next() {
            Some(address) => {
                running.push(start(address));
                next.as_mut().reset(Instant::now() + HEAD_START);
            }
            None if running.is_empty() => {
                return Err(failure.unwrap_or_else(|| Error::Dial("there is no address to connect to".to_owned())));
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Races addresses `10.0.0.N` that behave as told: after so many milliseconds, connect or fail.
    async fn raced(behaviours: &[(u64, Result<(), Error>)]) -> (Result<u8, Error>, u128, Vec<(u8, u128)>) {
        let address = |at: usize| SocketAddr::from(([10, 0, 0, at as u8], 80));
        let started = Instant::now();
        let log = std::cell::RefCell::new(Vec::new());
        let rest = (1..behaviours.len()).map(address).collect();
        let raced = race(address(0), rest, |address| {
            let std::net::IpAddr::V4(ip) = address.ip() else { panic!("{address}") };
            let at = ip.octets()[3];
            let (after, result) = behaviours[usize::from(at)].clone();
            log.borrow_mut().push((at, started.elapsed().as_millis()));
            async move {
                sleep(Duration::from_millis(after)).await;
                result.map(|()| at)
            }
        });
        let result = raced.await.map(|(at, _)| at);
        (result, started.elapsed().as_millis(), log.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_address_costs_its_head_start_and_no_more() {
        let (result, took, started) = raced(&[(75_000, Err(Error::DialTimeout)), (10, Ok(()))]).await;
        assert_eq!((result, took), (Ok(1), 260));
        assert_eq!(started, [(0, 0), (1, 250)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_address_is_tried_as_soon_as_one_fails() {
        let (result, took, started) = raced(&[(1, Err(Error::Refused)), (1, Err(Error::Reset)), (1, Ok(()))]).await;
        assert_eq!((result, took), (Ok(2), 3));
        assert_eq!(started, [(0, 0), (1, 1), (2, 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_address_may_still_win() {
        let (result, took, started) = raced(&[(300, Ok(())), (200, Ok(())), (1, Ok(()))]).await;
        assert_eq!((result, took), (Ok(0), 300));
        assert_eq!(started, [(0, 0), (1, 250)]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_first_failure_is_told() {
        let (result, took, _) = raced(&[(5, Err(Error::Refused)), (1000, Err(Error::Reset))]).await;
        assert_eq!((result, took), (Err(Error::Refused), 1005));
    }

    #[test]
    fn errors_of_the_system_are_told_apart() {
        let sorted = |kind: io::ErrorKind| dial_error(&io::Error::from(kind));
        assert_eq!(sorted(io::ErrorKind::ConnectionRefused).code(), 1212);
        assert_eq!(sorted(io::ErrorKind::TimedOut).code(), 1211);
        assert_eq!(sorted(io::ErrorKind::NetworkUnreachable).code(), 1210);
        #[cfg(target_os = "linux")]
        assert!(dial_error(&io::Error::from_raw_os_error(24)).to_string().contains("`ulimit -n`"));
    }

    #[tokio::test]
    async fn a_local_address_that_is_not_ours_is_named() {
        let locals = Locals::new(&[("192.0.2.7".parse().unwrap(), "192.0.2.7".parse().unwrap())]);
        let error = attempt("127.0.0.1:1".parse().unwrap(), &locals, 1).await.unwrap_err();
        assert_eq!(error.to_string(), "dial failed: `192.0.2.7` of `local-ips` is no address of this machine");
    }
}
