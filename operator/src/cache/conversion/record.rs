//! What a conversion is asked for, and its result, in one small file each.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::cache::blob::VerifiedBlob;
use crate::cache::error::CacheError;
use crate::cache::name::StatePath;
use crate::cache::record;
use crate::cache::volume::Volume;
use crate::convert::{ConvertError, Form};
use crate::fs::read_directory;
use crate::imagelist::Sha512Digest;

/// A conversion that nobody has wanted for this long is removed. A target that is not reconciled for a day or two still
/// finds its images.
const UNWANTED_FOR: SignedDuration = SignedDuration::from_hours(48);
/// The time at which it was last wanted is written at most this often.
const NOTE_EVERY: SignedDuration = SignedDuration::from_hours(12);
/// The first and the longest wait after a failure.
const FIRST_WAIT: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(6);
/// The wait if a program or space is missing.
const OUTSIDE_WAIT: SignedDuration = SignedDuration::from_mins(5);
/// The version of the operator. Another version may be able to convert an image that this version cannot.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The key of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversionKey {
    /// SHA-512 of the source image.
    pub source: Sha512Digest,
    /// The target form.
    pub form: Form,
}

impl std::fmt::Display for ConversionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}… to {}", self.source.short(), self.form)
    }
}

/// Limits of conversions.
#[derive(Debug, Clone)]
pub struct ConversionLimits {
    /// The maximum number of conversions at the same time.
    pub at_once: usize,
    /// The maximum size of a disk in bytes.
    pub largest: u64,
    /// The maximum duration of one conversion.
    pub timeout: Duration,
    /// The `qemu-img` program: a path, or a name that is searched in `PATH`.
    pub program: PathBuf,
}

impl Default for ConversionLimits {
    fn default() -> Self {
        Self { at_once: 1, largest: 1 << 40, timeout: Duration::from_hours(2), program: PathBuf::from("qemu-img") }
    }
}

/// `state/conversions/<source>-<form>.json`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversionRecord {
    source: Sha512Digest,
    form: Form,
    pub made: Option<Made>,
    pub failure: Option<Failure>,
    last_wanted_time: Timestamp,
}

/// The result of a successful conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    pub digest: Sha512Digest,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// The failure of a conversion.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    pub message: String,
    #[serde(default)]
    failures: u32,
    last_time: Timestamp,
    /// The version of the operator for which the failure is final, because the image itself is the reason.
    final_for: Option<String>,
    #[serde(default)]
    program_missing: bool,
    #[serde(default)]
    no_space: bool,
}

impl Failure {
    pub(super) fn of(error: &ConvertError, now: Timestamp) -> Self {
        Self {
            message: error.to_string(),
            failures: 1,
            last_time: now,
            final_for: error.is_final().then(|| VERSION.to_owned()),
            program_missing: matches!(error, ConvertError::ProgramMissing { .. }),
            no_space: matches!(error, ConvertError::NoSpace { .. }),
        }
    }

    /// When it can be tried again; `None` if not automatically.
    pub(super) fn next_try(&self) -> Option<Timestamp> {
        if self.final_for.as_deref() == Some(VERSION) {
            return None;
        }
        let doubled = FIRST_WAIT.checked_mul(1 << self.failures.saturating_sub(1).min(16)).unwrap_or(LONGEST_WAIT);
        let from_outside = self.program_missing || self.no_space;
        let wait = if from_outside { OUTSIDE_WAIT } else { doubled.min(LONGEST_WAIT) };
        Some(self.last_time.checked_add(wait).unwrap_or(Timestamp::MAX))
    }
}

