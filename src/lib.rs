#![doc = include_str!("../README.md")]

mod answer;
#[cfg(feature = "capi")]
mod capi;
mod connect;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod json;
mod login;
mod retry_after;
mod send;
mod session;
mod site;
mod tcp;
mod text;
#[cfg(feature = "_tls")]
mod tls;

pub use error::{ApiError, Error, ErrorKind, TwoFactor};
pub use login::Login;
pub use session::Session;
pub use site::{Site, agent_config};
pub use ureq;
