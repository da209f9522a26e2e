//! A journey made of closures, and a record that remembers everything, for tests of those who drive journeys.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Context, Instance, Iteration, Journey, JourneyError, Lifecycle, Outcome, Seat, Worker};
use crate::metrics::{MetricId, Record, Recorder, SeriesId, Tags};

type Local<T> = Pin<Box<dyn Future<Output = T>>>;
type Closure<A, T> = Arc<dyn Fn(A) -> Local<T> + Send + Sync>;

/// What an iteration's closure gets.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) seat: Seat,
    pub(crate) iteration: Iteration,
    pub(crate) context: Arc<Context>,
}

/// A journey made of closures.
#[derive(Clone)]
pub(crate) struct Fake {
    iterate: Closure<Pass, Outcome>,
    instantiate: Closure<Seat, Result<(), JourneyError>>,
    setup: Closure<Arc<Context>, Result<Vec<u8>, JourneyError>>,
    teardown: Closure<Arc<[u8]>, Result<(), JourneyError>>,
    /// How many instances were made.
    pub(crate) instances: Arc<AtomicU32>,
}

fn closure<A: 'static, T: 'static, F: Future<Output = T> + 'static>(
    call: impl Fn(A) -> F + Send + Sync + 'static,
) -> Closure<A, T> {
    Arc::new(move |argument| Box::pin(call(argument)))
}

impl Fake {
    pub(crate) fn new<F: Future<Output = Outcome> + 'static>(
        iterate: impl Fn(Pass) -> F + Send + Sync + 'static,
    ) -> Self {
        Self {
            iterate: closure(iterate),
            instantiate: closure(|_| async { Ok(()) }),
            setup: closure(|_| async { Ok(b"data".to_vec()) }),
            teardown: closure(|_| async { Ok(()) }),
            instances: Arc::default(),
        }
    }

    /// Every iteration sleeps this long.
    pub(crate) fn sleeping(duration: Duration) -> Self {
        Self::new(move |_| async move {
            tokio::time::sleep(duration).await;
            Outcome::Completed
        })
    }

    pub(crate) fn on_instantiate<F: Future<Output = Result<(), JourneyError>> + 'static>(
        self,
        instantiate: impl Fn(Seat) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { instantiate: closure(instantiate), ..self }
    }

    pub(crate) fn on_setup<F: Future<Output = Result<Vec<u8>, JourneyError>> + 'static>(
        self,
        setup: impl Fn(Arc<Context>) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { setup: closure(setup), ..self }
    }

    pub(crate) fn on_teardown<F: Future<Output = Result<(), JourneyError>> + 'static>(
        self,
        teardown: impl Fn(Arc<[u8]>) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { teardown: closure(teardown), ..self }
    }
}

impl Journey for Fake {
    type Worker = FakeWorker;

    fn worker(&self, context: &Arc<Context>, _recorder: &Recorder) -> FakeWorker {
        FakeWorker { fake: self.clone(), context: Arc::clone(context) }
    }
}

pub(crate) struct FakeWorker {
    fake: Fake,
    context: Arc<Context>,
}

impl Worker for FakeWorker {
    type Instance = FakeInstance;

    async fn instantiate(&self, seat: &Seat) -> Result<FakeInstance, JourneyError> {
        (self.fake.instantiate)(seat.clone()).await?;
        self.fake.instances.fetch_add(1, Ordering::Relaxed);
        Ok(FakeInstance { fake: self.fake.clone(), seat: seat.clone(), context: Arc::clone(&self.context) })
    }
}

impl Lifecycle for FakeWorker {
    async fn setup(&self) -> Result<Vec<u8>, JourneyError> {
        (self.fake.setup)(Arc::clone(&self.context)).await
    }

    async fn teardown(&self, data: &Arc<[u8]>) -> Result<(), JourneyError> {
        (self.fake.teardown)(Arc::clone(data)).await
    }

    async fn handle_summary(&self, _summary: &str) -> Result<Vec<(String, String)>, JourneyError> {
        Ok(Vec::new())
    }
}

pub(crate) struct FakeInstance {
    fake: Fake,
    seat: Seat,
    context: Arc<Context>,
}

impl Instance for FakeInstance {
    async fn iterate(&mut self, iteration: &Iteration) -> Outcome {
        let pass = Pass { seat: self.seat.clone(), iteration: *iteration, context: Arc::clone(&self.context) };
        (self.fake.iterate)(pass).await
    }
}

/// Remembers every sample.
#[derive(Default)]
pub(crate) struct Samples {
    series: RefCell<Vec<(MetricId, Tags)>>,
    values: RefCell<Vec<(SeriesId, f64)>>,
}

impl Record for Samples {
    fn series(&self, metric: MetricId, tags: &Tags) -> SeriesId {
        let mut series = self.series.borrow_mut();
        let place = series.iter().position(|(known, with)| *known == metric && with == tags).unwrap_or_else(|| {
            series.push((metric, tags.clone()));
            series.len() - 1
        });
        SeriesId(place as u32)
    }

    fn add(&self, series: SeriesId, value: f64) {
        self.values.borrow_mut().push((series, value));
    }
}

impl Samples {
    /// All values of a metric in the order of recording.
    pub(crate) fn of(&self, metric: MetricId) -> Vec<f64> {
        let (series, values) = (self.series.borrow(), self.values.borrow());
        values.iter().filter(|(id, _)| series[id.0 as usize].0 == metric).map(|(_, value)| *value).collect()
    }

    /// The sum of a counter that counts whole things.
    pub(crate) fn count(&self, metric: MetricId) -> u64 {
        self.of(metric).iter().sum::<f64>().round() as u64
    }

    /// The tags that samples of a metric carry.
    pub(crate) fn tags_of(&self, metric: MetricId) -> Vec<Tags> {
        self.series.borrow().iter().filter(|(known, _)| *known == metric).map(|(_, tags)| tags.clone()).collect()
    }
}
