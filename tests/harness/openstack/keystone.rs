//! Keystone v3: logins, tokens, the catalogue, the projects of a user.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::projects::{Credential, Project, User, ids};
use super::request::{Answer, Request};
use super::world::World;

/// What a client may do with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// How its user logged in.
    pub method: String,
    /// The user's id.
    pub user: String,
    /// The project's id; none: a token without a scope.
    pub project: Option<String>,
    /// In the project.
    pub roles: BTreeSet<String>,
    /// The application credential's id.
    pub credential: Option<String>,
    /// Seconds since 1970.
    pub issued: i64,
    /// Seconds since 1970.
    pub expires: i64,
}

const UNAUTHORIZED: &str = "The request you have made requires authentication.";
const MALFORMED: &str = "The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.";

fn unauthorized() -> Answer {
    Answer::refuse_identity(401, UNAUTHORIZED)
}

fn forbidden(action: &str) -> Answer {
    Answer::refuse_identity(403, &format!("You are not authorized to perform the requested action: {action}."))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The id of a domain, by the name that the rest of this module has it by.
fn domain_id(name: &str) -> &str {
    if name == "egi" { ids::EGI } else { "default" }
}

fn is_domain(name: &str, asked: &Value) -> bool {
    asked["name"] == name || asked["id"] == domain_id(name)
}

/// As Keystone writes a time.
fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).expect("a time").strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string()
}

fn role_id(role: &str) -> &'static str {
    match role {
        "member" => "4ad2a3f6e80e4ae8b4fb2ce04f26be6e",
        "manager" => "a46b855efe05414385d61dc9a2ae27e1",
        "admin" => "f9cac828e79f48fe8f66c7d3183e51db",
        _ => "f2dcdc885b084c398340b44a13856937",
    }
}

impl World {
    pub(super) fn identity(&mut self, request: &Request) -> Answer {
        self.identity_answer(request).unwrap_or_else(|mut refusal| {
            if refusal.status == 401 {
                let uri = format!("Keystone uri=\"{}/v3\"", self.identity_url);
                refusal.headers.push(("WWW-Authenticate".to_owned(), uri));
            }
            refusal
        })
    }

