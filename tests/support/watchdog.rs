//! Ends a test binary that stands still, and says in which test: a broken deadline would else hang
//! the whole run.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long nothing may happen.
const STANDS_STILL: Duration = Duration::from_secs(120);
/// How long nothing may be seen to happen while something busy is going on, such as a build.
const BUSY_STANDS_STILL: Duration = Duration::from_secs(900);

/// The tests that are running, and when one of them last did something.
static STATE: Mutex<(Vec<String>, Option<Instant>)> = Mutex::new((Vec::new(), None));
/// How many are busy with something that takes its time and is not seen from here.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// A test; it has ended when its thread has.
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

/// Says that the test of this thread is running.
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

/// Says that something has happened.
pub fn progress() {
    STATE.lock().unwrap().1 = Some(Instant::now());
}

/// Does something that takes its time, such as a build.
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
        let limit = if busy { BUSY_STANDS_STILL } else { STANDS_STILL };
        let still = state.1.is_some_and(|last| last.elapsed() > limit);
        if still && !state.0.is_empty() {
            // Past the test runner's capture.
            let _ = writeln!(
                io::stderr(),
                "\n*** nothing has happened for {limit:?} in: {}",
                state.0.join(", ")
            );
            std::process::exit(101);
        }
    }
}
