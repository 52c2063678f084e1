//! One conversion, in a separate thread: its progress, and its limits of time, space and quota.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::record::{ConversionKey, ConversionLimits, ConversionRecord};
use crate::cache::blob::VerifiedBlob;
use crate::cache::error::CacheError;
use crate::cache::file_scan::{FileScan, ScanResult};
use crate::cache::progress::{Figures, Progress};
use crate::cache::quota::{Claim, Quota};
use crate::cache::space::Free;
use crate::cache::volume::Volume;
use crate::convert::{Conversion, ConvertError, Form, Meter, Part, Room};
use crate::fs::read_own_directory;
use crate::size::Size;

/// The prefix of its directories. Every directory with this prefix belongs to the operator.
const OURS: &str = "convert-";

/// The additional bytes that are claimed when the claim is used up. The decompressed size is not known in advance.
const MORE: u64 = 256 * 1024 * 1024;

/// The input of a conversion.
pub(super) struct Work {
    pub volume: Volume,
    pub quota: Quota,
    pub min_free: Option<u64>,
    pub limits: ConversionLimits,
    pub source: VerifiedBlob,
    pub form: Form,
    pub cancelled: CancellationToken,
    pub progress: Arc<PartProgress>,
    pub clock: Clock,
}

/// The caller's time. The caller also decides when a failed conversion is tried again, so its clock is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub asked: Timestamp,
    pub since: Instant,
}

impl Clock {
    pub(super) fn now(self) -> Timestamp {
        self.asked.checked_add(self.since.elapsed()).unwrap_or(self.asked)
    }
}

/// The error of a conversion.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    #[error(transparent)]
    Convert(#[from] ConvertError),
    #[error(transparent)]
    Volume(#[from] CacheError),
}

impl Work {
    /// Runs the conversion. Its directory in `scratch/` is removed in any case.
    pub(super) fn run(self, runtime: &Handle) -> Result<ConversionRecord, WorkError> {
        let key = ConversionKey { source: *self.source.digest(), form: self.form };
        let scratch = self.volume.path("scratch").join(format!("{OURS}{}-{}", key.source.short(), key.form));
        self.volume.writable(&scratch)?;
        self.volume.step("conversion: scratch");
        remove_all(&scratch)?;
        fs::create_dir(&scratch).map_err(CacheError::io("make the directory", &scratch))?;
        let done = self.convert_in(&scratch, key, runtime);
        if done.is_err() {
            remove_all(&scratch)?;
            return done;
        }
        self.volume.step("conversion: clean");
        remove_all(&scratch)?;
        done
    }

    fn convert_in(&self, scratch: &Path, key: ConversionKey, runtime: &Handle) -> Result<ConversionRecord, WorkError> {
        let began = Instant::now();
        let space = Space { work: self, scratch, began, claimed: Mutex::default() };
        let conversion = Conversion {
            source: self.source.path(),
            format: self.source.format(),
            form: self.form,
            scratch,
            program: &self.limits.program,
            largest: self.limits.largest,
            deadline: began + self.limits.timeout,
        };
        let converted = conversion.run(&space, runtime)?;
        self.volume.step("conversion: read");
        let seen = look_through(&converted.path, &space)?;
        let now = self.clock.now();
        let blob = self.volume.add_blob(&converted.path, &seen, now)?;
        tracing::info!(
            conversion = %key,
            digest = %blob.digest(),
            size = blob.size(),
            milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the image is converted"
        );
        Ok(self.volume.make_conversion(&key, &blob, converted.left_out, now)?)
    }
}

/// Reads the result, to compute its digests and detect its format.
fn look_through(path: &Path, meter: &dyn Meter) -> Result<ScanResult, WorkError> {
    let gone = || CacheError::Gone(path.to_owned());
    let mut look = FileScan::begin(path)?.ok_or_else(gone)?;
    while look.next_chunk()? > 0 {
        meter.check(0)?;
    }
    Ok(look.finish()?)
}

/// Removes the directories of earlier runs.
pub(super) fn clean(volume: &Volume) -> Result<(), CacheError> {
    for path in read_own_directory(&volume.path("scratch"))? {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(OURS)) {
            remove_all(&path)?;
        }
    }
    Ok(())
}

