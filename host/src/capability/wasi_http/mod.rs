//! `wasi:http`: requests of programs that know nothing of squall, through the VU's own client.
//!
//! The types of `wasi:http` are wasmtime's. Here is what happens when a guest hands a request over: it goes the way of
//! those of `squall:journey`, with the same limits, and is recorded in the same metrics. Redirects are the guest's matter,
//! and so are cookies and encodings. The context is made when a guest first uses it; most journeys never do.

mod asked;
mod body;
mod errors;
mod exchange;
mod filled;
mod flight;
mod trip;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderName, Request, Response};
use send_wrapper::SendWrapper;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi_http::p2::bindings::http::types::{self, ErrorCode};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as WasiError, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttp,
    WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::{Host, Local, Run};
use crate::protocol::Error;
use crate::protocol::http::{Client, Exchange};
use asked::Asked;
use errors::to_wasi;
use flight::Flight;
use trip::Trip;

/// The interface that takes requests. A guest that was built for an older or a newer 0.2 is linked to it too.
const HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";

/// One VU's side of it.
pub(super) struct Outgoing {
    context: WasiHttpCtx,
    hooks: Hooks,
    way: SendWrapper<Rc<Way>>,
}

/// What the requests of a VU have in common, also those that go on while their guest does something else.
struct Way {
    client: Arc<Client>,
    local: Rc<Local>,
    run: Arc<Run>,
    vu: u32,
    scenario: Arc<str>,
    scope: u32,
    /// Requests whose answers were not read to their end.
    flights: RefCell<Vec<Rc<Flight>>>,
    /// Why this iteration fails whatever its guest says.
    thrown: RefCell<Option<String>>,
    /// The VU was stopped in the middle of an iteration: what it was doing then counts for nothing.
    is_stopped: Cell<bool>,
}

impl Way {
    /// Requests that are under way.
    fn running(&self) -> u32 {
        u32::try_from(self.flights.borrow().len()).unwrap_or(u32::MAX)
    }

    fn join(&self, flight: &Rc<Flight>) {
        self.flights.borrow_mut().push(Rc::clone(flight));
    }

    fn leave(&self, flight: &Flight) {
        let mut flights = self.flights.borrow_mut();
        if let Some(at) = flights.iter().position(|other| std::ptr::eq(&raw const **other, flight)) {
            flights.swap_remove(at);
        }
    }

    /// Ends and records what is under way.
    fn end(&self) {
        let flights = std::mem::take(&mut *self.flights.borrow_mut());
        for flight in flights {
            flight.end();
        }
    }
}

impl Outgoing {
    /// Ends everything, and records nothing of it.
    pub(super) fn stop(&self) {
        self.way.is_stopped.set(true);
        self.way.end();
    }
}

/// What wasmtime's side of `wasi:http` asks of its host.
struct Hooks {
    forbidden: ForbiddenHeaderFilter,
}

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        (self.forbidden)(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::clone(&self.forbidden)
    }

    /// Never called: wasmtime's handler would, and in its place is [`Host`]'s, which needs no message of `hyper`'s.
    fn send_request(
        &mut self,
        _: Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), WasiError>> + Send>,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Transmission), WasiError>> + Send> {
        Box::new(std::future::ready(Err(WasiError::HttpRequestDenied)))
    }
}

type Transmission = Box<dyn Future<Output = Result<(), WasiError>> + Send>;

impl Host {
    fn outgoing(&mut self) -> &mut Outgoing {
        self.outgoing.get_or_insert_with(|| {
            let way = Way {
                client: Arc::clone(&self.client),
                local: Rc::clone(&self.local),
                run: Arc::clone(&self.run),
                vu: self.identity.vu,
                scenario: Arc::clone(&self.identity.scenario),
                scope: self.scope,
                flights: RefCell::default(),
                thrown: RefCell::default(),
                is_stopped: Cell::default(),
            };
            let forbidden: ForbiddenHeaderFilter = Arc::new(|name| DEFAULT_FORBIDDEN_HEADERS.contains(name));
            let (context, hooks) = (WasiHttpCtx::new(), Hooks { forbidden });
            Box::new(Outgoing { context, hooks, way: SendWrapper::new(Rc::new(way)) })
        })
    }

    /// Requests that are under way.
    pub(super) fn outgoing_running(&self) -> u32 {
        self.outgoing.as_ref().map_or(0, |outgoing| outgoing.way.running())
    }

    /// Ends what an iteration has left open; returns why it failed, if it is to fail for a request without an answer.
    pub(super) fn end_outgoing(&mut self) -> Option<String> {
        let way = &self.outgoing.as_ref()?.way;
        way.end();
        way.thrown.take()
    }

    /// Why one more request may not be made, if so.
    fn check_outgoing(&self) -> Result<(), Error> {
        if !self.run.may_send {
            return Err(Error::Denied("no request may be made here".to_owned()));
        }
        let most = self.run.limits.requests_in_flight;
        if self.outgoing_running().saturating_add(self.streams.running()) < most {
            return Ok(());
        }
        Err(Error::InvalidRequest(format!(
            "{most} requests are under way, and no more may be (`limits.requestsInFlight`)"
        )))
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let _ = self.ctx();
        let _ = self.outgoing();
        let (Some(wasi), Some(outgoing)) = (&mut self.wasi, &mut self.outgoing) else {
            unreachable!("both were made above");
        };
        let Outgoing { context, hooks, .. } = &mut **outgoing;
        WasiHttpCtxView { hooks, table: wasi.table(), ctx: context }
    }
}

impl Host {
    /// `outgoing-handler.handle`: sends a request on its way.
    fn handle(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> wasmtime::Result<Result<Resource<HostFutureIncomingResponse>, ErrorCode>> {
        let table = self.http().table;
        let options = options.map(|options| table.delete(options)).transpose()?;
        let request = table.delete(request)?;
        match self.depart(request, options.unwrap_or_default()) {
            Ok(flight) => Ok(Ok(self.http().table.push(flight)?)),
            Err(code) => Ok(Err(code)),
        }
    }

    fn depart(
        &mut self,
        request: HostOutgoingRequest,
        options: RequestOptions,
    ) -> Result<HostFutureIncomingResponse, ErrorCode> {
        let asked = Asked::new(request, options)?;
        let (group, expected) = (self.groups.current(), self.expected.clone());
        let trip = Trip::new(&self.outgoing().way, group, &asked, expected);
        let target = self.check_outgoing().and_then(|()| self.client.shared().target(&asked.url));
        match target {
            Ok(target) => Ok(Flight::depart(trip.to(&target), target, asked)),
            Err(error) => {
                // Nothing of it is sent, and it counts.
                let code = to_wasi(&error);
                trip.record(&Exchange::refused(error), false);
                Err(code)
            }
        }
    }
}

/// Adds the interfaces of `wasi:http` that send requests.
pub(super) fn link<T: WasiHttpView + 'static>(
    linker: &mut Linker<T>,
    host: fn(&mut T) -> &mut Host,
) -> wasmtime::Result<()> {
    types::add_to_linker::<_, WasiHttp>(linker, &types::LinkOptions::default(), T::http)?;
    // wasmtime's own handler would make a message of `hyper`'s of every request, and a task for it.
    linker.instance(HANDLER)?.func_wrap("handle", move |mut store, (request, options)| {
        Ok((host(store.data_mut()).handle(request, options)?,))
    })
}
