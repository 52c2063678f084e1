use proptest::prelude::*;

use super::*;

fn at(offset: usize, magic: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    bytes[offset..offset + magic.len()].copy_from_slice(magic);
    bytes
}

fn patched(mut bytes: Vec<u8>, offset: usize, value: &[u8]) -> Vec<u8> {
    bytes[offset..offset + value.len()].copy_from_slice(value);
    bytes
}

fn qcow2(version: u32) -> Vec<u8> {
    let head = patched(at(0, b"QFI\xfb"), 4, &version.to_be_bytes());
    patched(patched(head, 20, &16_u32.to_be_bytes()), 100, &104_u32.to_be_bytes())
}

fn tar_of(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(b"00000000012");
        header[257..262].copy_from_slice(b"ustar");
        bytes.extend(header);
        bytes.extend([b'x'; 512]);
    }
    bytes
}

#[test]
fn each_format_is_known_by_its_bytes() {
    let qcow2 = patched(qcow2(3), 24, &(10_u64 << 30).to_be_bytes());
    let vmdk = patched(at(0, b"KDMV\x01\0\0\0"), 12, &2048_u64.to_le_bytes());
    let vdi = patched(at(64, &0xbeda_107f_u32.to_le_bytes()), 368, &4096_u64.to_le_bytes());
    let vhd = patched(at(0, b"conectix"), 48, &8192_u64.to_be_bytes());
    let cases: Vec<(Vec<u8>, Format, Option<u64>)> = vec![
        (qcow2, Format::Qcow2, Some(10 << 30)),
        (vmdk, Format::Vmdk, Some(1 << 20)),
        (vdi, Format::Vdi, Some(4096)),
        (vhd, Format::Vhd, Some(8192)),
        (at(0, b"vhdxfile"), Format::Vhdx, None),
        (tar_of(&["a.ovf", "a.vmdk"]), Format::Ova, None),
        (tar_of(&["a.mf", "A.OVF"]), Format::Ova, None),
        (tar_of(&["etc/passwd"]), Format::Tar, None),
        (at(0, b"\x1f\x8b\x08"), Format::Gz, None),
        (at(0, b"BZh91AY&SY"), Format::Bz2, None),
        (at(0, b"BZhello, text"), Format::Raw, Some(7)),
        (at(0, b"\xfd7zXZ\0"), Format::Xz, None),
        (at(0, b"\x28\xb5\x2f\xfd"), Format::Zst, None),
        (at(0x8001, b"CD001"), Format::Iso, Some(7)),
        (at(510, b"\x55\xaa"), Format::Raw, Some(7)),
        (Vec::new(), Format::Raw, Some(7)),
    ];
    for (head, format, virtual_size) in cases {
        let found = sniff(&head, &[], 7);
        assert_eq!((found.format, found.virtual_size, found.outside), (format, virtual_size, None), "{format}");
    }
}

#[test]
fn a_fixed_vhd_says_so_at_its_end() {
    let tail = patched(at(0, b"conectix")[..512].to_vec(), 60, &2_u32.to_be_bytes());
    assert_eq!(sniff(&vec![0; HEAD], &tail, 1024).format, Format::Vhd);
}

#[test]
fn what_lies_outside_the_file_is_seen() {
    let qcow2 = |version, offset, value: u64| patched(qcow2(version), offset, &value.to_be_bytes());
    let sparse = |descriptor: &str| {
        let head = patched(at(0, b"KDMV\x01\0\0\0"), 12, &2048_u64.to_le_bytes());
        let head = patched(head, 28, &1_u64.to_le_bytes());
        patched(patched(head, 36, &20_u64.to_le_bytes()), 512, descriptor.as_bytes())
    };
    let cases = [
        (qcow2(2, 8, 104), Some(Outside::BackingFile)),
        (qcow2(3, 72, 0b100), Some(Outside::DataFile)),
        (qcow2(2, 72, 0b100), None),
        (at(0, b"# Disk DescriptorFile\nRW 1 FLAT \"/etc/shadow\" 0"), Some(Outside::DataFile)),
        (sparse("parentCID=ffffffff\nRW 2048 SPARSE \"a.vmdk\"\n"), None),
        (sparse("parentCID=12345678\n"), Some(Outside::BackingFile)),
        (sparse("parentFileNameHint=\"/etc/shadow\"\n"), Some(Outside::BackingFile)),
        (sparse("RW 1 SPARSE \"a\"\nRW 1 FLAT \"/dev/sda\" 0\n"), Some(Outside::DataFile)),
        (patched(sparse("RW 2048 SPARSE \"a.vmdk\"\n"), 12, &[0; 8]), Some(Outside::DataFile)),
        (at(0, b"QED\0"), Some(Outside::OtherFormat)),
        (at(0, b"QFI\xfb\0\0\0\x01"), Some(Outside::OtherFormat)),
        (patched(at(64, &0xbeda_107f_u32.to_le_bytes()), 76, &4_u32.to_le_bytes()), Some(Outside::BackingFile)),
        (patched(at(0, b"conectix"), 60, &4_u32.to_be_bytes()), Some(Outside::BackingFile)),
    ];
    for (number, (head, outside)) in cases.into_iter().enumerate() {
        assert_eq!(sniff(&head, &[], 1 << 20).outside, outside, "case {number}");
    }
}

