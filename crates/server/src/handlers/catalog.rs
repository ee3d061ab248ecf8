//! `/v2/_catalog`: the repositories, in byte order.

use http::Response;
use http::header::LINK;
use serde_json::json;

use super::tag::{json_body, page_size};
use crate::app::{Answer, App, Call};
use crate::headers::value;

/// Repositories of a page where the client does not say.
const PAGE: u32 = 100;

pub(crate) async fn list(app: &App, call: Call) -> Answer {
    let grant = call.caller.catalog()?;
    let max = app.settings.catalog_page_max;
    let size = page_size(&call.query, max)?.unwrap_or(PAGE.min(max));
    let last = call.query.one("last")?;
    if size == 0 {
        return Ok(json_body(&json!({ "repositories": [] })));
    }
    let page = app.registry.repositories(&grant, last, size).await?;
    let mut response: Response<_> = json_body(&json!({
        "repositories": page.items.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
    }));
    if let (true, Some(last)) = (page.more, page.items.last()) {
        let parameters = [("last", last.as_str()), ("n", &size.to_string())];
        let link = app.urls_for(&call.client).next("_catalog", &parameters);
        response.headers_mut().insert(LINK, value(&link));
    }
    Ok(response)
}
