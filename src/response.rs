//! Reads a response within its bounds, and decides what it means.

use std::borrow::Cow;
use std::io::Read;
use std::time::Duration;

use miniserde::json::{self as miniserde_json, Array, Object, Value};
use ureq::Body;
use ureq::http::{HeaderMap, StatusCode, header};

use crate::connection::closed;
use crate::error::{ApiError, Error, ErrorKind, IS_IT_A_SITE, TwoFactor};
use crate::json::{self, FromValue, take, take_nonempty};
use crate::limits::{MAX_BODY_BYTES, MAX_TIMEOUT};

/// A response, read within its bounds.
#[derive(Default)]
pub(crate) struct Response {
    status: StatusCode,
    headers: HeaderMap,
    /// Without a byte order mark (RFC 8259, section 8.1, allows a reader to ignore it).
    body: Vec<u8>,
}

const ERROR_CLASS: &str = "x-files-error-class";
const FILES_HOST: &str = "x-files-host";
const REQUEST_ID: &str = "x-request-id";

/// The start of the plain-text region mismatch that older servers send.
const MISMATCH_TEXT: &[u8] = b"You have connected to a URL";

impl Response {
    /// Reads a response. The body of a success is read only if it is wanted: a logout is done on
    /// any 2xx, and its body is never waited for.
    ///
    /// A refusal whose body breaks off or is too long is still a refusal, with a truncated body.
    pub(crate) fn read(
        response: ureq::http::Response<Body>,
        wants_body: bool,
    ) -> Result<Response, ureq::Error> {
        let (head, body) = response.into_parts();
        let mut response =
            Response { status: head.status, headers: head.headers, body: Vec::new() };
        if head.status.is_redirection() || (head.status.is_success() && !wants_body) {
            return Ok(response);
        }
        // One byte more than the limit shows that the body is too large.
        let limit = MAX_BODY_BYTES + 1;
        let length = body.content_length().map_or(0, |n| usize::try_from(n).unwrap_or(limit));
        response.body.reserve(length.min(limit));
        let is_until_close = body.content_length().is_none()
            && !response.headers.contains_key(header::TRANSFER_ENCODING);
        let result = body.into_reader().take(limit as u64).read_to_end(&mut response.body);
        if response.body.starts_with(b"\xef\xbb\xbf") {
            response.body.drain(..3);
        }
        // Without a length, ureq takes a broken connection for the end of the body. Only an object
        // that has no end shows that.
        let text = response.body.trim_ascii();
        let is_cut = is_until_close && text.starts_with(b"{") && !text.ends_with(b"}");
        match result {
            Err(error) if head.status.is_success() => Err(error.into()),
            Ok(length) if head.status.is_success() && is_cut && length < limit => Err(closed()),
            _ => Ok(response),
        }
    }

    /// What the response means: the one place that decides it.
    pub(crate) fn into_result(self) -> Result<Response, Error> {
        let status = self.status.as_u16();
        Err(match status {
            200..=299 => return Ok(self),
            300..=399 => {
                let target = self.header("location").map(|target| without_secrets(&target));
                Error::redirect(status, target)
            }
            403 if self.body.starts_with(MISMATCH_TEXT) => {
                let (_, mut mismatch) = self.refusal();
                mismatch.message = Some(self.text().into_owned());
                mismatch.host = self.owned(FILES_HOST);
                Error::refused(ErrorKind::RegionMismatch, mismatch)
            }
            _ if self.is_api_refusal() => {
                let (kind, refusal) = self.refusal();
                Error::refused(kind, refusal)
            }
            _ => self.unexpected("is not from the Files.com API"),
        })
    }

    /// Whether a response outside 2xx and 3xx comes from this API, not from another server. It does
    /// if a header names the error's type, if the body starts like a JSON object, if the status is
    /// 429 or 503, which gateways send for the API, or if the body is empty and the status is not
    /// 404 or 405, which any web server sends.
    fn is_api_refusal(&self) -> bool {
        let status = self.status.as_u16();
        let is_from_api = || match self.body.trim_ascii().first() {
            Some(b'{') => true,
            Some(_) => matches!(status, 429 | 503),
            None => !matches!(status, 404 | 405),
        };
        matches!(status, 400..=599) && (self.header(ERROR_CLASS).is_some() || is_from_api())
    }

