//! Ending calls from another thread.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::socket::Handle;

/// Ends calls from another thread, so that a service can stop without waiting for a timeout.
///
/// [`cancel`](Canceller::cancel) ends all running calls of the [`Site`](crate::Site)s that have
/// this canceller, and of their sessions, with
/// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled). All later logins and logouts fail the
/// same way, and a canceller is never reset. A call that has already succeeded returns its result.
/// To log out after a cancellation, resume the session with another canceller:
///
/// ```no_run
/// # use files_session::{Canceller, Error, Session};
/// # fn log_out(session: &Session) -> Result<(), Error> {
/// let site = session.site().clone().canceller(&Canceller::new());
/// Session::resume(&site, &session.id)?.logout()
/// # }
/// ```
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
    /// The connections of the sites that have this canceller.
    handles: Vec<Weak<Handle>>,
}

impl Canceller {
    /// A canceller that nothing uses yet; see [`Site::canceller`](crate::Site::canceller).
    pub fn new() -> Self {
        Canceller::default()
    }

    /// Ends all running logins and logouts, and all later ones.
    ///
    /// Lookups, waits, TLS, reads and writes end at once; a TCP connect in progress may last until
    /// the limit for connecting. A request that was sent may have been carried out: see
    /// [`Error::outcome_unknown`](crate::Error::outcome_unknown).
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.is_cancelled = true;
        for handle in state.handles.drain(..).filter_map(|handle| handle.upgrade()) {
            handle.cut_off();
        }
        drop(state);
        self.0.changed.notify_all();
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

    /// Cuts this connection off on cancellation, at once if already cancelled.
    pub(crate) fn watch(&self, handle: &Arc<Handle>) {
        let mut state = self.lock();
        state.handles.retain(|handle| handle.strong_count() > 0);
        if state.is_cancelled {
            handle.cut_off();
        } else {
            state.handles.push(Arc::downgrade(handle));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Deadline;

    #[test]
    fn the_connection_of_an_ended_session_is_released() {
        let canceller = Canceller::new();
        let handle = || Arc::new(Handle::new(Deadline::new("timeout", Duration::ZERO)));
        let (ended, open) = (handle(), handle());
        let watched = || canceller.lock().handles.len();
        canceller.watch(&ended);
        canceller.watch(&open);
        assert_eq!(watched(), 2);
        drop(ended);
        canceller.watch(&handle());
        assert_eq!(watched(), 2);
        canceller.cancel();
        canceller.watch(&open);
        assert_eq!(watched(), 0);
        assert_eq!(format!("{canceller:?}"), "Canceller { is_cancelled: true }");
    }
}
