//! The projects that an image is shared with.

use serde_json::{Value, json};
use uuid::Uuid;

use super::images::{Caller, not_authorized};
use super::request::{Answer, Request};
use super::world::{Member, World, time};

fn document(image: Uuid, member: &Member) -> Value {
    json!({
        "member_id": member.project, "image_id": image, "status": member.status, "created_at": time(member.created),
        "updated_at": time(member.updated), "schema": "/v2/schemas/member",
    })
}

impl World {
    pub(super) fn members(
        &mut self,
        caller: &Caller,
        request: &Request,
        id: &str,
        rest: &[&str],
    ) -> Result<Answer, Answer> {
        if self.visible(caller, id).is_none() {
            return Err(Answer::refuse(404, &format!("Image {id} not found.")));
        }
        match (request.method.as_str(), rest) {
            ("GET", []) => self.member_list(caller, id),
            ("POST", []) => self.add_member(caller, request, id),
            ("GET", [project]) => self.show_member(caller, id, project),
            ("PUT", [project]) => self.set_member(caller, request, id, project),
            ("DELETE", [project]) => self.remove_member(caller, id, project),
            _ => Err(Answer::refuse(404, "The resource could not be found.")),
        }
    }

    fn member_list(&mut self, caller: &Caller, id: &str) -> Result<Answer, Answer> {
        let image = self.seen(caller, id)?;
        if image.visibility != "shared" {
            let text = format!("Not allowed to list members for image {id}: Only shared images have members.");
            return Err(Answer::refuse(403, &text));
        }
        let all = caller.is_admin || image.owner == caller.project;
        let seen = image.members.iter().filter(|member| all || member.project == caller.project);
        let members: Value = seen.map(|member| document(image.id, member)).collect();
        Ok(Answer::json(200, &json!({"members": members, "schema": "/v2/schemas/members"})))
    }

    fn add_member(&mut self, caller: &Caller, request: &Request, id: &str) -> Result<Answer, Answer> {
        let body = request.json()?;
        let project = body["member"].as_str().unwrap_or_default().to_owned();
        if project.is_empty() {
            return Err(Answer::refuse(400, "Member can't be empty"));
        }
        let clock = self.clock;
        let image = self.seen(caller, id)?;
        if image.visibility != "shared" {
            return Err(Answer::refuse(403, &format!("Not allowed to create members for image {id}.")));
        }
        if !caller.owns(image) {
            return Err(not_authorized("add_member"));
        }
        if image.members.iter().any(|member| member.project == project) {
            return Err(Answer::refuse(409, &format!("Member {project} is duplicated for image {id}")));
        }
        let member = Member { project, status: "pending".to_owned(), created: clock, updated: clock };
        let document = document(image.id, &member);
        image.members.push(member);
        Ok(Answer::json(200, &document))
    }

    fn member(&mut self, caller: &Caller, id: &str, project: &str) -> Result<&mut Member, Answer> {
        let missing = format!("{project} not found in the member list of the image {id}.");
        let image = self.seen(caller, id)?;
        let all = caller.is_admin || image.owner == caller.project || caller.project == project;
        let found = image.members.iter_mut().find(|member| all && member.project == project);
        found.ok_or_else(|| Answer::refuse(404, &missing))
    }

    fn show_member(&mut self, caller: &Caller, id: &str, project: &str) -> Result<Answer, Answer> {
        let image = self.seen(caller, id)?;
        let key = image.id;
        if image.visibility != "shared" {
            return Err(Answer::refuse(404, "Only shared images have members."));
        }
        Ok(Answer::json(200, &document(key, self.member(caller, id, project)?)))
    }

    fn set_member(&mut self, caller: &Caller, request: &Request, id: &str, project: &str) -> Result<Answer, Answer> {
        let body = request.json()?;
        let status = body["status"].as_str().unwrap_or_default();
        let clock = self.clock;
        let image = self.seen(caller, id)?;
        let key = image.id;
        if image.visibility != "shared" {
            return Err(Answer::refuse(403, &format!("Not allowed to update members for image {id}.")));
        }
        self.member(caller, id, project)?;
        if !(caller.is_admin || caller.is_member && caller.project == project) {
            return Err(not_authorized("modify_member"));
        }
        if !["pending", "accepted", "rejected"].contains(&status) {
            let text = "Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".";
            return Err(Answer::refuse(400, text));
        }
        let member = self.member(caller, id, project)?;
        status.clone_into(&mut member.status);
        member.updated = clock;
        Ok(Answer::json(200, &document(key, member)))
    }

    fn remove_member(&mut self, caller: &Caller, id: &str, project: &str) -> Result<Answer, Answer> {
        let image = self.seen(caller, id)?;
        if image.visibility != "shared" {
            return Err(Answer::refuse(403, &format!("Not allowed to delete members for image {id}.")));
        }
        let owns = caller.owns(image);
        self.member(caller, id, project)?;
        if !owns {
            return Err(not_authorized("delete_member"));
        }
        self.seen(caller, id)?.members.retain(|member| member.project != project);
        Ok(Answer::nothing())
    }
}
