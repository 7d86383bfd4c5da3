//! The queue and its workers: one loop per controller owns all bookkeeping, so there is nothing to lock.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::time::{DelayQueue, delay_queue};

use crate::ready::Ready;
use crate::{Backoff, Key, Metrics, Trigger};

/// What a turn decided about its key's future.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to do until something wakes the key.
    Done,
    /// Success; run again after this long even if nothing wakes the key.
    After(Duration),
    /// Run again at once, behind the others.
    Again,
    /// Failed, to be tried again after exactly this long (a resource's `retryInterval`).
    RetryAfter(Duration),
    /// Failed; tried again with exponential backoff.
    Backoff,
    /// The object is gone: forget the key.
    Forget,
}

/// What a controller does with a key.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind, for logs and metrics.
    const KIND: &'static str;

    /// Brings the world closer to what the object asks for.
    ///
    /// Errors belong on the object, so there is no error to return; an [`Outcome`] says when to look again.
    fn reconcile(&self, key: Key, turn: Turn) -> impl Future<Output = Outcome> + Send;

    /// Called when [`Self::reconcile`] panicked, to report it on the object. The key is retried with backoff.
    fn panicked(&self, key: Key, message: String) -> impl Future<Output = ()> + Send;
}

enum Command {
    Wake(Key, Option<Trigger>, Duration),
    Park(Key, bool, oneshot::Sender<()>),
}

/// The handle through which others wake keys. Cheap to clone; usable before the controller runs.
#[derive(Clone)]
pub struct Queue {
    commands: mpsc::UnboundedSender<Command>,
}

impl Queue {
    /// Makes `key` ready at once. Wakes that arrive while it waits in line are one; while it runs, it runs again.
    pub fn wake(&self, key: Key, trigger: Option<Trigger>) {
        self.wake_after(key, trigger, Duration::ZERO);
    }

    /// Makes `key` ready after `delay`, or earlier when something else wakes it.
    pub fn wake_after(&self, key: Key, trigger: Option<Trigger>, delay: Duration) {
        // The loop is gone only at shutdown; nothing is left to wake then.
        let _ = self.commands.send(Command::Wake(key, trigger, delay));
    }
}

/// One run of a reconciler for one key.
pub struct Turn {
    key: Key,
    commands: mpsc::UnboundedSender<Command>,
    newer: watch::Receiver<Option<Trigger>>,
    shutdown: CancellationToken,
}

impl Turn {
    /// A turn that belongs to no queue: parking is free and nothing ever interrupts it. For tests and one-shot runs.
    pub fn detached(key: Key) -> Self {
        let (commands, _) = mpsc::unbounded_channel();
        let (_, newer) = watch::channel(None);
        Self { key, commands, newer, shutdown: CancellationToken::new() }
    }

    /// Runs `wait` without holding a worker slot, then takes a slot again.
    ///
    /// While parked, the key still counts as running: it is not started a second time.
    pub async fn park<T>(&self, wait: impl Future<Output = T>) -> T {
        self.slot(true).await;
        let result = wait.await;
        self.slot(false).await;
        result
    }

    async fn slot(&self, release: bool) {
        let (granted, grant) = oneshot::channel();
        if self.commands.send(Command::Park(self.key.clone(), release, granted)).is_ok() {
            // An error means that the loop is gone: shutdown, and slots no longer matter.
            let _ = grant.await;
        }
    }

