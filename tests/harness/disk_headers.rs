//! The beginnings and ends of disk images of every format that QEMU looks for, and mutations of them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use fastrand::Rng;

use crate::appliance::{compressed, image, ovf, qemu_img, raw, tar};

/// How much of the beginning is mutated.
const HEAD: usize = 1024;

/// A file, without its zeros.
#[derive(Debug, Clone)]
pub struct DiskFile {
    /// What it was before it was mutated.
    pub of: String,
    head: Vec<u8>,
    pieces: Vec<(u64, Vec<u8>)>,
    tail: Vec<u8>,
    size: u64,
}

impl DiskFile {
    /// The bytes of a whole file.
    fn new(of: &str, bytes: &[u8]) -> Self {
        let (head, rest) = bytes.split_at(HEAD.min(bytes.len()));
        let pieces = rest.chunks(4096).enumerate().filter(|(_, piece)| piece.iter().any(|byte| *byte != 0));
        let pieces = pieces.map(|(number, piece)| ((HEAD + number * 4096) as u64, piece.to_vec())).collect();
        Self { of: of.to_owned(), head: head.to_vec(), pieces, tail: Vec::new(), size: bytes.len() as u64 }
    }

    /// A beginning with zeros after it.
    fn beginning(of: &str, fields: &[(usize, &[u8])]) -> Self {
        let mut bytes = vec![0; 64 * 1024];
        for (offset, value) in fields {
            bytes[*offset..offset + value.len()].copy_from_slice(value);
        }
        Self::new(of, &bytes)
    }

    /// Writes it.
    pub fn write(&self, path: &Path) {
        let file = File::create(path).unwrap();
        let put = |offset: u64, bytes: &[u8]| {
            let length = usize::try_from(self.size.saturating_sub(offset)).unwrap().min(bytes.len());
            file.write_all_at(&bytes[..length], offset).unwrap();
        };
        put(0, &self.head);
        for (offset, bytes) in &self.pieces {
            put(*offset, bytes);
        }
        if self.size >= self.tail.len() as u64 {
            put(self.size - self.tail.len() as u64, &self.tail);
        }
        file.set_len(self.size).unwrap();
    }

    fn text(of: &str, text: &[u8]) -> Self {
        let mut bytes = text.to_vec();
        bytes.resize(text.len().max(4096), 0);
        Self::new(of, &bytes)
    }

    fn ending(mut self, tail: &[u8]) -> Self {
        self.tail = tail.to_vec();
        self.tail.resize(512, 0);
        self
    }
}

/// One of each format, as qemu-img makes it where it makes it. `folder` is for its files.
pub fn originals(folder: &Path) -> Vec<DiskFile> {
    let disk = raw(1, 3);
    let mut found = Vec::new();
    for (format, options) in [
        ("qcow", ""),
        ("qcow2", "compat=0.10"),
        ("qcow2", ""),
        ("qed", ""),
        ("vmdk", "subformat=monolithicSparse"),
        ("vmdk", "subformat=streamOptimized"),
        ("vdi", ""),
        ("vpc", ""),
        ("vpc", "subformat=fixed"),
        ("vhdx", ""),
        ("parallels", ""),
    ] {
        found.push(DiskFile::new(&format!("{format} {options}"), &image(folder, &disk, format, options)));
    }
    let created = folder.join("created").display().to_string();
    qemu_img(&["create", "-q", "-u", "-f", "qcow2", "-b", "base", "-F", "raw", &created, "1M"]);
    found.push(DiskFile::new("qcow2 over a file", &std::fs::read(&created).unwrap()));
    for program in ["gzip", "bzip2", "xz", "zstd"] {
        found.push(DiskFile::new(program, &compressed(program, &disk)));
    }
    found.push(DiskFile::new("ova", &tar(&[("a.ovf", ovf(&["d"]).as_bytes()), ("d", &disk[..4096])])));
    found.push(DiskFile::new("tar", &tar(&[("d", &disk[..4096])])));
    found.push(DiskFile::new("raw", &disk));
    found.extend(by_hand());
    found
}

