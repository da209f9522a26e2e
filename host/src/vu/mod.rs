//! One virtual user: identity, iterate, outcome into samples, replace a trapped instance.

mod journey;

pub use journey::{
    Context, Control, Instance, Iteration, Journey, JourneyError, Lifecycle, Notice, NoticeLevel,
    Outcome, Seat, Worker,
};
