//! The calls of Keystone and Glance that the operator uses, with types.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::fs::File;
use url::{Position, Url};
use uuid::Uuid;

use super::connection::Connection;
use super::error::OpenStackError;
use super::glance::caller::{Caller, Request};
use super::glance::listing::Walk;
use super::glance::request::{self, PATCH};
use super::glance::upload::Upload;
use super::glance::{Change, ImageFilter, Listing, NewImage, Task};
use super::image::{Image, Member, MemberStatus};
use super::keystone::Session;
use super::keystone::login::Need;
use super::transport::Answer;
use crate::cloud::LeadershipGuard;
use crate::metrics::Metrics;

/// How often a listing begins anew if the image before the next page is deleted meanwhile.
const WALKS: usize = 3;

/// A client of one cloud. It keeps a token, and no state of the cloud. A clone shares the token. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Client(Caller);

impl Client {
    /// A client for one connection; nothing is sent yet.
    pub fn new(connection: Connection) -> Result<Self, OpenStackError> {
        Caller::new(connection).map(Self)
    }

    /// Sets the permit for calls that change something. Without a valid permit they fail with
    /// [`OpenStackError::NotLeading`]. An upload that loses it is stopped.
    #[must_use]
    pub fn with_permit(self, permit: LeadershipGuard) -> Self {
        Self(Caller { permit, ..self.0 })
    }

