//! Images, datastores and owners in OpenNebula's documents (XSD of `one.imagepool.info` and others).

use std::collections::BTreeMap;

pub use image::{Image, ImageState, Lock};
pub use permissions::Permissions;

use super::xmlrpc::ValueError;
use crate::xml::{Element, Limits, XmlError, each_child, parse};

mod image;
mod permissions;

/// The limits of one object. An image contains the ids of its VMs, so it may have many elements, but it is never deep.
const OBJECT: Limits = Limits { depth: 12, elements: 200_000 };

/// The maximum number of objects in one pool.
const POOL: usize = 200_000;

/// The id and the name of a user or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `ID`.
    pub id: u32,
    /// `NAME`.
    pub name: String,
}

/// The user of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `ID`; 0 is `oneadmin`.
    pub id: u32,
    /// `NAME`.
    pub name: String,
    /// `GID`, the primary group; 0 is `oneadmin`.
    pub gid: u32,
    /// `GNAME`.
    pub gname: String,
    /// All groups.
    pub groups: Vec<u32>,
}

impl User {
    /// Whether it is `oneadmin` or in its group. These users may do everything.
    pub fn is_administrator(&self) -> bool {
        const ONEADMIN: u32 = 0;
        self.id == ONEADMIN || self.gid == ONEADMIN || self.groups.contains(&ONEADMIN)
    }
}

/// A datastore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datastore {
    /// `ID`.
    pub id: u32,
    /// `NAME`.
    pub name: String,
    /// `TYPE`: 0 is for images, 1 is a system datastore, 2 is for files.
    pub kind: u32,
    /// `FREE_MB`, as last measured; 0 for some minutes after the server's start.
    pub free_mb: u64,
    /// `SAFE_DIRS` of its template: directories images may be read from.
    pub safe_dirs: Option<String>,
    /// `RESTRICTED_DIRS` of its template.
    pub restricted_dirs: Option<String>,
}

/// The images of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImagePool {
    /// The readable images.
    pub images: Vec<Image>,
    /// The images with a field that cannot be parsed.
    pub unreadable: Vec<Unreadable>,
}

/// An image whose document lacks a field, or has one of the wrong type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// `ID`.
    pub id: u32,
    /// The leaves of `TEMPLATE`.
    pub attributes: BTreeMap<String, String>,
    /// The error.
    pub error: ValueError,
}

/// Parses the images of a pool. An unreadable image does not affect the others. An image without an id makes the whole
/// pool unreadable, because it could be any image.
pub fn read_images(text: &str) -> Result<ImagePool, ValueError> {
    let mut pool = ImagePool::default();
    let read = read_pool(text, "IMAGE_POOL", "IMAGE", |element| {
        let id = number(element, "ID")?;
        Ok(Image::from_element(element).map_err(|error| Unreadable { id, attributes: attributes(element), error }))
    })?;
    for image in read {
        match image {
            Ok(image) => pool.images.push(image),
            Err(unreadable) => pool.unreadable.push(unreadable),
        }
    }
    Ok(pool)
}

/// Parses one image.
pub fn read_image(text: &str) -> Result<Image, ValueError> {
    Image::from_element(&root(text, "IMAGE")?)
}

/// Parses the users of a pool. Their hashed passwords in the document are not kept.
pub fn read_users(text: &str) -> Result<Vec<Named>, ValueError> {
    read_pool(text, "USER_POOL", "USER", named)
}

/// Parses the groups of a pool.
pub fn read_groups(text: &str) -> Result<Vec<Named>, ValueError> {
    read_pool(text, "GROUP_POOL", "GROUP", named)
}

/// Parses the datastores of a pool.
pub fn read_datastores(text: &str) -> Result<Vec<Datastore>, ValueError> {
    read_pool(text, "DATASTORE_POOL", "DATASTORE", |element| {
        let template = element.child("TEMPLATE");
        let text = |name| template.and_then(|template| template.child(name)).map(|child| child.text.clone());
        Ok(Datastore {
            id: number(element, "ID")?,
            name: required(element, "NAME")?,
            kind: number(element, "TYPE")?,
            free_mb: number(element, "FREE_MB")?,
            safe_dirs: text("SAFE_DIRS"),
            restricted_dirs: text("RESTRICTED_DIRS"),
        })
    })
}

/// Parses one user.
pub fn read_user(text: &str) -> Result<User, ValueError> {
    let element = root(text, "USER")?;
    let groups = element.child("GROUPS").map(|groups| groups.children.as_slice()).unwrap_or_default();
    Ok(User {
        id: number(&element, "ID")?,
        name: required(&element, "NAME")?,
        gid: number(&element, "GID")?,
        gname: required(&element, "GNAME")?,
        groups: groups.iter().filter_map(|group| group.text.trim().parse().ok()).collect(),
    })
}

fn root(text: &str, name: &'static str) -> Result<Element, ValueError> {
    let element = parse(text, OBJECT)?;
    if element.name == name { Ok(element) } else { Err(ValueError::unexpected(name, &element.name)) }
}

fn read_pool<T>(
    text: &str,
    pool: &'static str,
    item: &'static str,
    read: impl Fn(&Element) -> Result<T, ValueError>,
) -> Result<Vec<T>, ValueError> {
    let mut objects = Vec::new();
    let mut failure = None;
    let name = each_child(text, OBJECT, |element| {
        if element.name != item || failure.is_some() {
            return; // QUOTAS stands between the users of a pool
        }
        if objects.len() == POOL {
            failure = Some(ValueError::Xml(XmlError::TooMuch { limit: POOL, what: "objects in a pool" }));
            return;
        }
        match read(&element) {
            Ok(object) => objects.push(object),
            Err(error) => failure = Some(error),
        }
    })?;
    match failure {
        Some(error) => Err(error),
        None if name == pool => Ok(objects),
        None => Err(ValueError::unexpected(pool, &name)),
    }
}

fn named(element: &Element) -> Result<Named, ValueError> {
    Ok(Named { id: number(element, "ID")?, name: required(element, "NAME")? })
}

fn required(element: &Element, name: &'static str) -> Result<String, ValueError> {
    element.child(name).map(|child| child.text.clone()).ok_or_else(|| ValueError::unexpected(name, "none"))
}

fn number<T: std::str::FromStr>(element: &Element, name: &'static str) -> Result<T, ValueError> {
    let text = element.child(name).ok_or_else(|| ValueError::unexpected(name, "none"))?.text.trim();
    text.parse().map_err(|_| ValueError::unexpected(name, text))
}

/// The attributes of a template: only leaves, and one value for each name (the last, as in OpenNebula).
fn attributes(element: &Element) -> BTreeMap<String, String> {
    let leaves = element.child("TEMPLATE").map(|template| template.children.as_slice()).unwrap_or_default();
    let leaves = leaves.iter().filter(|leaf| leaf.children.is_empty());
    leaves.map(|leaf| (leaf.name.clone(), leaf.text.clone())).collect()
}
