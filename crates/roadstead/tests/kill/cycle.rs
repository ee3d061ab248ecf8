//! The loop: start, work, kill; look at the disk; start, compare.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use roadstead_failpoint::POINTS;
use serde_json::json;

use crate::WORKERS;
use crate::disk;
use crate::harness::{Builder, Registry, SOON, until};
use crate::random::Random;
use crate::shared::Shared;
use crate::worker::{Died, Weather, Worker};

/// How a cycle ends.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// At a passage of a point; where it is not reached in time, anywhere.
    AtPoint { index: usize, passage: usize },
    /// An operation of the disk fails at a passage of a point, and later the process is killed.
    Failing {
        index: usize,
        action: &'static str,
        passage: usize,
    },
    /// After this time.
    After(Duration),
}

/// The longest that work goes on where a point is waited for.
const WORK: Duration = Duration::from_millis(1_500);
/// The longest that it then may take until the point is reached: the log is written back when
/// nothing was written for a second.
const IDLE: Duration = Duration::from_secs(4);
/// A start that takes longer is slow, and few may be.
const START: Duration = Duration::from_secs(2);
/// Kills on one data directory: everything that it holds is compared after each, so that they take
/// longer and longer.
const LEG: usize = 100;
/// What was deleted is asked for in samples of this size, and all of it at the end.
const SAMPLE: usize = 10;

struct Run {
    base: Builder,
    workers: Vec<Worker>,
    shared: Shared,
    random: Random,
    starts: Vec<Duration>,
    /// How often the process died at each point.
    killed: BTreeMap<&'static str, usize>,
}

#[test]
fn what_was_acknowledged_outlives_kills_at_every_point() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let cycles = usize::try_from(number("ROADSTEAD_KILL_CYCLES", 60)).unwrap();
    let seed = number("ROADSTEAD_KILL_SEED", 1);
    let points = points_of_a_running_registry();
    let all: Vec<usize> = (0..cycles).collect();
    let mut killed = BTreeMap::new();
    for leg in all.chunks(LEG) {
        let mut run = Run::new(seed.wrapping_add(leg[0] as u64), killed);
        for cycle in leg {
            let plan = run.plan(*cycle, &points);
            let started = Instant::now();
            let end = run.cycle(*cycle, plan);
            println!(
                "{cycle}: {plan:?}: {end}, {} ms",
                started.elapsed().as_millis()
            );
        }
        killed = run.finish();
    }
    let missed: Vec<_> = points
        .iter()
        .map(|index| POINTS[*index].name)
        .filter(|name| !killed.contains_key(name))
        .collect();
    println!("killed at {killed:#?}");
    // Each has had its turn once.
    if cycles >= 2 * points.len() {
        assert!(missed.is_empty(), "never killed at {missed:?}");
    }
}

/// Points that are passed again and again; the others belong to the first start.
fn points_of_a_running_registry() -> Vec<usize> {
    (0..POINTS.len())
        .filter(|index| !POINTS[*index].name.starts_with("metadata::create"))
        .collect()
}

impl Run {
    fn new(seed: u64, killed: BTreeMap<&'static str, usize>) -> Self {
        let base = Builder::new();
        let mut run = Self {
            base,
            workers: (0..WORKERS)
                .map(|number| Worker::new(number, seed))
                .collect(),
            shared: Shared::new(),
            random: Random::new(seed),
            starts: Vec::new(),
            killed,
        };
        let registry = run.start();
        run.shared.prepare(registry.address());
        run
    }

    /// Each point in turn, and between them random times and a failing disk.
    fn plan(&mut self, cycle: usize, points: &[usize]) -> Plan {
        let index = points[(cycle - cycle / 3) % points.len()];
        if cycle % 3 < 2 {
            // Early passages more often than late ones, and at first one that is surely reached.
            let most = match self.killed.contains_key(POINTS[index].name) {
                true => 1 << self.random.below(6),
                false => 2,
            };
            let passage = self.random.within(1, most);
            return Plan::AtPoint { index, passage };
        }
        if self.random.percent(30) {
            let failing = (0..POINTS.len()).filter(|index| POINTS[*index].fails);
            return Plan::Failing {
                index: self.random.pick(failing).unwrap(),
                action: self.random.pick(["error", "full"]).unwrap(),
                passage: self.random.within(1, 20),
            };
        }
        Plan::After(Duration::from_millis(self.random.within(5, 600) as u64))
    }

    fn start(&mut self) -> Registry {
        let begun = Instant::now();
        let registry = self.base.clone().start();
        registry.get("/v2/").send().expect(200);
        self.starts.push(begun.elapsed());
        registry
    }

    /// Returns how it ended.
    fn cycle(&mut self, cycle: usize, plan: Plan) -> String {
        let end = self.work(cycle, plan);
        let data = self.base.path("data");
        let thorough = cycle % 10 == 9;
        disk::check_crashed(&data, thorough);
        self.compare(&data, SAMPLE);
        end
    }

