//! Ctrl-C and SIGTERM: how a user asks for the end.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(not(unix))]
use tokio::signal::windows::{CtrlC, ctrl_c};

/// What is done at a signal: whether it is the first.
type Obey = Box<dyn Fn(bool) + Send>;

/// Signals that are kept for a run that is about to start.
pub struct Signals(Sender<Obey>);

impl Signals {
    /// Watches from now on: a signal from here to the start of the run is not lost, and does not end the process.
    pub fn watch() -> Self {
        let (sender, orders) = channel();
        let (ready, watching) = channel();
        let listen = async move |orders: Receiver<Obey>| {
            let Ok(mut signals) = StopSignals::watch() else { return };
            let _ = ready.send(());
            signals.next().await;
            // The run starts in a moment, or not at all.
            let Ok(obey) = orders.recv() else { return };
            obey(true);
            signals.next().await;
            obey(false);
        };
        let listener = thread::Builder::new().name("squall-signals".to_owned()).spawn(move || {
            // Without an event loop the system's own handling of signals stays: the process ends.
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(listen(orders));
            }
        });
        drop(listener);
        // Whether it watches, or cannot.
        let _ = watching.recv();
        Self(sender)
    }

    /// The first signal asks the run to end, the second to end at once. The report is printed either way.
    pub fn obey(self, obey: impl Fn(bool) + Send + 'static) {
        // Nobody listens where signals cannot be watched.
        let _ = self.0.send(Box::new(obey));
    }
}

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