    /// The refusal, with everything that can be read. Missing and mistyped members are skipped.
    #[cold]
    fn refusal(&self) -> (ErrorKind, ApiError) {
        let text = self.text();
        let mut body = json::parse(&text).and_then(Object::from_value).unwrap_or_default();
        let mut refusal = ApiError::new(self.status.as_u16());
        let mut first = first_error(&mut body);
        refusal.error_type = take_nonempty(&mut body, "type")
            .or_else(|| self.owned(ERROR_CLASS))
            .or_else(|| take_nonempty(&mut first, "type"));
        refusal.title = take_nonempty(&mut body, "title");
        refusal.message = take_message(&mut body)
            .or_else(|| take_message(&mut first))
            .or_else(|| take_nonempty(&mut first, "title"));
        refusal.request_id = take_nonempty(&mut body, "instance")
            .or_else(|| take_nonempty(&mut first, "instance"))
            .or_else(|| self.owned(REQUEST_ID));
        refusal.retry_after = self.retry_after();
        if let Some(data) = take(&mut body, "data").or_else(|| take(&mut first, "data")) {
            add_data(&mut refusal, data);
        }
        let kind = ErrorKind::from_refusal(refusal.error_type.as_deref(), refusal.status);
        match kind {
            ErrorKind::TwoFactorRequired => drop(refusal.two_factor.get_or_insert_default()),
            ErrorKind::RegionMismatch => {
                refusal.host = refusal.host.or_else(|| self.owned(FILES_HOST));
            }
            _ => {}
        }
        (kind, refusal)
    }

    /// The JSON object in the body of a success.
    pub(crate) fn json_object(&self) -> Result<Object, Error> {
        let text = self.text();
        Err(self.unexpected(match json::parse(&text) {
            _ if self.body.len() > MAX_BODY_BYTES => "is larger than 64 KiB",
            _ if text.trim_ascii().is_empty() => "is empty",
            None => "is incomplete or not JSON, or has too many values",
            Some(Value::Object(object)) => return Ok(object),
            Some(_) => "is JSON, but not an object",
        }))
    }

    /// A response that is not valid for the API. `reason` completes the sentence "the response …".
    #[cold]
    pub(crate) fn unexpected(&self, reason: &str) -> Error {
        let reason = match self.body.trim_ascii_start().first() {
            Some(b'<') => (
                "is a web page, not from the Files.com API",
                "give the site's own address, without a path, such as https://mysite.files.com",
            ),
            _ => (reason, IS_IT_A_SITE),
        };
        Error::unexpected(self.status.as_u16(), reason, self.retry_after())
    }

    /// The body, read leniently. `from_utf8` alone is faster.
    fn text(&self) -> Cow<'_, str> {
        let lossy = |_| String::from_utf8_lossy(&self.body);
        std::str::from_utf8(&self.body).map_or_else(lossy, Cow::Borrowed)
    }

    /// The value of a header, unless it is empty.
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = self.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes())).filter(|text| !text.is_empty())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.header(name).map(Cow::into_owned)
    }

    /// `Retry-After` in seconds, up to a year.
    fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?;
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let wait = Duration::from_secs(text.parse().ok().filter(|_| is_number)?);
        Some(wait).filter(|wait| *wait <= MAX_TIMEOUT)
    }
}

/// Takes the message of a refusal: a text, an object with a `message`, or a list that starts with
/// either.
fn take_message(refusal: &mut Object) -> Option<String> {
    let mut error = refusal.remove("error")?;
    if let Value::Array(list) = error {
        error = list.into_iter().next()?;
    }
    match error {
        Value::Object(mut object) => take_nonempty(&mut object, "message"),
        text => String::from_value(text).filter(|text| !text.is_empty()),
    }
}

/// Takes the first of a refusal's `errors`: an object like the refusal itself, or its message.
fn first_error(body: &mut Object) -> Object {
    let mut object = Object::new();
    match take(body, "errors").and_then(|errors: Array| errors.into_iter().next()) {
        Some(Value::Object(first)) => return first,
        Some(message) => drop(object.insert("error".to_owned(), message)),
        None => {}
    }
    object
}

