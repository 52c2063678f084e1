//! Images in other forms: made from real ones and from hostile ones, by the real qemu-img.

mod forms;
mod hostile;
mod limits;

use std::path::Path;

use harness::appliance::qemu_img;
use jiff::Timestamp;
use tempfile::TempDir;
use vmcatcher_operator::cache::{
    BlobCheck, ConversionKey, ConversionLimits, ConversionState, JobLimits, Jobs, VerifiedBlob, Volume,
};
use vmcatcher_operator::convert::Form;
use vmcatcher_operator::fetch::{Client, ClientSettings};
use vmcatcher_operator::imagelist::Sha512Digest;

/// A volume on which images are converted.
struct Site {
    folder: TempDir,
    volume: Volume,
    jobs: Jobs,
}

impl Site {
    fn new() -> Self {
        Self::with(ConversionLimits { largest: 1 << 30, ..ConversionLimits::default() }, None)
    }

    fn with(conversion: ConversionLimits, quota: Option<u64>) -> Self {
        Self::with_all(JobLimits { conversion, quota, min_free: Some(0), ..JobLimits::default() })
    }

    fn with_all(limits: JobLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume::open(&folder.path().join("volume")).unwrap();
        let jobs = Jobs::new(volume.clone(), Client::new(&ClientSettings::default()).unwrap(), limits);
        Self { folder, volume, jobs }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A blob of these bytes, as if it had been fetched.
    fn blob(&self, bytes: &[u8]) -> VerifiedBlob {
        let digest = Sha512Digest::from_bytes(openssl::sha::sha512(bytes));
        if let Some(there) = self.volume.blob(&digest).unwrap() {
            return there;
        }
        let text = digest.to_string();
        let folder = self.volume.root().join("blobs/sha512").join(&text[..2]);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(&text), bytes).unwrap();
        match self.volume.verify_blob(&digest, Timestamp::now()).unwrap() {
            Some(BlobCheck::Good(blob)) => blob,
            other => panic!("{other:?}"),
        }
    }

    /// Starts a conversion and waits for its end.
    async fn convert(&self, source: &VerifiedBlob, form: Form) -> Result<(VerifiedBlob, Vec<String>), String> {
        let key = ConversionKey { source: *source.digest(), form };
        self.jobs.conversions().start(source, form, Timestamp::now());
        let mut changed = self.jobs.changed();
        loop {
            changed.mark_unchanged();
            match self.jobs.conversions().look(&key).unwrap() {
                Some(ConversionState::Done { blob, left_out }) => return Ok((blob, left_out)),
                Some(ConversionState::Failed { message, .. }) => return Err(message),
                Some(ConversionState::Queued | ConversionState::Running { .. }) => changed.changed().await.unwrap(),
                None => return Err("cancelled".to_owned()),
            }
        }
    }

    /// The same for bytes.
    async fn converted(&self, bytes: &[u8], form: Form) -> Result<(VerifiedBlob, Vec<String>), String> {
        self.convert(&self.blob(bytes), form).await
    }

    /// Whether a blob holds the disk, as qemu-img reads it.
    fn holds(&self, blob: &VerifiedBlob, raw: &[u8]) -> bool {
        let disk = self.path().join("compared");
        std::fs::write(&disk, raw).unwrap();
        let format = blob.format().to_string();
        let (path, disk) = (blob.path().display().to_string(), disk.display().to_string());
        qemu_img(&["compare", "-f", &format, "-F", "raw", &path, &disk]).contains("identical")
    }

    /// What is left in `scratch/`.
    fn scratch(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.volume.root().join("scratch")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}
