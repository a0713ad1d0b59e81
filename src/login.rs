//! Who logs in.

use std::fmt;

use miniserde::json::Object;

use crate::error::{InvalidInput, TwoFactor};
use crate::json::{self, FromValue};
use crate::limits::MAX_LOGIN_BYTES;
use crate::text::redacted;

/// Who logs in: a user name and a password, and perhaps a second factor.
///
/// It borrows its strings and keeps no copy of the password. User name and password are sent
/// unchanged. White space around a code is removed, because prompts leave a newline.
///
/// ```
/// use files_session::Login;
///
/// let login = Login::new("username", "password").otp("123456");
/// ```
#[derive(Clone, Copy)]
pub struct Login<'a> {
    username: &'a str,
    password: Option<&'a str>,
    otp: Option<&'a str>,
    partial_session_id: Option<&'a str>,
    /// Whether the partial session id takes the place of the password.
    is_from_device: bool,
    /// The origin of the site that asked for the second factor.
    challenge_origin: Option<&'a str>,
}

impl<'a> Login<'a> {
    /// A login with a user name and a password.
    #[must_use]
    pub fn new(username: &'a str, password: &'a str) -> Self {
        Login { password: Some(password), ..Login::without_password(username) }
    }

    /// A login without a password, as in the second request of some two-factor logins.
    pub(crate) fn without_password(username: &'a str) -> Self {
        Login {
            username,
            password: None,
            otp: None,
            partial_session_id: None,
            is_from_device: false,
            challenge_origin: None,
        }
    }

    /// Whether the login has a password, or a partial session id in its place.
    #[cfg(feature = "capi")]
    pub(crate) fn has_credentials(&self) -> bool {
        self.password.is_some() || self.partial_session_id.is_some()
    }

    /// Adds the code of a second factor that is known in advance, from an authenticator app or a
    /// Yubikey. Default: none.
    #[must_use]
    pub fn otp(mut self, code: &'a str) -> Self {
        self.otp = Some(code.trim());
        self
    }

    /// Adds the id of a login that waits for its second factor. Default: none.
    /// [`answer`](Login::answer) sets it if needed.
    #[must_use]
    pub fn partial_session_id(mut self, id: &'a str) -> Self {
        self.partial_session_id = Some(id);
        self
    }

    /// Turns this login into the second request of a two-factor login. `two_factor` comes from the
    /// refusal ([`Error::two_factor`](crate::Error::two_factor)), `code` from the user. The request
    /// is sent to the host that asked, even if that host is in another region.
    ///
    /// The partial session id takes the place of the password if the code comes from a device: a
    /// Yubikey code if `yubi` is offered (32 to 48 letters of `cbdefghijklnrtuv`, or any code if
    /// nothing else is offered), or the JSON object that a device returned if `u2f` or `webauthn`
    /// is offered. Any other code is sent with user name and password.
    #[must_use]
    pub fn answer(self, two_factor: &'a TwoFactor, code: &'a str) -> Self {
        let code = code.trim();
        let offers = |name: &str| two_factor.methods.iter().any(|method| method == name);
        let only_yubi = || two_factor.methods.iter().all(|method| method == "yubi");
        let from_yubikey = offers("yubi") && (is_yubikey_code(code) || only_yubi());
        let from_browser_key = (offers("u2f") || offers("webauthn")) && is_json_object(code);
        let id = two_factor.partial_session_id.as_deref();
        let id = id.filter(|_| from_yubikey || from_browser_key);
        Login {
            partial_session_id: id,
            is_from_device: id.is_some(),
            challenge_origin: two_factor.challenge_origin.as_deref(),
            ..self
        }
        .otp(code)
    }

    pub(crate) fn challenge_origin(&self) -> Option<&'a str> {
        self.challenge_origin
    }

    /// The JSON text of the request, with the members that are set.
    ///
    /// It is not written by miniserde, whose buffer grows as it is written: each reallocation would
    /// leave a copy of the password in freed memory.
    pub(crate) fn to_json(self) -> Result<Vec<u8>, InvalidInput> {
        let members = [
            ("username", Some(self.username)),
            ("password", self.password.filter(|_| !self.is_from_device)),
            ("otp", self.otp),
            ("partial_session_id", self.partial_session_id),
        ];
        let set = || members.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        // For each member its name and value, four quotes, a colon, and `{` or `,`. Then one `}`.
        let length: usize =
            1 + set().map(|(name, value)| name.len() + escaped_len(value) + 6).sum::<usize>();
        if length > MAX_LOGIN_BYTES {
            return Err(InvalidInput::new(
                "the login is larger than 64 KiB: shorten the user name, password or code",
            ));
        }
        let mut json = Vec::with_capacity(length);
        for (name, value) in set() {
            json.push(if json.is_empty() { b'{' } else { b',' });
            json.extend_from_slice(format!("\"{name}\":\"").as_bytes());
            for byte in value.bytes() {
                match byte {
                    b'"' | b'\\' => json.extend_from_slice(&[b'\\', byte]),
                    0..0x20 => {
                        let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit)];
                        json.extend_from_slice(b"\\u00");
                        json.extend_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
                    }
                    _ => json.push(byte),
                }
            }
            json.push(b'"');
        }
        json.push(b'}');
        Ok(json)
    }
}