    /// Sets the metrics for calls.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self(Caller { metrics, ..self.0 })
    }

    /// The session, after `POST /v3/auth/tokens` if there is no token or it ends soon.
    pub async fn session(&self) -> Result<Arc<Session>, OpenStackError> {
        self.0.session(Need::Call).await
    }

    /// `GET /v2/images`, page by page. If an image is deleted that is the last of a page, Glance does not find the next
    /// page; the listing then begins anew.
    pub async fn images(&self, filter: &ImageFilter) -> Result<Listing, OpenStackError> {
        let mut other_calls = 0;
        for _ in 1..WALKS {
            if let Ok(listing) = self.walk(filter, &mut other_calls).await? {
                return Ok(listing);
            }
        }
        self.walk(filter, &mut other_calls).await?
    }

    /// Reads all pages. The inner error is that of a marker that Glance does not find any more.
    async fn walk(
        &self,
        filter: &ImageFilter,
        other_calls: &mut usize,
    ) -> Result<Result<Listing, OpenStackError>, OpenStackError> {
        let mut walk = Walk::default();
        let (mut marker, mut left, mut calls) = (None, self.0.transport.answer_limit(), 0);
        loop {
            let mut request = Request::read("GET /v2/images", &["images"]);
            request.query = filter.query(marker);
            request.limit = Some(left);
            let (answer, endpoint) = match self.call_with_endpoint(&request).await {
                Ok(answered) => answered,
                Err(error @ (OpenStackError::Invalid(_) | OpenStackError::NotFound(_))) if marker.is_some() => {
                    *other_calls += calls + 1;
                    return Ok(Err(error));
                }
                Err(OpenStackError::TooLarge { call, endpoint, limit: _ }) => {
                    let limit = self.0.transport.answer_limit();
                    return Err(OpenStackError::TooLarge { call, endpoint, limit });
                }
                Err(error) => return Err(error),
            };
            calls += 1;
            left = left.saturating_sub(answer.body.len());
            let next = walk.add(&answer.body, &endpoint);
            marker = next.map_err(|found| request.at(&endpoint).unexpected("a list of images", found))?;
            if marker.is_none() {
                return Ok(Ok(walk.end(*other_calls)));
            }
        }
    }

    /// `GET /v2/images/{id}`. [`OpenStackError::NotFound`] if there is none, or none that the project may see.
    pub async fn image(&self, id: Uuid) -> Result<Image, OpenStackError> {
        self.image_of(id, &Request::read("GET /v2/images/{id}", &["images", &id.to_string()])).await
    }

    /// `POST /v2/images`. Safe to repeat: [`OpenStackError::Conflict`] if the id is or was in use.
    pub async fn create(&self, new: &NewImage) -> Result<Image, OpenStackError> {
        let name = "POST /v2/images";
        let body = new.body().map_err(|message| self.0.misused(message))?;
        self.image_of(new.id, &Request::write(name, Method::POST, &["images"]).json(&body)).await
    }

    /// `PUT /v2/images/{id}/file` of a file at its start, in constant memory. `sent` counts the bytes. An error leaves the
    /// image `queued`, unless it is one of [`OpenStackError::may_be_done`], and an upload then starts anew. Right after a
    /// cut, Glance may still be at work on what came, and answer 409 for a moment. The token is renewed before if less
    /// than half of its life is left, because this call is not repeated after a 401.
    pub async fn upload(&self, id: Uuid, file: File, size: u64, sent: Arc<AtomicU64>) -> Result<(), OpenStackError> {
        let id = id.to_string();
        let request = Request::write("PUT /v2/images/{id}/file", Method::PUT, &["images", &id, "file"]);
        if size == 0 {
            // Glance would accept it: an active image without data.
            let found = "an empty one, which is no image".to_owned();
            return Err(OpenStackError::File { call: request.name, size, found });
        }
        let session = self.0.session(Need::Upload).await?;
        let head = self
            .0
            .prepare(&request, &session)?
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, size)
            .header("x-openstack-image-size", size);
        let upload = Upload::new(size, sent, self.0.permit.clone());
        let call = request.at(&session.image_endpoint);
        let result = upload.send(call, head, file, self.0.transport.timeouts()).await;
        self.0.ended(&request, &session, result).await.map(|_| ())
    }

    /// `POST /v2/images/{id}/import` with the method `web-download`: Glance downloads the image in the background. Follow
    /// [`Self::tasks`], because a failed import leaves the image `queued`, as it is before.
    pub async fn import(&self, id: Uuid, uri: &Url) -> Result<(), OpenStackError> {
        let id = id.to_string();
        let mut request = Request::write("POST /v2/images/{id}/import", Method::POST, &["images", &id, "import"])
            .json(&request::import(uri));
        // Glance repeats the address in its message, and the address may be signed.
        request.hidden = Some(SecretString::from(uri[Position::BeforePath..].to_owned()));
        self.0.call(&request).await.map(|_| ())
    }

    /// `GET /v2/images/{id}/tasks`.
    pub async fn tasks(&self, id: Uuid) -> Result<Vec<Task>, OpenStackError> {
        let id = id.to_string();
        let request = Request::read("GET /v2/images/{id}/tasks", &["images", &id, "tasks"]);
        let (answer, endpoint) = self.call_with_endpoint(&request).await?;
        Task::parse_all(&answer.body).map_err(|found| request.at(&endpoint).unexpected("a list of tasks", found))
    }

    /// `GET /v2/info/import`: the import methods that are enabled.
    pub async fn import_methods(&self) -> Result<Vec<String>, OpenStackError> {
        let request = Request::read("GET /v2/info/import", &["info", "import"]);
        let (body, endpoint) = self.json(&request).await?;
        let list = body.get("import-methods").and_then(|methods| methods.get("value")).and_then(Value::as_array);
        let methods = list.and_then(|list| list.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        methods.ok_or_else(|| request.at(&endpoint).unexpected("a list of import methods", "none"))
    }

    /// `PATCH /v2/images/{id}`: all changes, or none. Returns the image after them.
    pub async fn patch(&self, id: Uuid, changes: &[Change]) -> Result<Image, OpenStackError> {
        let request = Request::write("PATCH /v2/images/{id}", Method::PATCH, &["images", &id.to_string()]);
        self.image_of(id, &request.body(PATCH, &request::patch(changes))).await
    }

    /// `GET /v2/images/{id}/members`. A member sees only itself.
    pub async fn members(&self, id: Uuid) -> Result<Vec<Member>, OpenStackError> {
        let request = Request::read("GET /v2/images/{id}/members", &["images", &id.to_string(), "members"]);
        let (body, endpoint) = self.json(&request).await?;
        let unexpected = |found: String| request.at(&endpoint).unexpected("a list of members", found);
        let list = body.get("members").and_then(Value::as_array);
        let list = list.ok_or_else(|| unexpected("no list \"members\"".to_owned()))?;
        list.iter().map(Member::parse).collect::<Result<_, _>>().map_err(unexpected)
    }

    /// `POST /v2/images/{id}/members`. The project is pending until it accepts. [`OpenStackError::Conflict`] if it is a
    /// member already, [`OpenStackError::Forbidden`] if the image is not shared.
    pub async fn add_member(&self, id: Uuid, project: &str) -> Result<(), OpenStackError> {
        let id = id.to_string();
        let request = Request::write("POST /v2/images/{id}/members", Method::POST, &["images", &id, "members"]);
        self.0.call(&request.json(&json!({"member": project}))).await.map(|_| ())
    }

    /// `DELETE /v2/images/{id}/members/{project}`. [`OpenStackError::NotFound`] if it is no member.
    pub async fn remove_member(&self, id: Uuid, project: &str) -> Result<(), OpenStackError> {
        let (name, id) = ("DELETE /v2/images/{id}/members/{project}", id.to_string());
        let request = Request::write(name, Method::DELETE, &["images", &id, "members", project]);
        self.0.call(&request).await.map(|_| ())
    }

    /// `PUT /v2/images/{id}/members/{project}`. Only the project itself or an administrator may do this.
    pub async fn set_member_status(&self, id: Uuid, project: &str, status: MemberStatus) -> Result<(), OpenStackError> {
        let (name, id) = ("PUT /v2/images/{id}/members/{project}", id.to_string());
        let request = Request::write(name, Method::PUT, &["images", &id, "members", project]);
        self.0.call(&request.json(&json!({"status": status.as_str()}))).await.map(|_| ())
    }

    /// `POST /v2/images/{id}/actions/deactivate`. [`OpenStackError::Forbidden`] if the image is neither active nor
    /// deactivated, or if the policy allows it to administrators only.
    pub async fn deactivate(&self, id: Uuid) -> Result<(), OpenStackError> {
        self.act("POST /v2/images/{id}/actions/deactivate", id, "deactivate").await
    }

    /// `POST /v2/images/{id}/actions/reactivate`, likewise.
    pub async fn reactivate(&self, id: Uuid) -> Result<(), OpenStackError> {
        self.act("POST /v2/images/{id}/actions/reactivate", id, "reactivate").await
    }

    async fn act(&self, name: &'static str, id: Uuid, action: &str) -> Result<(), OpenStackError> {
        let id = id.to_string();
        self.0.call(&Request::write(name, Method::POST, &["images", &id, "actions", action])).await.map(|_| ())
    }

    /// `DELETE /v2/images/{id}`. [`OpenStackError::NotFound`] if it was deleted before, [`OpenStackError::Forbidden`] if
    /// it is protected, [`OpenStackError::InUse`] if its data is used.
    pub async fn delete(&self, id: Uuid) -> Result<(), OpenStackError> {
        let request = Request::write("DELETE /v2/images/{id}", Method::DELETE, &["images", &id.to_string()]);
        self.0.call(&request).await.map(|_| ())
    }

    /// The image in a response, which must be the one that was asked for.
    async fn image_of(&self, id: Uuid, request: &Request) -> Result<Image, OpenStackError> {
        let (body, endpoint) = self.json(request).await?;
        let unexpected = |found: String| request.at(&endpoint).unexpected("the image that was asked for", found);
        let image = Image::parse(&body).map_err(|found| unexpected(found.to_string()))?;
        if image.id != id {
            return Err(unexpected(format!("image {}", image.id)));
        }
        Ok(image)
    }

    async fn json(&self, request: &Request) -> Result<(Value, Url), OpenStackError> {
        let (answer, endpoint) = self.call_with_endpoint(request).await?;
        let body = serde_json::from_slice(&answer.body).map_err(|error| {
            request.at(&endpoint).unexpected("JSON", format!("{}, a body that is not: {error}", answer.status))
        })?;
        Ok((body, endpoint))
    }

    async fn call_with_endpoint(&self, request: &Request) -> Result<(Answer, Url), OpenStackError> {
        let (answer, session) = self.0.call(request).await?;
        Ok((answer, session.image_endpoint.clone()))
    }
}
