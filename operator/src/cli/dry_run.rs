//! `reconcile --dry-run`: what a run would do.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::json;

use super::operation::{Files, Operation};
use super::table::{Output, documents, render};
use super::{NOT_GOOD, get, print};
use crate::cache::{CacheError, Volume};
use crate::events::config::Config;
use crate::reconcile::Planned;
use crate::run::directory::Driver;
use crate::store::directory::Directory;

/// Makes the plan of each object and prints it. List servers and clouds are read. Nothing is written: not on the volume,
/// not in a cloud.
pub(super) async fn plans(
    operation: &Operation,
    directory: Directory,
    config: Config,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let (volume, _empty) = volume(operation)?;
    let problems = directory.problems();
    problems.iter().for_each(crate::store::directory::ManifestProblem::warn);
    let mut context = operation.context(directory, volume, Files::Allowed, config)?.dry_run();
    if operation.image_server.is_some() {
        // No cloud gets this path.
        context = context.with_image_server(Arc::new(|digest, extension, _| Ok(format!("/{digest}.{extension}"))));
    }
    let context = Arc::new(context);
    let (planned, errors) = Driver::new(context.clone()).plans().await;
    context.jobs.shutdown().await;
    let mut parts = planned_parts(&planned, output)?;
    parts.extend(get::problems(&problems, output)?);
    print(&get::join(output, &parts)?)?;
    Ok(if problems.is_empty() && errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

/// The volume, read-only; an empty one in a temporary folder if there is none yet.
fn volume(operation: &Operation) -> anyhow::Result<(Volume, Option<tempfile::TempDir>)> {
    match Volume::read_only(&operation.volume) {
        Err(CacheError::NoVolume { .. }) => {
            let (volume, folder) = empty_volume()?;
            Ok((volume, Some(folder)))
        }
        opened => Ok((opened?, None)),
    }
}

/// An empty volume in a temporary folder, which is removed when the folder is dropped.
pub(super) fn empty_volume() -> anyhow::Result<(Volume, tempfile::TempDir)> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    Ok((Volume::open(folder.path())?, folder))
}

fn planned_parts(planned: &[Planned], output: Output) -> anyhow::Result<Vec<String>> {
    let document = |Planned { kind, key, plan }: &Planned| {
        Ok(json!({
            "kind": kind.to_string(),
            "metadata": {"namespace": key.namespace, "name": key.name},
            "plan": plan,
        }))
    };
    let row = |Planned { kind, key, plan }: &Planned| {
        vec![kind.to_string(), key.namespace.clone(), key.name.clone(), plan.clone()]
    };
    documents(output, planned, document, |_| {
        let head = ["kind", "namespace", "name", "plan"];
        Ok(render(head.into_iter(), planned.iter().map(row).collect()))
    })
}

/// The store of a dry run: the manifests, and what earlier runs stored.
pub(super) fn store(manifests: &std::path::Path, state: &std::path::Path) -> anyhow::Result<Directory> {
    Ok(Directory::preview(manifests, state, Timestamp::now())?)
}
