//! `cache`: the content of a volume. All commands but `gc` only read, so they work while an operator owns the volume.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::render;
use super::{NOT_GOOD, print};
use crate::cache::{BlobCheck, CacheError, Entry, Keep, SafeName, VerifiedBlob, Volume};
use crate::imagelist::{ImageId, Sha512Digest};
use crate::size::{Count, Size};
use crate::text;

/// The commands of `cache`.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// List the versions of images: those in use, and those in the archive
    Ls(Ls),
    /// Read images again and compare their sha512; exit code 1 if any is damaged
    Verify(Verify),
    /// Show how much space each part of the volume takes
    Du(Common),
    /// Remove images that nothing refers to, and old partial downloads; a running operator does so by itself
    Gc(Gc),
}

/// Arguments of all commands.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// The volume that holds the images
    #[arg(long, value_name = "DIR", env = "VMCATCHER_VOLUME")]
    volume: PathBuf,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Arguments of `cache ls`.
#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    #[command(flatten)]
    common: Common,
    /// Only images of this namespace
    #[arg(short, long)]
    namespace: Option<String>,
}

/// Arguments of `cache verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    common: Common,
    /// Only images whose sha512 begins with these digits (at least 8)
    #[arg(value_name = "SHA512")]
    digests: Vec<String>,
}

/// Arguments of `cache gc`.
#[derive(Debug, clap::Args)]
pub(super) struct Gc {
    #[command(flatten)]
    common: Common,
    /// Only show what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table.
    Table,
    /// JSON, with exact numbers.
    Json,
}

/// Runs one of the commands.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (text, good) = match args {
        Args::Ls(args) => (ls(&open(&args.common)?, args)?, true),
        Args::Verify(args) => verify(&open(&args.common)?, args)?,
        Args::Du(common) => (du(&open(common)?, common)?, true),
        Args::Gc(args) => (gc(args)?, true),
    };
    print(&text)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

fn open(common: &Common) -> Result<Volume, CacheError> {
    Volume::read_only(&common.volume)
}

fn ls(volume: &Volume, args: &Ls) -> anyhow::Result<String> {
    let namespaces = match &args.namespace {
        Some(name) => vec![name.parse::<SafeName>()?],
        None => volume.namespaces()?,
    };
    let mut found = Vec::new();
    for namespace in namespaces {
        for (identifier, entries) in volume.index(&namespace)? {
            // An interrupted run can leave a version in both folders. Such a version is in use.
            let in_use = |entry: &&Entry| entries.endorsed.iter().any(|other| other.is_version_of(entry));
            let archived = entries.expired.iter().filter(|entry| !in_use(entry));
            for entry in entries.endorsed.iter().chain(archived) {
                found.push(listed(volume, &namespace, &identifier, entry)?);
            }
        }
    }
    if args.common.output == Output::Json {
        return Ok(text::json(&found)?);
    }
    let columns = ["namespace", "identifier", "version", "state", "size", "format", "sha512", "archived"];
    let rows = found.iter().map(|one| columns.iter().map(|column| cell(&one[*column], column)).collect()).collect();
    Ok(render(columns.into_iter(), rows))
}

/// One version of an image. Size and format are null if its blob is not on the volume.
fn listed(volume: &Volume, namespace: &SafeName, identifier: &ImageId, entry: &Entry) -> Result<Value, CacheError> {
    let blob = volume.blob(&entry.digest)?;
    Ok(json!({
        "namespace": namespace,
        "identifier": identifier,
        "version": entry.version,
        "state": if entry.archived_time.is_some() { "archived" } else { "endorsed" },
        "size": blob.as_ref().map(VerifiedBlob::size),
        "format": blob.as_ref().map(VerifiedBlob::format),
        "sha512": entry.digest,
        "path": entry.path,
        "archived": entry.archived_time,
        "lastVerified": blob.map(|blob| blob.last_verified_time()),
    }))
}

fn cell(value: &Value, column: &str) -> String {
    match (value, column) {
        (Value::Number(bytes), "size" | "bytes") => Size(bytes.as_u64().unwrap_or_default()).to_string(),
        (Value::String(digest), "sha512") => digest.chars().take(12).collect(),
        (Value::Null, _) => String::new(),
        (Value::String(time), "archived") => {
            time.parse().map_or_else(|_| time.clone(), |time: Timestamp| format!("{time:.0}"))
        }
        (Value::String(text), _) => text.clone(),
        (other, _) => other.to_string(),
    }
}

