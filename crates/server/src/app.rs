//! The application: from a request to its answer in the same few steps for every endpoint.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{ALLOW, HOST, RETRY_AFTER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use roadstead_auth::{Authoriser, ClientCertificate, Presented};
use roadstead_oci::{ErrorCode, PrincipalName};
use roadstead_registry::{Context, Registry};

use crate::audit::Trail;
use crate::authorise::{Caller, Needs, sole_authorization};
use crate::body::{RequestBody, ResponseBody};
use crate::error::Failure;
use crate::handlers;
use crate::headers::{API_VERSION, Urls, empty, method_list};
use crate::health::Health;
use crate::perimeter::Perimeter;
use crate::perimeter::client::Client;
use crate::query::Query;
use crate::request_id::RequestId;
use crate::request_log::{Line, printable, text};
use crate::room::Room;
use crate::routes::{Route, RouteError};
use crate::stream::Direct;

/// What the HTTP interface is told at start.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// `http.prefix`, beginning and ending with a slash.
    pub prefix: String,
    /// `http.host`: external base URL of absolute Locations.
    pub host: Option<String>,
    /// `http.relativeurls`: Locations have no scheme and host, whatever a proxy says.
    pub relative_urls: bool,
    /// `http.headers`, added to every answer of an endpoint.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `catalog.maxentries`: repositories of a page at most.
    pub catalog_page_max: u32,
    /// `tags.maxtags`: tags of a page at most.
    pub tags_page_max: u32,
    /// Bytes of a manifest at most.
    pub manifest_bytes_max: usize,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self {
            prefix: "/".to_owned(),
            host: None,
            relative_urls: false,
            headers: Vec::new(),
            catalog_page_max: 1_000,
            tags_page_max: 1_000,
            manifest_bytes_max: 4 << 20,
        }
    }
}

/// Bytes of large manifests that are held at a time; more wait for room.
const MANIFEST_ROOM_BYTES: usize = 32 << 20;

/// Bytes of large answers that are held at a time for clients that are slow to take them.
const ANSWER_ROOM_BYTES: usize = 64 << 20;

/// The registry's HTTP interface.
pub struct App {
    pub(crate) registry: Arc<Registry>,
    pub(crate) authoriser: Arc<Authoriser>,
    pub(crate) settings: AppSettings,
    urls: Urls,
    pub(crate) manifest_room: Room,
    answer_room: Room,
    pub(crate) perimeter: Arc<Perimeter>,
    health: Arc<Health>,
}

/// A request whose route, query and caller are known.
pub(crate) struct Call {
    pub(crate) asked: Box<Asked>,
    pub(crate) query: Query,
    pub(crate) caller: Caller,
}

impl Call {
    pub(crate) fn method(&self) -> &Method {
        &self.asked.parts.method
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.asked.parts.headers
    }

    /// What the journal says of a change.
    pub(crate) fn context(&self) -> Context {
        let asked = &*self.asked;
        let host = match asked.parts.uri.authority() {
            Some(authority) => printable(authority.as_str()),
            None => printable(&text(self.headers().get(HOST))),
        };
        Context {
            actor: self.caller.name().to_string(),
            request_id: asked.request_id.to_string(),
            address: asked.client.text.to_string(),
            host,
            method: self.method().to_string(),
            user_agent: printable(&text(self.headers().get(USER_AGENT))),
        }
    }
}

/// A request as it came. In a box, because it is handed on from one to the next.
pub(crate) struct Asked {
    pub(crate) parts: Parts,
    pub(crate) body: RequestBody,
    pub(crate) request_id: RequestId,
    pub(crate) client: Arc<Client>,
    /// For what is decided on the way, where that is recorded.
    pub(crate) trail: Option<Arc<Trail>>,
    /// Where the kernel can send objects by itself.
    pub(crate) direct: Option<Arc<Direct>>,
    /// The client's certificate, where it was verified and has not expired.
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

pub(crate) type Answer = Result<Response<ResponseBody>, Failure>;

impl App {
    /// Puts the interface on a registry.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        authoriser: Arc<Authoriser>,
        settings: AppSettings,
        health: Arc<Health>,
    ) -> Self {
        let urls = Urls::new(settings.host.as_deref(), &settings.prefix);
        let manifests = MANIFEST_ROOM_BYTES.max(settings.manifest_bytes_max);
        Self {
            registry,
            authoriser,
            settings,
            urls,
            manifest_room: Room::of(manifests),
            answer_room: Room::of(ANSWER_ROOM_BYTES),
            perimeter: Arc::default(),
            health,
        }
    }

    /// Puts it behind this perimeter.
    #[must_use]
    pub fn behind(self, perimeter: Arc<Perimeter>) -> Self {
        Self { perimeter, ..self }
    }

