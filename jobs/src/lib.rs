//! The blocking work of a session: HTTP so far.

mod error;
mod http;

pub use http::{HttpOptions, fetch};
