//! The state of a cloud in one pass: the pool, read once, and each published image that is missing from it, read
//! separately.
//!
//! A pool contains only images that the session may use. If the cloud reports that a missing image does not exist, it
//! is gone. If the cloud reports that the session may not use it, it was given to somebody and still exists.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::Request;
use crate::opennebula::client::{Client, ServerVersion};
use crate::opennebula::document::{Image, Unreadable, User};
use crate::opennebula::error::{Object, OneError};

/// The properties of a cloud that a plan needs, besides the images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    /// Its version.
    pub version: ServerVersion,
    /// The operator's user.
    pub user: User,
    /// The datastore of the settings.
    pub datastore: u32,
}

/// The images of a cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The readable images.
    pub images: Vec<Image>,
    /// Images that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Images that were published by this operator and are hidden from it.
    pub hidden: Vec<Hidden>,
}

/// An image that exists and that the operator may not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Its id.
    pub id: u32,
    /// The message of the cloud.
    pub text: String,
}

impl Snapshot {
    /// Reads the pool with one call, and makes one more call for each published image that is missing and not known to
    /// be out of circulation.
    pub(super) async fn read(client: &Client, requests: &[Request], in_flight: usize) -> Result<Self, OneError> {
        let pool = client.images().await?;
        let mut snapshot = Self { images: pool.images, unreadable: pool.unreadable, hidden: Vec::new() };
        let looks = stream::iter(snapshot.missing(requests)).map(async |id| Ok((id, look(client, id).await?)));
        let found: Vec<(u32, Found)> = looks.buffered(in_flight.max(1)).try_collect().await?;
        for (id, found) in found {
            match found {
                Found::Image(image) => snapshot.images.push(*image),
                Found::Hidden(text) => snapshot.hidden.push(Hidden { id, text }),
                Found::Gone => {}
            }
        }
        Ok(snapshot)
    }

    fn missing(&self, requests: &[Request]) -> BTreeSet<u32> {
        let seen = self.images.iter().map(|image| image.id);
        let seen: BTreeSet<u32> = seen.chain(self.unreadable.iter().map(|image| image.id)).collect();
        let kept = requests.iter().flat_map(|request| &request.record.images).filter(|entry| !entry.retired);
        kept.map(|entry| entry.id).filter(|id| !seen.contains(id)).collect()
    }
}

enum Found {
    Image(Box<Image>),
    Hidden(String),
    Gone,
}

async fn look(client: &Client, id: u32) -> Result<Found, OneError> {
    match client.image(id).await {
        Ok(image) => Ok(Found::Image(Box::new(image))),
        Err(OneError::NotFound { what: Object::Image, .. }) => Ok(Found::Gone),
        Err(OneError::NotAuthorized(text)) => Ok(Found::Hidden(text)),
        Err(error) => Err(error),
    }
}
