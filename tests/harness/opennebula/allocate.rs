//! `one.image.allocate`, in the order of checks that recorded servers show.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;

use super::acl::Asked;
use super::authorise::Right;
use super::pull;
use super::template::parse_template;
use super::world::{Dialect, Due, File, Image, Refusal, State, User, World};

/// Attributes that become fields of the image and leave the template.
const FIELDS: [&str; 6] = ["NAME", "PATH", "SOURCE", "TYPE", "SIZE", "PERSISTENT"];

/// Those that do since 6.0.
const NEW_FIELDS: [&str; 3] = ["FORMAT", "FS", "DRIVER"];

/// What a name may not have.
const FORBIDDEN: &[char] = &['&', '|', ':', '\\', '"', ';', '/', '\'', '#', '{', '}', '$', '<', '>'];

/// Why a text is no name.
pub(super) fn invalid_name(name: &str, dialect: Dialect) -> Option<String> {
    let control = |c: &char| dialect == Dialect::V7_4 && ('\t'..='\r').contains(c);
    if name.is_empty() {
        return Some("Invalid NAME, it cannot be empty".to_owned());
    }
    if name.len() > 128 {
        return Some("Invalid NAME, max length is 128 chars".to_owned());
    }
    let bad = name.chars().find(|c| FORBIDDEN.contains(c) || control(c))?;
    Some(format!("Invalid NAME, char '{bad}' is not allowed"))
}

impl World {
    pub(super) fn allocate(&mut self, user: &User, template: &str, datastore: i64) -> Result<u32, Refusal> {
        let template = parse_template(template).map_err(|error| Refusal::new(8192, error.0))?;
        let template: BTreeMap<String, String> = template.into_iter().collect();
        let field = |name: &str| template.get(name).map(String::as_str).unwrap_or_default();
        let chosen = u32::try_from(datastore).ok().and_then(|id| self.datastores.get(&id)).cloned();
        let chosen = chosen.ok_or_else(|| Refusal::missing("datastore", datastore))?;
        let refused = |text: &str| Refusal::new(16384, format!("Error allocating a new image. {text}"));
        if chosen.kind == 1 {
            return Err(refused(match self.dialect {
                Dialect::V5_12 => "New images cannot be allocated in a system datastore.",
                Dialect::V7_4 => "New images can only be allocated in a files or image datastore.",
            }));
        }
        let file = if field("SOURCE").is_empty() {
            self.stat(field("PATH"), field("SIZE"), field("FORMAT"))?
        } else {
            let size_mb = field("SIZE").parse().unwrap_or(1);
            File { size_mb, format: field("FORMAT").to_owned(), ..File::default() }
        };
        if file.size_mb > chosen.free_mb {
            return Err(Refusal::new(2048, "Not enough space in datastore"));
        }
        self.may_create(user, &template, chosen.id)?;
        if let Some(text) = self.contradiction(field("PATH"), field("SOURCE"), field("FORMAT")) {
            return Err(refused(text));
        }
        let name = self.trimmed(field("NAME"));
        if let Some(text) = invalid_name(name, self.dialect) {
            return Err(refused(&text));
        }
        let kind = kind(field("TYPE")).ok_or_else(|| refused("Unknown type "))?;
        match (chosen.kind, kind) {
            (0, 3..=5) => {
                return Err(refused(
                    "IMAGES of type KERNEL, RAMDISK and CONTEXT cannot be registered in an IMAGE_DS datastore",
                ));
            }
            (2, 0..=2) => {
                return Err(refused(
                    "Only IMAGES of type KERNEL, RAMDISK and CONTEXT can be registered in a FILE_DS datastore",
                ));
            }
            _ => {}
        }
        if let Some(holder) = self.find(name, user.id) {
            return Err(refused(&format!("NAME is already taken by IMAGE {}.", holder.id)));
        }
        Ok(self.insert(user, &template, (chosen.id, kind), &file))
    }

