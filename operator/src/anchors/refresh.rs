//! Downloads CRLs into the trust directory, as fetch-crl does: from the URLs in `*.crl_url`, to `<hash>.r0`.
//!
//! The URLs of each CA are tried in order until one returns a usable CRL: it is signed by a certificate of the CA in
//! this directory, it is current, and it is not older than the present CRL. It is written as PEM, atomically, over the
//! CA's own `<hash>.rN`. A file of another CA with the same hash is not changed. So this can run beside fetch-crl on a
//! shared directory: the newer CRL is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use openssl::x509::X509;

use super::assembly::Kind;
use super::{files, load};
use crate::fetch::{Client, FetchError, ListAnswer, Source, Validator};
use crate::fs::{FileError, remove_leftovers_in, write_atomic};
use crate::imagelist::SourceUrl;
use crate::trust::{AnchorError, Anchors, DistinguishedName, RevocationList};

/// The largest CRL that is downloaded, in bytes.
const LARGEST: u64 = 64 << 20;
/// The memory that parsing a CRL needs, in bytes for each byte of it.
const EXPANDS: u64 = 8;
/// The time-out for one URL.
const PATIENCE: Duration = Duration::from_mins(2);
/// The most URLs of one CA.
const MOST_ADDRESSES: usize = 16;

/// Why a CRL was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The URL is not valid or not http(s).
    #[error("{0}: expected an http or https URL")]
    Address(String),
    /// The download failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The response is not a CRL.
    #[error("{url}: {error}")]
    NoCrl {
        /// The URL.
        url: SourceUrl,
        /// What was found instead.
        error: AnchorError,
    },
    /// It is from another CA, has no valid signature, or is not current.
    #[error("{url}: expected a current CRL that a CA of this name signed, found one {found}")]
    NotUsable {
        /// The URL.
        url: SourceUrl,
        /// What is wrong with it.
        found: String,
    },
    /// It is older than the present CRL, which could hide a revocation.
    #[error("{url}: expected a CRL of {present} or newer, found one of {found}")]
    GoesBack {
        /// The URL.
        url: SourceUrl,
        /// `thisUpdate` of the present CRL.
        present: Timestamp,
        /// `thisUpdate` of the downloaded CRL.
        found: Timestamp,
    },
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

/// The result for the CRL of one CA.
#[derive(Debug)]
pub struct Refreshed {
    /// The `.crl_url` file.
    pub from: PathBuf,
    /// The file that was written; `None` if the CRL has not changed. Otherwise the error of each URL.
    pub outcome: Result<Option<PathBuf>, Vec<RefreshError>>,
}

/// Downloads the CRLs of a trust directory, repeatedly. It stores the validators of responses for conditional requests.
#[derive(Debug)]
pub struct CrlRefresher {
    directory: PathBuf,
    client: Client,
    seen: BTreeMap<SourceUrl, Validator>,
}

/// One CA to refresh.
struct Task {
    from: PathBuf,
    addresses: Vec<String>,
    hash: String,
    issuers: Vec<DistinguishedName>,
}

impl CrlRefresher {
    /// A refresher for this directory.
    pub fn new(directory: &Path, client: Client) -> Self {
        Self { directory: directory.to_owned(), client, seen: BTreeMap::new() }
    }

    /// Refreshes the CRL of every CA once, one after another. If all URLs of a CA fail, its present CRL is kept.
    pub async fn refresh(&mut self, now: Timestamp) -> Vec<Refreshed> {
        if let Err(error) = remove_leftovers_in(&self.directory) {
            tracing::debug!(%error, "a temporary file of an earlier run stays");
        }
        let (anchors, _) = load(&self.directory);
        let mut told = Vec::new();
        for task in tasks(&self.directory) {
            let outcome = self.refresh_one(&task, &anchors, now).await;
            told.push(Refreshed { from: task.from, outcome });
        }
        told
    }