impl Volume {
    /// The record of a conversion. An unreadable record counts as none, so the conversion is made again.
    pub(super) fn conversion(&self, key: &ConversionKey) -> Result<Option<ConversionRecord>, CacheError> {
        match self.read_state::<ConversionRecord>(&path(key)?) {
            Ok(record) => Ok(record.filter(|record| record.source == key.source && record.form == key.form)),
            Err(CacheError::StateCorrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Records a successful conversion.
    pub(super) fn make_conversion(
        &self,
        key: &ConversionKey,
        blob: &VerifiedBlob,
        left_out: Vec<String>,
        now: Timestamp,
    ) -> Result<ConversionRecord, CacheError> {
        let made = Some(Made { digest: *blob.digest(), left_out });
        let ConversionKey { source, form } = *key;
        let record = ConversionRecord { source, form, made, failure: None, last_wanted_time: now };
        self.step("conversion: record");
        self.write_state(&path(key)?, &record)?;
        Ok(record)
    }

    /// Records a failure, and increments the number of failures.
    pub(super) fn fail_conversion(
        &self,
        key: &ConversionKey,
        failure: &Failure,
        now: Timestamp,
    ) -> Result<(), CacheError> {
        let before = self.conversion(key)?.and_then(|record| record.failure).map_or(0, |before| before.failures);
        let failure = Some(Failure { failures: before.saturating_add(1), ..failure.clone() });
        let ConversionKey { source, form } = *key;
        let record = ConversionRecord { source, form, made: None, failure, last_wanted_time: now };
        self.step("conversion: record");
        self.write_state(&path(key)?, &record)
    }

    /// Records that it is still wanted.
    pub(super) fn want_conversion(&self, key: &ConversionKey, now: Timestamp) -> Result<(), CacheError> {
        let Some(record) = self.conversion(key)? else { return Ok(()) };
        if now.duration_since(record.last_wanted_time) < NOTE_EVERY {
            return Ok(());
        }
        self.write_state(&path(key)?, &ConversionRecord { last_wanted_time: now, ..record })
    }

    /// Forgets a failure.
    pub(super) fn forgive_conversion(&self, key: &ConversionKey) -> Result<(), CacheError> {
        match self.conversion(key)? {
            Some(record) if record.failure.is_some() => self.remove_state(&path(key)?),
            Some(_) | None => Ok(()),
        }
    }

    /// Forgets all failures caused by missing space.
    pub(super) fn forgive_conversions_for_space(&self) -> Result<(), CacheError> {
        for (path, record) in self.conversions()? {
            if record.failure.is_some_and(|failure| failure.no_space) {
                self.remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// The digests of all converted images.
    pub(in crate::cache) fn converted(&self) -> Result<BTreeSet<Sha512Digest>, CacheError> {
        Ok(self.conversions()?.into_iter().filter_map(|(_, record)| record.made).map(|made| made.digest).collect())
    }

    /// The digests of the images converted from these sources that are still wanted.
    pub(in crate::cache) fn converted_in_use(
        &self,
        sources: &BTreeSet<Sha512Digest>,
        now: Timestamp,
    ) -> Result<BTreeSet<Sha512Digest>, CacheError> {
        let records = self.conversions()?.into_iter().map(|(_, record)| record);
        let in_use = records.filter(|record| sources.contains(&record.source) && record.is_wanted(now));
        Ok(in_use.filter_map(|record| record.made).map(|made| made.digest).collect())
    }

    /// Removes records whose source or whose result no longer exists.
    pub(in crate::cache) fn remove_stale_conversions(&self) -> Result<(), CacheError> {
        for (path, record) in self.conversions()? {
            let is_lost = |made: &Made| self.holds_bytes(&made.digest).map(|there| !there);
            let is_lost = record.made.as_ref().map(is_lost).transpose()?.unwrap_or(false);
            if is_lost || !self.holds_bytes(&record.source)? {
                self.step("collect: conversion");
                self.remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn conversions(&self) -> Result<Vec<(PathBuf, ConversionRecord)>, CacheError> {
        let mut found = Vec::new();
        for path in read_directory(&self.path("state/conversions"))? {
            let is_record = path.extension().is_some_and(|extension| extension == "json");
            if let Some(record) = is_record.then(|| record::read_beside(&path)).transpose()?.flatten() {
                found.push((path, record));
            }
        }
        Ok(found)
    }
}

impl ConversionRecord {
    fn is_wanted(&self, now: Timestamp) -> bool {
        now.duration_since(self.last_wanted_time) <= UNWANTED_FOR
    }
}

fn path(key: &ConversionKey) -> Result<StatePath, CacheError> {
    Ok(StatePath::new(["conversions", &format!("{}-{}", key.source, key.form)])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_a_bad_image_waits_for_a_person() {
        let now = Timestamp::UNIX_EPOCH;
        let said = ConvertError::Failed { command: "convert", said: "no".to_owned() };
        let minutes = |failures| {
            let failure = Failure { failures, ..Failure::of(&said, now) };
            failure.next_try().map(|next| next.as_second() / 60)
        };
        assert_eq!([1, 2, 3, 9, 10, u32::MAX].map(minutes), [1, 2, 4, 256, 360, 360].map(Some));
        let bad = Failure::of(&ConvertError::NotADisk { found: "a text".to_owned() }, now);
        assert_eq!(bad.next_try(), None);
        let older = Failure { final_for: Some("0.0.1".to_owned()), ..bad };
        assert!(older.next_try().is_some(), "a newer version looks again");
        let missing = ConvertError::ProgramMissing { program: "qemu-img".to_owned(), package: "qemu-utils" };
        let missing = Failure { failures: 20, ..Failure::of(&missing, now) };
        assert_eq!(missing.next_try().map(Timestamp::as_second), Some(300));
        let full = Failure::of(&ConvertError::NoSpace { needed: 1, found: "none".to_owned() }, now);
        assert_eq!(Failure { failures: 20, ..full }.next_try().map(Timestamp::as_second), Some(300));
    }
}
