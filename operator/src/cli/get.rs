//! `get`: resources and their conditions, as they were kept on the volume. Reads only, whoever owns the volume.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::ValueEnum;
use jiff::Timestamp;
use kube::CustomResourceExt;

use super::standing::{HasStanding, Shown};
use super::table::{Output, show};
use super::{NOT_GOOD, print};
use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription};
use crate::cluster::directory::Directory;
use crate::reconcile::{Cluster as _, ObjectKey, Resource};
use crate::text;

/// Arguments of `get`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which kind
    #[arg(value_enum, default_value_t = Which::All)]
    kind: Which,
    /// Only the object of this name
    name: Option<String>,
    /// Only objects of this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    /// The volume, below which the state is kept
    #[arg(long, value_name = "DIR", env = "VMCATCHER_VOLUME")]
    volume: PathBuf,
    /// Where status and generated resources are kept, if not in the volume's state folder
    #[arg(long, value_name = "DIR", env = "VMCATCHER_STATE")]
    state: Option<PathBuf>,
    /// How they are shown
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The kinds, by the names that kubectl takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// All kinds.
    All,
    /// Cloud targets.
    #[value(name = "cloudtargets", alias = "cloudtarget")]
    Targets,
    /// Endorsers.
    #[value(alias = "endorser", alias = "endorsers.vmcatcher.io")]
    Endorsers,
    /// Image list subscriptions.
    #[value(name = "imagelistsubscriptions", alias = "ils", alias = "imagelistsubscription")]
    Subscriptions,
    /// Cached images.
    #[value(name = "cachedimages", alias = "cimg", alias = "cachedimage")]
    Images,
}

impl Which {
    /// As an API server calls it.
    fn resource(self) -> String {
        match self {
            Self::All => "resource".to_owned(),
            Self::Targets => CloudTarget::crd_name().to_owned(),
            Self::Endorsers => Endorser::crd_name().to_owned(),
            Self::Subscriptions => ImageListSubscription::crd_name().to_owned(),
            Self::Images => CachedImage::crd_name().to_owned(),
        }
    }
}

/// Shows resources.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let state = args.state.clone().unwrap_or_else(|| args.volume.join("state"));
    if !state.is_dir() {
        bail!("expected what `reconcile` has kept in {}, found no such folder", state.display());
    }
    let (directory, problems) = Directory::open(&state, &state);
    for problem in problems {
        tracing::warn!("{problem}");
    }
    let parts = parts(&directory, args, Shown::All)?;
    if let (Some(name), true) = (&args.name, parts.is_empty()) {
        tracing::error!("NotFound: {} {name:?}{}", args.kind.resource(), within(args.namespace.as_deref()));
        return Ok(ExitCode::from(NOT_GOOD));
    }
    if parts.is_empty() {
        tracing::info!("nothing of that kind is kept{}", within(args.namespace.as_deref()));
    }
    print(&join(args.output, &parts)?)?;
    Ok(ExitCode::SUCCESS)
}

fn within(namespace: Option<&str>) -> String {
    namespace.map(|namespace| format!(" in the namespace {namespace:?}")).unwrap_or_default()
}

fn parts(directory: &Directory, args: &Args, shown: Shown) -> anyhow::Result<Vec<String>> {
    let mut parts = Vec::new();
    if matches!(args.kind, Which::All | Which::Targets) {
        parts.extend(part::<CloudTarget>(directory, args, shown)?);
    }
    if matches!(args.kind, Which::All | Which::Endorsers) {
        parts.extend(part::<Endorser>(directory, args, shown)?);
    }
    if matches!(args.kind, Which::All | Which::Subscriptions) {
        parts.extend(part::<ImageListSubscription>(directory, args, shown)?);
    }
    if matches!(args.kind, Which::All | Which::Images) {
        parts.extend(part::<CachedImage>(directory, args, shown)?);
    }
    Ok(parts)
}

/// What is shown of one kind: a table, or each object as a document.
fn part<K: Resource + CustomResourceExt + HasStanding>(
    directory: &Directory,
    args: &Args,
    shown: Shown,
) -> anyhow::Result<Vec<String>> {
    let mut objects: Vec<Arc<K>> = directory.all::<K>();
    objects.retain(|object| {
        let key = ObjectKey::of(&**object);
        args.name.as_ref().is_none_or(|name| *name == key.name)
            && args.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            && (shown == Shown::All || !object.is_well())
    });
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    match args.output {
        Output::Table | Output::Wide => Ok(vec![show(&objects, args.output == Output::Wide, Timestamp::now())?]),
        Output::Json => objects.iter().map(|object| Ok(serde_json::to_string_pretty(&**object)?)).collect(),
        Output::None => Ok(vec![String::new()]),
        Output::Yaml => objects.iter().map(|object| Ok(text::yaml(&**object)?)).collect(),
    }
}

fn join(output: Output, parts: &[String]) -> anyhow::Result<String> {
    match output {
        Output::Table | Output::Wide => Ok(parts.join("\n")),
        Output::None => Ok(String::new()),
        Output::Yaml => Ok(format!("---\n{}", parts.join("---\n"))),
        Output::Json => {
            let items: Vec<serde_json::Value> =
                parts.iter().map(|part| serde_json::from_str(part)).collect::<Result<_, _>>()?;
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
            Ok(text::json(&list)?)
        }
    }
}

/// All resources, or those that are not well, for the end of a run.
pub(super) fn everything(directory: &Directory, output: Output, shown: Shown) -> anyhow::Result<String> {
    let args = Args { kind: Which::All, name: None, namespace: None, volume: PathBuf::new(), state: None, output };
    join(output, &parts(directory, &args, shown)?)
}
