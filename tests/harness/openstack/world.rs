//! What a cloud holds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::import::{Fetch, Task};
use super::keystone::Token;
use super::projects::{self, Credential, Endpoint, Project, User};
use super::quota::Limits;

/// A project that an image is shared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The project's id.
    pub project: String,
    /// `pending`, `accepted` or `rejected`.
    pub status: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Seconds since 1970.
    pub updated: i64,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Glance's")]
pub struct Image {
    pub id: Uuid,
    pub name: Option<String>,
    pub owner: String,
    /// `queued`, `saving`, `uploading`, `importing`, `active`, `deactivated`, `killed`, `pending_delete`, or what no Glance knows.
    pub status: String,
    /// `private`, `shared`, `community`, `public`.
    pub visibility: String,
    pub protected: bool,
    pub os_hidden: bool,
    pub tags: BTreeSet<String>,
    pub disk_format: Option<String>,
    pub container_format: Option<String>,
    pub size: Option<u64>,
    pub virtual_size: Option<u64>,
    /// MD5. After a refused upload it can be there while the image is queued.
    pub checksum: Option<String>,
    /// SHA-512, with the same warning.
    pub os_hash_value: Option<String>,
    pub min_ram: u64,
    pub min_disk: u64,
    /// Seconds since 1970.
    pub created: i64,
    /// Seconds since 1970.
    pub updated: i64,
    pub properties: BTreeMap<String, String>,
    pub members: Vec<Member>,
    /// Whether a volume or an instance needs its bytes: deletion is then refused.
    pub in_use: bool,
    /// Whether the store has bytes of it.
    pub stored: bool,
    /// The bytes, if there are not more than 64 MiB.
    pub data: Option<Arc<[u8]>>,
}

impl Image {
    /// A queued one without a format, as a creation without a body makes it.
    pub fn new(id: Uuid, owner: &str, time: i64) -> Self {
        Self {
            id,
            name: None,
            owner: owner.to_owned(),
            status: "queued".to_owned(),
            visibility: "shared".to_owned(),
            protected: false,
            os_hidden: false,
            tags: BTreeSet::new(),
            disk_format: None,
            container_format: None,
            size: None,
            virtual_size: None,
            checksum: None,
            os_hash_value: None,
            min_ram: 0,
            min_disk: 0,
            created: time,
            updated: time,
            properties: BTreeMap::new(),
            members: Vec::new(),
            in_use: false,
            stored: false,
            data: None,
        }
    }

    /// As Glance writes it.
    pub(super) fn document(&self) -> Value {
        let mut document: Map<String, Value> =
            self.properties.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let own = format!("/v2/images/{}", self.id);
        let Value::Object(known) = json!({
            "name": self.name, "disk_format": self.disk_format, "container_format": self.container_format,
            "visibility": self.visibility, "size": self.size, "virtual_size": self.virtual_size, "status": self.status,
            "checksum": self.checksum, "protected": self.protected, "min_ram": self.min_ram, "min_disk": self.min_disk,
            "owner": self.owner, "os_hidden": self.os_hidden,
            "os_hash_algo": self.os_hash_value.as_ref().map(|_| "sha512"), "os_hash_value": self.os_hash_value,
            "id": self.id, "created_at": time(self.created), "updated_at": time(self.updated), "tags": self.tags,
            "self": own, "file": format!("{own}/file"), "schema": "/v2/schemas/image",
        }) else {
            unreachable!("it is an object")
        };
        document.extend(known);
        if self.stored && self.status != "deactivated" {
            document.insert("stores".to_owned(), json!("local"));
        }
        Value::Object(document)
    }
}

