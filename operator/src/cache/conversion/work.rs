//! One conversion, in a separate thread.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::part::PartProgress;
use super::record::ConversionRecord;
use super::request::{ConversionKey, ConversionLimits};
use super::space::{Claimed, Space};
use crate::cache::blob::VerifiedBlob;
use crate::cache::error::CacheError;
use crate::cache::file_scan::{FileScan, ScanResult};
use crate::cache::quota::Quota;
use crate::cache::volume::Volume;
use crate::convert::{Conversion, ConvertError, Form, Meter};
use crate::fs::read_own_directory;

/// The prefix of its directories. Every directory with this prefix belongs to the operator.
const OURS: &str = "convert-";

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
        let space = Space {
            volume: &self.volume,
            quota: &self.quota,
            min_free: self.min_free,
            scratch: scratch.to_owned(),
            began,
            timeout: self.limits.timeout,
            cancelled: &self.cancelled,
            progress: &self.progress,
            claimed: Mutex::new(Claimed::default()),
        };
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
            digest = %blob.digest().short(),
            size = blob.size(),
            milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the image is converted"
        );
        Ok(self.volume.make_conversion(&key, &blob, converted.left_out, now)?)
    }
}

/// Reads the result, to compute its digests and detect its format.
fn look_through(path: &Path, meter: &dyn Meter) -> Result<ScanResult, WorkError> {
    let gone = || CacheError::Gone { path: path.to_owned() };
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
