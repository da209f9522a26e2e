//! Futures that few requests need, kept where they cost the others nothing.
//!
//! A future is built in the frame that asks for it before it is moved to its box, and polled in the frame that awaits it, so
//! both have room for it even when it never comes to that. The frames of a request lie on its VU's stack, which keeps
//! every page that was ever touched.

use std::pin::Pin;

/// A future with frames of its own.
pub type Apart<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Makes a future on the heap.
#[inline(never)]
pub fn apart<'a, F: Future + 'a>(make: impl FnOnce() -> F) -> Apart<'a, F::Output> {
    Box::pin(make())
}
