//! `reconcile --check`: are the manifests valid, do the objects that they refer to exist, and which servers would be
//! asked.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::json;

use super::standing::Shown;
use super::table::{Output, documents, render};
use super::{NOT_GOOD, get, print};
use crate::reconcile::{Settings, Surveyed, survey};
use crate::store::directory::Directory;
use crate::text;

/// Checks a folder of manifests. It asks no server and writes nothing.
pub(super) async fn check(
    manifests: &Path,
    settings: &Settings,
    output: Output,
    which: Shown,
) -> anyhow::Result<ExitCode> {
    let directory = Directory::read(manifests, Timestamp::now())?;
    let mut surveyed = survey(&directory, settings).await?;
    let problems = directory.problems();
    let bad = surveyed.iter().map(|one| one.problems.len()).sum::<usize>() + problems.len();
    let count = surveyed.len();
    surveyed.retain(|one| which == Shown::All || !one.problems.is_empty());
    let mut parts = objects(&surveyed, output)?;
    parts.extend(get::problems(&problems, output)?);
    let mut shown = get::join(output, &parts)?;
    if matches!(output, Output::Table | Output::Wide) && which == Shown::All {
        for passed_over in directory.passed_over() {
            let _ = writeln!(shown, "passed over: {}", text::printable(&passed_over));
        }
        let _ = writeln!(shown, "{count} objects, {bad} problems");
    }
    print(&shown)?;
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

/// The result of the check: a table with a row for each problem, or one document for each object.
fn objects(surveyed: &[Surveyed], output: Output) -> anyhow::Result<Vec<String>> {
    if surveyed.is_empty() {
        return Ok(Vec::new());
    }
    let document = |Surveyed { kind, key, asks, problems }: &Surveyed| {
        Ok(json!({
            "kind": kind.to_string(),
            "metadata": {"namespace": key.namespace, "name": key.name},
            "asks": asks,
            "problems": problems,
        }))
    };
    documents(output, surveyed, document, |_| {
        let head = ["kind", "namespace", "name", "asks", "problem"];
        Ok(render(head.into_iter(), surveyed.iter().flat_map(rows).collect()))
    })
}

fn rows(one: &Surveyed) -> Vec<Vec<String>> {
    let Surveyed { kind, key, asks, problems } = one;
    let row = |problem: &str| {
        let asks = if asks.is_empty() { "-" } else { asks };
        vec![kind.to_string(), key.namespace.clone(), key.name.clone(), asks.to_owned(), problem.to_owned()]
    };
    match problems.as_slice() {
        [] => vec![row("-")],
        problems => problems.iter().map(|problem| row(problem)).collect(),
    }
}
