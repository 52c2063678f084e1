//! Glance v2: who asks, which call it is, and the calls on one image that are not in a module of their own.

use serde_json::{Value, json};
use uuid::Uuid;

use super::request::{Answer, Request, Service};
use super::upload::Upload;
use super::world::{Image, World};

/// Who asks Glance for something.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) user: String,
    pub(super) project: String,
    pub(super) is_admin: bool,
    /// Whether it has the role `member`: readers change nothing.
    pub(super) is_member: bool,
}

impl Caller {
    /// `ADMIN_OR_PROJECT_MEMBER` of Glance's policies.
    pub(super) fn owns(&self, image: &Image) -> bool {
        self.is_admin || self.is_member && image.owner == self.project
    }
}

/// A policy refused an action.
pub(super) fn not_authorized(action: &str) -> Answer {
    Answer::refuse(403, &format!("You are not authorized to complete {action} action."))
}

const UNAUTHORIZED: &str = "This server could not verify that you are authorized to access the document you requested. Either you supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials required.";

impl World {
    /// The answer to a request whose body came whole.
    pub fn answer(&mut self, request: &Request) -> Answer {
        match request.service {
            Service::Identity => self.identity(request),
            Service::Image => {
                let answer = self.image_answer(request).unwrap_or_else(|refusal| refusal);
                answer.rendered(request.header("accept"))
            }
        }
    }

    fn caller(&self, request: &Request) -> Result<Caller, Answer> {
        let token = self.token(request.header("x-auth-token"));
        let unauthorized = || {
            let uri = format!("Keystone uri=\"{}/v3\"", self.identity_url);
            Answer::refuse(401, UNAUTHORIZED).with("WWW-Authenticate", uri)
        };
        let token = token.ok_or_else(unauthorized)?;
        let is_admin = token.roles.contains("admin");
        let is_member = token.roles.contains("member");
        Ok(Caller { user: token.user.clone(), project: token.project.clone().unwrap_or_default(), is_admin, is_member })
    }

    fn image_answer(&mut self, request: &Request) -> Result<Answer, Answer> {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let method = request.method.as_str();
        if segments.is_empty() || segments == ["versions"] {
            return Ok(self.versions());
        }
        let caller = self.caller(request)?;
        match (method, segments.as_slice()) {
            ("GET", ["v2", "info", "import"]) => Ok(self.import_info()),
            ("GET", ["v2", "info", "stores"]) => {
                Ok(Answer::json(200, &json!({"stores": [{"id": "local", "default": "true"}]})))
            }
            ("GET", ["v2", "info", "usage"]) => Ok(self.usage(&caller)),
            ("GET", ["v2", "schemas", "image"]) => Ok(Answer::json(200, &json!({"name": "image"}))),
            ("GET", ["v2", "images"]) => self.list(&caller, request),
            ("POST", ["v2", "images"]) => self.create(&caller, request),
            (_, ["v2", "images", id, rest @ ..]) => self.one_image(&caller, request, id, rest),
            _ => Err(Answer::refuse(404, "The resource could not be found.")),
        }
    }

    fn one_image(&mut self, caller: &Caller, request: &Request, id: &str, rest: &[&str]) -> Result<Answer, Answer> {
        match (request.method.as_str(), rest) {
            ("GET", []) => Ok(Answer::json(200, &self.seen(caller, id)?.document())),
            ("PATCH", []) => self.patch(caller, request, id),
            ("DELETE", []) => self.delete(caller, id),
            ("GET", ["file"]) => self.download(caller, request, id),
            ("PUT", [kind @ ("file" | "stage")]) => {
                let mut upload = self.begin_upload(caller, request, id, kind)?;
                upload.feed(&request.body).inspect_err(|_| self.fail_upload(&upload))?;
                Ok(self.finish_upload(upload))
            }
            ("POST", ["import"]) => self.import(caller, request, id),
            ("GET", ["tasks"]) => self.task_list(caller, id),
            ("PUT", ["tags", tag]) => self.change_tag(caller, id, tag, true),
            ("DELETE", ["tags", tag]) => self.change_tag(caller, id, tag, false),
            ("POST", ["actions", action]) => self.act(caller, id, action),
            ("POST", ["locations"]) => {
                self.seen(caller, id)?;
                Err(Answer::refuse(403, "http store must be enabled to use location API by normal user."))
            }
            (_, ["members", rest @ ..]) => self.members(caller, request, id, rest),
            _ => Err(Answer::refuse(404, "The resource could not be found.")),
        }
    }

    /// Begins the upload of a request whose body comes in pieces.
    pub(super) fn begin(&mut self, request: &Request) -> Result<Upload, Answer> {
        let caller = self.caller(request)?;
        let segments = request.segments();
        match segments.as_slice() {
            [_, _, id, kind] => self.begin_upload(&caller, request, id, kind),
            _ => Err(Answer::refuse(404, "The resource could not be found.")),
        }
    }

