//! Ends a test binary that makes no progress, and names the tests that are running: a broken time
//! limit would otherwise hang the whole run.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Maximum time without progress.
const LIMIT: Duration = Duration::from_secs(120);
/// The same while something slow, such as a build, is running.
const BUSY_LIMIT: Duration = Duration::from_secs(900);

/// The names of the running tests, and the time of the last progress.
static STATE: Mutex<(Vec<String>, Option<Instant>)> = Mutex::new((Vec::new(), None));
/// The number of slow operations that are running.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// A running test. It is dropped when the test's thread ends.
struct Running(String);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = STATE.lock().unwrap();
        if let Some(i) = state.0.iter().position(|name| *name == self.0) {
            state.0.swap_remove(i);
        }
        state.1 = Some(Instant::now());
    }
}

thread_local! {
    static THIS: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// Registers the test of this thread.
pub fn test() {
    THIS.with_borrow_mut(|this| {
        this.get_or_insert_with(|| {
            let name = thread::current().name().unwrap_or("a test").to_owned();
            let mut state = STATE.lock().unwrap();
            if state.1.is_none() {
                thread::spawn(watch);
            }
            state.0.push(name.clone());
            Running(name)
        });
    });
    progress();
}

/// Reports progress.
pub fn progress() {
    STATE.lock().unwrap().1 = Some(Instant::now());
}

/// Runs something slow, such as a build.
pub fn busy<T>(work: impl FnOnce() -> T) -> T {
    test();
    BUSY.fetch_add(1, Ordering::Relaxed);
    let result = work();
    BUSY.fetch_sub(1, Ordering::Relaxed);
    progress();
    result
}

fn watch() {
    loop {
        thread::sleep(Duration::from_secs(1));
        let state = STATE.lock().unwrap();
        let busy = BUSY.load(Ordering::Relaxed) > 0;
        let limit = if busy { BUSY_LIMIT } else { LIMIT };
        let is_stuck = state.1.is_some_and(|last| last.elapsed() > limit);
        if is_stuck && !state.0.is_empty() {
            // Not captured by the test runner.
            let _ = writeln!(
                io::stderr(),
                "\n*** no progress for {limit:?} in: {}",
                state.0.join(", ")
            );
            std::process::exit(101);
        }
    }
}
