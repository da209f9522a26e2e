//! The sockets of one VU.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use send_wrapper::SendWrapper;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep_until};

use super::frames::{Kind, MOST_OF_CONTROL, is_sendable};
use super::socket::{Facts, Socket, Watch};
use super::upgrade::Upgraded;
use super::wakes::{Bell, Wakes};
use super::{Event, Problem};
use crate::protocol::Error;
use crate::protocol::alarm::Alarm;
use crate::protocol::http::{Response, Target};

/// How long the answer to a close frame is waited for.
const UNANSWERED: Duration = Duration::from_secs(10);
/// The most bytes of a reason for closing: a control frame without its code.
const MOST_OF_REASON: usize = MOST_OF_CONTROL - 2;

/// The sockets of one VU, and the task that reads them while its guest does something else.
#[derive(Debug)]
pub struct Sockets {
    hub: SendWrapper<Rc<Hub>>,
    /// Reads while the guest does not wait; begun with the first socket.
    reader: Option<JoinHandle<()>>,
    alarm: Alarm,
}

#[derive(Debug)]
struct Hub {
    wakes: Arc<Wakes>,
    table: RefCell<Table>,
}

#[derive(Debug)]
struct Table {
    sockets: BTreeMap<u32, Box<Socket>>,
    /// Those on which something came, by what came first.
    fronts: BTreeSet<(u64, u32)>,
    /// Those that can still bring something.
    live: u32,
    /// The number of the last socket, and of the last event.
    last: u32,
    numbers: u64,
    /// Bytes that all of them hold, and may hold.
    held: usize,
    most: usize,
    /// When the sockets end whose server does not answer to a close frame.
    closing: Vec<(Instant, u32)>,
}

impl Sockets {
    /// None yet. All of them together hold at most so many bytes.
    #[must_use]
    pub fn new(most: u64) -> Self {
        let table = Table {
            sockets: BTreeMap::new(),
            fronts: BTreeSet::new(),
            live: 0,
            last: 0,
            numbers: 0,
            held: 0,
            most: usize::try_from(most).unwrap_or(usize::MAX),
            closing: Vec::new(),
        };
        let hub = Hub { wakes: Arc::default(), table: RefCell::new(table) };
        Self { hub: SendWrapper::new(Rc::new(hub)), reader: None, alarm: Alarm::default() }
    }

