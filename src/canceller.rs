//! Ending calls from another thread.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ureq::Agent;

/// Ends calls from another thread, so that a service can stop without waiting for a timeout.
///
/// [`cancel`](Canceller::cancel) ends all running calls of the [`Site`](crate::Site)s that have
/// this canceller, and of their sessions, with
/// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled). All later logins and logouts fail the
/// same way, and a canceller is never reset. To log out anyway, resume the session with a site that
/// has no canceller. A call that has already succeeded returns its result.
///
/// All clones act as one canceller. It keeps no reference to a call that has ended.
///
/// ```no_run
/// use files_session::{Canceller, Login, Session, Site};
/// use std::thread;
///
/// # fn wait_for_stop() {}
/// let canceller = Canceller::new();
/// let site = Site::new("https://mysite.files.com").canceller(&canceller);
/// let call = thread::spawn(move || Session::login(&site, &Login::new("username", "password")));
/// wait_for_stop();
/// canceller.cancel();
/// let result = call.join().unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Canceller(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_cancelled: bool,
    /// The agents of running requests, each with a unique number.
    agents: Vec<(u64, Agent)>,
    next: u64,
}

impl Canceller {
    /// A canceller that nothing uses yet; see [`Site::canceller`](crate::Site::canceller).
    #[must_use]
    pub fn new() -> Self {
        Canceller::default()
    }

    /// Ends all running logins and logouts, and all later ones.
    ///
    /// Lookups, waits, TLS, reads and writes end at once; a TCP connect in progress ends at its
    /// `connect_timeout` at the latest. A request that was sent may have been carried out.
    pub fn cancel(&self) {
        let agents = {
            let mut state = self.lock();
            state.is_cancelled = true;
            std::mem::take(&mut state.agents)
        };
        self.0.changed.notify_all();
        for (_, agent) in agents {
            agent.shutdown();
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().is_cancelled
    }

    /// Waits until `is_done` returns true, the limit expires, or the canceller is cancelled.
    pub(crate) fn wait(&self, limit: Duration, is_done: impl Fn() -> bool) {
        let waits = |state: &mut State| !state.is_cancelled && !is_done();
        drop(self.0.changed.wait_timeout_while(self.lock(), limit, waits));
    }

    /// Makes every [`wait`](Canceller::wait) check its `is_done` again.
    pub(crate) fn wake(&self) {
        // While the lock is held, no thread is between its check and its wait.
        let _state = self.lock();
        self.0.changed.notify_all();
    }

    /// Until the guard is dropped, a cancellation shuts the agent down. If already cancelled, this
    /// shuts it down at once.
    pub(crate) fn watch(&self, agent: &Agent) -> Watch<'_> {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        if state.is_cancelled {
            drop(state);
            agent.clone().shutdown();
        } else {
            state.agents.push((number, agent.clone()));
        }
        Watch { canceller: self, number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("is_cancelled", &self.is_cancelled()).finish()
    }
}

/// A request that a cancellation ends.
pub(crate) struct Watch<'a> {
    canceller: &'a Canceller,
    number: u64,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.canceller.lock().agents.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_of_an_ended_call_is_released() {
        let canceller = Canceller::new();
        let agent = Agent::new_with_defaults();
        let numbers =
            || -> Vec<u64> { canceller.lock().agents.iter().map(|(number, _)| *number).collect() };
        let first = canceller.watch(&agent);
        let second = canceller.watch(&agent);
        assert_eq!(numbers(), [0, 1]);
        drop(second);
        assert_eq!(numbers(), [0]);
        drop(first);
        assert!(numbers().is_empty());
        let running = canceller.watch(&agent);
        canceller.cancel();
        let _later = canceller.watch(&agent);
        assert!(numbers().is_empty());
        drop(running);
        assert_eq!(format!("{canceller:?}"), "Canceller { is_cancelled: true }");
    }
}
