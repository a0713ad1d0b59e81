//! A blocking client for one thing: logging in to Files.com, and out again.

mod answer;
mod connect;
mod error;
mod json;
mod login;
mod retry_after;
mod send;
mod session;
mod site;
mod text;

pub use error::{ApiError, Error, ErrorKind, TwoFactor};
pub use login::Login;
pub use session::Session;
pub use site::{Site, agent_config};
pub use ureq;