    /// Starts it as planned, works until it dies, or kills it.
    fn work(&mut self, cycle: usize, plan: Plan) -> String {
        let mut weather = Weather::default();
        let mut builder = self.base.clone();
        let (spec, limit) = match plan {
            Plan::AtPoint { index, passage } => {
                let name = POINTS[index].name;
                if name == "registry::sweep::expired" {
                    weather.expiring = true;
                    let soon = json!({ "enabled": true, "age": "1s", "interval": "1s" });
                    builder = builder
                        .config(json!({ "storage": { "maintenance": { "uploadpurging": soon } } }));
                    (format!("{name}=kill@1"), IDLE)
                } else if name.starts_with("metadata::checkpoint") {
                    // Nothing else gets it there but rest.
                    (format!("{name}=kill@1"), IDLE)
                } else if name.starts_with("storage::install") {
                    // Each start passes them once.
                    (format!("{name}=kill@1"), WORK)
                } else {
                    (format!("{name}=kill@{passage}"), WORK)
                }
            }
            Plan::Failing {
                index,
                action,
                passage,
            } => {
                weather.failing = true;
                let name = POINTS[index].name;
                let time = self.random.within(100, 600) as u64;
                (
                    format!("{name}={action}@{passage}"),
                    Duration::from_millis(time),
                )
            }
            Plan::After(time) => (String::new(), time),
        };
        let mut registry = match builder.env("ROADSTEAD_FAIL", &spec).try_start() {
            Ok(registry) => registry,
            Err(log) => return self.died_at(&log).expect("it starts unless it is killed"),
        };
        let stop = AtomicBool::new(false);
        let begun = Instant::now();
        let at = registry.address();
        let shared = &self.shared;
        thread::scope(|scope| {
            let workers: Vec<_> = self
                .workers
                .iter_mut()
                .map(|worker| {
                    let mut random = Random::new(self.random.below(usize::MAX) as u64);
                    let stop = &stop;
                    scope.spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            let acted = match random.percent(20) {
                                true => shared.act(at, &mut random, weather),
                                false => worker.act(at, cycle, weather),
                            };
                            if acted.is_err() {
                                return;
                            }
                        }
                    })
                })
                .collect();
            let work = limit.min(WORK);
            while begun.elapsed() < work && registry.is_running() {
                thread::park_timeout(Duration::from_millis(2));
            }
            if limit <= WORK {
                registry.kill_9();
            }
            stop.store(true, Ordering::Relaxed);
            while begun.elapsed() < limit && registry.is_running() {
                thread::park_timeout(Duration::from_millis(2));
            }
            registry.kill_9();
            for worker in workers {
                worker.join().unwrap();
            }
        });
        let log = registry.log();
        assert!(!log.contains("panicked"), "{log}");
        self.died_at(&log)
            .unwrap_or_else(|| "killed from outside".to_owned())
    }

    /// The point at which it says that it kills itself.
    fn died_at(&mut self, log: &str) -> Option<String> {
        let line = log
            .lines()
            .find(|line| line.starts_with("failpoint: killed "))?;
        let name = line.trim_start_matches("failpoint: killed ");
        let name = name.split('@').next().unwrap();
        let point = POINTS.iter().find(|point| point.name == name).unwrap();
        *self.killed.entry(point.name).or_default() += 1;
        Some(line.to_owned())
    }

    /// Starts it unarmed, compares everything, and ends it: in good order or not.
    fn compare(&mut self, data: &Path, sample: usize) {
        let mut registry = self.start();
        let at = registry.address();
        let checked = all(self.workers.iter_mut().map(|worker| {
            move || {
                worker.check(at)?;
                worker.check_gone(at, sample)
            }
        }));
        let checked = checked.and_then(|()| self.shared.check(at));
        if let Err(died) = checked {
            let running = registry.is_running();
            panic!("nobody kills it: {died:?}, it runs: {running}, at {at}");
        }
        until("the sweep removes what was left", SOON, || {
            disk::is_swept(data).then_some(())
        });
        self.shared.tidy(at);
        if self.random.percent(30) {
            assert!(registry.terminate().success(), "{}", registry.log());
        } else {
            registry.kill_9();
        }
    }

    /// Compares everything once more, and returns what `killed` says.
    fn finish(mut self) -> BTreeMap<&'static str, usize> {
        let data = self.base.path("data");
        disk::check_crashed(&data, true);
        self.compare(&data, usize::MAX);
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        let (median, last) = (starts[starts.len() / 2], starts[starts.len() - 1]);
        println!(
            "{} starts, median {median:?}, longest {last:?}",
            starts.len()
        );
        let slow = starts.iter().filter(|start| **start > START).count();
        assert!(
            slow * 20 <= starts.len(),
            "{slow} starts took over {START:?}"
        );
        self.killed
    }
}

/// Runs them beside each other, and returns the first that did not come to its end.
fn all<F: FnOnce() -> Result<(), Died> + Send>(
    checks: impl Iterator<Item = F>,
) -> Result<(), Died> {
    thread::scope(|scope| {
        let running: Vec<_> = checks.map(|check| scope.spawn(check)).collect();
        let ended: Vec<_> = running.into_iter().map(|check| check.join()).collect();
        ended.into_iter().try_for_each(Result::unwrap)
    })
}
