//! The journey's own metrics.
//!
//! A metric is a static that the host hears of at its first value:
//!
//! ```no_run
//! use squall_sdk::metric::Counter;
//!
//! static ORDERS: Counter = Counter::new("orders");
//!
//! fn buy() {
//!     ORDERS.add(1);
//! }
//! # buy();
//! ```
//!
//! A metric that cannot be declared (its name is invalid, or is taken by another kind) makes the journey trap with the
//! reason: a script that is wrong must not look green. `declare` finds out earlier.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use crate::Error;
use crate::bindings::squall::journey::metric::{self as host, Kind, Tag, Unit};
use crate::vu::milliseconds;

/// Ids are kept one higher than the host gave them, so that 0 can mean "not declared yet".
const UNDECLARED: u32 = 0;

/// What all kinds have in common: a name, and an id once the host knows it.
#[derive(Debug)]
struct Declared {
    name: &'static str,
    kind: Kind,
    unit: Unit,
    id: AtomicU32,
}

impl Declared {
    const fn new(name: &'static str, kind: Kind, unit: Unit) -> Self {
        Self { name, kind, unit, id: AtomicU32::new(UNDECLARED) }
    }

    fn declare(&self) -> Result<u32, Error> {
        let known = self.id.load(Relaxed);
        if known != UNDECLARED {
            return Ok(known - 1);
        }
        let id = host::declare(self.name, self.kind, self.unit)?;
        self.id.store(id.wrapping_add(1), Relaxed);
        Ok(id)
    }

    fn add(&self, value: f64, tags: &[Tag<'_>]) {
        match self.declare() {
            Ok(id) => host::add(id, value, tags),
            Err(error) => panic!("metric `{}` cannot be declared: {error}", self.name),
        }
    }

    fn add_tagged(&self, value: f64, tags: &[(&str, &str)]) {
        let tags: Vec<Tag<'_>> = tags.iter().map(|&(name, value)| Tag { name, value }).collect();
        self.add(value, &tags);
    }
}

/// What can be a metric's value.
pub trait Value {
    /// The value as the host takes it; times in milliseconds.
    fn value(self) -> f64;
}

macro_rules! value {
    ($($number:ty),+) => {$(
        impl Value for $number {
            fn value(self) -> f64 {
                f64::from(self)
            }
        }
    )+};
}

value!(f64, f32, u8, u16, u32, i8, i16, i32, bool);

impl Value for u64 {
    fn value(self) -> f64 {
        // Metrics are floats: above 2^53 the last digits go.
        self as f64
    }
}

impl Value for usize {
    fn value(self) -> f64 {
        self as f64
    }
}

impl Value for Duration {
    fn value(self) -> f64 {
        milliseconds(self)
    }
}

macro_rules! kind {
    ($(#[$doc:meta])+ $name:ident: $kind:ident $(, $(#[$unit_doc:meta])+ $unit_fn:ident: $unit:ident)*) => {
        $(#[$doc])+
        #[derive(Debug)]
        pub struct $name(Declared);

        impl $name {
            /// Names the metric, without telling the host yet. The name matches `[A-Za-z_][A-Za-z0-9_]{0,127}`.
            #[must_use]
            pub const fn new(name: &'static str) -> Self {
                Self(Declared::new(name, Kind::$kind, Unit::None))
            }

            $(
                $(#[$unit_doc])+
                #[must_use]
                pub const fn $unit_fn(name: &'static str) -> Self {
                    Self(Declared::new(name, Kind::$kind, Unit::$unit))
                }
            )*

            /// Tells the host of the metric now rather than with its first value.
            pub fn declare(&self) -> Result<(), Error> {
                self.0.declare().map(|_| ())
            }

            /// Adds a value.
            pub fn add(&self, value: impl Value) {
                self.0.add(value.value(), &[]);
            }

            /// Adds a value with tags of its own.
            pub fn add_tagged(&self, value: impl Value, tags: &[(&str, &str)]) {
                self.0.add_tagged(value.value(), tags);
            }
        }
    };
}

kind! {
    /// A sum of values.
    Counter: Counter,
    /// A counter of bytes.
    data: Data
}

kind! {
    /// The latest value, with minimum and maximum.
    Gauge: Gauge,
    /// A gauge of milliseconds.
    time: Time,
    /// A gauge of bytes.
    data: Data
}

kind! {
    /// The share of values that are not 0, or not `false`.
    Rate: Rate
}

kind! {
    /// Percentiles, mean, minimum and maximum of the values.
    Trend: Trend,
    /// A trend of times; takes milliseconds or a [`Duration`].
    time: Time,
    /// A trend of bytes.
    data: Data
}
