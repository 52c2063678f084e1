//! `image get`: the bytes of a version, from the volume if it has them, or else from the addresses in accepted lists.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use jiff::Timestamp;

use super::download::{Wanted, bar, download};
use super::lookup::{Image, Lookup, Search};
use super::output::{Output, Work, refuse_existing, stream};
use super::wanted::{allowed, wanted};
use crate::cache::{VerifiedBlob, encode_version};
use crate::cli::versions::Wished;
use crate::cli::{NOT_GOOD, WRONG_USE, print};
use crate::reconcile::{KnownVersion, Place};
use crate::size::Size;

/// Arguments of `image get`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// dc:identifier of the image, or the name of its CachedImage; then the version (hv:version), or the content by
    /// `sha512:` (or `sha256:`, if the list has no other) and its first 8 or more digits [default: the pinned version, or that of the list in force]
    #[arg(value_name = "ID[@VERSION|@sha512:PREFIX]")]
    image: String,
    #[command(flatten)]
    lookup: Lookup,
    /// The file, or the folder for it; `-` is standard output. The file has its name only after its size and sha512 were
    /// verified [default: IDENTIFIER-VERSION.FORMAT in the current folder]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

/// Gets the bytes of a version.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let (image, rest) = match args.lookup.search(&args.image, now).await? {
        Search::Found(image, rest) => (image, rest),
        Search::NotFound(message) => return Ok(refused(&message)),
    };
    let wished = match rest.map(str::parse::<Wished>).transpose() {
        Ok(wished) => wished,
        Err(message) => {
            tracing::error!("{message}");
            return Ok(ExitCode::from(WRONG_USE));
        }
    };
    let spec = image.object.as_ref().map(|object| &object.spec);
    let pin = (spec.and_then(|spec| spec.version.as_deref()), spec.and_then(|spec| spec.sha512.as_deref()));
    let list = image.lists.as_ref().map(|lists| &lists.list);
    let version = match wanted(&image.versions, wished.as_ref(), pin) {
        Ok(version) => version,
        Err(error) => return Ok(refused(&format!("{}: {error}", image.candidate.identifier))),
    };
    match allowed(version, list, now) {
        Ok(notes) => notes.iter().for_each(|note| tracing::warn!("{note}")),
        Err(error) => return Ok(refused(&format!("{}: {error}", image.candidate.identifier))),
    }
    get(args, &image, version).await
}

fn refused(message: &str) -> ExitCode {
    tracing::error!("{message}");
    ExitCode::from(NOT_GOOD)
}

async fn get(args: &Args, image: &Image, version: &KnownVersion) -> anyhow::Result<ExitCode> {
    let output = Output::of(args.output.as_deref(), args.force)?;
    let blob = match version.digest.sha512() {
        Some(sha512) => image.context.volume.blob_for(&image.key.namespace, &sha512)?,
        None => None,
    };
    if let Some(blob) = blob {
        if from_volume(args, image, version, &output, &blob)? {
            return Ok(ExitCode::SUCCESS);
        }
        tracing::warn!("{}: expected sha512 {}, found other bytes", blob.path().display(), blob.digest());
    }
    if let Some(frozen) = image.lists.as_ref().and_then(|lists| lists.frozen.as_ref()) {
        let message = "nothing is downloaded while the list in force cannot be verified again";
        return Ok(refused(&format!("{message}: {frozen} (--trust and --manifests are as the operator has them?)")));
    }
    from_network(args, image, version, &output).await?;
    Ok(ExitCode::SUCCESS)
}

/// Gets the bytes from the volume. Returns false if they are damaged there.
fn from_volume(
    args: &Args,
    image: &Image,
    version: &KnownVersion,
    output: &Output,
    blob: &VerifiedBlob,
) -> anyhow::Result<bool> {
    let Some(to) = output.path(&name(image, version, blob)) else { return stream(blob.path(), blob.digest()) };
    refuse_existing(&to, args.force)?;
    let work = Work::open(output.folder(), &version.digest)?;
    let bar = bar(blob.size(), &to.display().to_string());
    let copied = work.copy(blob.path(), blob.digest(), &|bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let Some(copy) = copied? else { return Ok(false) };
    let from = match &version.place {
        Place::Endorsed(_) => "the cache",
        Place::Archived(_) => "the archive",
        Place::Elsewhere => "the volume, where another image has the same bytes",
    };
    hand_over(args, work, &copy, &to, (version, blob), from)?;
    Ok(true)
}

async fn from_network(args: &Args, image: &Image, version: &KnownVersion, output: &Output) -> anyhow::Result<()> {
    let Some(listed) = &version.listed else { bail!("version {}: no accepted list has its address", version.version) };
    let work = Work::open(output.folder(), &version.digest)?;
    let name_shown = format!("{}@{}", image.candidate.identifier, version.version);
    let wanted = Wanted { digest: version.digest, size: listed.size, addresses: &listed.addresses, name: name_shown };
    let blob = match download(image, &work, &wanted).await {
        Ok(blob) => blob,
        Err(error) => {
            if !work.has_bytes() {
                work.remove()?;
            }
            return Err(error);
        }
    };
    let Some(to) = output.path(&name(image, version, &blob)) else {
        let whole = stream(blob.path(), blob.digest())?;
        work.remove()?;
        if !whole {
            bail!("expected sha512 {}, found other bytes after the download", blob.digest());
        }
        return Ok(());
    };
    hand_over(args, work, blob.path(), &to, (version, &blob), "its address")
}

/// Gives the verified file its name, and says what it is.
fn hand_over(
    args: &Args,
    work: Work,
    from: &std::path::Path,
    to: &std::path::Path,
    (version, blob): (&KnownVersion, &VerifiedBlob),
    origin: &str,
) -> anyhow::Result<()> {
    work.place(from, to, args.force)?;
    work.remove()?;
    tracing::info!(
        "version {} from {origin}: {}, sha512 {} verified",
        version.version,
        Size(blob.size()),
        blob.digest().short()
    );
    print(&format!("{}\n", to.display()))
}

/// `IDENTIFIER-VERSION.FORMAT`, with the version percent-encoded where it is no file name.
fn name(image: &Image, version: &KnownVersion, blob: &VerifiedBlob) -> String {
    let (identifier, extension) = (&image.candidate.identifier, blob.format().extension());
    format!("{identifier}-{}.{extension}", encode_version(&version.version))
}
