//! What the queue promises: one turn per key, parking, interruption, backoff, fairness, survival of panics.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use borax_reconcile::{
    Backoff, Controller, Key, Limits, Metrics, Outcome, Queue, Reconciler, Trigger, Turn,
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

type Run = Pin<Box<dyn Future<Output = Outcome> + Send>>;

struct Script<F>(F, mpsc::UnboundedSender<String>);

impl<F: Fn(Key, Turn) -> Run + Send + Sync + 'static> Reconciler for Script<F> {
    const KIND: &'static str = "test";

    async fn reconcile(&self, key: Key, turn: Turn) -> Outcome {
        (self.0)(key, turn).await
    }

    async fn panicked(&self, key: Key, message: String) {
        self.1.send(format!("{key}: {message}")).expect("the test listens");
    }
}

struct Harness {
    queue: Queue,
    panics: mpsc::UnboundedReceiver<String>,
    metrics: Arc<Metrics>,
    _stop: tokio_util::sync::DropGuard,
}

fn start(concurrency: usize, script: impl Fn(Key, Turn) -> Run + Send + Sync + 'static) -> Harness {
    let (sender, panics) = mpsc::unbounded_channel();
    let metrics = Arc::new(Metrics::default());
    let limits = Limits { concurrency, backoff: Backoff::default() };
    let (controller, queue) =
        Controller::new(Arc::new(Script(script, sender)), limits, Arc::clone(&metrics));
    let stop = CancellationToken::new();
    tokio::spawn(controller.run(stop.clone(), Duration::from_secs(5)));
    Harness { queue, panics, metrics, _stop: stop.drop_guard() }
}

fn trigger() -> Option<Trigger> {
    Some(Trigger { kind: "GitRepository", key: Key::new("flux-system", "app") })
}

#[tokio::test(start_paused = true)]
async fn parked_turns_hold_no_slot() {
    let (done, mut ended) = mpsc::unbounded_channel();
    let never = Arc::new(Notify::new());
    let harness = start(1, move |key, turn| {
        let (done, never) = (done.clone(), Arc::clone(&never));
        Box::pin(async move {
            if key.name.starts_with("stuck") {
                turn.park(never.notified()).await;
            }
            done.send(key.to_string()).unwrap();
            Outcome::Done
        })
    });
    for n in 0..50 {
        harness.queue.wake(Key::new("a", &format!("stuck-{n}")), None);
    }
    harness.queue.wake(Key::new("a", "healthy"), None);
    assert_eq!(ended.recv().await.unwrap(), "a/healthy");
}

#[tokio::test(start_paused = true)]
async fn a_newer_trigger_interrupts_the_wait_and_runs_the_key_again() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let harness = start(1, move |_, turn| {
        let sender = sender.clone();
        Box::pin(async move {
            sender.send("started".to_owned()).unwrap();
            let by = turn.park(turn.interrupted()).await;
            sender.send(by.to_string()).unwrap();
            Outcome::Done
        })
    });
    let key = Key::new("a", "b");
    harness.queue.wake(key.clone(), None);
    assert_eq!(seen.recv().await.unwrap(), "started");
    harness.queue.wake(key, trigger());
    assert_eq!(seen.recv().await.unwrap(), "GitRepository/flux-system/app");
    assert_eq!(seen.recv().await.unwrap(), "started");
}