/// The length of a string in JSON, without its quotes.
fn escaped_len(value: &str) -> usize {
    let len = |byte| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    value.bytes().map(len).sum()
}

/// Whether this looks like the output of a Yubikey: 44 letters of its alphabet, or 32 to 48,
/// depending on its configuration.
fn is_yubikey_code(code: &str) -> bool {
    (32..=48).contains(&code.len()) && code.bytes().all(|byte| b"cbdefghijklnrtuv".contains(&byte))
}

/// Whether this is what a U2F or `WebAuthn` device returned.
fn is_json_object(code: &str) -> bool {
    json::parse(code).and_then(Object::from_value).is_some()
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .field("password", &redacted(self.password))
            .field("otp", &redacted(self.otp))
            .field("partial_session_id", &redacted(self.partial_session_id))
            .field("challenge_origin", &self.challenge_origin)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn body(login: Login) -> String {
        String::from_utf8(login.to_json().unwrap()).unwrap()
    }

    #[test]
    fn only_members_that_are_set_are_sent() {
        let login = Login::new("u", "p");
        assert_eq!(body(login), r#"{"username":"u","password":"p"}"#);
        assert_eq!(body(login.otp("")), r#"{"username":"u","password":"p","otp":""}"#);
        assert_eq!(body(login.otp(" 1 2\n")), r#"{"username":"u","password":"p","otp":"1 2"}"#);
        let spaces = Login::new(" u ", "p\n");
        assert_eq!(body(spaces), r#"{"username":" u ","password":"p\u000a"}"#);
        assert_eq!(
            body(login.otp("1").partial_session_id("x")),
            r#"{"username":"u","password":"p","otp":"1","partial_session_id":"x"}"#
        );
    }

    #[test]
    fn no_copy_of_the_password_is_left_behind_while_the_request_is_written() {
        let worst = "\0\"é".repeat(1000);
        let login = Login::new(&worst, &worst).otp(&worst).partial_session_id(&worst);
        let json = login.to_json().unwrap();
        let frame = r#"{"username":"","password":"","otp":"","partial_session_id":""}"#.len();
        assert_eq!(json.len(), frame + 4 * (6 + 2 + 2) * 1000);
        assert_eq!(json.len(), json.capacity());
    }

    #[test]
    fn the_second_request_depends_on_methods_and_code() {
        let yubikey = "cccccbdefghijklnrtuvcccccbdefghijklnrtuvcccc";
        for (methods, partial_session_id, code, without_password) in [
            (&["yubi"][..], Some("x"), yubikey, true),
            (&["yubi"], Some("x"), "123456", true),
            (&["yubi", "yubi"], Some("x"), "123456", true),
            (&["yubi"], None, yubikey, false),
            (&["totp", "yubi", "sms"], Some("x"), yubikey, true),
            (&["totp", "yubi", "sms"], Some("x"), "123456", false),
            (&["totp", "yubi"], Some("x"), &yubikey[..31], false),
            (&["totp", "yubi"], Some("x"), &yubikey[..32], true),
            (&["totp", "yubi"], Some("x"), &(yubikey.to_owned() + "cccc"), true),
            (&["totp", "yubi"], Some("x"), &(yubikey.to_owned() + "ccccc"), false),
            (&["totp", "yubi"], Some("x"), &yubikey.replace('v', "a"), false),
            (&["totp", "yubi"], Some("x"), &yubikey.to_uppercase(), false),
            (&["totp"], Some("x"), yubikey, false),
            (&["totp"], Some("x"), "123456", false),
            (&["sms"], None, "123456", false),
            (&["telepathy"], Some("x"), "123456", false),
            (&[], Some("x"), "123456", false),
            (&["u2f"], Some("x"), r#"{"signatureData":"s"}"#, true),
            (&["totp", "webauthn"], Some("x"), r#"{"id":{"a":[1]}}"#, true),
            (&["webauthn"], None, r#"{"id":"a"}"#, false),
            (&["webauthn"], Some("x"), "123456", false),
            (&["webauthn"], Some("x"), r#"["id"]"#, false),
            (&["webauthn"], Some("x"), r#"{"id"}"#, false),
            (&["totp", "yubi"], Some("x"), r#"{"id":"a"}"#, false),
        ] {
            let two_factor = TwoFactor {
                methods: methods.iter().map(ToString::to_string).collect(),
                partial_session_id: partial_session_id.map(ToOwned::to_owned),
                challenge_origin: None,
            };
            // A partial session id that was set before is removed; so is white space.
            let typed = format!(" {code}\r\n");
            let login = Login::new("u", "p").partial_session_id("old").answer(&two_factor, &typed);
            // So is another answer.
            assert_eq!(
                body(login.answer(&two_factor, yubikey).answer(&two_factor, &typed)),
                body(login)
            );
            let code = code.replace('"', "\\\"");
            let sent = if without_password {
                format!(r#"{{"username":"u","otp":"{code}","partial_session_id":"x"}}"#)
            } else {
                format!(r#"{{"username":"u","password":"p","otp":"{code}"}}"#)
            };
            assert_eq!(body(login), sent, "{methods:?} {code}");
        }
    }
}