    /// Blanks around a name are cut off; those before it since 6.0.
    fn trimmed<'a>(&self, name: &'a str) -> &'a str {
        match self.dialect {
            Dialect::V5_12 => name.trim_end(),
            Dialect::V7_4 => name.trim(),
        }
    }

    fn contradiction(&self, path: &str, source: &str, format: &str) -> Option<&'static str> {
        match (self.dialect, path.is_empty(), source.is_empty()) {
            (Dialect::V5_12, false, false) => Some("Template malformed, PATH and SOURCE are mutually exclusive."),
            (Dialect::V7_4, false, false) => Some("PATH and SOURCE cannot be both set."),
            (Dialect::V7_4, true, false) if format.is_empty() => Some("SOURCE needs FORMAT to be set."),
            (_, _, true) | (_, true, false) => None,
        }
    }

    /// The size and format of what is to be copied, as the driver finds them before anything is registered.
    fn stat(&self, path: &str, size: &str, format: &str) -> Result<File, Refusal> {
        let unreadable = |text: String| Refusal::new(8192, format!("Cannot parse image SIZE: {text}"));
        if path.is_empty() {
            let size_mb = size.parse().map_err(|_| unreadable("Wrong number or missing SIZE attribute.".to_owned()))?;
            let format = if format.is_empty() { "raw" } else { format }.to_owned();
            return Ok(File { size_mb, format, ..File::default() });
        }
        let below =
            || self.datastores.values().flat_map(|datastore| &datastore.safe_dirs).any(|dir| path.starts_with(dir));
        let any = || self.any_file.clone().filter(|_| below() || path.starts_with("http"));
        let remote = || self.pulls(path).then(|| pull::look(path)).flatten();
        let file = self.files.get(path).cloned().or_else(|| on_disk(path)).or_else(remote).or_else(any);
        let file = file.ok_or_else(|| match (self.dialect, path.starts_with("http")) {
            (Dialect::V7_4, false) => unreadable(format!("cannot access '{path}' (No such file or directory)")),
            (Dialect::V7_4, true) => unreadable(format!("cannot access '{path}' (Permission denied)")),
            (Dialect::V5_12, false) => unreadable("File not found".to_owned()),
            (Dialect::V5_12, true) => unreadable("Failed to get image head".to_owned()),
        })?;
        if let Some(text) = file.unreadable {
            return Err(unreadable(text));
        }
        if file.size_mb == 0 {
            return Err(unreadable("Runtime error during size estimation".to_owned()));
        }
        Ok(file)
    }

    /// Whether what is at a path is really fetched: where nothing else says what it is.
    pub(super) fn pulls(&self, path: &str) -> bool {
        path.starts_with("http://") && self.any_file.is_none() && !self.files.contains_key(path)
    }

    fn may_create(&self, user: &User, template: &BTreeMap<String, String>, datastore: u32) -> Result<(), Refusal> {
        let refused = |text: &str| Refusal::new(512, format!("User [{}] : {text}", user.id));
        if let Some(name) = self.restricted(user, template.keys()) {
            return Err(refused(&format!("Template includes a restricted attribute {name}.")));
        }
        let asked = Asked { kind: "IMAGE", id: None, gid: user.gid };
        if !user.is_admin() && !self.is_granted(user, asked, Right::Create) {
            return Err(refused("Not authorized to perform CREATE IMAGE."));
        }
        self.check_quota(user.id, datastore).map_err(|text| refused(&text))
    }

    /// The attribute that a user may not write, if there is one among these.
    pub(super) fn restricted<'a>(
        &self,
        user: &User,
        mut names: impl Iterator<Item = &'a String>,
    ) -> Option<&'a String> {
        names.find(|name| !user.is_admin() && self.restricted.contains(*name))
    }

    pub(super) fn check_quota(&self, uid: u32, datastore: u32) -> Result<(), String> {
        let Some(limit) = self.users.get(&uid).and_then(|user| user.image_quota) else { return Ok(()) };
        let count = self.images.values().filter(|image| image.uid == uid && image.datastore == datastore).count();
        if count < limit {
            return Ok(());
        }
        Err(format!("user [{uid}] limit of {limit} reached for IMAGES quota in DATASTORE with ID: {datastore}."))
    }

    fn insert(&mut self, user: &User, template: &BTreeMap<String, String>, place: (u32, u32), file: &File) -> u32 {
        let field = |name: &str| template.get(name).cloned().unwrap_or_default();
        let (id, (datastore, kind)) = (self.next_image, place);
        self.next_image += 1;
        let kept = |name: &str| {
            let dropped = self.dialect == Dialect::V7_4 && NEW_FIELDS.contains(&name);
            !FIELDS.contains(&name) && !dropped
        };
        let mut attributes: BTreeMap<_, _> =
            template.iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
        match (kind, self.dialect) {
            (1, Dialect::V7_4) => drop(attributes.remove("DEV_PREFIX")),
            (1, Dialect::V5_12) => drop(attributes.entry("DEV_PREFIX".to_owned()).or_insert_with(|| "hd".to_owned())),
            _ => drop(attributes.entry("DEV_PREFIX".to_owned()).or_insert_with(|| "sd".to_owned())),
        }
        let source = field("SOURCE");
        let umask = user.umask.unwrap_or(0o177);
        let base = if user.is_admin() { 0o777 } else { 0o666 };
        let image = Image {
            id,
            name: self.trimmed(&field("NAME")).to_owned(),
            uid: user.id,
            gid: user.gid,
            permissions: base & !umask,
            kind,
            persistent: field("PERSISTENT").eq_ignore_ascii_case("YES"),
            registered: self.clock,
            modified: self.clock,
            state: if source.is_empty() { State::Locked } else { State::Ready },
            path: field("PATH"),
            format: file.format.clone(),
            size_mb: file.size_mb,
            datastore,
            vms: BTreeSet::new(),
            lock: None,
            due: if source.is_empty() { self.copied(&field("PATH"), template, file, datastore) } else { None },
            attributes,
            source,
        };
        self.images.insert(id, image);
        id
    }

    /// When the copy ends, and how.
    fn copied(
        &self,
        path: &str,
        template: &BTreeMap<String, String>,
        file: &File,
        datastore: u32,
    ) -> Option<(i64, Due)> {
        let safe = self.datastores.get(&datastore).map(|datastore| datastore.safe_dirs.clone()).unwrap_or_default();
        let allowed =
            path.is_empty() || path.starts_with("http") || safe.iter().any(|dir| path.starts_with(dir.as_str()));
        let differs = |name: &str, sum: &Option<String>| match (template.get(name), sum) {
            (Some(given), Some(found)) => given != found,
            (None, _) | (_, None) => false,
        };
        // With both, only SHA1 is looked at; compared as text, so capitals fail.
        let wrong = if template.contains_key("SHA1") { differs("SHA1", &file.sha1) } else { differs("MD5", &file.md5) };
        let failure = if !allowed {
            Some(format!("Not allowed to copy image from {path}, check RESTRICTED_DIRS in your datastore"))
        } else if wrong {
            Some(format!("Error copying {path} to {}", self.source(self.next_image)))
        } else {
            self.copy_failure.clone()
        };
        let at = self.clock + self.copy_seconds?;
        Some((at, failure.map_or(Due::Copied, Due::Failed)))
    }
}

/// A file that is really there, so that the stand-in can be used from a shell.
fn on_disk(path: &str) -> Option<File> {
    let bytes = std::fs::read(path).ok()?;
    let hash = openssl::hash::hash(openssl::hash::MessageDigest::sha1(), &bytes).ok()?;
    let size_mb = u64::try_from(bytes.len()).ok()?.div_ceil(1 << 20);
    let format = if bytes.starts_with(b"QFI\xfb") { "qcow2" } else { "raw" };
    Some(File { size_mb, format: format.to_owned(), sha1: Some(HEXLOWER.encode(&hash)), ..File::default() })
}

/// The number of an image type.
pub(super) fn kind(text: &str) -> Option<u32> {
    match text.to_uppercase().as_str() {
        "" | "OS" => Some(0),
        "CDROM" => Some(1),
        "DATABLOCK" => Some(2),
        "KERNEL" => Some(3),
        "RAMDISK" => Some(4),
        "CONTEXT" => Some(5),
        _ => None,
    }
}