    /// Resolves when the key was woken again since this turn began; says by what.
    pub async fn interrupted(&self) -> Trigger {
        let mut newer = self.newer.clone();
        loop {
            if let Some(trigger) = newer.borrow_and_update().clone() {
                return trigger;
            }
            if newer.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Resolves when the process is asked to stop.
    pub async fn stopping(&self) {
        self.shutdown.cancelled().await;
    }
}

struct Running {
    newer: watch::Sender<Option<Trigger>>,
    again: bool,
    /// Holds no slot right now. A parked turn that ends (its wait was dropped, or panicked) gives none back.
    parked: bool,
    started: Instant,
}

#[derive(Default)]
struct Entry {
    running: Option<Running>,
    ready_since: Option<Instant>,
    timer: Option<delay_queue::Key>,
    failures: u32,
}

/// How many turns run at once, and how long failures wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Worker slots (`--concurrent`).
    pub concurrency: usize,
    /// The wait after failures.
    pub backoff: Backoff,
}

/// A reconciler with its queue. [`Controller::run`] is its loop.
pub struct Controller<R> {
    reconciler: Arc<R>,
    limits: Limits,
    metrics: Arc<Metrics>,
    sender: mpsc::UnboundedSender<Command>,
    commands: mpsc::UnboundedReceiver<Command>,
}

impl<R: Reconciler> Controller<R> {
    /// A controller and the handle that wakes its keys.
    pub fn new(reconciler: Arc<R>, limits: Limits, metrics: Arc<Metrics>) -> (Self, Queue) {
        let (sender, commands) = mpsc::unbounded_channel();
        let queue = Queue { commands: sender.clone() };
        metrics.max_concurrent(R::KIND, limits.concurrency);
        (Self { reconciler, limits, metrics, sender, commands }, queue)
    }

    /// Serves the queue until `shutdown`, then gives running turns `grace` to end.
    pub async fn run(mut self, shutdown: CancellationToken, grace: Duration) {
        let mut state = State {
            entries: HashMap::new(),
            ready: Ready::default(),
            timers: DelayQueue::new(),
            turns: JoinSet::new(),
            waiting: VecDeque::new(),
            busy: 0,
        };
        loop {
            state.start_turns(&self, &shutdown);
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(command) = self.commands.recv() => state.command(command, &self),
                Some(expired) = state.timers.next() => state.expire(expired.into_inner(), &self),
                Some(ended) = state.turns.join_next() => state.end(ended, &self),
            }
            state.publish(&self);
        }
        let drain = async {
            loop {
                tokio::select! {
                    ended = state.turns.join_next() => if ended.is_none() { break },
                    // Parked turns must get their slot back to be able to end.
                    Some(command) = self.commands.recv() => if let Command::Park(_, _, granted) = command {
                        let _ = granted.send(());
                    },
                }
            }
        };
        if tokio::time::timeout(grace, drain).await.is_err() {
            tracing::warn!(
                controller = R::KIND,
                "some reconciliations did not end in time and were cut off"
            );
        }
    }
}

type Ended = (Key, Result<Outcome, String>);

struct State {
    entries: HashMap<Key, Entry>,
    ready: Ready,
    timers: DelayQueue<Key>,
    turns: JoinSet<Ended>,
    /// Parked turns that want their slot back, first come first served.
    waiting: VecDeque<(Key, oneshot::Sender<()>)>,
    busy: usize,
}

impl State {
    fn command<R: Reconciler>(&mut self, command: Command, on: &Controller<R>) {
        match command {
            Command::Wake(key, trigger, delay) if delay.is_zero() => self.wake(key, trigger, on),
            Command::Wake(key, _, delay) => self.set_timer(&key, delay),
            Command::Park(key, true, granted) => {
                if let Some(running) = self.running(&key)
                    && !std::mem::replace(&mut running.parked, true)
                {
                    self.busy -= 1;
                }
                // An error means that the turn gave up waiting; `end` settles its slot.
                let _ = granted.send(());
            }
            Command::Park(key, false, granted) => self.waiting.push_back((key, granted)),
        }
    }

    fn running(&mut self, key: &Key) -> Option<&mut Running> {
        self.entries.get_mut(key)?.running.as_mut()
    }

    fn wake<R: Reconciler>(&mut self, key: Key, trigger: Option<Trigger>, on: &Controller<R>) {
        on.metrics.added(R::KIND);
        let entry = self.entries.entry(key.clone()).or_default();
        if let Some(running) = &mut entry.running {
            running.again = true;
            if let Some(trigger) = trigger {
                running.newer.send_replace(Some(trigger));
            }
        } else if entry.ready_since.is_none() {
            entry.ready_since = Some(Instant::now());
            if let Some(timer) = entry.timer.take() {
                self.timers.remove(&timer);
            }
            self.ready.push(key);
        }
    }

