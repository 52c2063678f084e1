//! The resources that earlier runs stored on a volume, for commands that only read them. They work while an operator
//! owns the volume.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::store::directory::Directory;

/// Where the resources are stored.
#[derive(Debug, clap::Args)]
pub(super) struct Kept {
    /// The volume, which holds the state folder
    #[arg(long, value_name = "DIR", env = "VMCATCHER_VOLUME")]
    pub volume: PathBuf,
    /// The folder with the status and generated resources [default: state on the volume]
    #[arg(long, value_name = "DIR", env = "VMCATCHER_STATE")]
    pub state: Option<PathBuf>,
}

impl Kept {
    /// The state folder.
    pub(super) fn folder(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.volume.join("state"))
    }

    /// The folder of the resources: a folder for each namespace, with one for each kind.
    pub(super) fn resources(&self) -> PathBuf {
        self.folder().join("resources")
    }

    /// Reads the stored resources, and returns whether all could be read. Those that could not are logged.
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

/// Fails if the folder does not exist or cannot be read.
fn look_into(state: &Path) -> anyhow::Result<()> {
    if let Err(error) = std::fs::read_dir(state) {
        bail!("expected what `reconcile` has kept in {}: {error}", state.display());
    }
    Ok(())
}
