//! `/v2/<name>/tags/list` (OCI distribution end-8): in byte order, by page or whole.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK};
use http::{HeaderValue, Response, StatusCode};
use roadstead_oci::{ActionSet, ErrorCode, Grant, PageSize, RepositoryName, Tag};
use roadstead_registry::{Error, Page, Registry};
use serde_json::{Value, json};

use crate::app::{Answer, App, Call};
use crate::body::ResponseBody;
use crate::error::Failure;
use crate::headers::value;
use crate::query::Query;

/// Tags read at a time for a list that is asked for whole.
const STEP: u32 = 1_000;

pub(crate) async fn list(app: &App, name: &RepositoryName, call: Call) -> Answer {
    let grant = call.caller.grant(name, ActionSet::PULL)?;
    let last = call.query.one("last")?;
    let Some(size) = page_size(&call.query, app.settings.tags_page_max)? else {
        return whole(app, grant, last).await;
    };
    if size == 0 {
        return Ok(json_body(&json!({ "name": name.as_str(), "tags": [] })));
    }
    let page = app.registry.tags(&grant, last, size).await?;
    let tags: Vec<&str> = page.items.iter().map(Tag::as_str).collect();
    let mut response = json_body(&json!({ "name": name.as_str(), "tags": tags }));
    if let (true, Some(last)) = (page.more, page.items.last()) {
        let parameters = [("last", last.as_str()), ("n", &size.to_string())];
        let link = app
            .urls_for(&call.asked.client)
            .next(&format!("{name}/tags/list"), &parameters);
        response.headers_mut().insert(LINK, value(&link));
    }
    Ok(response)
}

/// All tags after `last`, streamed page by page: memory does not grow with their number.
async fn whole(app: &App, grant: Grant, last: Option<&str>) -> Answer {
    let first = app.registry.tags(&grant, last, STEP).await?;
    if !first.more {
        let tags: Vec<&str> = first.items.iter().map(Tag::as_str).collect();
        return Ok(json_body(
            &json!({ "name": grant.repository().as_str(), "tags": tags }),
        ));
    }
    let list = Listing {
        registry: Arc::clone(&app.registry),
        grant,
        page: Some(first),
        begun: false,
    };
    let body = stream::try_unfold(list, |mut list| async move {
        let Some(page) = list.page.take() else {
            return Ok::<_, Error>(None);
        };
        let chunk = list.render(&page);
        if let (true, Some(last)) = (page.more, page.items.last()) {
            list.page = Some(
                list.registry
                    .tags(&list.grant, Some(last.as_str()), STEP)
                    .await?,
            );
        }
        Ok(Some((chunk, list)))
    });
    let mut response = Response::new(ResponseBody::stream(body, None));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

struct Listing {
    registry: Arc<Registry>,
    grant: Grant,
    page: Option<Page<Tag>>,
    begun: bool,
}

impl Listing {
    /// One page's share of the JSON text. Tags and names have no character that JSON escapes.
    fn render(&mut self, page: &Page<Tag>) -> Bytes {
        let mut text = String::new();
        if !self.begun {
            text.push_str(&format!(
                "{{\"name\":\"{}\",\"tags\":[",
                self.grant.repository()
            ));
        }
        for tag in &page.items {
            if self.begun {
                text.push(',');
            }
            self.begun = true;
            text.push_str(&format!("\"{tag}\""));
        }
        if !page.more {
            text.push_str("]}\n");
        }
        text.into()
    }
}

/// `n`, clamped to `max`. `None` where it is not given.
pub(crate) fn page_size(query: &Query, max: u32) -> Result<Option<u32>, Failure> {
    let Some(n) = query.one("n")? else {
        return Ok(None);
    };
    PageSize::parse(n)
        .map(|size| Some(size.clamp(max)))
        .map_err(|_| {
            Failure::new(StatusCode::BAD_REQUEST, ErrorCode::PaginationNumberInvalid)
                .detail(json!({ "n": n }))
        })
}

pub(crate) fn json_body(value: &Value) -> Response<ResponseBody> {
    let mut body = value.to_string();
    body.push('\n');
    let length = body.len();
    let mut response = Response::new(ResponseBody::full(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}
