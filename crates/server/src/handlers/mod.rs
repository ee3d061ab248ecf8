//! One file a resource. A handler is five steps: typed request, grant, one call of the registry,
//! typed answer, nothing else.

pub(crate) mod base;
pub(crate) mod blob;
pub(crate) mod catalog;
pub(crate) mod manifest;
pub(crate) mod referrer;
pub(crate) mod tag;
pub(crate) mod token;
pub(crate) mod upload;
