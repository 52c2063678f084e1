//! What a download is asked for, and the limits of all of them.

use std::num::NonZeroU64;
use std::time::Duration;

use super::conversion::ConversionLimits;
use super::name::SafeName;
use crate::fetch::Source;
use crate::imagelist::{ContentDigest, SourceUrl};

/// The key of a download. It contains the URL, so that a bad URL does not affect a download of the same digest from
/// another URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey {
    /// The namespace that wants it. The jobs of two namespaces are separate, because they may use different
    /// credentials.
    pub namespace: SafeName,
    /// The digest of the image.
    pub digest: ContentDigest,
    /// The URL.
    pub url: SourceUrl,
}

/// The input of a download.
#[derive(Debug, Clone)]
pub struct DownloadRequest {
    /// The namespace that wants it. It gets a right to the blob when this request has fetched all bytes.
    pub namespace: SafeName,
    /// The expected digest.
    pub digest: ContentDigest,
    /// The expected number of bytes; `None` if only the server knows it.
    pub size: Option<u64>,
    /// The URL and the credentials.
    pub source: Source,
    /// Whether SHA-1 is computed while the bytes come, for clouds that compare it.
    pub sha1: bool,
}

impl DownloadRequest {
    /// The key of the job.
    pub fn key(&self) -> JobKey {
        JobKey { namespace: self.namespace.clone(), digest: self.digest, url: self.source.url.clone() }
    }
}

/// Limits of downloads.
#[derive(Debug, Clone)]
pub struct JobLimits {
    /// The maximum number of downloads at the same time.
    pub downloads: usize,
    /// The maximum number of downloads at the same time from one scheme, host and port.
    pub per_host: usize,
    /// The number of successive connections without progress after which a job fails. Progress resets the count.
    pub tries: u32,
    /// The wait before the second try. It is doubled for each further try, up to thirty times this wait, with jitter.
    pub first_wait: Duration,
    /// The bytes that downloads and conversions leave free on the volume. `None` means a twentieth of it, at most 64
    /// MiB.
    pub min_free: Option<u64>,
    /// The maximum number of bytes on the disk for everything that the operator stores. `None` means no limit.
    pub quota: Option<u64>,
    /// The maximum rate of all downloads together, in bytes per second. `None` means no limit.
    pub bytes_per_second: Option<NonZeroU64>,
    /// The limits of conversions, which use the same volume and quota.
    pub conversion: ConversionLimits,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self {
            downloads: 4,
            per_host: 2,
            tries: 3,
            first_wait: Duration::from_secs(2),
            min_free: None,
            quota: None,
            bytes_per_second: None,
            conversion: ConversionLimits::default(),
        }
    }
}