    fn expire<R: Reconciler>(&mut self, key: Key, on: &Controller<R>) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.timer = None;
        }
        self.wake(key, None, on);
    }

    /// The earliest timer of a key wins: an interval must not push back a retry.
    fn set_timer(&mut self, key: &Key, delay: Duration) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.ready_since.is_some() {
            return;
        }
        let at = Instant::now() + delay;
        match &entry.timer {
            Some(timer) if self.timers.deadline(timer) <= at => {}
            Some(timer) => self.timers.reset_at(timer, at),
            None => entry.timer = Some(self.timers.insert_at(key.clone(), at)),
        }
    }

    fn start_turns<R: Reconciler>(&mut self, on: &Controller<R>, shutdown: &CancellationToken) {
        while self.busy < on.limits.concurrency {
            // Whoever waited parked has work half done: it goes before new turns.
            if let Some((key, granted)) = self.waiting.pop_front() {
                if granted.send(()).is_ok()
                    && let Some(running) = self.running(&key)
                    && std::mem::replace(&mut running.parked, false)
                {
                    self.busy += 1;
                }
                continue;
            }
            let Some(key) = self.ready.pop() else { break };
            self.busy += 1;
            let (newer, receiver) = watch::channel(None);
            let entry = self.entries.entry(key.clone()).or_default();
            if let Some(since) = entry.ready_since.take() {
                on.metrics.queued(R::KIND, since.elapsed());
            }
            entry.running =
                Some(Running { newer, again: false, parked: false, started: Instant::now() });
            let turn = Turn {
                key: key.clone(),
                commands: on.sender.clone(),
                newer: receiver,
                shutdown: shutdown.clone(),
            };
            let reconciler = Arc::clone(&on.reconciler);
            self.turns.spawn(async move {
                let run = async { reconciler.reconcile(key.clone(), turn).await };
                match AssertUnwindSafe(run).catch_unwind().await {
                    Ok(outcome) => (key, Ok(outcome)),
                    Err(payload) => {
                        let message = panic_message(payload.as_ref());
                        // Whatever happens, the end of a turn names its key: else it would run for ever.
                        let report = async {
                            reconciler.panicked(key.clone(), message.clone()).await;
                        };
                        if AssertUnwindSafe(report).catch_unwind().await.is_err() {
                            tracing::error!(controller = R::KIND, object = %key, "reporting a panic panicked");
                        }
                        (key, Err(message))
                    }
                }
            });
        }
    }

    fn end<R: Reconciler>(
        &mut self,
        ended: Result<Ended, tokio::task::JoinError>,
        on: &Controller<R>,
    ) {
        let (key, result) = match ended {
            Ok(ended) => ended,
            // Turns catch their panics and nobody aborts them: only a runtime that is shut down gets here.
            Err(error) => {
                tracing::error!(controller = R::KIND, %error, "a reconciliation ended abnormally");
                return;
            }
        };
        let entry = self.entries.entry(key.clone()).or_default();
        let Some(running) = entry.running.take() else { return };
        if !running.parked {
            self.busy -= 1;
        }
        let (again, elapsed) = (running.again, running.started.elapsed());
        if let Err(message) = &result {
            tracing::error!(controller = R::KIND, object = %key, panic = %message, "a reconciliation panicked");
            on.metrics.panicked(R::KIND);
        }
        let outcome = result.unwrap_or(Outcome::Backoff);
        on.metrics.reconciled(R::KIND, &outcome, elapsed);
        entry.failures = match outcome {
            Outcome::Backoff => entry.failures.saturating_add(1),
            // Waiting for a condition or a retry interval is not part of a streak.
            _ => 0,
        };
        let failures = entry.failures;
        match outcome {
            Outcome::Done => {}
            Outcome::After(delay) | Outcome::RetryAfter(delay) => self.set_timer(&key, delay),
            Outcome::Again => self.wake(key.clone(), None, on),
            Outcome::Backoff => {
                on.metrics.retried(R::KIND);
                self.set_timer(&key, on.limits.backoff.delay(failures));
            }
            Outcome::Forget if again => {}
            Outcome::Forget => {
                if let Some(timer) = self.entries.remove(&key).and_then(|entry| entry.timer) {
                    self.timers.remove(&timer);
                }
            }
        }
        if again {
            self.wake(key, None, on);
        }
    }

    fn publish<R: Reconciler>(&self, on: &Controller<R>) {
        on.metrics.depth(R::KIND, self.ready.len(), self.busy);
    }
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown panic".to_owned())
}
