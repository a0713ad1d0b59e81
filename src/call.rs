//! One call: its deadline, its attempts, the hop to another region, and the one table of what may
//! be sent again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::base_url::BaseUrl;
use crate::connection::Connection;
use crate::error::{ApiError, Error, ErrorKind, Outcome};
use crate::limits::{Deadline, FIRST_BACKOFF};
use crate::request::Request;
use crate::response::Response;
use crate::site::Site;

/// Sends a request as often as the rules allow. Returns the response that means success, the site
/// that sent it, and the connection. The first attempt uses the kept connection if it is
/// still open.
pub(crate) fn call(
    site: &Site,
    request: &Request,
    mut kept: Option<Connection>,
) -> Result<(Response, Site, Connection), Error> {
    let end = Deadline::new("timeout", site.timeout);
    let mut site = site.clone();
    let (mut has_moved, mut may_have_succeeded, mut retry) = (false, false, 0);
    loop {
        let base_url = site.checked()?.clone();
        let has_retries = retry < site.retries;
        let may_be_retried = request.is_idempotent() && has_retries;
        let time = attempt_timeout(may_be_retried, end.time_left(), longest_backoff(retry));
        let deadline = end.within(time);
        let is_kept = kept.is_some();
        let connection = match kept.take() {
            Some(kept) => kept.reuse(deadline),
            None => {
                let proxy = site.current_proxy();
                let proxy = proxy.map_err(|error| Error::from(error).after(may_have_succeeded))?;
                Connection::new(&site, proxy.as_ref(), deadline)
            }
        };
        let error = match request.send(&site, &base_url, &connection, deadline) {
            Ok(response) => return Ok((response, site, connection)),
            Err(error) => error.asked_by(&base_url).after(may_have_succeeded),
        };
        if site.canceller.is_cancelled() {
            let is_sent = may_have_succeeded || connection.is_sent();
            let unsent = if has_moved { Outcome::Refused } else { Outcome::NotSent };
            return Err(Error::cancelled(if is_sent { Outcome::Lost } else { unsent }));
        }
        // Try over a new connection, still as the first attempt: the server may have closed the
        // kept one because it was idle, before it saw the request. A 408 means that.
        let is_broken = error.outcome() == Outcome::Broken || error.http_status() == Some(408);
        let is_unsent = matches!(error.outcome(), Outcome::NotConnected | Outcome::NotBegun);
        if is_kept && (is_broken || is_unsent) {
            may_have_succeeded |= is_broken;
            continue;
        }
        // That is what a logout is for. To a login, it says nothing.
        let is_gone = request.is_idempotent() && error.api().is_some_and(ApiError::is_session_gone);
        if may_have_succeeded && is_gone {
            return Ok((Response::default(), site, connection));
        }
        may_have_succeeded |= error.outcome().is_unknown();
        if let Some(region) = region(&base_url, &error).filter(|_| !has_moved) {
            (site, has_moved) = (site.with_base_url(region), true);
            continue;
        }
        match wait_before_retry(request.is_idempotent(), &error, backoff(retry)) {
            Some(wait) if has_retries && wait < end.time_left() => {
                site.canceller.wait(wait, || false);
            }
            _ => return Err(error),
        }
        retry += 1;
    }
}

/// The address to send a request to after a region mismatch. A password or a session id goes there
/// only if the host was named over https.
fn region(base_url: &BaseUrl, error: &Error) -> Option<Arc<BaseUrl>> {
    let mismatch = error.api().filter(|_| error.kind() == ErrorKind::RegionMismatch)?;
    let region = BaseUrl::region(mismatch.host.as_deref()?)?;
    (base_url.is_https() && region != *base_url).then(|| Arc::new(region))
}

/// The time limit of one attempt: half of the remaining time if it may be retried, so that a dead
/// connection leaves time for a retry. If the wait does not fit into the other half, all the
/// remaining time.
fn attempt_timeout(may_be_retried: bool, remaining: Duration, wait: Duration) -> Duration {
    if may_be_retried && wait < remaining / 2 { remaining / 2 } else { remaining }
}

/// The one place that decides whether a request may be sent again after this error, and how long to
/// wait first. The caller checks the deadline and the retry count.
fn wait_before_retry(is_idempotent: bool, error: &Error, backoff: Duration) -> Option<Duration> {
    match (error.outcome(), error.http_status(), is_idempotent) {
        (Outcome::NotConnected, _, _) => Some(backoff),
        (Outcome::NotBegun | Outcome::Broken | Outcome::NoResponse, _, true) => Some(backoff),
        (Outcome::Unavailable, Some(429 | 500..=599), true) => {
            Some(backoff.max(error.retry_after().unwrap_or_default()))
        }
        // Unless nothing was sent, the site may have carried out the login, even if it reports a
        // failure. A second login would open a second session, send a second code, or count as a
        // second failure.
        (Outcome::NotBegun | Outcome::Broken | Outcome::NoResponse, _, false) => None,
        (Outcome::Unavailable, _, _) => None,
        (Outcome::NotSent | Outcome::Lost | Outcome::Refused, _, _) => None,
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
    use super::*;

    #[test]
    fn what_is_sent_again() {
        let (now, later) = (Duration::from_millis(500), Duration::from_secs(7));
        let failed = Error::cancelled;
        let refused = |status, retry_after: Option<Duration>| {
            let kind = ErrorKind::from_refusal(None, status);
            Error::refused(kind, ApiError { retry_after, ..ApiError::new(status) })
        };
        let typed = |status, error_type: &str| {
            let kind = ErrorKind::from_refusal(Some(error_type), status);
            let error_type = Some(error_type.to_owned());
            Error::refused(kind, ApiError { error_type, ..ApiError::new(status) })
        };
        let page = |status| Error::unexpected(status, ("", ""), Some(later));
        for (error, login, logout) in [
            (failed(Outcome::NotConnected), Some(now), Some(now)),
            (failed(Outcome::NotSent), None, None),
            (failed(Outcome::NotBegun), None, Some(now)),
            (failed(Outcome::Broken), None, Some(now)),
            (failed(Outcome::NoResponse), None, Some(now)),
            (failed(Outcome::Lost), None, None),
            (refused(401, None), None, None),
            (refused(401, Some(later)), None, None),
            (refused(408, None), None, None),
            (refused(429, None), None, Some(now)),
            (refused(429, Some(later)), None, Some(later)),
            (refused(499, Some(later)), None, None),
            (refused(500, None), None, Some(now)),
            (refused(503, Some(later)), None, Some(later)),
            (refused(599, None), None, Some(now)),
            (typed(422, "service-unavailable/migration-in-progress"), None, None),
            (typed(503, "service-unavailable/migration-in-progress"), None, Some(now)),
            (typed(422, "rate-limited/too-many-requests"), None, None),
            (typed(503, "service-unavailable/site-disabled"), None, None),
            (page(302), None, None),
            (page(404), None, None),
            (page(502), None, Some(later)),
            (page(600), None, None),
            (Error::unexpected(201, ("", ""), None), None, None),
        ] {
            let shown = format!("{error:#?}");
            assert_eq!(wait_before_retry(false, &error, now), login, "{shown}");
            assert_eq!(wait_before_retry(true, &error, now), logout, "{shown}");
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
}