/// What qemu-img does not make.
fn by_hand() -> Vec<DiskFile> {
    let bochs = |version: &[u8]| {
        let magic: [(usize, &[u8]); 4] =
            [(0, b"Bochs Virtual HD Image"), (32, b"Redolog"), (48, b"Growing"), (64, version)];
        DiskFile::beginning("bochs", &magic)
    };
    let cloop: &[u8] = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n";
    let empty = DiskFile::beginning("empty", &[]);
    vec![
        DiskFile::beginning("cowd", &[(0, b"COWD\x01\0\0\0")]),
        DiskFile::beginning("luks 1", &[(0, b"LUKS\xba\xbe\0\x01")]),
        DiskFile::beginning("luks 2", &[(0, b"LUKS\xba\xbe\0\x02")]),
        DiskFile::beginning("parallels of old", &[(0, b"WithoutFreeSpace\x02\0\0\0")]),
        bochs(b"\0\0\x02\0"),
        bochs(b"\0\0\x01\0"),
        DiskFile::beginning("cloop", &[(0, cloop), (128, b"\0\x01\0\0\0\0\0\0")]),
        DiskFile::beginning("boot sector", &[(0, b"\xeb\x63\x90"), (510, b"\x55\xaa")]),
        DiskFile::beginning("iso", &[(0x8001, b"CD001")]),
        DiskFile::text("descriptor", b"# Disk DescriptorFile\nversion=1\nCID=1\nRW 8 FLAT \"base\" 0\n"),
        DiskFile::text("bare descriptor", b"version=1\nRW 8 FLAT \"base\" 0\n"),
        empty.clone().ending(b"conectix"),
        empty.clone().ending(b"koly\0\0\0\x04\0\0\x02\0"),
        empty,
    ]
}

/// Pieces of text that are near to a descriptor.
const WORDS: [&[u8]; 24] = [
    b"version=1\n",
    b"version=2\n",
    b"version=3\n",
    b"version=1\r\n",
    b"version=3\r\n",
    b"version=4\n",
    b"version=0\n",
    b"version=1",
    b"version=1 \n",
    b"Version=1\n",
    b" version=1\n",
    b"\tversion=1\n",
    b"#\n",
    b"# a comment\n",
    b"# Disk DescriptorFile\n",
    b"# Disk DescriptorFile\r\n",
    b" \n",
    b"    \r\n",
    b" \r",
    b"\n",
    b"\r\n",
    b"\0",
    b"CID=fffffffe\n",
    b"#",
];

/// One that came of some of them. `number` tells which original is its first.
pub fn mutated(originals: &[DiskFile], number: usize, random: &mut Rng) -> DiskFile {
    let mut file = originals[number % originals.len()].clone();
    for _ in 0..random.usize(0..4) {
        mutate(&mut file, originals, random);
    }
    file
}

fn mutate(file: &mut DiskFile, originals: &[DiskFile], random: &mut Rng) {
    let other = &originals[random.usize(..originals.len())];
    match random.u8(..9) {
        0 => {
            let reach = *random.choice(&[8, 16, 80, 128, 512]).unwrap();
            for _ in 0..random.usize(1..4) {
                write(file, random.usize(..reach), &[random.u8(..)]);
            }
        }
        1 => {
            let values = [0_u32, 1, 2, 3, 4, 0x1_0000, 0x2_0000, u32::MAX];
            let (value, offset) =
                (*random.choice(&values).unwrap(), *random.choice(&[4, 8, 12, 16, 60, 64, 68, 72, 76, 100]).unwrap());
            write(file, offset, &if random.bool() { value.to_le_bytes() } else { value.to_be_bytes() });
        }
        2 => {
            let (from, length) =
                *random.choice(&[(0, 4), (0, 8), (0, 16), (0, 64), (0, 512), (64, 4), (64, 448), (257, 8)]).unwrap();
            if let Some(bytes) = other.head.get(from..from + length) {
                write(file, from, bytes);
            }
        }
        3 => file.size = random.u64(..1100).min(file.size),
        4 | 5 => {
            let text: Vec<u8> =
                (0..random.usize(1..6)).flat_map(|_| *random.choice(&WORDS).unwrap()).copied().collect();
            write(file, 0, &text);
            if random.bool() {
                file.size = text.len() as u64;
            }
        }
        6 => {
            // A comment as long as what QEMU reads, more or less.
            let mut text = vec![b'#'; random.usize(490..520)];
            text.extend(b"\nversion=1\n");
            write(file, 0, &text);
        }
        7 => {
            let before = *random.choice(&WORDS).unwrap();
            file.head.splice(0..0, before.iter().copied());
            file.head.truncate(HEAD);
        }
        _ => {
            let tails = [&b"conectix"[..], b"koly\0\0\0\x04\0\0\x02\0", b"KDMV", b"conecti"];
            *file = file.clone().ending(random.choice(tails).unwrap());
        }
    }
}

fn write(file: &mut DiskFile, offset: usize, bytes: &[u8]) {
    if file.head.len() < HEAD {
        file.head.resize(HEAD, 0);
    }
    let end = (offset + bytes.len()).min(HEAD);
    file.head[offset..end].copy_from_slice(&bytes[..end - offset]);
    file.size = file.size.max(end as u64);
}
