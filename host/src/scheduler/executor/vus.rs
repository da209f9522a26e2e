//! A number of VUs over time, each iterating as fast as it can.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::super::{Crew, Level, Stop, Tasks};
use super::stream;
use crate::plan::Curve;
use crate::vu::{Active, Handle, Pool, Turn, Vu, Wish, Worker};

/// The place of one VU, which may be taken and left many times.
struct Post<W: Worker> {
    handle: Rc<Handle>,
    /// The VU, until its task starts.
    vu: Option<Vu<W>>,
    task: Option<AbortHandle>,
    /// Since the curve took the VU away: when its iteration must have ended.
    leave_by: Option<Instant>,
}

/// All posts of the part.
struct Posts<W: Worker> {
    pool: Rc<Pool<W>>,
    places: Vec<Post<W>>,
    tasks: Tasks,
    /// How many posts, from the first, are wanted.
    wanted: usize,
    /// Posts that are not wanted any more, in the order in which their time is up.
    leaving: VecDeque<(Instant, usize)>,
    /// The scenario's VUs over all threads and machines.
    all_vus: u64,
}

pub(in super::super) async fn run<W: Worker>(
    mut crew: Crew<W>,
    curve: &Curve,
    graceful_ramp_down: Duration,
    begin: Instant,
    mut stop: Stop,
) {
    let vus = std::mem::take(&mut crew.vus);
    let mut posts = Posts::new(&crew, vus);
    let end = begin + curve.length();
    let mut changes = curve.changes().take_while(|(at, _)| *at < curve.length()).peekable();
    let ended = loop {
        let now = Instant::now();
        while let Some((at, vus)) = changes.next_if(|(at, _)| begin + *at <= now) {
            posts.set_wanted(crew.scenario.own(vus) as usize, begin + at + graceful_ramp_down);
        }
        posts.interrupt_overdue(now);
        if now >= end {
            break end;
        }
        let change = changes.peek().map_or(end, |(at, _)| begin + *at);
        let next = posts.leaving.front().map_or(change, |(leave_by, _)| change.min(*leave_by));
        tokio::select! {
            biased;
            () = stop.reached(Level::Graceful) => break Instant::now(),
            () = posts.tasks.next() => {}
            () = sleep_until(next) => {}
        }
    };
    posts.wind_down(ended + crew.graceful_stop(), &mut stop).await;
}

impl<W: Worker> Posts<W> {
    fn new(crew: &Crew<W>, vus: Vec<Vu<W>>) -> Self {
        let post = |vu: Vu<W>| Post { handle: Rc::clone(vu.handle()), vu: Some(vu), task: None, leave_by: None };
        Self {
            pool: Rc::clone(&crew.pool),
            places: vus.into_iter().map(post).collect(),
            tasks: Tasks::default(),
            wanted: 0,
            leaving: VecDeque::new(),
            all_vus: u64::from(crew.scenario.load.max_vus()),
        }
    }

    /// Starts or takes away VUs. Those taken away have until `leave_by` to end their iteration.
    fn set_wanted(&mut self, wanted: usize, leave_by: Instant) {
        for place in self.wanted..wanted {
            self.start(place);
        }
        for place in (wanted..self.wanted).rev() {
            let post = &mut self.places[place];
            post.handle.ask(Wish::Park);
            post.leave_by = Some(leave_by);
            self.leaving.push_back((leave_by, place));
        }
        self.wanted = wanted;
    }

    fn start(&mut self, place: usize) {
        let post = &mut self.places[place];
        post.leave_by = None;
        if post.task.is_some() {
            // It waits, or is still in its last iteration: as in k6 it simply goes on.
            post.handle.ask(Wish::Run);
            return;
        }
        let vu = post.vu.take().unwrap_or_else(|| {
            post.handle = Rc::new(post.handle.successor());
            Vu::new(Rc::clone(&self.pool), Rc::clone(&post.handle))
        });
        post.task = Some(self.tasks.spawn(repeat(vu, self.all_vus)));
    }

    /// Interrupts VUs that were taken away and whose time is up.
    fn interrupt_overdue(&mut self, now: Instant) {
        while let Some((leave_by, place)) = self.leaving.pop_front_if(|(leave_by, _)| *leave_by <= now) {
            let post = &mut self.places[place];
            if post.leave_by == Some(leave_by)
                && post.handle.is_busy()
                && let Some(task) = post.task.take()
            {
                task.abort();
            }
        }
    }

    async fn wind_down(mut self, until: Instant, stop: &mut Stop) {
        for post in &self.places {
            post.handle.ask(Wish::Leave);
        }
        while let Some(&(leave_by, _)) = self.leaving.front()
            && leave_by < until
            && !self.tasks.is_empty()
        {
            tokio::select! {
                biased;
                () = stop.reached(Level::Now) => break,
                () = self.tasks.next() => {}
                () = sleep_until(leave_by) => self.interrupt_overdue(leave_by),
            }
        }
        self.tasks.wind_down(until, stop).await;
    }
}

async fn repeat<W: Worker>(mut vu: Vu<W>, all_vus: u64) {
    let tally = Rc::clone(vu.pool().tally());
    let handle = Rc::clone(vu.handle());
    let mut active = Some(Active::new(&tally));
    loop {
        match handle.wish() {
            Wish::Leave => return,
            Wish::Park => {
                active = None;
                handle.until(|| (handle.wish() != Wish::Park).then_some(())).await;
            }
            Wish::Run => {
                active.get_or_insert_with(|| Active::new(&tally));
                let number = handle.iterations();
                let index = u64::from(number) * all_vus + u64::from(handle.ordinal());
                vu.iterate(Turn { index, stream: stream(handle.ordinal(), number), due: None }).await;
            }
        }
    }
}