/// Adds `data`, and the host and the second factor in it.
fn add_data(refusal: &mut ApiError, mut data: Object) {
    refusal.data = Some(miniserde_json::to_string(&data));
    refusal.host = take_nonempty(&mut data, "host");
    let methods: Option<Array> = take(&mut data, "two_factor_authentication_methods");
    let two_factor = TwoFactor {
        methods: methods.into_iter().flatten().filter_map(String::from_value).collect(),
        partial_session_id: take_nonempty(&mut data, "partial_session_id"),
        asked_by: None,
    };
    refusal.two_factor = Some(two_factor).filter(|found| *found != TwoFactor::default());
}

/// The target of a redirect, without the parts that may contain a secret.
fn without_secrets(location: &str) -> String {
    let target = location.split(['?', '#']).next().unwrap_or_default();
    // A host follows `//` at the start or after a scheme.
    let start = target.find("//").filter(|start| !target[..*start].contains('/'));
    let (scheme, rest) = target.split_at(start.map_or(0, |start| start + 2));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{host}{path}")
}

#[cfg(test)]
mod tests {
    use ureq::http::{HeaderName, HeaderValue};

    use super::*;

    /// A response with these header lines.
    fn response(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Response {
        let headers = headers.lines().map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        });
        let status = StatusCode::from_u16(status).unwrap();
        Response { status, headers: headers.collect(), body: body.as_ref().to_vec() }
    }

    fn refused(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Error {
        let result = response(status, headers, body).into_result();
        result.and_then(|success| success.json_object()).unwrap_err()
    }

    fn api(status: u16, headers: &str, body: impl AsRef<[u8]>) -> ApiError {
        let error = refused(status, headers, body);
        error.api().unwrap_or_else(|| panic!("no refusal: {error:?}")).clone()
    }

    #[test]
    fn a_refusal_is_read_leniently() {
        let (wrong, locked) = ("Invalid username or password", "not-authenticated/locked-out");
        for (body, error_type, title, message) in [
            (r"{}", None, None, None),
            (r#" { "error" : "Invalid username or password" } "#, None, None, Some(wrong)),
            (r#"{"title":"T","error":null}"#, None, Some("T"), None),
            (r#"{"error":{"message":"m","code":7}}"#, None, None, Some("m")),
            (r#"{"error":[{"message":"m"},{"message":"n"}]}"#, None, None, Some("m")),
            (r#"{"error":["m"]}"#, None, None, Some("m")),
            (r#"{"error":[],"errors":["m"]}"#, None, None, Some("m")),
            (r#"{"errors":[{"error":{"message":"m"}}]}"#, None, None, Some("m")),
            (r#"{"type":1,"title":[],"error":{},"errors":7,"data":"d"}"#, None, None, None),
            (
                r#"{"type":"not-authenticated/locked-out","http-code":401}"#,
                Some(locked),
                None,
                None,
            ),
            (
                r#"{"type":"not-authenticated/locked-out","http-code":"401"}"#,
                Some(locked),
                None,
                None,
            ),
            (
                r#"{"type":"not-authenticated/locked-out","http-code":[{}]}"#,
                Some(locked),
                None,
                None,
            ),
            (r#"{"errors":["Invalid username or password","b"]}"#, None, None, Some(wrong)),
            (r#"{"errors":[{"error":"Invalid username or password"}]}"#, None, None, Some(wrong)),
            (r#"{"errors":[{"title":"Invalid username or password"}]}"#, None, None, Some(wrong)),
            (
                r#"{"errors":[{"type":"not-authenticated/locked-out","error":"m"}],"error":null}"#,
                Some(locked),
                None,
                Some("m"),
            ),
            (r#"{"error":"m","errors":["other"]}"#, None, None, Some("m")),
            (r#"{"error":"","errors":["m"]}"#, None, None, Some("m")),
            (r#"{"errors":[]}"#, None, None, None),
            (r#"{"errors":[[1],2]}"#, None, None, None),
            (
                r#"{"model_errors":{"a":["b"]},"model_error_keys":null,"error":"m"}"#,
                None,
                None,
                Some("m"),
            ),
            (r#"{"error":"caf\u00e9 \"q\" 😀"}"#, None, None, Some("café \"q\" 😀")),
            // Truncated or not JSON: only the status and the headers are known.
            (r#"{"type":"not-authenticated/locked-out","error":"Too ma"#, None, None, None),
            (r#"{"type":"not-authenticated/locked-out","da"#, None, None, None),
            (r"{", None, None, None),
            (r#"{"error":"\ud800","type":"not-authenticated/locked-out"}"#, None, None, None),
        ] {
            let api = api(401, "", body);
            assert_eq!(api.status, 401, "{body}");
            assert_eq!(api.error_type.as_deref(), error_type, "{body}");
            assert_eq!(api.title.as_deref(), title, "{body}");
            assert_eq!(api.message.as_deref(), message, "{body}");
        }
    }

    #[test]
    fn the_data_of_a_refusal_is_kept() {
        let data = r#"{"two_factor_authentication_methods": ["u2f", 1, "new"],
            "partial_session_id" : "x", "u2f_sign_requests":[{"app_id":"a",
            "sign_request":{"version":"c\u0000\u2028"}}],"z":null,"n":-7,"f":1.5,"t":true}"#;
        let api = api(401, "", format!(r#"{{"data":{data} ,"z":0}}"#));
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(api.data.as_deref().unwrap()), value(data));
        let two_factor = api.two_factor.unwrap();
        assert_eq!(two_factor.methods, ["u2f", "new"]);
        assert_eq!(two_factor.partial_session_id.as_deref(), Some("x"));
    }

    #[test]
    fn a_refusal_that_is_not_utf_8_is_read() {
        let api =
            api(401, "", b"{\"error\":\"caf\xe9\",\"type\":\"not-authenticated/locked-out\"}");
        assert_eq!(api.message.as_deref(), Some("caf\u{fffd}"));
        assert_eq!(api.error_type.as_deref(), Some("not-authenticated/locked-out"));
    }

    #[test]
    fn a_response_of_another_server_is_not_a_refusal() {
        let html = "<!doctype html><title>Bad Gateway</title>";
        for (status, body, refusal) in [
            (401, "", true),
            (403, "", true),
            (400, "", true),
            (500, "", true),
            (502, "", true),
            (429, "", true),
            (429, html, true),
            (503, html, true),
            (404, "{}", true),
            (405, r#"{"error":"m"}"#, true),
            (405, "", false),
            (404, "", false),
            (404, html, false),
            (401, html, false),
            (502, html, false),
            (500, "oops", false),
            (500, "[1]", false),
            (500, "null", false),
        ] {
            let error = refused(status, "", body);
            assert_eq!(error.http_status(), Some(status), "{status} {body}");
            assert_eq!(error.api().is_some(), refusal, "{status} {body}");
            let unexpected = error.kind() == ErrorKind::UnexpectedResponse;
            assert_eq!(unexpected, !refusal, "{status} {body}");
        }
    }

    #[test]
    fn the_error_class_header_replaces_a_missing_type() {
        use ErrorKind::*;
        let (wrong, locked) =
            ("not-authenticated/invalid-username-or-password", "not-authenticated/locked-out");
        let with_type = r#"{"type":"not-authenticated/locked-out"}"#;
        let with_errors = r#"{"errors":[{"type":"not-authenticated/locked-out"}]}"#;
        for (status, class, body, kind, error_type) in [
            (401, wrong, "<html>Gateway</html>", InvalidCredentials, wrong),
            (401, wrong, "", InvalidCredentials, wrong),
            (401, wrong, r#"{"type":"not-authenticated/inva"#, InvalidCredentials, wrong),
            (401, wrong, r#"{"error":"m"}"#, InvalidCredentials, wrong),
            (401, wrong, r#"{"type":null}"#, InvalidCredentials, wrong),
            (401, wrong, with_type, LockedOut, locked),
            (401, wrong, with_errors, InvalidCredentials, wrong),
            (404, "not-found/site-not-found", "", NotFound, "not-found/site-not-found"),
            (404, "not-found/site-not-found", "<html>", NotFound, "not-found/site-not-found"),
            (
                405,
                "bad-request/method-not-allowed",
                "",
                BadRequest,
                "bad-request/method-not-allowed",
            ),
            (502, "site-configuration/x", "<html>", SiteConfiguration, "site-configuration/x"),
        ] {
            let header = format!("X-Files-Error-Class: {class}\r\n");
            let error = refused(status, &header, body);
            assert_eq!(error.kind(), kind, "{status} {class} {body}");
            let found = error.api().unwrap().error_type.as_deref();
            assert_eq!(found, Some(error_type), "{status} {class} {body}");
        }
        // An empty header names no type.
        let error = refused(404, "X-Files-Error-Class: \r\n", "<html>");
        assert_eq!(error.kind(), UnexpectedResponse);
    }

    #[test]
    fn the_request_id_falls_back_on_the_header() {
        let header = "X-Request-Id: of-the-header\r\n";
        for (headers, body, id) in [
            (header, r#"{"instance":"of-the-body"}"#, Some("of-the-body")),
            ("", r#"{"instance":"of-the-body"}"#, Some("of-the-body")),
            (header, r#"{"instance":null}"#, Some("of-the-header")),
            (header, r#"{"instance":5}"#, Some("of-the-header")),
            (header, "", Some("of-the-header")),
            (header, r#"{"errors":[{"instance":"of-the-first"}]}"#, Some("of-the-first")),
            ("", "{}", None),
        ] {
            let api = api(401, headers, body);
            assert_eq!(api.request_id.as_deref(), id, "{headers}{body}");
        }
    }

    #[test]
    fn a_second_factor_is_asked_for_by_the_type_or_by_the_data() {
        let data = r#""data":{"two_factor_authentication_methods":["sms"]}"#;
        for (body, methods) in [
            (r#"{"type":"not-authenticated/two-factor-authentication-error"}"#.to_owned(), Some(0)),
            (
                format!(r#"{{"type":"not-authenticated/two-factor-authentication-error",{data}}}"#),
                Some(1),
            ),
            (format!(r#"{{"type":"not-authenticated/additional",{data}}}"#), Some(1)),
            (format!(r#"{{"data":null,"errors":[{{"type":"401-x",{data}}}]}}"#), Some(1)),
            (r#"{"type":"not-authenticated/locked-out","data":{"host":"x"}}"#.to_owned(), None),
            (r#"{"type":"not-authenticated/locked-out"}"#.to_owned(), None),
        ] {
            let two_factor = api(401, "", &body).two_factor;
            assert_eq!(two_factor.map(|two_factor| two_factor.methods.len()), methods, "{body}");
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        for (headers, wait) in [
            ("Retry-After: 3600\r\n", Some(3600)),
            ("Retry-After: 0\r\n", Some(0)),
            ("Retry-After: 31536000\r\n", Some(31_536_000)),
            ("Retry-After: 31536001\r\n", None),
            ("Retry-After: 99999999999999999999\r\n", None),
            ("Retry-After: Sun, 22 Nov 2026 13:00:00 GMT\r\n", None),
            ("Retry-After: soon\r\n", None),
            ("Retry-After: 1.5\r\n", None),
            ("Retry-After: -1\r\n", None),
            ("Retry-After: +1\r\n", None),
            ("", None),
        ] {
            for status in [429, 503, 401] {
                let api = api(status, headers, "{}");
                assert_eq!(api.retry_after, wait.map(Duration::from_secs), "{status} {headers}");
            }
        }
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table stays one")]
    fn a_sentence_contains_what_happened_and_what_to_do() {
        let json = |status, error_type: &str, more: &str| {
            let body = format!(r#"{{"type":"{error_type}","error":"The server's words."{more}}}"#);
            refused(status, "", body)
        };
        for (error, sentence) in [
            (
                json(401, "not-authenticated/invalid-username-or-password", r#","instance":"abc""#),
                "The server's words (not-authenticated/invalid-username-or-password, HTTP 401): \
                 check the user name and the password [request abc]",
            ),
            (
                json(
                    401,
                    "not-authenticated/two-factor-authentication-error",
                    r#","data":{"two_factor_authentication_methods":["totp","sms"],"partial_session_id":"x"}"#,
                ),
                "The server's words (not-authenticated/two-factor-authentication-error, HTTP 401): \
                 a second factor is needed (totp, sms); log in again with its code",
            ),
            (
                json(401, "not-authenticated/one-time-password-incorrect", ""),
                "The server's words (not-authenticated/one-time-password-incorrect, HTTP 401): \
                 the code is wrong or expired; answer again with a new one",
            ),
            (
                json(401, "not-authenticated/locked-out", ""),
                "The server's words (not-authenticated/locked-out, HTTP 401): \
                 the user is locked out; wait or ask the site's administrator",
            ),
            (
                json(
                    401,
                    "not-authenticated/lockout-region-mismatch",
                    r#","data":{"host":"a.example"}"#,
                ),
                "The server's words (not-authenticated/lockout-region-mismatch, HTTP 401): \
                 this user logs in at a.example",
            ),
            (
                json(401, "not-authenticated/lockout-region-mismatch", ""),
                "The server's words (not-authenticated/lockout-region-mismatch, HTTP 401): \
                 this user logs in at another host",
            ),
            (
                json(401, "not-authenticated/invalid-session", ""),
                "The server's words (not-authenticated/invalid-session, HTTP 401): \
                 the session has ended or never existed; log in again",
            ),
            (
                json(402, "site-configuration/account-overdue", ""),
                "The server's words (site-configuration/account-overdue, HTTP 402): \
                 ask the site's administrator",
            ),
            (
                json(403, "not-authorized/password-change-required", ""),
                "The server's words (not-authorized/password-change-required, HTTP 403): \
                 change the password in the browser first",
            ),
            (
                json(429, "rate-limited/too-many-concurrent-logins", ""),
                "The server's words (rate-limited/too-many-concurrent-logins, HTTP 429): \
                 log out other sessions first",
            ),
            (
                json(403, "not-authorized/authentication-required", ""),
                "The server's words (not-authorized/authentication-required, HTTP 403): log in again",
            ),
            (
                json(401, "not-authenticated/new-name", ""),
                "The server's words (not-authenticated/new-name, HTTP 401)",
            ),
            (
                json(404, "not-found/new-name", ""),
                "The server's words (not-found/new-name, HTTP 404)",
            ),
            (
                refused(401, "", "{}"),
                "the site refused and gave no reason (HTTP 401): check the user name and the password, or log in again",
            ),
            (
                refused(404, "", "{}"),
                "the site refused and gave no reason (HTTP 404): is this a Files.com site?",
            ),
            (refused(400, "", r#"{"error":" ... ","title":"Odd"}"#), "Odd (HTTP 400)"),
            (
                refused(400, "", r#"{"error":" ... ","title":"\u3164"}"#),
                "the site refused and gave no reason (HTTP 400)",
            ),
            (
                refused(429, "Retry-After: 90\r\n", r#"{"title":"Slow down"}"#),
                "Slow down (HTTP 429): try again in 90 s",
            ),
            (
                refused(503, "", ""),
                "the site refused and gave no reason (HTTP 503): try again later",
            ),
            (
                refused(405, "", ""),
                "the response (HTTP 405) is not from the Files.com API: is this a Files.com site?",
            ),
            (
                refused(404, "", "<html>"),
                "the response (HTTP 404) is a web page, not from the Files.com API: give the site's own \
                 address, without a path, such as https://mysite.files.com",
            ),
            (
                refused(201, "", " <!DOCTYPE html>"),
                "the response (HTTP 201) is a web page, not from the Files.com API: give the site's own \
                 address, without a path, such as https://mysite.files.com",
            ),
            (
                refused(301, "Location: https://user:pw@other.example/a?token=secret#b\r\n", ""),
                "the site redirects to https://other.example/a (HTTP 301), and redirects are not \
                 followed: if that is the right site, use its scheme and host",
            ),
            (
                refused(302, "", ""),
                "the response (HTTP 302) is a redirect without a target: is this a Files.com site?",
            ),
        ] {
            assert_eq!(error.to_string(), sentence);
        }
    }

    #[test]
    fn control_characters_of_a_server_are_escaped_in_the_sentence() {
        let evil = r"\u001b]0;owned\u0007\r\nfake: line\u009b31m\u202e\u00ad\u3164\udb40\udc41";
        let body = format!(
            r#"{{"type":"{evil}","title":"{evil}","error":"{evil}{}","instance":"{evil}"}}"#,
            "x".repeat(9999)
        );
        let error = refused(401, "", body);
        let sentence = error.to_string();
        assert!(
            !sentence
                .chars()
                .any(|c| c.is_control() || "\u{202e}\u{ad}\u{3164}\u{e0041}".contains(c)),
            "{sentence}"
        );
        assert!(sentence.contains(r"\u{1b}]0;owned\u{7}") && sentence.len() < 1500, "{sentence}");
        // The facts are unchanged.
        let title = error.api().unwrap().title.as_deref().unwrap();
        assert!(title.starts_with("\u{1b}]0;owned\u{7}\r\n"));

        let location = format!("Location: https://evil.example/\u{9b}{}\r\n", "x".repeat(9999));
        let sentence = refused(302, &location, "").to_string();
        assert!(!sentence.chars().any(char::is_control) && sentence.len() < 1000, "{sentence}");
    }

    #[test]
    fn debug_prints_the_sentence_and_alternate_debug_the_details() {
        let body = r#"{"type":"not-authenticated/locked-out","error":"Locked","instance":"abc"}"#;
        let error = refused(401, "", body);
        assert_eq!(format!("{error:?}"), error.to_string());
        let details = format!("{error:#?}");
        for detail in ["kind: LockedOut", "status: 401", "not-authenticated/locked-out", "\"abc\""]
        {
            assert!(details.contains(detail), "{detail}: {details}");
        }
    }

    #[test]
    fn an_invalid_body_is_an_error_that_names_the_reason() {
        let of_length = |n: usize| format!(r#"{{"id":"x","a":"{}"}}"#, "y".repeat(n - 17));
        let (longest, long) = (of_length(65_536), of_length(65_537));
        let deep = format!(r#"{{"id":"x","a":{}"#, "[".repeat(60_000));
        let complete = format!(r#"{{"id":"x","a":{}{}}}"#, "[".repeat(9_000), "]".repeat(9_000));
        for (body, reason) in [
            ("", "is empty"),
            (" \r\n\t", "is empty"),
            (r#"{"id":"x""#, "is incomplete or not JSON"),
            (r#"{"id":"x"}}"#, "is incomplete or not JSON"),
            (r#"{"id":"x"} x"#, "is incomplete or not JSON"),
            (r"{'id':'x'}", "is incomplete or not JSON"),
            (r#"{"id":"x",}"#, "is incomplete or not JSON"),
            ("{\"id\":\"a\nb\"}", "is incomplete or not JSON"),
            (r#"{"id":"\ud800"}"#, "is incomplete or not JSON"),
            (r#"{"id":"x","language":"\udc00\ud800"}"#, "is incomplete or not JSON"),
            (r#"{"id":"x","site_id":01}"#, "is incomplete or not JSON"),
            (r#"[{"id":"x"}]"#, "is JSON, but not an object"),
            (r#""x""#, "is JSON, but not an object"),
            ("1", "is JSON, but not an object"),
            ("null", "is JSON, but not an object"),
            ("true", "is JSON, but not an object"),
            ("undefined", "is incomplete or not JSON"),
            ("<html>", "is a web page, not from the Files.com API"),
            (&long, "is larger than 64 KiB"),
            (&deep, "is incomplete or not JSON"),
            (&complete, "is incomplete or not JSON"),
            (&"[".repeat(65_536), "is incomplete or not JSON"),
            (&"[".repeat(65_537), "is larger than 64 KiB"),
        ] {
            let error = response(201, "", body).json_object().unwrap_err();
            let body: String = body.chars().take(60).collect();
            assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{body}: {error}");
            assert!(error.to_string().contains(reason), "{body}: {error}");
        }
        assert!(response(201, "", &longest).json_object().is_ok());
    }

    #[test]
    fn a_plain_text_mismatch_has_all_facts() {
        let text = "You have connected to a URL that is not the one of this site.";
        let class = "not-authenticated/lockout-region-mismatch";
        let headers =
            format!("X-Files-Error-Class: {class}\r\nX-Request-Id: r\r\nX-Files-Host: h\r\n");
        let api = api(403, &headers, text);
        assert_eq!((api.status, api.error_type.as_deref()), (403, Some(class)));
        assert_eq!(api.message.as_deref(), Some(text));
        assert_eq!((api.request_id.as_deref(), api.host.as_deref()), (Some("r"), Some("h")));
    }
}
