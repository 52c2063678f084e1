//! What a cloud holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::acl::Rule;
use super::pull;

/// Which server is stood in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// 5.12.12.
    V5_12,
    /// 7.4.0.
    V7_4,
}

/// `oneadmin`, user and group.
pub const ONEADMIN: u32 = 0;

/// Image states, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are OpenNebula's")]
pub enum State {
    Ready = 1,
    Used = 2,
    Disabled = 3,
    Locked = 4,
    Error = 5,
    Delete = 7,
    UsedPersistent = 8,
    LockedUsed = 9,
}

impl State {
    /// As error texts print it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Used | Self::UsedPersistent => "USED",
            Self::Disabled => "DISABLED",
            Self::Locked => "LOCKED",
            Self::Error => "ERROR",
            Self::Delete => "DELETE",
            Self::LockedUsed => "LOCKED_USED",
        }
    }
}

/// A user's lock on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// 1 use, 2 manage, 3 administer, 4 all.
    pub level: u32,
    /// Whose.
    pub owner: u32,
    /// Since when.
    pub time: i64,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are OpenNebula's")]
pub struct Image {
    pub id: u32,
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub permissions: u16,
    pub kind: u32,
    pub persistent: bool,
    pub registered: i64,
    pub modified: i64,
    pub source: String,
    pub path: String,
    pub format: String,
    pub size_mb: u64,
    pub state: State,
    pub datastore: u32,
    pub vms: BTreeSet<u32>,
    pub lock: Option<Lock>,
    pub attributes: BTreeMap<String, String>,
    /// What happens to it by itself, and when.
    pub due: Option<(i64, Due)>,
}

impl Image {
    /// Owner, group and mode.
    pub fn owner_and_mode(&self) -> (u32, u32, u16) {
        (self.uid, self.gid, self.permissions)
    }
}

/// What becomes of an image by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// The copy is done: READY, or USED where VMs waited.
    Copied,
    /// The copy failed, for this reason.
    Failed(String),
    /// The removal is done.
    Gone,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are OpenNebula's")]
pub struct User {
    pub id: u32,
    pub name: String,
    pub password: String,
    pub gid: u32,
    pub groups: BTreeSet<u32>,
    pub umask: Option<u16>,
    /// The most images in datastore 1.
    pub image_quota: Option<usize>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are OpenNebula's")]
pub struct Group {
    pub id: u32,
    pub name: String,
}

/// A datastore.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are OpenNebula's")]
pub struct Datastore {
    pub id: u32,
    pub name: String,
    pub kind: u32,
    pub free_mb: u64,
    pub safe_dirs: Vec<String>,
}

/// A file as the datastore's driver sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "plain values")]
pub struct File {
    pub size_mb: u64,
    pub format: String,
    pub sha1: Option<String>,
    pub md5: Option<String>,
    /// What the driver says instead of its size.
    pub unreadable: Option<String>,
}

/// Why a call is refused: code, text without the `[method] ` before it, object id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 256 … 65536.
    pub code: i64,
    /// What is said.
    pub text: String,
    /// The fourth item.
    pub object: i64,
}

impl Refusal {
    pub(super) fn new(code: i64, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), object: -1 }
    }

    pub(super) fn missing(what: &str, id: i64) -> Self {
        let text = if id < 0 { format!("Error getting {what} Pool.") } else { format!("Error getting {what} [{id}].") };
        Self { code: 1024, text, object: id.max(-1) }
    }
}

/// The whole cloud.
#[derive(Debug, Clone)]
pub struct World {
    /// Which server.
    pub dialect: Dialect,
    /// Seconds since 1970; only [`World::advance`] moves it.
    pub clock: i64,
    /// The id of the next image.
    pub next_image: u32,
    /// All images.
    pub images: BTreeMap<u32, Image>,
    /// All users.
    pub users: BTreeMap<u32, User>,
    /// All groups.
    pub groups: BTreeMap<u32, Group>,
    /// What users may do besides what permission bits say.
    pub(super) rules: Vec<Rule>,
    /// `IMAGE_RESTRICTED_ATTR`: attributes that administrators alone may write.
    pub restricted: BTreeSet<String>,
    /// All datastores.
    pub datastores: BTreeMap<u32, Datastore>,
    /// Files by path or URL.
    pub files: BTreeMap<String, File>,
    /// What any other path below a safe directory is; none: it does not exist.
    pub any_file: Option<File>,
    /// How long a copy takes; none: for ever.
    pub copy_seconds: Option<i64>,
    /// Images whose state is a word that nobody knows.
    pub garbled: BTreeSet<u32>,
    /// What every copy ends with instead of READY.
    pub copy_failure: Option<String>,
    /// How long it takes from one read of the pool to the next.
    pub read_seconds: i64,
    /// How long a removal takes.
    pub removal_seconds: i64,
}

impl World {
    /// A fresh cloud: `oneadmin`, `serveradmin`, groups `oneadmin` and `users`, datastores `system`, `default`, `files`.
    pub fn new(dialect: Dialect) -> Self {
        let mut world = Self {
            dialect,
            clock: 1_795_314_000,
            next_image: 0,
            images: BTreeMap::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            rules: Vec::new(),
            restricted: BTreeSet::from(["SOURCE".to_owned()]),
            datastores: BTreeMap::new(),
            files: BTreeMap::new(),
            any_file: Some(File { size_mb: 10, format: "qcow2".to_owned(), ..File::default() }),
            copy_seconds: Some(0),
            garbled: BTreeSet::new(),
            copy_failure: None,
            read_seconds: 0,
            removal_seconds: 0,
        };
        for (id, name) in [(0, "oneadmin"), (1, "users")] {
            world.groups.insert(id, Group { id, name: name.to_owned() });
        }
        world.allow("@1 VM+NET+IMAGE+TEMPLATE+DOCUMENT+SECGROUP/* CREATE");
        world.add_user(0, "oneadmin", "opennebula-test", 0);
        world.add_user(1, "serveradmin", "unknown", 0);
        for (id, name, kind) in [(0, "system", 1), (1, "default", 0), (2, "files", 2)] {
            let safe_dirs = vec!["/var/tmp".to_owned(), "/var/lib/vmcatcher".to_owned()];
            let free_mb = if kind == 1 { 0 } else { 58422 };
            world.datastores.insert(id, Datastore { id, name: name.to_owned(), kind, free_mb, safe_dirs });
        }
        world
    }

