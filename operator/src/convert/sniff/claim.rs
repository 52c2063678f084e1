//! What QEMU's probes claim (`bdrv_probe` in its block/*.c, as of QEMU 10.0, and of older versions where they claimed
//! more): the magic of a format, wherever that is. They look at the first 512 bytes, with zeros where a file is shorter.
//!
//! Each is at least as wide here as there, so that what no claim is made of is raw to every version of QEMU. Only its
//! probe for dmg goes by the name of a file (`.dmg`), which nothing on the volume and in a cloud's `PATH` has.

use super::{Format, starts};

/// That a file is a disk image, by its magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Of a format that is known here, at the beginning.
    Head(Format),
    /// Of one that is known here, at the end, where QEMU does not look.
    Tail(Format),
    /// Of another format.
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

/// Beginnings of formats that are not known here: VMDK of ESX, QED, LUKS 1 and 2, Parallels, Bochs, cloop, and the COW
/// of QEMU until 2.1.
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

/// All that is claimed of a file. What begins and ends alike is claimed once.
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
    // Apple's UDIF says so in its last 512 bytes, of which QEMU asks once a name has said dmg.
    claim(starts(tail, 0, b"koly"), Claim::Other);
    found
}

/// A VMDK's descriptor: comments and blank lines, then its version. QEMU takes no other blanks than spaces and no other
/// versions than 1, 2 and 3.
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
