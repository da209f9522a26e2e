//! Ctrl-C and SIGTERM: how a user asks for the end.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(not(unix))]
use tokio::signal::windows::{CtrlC, ctrl_c};

/// Watches for signals from the moment it is made, so that none is lost between one and the next.
pub struct StopSignals {
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(not(unix))]
    interrupt: CtrlC,
}

#[cfg(unix)]
impl StopSignals {
    /// Starts watching, within a runtime.
    pub fn watch() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl StopSignals {
    /// Starts watching, within a runtime.
    pub fn watch() -> io::Result<Self> {
        Ok(Self { interrupt: ctrl_c()? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        let _ = self.interrupt.recv().await;
    }
}