#[tokio::test(start_paused = true)]
async fn wakes_in_line_are_one_and_timers_do_not_push_back_earlier_ones() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let begin = tokio::time::Instant::now();
    let harness = start(1, move |_, _| {
        sender.send(begin.elapsed().as_secs()).unwrap();
        Box::pin(async { Outcome::After(Duration::from_secs(60)) })
    });
    let key = Key::new("a", "b");
    harness.queue.wake(key.clone(), None);
    harness.queue.wake(key.clone(), None);
    assert_eq!(seen.recv().await.unwrap(), 0);
    harness.queue.wake_after(key.clone(), None, Duration::from_secs(30));
    harness.queue.wake_after(key, None, Duration::from_secs(90));
    // A second run at once is allowed (the wakes may have come while it ran), not a third.
    let mut at = seen.recv().await.unwrap();
    if at == 0 {
        at = seen.recv().await.unwrap();
    }
    assert_eq!(at, 30);
    assert_eq!(seen.recv().await.unwrap(), 90);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_success_resets() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let begin = tokio::time::Instant::now();
    let harness = start(1, move |_, _| {
        sender.send(begin.elapsed().as_millis()).unwrap();
        Box::pin(async { Outcome::Backoff })
    });
    harness.queue.wake(Key::new("a", "b"), None);
    let mut at = Vec::new();
    for _ in 0..4 {
        at.push(seen.recv().await.unwrap());
    }
    let waits: Vec<u128> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The timer wheel ticks in milliseconds.
    for (wait, expected) in waits.iter().zip([750, 1_500, 3_000]) {
        assert!((expected..expected + 3).contains(wait), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_reported_and_others_go_on() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let mut harness = start(1, move |key, _| {
        let sender = sender.clone();
        Box::pin(async move {
            assert!(&*key.name != "bad", "boom");
            sender.send(key.to_string()).unwrap();
            Outcome::Done
        })
    });
    harness.queue.wake(Key::new("a", "bad"), None);
    harness.queue.wake(Key::new("a", "good"), None);
    assert_eq!(seen.recv().await.unwrap(), "a/good");
    assert_eq!(harness.panics.recv().await.unwrap(), "a/bad: boom");
    let text = harness.metrics.encode();
    assert!(
        text.contains("controller_runtime_reconcile_panics_total{controller=\"test\"} 1"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_keeps_the_slots_right() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let harness = start(1, move |key, turn| {
        let sender = sender.clone();
        Box::pin(async move {
            let wait = turn.park(std::future::pending::<()>());
            if tokio::time::timeout(Duration::from_secs(1), wait).await.is_err() {
                sender.send(key.to_string()).expect("the test listens");
            }
            Outcome::Done
        })
    });
    for n in 0..20 {
        harness.queue.wake(Key::new("a", &n.to_string()), None);
    }
    for _ in 0..20 {
        seen.recv().await.unwrap();
    }
    harness.queue.wake(Key::new("a", "last"), None);
    assert_eq!(seen.recv().await.unwrap(), "a/last");
    assert!(
        harness
            .metrics
            .encode()
            .contains("controller_runtime_active_workers{controller=\"test\"} 0")
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_reporting_a_panic_costs_neither_slot_nor_key() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let mut harness = start(1, move |key, turn| {
        let sender = sender.clone();
        Box::pin(async move {
            sender.send(key.to_string()).expect("the test listens");
            if key.name.starts_with("parked") {
                turn.park(async { panic!("boom") }).await
            }
            assert!(!key.name.starts_with("bad"), "boom");
            Outcome::Done
        })
    });
    // Nobody listens: the report itself panics.
    harness.panics.close();
    harness.queue.wake(Key::new("a", "bad"), None);
    harness.queue.wake(Key::new("a", "parked"), None);
    // Each is tried again, and again.
    let mut runs = Vec::new();
    for _ in 0..6 {
        let run = tokio::time::timeout(Duration::from_secs(60), seen.recv()).await;
        runs.push(run.expect("the keys are retried").expect("the turns talk"));
    }
    runs.sort();
    assert_eq!(runs, ["a/bad", "a/bad", "a/bad", "a/parked", "a/parked", "a/parked"]);
    let text = harness.metrics.encode();
    assert!(text.contains("controller_runtime_active_workers{controller=\"test\"} 0"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn parked_turns_get_their_slot_back_in_the_order_they_asked() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let harness = start(1, move |key, turn| {
        let sender = sender.clone();
        Box::pin(async move {
            let seconds: u64 = key.name.parse().expect("a number of seconds");
            if seconds == 0 {
                // Holds the only slot until all others have asked for theirs.
                tokio::time::sleep(Duration::from_secs(10)).await;
            } else {
                turn.park(tokio::time::sleep(Duration::from_secs(seconds))).await;
            }
            sender.send(key.to_string()).expect("the test listens");
            Outcome::Done
        })
    });
    for name in ["1", "2", "3", "0"] {
        harness.queue.wake(Key::new("a", name), None);
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(seen.recv().await.expect("the turns talk"));
    }
    assert_eq!(order, ["a/0", "a/1", "a/2", "a/3"]);
}
