//! Sends a call and retries it: the deadline, the hop to another region, and the one table of what
//! may be retried.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use ureq::Agent;

use crate::base_url::BaseUrl;
use crate::error::{ApiError, Delivery, Error, ErrorKind};
use crate::limits::FIRST_BACKOFF;
use crate::request::{Call, send_once};
use crate::response::Success;
use crate::site::Site;

/// Sends a call as often as the rules allow. Returns the response that means success, and the site
/// that sent it. The first attempt reuses the connection of `kept`, if it is still open.
pub(crate) fn send(
    site: &Site,
    call: &Call,
    mut kept: Option<&Agent>,
) -> Result<(Success, Site), Error> {
    let end = Instant::now() + site.timeout;
    let remaining = || end.saturating_duration_since(Instant::now());
    let mut site = site.clone();
    let (mut has_moved, mut may_have_succeeded, mut retry) = (false, false, 0);
    loop {
        if site.canceller.is_cancelled() {
            return Err(Error::cancelled());
        }
        let has_retries = retry < site.retries;
        let may_be_retried = call.is_idempotent() && has_retries;
        let limit = attempt_timeout(may_be_retried, remaining(), longest_backoff(retry));
        let reused = kept.take();
        let error = match send_once(&site, call, reused, limit) {
            Ok(success) => return Ok((success, site)),
            Err(_) if site.canceller.is_cancelled() => return Err(Error::cancelled()),
            Err(error) => error.with_challenge_origin(site.origin()),
        };
        // Over a new connection, this is still the first attempt.
        if error.delivery() == Some(Delivery::NotOpen) {
            continue;
        }
        if may_have_succeeded && error.api().is_some_and(ApiError::is_session_gone) {
            return Ok((Success::no_content(), site));
        }
        if let Some(region) = region(&site, &error).filter(|_| !has_moved) {
            (site, has_moved) = (region, true);
            continue;
        }
        let outcome = Outcome::from_error(&error, reused.is_some());
        match wait_before_retry(call.is_idempotent(), outcome, backoff(retry)) {
            Some(wait) if has_retries && wait < remaining() => {
                site.canceller.wait(wait, || false);
            }
            _ => return Err(error),
        }
        may_have_succeeded |= outcome != Outcome::NotSent;
        retry += 1;
    }
}

/// The site to send a call to after a region mismatch. A password or a session id goes there only
/// if the host was named over https.
fn region(site: &Site, error: &Error) -> Option<Site> {
    let mismatch = error.api().filter(|_| error.kind() == ErrorKind::RegionMismatch)?;
    let region = BaseUrl::region(mismatch.host.as_deref()?)?;
    let is_https = site.target().ok()?.base_url.is_https();
    (is_https && region.as_str() != site.origin()).then(|| site.with_base_url(region))
}

/// The time limit of one attempt: half of the remaining time if it may be retried, so that a dead
/// connection leaves time for a retry. If the wait does not fit into the other half, all of it.
fn attempt_timeout(may_be_retried: bool, remaining: Duration, wait: Duration) -> Duration {
    if may_be_retried && wait < remaining / 2 { remaining / 2 } else { remaining }
}

/// What is known of a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// No connection could be made. Nothing was sent.
    NotSent,
    /// The request was sent, but no complete response came.
    NoResponse,
    /// 429 or 5xx: the site reports that it can't carry it out now. Holds `Retry-After`, or zero.
    Unavailable(Duration),
    /// Any other response, or a failure that would recur.
    Permanent,
}

impl Outcome {
    fn from_error(error: &Error, is_connection_reused: bool) -> Outcome {
        let retry_after = error.retry_after().unwrap_or_default();
        match (error.delivery(), error.http_status()) {
            (Some(Delivery::NotSent), _) => Outcome::NotSent,
            (Some(Delivery::Unknown), _) => Outcome::NoResponse,
            // The server sent it because the connection was idle, before it saw the request.
            (None, Some(408)) if is_connection_reused => Outcome::NoResponse,
            (None, Some(429 | 500..=599)) => Outcome::Unavailable(retry_after),
            _ => Outcome::Permanent,
        }
    }
}

/// The one place that decides whether a call may be retried after this outcome, and how long to
/// wait first. The caller checks the deadline and the retry count.
fn wait_before_retry(idempotent: bool, outcome: Outcome, backoff: Duration) -> Option<Duration> {
    match (outcome, idempotent) {
        (Outcome::NotSent, _) => Some(backoff),
        (Outcome::NoResponse, true) => Some(backoff),
        (Outcome::Unavailable(retry_after), true) => Some(backoff.max(retry_after)),
        // The site may have carried out the login even if it reports a failure. A second login
        // would open a second session, send a second code, or count as a second failure.
        (Outcome::NoResponse | Outcome::Unavailable(_), false) => None,
        (Outcome::Permanent, _) => None,
    }
}

