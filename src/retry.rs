//! A call is sent, and perhaps sent again: its deadline, and the one table that says when.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{ApiError, Delivery, Error};
use crate::limits::FIRST_BACKOFF;
use crate::request::{Call, send_once};
use crate::response::Success;
use crate::site::Site;

/// The time limit of a call, from its start to its end, whatever it does in between.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    start: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(crate) fn new(timeout: Duration) -> Deadline {
        Deadline { start: Instant::now(), timeout }
    }

    fn remaining(&self) -> Duration {
        self.timeout.saturating_sub(self.start.elapsed())
    }
}

/// Sends the call, as often as the rules allow, and returns what came last.
pub(crate) fn send(site: &Site, call: &Call, deadline: Deadline) -> Result<Success, Error> {
    let mut may_have_worked = false;
    let mut retry = 0;
    loop {
        let retries_left = retry < site.max_retries();
        let backoff = backoff(retry);
        let can_be_repeated = call.is_idempotent() && retries_left;
        let limit = try_limit(can_be_repeated, deadline.remaining(), longest_backoff(retry));
        let error = match send_once(site, call, limit, deadline.timeout) {
            Ok(success) => return Ok(success),
            Err(error) => error,
        };
        if may_have_worked && error.api().is_some_and(ApiError::says_no_such_session) {
            return Ok(Success::no_content());
        }
        let outcome = Outcome::of(&error);
        match wait_before_retry(call.is_idempotent(), outcome, backoff) {
            Some(wait) if retries_left && wait < deadline.remaining() => thread::sleep(wait),
            _ => return Err(error),
        }
        may_have_worked |= matches!(outcome, Outcome::Unanswered | Outcome::ServerError);
        retry += 1;
    }
}

/// How much of the time that is left one try may take. One that can be repeated takes half, so
/// that a connection that died in silence leaves time for another, unless that is too little to
/// wait for a retry and to make it.
fn try_limit(can_be_repeated: bool, remaining: Duration, wait: Duration) -> Duration {
    if can_be_repeated && wait < remaining / 2 { remaining / 2 } else { remaining }
}

/// What is known of a try, as far as it decides whether there is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// No connection could be made, and nothing was sent.
    NotSent,
    /// It was sent, and no whole response came: the site may have received it, or not.
    Unanswered,
    /// 429 or 503 with a `Retry-After`: the site did not look at it.
    Postponed(Duration),
    /// Another 5xx: the site received it, and may have carried it out or not.
    ServerError,
    /// A response, or a failure that will be the same the next time.
    Final,
}

impl Outcome {
    fn of(error: &Error) -> Outcome {
        let retry_after = error.api().and_then(|api| api.retry_after);
        match (error.delivery(), error.http_status(), retry_after) {
            (Some(Delivery::NotSent), ..) => Outcome::NotSent,
            (Some(Delivery::Unknown), ..) => Outcome::Unanswered,
            (None, Some(429 | 503), Some(wait)) => Outcome::Postponed(wait),
            (None, Some(500..=599), _) => Outcome::ServerError,
            _ => Outcome::Final,
        }
    }
}

/// Whether a call may be sent again after such a try, and how long to wait before: the one place
/// that decides it. Retries that are used up and a limit that is reached end it, too.
fn wait_before_retry(idempotent: bool, outcome: Outcome, backoff: Duration) -> Option<Duration> {
    match (outcome, idempotent) {
        (Outcome::NotSent, _) => Some(backoff),
        (Outcome::Postponed(wait), _) => Some(wait),
        (Outcome::Unanswered | Outcome::ServerError, true) => Some(backoff),
        // The site may have received the login, and a second one would open a second session,
        // send a second code, or count as a second failure.
        (Outcome::Unanswered | Outcome::ServerError, false) => None,
        (Outcome::Final, _) => None,
    }
}

/// 0.5 s, 1 s, 2 s and so on, give or take a quarter, so that clients that failed together do not
/// come back together.
fn backoff(retry: u32) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1000;
    let longest = longest_backoff(retry);
    longest * 3 / 5 + longest * 2 / 5 * u32::try_from(random).unwrap_or(0) / 1000
}

