//! `/v2/_catalog`: the repositories that the caller may list, in byte order.

use http::Response;
use http::header::LINK;
use roadstead_oci::{CatalogGrant, RepositoryName};
use serde_json::json;

use super::tag::{json_body, page_size};
use crate::app::{Answer, App, Call};
use crate::error::Failure;
use crate::headers::value;

/// Repositories of a page where the client does not say.
const PAGE: u32 = 100;
/// Names looked at in one read at least.
const STEP: u32 = 100;

pub(crate) async fn list(app: &App, call: Call) -> Answer {
    let grant = call.caller.catalog()?;
    let max = app.settings.catalog_page_max;
    let size = page_size(&call.query, max)?.unwrap_or(PAGE.min(max));
    let last = call.query.one("last")?;
    if size == 0 {
        return Ok(json_body(&json!({ "repositories": [] })));
    }
    let (names, more) = page(app, &call, &grant, last.unwrap_or_default(), size).await?;
    let mut response: Response<_> = json_body(&json!({
        "repositories": names.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
    }));
    if let (true, Some(last)) = (more, names.last()) {
        let parameters = [("last", last.as_str()), ("n", &size.to_string())];
        let link = app
            .urls_for(&call.asked.client)
            .next("_catalog", &parameters);
        response.headers_mut().insert(LINK, value(&link));
    }
    Ok(response)
}

/// At most `size` names that the caller may list, and whether there are more. What lies between is
/// passed over by the index where no rule lets the caller list it.
async fn page(
    app: &App,
    call: &Call,
    grant: &CatalogGrant,
    last: &str,
    size: u32,
) -> Result<(Vec<RepositoryName>, bool), Failure> {
    let mut names: Vec<RepositoryName> = Vec::new();
    let mut after = last.to_owned();
    while let Some(from) = call.caller.next_listed(&after) {
        let step = size.saturating_add(1).max(STEP);
        let found = app.registry.repositories(grant, Some(&from), step).await?;
        for name in &found.items {
            if !call.caller.lists(name) {
                continue;
            }
            if names.len() as u64 == u64::from(size) {
                return Ok((names, true));
            }
            names.push(name.clone());
        }
        match found.items.last() {
            Some(name) if found.more => name.as_str().clone_into(&mut after),
            _ => break,
        }
        // Others wait for this thread too.
        tokio::task::yield_now().await;
    }
    Ok((names, false))
}
