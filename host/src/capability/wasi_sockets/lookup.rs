//! Names: asked of the policy, then of whom every other connection asks.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::vec;

use send_wrapper::SendWrapper;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    Host as Names, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketResult, subscribe};
use wasmtime_wasi::sockets::WasiSocketsView as _;

use super::to_guest;
use crate::capability::Host;
use crate::protocol::Error;

type Answer = Result<Vec<IpAddr>, Error>;

/// A question for a name, or what is left of its answer. In the table it stands where wasmtime would have its own.
struct Lookup(State);

enum State {
    Asked(SendWrapper<Pin<Box<dyn Future<Output = Answer>>>>),
    Answered(vec::IntoIter<IpAddr>),
    Failed(Error),
}

impl Lookup {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Asked(answer) = &mut self.0 {
            self.0 = match ready!(answer.as_mut().poll(context)) {
                Ok(addresses) => State::Answered(addresses.into_iter()),
                Err(error) => State::Failed(error),
            };
        }
        Poll::Ready(())
    }

    /// Goes as far as it can without waiting.
    fn advance(&mut self) -> bool {
        self.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll(context)).await;
    }
}

/// The handle as this host has it.
fn own(stream: &Resource<ResolveAddressStream>) -> Resource<Lookup> {
    Resource::new_borrow(stream.rep())
}

impl Names for Host {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        let answer = self.sockets_granted()?.reach.look_up(&name);
        let mut lookup = Lookup(State::Asked(SendWrapper::new(Box::pin(answer))));
        lookup.advance();
        if let State::Failed(error) = &lookup.0 {
            let error = error.clone();
            return Err(if let Error::NotAllowed(_) = error { self.refuse(&error) } else { to_guest(&error).into() });
        }
        let table = self.sockets().table;
        let _ = table.get(&network)?;
        Ok(Resource::new_own(table.push(lookup)?.rep()))
    }
}

impl HostResolveAddressStream for Host {
    fn resolve_next_address(&mut self, stream: Resource<ResolveAddressStream>) -> SocketResult<Option<IpAddress>> {
        let lookup = self.sockets().table.get_mut(&own(&stream))?;
        if !lookup.advance() {
            return Err(ErrorCode::WouldBlock.into());
        }
        match &mut lookup.0 {
            State::Answered(addresses) => Ok(addresses.next().map(|address| address.to_canonical().into())),
            State::Failed(error) => Err(to_guest(error).into()),
            State::Asked(_) => Err(ErrorCode::WouldBlock.into()),
        }
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.sockets().table, own(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.sockets().table.delete(Resource::<Lookup>::new_own(stream.rep()))?;
        Ok(())
    }
}
