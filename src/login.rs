//! Who logs in.

use std::fmt;

use crate::error::TwoFactor;
use crate::text::hidden;

/// Who logs in: a user name and a password, and perhaps a second factor.
///
/// It borrows its strings; no copy of a password is kept. Any character in them arrives unchanged.
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
    /// The origin of the site that asked for the second factor.
    asked_by: Option<&'a str>,
}

impl<'a> Login<'a> {
    /// A login with a user name and a password.
    #[must_use]
    pub fn new(username: &'a str, password: &'a str) -> Self {
        Login { password: Some(password), ..Login::without_password(username) }
    }

    /// Without a password, as the second request of some two-factor logins is.
    pub(crate) fn without_password(username: &'a str) -> Self {
        Login { username, password: None, otp: None, partial_session_id: None, asked_by: None }
    }

    /// Whether there is what proves who the user is.
    #[cfg(feature = "capi")]
    pub(crate) fn is_complete(&self) -> bool {
        self.password.is_some() || self.partial_session_id.is_some()
    }

    /// Adds the code of a second factor that is known beforehand: of an authenticator app, or of
    /// a Yubikey. Default: none.
    #[must_use]
    pub fn otp(mut self, code: &'a str) -> Self {
        self.otp = Some(code);
        self
    }

    /// Adds the id of a login that was begun before. Default: none. [`answer`](Login::answer) sets
    /// it where it is needed.
    #[must_use]
    pub fn partial_session_id(mut self, id: &'a str) -> Self {
        self.partial_session_id = Some(id);
        self
    }

    /// Turns this login into the second request of a two-factor login: `two_factor` is what the
    /// refusal asked for ([`Error::two_factor`](crate::Error::two_factor)), `code` the answer. It
    /// goes to the host that asked, also where that is another region's.
    ///
    /// Where `yubi` is offered, and the code looks like a Yubikey's (32 to 48 letters of
    /// `cbdefghijklnrtuv`) or nothing else is offered, the partial session id goes in place of the
    /// password, as in the vendor's own client. Any other code goes along with user name and
    /// password, also one of a method that is not known today.
    #[must_use]
    pub fn answer(self, two_factor: &'a TwoFactor, code: &'a str) -> Self {
        let yubi = two_factor.methods.iter().any(|method| method == "yubi")
            && (is_yubikey_code(code) || two_factor.methods.iter().all(|method| method == "yubi"));
        let asked_by = two_factor.asked_by.as_deref();
        match two_factor.partial_session_id.as_deref().filter(|_| yubi) {
            Some(id) => Login { password: None, partial_session_id: Some(id), asked_by, ..self },
            None => Login { partial_session_id: None, asked_by, ..self },
        }
        .otp(code)
    }

    pub(crate) fn asked_by(&self) -> Option<&'a str> {
        self.asked_by
    }

    /// The JSON text of the request: the members that were given.
    ///
    /// It is written here and not by miniserde, whose text grows as it is written: each time it
    /// moves, it leaves a copy of the password behind in freed memory.
    pub(crate) fn to_json(self) -> Vec<u8> {
        let members = [
            ("username", Some(self.username)),
            ("password", self.password),
            ("otp", self.otp),
            ("partial_session_id", self.partial_session_id),
        ];
        let given = || members.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        // A byte becomes six at most; quotes, colon and comma come on top.
        let longest: usize = given().map(|(name, value)| name.len() + 6 * value.len() + 6).sum();
        let mut json = Vec::with_capacity(longest + 2);
        json.push(b'{');
        for (i, (name, value)) in given().enumerate() {
            json.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
            json.extend_from_slice(name.as_bytes());
            json.extend_from_slice(b"\":\"");
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
        json
    }
}

/// Whether this looks like what a Yubikey types: 44 letters of its alphabet, or, by its
/// configuration, 32 to 48.
fn is_yubikey_code(code: &str) -> bool {
    (32..=48).contains(&code.len()) && code.bytes().all(|byte| b"cbdefghijklnrtuv".contains(&byte))
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .field("password", &hidden(self.password))
            .field("otp", &hidden(self.otp))
            .field("partial_session_id", &hidden(self.partial_session_id))
            .field("asked_by", &self.asked_by)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn body(login: Login) -> String {
        String::from_utf8(login.to_json()).unwrap()
    }

    #[test]
    fn only_the_members_that_were_given_are_sent() {
        let login = Login::new("u", "p");
        assert_eq!(body(login), r#"{"username":"u","password":"p"}"#);
        assert_eq!(body(login.otp("")), r#"{"username":"u","password":"p","otp":""}"#);
        assert_eq!(
            body(login.otp("1").partial_session_id("x")),
            r#"{"username":"u","password":"p","otp":"1","partial_session_id":"x"}"#
        );
    }

    #[test]
    fn no_copy_of_the_password_is_left_behind_as_the_request_is_written() {
        let worst = "\0".repeat(1000);
        let login = Login::new(&worst, &worst).otp(&worst).partial_session_id(&worst);
        let json = login.to_json();
        let written = r#"{"username":"","password":"","otp":"","partial_session_id":""}"#.len();
        assert_eq!(json.len(), written + 4 * 6 * 1000);
        // It did not grow: what was reserved is what is there, to a few bytes.
        assert!((json.len()..json.len() + 8).contains(&json.capacity()), "{}", json.capacity());
    }

    #[test]
    fn the_second_request_is_by_the_method_and_the_code() {
        let yubikey = "cccccbdefghijklnrtuvcccccbdefghijklnrtuvcccc";
        for (methods, partial_session_id, code, by_partial_session_id) in [
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
        ] {
            let two_factor = TwoFactor {
                methods: methods.iter().map(ToString::to_string).collect(),
                partial_session_id: partial_session_id.map(ToOwned::to_owned),
                asked_by: None,
            };
            // One that was set before does not survive.
            let login = Login::new("u", "p").partial_session_id("old").answer(&two_factor, code);
            let sent = if by_partial_session_id {
                format!(r#"{{"username":"u","otp":"{code}","partial_session_id":"x"}}"#)
            } else {
                format!(r#"{{"username":"u","password":"p","otp":"{code}"}}"#)
            };
            assert_eq!(body(login), sent, "{methods:?} {code}");
        }
    }
}
