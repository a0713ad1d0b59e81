//! What `tests/fuzz` drives: the readers of what comes from outside, and what must hold of them.

use crate::base_url::BaseUrl;
use crate::error::{Error, ErrorKind};
use crate::response::{Response, Success};
use crate::session::Session;
use crate::site::Site;

/// A response to a login never panics, and is no session without a valid id.
pub fn session(body: &[u8]) {
    match Session::from_response(&Success::created(body), Site::new("http://localhost")) {
        Ok(session) => {
            assert!(Session::resume(&Site::new("http://localhost"), session.id).is_ok());
        }
        Err(error) => check(&error),
    }
}

/// A refusal is one, whatever its body.
pub fn refusal(body: &[u8]) {
    for status in [101, 302, 401, 404, 503] {
        let error = Response::of(status, body).into_success().err();
        let error = error.expect("a status that is no success");
        assert!(error.api().is_some() || error.kind() == ErrorKind::UnexpectedResponse);
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
    match BaseUrl::parse(text) {
        Ok(url) => {
            assert!(!url.host().is_empty() && !url.authority().contains('@'));
            assert_eq!(url.endpoint, *format!("{}/api/rest/v1/sessions", url.as_str()));
            assert_eq!(BaseUrl::parse(url.as_str()), Ok(url));
        }
        Err(error) => check(&error.into()),
    }
}

/// An error's sentence is fit for a terminal.
fn check(error: &Error) {
    let (said, _, _) = (error.to_string(), format!("{error:?}"), error.kind());
    assert!(!said.is_empty() && said.len() < 16_000 && !said.chars().any(char::is_control));
}
