//! The cloud itself: its version and the user of the session.

use crate::opennebula::client::ServerVersion;
use crate::opennebula::document::User;

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
