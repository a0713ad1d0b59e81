//! The entry points of `tests/fuzz`: readers of untrusted input, and what must hold for them.

use crate::base_url::BaseUrl;
use crate::error::{Error, ErrorKind};
use crate::response::{Response, Success};
use crate::session::Session;
use crate::site::Site;

/// A response to a login never panics, and is a session only if it has a valid id.
pub fn session(body: &[u8]) {
    match Session::from_response(Success::created(body), Site::new("http://localhost")) {
        Ok(session) => {
            assert!(Session::resume(&Site::new("http://localhost"), &session.id).is_ok());
        }
        Err(error) => check(&error),
    }
}

/// A status that is not a success is an error, with any body.
pub fn refusal(body: &[u8]) {
    for status in [101, 302, 401, 404, 503] {
        let error = Response::from_parts(status, body).into_success().err();
        let error = error.expect("a status that is not a success");
        assert!(error.api().is_some() || error.kind() == ErrorKind::UnexpectedResponse);
        check(&error);
    }
}

/// An address is rejected, or becomes the API's address at an origin.
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

/// Settings are valid, or an `InvalidInput` that doesn't contain them unescaped.
pub fn settings(text: &str) {
    let site = || Site::new("https://localhost");
    for site in [site().ca_pem(text), site().proxy(text), site().language(text)] {
        if let Err(error) = Session::resume(&site, "id") {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            check(&error);
        }
    }
}

/// The sentence of an error is suitable for a terminal.
fn check(error: &Error) {
    let (sentence, _) = (error.to_string(), format!("{error:#?}"));
    assert!(!sentence.is_empty() && sentence.len() < 16_000);
    assert!(!sentence.chars().any(char::is_control));
}
