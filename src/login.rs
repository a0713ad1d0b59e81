//! Who logs in.

use std::borrow::Cow;
use std::{array, fmt};

use miniserde::json;
use miniserde::ser::{Fragment, Map, Serialize};

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
}

impl<'a> Login<'a> {
    /// A login with a user name and a password.
    #[must_use]
    pub fn new(username: &'a str, password: &'a str) -> Self {
        Login { username, password: Some(password), otp: None, partial_session_id: None }
    }

    /// Without a password, as the second request of some two-factor logins is.
    #[cfg(feature = "capi")]
    pub(crate) fn without_password(username: &'a str) -> Self {
        Login { username, password: None, otp: None, partial_session_id: None }
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
    /// refusal asked for ([`Error::two_factor`](crate::Error::two_factor)), `code` the answer.
    ///
    /// Where `yubi` is offered, the code is taken for that of a Yubikey, and the partial session
    /// id goes in place of the password, as in the vendor's own client. Any other code, also of a
    /// method that is not known today, goes along with user name and password.
    #[must_use]
    pub fn answer(self, two_factor: &'a TwoFactor, code: &'a str) -> Self {
        let yubi = two_factor.methods.iter().any(|method| method == "yubi");
        match two_factor.partial_session_id.as_deref().filter(|_| yubi) {
            Some(id) => Login { password: None, partial_session_id: Some(id), ..self },
            None => Login { partial_session_id: None, ..self },
        }
        .otp(code)
    }

    /// The members of the request, those that were given.
    fn members(&self) -> [(&'static str, Option<&'a str>); 4] {
        [
            ("username", Some(self.username)),
            ("password", self.password),
            ("otp", self.otp),
            ("partial_session_id", self.partial_session_id),
        ]
    }
}

/// The JSON text of a login. Not the login's own `Serialize`, which callers could use by mistake.
pub(crate) fn body(login: &Login) -> String {
    json::to_string(&Body(login))
}

struct Body<'a>(&'a Login<'a>);

impl Serialize for Body<'_> {
    fn begin(&self) -> Fragment<'_> {
        Fragment::Map(Box::new(Members { left: self.0.members().into_iter(), value: "" }))
    }
}

/// Hands the members to miniserde, one by one.
struct Members<'a> {
    left: array::IntoIter<(&'static str, Option<&'a str>), 4>,
    value: &'a str,
}

impl Map for Members<'_> {
    fn next(&mut self) -> Option<(Cow<'_, str>, &dyn Serialize)> {
        let (name, value) = self.left.find_map(|(name, value)| Some((name, value?)))?;
        self.value = value;
        Some((Cow::Borrowed(name), &self.value))
    }
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .field("password", &hidden(self.password))
            .field("otp", &hidden(self.otp))
            .field("partial_session_id", &hidden(self.partial_session_id))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_members_that_were_given_are_sent() {
        let login = Login::new("u", "p");
        assert_eq!(body(&login), r#"{"username":"u","password":"p"}"#);
        assert_eq!(
            body(&login.otp("1").partial_session_id("x")),
            r#"{"username":"u","password":"p","otp":"1","partial_session_id":"x"}"#
        );
    }

    #[test]
    fn the_second_request_is_by_the_method_offered() {
        let yubi = r#"{"username":"u","otp":"1","partial_session_id":"x"}"#;
        let code = r#"{"username":"u","password":"p","otp":"1"}"#;
        for (methods, partial_session_id, sent) in [
            (&["yubi"][..], Some("x"), yubi),
            (&["totp", "yubi", "sms"], Some("x"), yubi),
            (&["yubi"], None, code),
            (&["totp"], Some("x"), code),
            (&["sms"], None, code),
            (&["telepathy"], Some("x"), code),
            (&[], Some("x"), code),
        ] {
            let two_factor = TwoFactor {
                methods: methods.iter().map(ToString::to_string).collect(),
                partial_session_id: partial_session_id.map(ToOwned::to_owned),
            };
            let login = Login::new("u", "p").answer(&two_factor, "1");
            assert_eq!(body(&login), sent, "{methods:?}");
        }
    }
}
