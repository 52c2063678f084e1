//! `get`: resources and their conditions, from the state on the volume. It only reads, so it works while an operator
//! owns the volume.

mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::available::{self, available};
use super::kept::Kept;
use super::kind::KindName;
use super::standing::{Shown, is_well};
use super::table::{Output, documents, render, show};
use super::{NOT_GOOD, WRONG_USE, print};
use crate::api::{GROUP, ObjectKey, Resource, VERSION, for_each_kind};
use crate::store::ResourceStore as _;
use crate::store::directory::{Directory, ManifestProblem};
use crate::text;

/// Arguments of `get`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which kind
    #[arg(value_enum, default_value_t = KindName::All)]
    kind: KindName,
    /// Only the object with this name; with --available the image with this identifier
    name: Option<String>,
    /// Only objects in this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    /// With `images`: all images of the lists in force, whether the site selects them or not
    #[arg(long)]
    available: bool,
    /// Go on, and show what changes: on a terminal the tables again, else the rows that have changed (with `-o json` one
    /// line each)
    #[arg(short, long, conflicts_with = "available")]
    watch: bool,
    #[command(flatten)]
    kept: Kept,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Shows resources.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.available && args.kind != KindName::Images {
        tracing::error!("expected `get images --available`, found another kind");
        return Ok(ExitCode::from(WRONG_USE));
    }
    if args.watch {
        return watch::watch(args);
    }
    let (directory, whole) = args.kept.open()?;
    let (text, found, whole) = if args.available {
        let wanted = available::ImageFilter { namespace: args.namespace.as_deref(), identifier: args.name.as_deref() };
        let (images, all) = available(&directory, &args.kept.volume, &wanted)?;
        (available::show(&images, args.output)?, !images.is_empty(), whole && all)
    } else {
        let parts = parts(&directory, args, Shown::All)?;
        (join(args.output, &parts)?, !parts.is_empty(), whole)
    };
    if let (Some(name), false) = (&args.name, found) {
        tracing::error!("NotFound: {} {name:?}{}", args.kind.resource(), within(args.namespace.as_deref()));
        return Ok(ExitCode::from(NOT_GOOD));
    }
    if !found && whole {
        tracing::info!("no object of that kind is stored{}", within(args.namespace.as_deref()));
    }
    print(&text)?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

fn within(namespace: Option<&str>) -> String {
    namespace.map(|namespace| format!(" in the namespace {namespace:?}")).unwrap_or_default()
}

fn parts(directory: &Directory, args: &Args, shown: Shown) -> anyhow::Result<Vec<String>> {
    let mut parts = Vec::new();
    for_each_kind!(K => parts.extend(part::<K>(directory, args, shown)?));
    if args.kind == KindName::All && args.name.is_none() {
        parts.extend(problems(&directory.problems(), args.output)?);
    }
    Ok(parts)
}

/// The manifests that are not valid: a table, or one document each.
pub(super) fn problems(problems: &[ManifestProblem], output: Output) -> anyhow::Result<Vec<String>> {
    if problems.is_empty() {
        return Ok(Vec::new());
    }
    let number = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
    let row = |problem: &ManifestProblem| {
        let ManifestProblem { path, document, line, object, message } = problem.clone();
        vec![path.display().to_string(), number(document), number(line), object.unwrap_or_default(), message]
    };
    let value = |problem: &ManifestProblem| -> anyhow::Result<Value> {
        let mut value = json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": "ManifestProblem"});
        if let (Some(object), Value::Object(fields)) = (value.as_object_mut(), serde_json::to_value(problem)?) {
            object.extend(fields);
        }
        Ok(value)
    };
    documents(output, problems, value, |_| {
        let head = ["file", "document", "line", "object", "problem"];
        let table = render(head.into_iter(), problems.iter().map(row).collect());
        Ok(format!("Manifests that are not understood\n{table}"))
    })
}

/// The objects of one kind that are asked for.
fn objects<K: Resource>(directory: &Directory, args: &Args, shown: Shown) -> Vec<Arc<K>> {
    let mut objects: Vec<Arc<K>> = directory.all::<K>();
    objects.retain(|object| {
        let key = ObjectKey::of(&**object);
        args.kind.has(K::KIND)
            && args.name.as_ref().is_none_or(|name| *name == key.name)
            && args.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            && (shown == Shown::All || !is_well(&**object))
    });
    objects
}

/// The objects of one kind: a table, or one document each.
fn part<K: Resource + CustomResourceExt>(
    directory: &Directory,
    args: &Args,
    shown: Shown,
) -> anyhow::Result<Vec<String>> {
    let objects = objects::<K>(directory, args, shown);
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    documents(args.output, &objects, |object| Ok(&**object), |wide| show(&objects, wide, Timestamp::now()))
}

pub(super) fn join(output: Output, parts: &[String]) -> anyhow::Result<String> {
    match output {
        Output::Table | Output::Wide => Ok(parts.join("\n")),
        Output::None => Ok(String::new()),
        Output::Yaml => Ok(format!("---\n{}", parts.join("---\n"))),
        Output::Json => {
            let items: Vec<Value> = parts.iter().map(|part| serde_json::from_str(part)).collect::<Result<_, _>>()?;
            Ok(text::json(&json!({"apiVersion": "v1", "kind": "List", "items": items}))?)
        }
    }
}

/// All resources, or those that are not well. `reconcile --once` prints them when it ends.
pub(super) fn everything(directory: &Directory, output: Output, shown: Shown) -> anyhow::Result<String> {
    let kept = Kept { volume: PathBuf::new(), state: None };
    let args = Args { kind: KindName::All, name: None, namespace: None, available: false, watch: false, kept, output };
    join(output, &parts(directory, &args, shown)?)
}
