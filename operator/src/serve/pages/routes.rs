//! The addresses of the pages. Each page is made in a thread of its own, when it has a turn.

use askama::Template as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, Response, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use jiff::Timestamp;

use super::answer::{as_file, hardened, html, text};
use super::assets::asset;
use super::clouds::Clouds;
use super::endorsers::Endorsers;
use super::events::Events;
use super::frame::Request;
use super::guard::Guard;
use super::image::{ImagePage, Parts};
use super::images::{Filter, Images};
use super::live::live;
use super::overview::Overview;
use super::query::Query;
use super::refused::Refused;
use super::session::{form, guarded, log_in, log_out};
use super::site::Site;
use super::stored_lists::stored_lists;
use super::subscription::SubscriptionPage;
use super::subscriptions::Subscriptions;
use super::version::{Available, VersionPage};
use super::{Pages, events, script, subscription};
use crate::api::ObjectKey;
use crate::cache::ImageKey;
use crate::events::Spool;
use crate::imagelist::Sha512Digest;
use crate::serve::monitor::{PATIENCE, in_turn};
use crate::serve::{images, plain};

/// The newest segments of the spool that are read, of at most 1 MiB each.
const SEGMENTS: usize = 4;

/// What each handler has.
#[derive(Debug, Clone)]
struct App {
    pages: Pages,
    guard: Guard,
}

/// The routes of the pages, behind their guard.
pub fn pages_router(pages: &Pages, guard: &Guard) -> Router {
    let app = App { pages: pages.clone(), guard: guard.clone() };
    let shown = Router::new()
        .route("/", get(overview))
        .route("/subscriptions", get(subscriptions))
        .route("/subscriptions/{namespace}/{name}", get(one_subscription))
        .route("/endorsers", get(endorsers))
        .route("/clouds", get(clouds))
        .route("/events", get(last_events))
        .route("/images", get(all_images))
        .route("/images/{namespace}/{name}", get(image))
        .route("/images/{namespace}/{name}/{sha512}", get(version))
        .route("/images/{namespace}/{name}/{sha512}/script", get(script_file))
        .route("/images/{namespace}/{name}/{sha512}/download", get(download))
        .fallback(no_page)
        .with_state(app);
    Router::new()
        .merge(shown)
        .route("/live", get(live).with_state(pages.clone()))
        .route("/static/{name}", get(asset))
        .route("/login", get(form).post(log_in).with_state(guard.clone()))
        .route("/logout", post(log_out))
        .layer(from_fn_with_state(guard.clone(), guarded))
        .layer(from_fn(hardened))
}

impl App {
    fn about(&self, request: &HttpRequest) -> Request {
        let here = request.uri().path_and_query().map_or("/", |path| path.as_str());
        Request { here: here.to_owned(), has_login: self.guard.has_login(), now: Timestamp::now() }
    }

    /// Works on the site in a thread of its own, when there is a turn.
    async fn work<T: Send + 'static>(
        &self,
        request: Request,
        work: impl FnOnce(&dyn Site, &Request) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let site = self.pages.site().ok_or(Refused::NotNow)?;
        let done = in_turn(self.pages.turns.clone(), PATIENCE, move || work(&*site, &request)).await;
        done.unwrap_or_else(|error| Err(Refused::Late(error)))
    }

    /// The same for a response.
    async fn made(
        &self,
        request: Request,
        make: impl FnOnce(&dyn Site, &Request) -> Result<Response<Body>, Refused> + Send + 'static,
    ) -> Response<Body> {
        let about = request.clone();
        self.work(request, make).await.unwrap_or_else(|refused| refused.response(&about))
    }
}

/// There is no image with a name.
const NO_IMAGE: Refused = Refused::NotFound("There is no image with this name.");
/// There is no subscription with a name.
const NO_SUBSCRIPTION: Refused = Refused::NotFound("There is no subscription with this name.");

fn unreadable(error: impl std::fmt::Display) -> Refused {
    Refused::Unreadable(error.to_string())
}

async fn no_page(State(app): State<App>, request: HttpRequest) -> Response<Body> {
    Refused::NotFound("There is no page at this address.").response(&app.about(&request))
}

async fn overview(State(app): State<App>, request: HttpRequest) -> Response<Body> {
    let make = |site: &dyn Site, about: &Request| {
        let free = site.volume().available().ok();
        Ok(html(StatusCode::OK, &Overview::of(about, &site.objects(), &site.progress(), free)))
    };
    app.made(app.about(&request), make).await
}

async fn subscriptions(State(app): State<App>, request: HttpRequest) -> Response<Body> {
    let make = |site: &dyn Site, about: &Request| Ok(html(StatusCode::OK, &Subscriptions::of(about, &site.objects())));
    app.made(app.about(&request), make).await
}

async fn one_subscription(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
    request: HttpRequest,
) -> Response<Body> {
    let (about, key) = (app.about(&request), ObjectKey::new(namespace, name));
    let Some(site) = app.pages.site() else { return Refused::NotNow.response(&about) };
    if site.subscription(&key).is_none() {
        return NO_SUBSCRIPTION.response(&about);
    }
    let checked = app.pages.checks.of(&*site, &key, about.now).await;
    let make = move |site: &dyn Site, about: &Request| {
        let object = site.subscription(&key).ok_or(NO_SUBSCRIPTION)?;
        let lists = stored_lists(&site.volume(), &key, &object);
        let (lists, more_lists) = lists.map_err(unreadable)?;
        let parts = subscription::Parts { object, lists, more_lists, checked };
        Ok(html(StatusCode::OK, &SubscriptionPage::of(about, &parts)))
    };
    app.made(about, make).await
}

