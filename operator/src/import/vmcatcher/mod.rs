//! vmcatcher's database: SQLite, with the tables of any of its versions.

mod convert;
mod credential;
mod database;
mod rows;
mod schema;
mod subscription;

use std::path::Path;

use jiff::Timestamp;

use super::error::ImportError;
use super::manifest::Imported;
use super::seed::Known;

/// What a database says.
#[derive(Debug)]
pub struct Found {
    /// Which versions of vmcatcher make such tables.
    pub age: &'static str,
    /// The manifests, and the outcome of each row.
    pub imported: Imported,
    /// The images that the manifests want, as the database knows them.
    pub known: Vec<Known>,
}

/// Reads a database. `now` decides which lists have expired.
///
/// The file is only read. It is bounded, and its content is data: views, triggers and virtual tables are not used.
pub fn read(path: &Path, now: Timestamp) -> Result<Found, ImportError> {
    let (schema, rows) = database::read(path)?;
    let (imported, known) = convert::convert(&rows, now);
    Ok(Found { age: schema.age(), imported, known })
}
