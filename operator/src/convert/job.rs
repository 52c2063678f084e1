//! One conversion from beginning to end, in a directory of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::runtime::Handle;

use super::Form;
use super::child::Network;
use super::error::ConvertError;
use super::header::{Disk, FileBytes, inspect};
use super::qemu::{QemuImage, name};
use super::sniff::Format;
use super::unpack::{Meter, Package, is_packed, unpack};

/// Unpacked data may be a little more than the disk in it: a qcow2 has tables, an archive has other files.
const MORE_THAN_THE_DISK: (u64, u64) = (8, 64 * 1024 * 1024);

/// What is converted, and within which limits.
pub struct Conversion<'a> {
    /// Verified bytes.
    pub source: &'a Path,
    /// What they are.
    pub format: Format,
    /// What they become.
    pub form: Form,
    /// An empty directory on the same file system as the place where the result goes.
    pub scratch: &'a Path,
    /// The program: a path, or a name that `PATH` leads to.
    pub program: &'a Path,
    /// Bytes of a disk.
    pub largest: u64,
    /// When it has to be done.
    pub deadline: Instant,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The file, in the scratch directory. Not synced yet.
    pub path: PathBuf,
    /// Size of the disk in bytes.
    pub virtual_size: u64,
    /// Names of other disks of the appliance, which were left out.
    pub left_out: Vec<String>,
}

/// Asked before much is written, and on the way.
pub trait Room: Meter {
    /// Whether there is room for so many bytes more on the disk.
    fn take(&self, bytes: u64) -> Result<(), ConvertError>;
}

impl Conversion<'_> {
    /// Does it. Blocks the thread, from which children are started: they end when it does.
    pub fn run(&self, room: &dyn Room, runtime: &Handle) -> Result<Converted, ConvertError> {
        let network = runtime.block_on(Network::probe(self.source, self.scratch));
        let tool = || QemuImage::find(self.program, self.scratch, network, self.deadline, room);
        let (disk, left_out) = self.unpacked(room, &|format| self.needs_tool(format, &tool))?;
        let found = inspect_file(&disk, self.largest)?;
        if found.format == self.form.format() {
            return Ok(Converted { path: disk, virtual_size: found.virtual_size, left_out });
        }
        let (path, virtual_size) = runtime.block_on(self.convert(&tool()?, &disk, found, room))?;
        if disk != self.source {
            std::fs::remove_file(&disk).map_err(ConvertError::io("remove", &disk))?;
        }
        Ok(Converted { path, virtual_size, left_out })
    }

    /// A disk that is packed is not unpacked for nothing.
    fn needs_tool<'t>(
        &self,
        format: Format,
        tool: &dyn Fn() -> Result<QemuImage<'t>, ConvertError>,
    ) -> Result<(), ConvertError> {
        if format == self.form.format() { Ok(()) } else { tool().map(drop) }
    }

    /// The disk by itself: the source, or a file in the scratch directory.
    fn unpacked(
        &self,
        room: &dyn Room,
        seen: &dyn Fn(Format) -> Result<(), ConvertError>,
    ) -> Result<(PathBuf, Vec<String>), ConvertError> {
        if !is_packed(self.format) {
            return Ok((self.source.to_owned(), Vec::new()));
        }
        let limit =
            self.largest.saturating_add(self.largest / MORE_THAN_THE_DISK.0).saturating_add(MORE_THAN_THE_DISK.1);
        let disk = self.scratch.join("disk");
        let package = Package { path: self.source, format: self.format, limit, meter: room };
        let left_out = unpack(&package, &disk, seen)?;
        Ok((disk, left_out))
    }

    async fn convert(
        &self,
        tool: &QemuImage<'_>,
        disk: &Path,
        found: Disk,
        room: &dyn Room,
    ) -> Result<(PathBuf, u64), ConvertError> {
        let before = tool.info(disk, found.format).await?;
        if before.virtual_size > self.largest {
            let found = before.virtual_size.to_string();
            return Err(ConvertError::TooLarge { what: "a disk", limit: self.largest, found });
        }
        room.take(tool.measure(disk, found.format).await?)?;
        let (to, format) = (self.scratch.join("converted"), self.form.format());
        tool.convert((disk, found.format), (&to, format), before.virtual_size).await?;
        // What stands there is looked at as if it came from outside: the program worked on foreign bytes.
        let made = inspect_file(&to, self.largest)?;
        let after = tool.info(&to, made.format).await?;
        let is_right =
            made.format == format && after.format == name(format) && after.virtual_size == before.virtual_size;
        if !is_right {
            return Err(ConvertError::Output {
                expected: format!("a {format} of {} bytes", before.virtual_size),
                found: format!("a {} of {} bytes", made.format, after.virtual_size),
            });
        }
        Ok((to, after.virtual_size))
    }
}

fn inspect_file(path: &Path, largest: u64) -> Result<Disk, ConvertError> {
    let failed = ConvertError::io("look into", path);
    let file = File::open(path).map_err(&failed)?;
    inspect(&FileBytes::new(file).map_err(&failed)?, largest)
}
