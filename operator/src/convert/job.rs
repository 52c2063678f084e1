//! One complete conversion, in a separate directory.

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

/// Unpacked data may be larger than the limit of a disk by this fraction (as a divisor) plus this number of bytes: a
/// qcow2 has tables, an archive has other files.
const MORE_THAN_THE_DISK: (u64, u64) = (8, 64 * 1024 * 1024);

/// The input and the limits of a conversion.
pub struct Conversion<'a> {
    /// The path of the verified image.
    pub source: &'a Path,
    /// Its format.
    pub format: Format,
    /// The target form.
    pub form: Form,
    /// An empty directory on the same file system as the destination of the result.
    pub scratch: &'a Path,
    /// The `qemu-img` program: a path, or a name that is searched in `PATH`.
    pub program: &'a Path,
    /// The maximum size of a disk in bytes.
    pub largest: u64,
    /// The deadline.
    pub deadline: Instant,
}

/// The result of a conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The file, in the scratch directory. Not synced yet.
    pub path: PathBuf,
    /// The size of the disk in bytes.
    pub virtual_size: u64,
    /// The names of other disks in the appliance, which were not converted.
    pub left_out: Vec<String>,
}

/// Called before much data is written, and regularly while it is written.
pub trait Room: Meter {
    /// Claims space for this number of bytes more on the disk.
    fn take(&self, bytes: u64) -> Result<(), ConvertError>;
}

impl Conversion<'_> {
    /// Runs the conversion. It blocks the thread and starts children from it. The children end when the thread ends.
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

    /// Checks that qemu-img exists if it is needed, so that nothing is unpacked in vain.
    fn needs_tool<'t>(
        &self,
        format: Format,
        tool: &dyn Fn() -> Result<QemuImage<'t>, ConvertError>,
    ) -> Result<(), ConvertError> {
        if format == self.form.format() { Ok(()) } else { tool().map(drop) }
    }

    /// The unpacked disk: the source, or a file in the scratch directory.
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
        // The result is checked like untrusted input, because qemu-img worked on untrusted bytes.
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
