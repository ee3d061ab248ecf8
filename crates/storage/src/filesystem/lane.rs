//! What is done with an appender's bytes behind its back, one step after another, on a thread that may
//! block, while the next ones are gathered. The thread is taken when there is a step and given back
//! when there is none, so that a slow client holds none. While a fast one sends it goes from step to
//! step: to wake it for each costs as much as a tenth of the work.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::error::StorageError;
use crate::key::Key;

/// Steps that wait for the thread; whoever has more waits for room.
const WAITING_MAX: usize = 4;
/// Steps that still wait when whoever has more is told of the room.
const ROOM_AGAIN: usize = WAITING_MAX / 2;

/// Bytes of an object that stand together.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) chunks: Vec<Bytes>,
    pub(super) offset: u64,
}

/// What is done with each step.
pub(super) trait Work: Debug + Send + 'static {
    /// # Errors
    /// After one nothing more is done.
    fn step(&mut self, step: &Step) -> Result<(), StorageError>;
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Lane<W>(Arc<Shared<W>>);

#[derive(Debug)]
struct Shared<W> {
    key: Key,
    state: Mutex<State<W>>,
    /// There is room for steps again, or nothing more to do.
    changed: Notify,
}

#[derive(Debug)]
struct State<W> {
    waiting: VecDeque<Step>,
    thread: Thread<W>,
}

#[derive(Debug)]
enum Thread<W> {
    /// None is at work.
    Idle(W),
    Busy,
    /// Nothing more is done. Why, until somebody was told.
    Broken(Option<StorageError>),
}

impl<W: Work> Lane<W> {
    /// A lane for an object, and the work that is done there.
    pub(super) fn new(key: Key, work: W) -> Self {
        Self(Arc::new(Shared {
            key,
            state: Mutex::new(State {
                waiting: VecDeque::with_capacity(WAITING_MAX),
                thread: Thread::Idle(work),
            }),
            changed: Notify::new(),
        }))
    }

    /// Adds a step. There must be [`Lane::room`] for it.
    pub(super) fn add(&self, step: Step) {
        let mut state = self.0.lock();
        let work = match mem::replace(&mut state.thread, Thread::Busy) {
            Thread::Idle(work) => Some(work),
            Thread::Busy => None,
            // Whoever waits for anything next is told.
            broken @ Thread::Broken(_) => {
                state.thread = broken;
                return;
            }
        };
        state.waiting.push_back(step);
        drop(state);
        if work.is_some() {
            let shared = Arc::clone(&self.0);
            let worker = Worker { shared, work };
            // A runtime that is ending drops it at once.
            tokio::task::spawn_blocking(move || worker.run());
        }
    }

    /// Waits until there is room for another step.
    ///
    /// # Errors
    /// That of the step that failed, and [`StorageError::Broken`] from then on.
    pub(super) async fn room(&self) -> Result<(), StorageError> {
        let has_room = |state: &State<W>| state.waiting.len() < WAITING_MAX;
        self.wait(has_room).await
    }

    /// Waits until everything is done that was added.
    ///
    /// # Errors
    /// As [`Lane::room`].
    pub(super) async fn idle(&self) -> Result<(), StorageError> {
        let is_idle = |state: &State<W>| matches!(state.thread, Thread::Idle(_));
        self.wait(is_idle).await
    }

    async fn wait(&self, has_come: impl Fn(&State<W>) -> bool) -> Result<(), StorageError> {
        loop {
            {
                let mut state = self.0.lock();
                if let Thread::Broken(why) = &mut state.thread {
                    let key = self.0.key;
                    return Err(why.take().unwrap_or(StorageError::Broken { key }));
                }
                if has_come(&state) {
                    return Ok(());
                }
            }
            // What changes in between leaves a permit; one appender waits at a time.
            self.0.changed.notified().await;
        }
    }
}

impl<W> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: StorageError) {
        let mut state = self.lock();
        state.waiting.clear();
        state.thread = Thread::Broken(Some(error));
        self.changed.notify_one();
    }
}

/// What a thread does while there are steps.
struct Worker<W> {
    shared: Arc<Shared<W>>,
    /// None once it was given back, or has failed.
    work: Option<W>,
}

impl<W: Work> Worker<W> {
    fn run(mut self) {
        while let Some(step) = self.next()
            && let Some(work) = &mut self.work
        {
            if let Err(error) = work.step(&step) {
                self.work = None;
                return self.shared.fail(error);
            }
        }
    }

    /// The next step. Where there is none, the thread is given back.
    fn next(&mut self) -> Option<Step> {
        let mut state = self.shared.lock();
        let step = state.waiting.pop_front();
        if step.is_none()
            && let Some(work) = self.work.take()
        {
            state.thread = Thread::Idle(work);
        }
        // Not for each step: whoever waits adds several then.
        if step.is_none() || state.waiting.len() == ROOM_AGAIN {
            self.shared.changed.notify_one();
        }
        step
    }
}

