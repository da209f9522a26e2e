//! gRPC: unary calls and streams, by the name of their method, with messages as JSON or as bytes.
//!
//! ```no_run
//! use serde_json::{Value, json};
//! use squall_sdk::grpc::Connection;
//! use squall_sdk::{Error, check};
//!
//! fn greet() -> Result<(), Error> {
//!     // The virtual user keeps the connection: the next iteration gets it back.
//!     let server = Connection::to("127.0.0.1:8080").plaintext().reflect().open()?;
//!     let answer = server.call("hello.Greeter/SayHello").json(&json!({ "name": "Ada" }))?;
//!     check!("greeted", answer.is_ok() && answer.message::<Value>()?["text"] == "Hello Ada");
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! Messages that are JSON need the method's types: from the server ([`Connect::reflect`]), or from `.proto` files granted to
//! the run with `--file` ([`load`]). Bytes need none. Field names are proto3's JSON mapping: `order_id` is `orderId`.
//!
//! A call that was begun always ends with a [`Status`]: a timeout is [`Code::DEADLINE_EXCEEDED`], a lost connection
//! [`Code::UNAVAILABLE`]. [`Status::failure`] says what happened where the server sent none.

mod call;
mod connection;
mod status;
mod stream;

pub use call::{Answer, Call};
pub use connection::{Connect, Connection};
pub use status::{Code, Status};
pub use stream::{Event, Stream};

use crate::Error;
use crate::bindings::squall::grpc::grpc as host;

/// Compiles `.proto` files granted to the run, by their names there, with what they import. The run does so once,
/// however often and by however many virtual users it is asked.
///
/// ```no_run
/// # fn main() -> Result<(), squall_sdk::Error> {
/// squall_sdk::grpc::load(&["hello.proto"])?;
/// # Ok(()) }
/// ```
pub fn load(files: &[&str]) -> Result<(), Error> {
    Ok(host::load(files)?)
}

/// Reads a set of descriptors granted to the run: what `protoc --descriptor_set_out --include_imports` writes.
pub fn load_set(file: &str) -> Result<(), Error> {
    Ok(host::load_set(file)?)
}

/// The methods that are known, as `package.Service/Method`, in order.
#[must_use]
pub fn methods() -> Vec<String> {
    host::methods()
}

impl From<host::Error> for Error {
    #[cold]
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Timeout => Self::Timeout,
            host::Error::Dns(why) => Self::Dns(why),
            host::Error::Refused => Self::Refused,
            host::Error::Reset(_) => Self::Reset,
            host::Error::Tls(why) => Self::Tls(why),
            host::Error::Protocol(why) => Self::Other(format!("the other side does not speak gRPC: {why}")),
            host::Error::Denied(why) => Self::Denied(why),
            host::Error::TooLarge(limit) => Self::TooLarge(limit),
            host::Error::InvalidRequest(why) => Self::InvalidRequest(why),
            host::Error::UnknownMethod(why) => Self::UnknownMethod(why),
            host::Error::InvalidMessage(why) => Self::InvalidMessage(why),
            host::Error::InvalidSchema(why) => Self::InvalidSchema(why),
            host::Error::NoReflection(why) => Self::NoReflection(why),
            host::Error::Ended => Self::Other("the call is over".to_owned()),
            host::Error::Stale(id) => {
                Self::Other(format!("connection or call {id} is closed or of an earlier iteration"))
            }
            host::Error::Other(why) => Self::Other(why),
        }
    }
}

/// The first value of a name.
fn value<'a>(pairs: &'a [host::PairResult], name: &str) -> Option<&'a str> {
    pairs.iter().find(|pair| pair.name.eq_ignore_ascii_case(name)).map(|pair| pair.value.as_str())
}