/// Verifies images. Returns the output, and whether all images are good.
fn verify(volume: &Volume, args: &Verify) -> anyhow::Result<(String, bool)> {
    let digests = selected(volume, &args.digests)?;
    let bar = progress(digests.len());
    let mut found = Vec::new();
    for digest in digests {
        bar.set_message(digest.short());
        found.extend(checked(volume, &digest));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let bad = found.iter().filter(|one| one["good"] == false).count();
    let text = if args.common.output == Output::Json {
        text::json(&found)?
    } else {
        let word = |one: &Value| if one["good"] == true { "good" } else { "DAMAGED" }.to_owned();
        let row = |one: &Value| {
            vec![word(one), cell(&one["size"], "size"), cell(&one["sha512"], ""), cell(&one["found"], "")]
        };
        let table = render(["state", "size", "sha512", "found"].into_iter(), found.iter().map(row).collect());
        format!("{table}{} read, {bad} damaged\n", Count(found.len(), "image"))
    };
    Ok((text, bad == 0))
}

/// Verifies one image; `None` if it was removed after the listing.
fn checked(volume: &Volume, digest: &Sha512Digest) -> Option<Value> {
    match volume.check_blob(digest, Timestamp::now()) {
        Ok(Some(BlobCheck::Good(blob))) => Some(json!({"sha512": digest, "good": true, "size": blob.size()})),
        Ok(Some(BlobCheck::Bad { expected, found, size })) => {
            Some(json!({"sha512": expected, "good": false, "size": size, "found": format!("sha512 {found}")}))
        }
        Ok(None) => None,
        Err(error) => Some(json!({"sha512": digest, "good": false, "found": error.to_string()})),
    }
}

fn selected(volume: &Volume, wanted: &[String]) -> anyhow::Result<Vec<Sha512Digest>> {
    let all = volume.blobs()?;
    if wanted.is_empty() {
        return Ok(all);
    }
    let mut found = Vec::new();
    for beginning in wanted {
        let beginning = beginning.to_ascii_lowercase();
        let matching = all.iter().filter(|digest| digest.to_string().starts_with(&beginning));
        let before = found.len();
        found.extend(matching.filter(|_| beginning.len() >= 8));
        if found.len() == before {
            bail!("expected at least 8 digits of the sha512 of an image on the volume, found {beginning:?}");
        }
    }
    Ok(found)
}

fn progress(count: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{pos}/{len} {wide_bar} {msg}");
    match style {
        Ok(style) if std::io::stderr().is_terminal() => ProgressBar::new(count as u64).with_style(style),
        Ok(_) | Err(_) => ProgressBar::hidden(),
    }
}

fn du(volume: &Volume, common: &Common) -> anyhow::Result<String> {
    let usage = volume.usage()?;
    if common.output == Output::Json {
        return Ok(text::json(&usage)?);
    }
    let row = |what: &str, files: String, bytes: u64| vec![what.to_owned(), files, Size(bytes).to_string()];
    let mut rows: Vec<_> = usage.parts.iter().map(|used| row(used.what, used.files.to_string(), used.bytes)).collect();
    let files: u64 = usage.parts.iter().map(|used| used.files).sum();
    rows.push(row("total", files.to_string(), usage.parts.iter().map(|used| used.bytes).sum()));
    rows.push(row("available", String::new(), usage.available));
    Ok(render(["what", "files", "size"].into_iter(), rows))
}

/// Removes garbage, except what is new: images younger than an hour, and partial downloads younger than seven days.
fn gc(args: &Gc) -> anyhow::Result<String> {
    let (keep, now) = (Keep::default(), Timestamp::now());
    let (collected, word) = if args.dry_run {
        (open(&args.common)?.find_garbage(&keep, now)?, "would be removed")
    } else {
        // Read first: `Volume::open` would create a volume that does not exist.
        open(&args.common)?;
        (Volume::open(&args.common.volume)?.collect_garbage(&keep, now)?, "removed")
    };
    if args.common.output == Output::Json {
        return Ok(text::json(&collected)?);
    }
    let mut lines: Vec<String> = collected.blobs.iter().map(|digest| format!("image {digest}")).collect();
    lines.extend(collected.partials.iter().map(|name| format!("partial download {}", text::printable(name))));
    let (images, partials) = (collected.blobs.len(), collected.partials.len());
    let bytes = Size(collected.bytes);
    let (images, partials) = (Count(images, "image"), Count(partials, "partial download"));
    lines.push(format!("{images} and {partials} {word}, {bytes}\n"));
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests;