/// It never ran, or panicked.
impl<W> Drop for Worker<W> {
    fn drop(&mut self) {
        if self.work.is_some() {
            self.shared.fail(StorageError::CutOff);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::io;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use super::*;

    /// Takes steps as they are let through, and ends as it is told.
    #[derive(Debug)]
    struct Gate {
        through: mpsc::Receiver<Result<(), StorageError>>,
        done: mpsc::Sender<u64>,
    }

    impl Work for Gate {
        fn step(&mut self, step: &Step) -> Result<(), StorageError> {
            self.through.recv().expect("the test ended")?;
            self.done.send(step.offset).unwrap();
            Ok(())
        }
    }

    fn is_ready(waiting: impl Future) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        pin!(waiting).poll(&mut cx).is_ready()
    }

    struct Fixture {
        lane: Lane<Gate>,
        through: mpsc::Sender<Result<(), StorageError>>,
        done: mpsc::Receiver<u64>,
    }

    impl Fixture {
        fn new() -> Self {
            let (through, let_through) = mpsc::channel();
            let (sender, done) = mpsc::channel();
            let gate = Gate {
                through: let_through,
                done: sender,
            };
            let lane = Lane::new(Key::random(), gate);
            Self {
                lane,
                through,
                done,
            }
        }

        fn add(&self, offset: u64) {
            let chunks = Vec::new();
            self.lane.add(Step { chunks, offset });
        }
    }

    #[tokio::test]
    async fn whoever_has_too_many_steps_waits_for_room() {
        let fixture = Fixture::new();
        let mut added = 0;
        while added < 100 && is_ready(fixture.lane.room()) {
            fixture.add(added);
            added += 1;
        }
        // One may be under way.
        let most = WAITING_MAX as u64;
        assert!(added == most || added == most + 1, "{added}");
        for _ in 0..added {
            fixture.through.send(Ok(())).unwrap();
        }
        fixture.lane.room().await.unwrap();
        fixture.lane.idle().await.unwrap();
        let done: Vec<u64> = fixture.done.try_iter().collect();
        assert_eq!(done, (0..added).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn steps_are_done_in_order() {
        let fixture = Fixture::new();
        let steps = 100;
        let adding = async {
            for offset in 0..steps {
                fixture.lane.room().await.unwrap();
                assert!(fixture.lane.0.lock().waiting.len() < WAITING_MAX);
                fixture.add(offset);
            }
            fixture.lane.idle().await.unwrap();
        };
        for _ in 0..steps {
            fixture.through.send(Ok(())).unwrap();
        }
        adding.await;
        let done: Vec<u64> = fixture.done.try_iter().collect();
        assert_eq!(done, (0..steps).collect::<Vec<_>>());
        // The thread was given back, and is taken again.
        fixture.add(steps);
        fixture.through.send(Ok(())).unwrap();
        fixture.lane.idle().await.unwrap();
        assert_eq!(fixture.done.try_iter().collect::<Vec<_>>(), [steps]);
    }

    #[tokio::test]
    async fn a_step_that_fails_is_told_once_and_the_last() {
        let fixture = Fixture::new();
        for offset in 0..3 {
            fixture.add(offset);
        }
        let error = StorageError::flush(io::Error::other("a test's own"));
        fixture.through.send(Ok(())).unwrap();
        fixture.through.send(Err(error)).unwrap();
        let told = fixture.lane.idle().await;
        assert!(matches!(told, Err(StorageError::Flush(_))), "{told:?}");
        fixture.add(3);
        for told in [fixture.lane.room().await, fixture.lane.idle().await] {
            assert!(matches!(told, Err(StorageError::Broken { .. })), "{told:?}");
        }
        assert_eq!(fixture.done.try_iter().collect::<Vec<_>>(), [0]);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_thread_that_panicked() {
        let fixture = Fixture::new();
        fixture.add(0);
        drop(fixture.through);
        let told = fixture.lane.idle().await;
        assert!(matches!(told, Err(StorageError::CutOff)), "{told:?}");
    }

    #[test]
    fn nobody_waits_for_a_thread_that_never_ran() {
        let fixture = Fixture::new();
        let runtime = || tokio::runtime::Builder::new_current_thread().build();
        let ended = runtime().unwrap();
        let handle = ended.handle().clone();
        ended.shutdown_background();
        let entered = handle.enter();
        fixture.add(0);
        drop(entered);
        let told = runtime().unwrap().block_on(fixture.lane.idle());
        assert!(matches!(told, Err(StorageError::CutOff)), "{told:?}");
    }
}