/// As Glance writes a time.
pub(super) fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).expect("a time").strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The whole cloud.
#[derive(Debug, Clone)]
pub struct World {
    /// Seconds since 1970: the time of its start; only [`World::advance`] moves it.
    pub clock: i64,
    /// Keystone's address, without a path.
    pub identity_url: String,
    /// Glance's address, without a path.
    pub image_url: String,
    /// All projects.
    pub projects: Vec<Project>,
    /// All users.
    pub users: Vec<User>,
    /// All application credentials.
    pub credentials: Vec<Credential>,
    /// By what clients send.
    pub tokens: BTreeMap<String, Token>,
    /// How long a token lasts.
    pub token_seconds: i64,
    /// What the catalogue in a token has.
    pub catalogue: Vec<Endpoint>,
    /// All images.
    pub images: BTreeMap<Uuid, Image>,
    /// All ids that were ever used: none can be used again.
    pub used: BTreeSet<Uuid>,
    /// All tasks of imports.
    pub tasks: Vec<Task>,
    /// Of each project.
    pub limits: Limits,
    /// Images of a page where the client asks for no number.
    pub page_size: usize,
    /// The most images of a page.
    pub page_limit: usize,
    /// The most properties of an image.
    pub property_limit: usize,
    /// What may be created, in the order in which the server names it.
    pub disk_formats: Vec<String>,
    /// How bytes can come besides by upload.
    pub import_methods: Vec<String>,
    /// What `web-download` may fetch from; empty: any.
    pub import_ports: Vec<u16>,
    /// Whether an owner may deactivate an image; older clouds let administrators only.
    pub owner_may_deactivate: bool,
    /// Whether a member may make an image public.
    pub member_may_publicise: bool,
    /// Ids that the next images and tasks get.
    pub coming_ids: VecDeque<Uuid>,
    /// Tokens that the next logins get.
    pub coming_tokens: VecDeque<String>,
    /// Imports that have begun and whose bytes are to be fetched.
    pub(super) fetches: Vec<Fetch>,
    /// The number of the last upload.
    pub(super) uploads: u64,
    /// The upload that is under way for an image.
    pub(super) running: BTreeMap<Uuid, u64>,
    counter: u128,
}

impl World {
    /// A fresh cloud without images: projects, users and credentials as `projects` has them.
    pub fn new(identity_url: &str, image_url: &str) -> Self {
        Self {
            clock: Timestamp::now().as_second(),
            identity_url: identity_url.to_owned(),
            image_url: image_url.to_owned(),
            projects: projects::projects(),
            users: projects::users(),
            credentials: projects::credentials(),
            tokens: BTreeMap::new(),
            token_seconds: 3600,
            catalogue: projects::catalogue(identity_url, image_url),
            images: BTreeMap::new(),
            used: BTreeSet::new(),
            tasks: Vec::new(),
            limits: Limits::default(),
            page_size: 25,
            page_limit: 1000,
            property_limit: 128,
            disk_formats: ["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"]
                .map(str::to_owned)
                .to_vec(),
            import_methods: ["glance-direct", "web-download", "copy-image"].map(str::to_owned).to_vec(),
            import_ports: Vec::new(),
            owner_may_deactivate: true,
            member_may_publicise: false,
            coming_ids: VecDeque::new(),
            coming_tokens: VecDeque::new(),
            fetches: Vec::new(),
            uploads: 0,
            running: BTreeMap::new(),
            counter: 0,
        }
    }

    /// Everything is as it was then; but clients stay logged in, and what is under way from later on has no effect.
    pub fn restore(&mut self, then: &Self) {
        let now = std::mem::replace(self, then.clone());
        self.tokens = now.tokens;
        (self.uploads, self.counter) = (now.uploads, now.counter);
    }

    /// Lets time pass.
    pub fn advance(&mut self, seconds: i64) {
        self.clock += seconds;
    }

    /// All tokens end.
    pub fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    /// An id that no image had: the next of a fixed series.
    pub(super) fn next_id(&mut self) -> Uuid {
        self.coming_ids.pop_front().unwrap_or_else(|| {
            self.counter += 1;
            uuid::Builder::from_random_bytes((self.counter << 64 | self.counter).to_be_bytes()).into_uuid()
        })
    }

    pub(super) fn next_token(&mut self) -> String {
        self.coming_tokens.pop_front().unwrap_or_else(|| {
            self.counter += 1;
            format!("gAAAAAB{:x}", self.counter)
        })
    }

    /// Puts an image there as if a person had uploaded it: active, raw, four bytes, shared, without properties.
    pub fn put(&mut self, name: &str, owner: &str) -> Uuid {
        let id = self.next_id();
        let image = Image {
            name: Some(name.to_owned()),
            disk_format: Some("raw".to_owned()),
            container_format: Some("bare".to_owned()),
            ..Image::new(id, owner, self.clock)
        };
        self.used.insert(id);
        self.images.insert(id, image);
        self.fill(id, b"hand");
        id
    }

    /// The image, which must be there.
    ///
    /// # Panics
    /// When it is not.
    pub fn image(&mut self, id: Uuid) -> &mut Image {
        self.images.get_mut(&id).unwrap_or_else(|| panic!("no image {id}"))
    }

    /// All images of a name, whoever owns them.
    pub fn named(&self, name: &str) -> Vec<&Image> {
        self.images.values().filter(|image| image.name.as_deref() == Some(name)).collect()
    }
}
