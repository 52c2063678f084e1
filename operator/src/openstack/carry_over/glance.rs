//! The calls of a pass, and the uploads that it begins.

use std::collections::BTreeMap;
use std::path::PathBuf;

use uuid::Uuid;

use super::snapshot::{Account, Progress};
use super::step::Step;
use super::uploads::Uploads;
use crate::openstack::client::Client;
use crate::openstack::error::OpenStackError;
use crate::openstack::glance::{ImageFilter, Listing, Task};
use crate::openstack::image::{Image, Member, MemberStatus};

/// A Glance, as a pass uses it.
pub trait Glance: Sync {
    /// The project and the user of the session.
    fn account(&self) -> impl Future<Output = Result<Account, OpenStackError>> + Send;

    /// Lists images.
    fn list(&self, filter: &ImageFilter) -> impl Future<Output = Result<Listing, OpenStackError>> + Send;

    /// Reads an image.
    fn image(&self, id: Uuid) -> impl Future<Output = Result<Image, OpenStackError>> + Send;

    /// Reads the members of a shared image.
    fn members(&self, id: Uuid) -> impl Future<Output = Result<Vec<Member>, OpenStackError>> + Send;

    /// Reads the tasks of an image.
    fn tasks(&self, id: Uuid) -> impl Future<Output = Result<Vec<Task>, OpenStackError>> + Send;

    /// The uploads that have not succeeded.
    fn uploads(&self) -> BTreeMap<Uuid, Progress>;

    /// Forgets that the upload of an image failed.
    fn forget_failure(&self, id: Uuid);

    /// Makes the call of a step. Returns an image that was created.
    fn make(&self, step: &Step) -> impl Future<Output = Result<Option<Image>, OpenStackError>> + Send;
}

/// A real one.
#[derive(Debug)]
pub struct GlanceSession {
    client: Client,
    uploads: Uploads,
}

impl GlanceSession {
    /// Makes a session without uploads. No call is made yet.
    pub fn new(client: Client) -> Self {
        Self { uploads: Uploads::new(client.clone()), client }
    }

    /// The client, for other calls.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Glance for GlanceSession {
    async fn account(&self) -> Result<Account, OpenStackError> {
        let session = self.client.session().await?;
        Ok(Account {
            project: session.project_id.clone(),
            project_name: session.project_name.clone(),
            user: session.user_name.clone(),
            is_administrator: session.roles.contains("admin"),
        })
    }

    async fn list(&self, filter: &ImageFilter) -> Result<Listing, OpenStackError> {
        self.client.images(filter).await
    }

    async fn image(&self, id: Uuid) -> Result<Image, OpenStackError> {
        self.client.image(id).await
    }

    async fn members(&self, id: Uuid) -> Result<Vec<Member>, OpenStackError> {
        self.client.members(id).await
    }

    async fn tasks(&self, id: Uuid) -> Result<Vec<Task>, OpenStackError> {
        self.client.tasks(id).await
    }

    fn uploads(&self) -> BTreeMap<Uuid, Progress> {
        self.uploads.progress()
    }

    fn forget_failure(&self, id: Uuid) {
        self.uploads.forget_failure(id);
    }

    async fn make(&self, step: &Step) -> Result<Option<Image>, OpenStackError> {
        let client = &self.client;
        match step {
            Step::Create { new } => return client.create(new).await.map(Some),
            Step::Upload { id, path, size } => {
                self.uploads.start(*id, PathBuf::from(path), *size);
                Ok(())
            }
            Step::Import { id, location } => client.import(*id, location).await,
            Step::Patch { id, changes, .. } => client.patch(*id, changes).await.map(drop),
            Step::AddMember { id, project } => client.add_member(*id, project).await,
            Step::AcceptMember { id, project } => client.set_member_status(*id, project, MemberStatus::Accepted).await,
            Step::RemoveMember { id, project } => client.remove_member(*id, project).await,
            Step::Deactivate { id } => client.deactivate(*id).await,
            Step::Reactivate { id } => client.reactivate(*id).await,
            Step::Delete { id, .. } => {
                self.uploads.stop(*id);
                client.delete(*id).await
            }
        }
        .map(|()| None)
    }
}
