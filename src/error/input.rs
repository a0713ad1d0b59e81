//! Arguments and settings that can't be used.

use std::borrow::Cow;
use std::fmt;

/// Why an argument or a setting can't be used: the whole sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidInput(Cow<'static, str>);

impl InvalidInput {
    pub(crate) const fn new(message: &'static str) -> InvalidInput {
        InvalidInput(Cow::Borrowed(message))
    }
}

impl From<String> for InvalidInput {
    fn from(message: String) -> Self {
        InvalidInput(message.into())
    }
}

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