async fn endorsers(State(app): State<App>, request: HttpRequest) -> Response<Body> {
    let make = |site: &dyn Site, about: &Request| Ok(html(StatusCode::OK, &Endorsers::of(about, &site.objects())));
    app.made(app.about(&request), make).await
}

async fn clouds(State(app): State<App>, request: HttpRequest) -> Response<Body> {
    let make = |site: &dyn Site, about: &Request| Ok(html(StatusCode::OK, &Clouds::of(about, &site.objects())));
    app.made(app.about(&request), make).await
}

async fn last_events(State(app): State<App>, request: HttpRequest) -> Response<Body> {
    let make = |site: &dyn Site, about: &Request| {
        let spool = Spool::read_only(&Spool::directory(site.volume().root()));
        let found = if site.has_sinks() { spool.last(events::MOST, SEGMENTS) } else { Ok(Vec::new()) };
        let found = found.map_err(unreadable)?;
        Ok(html(StatusCode::OK, &Events::of(about, site.has_sinks(), &found)))
    };
    app.made(app.about(&request), make).await
}

async fn all_images(State(app): State<App>, request: HttpRequest) -> Response<Body> {
    let filter = Filter::of(&Query::read(request.uri().query().unwrap_or_default().as_bytes()));
    let make = |site: &dyn Site, about: &Request| {
        Ok(html(StatusCode::OK, &Images::of(about, &site.objects(), &site.progress(), filter)))
    };
    app.made(app.about(&request), make).await
}

async fn image(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
    request: HttpRequest,
) -> Response<Body> {
    let make = move |site: &dyn Site, about: &Request| {
        Ok(html(StatusCode::OK, &ImagePage::of(about, &parts(site, &namespace, &name)?)))
    };
    app.made(app.about(&request), make).await
}

/// What a page of an image is made from.
fn parts(site: &dyn Site, namespace: &str, name: &str) -> Result<Parts, Refused> {
    let key = ObjectKey::new(namespace, name);
    let object = site.image(&key).ok_or(NO_IMAGE)?;
    let subscription = key.sibling(&object.spec.subscription_ref.name);
    let (Ok(namespace), Ok(identifier)) = (namespace.parse(), object.spec.identifier.parse()) else {
        return Err(NO_IMAGE);
    };
    let entries = site.volume().entries(&ImageKey { namespace, identifier });
    let entries = entries.map_err(unreadable)?;
    let (list, subscription) = (site.list(&subscription), site.subscription(&subscription));
    Ok(Parts { object, subscription, list, entries, progress: site.progress() })
}

/// The names in the address of a version.
type Named = (String, String, String);

/// Works on a version whose bytes may be given out.
fn of_version<T>(
    site: &dyn Site,
    (namespace, name, sha512): &Named,
    work: impl FnOnce(&Available<'_>) -> T,
) -> Result<T, Refused> {
    let parts = parts(site, namespace, name)?;
    let digest: Option<Sha512Digest> = sha512.parse().ok();
    let found = digest.and_then(|digest| Some((digest, parts.entry(&digest)?)));
    let none = Refused::NotFound("No version of the image with this SHA-512 is on the volume.");
    let (digest, entry) = found.ok_or(none)?;
    if let Some(reason) = parts.withheld(&digest) {
        return Err(Refused::Withheld(reason));
    }
    let none = Refused::NotFound("The bytes of this version are not on the volume.");
    let namespace = namespace.parse().map_err(|_| NO_IMAGE)?;
    let blob = site.volume().blob_for(&namespace, &digest).map_err(unreadable)?.ok_or(none)?;
    Ok(work(&Available { parts: &parts, entry, blob: &blob }))
}

async fn version(State(app): State<App>, Path(named): Path<Named>, request: HttpRequest) -> Response<Body> {
    let base = base(&app.guard, request.headers());
    let make = move |site: &dyn Site, about: &Request| {
        of_version(site, &named, |one| html(StatusCode::OK, &VersionPage::of(about, one, base.as_deref())))
    };
    app.made(app.about(&request), make).await
}

async fn script_file(State(app): State<App>, Path(named): Path<Named>, request: HttpRequest) -> Response<Body> {
    let Some(base) = base(&app.guard, request.headers()) else {
        return plain(StatusCode::BAD_REQUEST, "expected a Host header with a host and a port, found another one");
    };
    let make = move |site: &dyn Site, _: &Request| {
        of_version(site, &named, |one| {
            let script = one.script(&base);
            match script.render() {
                Ok(text) => as_file(plain(StatusCode::OK, text.trim_end()), &format!("get-{}.sh", script.file)),
                Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
            }
        })
    };
    app.made(app.about(&request), make).await
}

/// The address under which the reader sees the pages.
fn base(guard: &Guard, headers: &HeaderMap) -> Option<String> {
    let forwarded = |name| text(headers, HeaderName::from_static(name));
    let host = forwarded("x-forwarded-host").filter(|_| guard.has_proxy()).or_else(|| text(headers, header::HOST));
    script::base(host, forwarded("x-forwarded-proto") == Some("https"))
}

async fn download(State(app): State<App>, Path(named): Path<Named>, request: HttpRequest) -> Response<Body> {
    let about = app.about(&request);
    let find = move |site: &dyn Site, _: &Request| of_version(site, &named, |one| (one.blob.clone(), one.file()));
    match app.work(about.clone(), find).await {
        Ok((blob, file)) => as_file(images::found(&blob, (request.method(), request.headers()), |_| {}).await, &file),
        Err(refused) => refused.response(&about),
    }
}