fn longest_backoff(retry: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(retry.min(16))) * 5 / 4
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::{Context, Stage, Unexpected, Unsent};

    #[test]
    fn what_is_tried_again() {
        let (login, logout) = (false, true);
        let backoff = Duration::from_millis(500);
        let soon = Duration::from_secs(7);
        for (call, outcome, wait) in [
            (login, Outcome::NotSent, Some(backoff)),
            (login, Outcome::Unanswered, None),
            (login, Outcome::Postponed(soon), Some(soon)),
            (login, Outcome::ServerError, None),
            (login, Outcome::Final, None),
            (logout, Outcome::NotSent, Some(backoff)),
            (logout, Outcome::Unanswered, Some(backoff)),
            (logout, Outcome::Postponed(soon), Some(soon)),
            (logout, Outcome::ServerError, Some(backoff)),
            (logout, Outcome::Final, None),
        ] {
            assert_eq!(wait_before_retry(call, outcome, backoff), wait, "{call} {outcome:?}");
        }
    }

    #[test]
    fn one_of_several_tries_takes_half_of_the_time() {
        let ms = Duration::from_millis;
        for (can_be_repeated, remaining, backoff, limit) in [
            (true, 60_000, 500, 30_000),
            (true, 1002, 500, 501),
            (true, 1000, 500, 1000),
            (true, 400, 500, 400),
            (true, 0, 500, 0),
            (false, 60_000, 500, 60_000),
        ] {
            assert_eq!(try_limit(can_be_repeated, ms(remaining), ms(backoff)), ms(limit));
        }
    }

    #[test]
    fn the_waits_double_and_differ() {
        for (retry, doubled) in [(0, 500), (1, 1000), (2, 2000), (3, 4000)] {
            let waits: Vec<u128> = (0..50).map(|_| backoff(retry).as_millis()).collect();
            assert!(waits.iter().all(|w| (doubled * 3 / 4..=doubled * 5 / 4).contains(w)));
            assert!(waits.iter().any(|w| *w != waits[0]), "no jitter");
            // Spread over the whole of the range, not only over a part of it.
            assert!(waits.iter().any(|w| *w < doubled) && waits.iter().any(|w| *w > doubled));
        }
        assert!(backoff(u32::MAX) > Duration::from_secs(1000));
    }

    #[test]
    fn what_a_response_tells() {
        let refused = |status, retry_after: Option<u64>| {
            let retry_after = retry_after.map(Duration::from_secs);
            Outcome::of(&Error::refused(ApiError { retry_after, ..ApiError::of_status(status) }))
        };
        for (status, retry_after, outcome) in [
            (401, None, Outcome::Final),
            (401, Some(1), Outcome::Final),
            (429, None, Outcome::Final),
            (429, Some(1), Outcome::Postponed(Duration::from_secs(1))),
            (499, Some(1), Outcome::Final),
            (500, None, Outcome::ServerError),
            (502, Some(1), Outcome::ServerError),
            (503, None, Outcome::ServerError),
            (503, Some(1), Outcome::Postponed(Duration::from_secs(1))),
            (599, None, Outcome::ServerError),
            (600, None, Outcome::Final),
        ] {
            assert_eq!(refused(status, retry_after), outcome, "{status} {retry_after:?}");
        }
        let unexpected =
            |status| Outcome::of(&Error::unexpected(status, None, Unexpected::NotThisApi));
        assert_eq!(unexpected(502), Outcome::ServerError);
        assert_eq!(unexpected(404), Outcome::Final);
        assert_eq!(unexpected(302), Outcome::Final);
    }

    #[test]
    fn what_a_failure_tells() {
        let config = ureq::Agent::config_builder().proxy(None).build();
        let outcome = |source| {
            let (host, timeout) = ("", Duration::ZERO);
            let context = Context { host, proxy: None, timeout, config: &config };
            Outcome::of(&Error::failed(source, context))
        };
        let io = |kind: io::ErrorKind| ureq::Error::Io(kind.into());
        let raw = |code| ureq::Error::Io(io::Error::from_raw_os_error(code));
        let unsent = |stage, source| ureq::Error::from(Unsent { stage, by_proxy: false, source });
        let localhost = Stage::Localhost([192, 0, 2, 1].into());
        for (source, expected) in [
            (unsent(Stage::LookUp, ureq::Error::HostNotFound), Outcome::NotSent),
            (unsent(Stage::LookUpThread, io(io::ErrorKind::WouldBlock)), Outcome::Final),
            (unsent(localhost, ureq::Error::HostNotFound), Outcome::Final),
            (unsent(Stage::Connect, io(io::ErrorKind::ConnectionRefused)), Outcome::NotSent),
            (unsent(Stage::Connect, io(io::ErrorKind::ConnectionReset)), Outcome::NotSent),
            (
                unsent(Stage::Connect, ureq::Error::Timeout(ureq::Timeout::Connect)),
                Outcome::NotSent,
            ),
            (unsent(Stage::Connect, ureq::Error::ConnectProxyFailed("407".into())), Outcome::Final),
            (unsent(Stage::Connect, io(io::ErrorKind::InvalidData)), Outcome::Final),
            (unsent(Stage::Connect, ureq::Error::Tls("no")), Outcome::Final),
            (unsent(Stage::Connect, io(io::ErrorKind::OutOfMemory)), Outcome::Final),
            (unsent(Stage::Connect, raw(if cfg!(windows) { 10024 } else { 24 })), Outcome::Final),
            (unsent(Stage::Config("no".to_owned()), ureq::Error::HostNotFound), Outcome::Final),
            (ureq::Error::TlsRequired, Outcome::Final),
            (ureq::Error::RequireHttpsOnly("http://x".into()), Outcome::Final),
            // Without the mark, the request may have been received.
            (io(io::ErrorKind::ConnectionRefused), Outcome::Unanswered),
            (io(io::ErrorKind::ConnectionReset), Outcome::Unanswered),
            (io(io::ErrorKind::UnexpectedEof), Outcome::Unanswered),
            (io(io::ErrorKind::InvalidData), Outcome::Unanswered),
            (ureq::Error::Timeout(ureq::Timeout::Connect), Outcome::Unanswered),
            (ureq::Error::Timeout(ureq::Timeout::RecvResponse), Outcome::Unanswered),
            (ureq::Error::HostNotFound, Outcome::Unanswered),
            (ureq::Error::Tls("no"), Outcome::Unanswered),
        ] {
            let shown = format!("{source:?}");
            assert_eq!(outcome(source), expected, "{shown}");
        }
    }
}
