//! The script that downloads one version, checks it, and starts it. Pure.

use askama::Template;

use super::shown::Text;
use crate::convert::Format;

/// The script, for `sh`. Every text in it is quoted.
#[derive(Debug, Clone, Template)]
#[template(path = "script.sh.txt", escape = "none")]
pub(super) struct Script {
    title: Text,
    version: Text,
    /// The address of the pages, without a slash at its end.
    base: String,
    path: String,
    pub file: String,
    sha512: String,
    size: u64,
    start: Start,
}

/// How the image is started.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Start {
    With {
        /// The format, as qemu calls it.
        format: &'static str,
        /// The command of qemu with what its machine needs.
        qemu: &'static str,
        /// The architecture, as libvirt calls it.
        arch: &'static str,
    },
    /// Why it is not started.
    Not(Text),
}

/// One version, as the script needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version<'a> {
    pub title: &'a str,
    pub name: &'a str,
    pub arch: &'a str,
    pub format: Format,
    pub file: &'a str,
    pub path: &'a str,
    pub sha512: &'a str,
    pub size: u64,
}

impl Script {
    /// The script for a version that pages at `base` give out.
    pub(super) fn of(one: &Version<'_>, base: &str) -> Self {
        Self {
            title: Text::at_most(one.title, 120),
            version: Text::at_most(one.name, 120),
            base: quoted(base),
            path: quoted(one.path),
            file: one.file.to_owned(),
            sha512: quoted(one.sha512),
            size: one.size,
            start: start(one.format, one.arch),
        }
    }

    fn quoted_file(&self) -> String {
        quoted(&self.file)
    }

    fn not_started(&self, why: &Text) -> String {
        quoted(&format!("{} is not started: {why}", self.file))
    }
}

fn start(format: Format, arch: &str) -> Start {
    let format = match format {
        Format::Raw => "raw",
        Format::Qcow2 => "qcow2",
        Format::Vmdk => "vmdk",
        Format::Vdi => "vdi",
        Format::Vhd => "vpc",
        Format::Vhdx => "vhdx",
        Format::Ova | Format::Tar | Format::Gz | Format::Bz2 | Format::Xz | Format::Zst | Format::Iso => {
            return Start::Not(Text::of(format!("its format is {}, and not a disk", format.extension())));
        }
    };
    match arch.to_ascii_lowercase().as_str() {
        "x86_64" | "amd64" => Start::With { format, qemu: "qemu-system-x86_64", arch: "x86_64" },
        "i386" | "i486" | "i586" | "i686" => Start::With { format, qemu: "qemu-system-i386", arch: "i686" },
        "aarch64" | "arm64" => Start::With {
            format,
            qemu: "qemu-system-aarch64 -M virt -cpu max -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
            arch: "aarch64",
        },
        _ => Start::Not(Text::of(format!("its architecture is {arch:?}, which this script does not know"))),
    }
}

/// A text as one word of `sh` (POSIX Shell Command Language section 2.2.2).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The address of the pages from the headers of a request; `None` if `Host` is not a host and a port.
pub(super) fn base(host: Option<&str>, is_https: bool) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    let host = host.filter(|host| !host.is_empty() && host.len() <= 300 && host.chars().all(allowed))?;
    Some(format!("{}://{host}", if is_https { "https" } else { "http" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version<'a>(title: &'a str, format: Format, arch: &'a str) -> Version<'a> {
        Version {
            title,
            name: "1'; rm -rf ~ #\nexit",
            arch,
            format,
            file: "a-1.qcow2",
            path: "/download/default/a/00",
            sha512: "00",
            size: 7,
        }
    }

    #[test]
    fn no_text_of_a_list_becomes_a_command() {
        let hostile = "x\n$(touch /tmp/owned)\r\u{2028}`id`";
        let script = Script::of(&version(hostile, Format::Qcow2, "x86_64"), "http://a'b").render().unwrap();
        let line = script.lines().nth(1).unwrap();
        assert_eq!(line, "# x\\n$(touch /tmp/owned)\\r\\u{2028}`id`, version 1'; rm -rf ~ #\\nexit");
        assert!(script.starts_with("#!/bin/sh\n"), "{script}");
        assert!(script.contains("'http://a'\\''b'"), "{script}");
        assert!(!script.lines().skip(2).any(|line| line.contains("owned") || line.contains("rm -rf")), "{script}");
    }

    #[test]
    fn what_is_no_disk_is_not_started_and_the_script_says_so() {
        let script = |format, arch| Script::of(&version("t", format, arch), "http://a").render().unwrap();
        assert!(script(Format::Vhd, "amd64").contains("format='vpc'"));
        assert!(script(Format::Raw, "arm64").contains("qemu-system-aarch64 -M virt"));
        let archive = script(Format::Ova, "x86_64");
        assert!(archive.contains("its format is ova") && !archive.contains("qemu-system"), "{archive}");
        let other = script(Format::Raw, "s390'x");
        assert!(other.contains("which this script does not know") && !other.contains("qemu-system"), "{other}");
    }

    #[test]
    fn only_a_host_becomes_an_address() {
        assert_eq!(base(Some("[::1]:9091"), false).as_deref(), Some("http://[::1]:9091"));
        assert_eq!(base(Some("pages.example.org"), true).as_deref(), Some("https://pages.example.org"));
        for bad in ["", "a b", "a\"b", "a/b", "a@b", "a\nb"] {
            assert_eq!(base(Some(bad), false), None, "{bad:?}");
        }
    }
}
