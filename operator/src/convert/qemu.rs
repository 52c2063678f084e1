//! Runs `qemu-img info`, `measure` and `convert`, always with an explicit format, which is never guessed.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;

use super::child::{ChildLimits, Network, Run, find_program};
use super::error::ConvertError;
use super::sniff::Format;
use super::unpack::{Meter, Part};

/// The address space of one run, in bytes. qemu-img uses some 300 MB with its threads and its caches of tables.
const MEMORY: u64 = 2 * 1024 * 1024 * 1024;
/// The bytes that `info` and `measure` may write.
const NOTHING: u64 = 0;
/// A qcow2 is larger than its disk by at most this fraction (as a divisor) plus this number of bytes: tables, reference
/// counts.
const OVERHEAD: (u64, u64) = (512, 64 * 1024 * 1024);

/// The path of qemu-img, and the settings of each run.
pub(super) struct QemuImage<'a> {
    program: PathBuf,
    directory: &'a Path,
    network: Network,
    deadline: Instant,
    meter: &'a dyn Meter,
}

/// The needed fields of `qemu-img info --output=json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Info {
    pub format: String,
    pub virtual_size: u64,
    #[serde(default)]
    backing_filename: Option<String>,
    #[serde(default)]
    encrypted: bool,
    #[serde(default)]
    format_specific: Option<Specific>,
}

#[derive(Debug, Clone, Deserialize)]
struct Specific {
    #[serde(default)]
    data: serde_json::Value,
}

/// `qemu-img measure --output=json`.
#[derive(Debug, Deserialize)]
struct Measured {
    required: u64,
}

impl Info {
    /// The part of the disk that is in another file or encrypted, if any.
    fn outside(&self) -> Option<&'static str> {
        let data_file = self.format_specific.as_ref().is_some_and(|specific| specific.data.get("data-file").is_some());
        match (&self.backing_filename, data_file, self.encrypted) {
            (Some(_), _, _) => Some("a backing file"),
            (None, true, _) => Some("an external data file"),
            (None, false, true) => Some("encryption"),
            (None, false, false) => None,
        }
    }
}

impl<'a> QemuImage<'a> {
    /// Finds `qemu-img`, and the programs of util-linux that limit it.
    pub(super) fn find(
        program: &Path,
        directory: &'a Path,
        network: Network,
        deadline: Instant,
        meter: &'a dyn Meter,
    ) -> Result<Self, ConvertError> {
        for helper in ["prlimit", "setpriv"] {
            if find_program(Path::new(helper)).is_none() {
                return Err(ConvertError::ProgramMissing { program: helper.to_owned(), package: "util-linux" });
            }
        }
        let missing = || ConvertError::ProgramMissing { program: program.display().to_string(), package: "qemu-utils" };
        let program = find_program(program).ok_or_else(missing)?;
        Ok(Self { program, directory, network, deadline, meter })
    }

    /// Runs `qemu-img info` on a file. It is an error if the file is not complete or does not have the format.
    pub(super) async fn info(&self, path: &Path, format: Format) -> Result<Info, ConvertError> {
        let arguments = vec!["--output=json".into(), "-f".into(), name(format).into(), path.into()];
        let output = self.run("info", arguments, NOTHING, &|| 0, &|_| {}).await?;
        let info: Info = read("info", &output)?;
        match info.outside() {
            Some(found) => Err(ConvertError::Outside { format, found }),
            None => Ok(info),
        }
    }

    /// The bytes on the disk that the converted image needs, without holes, for any target form.
    pub(super) async fn measure(&self, path: &Path, format: Format) -> Result<u64, ConvertError> {
        // For a raw target, `measure` returns the length including holes, so qcow2 is used.
        let form = ["-O".into(), "qcow2".into()];
        let from = ["--output=json".into(), "-f".into(), name(format).into()];
        let arguments: Vec<OsString> = from.into_iter().chain(form).chain([path.into()]).collect();
        let output = self.run("measure", arguments, NOTHING, &|| 0, &|_| {}).await?;
        Ok(read::<Measured>("measure", &output)?.required)
    }

    /// Converts to a new file.
    pub(super) async fn convert(
        &self,
        from: (&Path, Format),
        to: (&Path, Format),
        virtual_size: u64,
    ) -> Result<(), ConvertError> {
        let forms = ["-p".into(), "-f".into(), name(from.1).into(), "-O".into(), name(to.1).into()];
        let arguments = forms.into_iter().chain([from.0.into(), to.0.into()]).collect();
        let largest = virtual_size.saturating_add(virtual_size / OVERHEAD.0).saturating_add(OVERHEAD.1);
        let written = || fs::metadata(to.0).map_or(0, |about| about.blocks().saturating_mul(512));
        let heard = |said: &[u8]| {
            if let Some(percent) = percent(said) {
                self.meter.tell(Part::Convert, virtual_size / 100 * percent, virtual_size);
            }
        };
        self.meter.tell(Part::Convert, 0, virtual_size);
        self.run("convert", arguments, largest, &written, &heard).await.map(drop)
    }

    async fn run(
        &self,
        command: &'static str,
        arguments: Vec<OsString>,
        file: u64,
        written: &dyn Fn() -> u64,
        heard: &dyn Fn(&[u8]),
    ) -> Result<Vec<u8>, ConvertError> {
        let run = Run {
            program: &self.program,
            command,
            arguments: std::iter::once(command.into()).chain(arguments).collect(),
            directory: self.directory,
            limits: ChildLimits { memory: MEMORY, file, deadline: self.deadline },
            network: self.network,
            meter: self.meter,
            written,
            heard,
        };
        match run.output().await {
            Err(ConvertError::Failed { said, .. }) if said.contains("No space left on device") => {
                Err(ConvertError::NoSpace { needed: written(), found: said })
            }
            other => other,
        }
    }
}

/// The last percentage in the output of `convert -p`: `    (42.00/100%)`.
fn percent(said: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(said);
    let before = text.rsplit_once("/100%)")?.0;
    let whole = before.rsplit_once('(')?.1.split('.').next()?;
    whole.parse().ok().filter(|percent| *percent <= 100)
}

fn read<'o, T: Deserialize<'o>>(command: &'static str, output: &'o [u8]) -> Result<T, ConvertError> {
    let bad = |error: serde_json::Error| ConvertError::Failed { command, said: format!("expected its JSON: {error}") };
    serde_json::from_slice(output).map_err(bad)
}

/// The name of a format in qemu-img. Other formats are never passed here, because they are refused or unpacked.
pub(super) const fn name(format: Format) -> &'static str {
    match format {
        Format::Qcow2 => "qcow2",
        Format::Vmdk => "vmdk",
        Format::Vdi => "vdi",
        Format::Vhd => "vpc",
        Format::Vhdx => "vhdx",
        Format::Raw | Format::Ova | Format::Tar | Format::Gz | Format::Bz2 | Format::Xz | Format::Zst | Format::Iso => {
            "raw"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_is_read_from_what_it_says() {
        let cases: [(&[u8], Option<u64>); 9] = [
            (b"    (0.00/100%)\r", Some(0)),
            (b"    (41.99/100%)\r    (42.50/100%)\r", Some(42)),
            (b"    (100.00/100%)\r\n", Some(100)),
            (b"    (100.00/100%)\r    (1", Some(100)),
            (b"(101.00/100%)", None),
            (b"(-1.00/100%)", None),
            (b"(/100%)", None),
            (b"42.00/100%)", None),
            (b"\xff\xfe", None),
        ];
        for (said, expected) in cases {
            assert_eq!(percent(said), expected, "{}", String::from_utf8_lossy(said));
        }
    }
}
