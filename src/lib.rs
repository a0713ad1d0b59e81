#![doc = include_str!("../README.md")]

mod base_url;
#[cfg(feature = "capi")]
mod capi;
mod connect;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod json;
mod limits;
mod login;
mod proxy;
mod request;
mod response;
mod retry;
mod retry_after;
mod session;
mod site;
mod text;
#[cfg(feature = "_tls")]
mod tls;

pub use error::{ApiError, Error, ErrorKind, TwoFactor};
pub use login::Login;
pub use session::Session;
pub use site::{Site, agent_config};
pub use ureq;