#[test]
fn what_a_probe_of_qemu_claims_is_never_raw() {
    let vdi = 0xbeda_107f_u32.to_le_bytes();
    let known = patched(at(0, b"vhdxfile"), 64, &vdi);
    let cases: Vec<(&str, Vec<u8>, Outside)> = vec![
        ("a descriptor without its comment", b"version=1\nRW 1 FLAT \"/etc/shadow\" 0\n".to_vec(), Outside::DataFile),
        (
            "after comments and blank lines",
            b"#\n# a\n  \n \r\nversion=2\r\nRW 1 FLAT \"a\" 0".to_vec(),
            Outside::DataFile,
        ),
        ("after more than QEMU reads", [vec![b'#'; 4000], b"\nversion=3\n".to_vec()].concat(), Outside::DataFile),
        ("a VMDK of version 4", at(0, b"KDMV\x04\0\0\0"), Outside::OtherFormat),
        ("a VMDK that is cut", b"KDMV".to_vec(), Outside::OtherFormat),
        ("a VMDK of ESX", at(0, b"COWD\x01\0\0\0"), Outside::OtherFormat),
        ("a QCOW of version 1", at(0, b"QFI\xfb\0\0\0\x01"), Outside::OtherFormat),
        ("a QCOW of version 4", at(0, b"QFI\xfb\0\0\0\x04"), Outside::OtherFormat),
        ("a qcow2 that is cut", b"QFI\xfb\0\0\0\x03".to_vec(), Outside::OtherFormat),
        ("a qcow2 of unknown features", patched(qcow2(3), 73, &[1]), Outside::OtherFormat),
        ("QED", at(0, b"QED\0"), Outside::OtherFormat),
        ("a VDI that is cut", [vec![0; 64], vdi.to_vec()].concat(), Outside::OtherFormat),
        ("a VHD that is cut", b"conectix".to_vec(), Outside::OtherFormat),
        ("LUKS 1", at(0, b"LUKS\xba\xbe\0\x01"), Outside::OtherFormat),
        ("LUKS 2", at(0, b"LUKS\xba\xbe\0\x02"), Outside::OtherFormat),
        ("Parallels", at(0, b"WithoutFreeSpace\x03"), Outside::OtherFormat),
        ("Parallels of today", at(0, b"WithouFreSpacExt"), Outside::OtherFormat),
        ("Bochs", at(0, b"Bochs Virtual HD Image"), Outside::OtherFormat),
        ("cloop", at(0, b"#!/bin/sh\n#V2.0 Format\nmodprobe"), Outside::OtherFormat),
        ("two at once", known, Outside::OtherFormat),
        ("an archive of another format", patched(at(257, b"ustar"), 0, b"QED\0"), Outside::OtherFormat),
        ("an ISO of another format", patched(at(0x8001, b"CD001"), 0, b"LUKS\xba\xbe"), Outside::OtherFormat),
    ];
    for (name, head, outside) in cases {
        assert_eq!(sniff(&head, &[], 1 << 20).outside, Some(outside), "{name}");
    }
    for (name, head, tail) in [
        ("a UDIF", vec![0; HEAD], b"koly\0\0\0\x04".to_vec()),
        ("a VHD of old", vec![0; HEAD], b"\0conectix".to_vec()),
        ("QED with the end of a VHD", at(0, b"QED\0"), b"conectix".to_vec()),
        ("an ISO with the end of a VHD", at(0x8001, b"CD001"), b"conectix".to_vec()),
    ] {
        let mut tail = tail;
        tail.resize(TAIL, 0);
        assert_eq!(sniff(&head, &tail, 1 << 20).outside, Some(Outside::OtherFormat), "{name}");
    }
    for text in
        [&b"version 1\n"[..], b"# a comment\n", b"#!/bin/sh\nexit\n", b" \n\n", b"a version=1\n", b"# version=1"]
    {
        assert_eq!(sniff(text, text, 99), Sniffed { virtual_size: Some(99), ..plain(Format::Raw) }, "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail(
        magic in prop::sample::select(vec![&b"QFI\xfb\0\0\0\x03"[..], b"KDMV\x01\0\0\0", b"conectix", b"BZh", b"# Disk", b""]),
        rest in prop::collection::vec(any::<u8>(), 0..2048),
        size in any::<u64>(),
    ) {
        let head = [magic, &rest].concat();
        sniff(&head, &rest, size);
        let mut tar = head.clone();
        tar.resize(1024, 0);
        sniff(&patched(tar, 257, b"ustar"), &head, size);
    }
}
