//! What a guest may make the host remember, say and show.

use std::cell::RefCell;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::metrics::{Contains, Excesses, Kind, MetricId, Record, Recorder, SeriesId, SystemTags, builtin};
use crate::wit::check::Host as _;
use crate::wit::log::Host as _;
use crate::wit::metric::Host as _;
use crate::wit::test::Host as _;
use crate::wit::vu::Host as _;

/// What was recorded: series, values by series, and what there was too much of.
#[derive(Default)]
pub(super) struct Recorded {
    series: RefCell<Vec<(MetricId, Tags)>>,
    values: RefCell<Vec<(u32, f64)>>,
    excesses: RefCell<Excesses>,
}

impl Record for Recorded {
    fn series(&self, metric: MetricId, tags: &Tags) -> SeriesId {
        let mut all = self.series.borrow_mut();
        let series = (metric, tags.clone());
        let at = all.iter().position(|known| *known == series).unwrap_or_else(|| {
            all.push(series);
            all.len() - 1
        });
        SeriesId(at as u32)
    }

    fn add(&self, series: SeriesId, value: f64) {
        self.values.borrow_mut().push((series.0, value));
    }

    fn exceed(&self, what: Excess) {
        self.excesses.borrow_mut().count(what);
    }
}

impl Recorded {
    /// The values of one tag, in the order in which series came.
    fn tag(&self, metric: MetricId, key: &str) -> Vec<String> {
        let all = self.series.borrow();
        all.iter()
            .filter(|(of, _)| *of == metric)
            .map(|(_, tags)| tags.get(key).unwrap_or_default().to_owned())
            .collect()
    }

    fn of(&self, what: Excess) -> u64 {
        self.excesses.borrow().of(what)
    }
}

/// What came out of the guest as words.
#[derive(Default)]
pub(super) struct Heard(pub(super) Mutex<Vec<String>>);

impl Sink for Heard {
    fn log(&self, _vu: u32, _scenario: &Arc<str>, _level: wit::log::Level, message: String) {
        self.0.lock().unwrap().push(message);
    }

    fn abort(&self, reason: &str) {
        self.0.lock().unwrap().push(reason.to_owned());
    }

    fn fail(&self, reason: &str) {
        self.0.lock().unwrap().push(reason.to_owned());
    }
}

pub(super) fn host(limits: Limits, policy: Policy) -> (Host, Rc<Recorded>, Arc<Heard>) {
    let (recorded, heard) = (Rc::<Recorded>::default(), Arc::<Heard>::default());
    let run = Run {
        started: Instant::now().checked_sub(Duration::from_micros(1_234_567)).unwrap(),
        seed: 1,
        registry: Arc::default(),
        sink: Arc::<Heard>::clone(&heard),
        http: Arc::default(),
        pace: None,
        secrets: None,
        may_send: true,
        files: Arc::default(),
        schemas: Arc::default(),
        limits: Arc::new(limits),
        places: Arc::default(),
        policy: Arc::new(policy),
    };
    let sample_to = Recorder::new(Rc::<Recorded>::clone(&recorded));
    let local = Rc::new(Local::new(sample_to, &run, SystemTags::default()));
    let identity = Identity {
        vu: 1,
        instance: 1,
        scenario: "default".into(),
        tags: Tags::default(),
        env: Arc::default(),
        connections: Connections::PerVu,
        arguments: None,
    };
    (Host::new(Arc::new(run), &local, identity), recorded, heard)
}

fn small() -> Limits {
    Limits { names: 3, tag_values: 2, name_bytes: 8, metrics: 2, ..Limits::default() }
}

#[test]
fn checks_beyond_the_limit_are_one_check() {
    let (mut host, recorded, _) = host(small(), Policy::default());
    for number in 0..1000 {
        host.check(format!("c{number}"), true);
    }
    let declared = wit::check::Host::declare(&mut host, "one more".to_owned());
    host.report(declared, false);
    assert_eq!(recorded.tag(builtin::CHECKS, "check"), ["c0", "c1", "c2", "_other"]);
    assert_eq!((recorded.values.borrow().len(), recorded.of(Excess::Checks)), (1001, 998));
    host.check("c1".to_owned(), true);
    assert_eq!(recorded.values.borrow().last(), Some(&(1, 1.0)), "one that is there goes on as it was");
}

#[test]
fn groups_beyond_the_limit_are_one_group_also_inside_one_another() {
    let (mut host, recorded, heard) = host(small(), Policy::default());
    for number in 0..100 {
        host.enter(&format!("g{number}"));
        host.check("c".to_owned(), true);
    }
    host.close_groups();
    let groups = recorded.tag(builtin::CHECKS, "group");
    assert_eq!(groups, ["::g0", "::g0::g1", "::g0::g1::g2", "::_other"]);
    assert_eq!((recorded.of(Excess::Groups), recorded.of(Excess::DeepGroups)), (61, 36));
    assert_eq!(heard.0.lock().unwrap().len(), 1, "one warning for all that were not opened");
    let long = Limits { name_bytes: 8, ..Limits::default() };
    let (mut host, recorded, _) = self::host(long, Policy::default());
    for _ in 0..64 {
        host.enter(&"x".repeat(100));
        host.check("c".to_owned(), true);
    }
    assert!(recorded.tag(builtin::CHECKS, "group").iter().all(|path| path.len() < 100));
}

