//! Quotas as Keystone keeps them and Glance enforces them, and what they are used for.

use serde_json::json;

use super::images::Caller;
use super::request::Answer;
use super::world::World;

const MIB: u64 = 1 << 20;

/// What a project may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// MiB of all images. It is compared with what is there already, so that one upload can be over it.
    pub size_total: u64,
    /// MiB that wait to be imported.
    pub stage_total: u64,
    /// Images.
    pub count_total: u64,
    /// Images whose bytes are on their way.
    pub count_uploading: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size_total: 20480, stage_total: 20480, count_total: 1000, count_uploading: 100 }
    }
}

fn enforce(project: &str, resource: &str, limit: u64, usage: u64, delta: u64) -> Result<(), Answer> {
    if usage + delta <= limit {
        return Ok(());
    }
    let text = format!(
        "The request returned a 413 Request Entity Too Large. This generally means that rate limiting or a quota threshold was breached.  The response body: Project {project} is over a limit for [Resource {resource} is over limit of {limit} due to current usage {usage} and delta {delta}]"
    );
    Err(Answer::refuse(413, &text))
}

impl World {
    fn count(&self, project: &str, statuses: &[&str]) -> u64 {
        let counted = |status: &str| statuses.is_empty() || statuses.contains(&status);
        let own = self.images.values().filter(|image| image.owner == project && counted(&image.status));
        own.count() as u64
    }

    fn mebibytes(&self, project: &str, is_staged: bool) -> u64 {
        let own = self.images.values().filter(|image| image.owner == project);
        let counted = own.filter(|image| (image.status == "uploading") == is_staged);
        counted.filter_map(|image| image.size).sum::<u64>() / MIB
    }

    pub(super) fn check_count(&self, project: &str) -> Result<(), Answer> {
        enforce(project, "image_count_total", self.limits.count_total, self.count(project, &[]), 1)
    }

    pub(super) fn check_size(&self, project: &str, coming: u64) -> Result<(), Answer> {
        enforce(project, "image_size_total", self.limits.size_total, self.mebibytes(project, false), coming / MIB)
    }

    pub(super) fn check_stage(&self, project: &str, coming: u64) -> Result<(), Answer> {
        enforce(project, "image_stage_total", self.limits.stage_total, self.mebibytes(project, true), coming / MIB)
    }

    /// After the image of the upload in question has begun.
    pub(super) fn check_uploading(&self, project: &str) -> Result<(), Answer> {
        let usage = self.count(project, &["saving", "uploading", "importing"]);
        enforce(project, "image_count_uploading", self.limits.count_uploading, usage, 0)
    }

    pub(super) fn usage(&self, caller: &Caller) -> Answer {
        let (project, limits) = (&caller.project, self.limits);
        let uploading = self.count(project, &["saving", "uploading", "importing"]);
        Answer::json(
            200,
            &json!({"usage": {
                "image_size_total": {"usage": self.mebibytes(project, false), "limit": limits.size_total},
                "image_stage_total": {"usage": self.mebibytes(project, true), "limit": limits.stage_total},
                "image_count_total": {"usage": self.count(project, &[]), "limit": limits.count_total},
                "image_count_uploading": {"usage": uploading, "limit": limits.count_uploading},
            }}),
        )
    }
}
