//! The bytes of the wanted version are on their way, or did not arrive. Pure.

use jiff::{SignedDuration, Timestamp};

use super::Situation;
use super::register::{failed, not_ready};
use crate::cloud::{Reason, Wanted};
use crate::openstack::carry_over::failure::{Remedy, remedy};
use crate::openstack::carry_over::image_plan::ImagePlan;
use crate::openstack::carry_over::properties;
use crate::openstack::carry_over::recognise::Mine;
use crate::openstack::carry_over::snapshot::Progress;
use crate::openstack::carry_over::{Step, Verdict};
use crate::openstack::error::OpenStackError;
use crate::openstack::glance::TaskStatus;
use crate::openstack::image::{Image, ImageStatus};
use crate::openstack::settings::Transfer;

/// How soon a running upload is looked at again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

impl Situation<'_> {
    /// The image was created. It gets its bytes, or has others than it should.
    pub(super) fn wait_for(&self, upload: &Mine<'_>, wanted: &Wanted, plan: &mut ImagePlan) {
        let image = upload.image;
        let progress = self.snapshot().uploads.get(&image.id);
        match (&image.status, progress) {
            (ImageStatus::Active | ImageStatus::Deactivated, _) if upload.is_being_imported() => {
                self.wait_for_others(image, self.begun(image), plan);
            }
            (ImageStatus::Active | ImageStatus::Deactivated, _) => {
                let message = self.wrong_bytes(upload, wanted);
                self.give_up(image, Reason::ImportFailed, message, plan);
            }
            (ImageStatus::Killed, _) => {
                let message = format!("Glance gave up image {}: its status is killed", image.id);
                self.give_up(image, Reason::ImportFailed, message, plan);
            }
            (_, Some(Progress::Running { sent, size })) => {
                let share = sent.saturating_mul(100).checked_div(*size).unwrap_or_default().min(100);
                let message = format!("uploading image {}: {share} % sent", image.id);
                let until = self.now.checked_add(LOOK_AGAIN).ok();
                plan.verdict = Verdict::Waiting { reason: Reason::Importing, message, until };
                plan.copying = true;
            }
            (ImageStatus::Queued, Some(Progress::Failed(error))) => self.failed_upload(image, error, plan),
            (ImageStatus::Queued, None) => self.send(upload, wanted, plan),
            (ImageStatus::Saving, Some(Progress::Failed(error))) if remedy(error) != Remedy::Look => {
                // Glance notices it in a moment, unless it was killed in it.
                plan.seen_upload = Some(image.id);
                plan.record.fail_as(error.reason(), error.to_string(), self.now);
                plan.verdict = failed(plan);
            }
            (ImageStatus::Saving, None) if self.was_cut(image) => self.wait_for_queued(image, plan),
            (ImageStatus::Saving | ImageStatus::Uploading | ImageStatus::Importing, _) => {
                self.wait_for_others(image, image.updated_at, plan);
            }
            (ImageStatus::PendingDelete | ImageStatus::Deleted | ImageStatus::Unknown(_), _) => {
                let message = format!("image {} has the status {}", image.id, image.status);
                plan.verdict = Verdict::waiting(Reason::Importing, message);
            }
        }
    }

    /// What is wrong with the data of an image.
    fn wrong_bytes(&self, upload: &Mine<'_>, wanted: &Wanted) -> String {
        let Image { id, size, os_hash_algo, os_hash_value, .. } = upload.image;
        let algorithm = os_hash_algo.as_deref().unwrap_or("none");
        if !upload.is_usable() {
            return format!("expected image {id} to have data, found {} bytes", size.unwrap_or_default());
        }
        if algorithm != "sha512" {
            let found = crate::text::printable(algorithm);
            return format!(
                "expected Glance to compute SHA-512 (hashing_algorithm), found {found}: image {id} cannot be verified"
            );
        }
        let expected = self.expected(upload).unwrap_or(wanted.sha512);
        let found = crate::text::one_line(os_hash_value.as_deref().unwrap_or_default().as_bytes(), 128);
        format!("expected the data of image {id} to have the SHA-512 {expected}, found {found}")
    }

    /// Deletes an image whose bytes are wrong or cannot come. Its id cannot be used again.
    fn give_up(&self, image: &Image, reason: Reason, message: String, plan: &mut ImagePlan) {
        let id = image.id;
        plan.steps.push(Step::Delete { id, why: "its data is not what was sent" });
        plan.record.registration = None;
        plan.record.fail_as(reason, message, self.now);
        plan.verdict = failed(plan);
    }

    fn failed_upload(&self, image: &Image, error: &OpenStackError, plan: &mut ImagePlan) {
        plan.seen_upload = Some(image.id);
        match remedy(error) {
            Remedy::Again => {
                plan.record.fail_as(error.reason(), error.to_string(), self.now);
                plan.verdict = failed(plan);
            }
            Remedy::Anew => self.give_up(image, error.reason(), error.to_string(), plan),
            Remedy::Look => plan.verdict = Verdict::waiting(error.reason(), error.to_string()),
        }
    }

    /// Sends the bytes of an image that has none. A try that was cut left it so.
    fn send(&self, upload: &Mine<'_>, wanted: &Wanted, plan: &mut ImagePlan) {
        let image = upload.image;
        if self.settings.transfer == Transfer::Import && self.is_importing(image, plan) {
            return;
        }
        let Some(source) = &wanted.source else {
            plan.verdict = not_ready();
            return;
        };
        if let Some(verdict) = self.pause(plan) {
            plan.verdict = verdict;
            return;
        }
        let same =
            self.expected(upload) == Some(source.sha512) && properties::sent_digest(image) == Some(source.sha512);
        if !same || image.disk_format.as_deref() != Some(source.format.as_str()) {
            // They were converted again, to other bytes. The image says that it has the former ones.
            plan.cleanup.push(Step::Delete { id: image.id, why: "there are other bytes for it" });
            self.register(wanted, plan);
            return;
        }
        match self.transfer(image.id, source) {
            Ok(step) => {
                plan.steps.push(step);
                plan.copying = true;
                plan.verdict = Verdict::waiting(Reason::Importing, format!("sending the bytes of image {}", image.id));
            }
            Err(message) => plan.verdict = Verdict::waiting(Reason::ImportFailed, message),
        }
    }

    /// Whether an import was begun; its tasks say how it is. Right after its begin the image is still queued, as it is
    /// after a failure.
    fn is_importing(&self, image: &Image, plan: &mut ImagePlan) -> bool {
        let Some(tasks) = self.snapshot().tasks.get(&image.id) else {
            plan.needs.tasks.insert(image.id);
            plan.verdict = Verdict::waiting(Reason::Importing, "the tasks of its import are not known yet");
            return true;
        };
        let running = tasks.iter().any(|task| !matches!(task.status, TaskStatus::Failure));
        let failure = tasks.iter().find(|task| task.status == TaskStatus::Failure);
        match failure {
            _ if running => self.wait_for_others(image, self.begun(image), plan),
            Some(task) => {
                let said = if task.message.is_empty() { "without a message" } else { &task.message };
                let message = format!("Glance could not download image {}: {said}", image.id);
                self.give_up(image, Reason::ImportFailed, message, plan);
            }
            None => return false,
        }
        true
    }

    fn begun(&self, image: &Image) -> Timestamp {
        let registration = self.request.record.registration.as_ref();
        let own = registration.filter(|registration| registration.id == Some(image.id));
        own.map_or(image.created_at, |registration| registration.at)
    }

    /// Whether an upload from here failed after Glance had begun to save it, so that no bytes follow.
    fn was_cut(&self, image: &Image) -> bool {
        let record = &self.request.record;
        let own = record.registration.as_ref().is_some_and(|registration| registration.id == Some(image.id));
        own && record.last_failure.is_some_and(|time| time >= image.updated_at)
    }

    /// Glance sets an image back to `queued` when an upload is cut. A Glance that was killed meanwhile never does, and takes
    /// no other upload for it.
    fn wait_for_queued(&self, image: &Image, plan: &mut ImagePlan) {
        if let Some(verdict) = self.pause(plan) {
            plan.verdict = verdict;
            return;
        }
        let message =
            format!("Glance did not end the upload of image {} that was cut: its status is still saving", image.id);
        self.give_up(image, Reason::ImportFailed, message, plan);
    }

    /// Bytes that this process does not send: of an import, of another process, or of an earlier upload whose end Glance
    /// has not noticed yet.
    fn wait_for_others(&self, image: &Image, since: Timestamp, plan: &mut ImagePlan) {
        let age = self.now.duration_since(since);
        let Image { id, status, .. } = image;
        if age <= self.settings.patience {
            plan.copying = true;
            let message = format!("the bytes of image {id} are on their way ({status})");
            plan.verdict = Verdict::waiting(Reason::Importing, message);
        } else {
            let message = format!("image {id} was still {status} after {} minutes", age.as_mins());
            self.give_up(image, Reason::ImportFailed, message, plan);
        }
    }
}