#[test]
fn tags_beyond_the_limits_are_others_and_cost_no_more() {
    let (mut host, recorded, _) = host(small(), Policy::default());
    let metric = host.run.registry.declare("orders", Kind::Counter, Contains::Default).unwrap();
    let tag = |name: &str, value: String| wit::metric::Tag { name: name.to_owned(), value };
    for number in 0..500 {
        host.add(metric.0, 1.0, vec![tag("user", number.to_string())]);
    }
    assert_eq!(recorded.tag(metric, "user"), ["0", "1", "_other"]);
    assert_eq!((recorded.values.borrow().len(), recorded.of(Excess::TagValues)), (500, 498));
    for number in 0..500 {
        host.add(metric.0, 1.0, vec![tag(&format!("k{number}"), "v".to_owned())]);
    }
    // `user` is a name as well.
    assert_eq!((recorded.series.borrow().len(), recorded.of(Excess::Tags)), (3 + 255 + 1, 245));
    let many = (0..100_000).map(|number| tag(&format!("k{}", number % 10), "v".to_owned())).collect();
    host.add(metric.0, 1.0, many);
    assert_eq!(recorded.of(Excess::Tags), 245 + 100_000 - 64);
}

#[test]
fn long_names_are_cut_between_characters_and_counted() {
    let (mut host, recorded, _) = host(small(), Policy::default());
    host.check("1234567ü".to_owned(), true);
    host.check("x".repeat(10 << 20), true);
    assert_eq!(recorded.tag(builtin::CHECKS, "check"), ["1234567", "xxxxxxxx"]);
    let metric = host.run.registry.declare("orders", Kind::Counter, Contains::Default).unwrap();
    let long = wit::metric::Tag { name: "n".repeat(100), value: "v".repeat(100) };
    host.add(metric.0, 1.0, vec![long]);
    assert_eq!(recorded.tag(metric, "nnnnnnnn"), ["vvvvvvvv"]);
    assert_eq!(recorded.of(Excess::LongNames), 4);
}

#[test]
fn what_is_no_sensible_number_is_dropped_counted_and_told_of_once() {
    let (mut host, recorded, heard) = host(small(), Policy::default());
    let metric = host.run.registry.declare("orders", Kind::Trend, Contains::Default).unwrap();
    for _ in 0..1000 {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 9.3e18] {
            host.add(metric.0, value, Vec::new());
        }
    }
    assert_eq!((recorded.values.borrow().len(), recorded.of(Excess::Values)), (0, 6000));
    for (value, kept) in [(-0.0, 0.0), (-1.5, -1.5), (9e18, 9e18), (f64::MIN_POSITIVE, f64::MIN_POSITIVE)] {
        host.add(metric.0, value, Vec::new());
        let last = recorded.values.borrow().last().map(|(_, value)| value.to_bits());
        assert_eq!(last, Some(f64::to_bits(kept)), "{value}");
    }
    for id in [999, u32::MAX, builtin::HTTP_REQS.0] {
        host.add(id, 1.0, Vec::new());
        host.add(id, 1.0, vec![wit::metric::Tag { name: "a".to_owned(), value: "b".to_owned() }]);
    }
    host.report(u32::MAX, true);
    assert_eq!((recorded.values.borrow().len(), recorded.of(Excess::Ids)), (4, 7));
    assert_eq!(heard.0.lock().unwrap().len(), 2, "one warning of each kind");
}

#[test]
fn a_journey_declares_so_many_metrics() {
    use wit::metric::{Error, Kind, Unit};
    let (mut host, ..) = host(small(), Policy::default());
    let mut declare = |name: &str| wit::metric::Host::declare(&mut host, name.to_owned(), Kind::Counter, Unit::None);
    assert!(declare("one").is_ok() && declare("two").is_ok() && declare("one").is_ok());
    assert!(matches!(declare("three"), Err(Error::TooMany(2))));
    assert!(matches!(declare(&"\u{202e}".repeat(1 << 20)), Err(Error::InvalidName(text)) if text.len() < 1000));
}

#[test]
fn what_a_guest_says_is_short() {
    let (mut host, _, heard) = host(small(), Policy::default());
    host.write(wit::log::Level::Info, "ü".repeat(5 << 20));
    host.abort("a".repeat(10 << 20));
    host.fail("f".repeat(10 << 20));
    assert!(heard.0.lock().unwrap().iter().all(|text| text.len() < 9 << 10 && text.ends_with('…')));
}

#[test]
fn combinations_are_forgotten_before_they_fill_the_memory() {
    let limits = Limits { names: 100_000, tag_values: 100_000, ..Limits::default() };
    let (mut host, recorded, _) = host(limits, Policy::default());
    let metric = host.run.registry.declare("orders", Kind::Counter, Contains::Default).unwrap();
    let counted = |host: &mut Host, text: &str| {
        host.add(metric.0, 1.0, vec![wit::metric::Tag { name: "a".to_owned(), value: text.to_owned() }]);
    };
    for number in 0..9000 {
        counted(&mut host, &format!("{number:01000}"));
    }
    assert!(host.local.kept() < (8 << 20, 8193), "{:?}", host.local.kept());
    let before = host.local.kept();
    counted(&mut host, &"x".repeat(1 << 20));
    assert_eq!(host.local.kept(), before, "a long one is not kept");
    assert_eq!(recorded.values.borrow().len(), 9001);
}

#[test]
fn a_guest_that_is_not_trusted_sees_whole_milliseconds() {
    let untrusted = Policy { untrusted: true, ..Policy::default() };
    for (policy, is_coarse) in [(untrusted, true), (Policy::default(), false)] {
        let (mut host, ..) = host(small(), policy);
        let times: Vec<f64> = (0..50)
            .flat_map(|_| {
                std::thread::sleep(Duration::from_micros(37));
                [host.now(), host.wall_clock()]
            })
            .collect();
        assert_eq!(times.iter().all(|time| time.fract() == 0.0), is_coarse, "{times:?}");
    }
}
