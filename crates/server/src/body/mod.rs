//! Bodies: of requests with a least speed, of answers with a length that is kept.

mod request;
mod response;

pub(crate) use request::RequestBody;
pub(crate) use response::ResponseBody;
