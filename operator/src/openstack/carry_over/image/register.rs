//! The wanted version is not in the cloud. Pure.

use url::Url;
use uuid::Uuid;

use super::Situation;
use crate::cloud::{Reason, Registration, Source, Wanted};
use crate::openstack::carry_over::image_plan::ImagePlan;
use crate::openstack::carry_over::properties::{self, TAG};
use crate::openstack::carry_over::{Step, Verdict};
use crate::openstack::glance::NewImage;
use crate::openstack::image::{DiskFormat, Visibility};
use crate::openstack::settings::Transfer;

impl Situation<'_> {
    /// Creates an image for the wanted version and sends its bytes, unless something prevents it.
    pub(super) fn register(&self, wanted: &Wanted, plan: &mut ImagePlan) {
        if let Some(verdict) = self.obstacle(plan) {
            plan.verdict = verdict;
            return;
        }
        let Some(source) = &wanted.source else {
            plan.verdict = not_ready();
            return;
        };
        let Some(id) = self.pending(wanted, source).or(self.fresh) else {
            plan.verdict = Verdict::waiting(Reason::Importing, "there is no id for its image yet");
            return;
        };
        let transfer = match self.transfer(id, source) {
            Ok(step) => step,
            Err(message) => {
                plan.verdict = Verdict::waiting(Reason::ImportFailed, message);
                return;
            }
        };
        plan.steps.push(Step::Create { new: Box::new(self.new_image(id, wanted, source)) });
        plan.steps.push(transfer);
        plan.registers = Some(wanted.sha512);
        let registration = Registration::new(wanted.sha512, self.now);
        plan.record.registration = Some(Registration { id: Some(id), sent: Some(source.sha512), ..registration });
        plan.copying = true;
        plan.verdict = Verdict::waiting(Reason::Importing, "creating it; its bytes are sent then");
    }

    /// The id of a try that was not answered. It is used again, so that there is one image however often it is tried.
    fn pending(&self, wanted: &Wanted, source: &Source) -> Option<Uuid> {
        let registration = self.request.record.registration.as_ref()?;
        let same = registration.sha512 == wanted.sha512 && registration.sent == Some(source.sha512);
        let found = self.ours.iter().any(|mine| Some(mine.image.id) == registration.id);
        registration.id.filter(|_| same && !registration.seen && !found)
    }

    /// A new image is hidden and private, and has the name of the old one.
    fn new_image(&self, id: Uuid, wanted: &Wanted, source: &Source) -> NewImage {
        let (name, min_disk, min_ram) = self.named(wanted);
        NewImage {
            id,
            name,
            disk_format: DiskFormat::parse(source.format.as_str()),
            visibility: Visibility::Private,
            os_hidden: true,
            protected: false,
            tags: [TAG.to_owned()].into(),
            min_disk,
            min_ram,
            properties: properties::registration(&self.request.identifier, wanted, source.sha512, self.settings),
        }
    }

    /// The step that brings the bytes. The error is about the location.
    pub(super) fn transfer(&self, id: Uuid, source: &Source) -> Result<Step, String> {
        match self.settings.transfer {
            Transfer::Upload => Ok(Step::Upload { id, path: source.location.clone(), size: source.size }),
            Transfer::Import => match source.location.parse::<Url>() {
                Ok(location) => Ok(Step::Import { id, location }),
                Err(error) => Err(format!("expected an address that the cloud can download from: {error}")),
            },
        }
    }

    /// The reason why the version cannot be sent now, if any.
    fn obstacle(&self, plan: &ImagePlan) -> Option<Verdict> {
        let refused = self.refused.as_ref().filter(|_| self.ours.is_empty());
        let refused = refused.map(|message| Verdict::waiting(Reason::AdoptionRefused, message));
        refused.or_else(|| self.pause(plan))
    }

    /// The verdict while a failed try is not repeated yet.
    pub(super) fn pause(&self, plan: &ImagePlan) -> Option<Verdict> {
        plan.record.retry_at().filter(|until| *until > self.now).map(|_| failed(plan))
    }
}

/// The verdict of an image whose bytes are not ready here.
pub(super) fn not_ready() -> Verdict {
    Verdict::waiting(Reason::Importing, "the image's bytes are not ready yet")
}

/// The verdict of an image that failed and is tried again later.
pub(super) fn failed(plan: &ImagePlan) -> Verdict {
    let record = &plan.record;
    let reason = record.failure_reason.unwrap_or(Reason::ImportFailed);
    Verdict::Waiting { reason, message: record.failure.clone().unwrap_or_default(), until: record.retry_at() }
}