    /// How many can still bring something.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.hub.table.borrow().live
    }

    /// Takes a socket over that takes messages of at most so many bytes, and returns its number.
    pub fn add(&mut self, upgraded: Upgraded, most: u64, watch: Box<dyn Watch>) -> u32 {
        let id = {
            let table = &mut *self.hub.table.borrow_mut();
            table.last = table.last.wrapping_add(1);
            let id = table.last;
            let bell = Bell::new(&self.hub.wakes, id);
            let mut upgraded = upgraded;
            let early = std::mem::take(&mut upgraded.early);
            let most = usize::try_from(most).unwrap_or(usize::MAX).min(table.most);
            table.sockets.insert(id, Box::new(Socket::new(upgraded, bell, most, watch)));
            table.live += 1;
            table.change(id, |socket, numbers| socket.begin(&early, numbers));
            id
        };
        self.hub.turn();
        if self.reader.is_none() {
            let hub = Rc::clone(&self.hub);
            self.reader = Some(tokio::task::spawn_local(async move { hub.read().await }));
        }
        id
    }

    /// Sends a message, and waits until it is written.
    pub async fn send_text(&self, id: u32, text: &str, deadline: Instant) -> Result<(), Problem> {
        self.send(id, Kind::Text, text.as_bytes(), deadline).await
    }

    /// Sends a message of bytes, in the same way.
    pub async fn send_binary(&self, id: u32, bytes: &[u8], deadline: Instant) -> Result<(), Problem> {
        self.send(id, Kind::Binary, bytes, deadline).await
    }

    /// Sends a ping, in the same way.
    pub async fn ping(&self, id: u32, payload: &[u8], deadline: Instant) -> Result<(), Problem> {
        if payload.len() > MOST_OF_CONTROL {
            let message = format!("a ping of {} bytes: {MOST_OF_CONTROL} is the most", payload.len());
            return Err(Error::InvalidRequest(message).into());
        }
        self.send(id, Kind::Ping, payload, deadline).await
    }

    async fn send(&self, id: u32, kind: Kind, payload: &[u8], deadline: Instant) -> Result<(), Problem> {
        self.change(id, |socket, numbers| socket.send(kind, payload, numbers))??;
        self.written(id, deadline).await
    }

    /// Says that a socket is to be closed.
    pub async fn close(&self, id: u32, code: Option<u16>, reason: &str, deadline: Instant) -> Result<(), Problem> {
        let wrong = |message: String| Err(Error::InvalidRequest(message).into());
        match code {
            Some(code) if !is_sendable(code) => return wrong(format!("a socket cannot be closed with code {code}")),
            None if !reason.is_empty() => return wrong("a reason for closing needs a code".to_owned()),
            _ => {}
        }
        if reason.len() > MOST_OF_REASON {
            return wrong(format!("a reason of {} bytes: {MOST_OF_REASON} is the most", reason.len()));
        }
        self.change(id, |socket, numbers| socket.close(code, reason, numbers))??;
        self.hub.table.borrow_mut().closing.push((Instant::now() + UNANSWERED, id));
        self.hub.wakes.wake_reader();
        self.written(id, deadline).await
    }

    /// Waits until all is written.
    async fn written(&self, id: u32, deadline: Instant) -> Result<(), Problem> {
        let is_written = || self.change(id, |socket, _| socket.is_flushed() || !socket.is_live());
        if is_written()? {
            return Ok(());
        }
        let waiting = self.hub.wakes.wait();
        let written = poll_fn(|context| {
            self.hub.turn();
            match is_written() {
                Ok(false) => {
                    waiting.set(context.waker());
                    self.hub.come_again(context)
                }
                other => Poll::Ready(other),
            }
        });
        if let Some(written) = self.alarm.bound(deadline, pin!(written)).await {
            return written.map(|_| ());
        }
        // What was begun and not ended leaves no way to say anything more.
        let _ = self.change(id, |socket, numbers| socket.fail(Error::Timeout.into(), numbers));
        Err(Error::Timeout.into())
    }

    /// Waits for what comes next, on this socket or on any; `None` when nothing came in time.
    pub async fn receive(&self, from: Option<u32>, deadline: Instant) -> Result<Option<Event>, Problem> {
        // What is here already is here, whatever else goes on.
        if let Some(event) = self.hub.first(from) {
            if self.hub.wakes.ready() > 0 {
                self.hub.wakes.wake_reader();
            }
            return event.map(Some);
        }
        let waiting = self.hub.wakes.wait();
        let came = poll_fn(|context| {
            self.hub.turn();
            if let Some(event) = self.hub.first(from) {
                return Poll::Ready(event);
            }
            waiting.set(context.waker());
            self.hub.come_again(context)
        });
        self.alarm.bound(deadline, pin!(came)).await.transpose()
    }

    /// Facts about a socket.
    pub fn facts(&self, id: u32) -> Result<Facts, Problem> {
        self.change(id, |socket, _| socket.facts())
    }

    /// Looks at the answer to a socket's upgrade.
    pub fn answer<R>(&self, id: u32, look: impl FnOnce(&Response) -> R) -> Result<R, Problem> {
        self.change(id, |socket, _| look(socket.answer()))
    }

    /// Where a socket leads.
    pub fn target(&self, id: u32) -> Result<Arc<Target>, Problem> {
        self.change(id, |socket, _| Arc::clone(socket.target()))
    }

    /// Forgets a socket; one that is open is closed with this code.
    pub fn release(&self, id: u32, code: u16) {
        self.hub.table.borrow_mut().release(id, code);
    }

    /// Forgets all of them, in the same way.
    pub fn release_all(&self, code: u16) {
        let table = &mut *self.hub.table.borrow_mut();
        while let Some((&id, _)) = table.sockets.first_key_value() {
            table.release(id, code);
        }
    }

    fn change<R>(&self, id: u32, change: impl FnOnce(&mut Socket, &mut u64) -> R) -> Result<R, Problem> {
        self.hub.table.borrow_mut().change(id, change).ok_or(Problem::Stale(id))
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
        self.release_all(1001);
    }
}