    fn versions(&self) -> Answer {
        let href = format!("{}/v2/", self.image_url);
        let numbers = ["15", "13", "12", "11", "10", "9", "8", "17", "7", "6", "5", "4", "3", "2", "1", "0"];
        let version = |number: &str| {
            let status = if number == "17" { "CURRENT" } else { "SUPPORTED" };
            json!({"id": format!("v2.{number}"), "status": status, "links": [{"rel": "self", "href": href}]})
        };
        let versions: Value = numbers.into_iter().map(version).collect();
        Answer::json(300, &json!({"versions": versions}))
    }

    /// An image that the caller may see.
    pub(super) fn seen(&mut self, caller: &Caller, id: &str) -> Result<&mut Image, Answer> {
        self.visible(caller, id).ok_or_else(|| Answer::refuse(404, &format!("No image found with ID {id}")))
    }

    /// An image that the caller may see: its own, those that all may see, and those that are shared with it.
    pub(super) fn visible(&mut self, caller: &Caller, id: &str) -> Option<&mut Image> {
        let image = self.images.get_mut(&id.parse::<Uuid>().ok()?)?;
        let is_shared = match image.visibility.as_str() {
            "public" | "community" => true,
            "shared" => image.members.iter().any(|member| member.project == caller.project),
            _ => false,
        };
        (caller.is_admin || image.owner == caller.project || is_shared).then_some(image)
    }

    fn create(&mut self, caller: &Caller, request: &Request) -> Result<Answer, Answer> {
        let body = request.json()?;
        let asked = self.check_new(&body)?;
        let owner = body["owner"].as_str().unwrap_or(&caller.project).to_owned();
        if !(caller.is_admin || caller.is_member) {
            return Err(not_authorized("add_image"));
        }
        if owner != caller.project && !caller.is_admin {
            let detail = format!("You are not permitted to create images owned by '{owner}'");
            return Err(Answer::refuse_in_detail(403, &detail));
        }
        if body["visibility"] == "public" && !caller.is_admin && !self.member_may_publicise {
            return Err(not_authorized("publicize_image"));
        }
        self.check_count(&owner)?;
        let id = match body["id"].as_str() {
            Some(id) => id.parse().expect("the schema was checked"),
            None => self.next_id(),
        };
        if !self.used.insert(id) {
            return Err(Answer::refuse(409, &format!("Image ID {id} already exists!")));
        }
        let mut image = Image::new(id, &owner, self.clock);
        for (name, value) in &asked {
            image.set(name, value);
        }
        self.check_properties(&image).inspect_err(|_| {
            self.used.remove(&id);
        })?;
        let document = image.document();
        self.images.insert(id, image);
        let location = format!("{}/v2/images/{id}", self.image_url);
        let methods = self.import_methods.join(",");
        let answer = Answer::json(201, &document).with("Location", location);
        Ok(answer.with("OpenStack-image-import-methods", methods).with("OpenStack-image-store-ids", "local"))
    }

    fn delete(&mut self, caller: &Caller, id: &str) -> Result<Answer, Answer> {
        let missing = || Answer::refuse(404, &format!("Failed to find image {id} to delete"));
        let image = self.visible(caller, id).ok_or_else(missing)?;
        if !caller.owns(image) {
            return Err(not_authorized("delete_image"));
        }
        if image.protected {
            return Err(Answer::refuse(403, &format!("Image {id} is protected and cannot be deleted.")));
        }
        if image.in_use {
            let reason =
                "The image cannot be deleted because it is in use through the backend store outside of Glance.";
            return Err(Answer::refuse(
                409,
                &format!("Image {id} could not be deleted because it is in use: {reason}"),
            ));
        }
        let id = image.id;
        self.images.remove(&id);
        Ok(Answer::empty(204))
    }

    fn change_tag(&mut self, caller: &Caller, id: &str, tag: &str, add: bool) -> Result<Answer, Answer> {
        let clock = self.clock;
        let image = self.seen(caller, id)?;
        if !caller.owns(image) {
            return Err(not_authorized("modify_image"));
        }
        let changed = if add { image.tags.insert(tag.to_owned()) } else { image.tags.remove(tag) };
        if !add && !changed {
            return Err(Answer::refuse(404, "The resource could not be found."));
        }
        image.updated = if changed { clock } else { image.updated };
        Ok(Answer::empty(204))
    }

    fn act(&mut self, caller: &Caller, id: &str, action: &str) -> Result<Answer, Answer> {
        let (from, to) = match action {
            "deactivate" => ("active", "deactivated"),
            "reactivate" => ("deactivated", "active"),
            _ => return Err(Answer::refuse(404, "The resource could not be found.")),
        };
        let (clock, owner_may) = (self.clock, self.owner_may_deactivate);
        let image = self.seen(caller, id)?;
        if !caller.owns(image) || !(owner_may || caller.is_admin) {
            return Err(not_authorized(action));
        }
        if image.status == from {
            to.clone_into(&mut image.status);
            image.updated = clock;
        } else if image.status != to {
            let status = &image.status;
            return Err(Answer::refuse(403, &format!("Not allowed to {action} image in status '{status}'")));
        }
        Ok(Answer::empty(204))
    }
}
