//! Who logs in.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use miniserde::json::Object;

use crate::base_url::BaseUrl;
use crate::error::TwoFactor;
use crate::input::InvalidInput;
use crate::json::{self, FromValue};
use crate::limits::MAX_LOGIN_BYTES;
use crate::text::redacted;

/// Who logs in: a user name and a password, and perhaps a second factor.
///
/// It borrows its strings and keeps no copy of the password. User name and password are sent
/// unchanged. White space around and inside a code is removed, because prompts leave a newline, and
/// apps show `817 293`. The JSON object of a device is only trimmed.
///
/// ```
/// use files_session::Login;
///
/// let login = Login::new("username", "password").otp("123456");
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct Login<'a> {
    username: &'a str,
    password: Option<&'a str>,
    otp: Option<&'a str>,
    partial_session_id: Option<&'a str>,
    /// Whether the partial session id takes the place of the password.
    is_from_device: bool,
    /// The address that asked for the second factor. The answer is sent there.
    pub(crate) asked_by: Option<&'a Arc<BaseUrl>>,
}

impl<'a> Login<'a> {
    /// A login with a user name and a password.
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
            asked_by: None,
        }
    }

    /// Whether the login has a password, or a partial session id in its place.
    #[cfg(feature = "capi")]
    pub(crate) fn has_credentials(&self) -> bool {
        self.password.is_some() || self.partial_session_id.is_some()
    }

    /// Adds a second-factor code that is known in advance, from an authenticator app or a Yubikey.
    /// Default: none.
    pub fn otp(mut self, code: &'a str) -> Self {
        self.otp = Some(code.trim());
        self
    }

    /// Adds the id of a login that waits for its second factor. Default: none.
    /// [`answer`](Login::answer) sets or clears it.
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
    ///
    /// The same challenge can be answered again after a wrong code:
    ///
    /// ```
    /// # use files_session::{Error, ErrorKind, Login, Session, Site, TwoFactor};
    /// fn answer(
    ///     site: &Site,
    ///     login: Login,
    ///     two_factor: &TwoFactor,
    ///     ask: impl Fn() -> String,
    /// ) -> Result<Session, Error> {
    ///     loop {
    ///         match Session::login(site, &login.answer(two_factor, &ask())) {
    ///             Err(error) if error.kind() == ErrorKind::OtpIncorrect => eprintln!("{error}"),
    ///             result => return result,
    ///         }
    ///     }
    /// }
    /// ```
    pub fn answer(self, two_factor: &'a TwoFactor, code: &'a str) -> Self {
        let offers = |name: &str| two_factor.methods.iter().any(|method| method == name);
        let only_yubi = || two_factor.methods.iter().all(|method| method == "yubi");
        let from_yubikey = offers("yubi") && (is_yubikey_code(code) || only_yubi());
        let from_browser_key = (offers("u2f") || offers("webauthn")) && is_json_object(code);
        let id = two_factor.partial_session_id.as_deref();
        let id = id.filter(|_| from_yubikey || from_browser_key);
        Login {
            partial_session_id: id,
            is_from_device: id.is_some(),
            asked_by: two_factor.asked_by.as_ref(),
            ..self
        }
        .otp(code)
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
        let is_typed = self.otp.is_some_and(|code| !is_json_object(code));
        let set = || {
            members.iter().filter_map(|(name, value)| {
                let is_code = is_typed && *name == "otp";
                let is_left_out = move |c: char| is_code && c.is_whitespace();
                Some((name, (*value)?.split(is_left_out).flat_map(str::bytes)))
            })
        };
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
            json.extend_from_slice(if json.is_empty() { b"{\"" } else { b",\"" });
            json.extend_from_slice(name.as_bytes());
            json.extend_from_slice(b"\":\"");
            for byte in value {
                match byte {
                    b'"' | b'\\' => json.extend_from_slice(&[b'\\', byte]),
                    // Writing to a vector can't fail.
                    0..0x20 => drop(write!(json, "\\u{byte:04x}")),
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
fn escaped_len(value: impl Iterator<Item = u8>) -> usize {
    let len = |byte| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    value.map(len).sum()
}

/// Whether this looks like the output of a Yubikey: 44 letters of its alphabet, or 32 to 48,
/// depending on its configuration.
fn is_yubikey_code(code: &str) -> bool {
    let mut letters = code.split_whitespace().flat_map(str::bytes);
    (32..=48).contains(&letters.clone().count())
        && letters.all(|letter| b"cbdefghijklnrtuv".contains(&letter))
}

/// Whether this is a JSON object, which U2F and `WebAuthn` devices return.
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
            .finish_non_exhaustive()
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
        assert_eq!(
            body(login.otp(" 1 2\u{a0}3\n")),
            r#"{"username":"u","password":"p","otp":"123"}"#
        );
        let object = login.otp("{\"a\": 1}\n");
        assert_eq!(body(object), r#"{"username":"u","password":"p","otp":"{\"a\": 1}"}"#);
        let spaces = Login::new(" u ", "p\n");
        assert_eq!(body(spaces), r#"{"username":" u ","password":"p\u000a"}"#);
        assert_eq!(
            body(login.otp("1").partial_session_id("x")),
            r#"{"username":"u","password":"p","otp":"1","partial_session_id":"x"}"#
        );
    }

    #[test]
    fn any_character_is_sent_unchanged() {
        let every = (0..0x300_u32).chain([0x2028, 0xFEFF, 0xFFFF, 0x1F600, 0x10_FFFF]);
        let every: String = every.filter_map(char::from_u32).collect();
        for secret in ["", "\"", "\\", "\\u0000", "a\0b", " \r\n", "p@ss wörd 🔑", &every] {
            let login = Login::new(secret, secret).otp(secret).partial_session_id(secret);
            let body: serde_json::Value = serde_json::from_str(&body(login)).unwrap();
            for name in ["username", "password", "partial_session_id"] {
                assert_eq!(body[name], secret, "{name}");
            }
            let code: String = secret.split_whitespace().collect();
            assert_eq!(body["otp"], code);
        }
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
            (&["totp", "yubi"], Some("x"), &yubikey.replace("bd", "b d"), true),
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
                asked_by: None,
            };
            // A partial session id that was set before is removed; so is white space.
            let typed = format!(" {code}\r\n");
            let login = Login::new("u", "p").partial_session_id("old").answer(&two_factor, &typed);
            // So is another answer.
            assert_eq!(
                body(login.answer(&two_factor, yubikey).answer(&two_factor, &typed)),
                body(login)
            );
            let code = code.replace(' ', "").replace('"', "\\\"");
            let sent = if without_password {
                format!(r#"{{"username":"u","otp":"{code}","partial_session_id":"x"}}"#)
            } else {
                format!(r#"{{"username":"u","password":"p","otp":"{code}"}}"#)
            };
            assert_eq!(body(login), sent, "{methods:?} {code}");
        }
    }
}
