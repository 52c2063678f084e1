//! `crds`: the custom resource definitions.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use kube::ResourceExt;

use super::print;
use crate::api::crds;
use crate::fs::{remove_leftovers_in, write_atomic};

/// Arguments of `crds`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write one file for each kind into this folder instead of printing all
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints the definitions, or writes them to files.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.output {
        remove_leftovers_in(folder)?;
    }
    for crd in crds() {
        let text = format!("---\n{}", serde_yaml::to_string(&crd)?);
        match &args.output {
            Some(folder) => {
                let path = folder.join(format!("{}.yaml", crd.name_any()));
                write_atomic(&path, text.as_bytes(), 0o644).with_context(|| format!("writing {}", path.display()))?;
            }
            None => print(&text)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
