//! A request under way: owned by its VU, driven by whoever waits for it.
//!
//! Its guest holds handles onto it and may drop them at any time, or keep them beyond its iteration. What it came to is
//! recorded whichever way it ends, once.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tokio::task::spawn_local;
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;
use wasmtime_wasi_http::p2::body::HyperIncomingBody;
use wasmtime_wasi_http::p2::types::HostFutureIncomingResponse;
use wasmtime_wasi_http::{Error as Wasi, Result as WasiResult};

use super::Way;
use super::asked::Asked;
use super::body::Answer;
use super::errors::{of_body, to_wasi};
use super::exchange::{Begun, Live, Reading, Rest, begin, read};
use super::trip::Trip;
use crate::protocol::Error;
use crate::protocol::http::Target;

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// A request under way.
pub(super) struct Flight {
    way: Rc<Way>,
    state: RefCell<State>,
    /// Whoever waits for the head.
    waker: RefCell<Option<Waker>>,
}

enum State {
    /// The head has not come.
    Beginning(Boxed<Result<Begun, Error>>),
    /// Nobody reads on.
    Idle(Box<Live>),
    Reading(Reading),
    /// It is over; what whoever asks next is told.
    Over(Option<Wasi>),
}

impl Flight {
    /// Sends a request on its way.
    pub(super) fn depart(trip: Trip, target: Arc<Target>, asked: Asked) -> HostFutureIncomingResponse {
        let way = Rc::clone(&trip.way);
        let state = RefCell::new(State::Beginning(Box::pin(begin(trip, target, asked))));
        let flight = Rc::new(Self { way, state, waker: RefCell::default() });
        flight.way.join(&flight);
        HostFutureIncomingResponse::Pending(spawn_local(Departure(flight)).into())
    }

    fn poll_head(
        self: &Rc<Self>,
        context: &mut Context<'_>,
    ) -> Poll<WasiResult<(http::Response<HyperIncomingBody>, Worker)>> {
        let state = &mut *self.state.borrow_mut();
        let begun = match state {
            State::Beginning(begin) => {
                if let Poll::Ready(begun) = begin.as_mut().poll(context) {
                    begun
                } else {
                    let waker = &mut *self.waker.borrow_mut();
                    if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                        *waker = Some(context.waker().clone());
                    }
                    return Poll::Pending;
                }
            }
            State::Over(error) => return Poll::Ready(Err(error.take().unwrap_or(Wasi::ConnectionTerminated))),
            State::Idle(_) | State::Reading(_) => unreachable!("the head comes once"),
        };
        let Begun { mut head, rest } = match begun {
            Ok(begun) => begun,
            Err(error) => {
                *state = State::Over(None);
                self.way.leave(self);
                return Poll::Ready(Err(to_wasi(&error).into()));
            }
        };
        let body = match rest {
            Rest::Here(bytes) => {
                *state = State::Over(None);
                self.way.leave(self);
                Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
            }
            Rest::Live(live) => {
                *state = State::Idle(live);
                Answer::new(Rc::clone(self)).boxed_unsync()
            }
        };
        let mut response = http::Response::new(body);
        *response.status_mut() = head.0;
        *response.headers_mut() = std::mem::take(&mut head.1);
        // wasmtime wants a task to keep as long as the body; here is none that the body depends on.
        Poll::Ready(Ok((response, spawn_local(std::future::ready(())).into())))
    }

    /// Reads what comes next; `None` at the end.
    pub(super) fn poll_read(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Wasi>>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            match state {
                State::Idle(_) => {
                    let State::Idle(live) = std::mem::replace(state, State::Over(None)) else { unreachable!() };
                    *state = State::Reading(Box::pin(read(live)));
                }
                State::Reading(reading) => {
                    let (mut live, came) = ready!(reading.as_mut().poll(context));
                    if let Ok(Some(bytes)) = came {
                        *state = State::Idle(live);
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    *state = State::Over(None);
                    self.way.leave(self);
                    let error = came.err();
                    let told = error.as_ref().map(|error| Err(of_body(error).into()));
                    live.finish(error);
                    return Poll::Ready(told);
                }
                State::Over(error) => return Poll::Ready(error.take().map(Err)),
                State::Beginning(_) => unreachable!("a body comes after its head"),
            }
        }
    }

    /// Ends it wherever it is; what it came to is recorded.
    pub(super) fn end(&self) {
        let over = std::mem::replace(&mut *self.state.borrow_mut(), State::Over(Some(Wasi::ConnectionTerminated)));
        drop(over);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The same, by its guest.
    pub(super) fn give_up(&self) {
        self.way.leave(self);
        self.end();
    }
}

type Worker = AbortOnDropJoinHandle<()>;

/// Waits for the head. Its guest holds the task's handle, and ends the request by dropping that.
struct Departure(Rc<Flight>);

impl Future for Departure {
    type Output = WasiResult<(http::Response<HyperIncomingBody>, Worker)>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_head(context)
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        let is_waiting = matches!(*self.0.state.borrow(), State::Beginning(_));
        if is_waiting {
            self.0.give_up();
        }
    }
}
