//! `refresh`: requests that objects are reconciled now, without a change of their manifests.

use std::process::ExitCode;

use jiff::Timestamp;

use super::kept::Kept;
use super::kind::KindName;
use super::{NOT_GOOD, print};
use crate::api::{ObjectKey, Resource, for_each_kind};
use crate::store::ResourceStore as _;
use crate::store::directory::Directory;

/// Arguments of `refresh`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which kind
    #[arg(value_enum)]
    kind: KindName,
    /// Only the object with this name [default: all of the kind]
    name: Option<String>,
    /// Only objects in this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

/// Writes one request for each object into the state folder. A running operator acts on it at once, otherwise the next
/// run does.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (directory, whole) = args.kept.open()?;
    let mut asked = Vec::new();
    for_each_kind!(K => ask::<K>(&directory, args, &mut asked)?);
    if asked.is_empty() {
        let name = args.name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
        tracing::error!("NotFound: {}{name}; a run of `reconcile` has to have seen it", args.kind.resource());
        return Ok(ExitCode::from(NOT_GOOD));
    }
    print(&asked.concat())?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

fn ask<K: Resource>(directory: &Directory, args: &Args, asked: &mut Vec<String>) -> anyhow::Result<()> {
    for object in directory.all::<K>().into_iter().filter(|_| args.kind.has(K::KIND)) {
        let key = ObjectKey::of(&*object);
        let named = args.name.as_ref().is_none_or(|name| *name == key.name);
        if named && args.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace) {
            let file = directory.request::<K>(&key, Timestamp::now())?;
            let (kind, file) = (K::kind(&()), file.display().to_string());
            asked.push(format!("{kind} {key} is looked at now, or by the next run ({file})\n"));
        }
    }
    Ok(())
}
