//! Who reads an error's sentence: settings have other names in C.

/// The language of the caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Rust,
    #[cfg(feature = "capi")]
    C,
}

impl Caller {
    /// A setting's name: in Rust, or in C.
    pub(crate) fn name(self, rust: &'static str, c: &'static str) -> &'static str {
        match self {
            Caller::Rust => {
                let _ = c;
                rust
            }
            #[cfg(feature = "capi")]
            Caller::C => c,
        }
    }
}
