//! `image versions`: the versions of an image that are known.

use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::lookup::{Image, Lookup, Search};
use crate::cli::table::{Output, documents, render};
use crate::cli::{NOT_GOOD, get, print};
use crate::reconcile::{KnownVersion, Place};
use crate::size::Size;

/// Arguments of `image versions`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// dc:identifier of the image, or the name of its CachedImage
    #[arg(value_name = "ID")]
    image: String,
    #[command(flatten)]
    lookup: Lookup,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Shows the versions of an image.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let image = match args.lookup.search(&args.image, Timestamp::now()).await? {
        Search::Found(image, None) => image,
        Search::Found(_, Some(rest)) => {
            tracing::error!("expected the identifier alone, found @{rest} after it: all versions are shown");
            return Ok(ExitCode::from(NOT_GOOD));
        }
        Search::NotFound(message) => {
            tracing::error!("{message}");
            return Ok(ExitCode::from(NOT_GOOD));
        }
    };
    let parts =
        documents(args.output, &image.versions, |one| Ok(document(&image, one)), |wide| Ok(table(&image, wide)))?;
    print(&get::join(args.output, &parts)?)?;
    if let Some(frozen) = image.lists.as_ref().and_then(|lists| lists.frozen.as_ref()) {
        tracing::warn!("the list in force cannot be verified again, and nothing new of it is downloaded: {frozen}");
    }
    Ok(ExitCode::SUCCESS)
}

fn table(image: &Image, wide: bool) -> String {
    let mut head = vec!["version", "digest", "size", "where", "list", "published"];
    if wide {
        head.extend(["archived", "address"]);
    }
    let row = |one: &KnownVersion| {
        let digest = if wide { one.digest.to_string() } else { one.digest.short() };
        let size = size(image, one).map_or_else(|| "-".to_owned(), |size| Size(size).to_string());
        let mut row = vec![one.version.to_string(), digest, size, place(one), list(one), published(image, one)];
        if wide {
            let archived = one.on_volume().and_then(|entry| entry.archived_time);
            let address = one.listed.as_ref().and_then(|listed| listed.addresses.first());
            row.push(archived.map_or_else(|| "-".to_owned(), |time| time.to_string()));
            row.push(address.map_or_else(|| "-".to_owned(), ToString::to_string));
        }
        row
    };
    render(head.into_iter(), image.versions.iter().map(row).collect())
}

/// Where the bytes are: on the volume, or at the address that a list has.
fn place(one: &KnownVersion) -> String {
    match (&one.place, &one.listed) {
        (Place::Endorsed(_), _) => "endorsed".to_owned(),
        (Place::Archived(_), _) => "archive".to_owned(),
        (Place::Elsewhere, Some(listed)) if listed.is_older => format!("older list of {}", date(listed.list_created)),
        (Place::Elsewhere, Some(_) | None) => "list in force".to_owned(),
    }
}

/// The newest list that has it.
fn list(one: &KnownVersion) -> String {
    one.listed.as_ref().map_or_else(|| "-".to_owned(), |listed| listed.list_version.to_string())
}

fn date(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).date().to_string()
}

/// Where it is in circulation, as `target (id)`.
fn published(image: &Image, one: &KnownVersion) -> String {
    let at = targets(image, one).into_iter().map(|(target, id)| format!("{target} ({id})"));
    let at: Vec<String> = at.collect();
    if at.is_empty() { "-".to_owned() } else { at.join(", ") }
}

fn targets(image: &Image, one: &KnownVersion) -> Vec<(String, String)> {
    let status = image.object.as_ref().and_then(|object| object.status.as_ref());
    let is_it = |sha512: &Option<String>, version: &Option<String>| {
        sha512.as_deref() == Some(&one.digest.to_string()) && version.as_deref() == Some(one.version.as_str())
    };
    let targets = status.into_iter().flat_map(|status| &status.targets);
    let here = targets.filter(|target| is_it(&target.sha512, &target.version));
    here.filter_map(|target| Some((target.name.clone(), target.id.clone()?))).collect()
}

/// The size in bytes: from the list, or else from the file on the volume.
fn size(image: &Image, one: &KnownVersion) -> Option<u64> {
    let listed = one.listed.as_ref().and_then(|listed| listed.size);
    listed.or_else(|| Some(image.context.volume.blob(&one.digest.sha512()?).ok()??.size()))
}

fn document(image: &Image, one: &KnownVersion) -> Value {
    let listed = one.listed.as_ref();
    let published: Vec<Value> =
        targets(image, one).into_iter().map(|(target, id)| json!({"target": target, "id": id})).collect();
    json!({
        "namespace": image.candidate.namespace,
        "subscription": image.candidate.subscription,
        "identifier": image.candidate.identifier,
        "version": one.version,
        "sha512": one.digest.sha512(),
        "digest": one.digest.to_string(),
        "size": size(image, one),
        "state": one.state(),
        "path": one.on_volume().map(|entry| entry.path.display().to_string()),
        "archivedTime": one.on_volume().and_then(|entry| entry.archived_time),
        "listVersion": listed.map(|listed| &listed.list_version),
        "listCreated": listed.map(|listed| listed.list_created),
        "addresses": listed.map(|listed| listed.addresses.iter().map(ToString::to_string).collect::<Vec<_>>()),
        "publishedAt": published,
    })
}