    async fn refresh_one(
        &mut self,
        task: &Task,
        anchors: &Anchors,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, Vec<RefreshError>> {
        let mut failed = Vec::new();
        for address in &task.addresses {
            match self.ask(address, task, anchors, now).await {
                Ok(written) => return Ok(written),
                Err(error) => failed.push(error),
            }
        }
        Err(failed)
    }

    async fn ask(
        &mut self,
        address: &str,
        task: &Task,
        anchors: &Anchors,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, RefreshError> {
        let url: SourceUrl = address.parse().map_err(|_| RefreshError::Address(address.chars().take(200).collect()))?;
        if !url.is_remote() {
            return Err(RefreshError::Address(url.to_string()));
        }
        let (target, present) = self.place(task);
        // Without a present CRL, the response `304 Not Modified` would be useless, so the request is unconditional
        // then.
        let before = self.seen.get(&url).filter(|_| present.is_some()).cloned();
        let answer = self.client.fetch_list(&Source::public(url.clone()), before.as_ref(), PATIENCE, LARGEST).await?;
        let ListAnswer::Body { document, validator, .. } = answer else { return Ok(None) };
        // Memory for parsing, with no namespace as the owner. It is held until the CRL is written.
        let _memory = self.client.budget().take("", document.size().saturating_mul(EXPANDS)).await;
        let bytes =
            document.read().map_err(|error| FetchError::NotKept { url: url.clone(), message: error.to_string() })?;
        let new = RevocationList::read(&bytes).map_err(|error| RefreshError::NoCrl { url: url.clone(), error })?;
        judge(&new, present.as_ref(), task, anchors, &url, now)?;
        let same = present.is_some_and(|present| present.this_update() == new.this_update());
        if !same {
            write_atomic(&target, new.to_pem().as_bytes(), 0o644)?;
        }
        if let Some(validator) = validator {
            self.seen.insert(url, validator);
        }
        Ok((!same).then_some(target))
    }

    /// The CRL file of the CA and its content, or else the first free name for its hash.
    fn place(&self, task: &Task) -> (PathBuf, Option<RevocationList>) {
        let mut free = None;
        for number in 0..10 {
            let path = self.directory.join(format!("{}.r{number}", task.hash));
            match fs::read(&path).ok().map(|bytes| RevocationList::read(&bytes)) {
                Some(Ok(crl)) if task.issuers.contains(crl.issuer()) => return (path, Some(crl)),
                // The file of another CA is kept; a file that is not a CRL may be overwritten.
                Some(Ok(_)) => {}
                None | Some(Err(_)) => free = free.or(Some(path)),
            }
        }
        (free.unwrap_or_else(|| self.directory.join(format!("{}.r0", task.hash))), None)
    }
}

/// Whether the new CRL may replace the present one.
fn judge(
    new: &RevocationList,
    present: Option<&RevocationList>,
    task: &Task,
    anchors: &Anchors,
    url: &SourceUrl,
    now: Timestamp,
) -> Result<(), RefreshError> {
    let unusable = |found: String| Err(RefreshError::NotUsable { url: url.clone(), found });
    if !task.issuers.contains(new.issuer()) {
        return unusable(format!("of {}", new.issuer()));
    }
    if !new.is_signed_by_any(anchors) {
        return unusable("that it did not sign".to_owned());
    }
    if new.this_update() > now || new.next_update() <= now {
        return unusable(format!("from {} to {}", new.this_update(), new.next_update()));
    }
    match present {
        // A present CRL without a valid signature is not compared.
        Some(present) if present.is_signed_by_any(anchors) && new.goes_back_behind(present) => {
            let url = url.clone();
            Err(RefreshError::GoesBack { url, present: present.this_update(), found: new.this_update() })
        }
        Some(_) | None => Ok(()),
    }
}

/// The CAs that have URLs, each once. A `.crl_url` file belongs to the certificate of the same name.
fn tasks(directory: &Path) -> Vec<Task> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "crl_url"));
    found.sort();
    let certificates: Vec<PathBuf> = files(directory)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(kind, path)| (kind == Kind::Certificates).then_some(path))
        .collect();
    let mut known = BTreeSet::new();
    let task = |from: PathBuf| {
        let stem = from.file_stem()?;
        let own = certificates.iter().filter(|path| path.file_stem() == Some(stem));
        let certificates: Vec<X509> = own.flat_map(|path| read_certificates(path)).collect();
        let hash = format!("{:08x}", certificates.first()?.subject_name_hash());
        let text = fs::read_to_string(&from).ok()?;
        let addresses = addresses(&text);
        let ders = certificates.iter().filter_map(|certificate| certificate.to_der().ok());
        let issuers = ders.filter_map(|der| DistinguishedName::of_subject(&der)).collect();
        known.insert((hash.clone(), addresses.clone())).then_some(Task { from, addresses, hash, issuers })
    };
    found.into_iter().filter_map(task).collect()
}

fn read_certificates(path: &Path) -> Vec<X509> {
    let bytes = fs::read(path).unwrap_or_default();
    X509::from_der(&bytes).map(|one| vec![one]).or_else(|_| X509::stack_from_pem(&bytes)).unwrap_or_default()
}

/// One URL for each line, or several separated by `;`. `#` begins a comment.
fn addresses(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split_once('#').map_or(line, |(before, _)| before));
    let found = lines.flat_map(|line| line.split(';')).map(str::trim).filter(|address| !address.is_empty());
    found.take(MOST_ADDRESSES).map(str::to_owned).collect()
}