    /// Where the registry stands for this client: by configuration, or where that leaves it open by
    /// the word of a trusted proxy.
    pub(crate) fn urls_for(&self, client: &Client) -> Cow<'_, Urls> {
        let open = !self.urls.are_configured() && !self.settings.relative_urls;
        match &client.base {
            Some(base) if open => Cow::Owned(self.urls.at(base)),
            _ => Cow::Borrowed(&self.urls),
        }
    }

    /// Answers a request; what the log says of it goes into its line.
    pub(crate) async fn answer(
        &self,
        asked: Box<Asked>,
        line: &mut Line,
    ) -> Response<ResponseBody> {
        let unknown = match Route::parse(asked.parts.uri.path(), &self.settings.prefix) {
            Ok(known) => {
                line.route = Some(known);
                RouteError::Unknown
            }
            Err(error) => error,
        };
        let route = line.route.as_ref().ok_or(&unknown);
        let result = match route {
            _ if self.health.failing() => Err(Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Unavailable,
            )
            .detail("health check failed: please see /debug/health")),
            Ok(Route::Root) => Ok(handlers::base::root()),
            Ok(Route::Token) if self.authoriser.issues_tokens() => {
                Box::pin(handlers::token::handle(self, *asked, &mut line.principal)).await
            }
            route => self.identified(route, asked, &mut line.principal).await,
        };
        let mut response = match result {
            Ok(answer) => answer,
            Err(failure) => failure.noted(line),
        };
        if line.route != Some(Route::Root) {
            self.add_headers(&mut response, line.route.is_some());
        }
        response
    }

    /// The headers that answers have alike; those of the configuration where there is an endpoint.
    fn add_headers(&self, response: &mut Response<ResponseBody>, is_endpoint: bool) {
        let headers = response.headers_mut();
        headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        for (name, value) in self.settings.headers.iter().filter(|_| is_endpoint) {
            // What is there already need not be said twice.
            if !headers.get_all(name).iter().any(|there| there == value) {
                headers.append(name.clone(), value.clone());
            }
        }
    }

    /// Answers somebody, once it is known who that is.
    async fn identified(
        &self,
        route: Result<&Route, &RouteError>,
        asked: Box<Asked>,
        principal: &mut Option<PrincipalName>,
    ) -> Answer {
        let parts = &asked.parts;
        if let Some(certificate) = &asked.certificate {
            let subject = certificate.subject.as_str();
            let request_id = asked.request_id;
            tracing::debug!(subject, %request_id, "a request with a client certificate");
        }
        let presented = Presented {
            authorization: sole_authorization(&parts.headers)?,
            certificate: asked.certificate.as_deref(),
            client: asked.client.ip,
        };
        let needs = || Needs::of(route, parts);
        let caller = Caller::identify(
            &self.authoriser,
            &parts.headers,
            &presented,
            asked.trail.clone(),
            needs,
        )
        .await?;
        caller.enter(route, parts)?;
        *principal = Some(caller.name().clone());
        if let Some(trail) = &asked.trail {
            trail.identified(caller.name(), caller.kind());
        }
        let permit = self.perimeter.admit(&asked.client, caller.name())?;
        let route = route.map_err(Clone::clone)?;
        let call = Call {
            query: Query::parse(parts.uri.query())?,
            asked,
            caller,
        };
        let mut answer = self.dispatch(route, call).await?;
        permit.hold(&mut answer);
        // Large answers hold memory until they are taken, which must not fill up.
        if answer.body_mut().hold(&self.answer_room) {
            return Ok(answer);
        }
        Err(
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
                .message("too many large answers wait to be taken; try again a little later")
                .header(RETRY_AFTER, "1"),
        )
    }

    async fn dispatch(&self, route: &Route, call: Call) -> Answer {
        let methods = route.methods();
        if *call.method() == Method::OPTIONS {
            let mut response = empty(StatusCode::OK);
            response
                .headers_mut()
                .insert(ALLOW, crate::headers::value(&method_list(methods)));
            return Ok(response);
        }
        if !methods.contains(call.method()) {
            return Err(Failure::method_not_allowed(methods));
        }
        match route {
            Route::Root => Ok(handlers::base::root()),
            Route::Base => Ok(handlers::base::base()),
            // Without a token server there is nothing here.
            Route::Token => Err(RouteError::Unknown.into()),
            Route::Manifest(name, reference) => {
                handlers::manifest::handle(self, name, reference, call).await
            }
            Route::Blob(name, digest) => handlers::blob::handle(self, name, digest, call).await,
            // What is not on the way of a pull has a place of its own: every answer has room for
            // the largest of its ways, and is moved about with it.
            Route::Catalog => Box::pin(handlers::catalog::list(self, call)).await,
            Route::Tags(name) => Box::pin(handlers::tag::list(self, name, call)).await,
            Route::Uploads(name) => Box::pin(handlers::upload::start(self, name, call)).await,
            Route::Upload(name, id) => {
                Box::pin(handlers::upload::handle(self, name, *id, call)).await
            }
            Route::Referrers(name, digest) => {
                Box::pin(handlers::referrer::list(self, name, digest, call)).await
            }
        }
    }
}
