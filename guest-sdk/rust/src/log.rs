//! Messages for the person who runs the test.
//!
//! The macros [`debug!`](crate::debug!), [`info!`](crate::info!), [`warn!`](crate::warn!) and
//! [`error!`](crate::error!) take a format string as `println!` does.

use crate::bindings::squall::journey::log::{Level, write};

/// Writes a message for whoever debugs the journey.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// Writes a message.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Writes a message about something that looks wrong.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Writes a message about something that is wrong.
pub fn error(message: &str) {
    write(Level::Error, message);
}

/// Formats and writes a message for whoever debugs the journey.
#[macro_export]
macro_rules! debug {
    ($($message:tt)+) => { $crate::log::debug(&::std::format!($($message)+)) };
}

/// Formats and writes a message.
#[macro_export]
macro_rules! info {
    ($($message:tt)+) => { $crate::log::info(&::std::format!($($message)+)) };
}

/// Formats and writes a message about something that looks wrong.
#[macro_export]
macro_rules! warn {
    ($($message:tt)+) => { $crate::log::warn(&::std::format!($($message)+)) };
}

/// Formats and writes a message about something that is wrong.
#[macro_export]
macro_rules! error {
    ($($message:tt)+) => { $crate::log::error(&::std::format!($($message)+)) };
}
