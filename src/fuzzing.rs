//! What `tests/fuzz` drives: the readers of what comes from outside, and what must hold of them.

use crate::answer::Answer;
use crate::error::Error;
use crate::session::Session;
use crate::site::Site;

/// An answer to a login never panics, and is no session without a fit id.
pub fn session(body: &[u8]) {
    match Session::from_answer(Answer::of(201, body), Site::new("http://localhost")) {
        Ok(session) => assert!(Session::resume(&Site::new(""), session.id).is_ok()),
        Err(error) => check(&error),
    }
}

/// A refusal is one, whatever its body.
pub fn refusal(body: &[u8]) {
    for status in [101, 302, 401, 404, 503] {
        let answer = Answer::of(status, body);
        let _ = answer.says_no_such_session();
        let error = answer.or_error().err().expect("a status that is no success");
        assert!(matches!(error, Error::Api(_) | Error::UnexpectedResponse { .. }));
        check(&error);
    }
}

/// A wait is one, or none.
pub fn retry_after(text: &str) {
    let (value, date) = text.split_once('\n').unwrap_or((text, ""));
    let _ = crate::retry_after::parse(value, Some(date));
}

/// An address is refused, or becomes that of the API at an origin.
pub fn base_url(text: &str) {
    match Site::new(text).allow_http().endpoint() {
        Ok(uri) => {
            assert!(uri.host().is_some_and(|host| !host.is_empty()));
            assert!(!uri.authority().expect("a host").as_str().contains('@'));
            assert_eq!(uri.path_and_query().expect("a path"), "/api/rest/v1/sessions");
        }
        Err(error) => check(&error.into()),
    }
}

/// An error's sentence is fit for a terminal.
fn check(error: &Error) {
    let (said, _, _) = (error.to_string(), format!("{error:?}"), error.kind());
    assert!(!said.is_empty() && said.len() < 16_000 && !said.chars().any(char::is_control));
}