    fn identity_answer(&mut self, request: &Request) -> Result<Answer, Answer> {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", []) => {
                let answer = Answer::json(300, &json!({"versions": {"values": [self.version()]}}));
                Ok(answer.with("Location", format!("{}/v3/", self.identity_url)))
            }
            ("GET", ["v3"]) => Ok(Answer::json(200, &json!({"version": self.version()}))),
            ("POST", ["v3", "auth", "tokens"]) => self.login(request),
            ("GET", ["v3", "auth", "tokens"]) => self.validate(request),
            ("DELETE", ["v3", "auth", "tokens"]) => {
                self.asker(request)?;
                self.tokens.remove(request.header("x-subject-token").unwrap_or_default());
                Ok(Answer::nothing())
            }
            ("GET", ["v3", "auth", "projects"]) => self.own_projects(request),
            ("GET", ["v3", "auth", "catalog"]) => {
                self.asker(request)?;
                let own = format!("{}/v3/auth/catalog", self.identity_url);
                Ok(Answer::json(200, &json!({"catalog": self.catalogue(), "links": {"self": own}})))
            }
            ("GET", ["v3", "projects"]) => self.all_projects(request),
            ("POST", ["v3", "users", _, "application_credentials"]) => Err(forbidden(
                "Using method 'application_credential' is not allowed for managing additional application credentials.",
            )),
            _ => Err(Answer::refuse_identity(404, "The requested URL was not found on the server.")),
        }
    }

    fn version(&self) -> Value {
        json!({
            "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": format!("{}/v3/", self.identity_url)}],
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
        })
    }

    /// A token that is valid now.
    pub(super) fn token(&self, sent: Option<&str>) -> Option<&Token> {
        self.tokens.get(sent?).filter(|token| token.expires > self.clock)
    }

    fn asker(&self, request: &Request) -> Result<Token, Answer> {
        self.token(request.header("x-auth-token")).cloned().ok_or_else(unauthorized)
    }

    fn login(&mut self, request: &Request) -> Result<Answer, Answer> {
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| Answer::refuse_identity(400, MALFORMED))?;
        let identity = &body["auth"]["identity"];
        let method = identity["methods"][0].as_str().unwrap_or_default().to_owned();
        let given = &identity[&method];
        if !given.is_object() {
            let what = if method.is_empty() { "methods" } else { &method };
            return Err(Answer::refuse_identity(400, &format!("Expecting to find {what} in identity. {MALFORMED}")));
        }
        let scope = &body["auth"]["scope"];
        let (user, project, roles, credential) = match method.as_str() {
            "application_credential" => {
                let credential = self.credential(given, scope)?;
                let Credential { id, user, project, roles, .. } = credential.clone();
                (user, Some(project), roles, Some(id))
            }
            "password" => self.scoped(self.person(&given["user"])?, scope)?,
            "token" => {
                let user = self.token(given["id"].as_str()).map(|token| token.user.clone()).ok_or_else(unauthorized)?;
                let user = self.users.iter().find(|one| one.id == user).ok_or_else(unauthorized)?;
                self.scoped(user, scope)?
            }
            _ => return Err(unauthorized()),
        };
        let expires = self.clock + self.token_seconds;
        let token = Token { method, user, project, roles, credential, issued: self.clock, expires };
        let document = self.token_document(&token);
        let sent = self.next_token();
        self.tokens.insert(sent.clone(), token);
        Ok(Answer::json(201, &document).with("X-Subject-Token", sent))
    }

    fn credential(&self, given: &Value, scope: &Value) -> Result<&Credential, Answer> {
        let found = if let Some(id) = given["id"].as_str() {
            let found = self.credentials.iter().find(|one| one.id == id);
            found
                .ok_or_else(|| Answer::refuse_identity(404, &format!("Could not find Application Credential: {id}.")))?
        } else {
            let user = self.user(&given["user"]).ok_or_else(unauthorized)?;
            let name = text(given, "name");
            let found = self.credentials.iter().find(|one| one.name == name && one.user == user.id);
            found.ok_or_else(|| {
                Answer::refuse_identity(404, &format!("Could not find Application Credential: {name}."))
            })?
        };
        if text(given, "secret") != found.secret {
            return Err(unauthorized());
        }
        if !scope.is_null() {
            let message =
                "Error authenticating with application credential: Application credentials cannot request a scope.";
            let error = json!({"error": {"code": 401, "identity": {}, "message": message, "title": "Unauthorized"}});
            return Err(Answer::json(401, &error));
        }
        Ok(found)
    }

    fn user(&self, asked: &Value) -> Option<&User> {
        let named = |user: &&User| user.name == text(asked, "name") && is_domain(&user.domain, &asked["domain"]);
        self.users.iter().find(|user| asked["id"] == user.id || named(user))
    }

    fn person(&self, asked: &Value) -> Result<&User, Answer> {
        self.user(asked).filter(|user| user.password == text(asked, "password")).ok_or_else(unauthorized)
    }

    #[expect(clippy::type_complexity, reason = "user, project, roles, credential: the parts of a token")]
    fn scoped(
        &self,
        user: &User,
        scope: &Value,
    ) -> Result<(String, Option<String>, BTreeSet<String>, Option<String>), Answer> {
        if scope.is_null() {
            return Ok((user.id.clone(), None, BTreeSet::new(), None));
        }
        let asked = &scope["project"];
        let named =
            |project: &Project| project.name == text(asked, "name") && is_domain(&project.domain, &asked["domain"]);
        let project = self.projects.iter().find(|project| asked["id"] == project.id || named(project));
        let roles = project.and_then(|project| user.roles.get(&project.id).map(|roles| (project, roles)));
        let (project, roles) = roles.filter(|(_, roles)| !roles.is_empty()).ok_or_else(unauthorized)?;
        Ok((user.id.clone(), Some(project.id.clone()), roles.clone(), None))
    }

    fn token_document(&self, token: &Token) -> Value {
        let user = self.users.iter().find(|user| user.id == token.user);
        let (name, domain) = user.map_or(("", ""), |user| (&user.name, &user.domain));
        let mut document = json!({
            "methods": [token.method],
            "user": {"domain": {"id": domain_id(domain), "name": domain}, "id": token.user, "name": name, "password_expires_at": null},
            "audit_ids": ["UywBxHHKQwm_HhbPs0Z5UA"], "expires_at": time(token.expires), "issued_at": time(token.issued),
        });
        if let Some(project) = self.projects.iter().find(|project| Some(&project.id) == token.project.as_ref()) {
            let domain = &project.domain;
            document["project"] =
                json!({"domain": {"id": domain_id(domain), "name": domain}, "id": project.id, "name": project.name});
            document["is_domain"] = json!(false);
            let roles = token.roles.iter().map(|role| json!({"id": role_id(role), "name": role}));
            document["roles"] = roles.collect();
            document["catalog"] = self.catalogue();
        }
        if let Some(credential) = self.credentials.iter().find(|one| Some(&one.id) == token.credential.as_ref()) {
            document["application_credential"] =
                json!({"id": credential.id, "name": credential.name, "restricted": true});
        }
        json!({"token": document})
    }

    fn catalogue(&self) -> Value {
        let services: Vec<&str> = ["identity", "image"]
            .into_iter()
            .filter(|service| self.catalogue.iter().any(|endpoint| endpoint.service == *service))
            .collect();
        let service = |service: &str| {
            let own = self.catalogue.iter().enumerate().filter(|(_, endpoint)| endpoint.service == service);
            let endpoints: Value = own
                .map(|(number, endpoint)| {
                    json!({
                        "id": format!("{number:032x}"), "interface": endpoint.interface, "region_id": endpoint.region,
                        "url": endpoint.url, "region": endpoint.region,
                    })
                })
                .collect();
            let name = if service == "image" { "glance" } else { "keystone" };
            json!({"endpoints": endpoints, "id": format!("{:032x}", name.len()), "type": service, "name": name})
        };
        services.into_iter().map(service).collect()
    }

    fn validate(&self, request: &Request) -> Result<Answer, Answer> {
        self.asker(request)?;
        let subject = request.header("x-subject-token").unwrap_or_default();
        let token = self.token(Some(subject));
        let token = token.ok_or_else(|| Answer::refuse_identity(404, "Failed to validate token"))?;
        Ok(Answer::json(200, &self.token_document(token)).with("X-Subject-Token", subject))
    }

    fn project_list(&self, request: &Request, wanted: impl Fn(&Project) -> bool) -> Answer {
        let project = |project: &Project| {
            let domain = domain_id(&project.domain);
            json!({
                "id": project.id, "name": project.name, "domain_id": domain, "description": "", "enabled": true,
                "parent_id": domain, "is_domain": false, "tags": [], "options": {},
                "links": {"self": format!("{}/v3/projects/{}", self.identity_url, project.id)},
            })
        };
        let projects: Value = self.projects.iter().filter(|one| wanted(one)).map(project).collect();
        let own = format!("{}{}", self.identity_url, request.target);
        Answer::json(200, &json!({"projects": projects, "links": {"next": null, "self": own, "previous": null}}))
    }

    fn own_projects(&self, request: &Request) -> Result<Answer, Answer> {
        let asker = self.asker(request)?;
        let user = self.users.iter().find(|user| user.id == asker.user).ok_or_else(unauthorized)?;
        Ok(self.project_list(request, |project| user.roles.contains_key(&project.id)))
    }

    fn all_projects(&self, request: &Request) -> Result<Answer, Answer> {
        let asker = self.asker(request)?;
        if !asker.roles.contains("admin") {
            return Err(forbidden("identity:list_projects"));
        }
        let query = request.query();
        let name = query.iter().find(|(name, _)| name == "name").map(|(_, name)| name);
        Ok(self.project_list(request, |project| name.is_none_or(|name| project.name == *name)))
    }
}
