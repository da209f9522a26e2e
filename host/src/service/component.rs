//! From a component's bytes to something that can be instantiated for each request.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, Resource, ResourceTable};
use wasmtime::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::counters::Counters;
use super::{Options, ServeError};

/// How often an instance is interrupted so that other requests have their turn.
const TICK: Duration = Duration::from_millis(1);
/// Tables and memories that an instance may have, and the elements of each table.
const MOST: (usize, usize) = (100, 100_000);

/// What a request is answered with, or why not.
pub(super) type Answer = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

/// A component that is ready to answer, and how.
pub(super) struct Service {
    engine: Engine,
    proxy: ProxyPre<State>,
    options: Options,
    pub(super) counters: Counters,
}

/// What an instance has.
pub(super) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Alone,
    limits: StoreLimits,
}

/// A service that sends no requests of its own.
struct Alone;

impl Service {
    /// Compiles a component.
    pub(super) fn new(bytes: &[u8], options: &Options) -> Result<Self, ServeError> {
        let compile = |error: wasmtime::Error| ServeError::Compile { message: format!("{error:#}") };
        let mut config = Config::new();
        config.concurrency_support(false).epoch_interruption(true);
        let engine = Engine::new(&config).map_err(compile)?;
        if wasmparser::Parser::is_core_wasm(bytes) {
            let message = "it is a core module, not a component; build it with `--target wasm32-wasip2`";
            return Err(ServeError::Compile { message: message.to_owned() });
        }
        let component = Component::from_binary(&engine, bytes).map_err(compile)?;
        check_exports(&engine, &component)?;
        let imports = |error: wasmtime::Error| ServeError::Imports { message: format!("{error:#}") };
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(imports)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).map_err(imports)?;
        let proxy = linker.instantiate_pre(&component).and_then(ProxyPre::new).map_err(imports)?;
        start_clock(&engine);
        Ok(Self { engine, proxy, options: options.clone(), counters: Counters::new() })
    }

    pub(super) fn timeout(&self) -> Duration {
        self.options.timeout
    }

    pub(super) fn tell(&self, text: &str) {
        (self.options.tell)(text);
    }

    /// Has a new instance answer a request: what it comes to is sent as soon as it is known, and this returns when the
    /// instance has ended.
    pub(super) async fn answer(
        &self,
        request: http::Request<Incoming>,
        answer: oneshot::Sender<Answer>,
    ) -> wasmtime::Result<()> {
        let mut store = Store::new(&self.engine, State::new(&self.options));
        store.limiter(|state| &mut state.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let (request, out) = store.data_mut().hand_over(request, answer)?;
        let proxy = self.proxy.instantiate_async(&mut store).await?;
        proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
    }
}

impl State {
    fn new(options: &Options) -> Self {
        let mut wasi = WasiCtx::builder();
        // What it says is for whoever runs it; the standard output is for the server's address and what it saw.
        wasi.stdout(std::io::stderr()).stderr(std::io::stderr()).allow_tcp(false).allow_udp(false).envs(&options.env);
        let limits = StoreLimitsBuilder::new()
            .memory_size(options.memory)
            .memories(MOST.0)
            .tables(MOST.0)
            .table_elements(MOST.1)
            .build();
        Self { table: ResourceTable::new(), wasi: wasi.build(), http: WasiHttpCtx::new(), hooks: Alone, limits }
    }

    fn hand_over(
        &mut self,
        request: http::Request<Incoming>,
        answer: oneshot::Sender<Answer>,
    ) -> wasmtime::Result<(Resource<HostIncomingRequest>, Resource<HostResponseOutparam>)> {
        let request = request.map(|body| body.map_err(Error::Hyper));
        let request = self.http().new_incoming_request(Scheme::Http, request)?;
        Ok((request, self.http().new_response_outparam(answer)?))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// A future that the contract of hooks wants.
type Sending<T> = Box<dyn Future<Output = Result<T, Error>> + Send>;

impl WasiHttpHooks for Alone {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Sending<()>,
    ) -> Sending<(http::Response<WasiBody>, Sending<()>)> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}

/// Refuses a component that answers no requests.
fn check_exports(engine: &Engine, component: &Component) -> Result<(), ServeError> {
    let component = component.component_type();
    let names: Vec<_> = component.exports(engine).map(|(name, item)| (name, item.ty)).collect();
    let is_handler = |(name, item): &(&str, ComponentItem)| {
        name.starts_with("wasi:http/incoming-handler@0.2") && matches!(item, ComponentItem::ComponentInstance(_))
    };
    if names.iter().any(is_handler) {
        return Ok(());
    }
    let exports = names.iter().take(10).map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Err(ServeError::NoHandler { exports: if exports.is_empty() { "nothing".to_owned() } else { exports } })
}

/// Lets the engine's clock tick for as long as the engine lives.
fn start_clock(engine: &Engine) {
    let engine = Arc::new(engine.weak());
    let clock = thread::Builder::new().name("service-epoch".to_owned()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    });
    clock.expect("the system starts a thread");
}