fn remove_all(path: &Path) -> Result<(), CacheError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CacheError::io("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The progress of a conversion.
pub(super) struct PartProgress {
    part: Mutex<Part>,
    progress: Progress,
}

impl PartProgress {
    /// A conversion that waits for a slot. `changed` is incremented when its state changes.
    pub(super) fn new(changed: &watch::Sender<u64>) -> Self {
        let progress = Progress::new(0);
        progress.tell_changes(changed);
        Self { part: Mutex::new(Part::Unpack), progress }
    }

    /// Begins a part of `total` bytes.
    pub(super) fn begin(&self, part: Part, total: u64) {
        *self.part() = part;
        self.progress.begin(total);
    }

    /// Sets the progress: `bytes` of the `total` bytes of a part are done.
    pub(super) fn set(&self, part: Part, bytes: u64, total: u64) {
        let same = *self.part() == part && self.progress.figures().is_some_and(|figures| figures.total == total);
        if !same {
            self.begin(part, total);
        }
        self.progress.set_bytes(bytes);
    }

    /// The progress; `None` while it waits.
    pub(super) fn figures(&self) -> Option<(Part, Figures)> {
        self.progress.figures().map(|figures| (*self.part(), figures))
    }

    /// The same, but at most some seconds old.
    pub(super) fn told(&self, now: Instant) -> Option<(Part, Figures)> {
        self.progress.told(now).map(|figures| (*self.part(), figures))
    }

    fn part(&self) -> MutexGuard<'_, Part> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limits of one conversion.
struct Space<'a> {
    work: &'a Work,
    /// The directory that counts against the quota.
    scratch: &'a Path,
    began: Instant,
    claimed: Mutex<Claimed>,
}

/// The claimed bytes, and the bytes that were on the disk before the current step.
#[derive(Default)]
struct Claimed {
    claim: Option<Claim>,
    bytes: u64,
    before: u64,
    written: u64,
}

impl Meter for Space<'_> {
    fn tell(&self, part: Part, bytes: u64, total: u64) {
        self.work.progress.set(part, bytes, total);
    }

    fn check(&self, written: u64) -> Result<(), ConvertError> {
        if self.work.cancelled.is_cancelled() {
            return Err(ConvertError::Cancelled);
        }
        if self.began.elapsed() > self.work.limits.timeout {
            return Err(ConvertError::Timeout(self.work.limits.timeout));
        }
        let free = self.free()?;
        if free.bytes < free.kept {
            return Err(no_space(1, free.to_string()));
        }
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.written = claimed.written.max(written);
        let total = claimed.before.saturating_add(written);
        if total > claimed.bytes { self.claim(&mut claimed, total.saturating_add(MORE)) } else { Ok(()) }
    }
}

impl Room for Space<'_> {
    fn take(&self, bytes: u64) -> Result<(), ConvertError> {
        let free = self.free()?;
        if bytes > free.usable() {
            return Err(no_space(bytes, free.to_string()));
        }
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        // The unpacked files stay until the conversion is done.
        (claimed.before, claimed.written) = (claimed.written, 0);
        let total = claimed.before.saturating_add(bytes);
        self.claim(&mut claimed, total)
    }
}

impl Space<'_> {
    fn claim(&self, claimed: &mut Claimed, bytes: u64) -> Result<(), ConvertError> {
        let answer = match &claimed.claim {
            Some(claim) => self.work.quota.grow(&self.work.volume, claim, bytes),
            None => self.work.quota.claim(&self.work.volume, self.scratch, bytes).map(|answer| {
                answer.map(|claim| {
                    claimed.claim = Some(claim);
                })
            }),
        };
        match answer.map_err(|error| convert_error(error, self.scratch))? {
            Ok(()) => {
                claimed.bytes = bytes;
                Ok(())
            }
            Err(exceeded) => {
                let (used, quota) = (Size(exceeded.used), Size(exceeded.limit));
                Err(no_space(bytes, format!("{used} of the quota of {quota} are in use")))
            }
        }
    }

    fn free(&self) -> Result<Free, ConvertError> {
        self.work.volume.free(self.work.min_free).map_err(|error| convert_error(error, self.scratch))
    }
}

const fn no_space(needed: u64, found: String) -> ConvertError {
    ConvertError::NoSpace { needed, found }
}

/// Converts an error of the volume.
fn convert_error(error: CacheError, path: &Path) -> ConvertError {
    ConvertError::io("find room at", path)(std::io::Error::other(error))
}