/// 0.5 s, 1 s, 2 s and so on, plus or minus a quarter, so that clients that failed together don't
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
    use crate::error::{ConnectError, Context, Limit, Stage};

    #[test]
    fn what_is_retried() {
        let (login, logout) = (false, true);
        let backoff = Duration::from_millis(500);
        let (now, later) = (Duration::ZERO, Duration::from_secs(7));
        for (call, outcome, wait) in [
            (login, Outcome::NotSent, Some(backoff)),
            (login, Outcome::NoResponse, None),
            (login, Outcome::Unavailable(now), None),
            (login, Outcome::Unavailable(later), None),
            (login, Outcome::Permanent, None),
            (logout, Outcome::NotSent, Some(backoff)),
            (logout, Outcome::NoResponse, Some(backoff)),
            (logout, Outcome::Unavailable(now), Some(backoff)),
            (logout, Outcome::Unavailable(later), Some(later)),
            (logout, Outcome::Permanent, None),
        ] {
            assert_eq!(wait_before_retry(call, outcome, backoff), wait, "{call} {outcome:?}");
        }
    }

    #[test]
    fn an_attempt_that_may_be_retried_gets_half_of_the_time() {
        let ms = Duration::from_millis;
        for (may_be_retried, remaining, backoff, limit) in [
            (true, 60_000, 500, 30_000),
            (true, 1002, 500, 501),
            (true, 1000, 500, 1000),
            (true, 400, 500, 400),
            (true, 0, 500, 0),
            (false, 60_000, 500, 60_000),
        ] {
            assert_eq!(attempt_timeout(may_be_retried, ms(remaining), ms(backoff)), ms(limit));
        }
    }

    #[test]
    fn backoffs_double_and_have_jitter() {
        for (retry, doubled) in [(0, 500), (1, 1000), (2, 2000), (3, 4000)] {
            let waits: Vec<u128> = (0..50).map(|_| backoff(retry).as_millis()).collect();
            assert!(waits.iter().all(|w| (doubled * 3 / 4..=doubled * 5 / 4).contains(w)));
            assert!(waits.iter().any(|w| *w < doubled) && waits.iter().any(|w| *w > doubled));
        }
        assert!(backoff(u32::MAX) > Duration::from_secs(1000));
    }

    #[test]
    fn the_outcome_of_a_response() {
        let outcome = |status, retry_after: Option<u64>, reused| {
            let retry_after = retry_after.map(Duration::from_secs);
            let api = ApiError { retry_after, ..ApiError::new(status) };
            Outcome::from_error(&Error::refused(ErrorKind::BadRequest, api), reused)
        };
        let unavailable = |seconds| Outcome::Unavailable(Duration::from_secs(seconds));
        for (status, retry_after, expected) in [
            (401, None, Outcome::Permanent),
            (401, Some(1), Outcome::Permanent),
            (408, None, Outcome::Permanent),
            (429, None, unavailable(0)),
            (429, Some(1), unavailable(1)),
            (499, Some(1), Outcome::Permanent),
            (500, None, unavailable(0)),
            (503, Some(1), unavailable(1)),
            (599, None, unavailable(0)),
            (600, None, Outcome::Permanent),
        ] {
            assert_eq!(outcome(status, retry_after, false), expected, "{status} {retry_after:?}");
        }
        assert_eq!(outcome(408, None, true), Outcome::NoResponse);
        assert_eq!(outcome(401, None, true), Outcome::Permanent);
        let unexpected = |status| Outcome::from_error(&Error::unexpected(status, "", None), false);
        assert_eq!(unexpected(502), unavailable(0));
        let error = Error::unexpected(502, "", Some(Duration::from_secs(1)));
        assert_eq!(Outcome::from_error(&error, false), unavailable(1));
        assert_eq!(unexpected(404), Outcome::Permanent);
        assert_eq!(unexpected(302), Outcome::Permanent);
    }

    #[test]
    fn the_outcome_of_a_failure() {
        let limit = Limit { setting: "timeout", length: Duration::ZERO };
        let context =
            Context { host: "", is_https: false, proxy: None, connect: limit, call: limit };
        let outcome = |source| Outcome::from_error(&Error::failed(source, &context), false);
        let io = |kind: io::ErrorKind| ureq::Error::Io(kind.into());
        let raw = |code| ureq::Error::Io(io::Error::from_raw_os_error(code));
        let unsent =
            |stage, source| ureq::Error::from(ConnectError { stage, by_proxy: false, source });
        let timeout = || ureq::Error::Timeout(ureq::Timeout::Connect);
        for (source, expected) in [
            (unsent(Stage::Lookup, ureq::Error::HostNotFound), Outcome::NotSent),
            (unsent(Stage::Lookup, timeout()), Outcome::NotSent),
            (unsent(Stage::LookupThread, io(io::ErrorKind::WouldBlock)), Outcome::Permanent),
            (unsent(Stage::Connect, io(io::ErrorKind::ConnectionRefused)), Outcome::NotSent),
            (unsent(Stage::Connect, io(io::ErrorKind::ConnectionReset)), Outcome::NotSent),
            (unsent(Stage::Connect, timeout()), Outcome::NotSent),
            (
                unsent(Stage::Connect, ureq::Error::ConnectProxyFailed("407".into())),
                Outcome::Permanent,
            ),
            (unsent(Stage::Connect, io(io::ErrorKind::InvalidData)), Outcome::Permanent),
            (unsent(Stage::Connect, ureq::Error::Tls("no")), Outcome::Permanent),
            (unsent(Stage::Connect, io(io::ErrorKind::OutOfMemory)), Outcome::Permanent),
            (
                unsent(Stage::Connect, raw(if cfg!(windows) { 10024 } else { 24 })),
                Outcome::Permanent,
            ),
            (ureq::Error::TlsRequired, Outcome::Permanent),
            // Without the mark, the request may have been received.
            (io(io::ErrorKind::ConnectionRefused), Outcome::NoResponse),
            (io(io::ErrorKind::UnexpectedEof), Outcome::NoResponse),
            (io(io::ErrorKind::InvalidData), Outcome::NoResponse),
            (timeout(), Outcome::NoResponse),
            (ureq::Error::HostNotFound, Outcome::NoResponse),
            (ureq::Error::Tls("no"), Outcome::NoResponse),
        ] {
            let shown = format!("{source:?}");
            assert_eq!(outcome(source), expected, "{shown}");
        }
    }
}
