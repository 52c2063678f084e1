//! What the runs before have kept of the resources, for the commands that look at it. Nobody has to own the volume.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::store::directory::Directory;

/// Where it is kept.
#[derive(Debug, clap::Args)]
pub(super) struct Kept {
    /// The volume, below which the state is kept
    #[arg(long, value_name = "DIR", env = "VMCATCHER_VOLUME")]
    pub volume: PathBuf,
    /// Where status and generated resources are kept, if not in the volume's state folder
    #[arg(long, value_name = "DIR", env = "VMCATCHER_STATE")]
    pub state: Option<PathBuf>,
}

impl Kept {
    fn folder(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.volume.join("state"))
    }

    /// The resources as they were kept, and whether all of them could be read. What could not be is reported.
    pub(super) fn open(&self) -> anyhow::Result<(Directory, bool)> {
        let state = self.folder();
        look_into(&state)?;
        let (directory, problems) = Directory::open(&state, &state);
        for problem in &problems {
            tracing::error!("{problem}");
        }
        Ok((directory, problems.is_empty()))
    }
}

/// Whether the folder is there and may be read.
fn look_into(state: &Path) -> anyhow::Result<()> {
    if let Err(error) = std::fs::read_dir(state) {
        bail!("expected what `reconcile` has kept in {}: {error}", state.display());
    }
    Ok(())
}
