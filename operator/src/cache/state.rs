//! `state/`: persistent state, in one JSON file each.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::blob::unused;
use super::error::CacheError;
use super::name::StatePath;
use super::record;
use super::volume::Volume;
use crate::fs::{parent, sync_directory};

impl Volume {
    /// Reads a state; `None` if it was never written.
    ///
    /// Fails with [`CacheError::StateCorrupt`] if the file does not contain a `T`. Such a file is never treated as
    /// empty or overwritten. The caller decides; [`Volume::set_state_aside`] moves it away.
    pub fn read_state<T: DeserializeOwned>(&self, state: &StatePath) -> Result<Option<T>, CacheError> {
        record::read(&self.state_path(state))
    }

    /// Writes a state atomically.
    pub fn write_state<T: Serialize>(&self, state: &StatePath, value: &T) -> Result<(), CacheError> {
        record::write(self, &self.state_path(state), value)
    }

    /// The same for a secret: only the operator's user can read the file.
    pub fn write_secret_state<T: Serialize>(&self, state: &StatePath, value: &T) -> Result<(), CacheError> {
        record::write_as(self, &self.state_path(state), value, 0o600)
    }

    /// Removes a state, if there is one.
    pub fn remove_state(&self, state: &StatePath) -> Result<(), CacheError> {
        let path = self.state_path(state);
        self.remove_file(&path)
    }

    /// Moves an unreadable state to `*.corrupt-<n>` next to it, for inspection by an administrator, and returns its new
    /// path.
    pub fn set_state_aside(&self, state: &StatePath) -> Result<PathBuf, CacheError> {
        let path = self.state_path(state);
        self.writable(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let aside = unused(|n| path.with_file_name(format!("{name}.corrupt-{n}")));
        fs::rename(&path, &aside).map_err(CacheError::io("set aside", &path))?;
        sync_directory(parent(&path))?;
        Ok(aside)
    }

    fn state_path(&self, state: &StatePath) -> PathBuf {
        self.path("state").join(state.relative())
    }
}
