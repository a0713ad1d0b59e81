//! Arguments and settings that can't be used.

use std::borrow::Cow;

/// Why an argument or a setting can't be used: the whole sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidInput(pub(crate) Cow<'static, str>);

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
