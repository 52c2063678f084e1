//! The magic numbers that QEMU's probes recognise (`bdrv_probe` in its block/*.c, as of QEMU 10.0, and of older
//! versions if they recognised more). The probes read the first 512 bytes, with zeros if a file is shorter.
//!
//! Each check here accepts at least as much as QEMU's, so that a file without a claim is raw for every version of QEMU.
//! The exception is QEMU's probe for dmg, which checks the file name (`.dmg`); no file on the volume or in a cloud's
//! `PATH` has such a name.

use super::format::{Format, starts};

/// A format that a magic number in a file indicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// A supported format, at the beginning.
    Head(Format),
    /// A supported format, at the end, where QEMU does not look.
    Tail(Format),
    /// Another format.
    Other,
}

impl Claim {
    pub(super) fn format(self) -> Option<Format> {
        match self {
            Self::Head(format) | Self::Tail(format) => Some(format),
            Self::Other => None,
        }
    }
}

/// Magic numbers of formats that are not supported here: VMDK of ESX, QED, LUKS 1 and 2, Parallels, Bochs, cloop, and
/// the COW format of QEMU until 2.1.
const OTHERS: [&[u8]; 8] = [
    b"COWD",
    b"QED\0",
    b"LUKS\xba\xbe",
    b"WithoutFreeSpace",
    b"WithouFreSpacExt",
    b"Bochs Virtual HD Image",
    b"#!/bin/sh\n#V2.0 Format\n",
    b"OOOM",
];

/// All claims for a file. If the beginning and the end claim the same format, it is claimed once.
pub(super) fn claims(head: &[u8], tail: &[u8]) -> Vec<Claim> {
    let mut found = Vec::new();
    let mut claim = |is_claimed: bool, claim: Claim| found.extend(is_claimed.then_some(claim));
    let qcow = starts(head, 0, b"QFI\xfb");
    let known = qcow && [2_u32, 3].iter().any(|version| starts(head, 4, &version.to_be_bytes()));
    claim(known, Claim::Head(Format::Qcow2));
    claim(qcow && !known, Claim::Other);
    claim(starts(head, 0, b"vhdxfile"), Claim::Head(Format::Vhdx));
    claim(starts(head, 0, b"KDMV") || is_descriptor(head), Claim::Head(Format::Vmdk));
    claim(starts(head, 64, &0xbeda_107f_u32.to_le_bytes()), Claim::Head(Format::Vdi));
    let vhd = starts(head, 0, b"conectix");
    claim(vhd, Claim::Head(Format::Vhd));
    claim(!vhd && starts(tail, 0, b"conectix"), Claim::Tail(Format::Vhd));
    // Virtual PC before 2004 wrote footers of 511 bytes.
    claim(!vhd && starts(tail, 1, b"conectix"), Claim::Other);
    claim(OTHERS.iter().any(|magic| starts(head, 0, magic)), Claim::Other);
    // Apple's UDIF has a magic number in its last 512 bytes. QEMU reads it only if the file name ends in `.dmg`.
    claim(starts(tail, 0, b"koly"), Claim::Other);
    found
}

/// Whether this is a VMDK descriptor: comments and blank lines, then its version. QEMU is stricter: it accepts only
/// spaces as white space, and only the versions 1, 2 and 3.
fn is_descriptor(head: &[u8]) -> bool {
    if starts(head, 0, b"# Disk DescriptorFile") {
        return true;
    }
    let first = head.split(|byte| *byte == b'\n').find(|line| {
        let blank = line.iter().all(u8::is_ascii_whitespace);
        !blank && !line.starts_with(b"#")
    });
    first.is_some_and(|line| line.trim_ascii_start().to_ascii_lowercase().starts_with(b"version="))
}
