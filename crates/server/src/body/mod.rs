//! Bodies: of requests with a budget for their speed, of answers with a length that is kept.

mod request;
mod response;

pub(crate) use request::{Pace, RequestBody};
pub(crate) use response::ResponseBody;