    /// The datastore for images reads what is really below this folder, and nothing else.
    pub fn reads(&mut self, folder: &Path) {
        self.any_file = None;
        self.datastores.get_mut(&1).unwrap().safe_dirs = vec![folder.display().to_string()];
    }

    /// Adds a user with a primary group.
    pub fn add_user(&mut self, id: u32, name: &str, password: &str, gid: u32) {
        let (name, password) = (name.to_owned(), password.to_owned());
        let groups = BTreeSet::from([gid]);
        self.users.insert(id, User { id, name, password, gid, groups, umask: None, image_quota: None });
    }

    /// Adds a group whose members may create images.
    pub fn add_group(&mut self, id: u32, name: &str) {
        self.groups.insert(id, Group { id, name: name.to_owned() });
        self.allow(&format!("@{id} IMAGE/* CREATE"));
    }

    /// Lets time pass, and what is due happen.
    pub fn advance(&mut self, seconds: i64) {
        self.clock += seconds;
        self.settle();
    }

    /// What is due by now happens.
    pub(super) fn settle(&mut self) {
        let due = |image: &Image| image.due.as_ref().is_some_and(|(at, _)| *at <= self.clock);
        let ids: Vec<u32> = self.images.values().filter(|image| due(image)).map(|image| image.id).collect();
        for id in ids {
            self.happen(id);
        }
    }

    fn happen(&mut self, id: u32) {
        let source = self.source(id);
        let pulls = self.images.get(&id).is_some_and(|image| self.pulls(&image.path));
        let Some(image) = self.images.get_mut(&id) else { return };
        let mut due = image.due.take();
        if let (true, Some((at, Due::Copied))) = (pulls, &due)
            && let Err(reason) = pull::copy(&image.path, image.attributes.get("SHA1"))
        {
            let path = &image.path;
            due = Some((*at, Due::Failed(format!("Error copying {path} to {source}: {reason}"))));
        }
        match due.map(|(_, due)| due) {
            Some(Due::Gone) => {
                self.images.remove(&id);
            }
            Some(Due::Copied) => {
                image.source = source;
                let used = if image.persistent { State::UsedPersistent } else { State::Used };
                image.state = if image.vms.is_empty() { State::Ready } else { used };
                image.lock = None;
            }
            Some(Due::Failed(reason)) => {
                image.state = State::Error;
                let text = format!("Sun Nov 22 02:22:15 2026 : Error copying image in the datastore: {reason}");
                image.attributes.insert("ERROR".to_owned(), text);
            }
            None => {}
        }
    }

    /// Where the datastore keeps an image's bytes.
    pub(super) fn source(&self, id: u32) -> String {
        let datastore = self.images.get(&id).map_or(1, |image| image.datastore);
        let install = match self.dialect {
            Dialect::V5_12 => "install512",
            Dialect::V7_4 => "install",
        };
        format!("/srv/one/{install}/var//datastores/{datastore}/{id:032x}")
    }

    /// An image by name and owner, as a person finds it.
    pub fn find(&self, name: &str, uid: u32) -> Option<&Image> {
        self.images.values().find(|image| image.name == name && image.uid == uid)
    }

    /// All images of a name, whoever owns them.
    pub fn named(&self, name: &str) -> Vec<&Image> {
        self.images.values().filter(|image| image.name == name).collect()
    }

    /// The image, which must be there.
    ///
    /// # Panics
    /// When it is not.
    pub fn image(&mut self, id: u32) -> &mut Image {
        self.images.get_mut(&id).unwrap_or_else(|| panic!("no image {id}"))
    }

    /// A VM takes an image.
    pub fn start_vm(&mut self, id: u32, vm: u32) {
        let image = self.image(id);
        image.vms.insert(vm);
        image.lock = None;
        image.state = match image.state {
            State::Locked | State::LockedUsed => State::LockedUsed,
            _ if image.persistent => State::UsedPersistent,
            _ => State::Used,
        };
    }

    /// All VMs of an image end.
    pub fn stop_vms(&mut self, id: u32) {
        let image = self.image(id);
        image.vms.clear();
        image.state = State::Ready;
    }

    /// Puts an image there as if it had been registered by hand: READY, owned by this user and group, no attributes.
    pub fn put(&mut self, name: &str, uid: u32, gid: u32, permissions: u16) -> u32 {
        let id = self.next_image;
        self.next_image += 1;
        let image = Image {
            id,
            name: name.to_owned(),
            uid,
            gid,
            permissions,
            kind: 0,
            persistent: false,
            registered: self.clock,
            modified: self.clock,
            source: self.source(id),
            path: "/var/lib/vmcatcher/by-hand".to_owned(),
            format: "qcow2".to_owned(),
            size_mb: 10,
            state: State::Ready,
            datastore: 1,
            vms: BTreeSet::new(),
            lock: None,
            attributes: BTreeMap::from([("DEV_PREFIX".to_owned(), "sd".to_owned())]),
            due: None,
        };
        self.images.insert(id, image);
        id
    }
}
