//! The two sides of a connection, with what goes through them counted.

use bytes::Bytes;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamResult};

use super::session::Meter;

/// What a guest reads.
struct Incoming(DynInputStream, Meter);

/// What a guest writes.
struct Outgoing(DynOutputStream, Meter);

/// Stands in the place of a stream that is being taken out of a table.
struct Nothing;

/// Counts what is read from now on.
pub(super) fn count_read(stream: &mut DynInputStream, meter: Meter) {
    let inner = std::mem::replace(stream, Box::new(Nothing));
    *stream = Box::new(Incoming(inner, meter));
}

/// Counts what is written from now on.
pub(super) fn count_written(stream: &mut DynOutputStream, meter: Meter) {
    let inner = std::mem::replace(stream, Box::new(Nothing));
    *stream = Box::new(Outgoing(inner, meter));
}

#[wasmtime_wasi::async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Incoming {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.0.read(size)?;
        self.1.received(bytes.len());
        Ok(bytes)
    }

    async fn cancel(&mut self) {
        self.0.cancel().await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Outgoing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let length = bytes.len();
        self.0.write(bytes)?;
        self.1.sent(length);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.0.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.0.check_write()
    }

    async fn cancel(&mut self) {
        self.0.cancel().await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Nothing {
    async fn ready(&mut self) {}
}

impl InputStream for Nothing {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        Ok(Bytes::new())
    }
}

impl OutputStream for Nothing {
    fn write(&mut self, _: Bytes) -> StreamResult<()> {
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(0)
    }
}