impl Hub {
    /// Lets every socket go on that can.
    fn turn(&self) {
        // Those that are not done are at the end again, and have their turn next time.
        for _ in 0..self.wakes.ready() {
            let Some(id) = self.wakes.next() else { return };
            let table = &mut *self.table.borrow_mut();
            table.change(id, Socket::go_on);
            table.check(id);
        }
    }

    /// Comes again at once if there is something to do.
    fn come_again<T>(&self, context: &Context<'_>) -> Poll<T> {
        if self.wakes.ready() > 0 {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Takes out what came first; `None` where nothing has come yet.
    fn first(&self, from: Option<u32>) -> Option<Result<Event, Problem>> {
        let table = &mut *self.table.borrow_mut();
        let id = match from {
            Some(id) => id,
            None => match table.fronts.first() {
                Some(&(_, id)) => id,
                None => return (table.live == 0).then_some(Err(Problem::Closed)),
            },
        };
        let took = table.change(id, |socket, _| (socket.take(), socket.is_live()));
        match took {
            None => Some(Err(Problem::Stale(id))),
            Some((Some(arrived), _)) => Some(Ok(Event { socket: id, arrived: arrived.at, content: arrived.content })),
            Some((None, true)) => None,
            Some((None, false)) => Some(Err(Problem::Closed)),
        }
    }

    /// Reads for ever while the guest does not wait.
    async fn read(&self) {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            self.wakes.set_reader(context.waker());
            self.turn();
            self.poll_unanswered(context, &mut timer);
            self.wakes.wake_guest();
            self.come_again::<()>(context)
        })
        .await;
    }

    /// Ends the sockets whose server does not answer to a close frame.
    fn poll_unanswered(&self, context: &mut Context<'_>, timer: &mut Option<Pin<Box<Sleep>>>) {
        let table = &mut *self.table.borrow_mut();
        loop {
            let sockets = &table.sockets;
            table.closing.retain(|(_, id)| sockets.get(id).is_some_and(|socket| socket.is_live()));
            let Some(&(first, _)) = table.closing.iter().min() else {
                *timer = None;
                return;
            };
            let sleep = timer.get_or_insert_with(|| Box::pin(sleep_until(first)));
            sleep.as_mut().reset(first);
            if sleep.as_mut().poll(context).is_pending() {
                return;
            }
            let late: Vec<u32> = table.closing.iter().filter(|(at, _)| *at <= first).map(|(_, id)| *id).collect();
            for id in late {
                let problem = Problem::Ended("the close frame was not answered within 10 s");
                table.change(id, |socket, numbers| socket.fail(problem, numbers));
            }
        }
    }
}

impl Table {
    /// Lets a socket change, and keeps what is known of all of them.
    fn change<R>(&mut self, id: u32, change: impl FnOnce(&mut Socket, &mut u64) -> R) -> Option<R> {
        let socket = self.sockets.get_mut(&id)?;
        let before = (socket.first(), socket.is_live(), socket.bytes());
        let result = change(socket, &mut self.numbers);
        let (first, is_live, bytes) = (socket.first(), socket.is_live(), socket.bytes());
        if first != before.0 {
            if let Some(number) = before.0 {
                self.fronts.remove(&(number, id));
            }
            if let Some(number) = first {
                self.fronts.insert((number, id));
            }
        }
        self.live -= u32::from(before.1 && !is_live);
        self.held = self.held + bytes - before.2;
        Some(result)
    }

    /// Ends a socket whose message would take more than all of them may hold.
    fn check(&mut self, id: u32) {
        if self.held > self.most {
            let most = self.most;
            let message = format!("sockets hold more than {most} bytes that nobody received (`limits.responseBytes`)");
            self.change(id, |socket, numbers| socket.fail(Error::Other(message).into(), numbers));
        }
    }

    fn release(&mut self, id: u32, code: u16) {
        self.change(id, |socket, _| socket.leave(code));
        if let Some(socket) = self.sockets.remove(&id) {
            self.held -= socket.bytes();
            if let Some(number) = socket.first() {
                self.fronts.remove(&(number, id));
            }
        }
    }
}
