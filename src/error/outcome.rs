//! What is known of a request that failed.

use super::kind::ErrorKind;

/// What is known of an attempt that failed. It determines whether the site may have carried out the
/// attempt, whether another one may succeed, and what is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No connection could be made, or the kept one is no longer open, so nothing was sent. Another
    /// attempt may succeed.
    NotConnected,
    /// Nothing was sent, and another attempt would fail the same way.
    NotSent,
    /// The connection failed before the first byte of the request was handed to the system.
    NotBegun,
    /// The peer closed or reset the connection before the response was complete.
    Broken,
    /// Any other failure before the response was complete.
    NoResponse,
    /// 429, 5xx, or a type that says the same: it proves nothing.
    Unavailable,
    /// The response can't be used, or was not waited for.
    Lost,
    /// The request was refused, so it was not carried out.
    Refused,
}

impl Outcome {
    /// The outcome of a request that got this response, which is an error of this kind.
    pub(super) fn of_response(status: u16, kind: ErrorKind) -> Outcome {
        match (status, kind) {
            (200..=299, _) => Outcome::Lost,
            (429 | 500.., _) => Outcome::Unavailable,
            (_, ErrorKind::RateLimited | ErrorKind::ServiceUnavailable) => Outcome::Unavailable,
            _ => Outcome::Refused,
        }
    }

    /// Whether the site may have carried out the request.
    pub(crate) fn is_unknown(self) -> bool {
        use Outcome::{Broken, Lost, NoResponse, Unavailable};
        matches!(self, Broken | NoResponse | Unavailable | Lost)
    }

    /// Whether the same call may succeed later without any change.
    pub(super) fn is_transient(self) -> bool {
        !matches!(self, Outcome::NotSent | Outcome::Lost | Outcome::Refused)
    }

    /// What to say of it in a sentence.
    pub(super) fn fact(self) -> &'static str {
        match self {
            _ if self.is_unknown() => "it is not known whether the request was carried out",
            Outcome::Refused => "the request was not carried out",
            _ => "nothing was sent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_each_outcome() {
        for (outcome, is_unknown, is_transient) in [
            (Outcome::NotConnected, false, true),
            (Outcome::NotSent, false, false),
            (Outcome::NotBegun, false, true),
            (Outcome::Broken, true, true),
            (Outcome::NoResponse, true, true),
            (Outcome::Unavailable, true, true),
            (Outcome::Lost, true, false),
            (Outcome::Refused, false, false),
        ] {
            assert_eq!(outcome.is_unknown(), is_unknown, "{outcome:?}");
            assert_eq!(outcome.is_transient(), is_transient, "{outcome:?}");
        }
    }

    #[test]
    fn the_outcome_of_a_response() {
        use ErrorKind::*;
        use Outcome::{Lost, Refused, Unavailable};
        for (status, kind, outcome) in [
            (101, UnexpectedResponse, Refused),
            (200, UnexpectedResponse, Lost),
            (302, UnexpectedResponse, Refused),
            (404, UnexpectedResponse, Refused),
            (408, BadRequest, Refused),
            (422, ServiceUnavailable, Unavailable),
            (400, RateLimited, Unavailable),
            (429, BadRequest, Unavailable),
            (500, BadRequest, Unavailable),
            (502, UnexpectedResponse, Unavailable),
            (600, UnexpectedResponse, Unavailable),
        ] {
            assert_eq!(Outcome::of_response(status, kind), outcome, "{status} {kind:?}");
        }
    }
}
