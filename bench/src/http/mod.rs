//! An HTTP/1.1 client that costs little beside the servers that it measures: requests are written
//! as they were formatted once, answers are read by their length into one buffer for all.

mod chunks;
mod client;
mod reading;
mod stream;

pub(crate) use client::{Client, authorization_line};
pub(crate) use reading::Reading;
pub(crate) use stream::{Certificate, Stream, Target, run_openssl};
