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
    let qcow2 = patched(at(0, b"QFI\xfb\0\0\0\x03"), 24, &(10_u64 << 30).to_be_bytes());
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
    let qcow2 = |version: u32, offset, value: u64| {
        patched(patched(at(0, b"QFI\xfb"), 4, &version.to_be_bytes()), offset, &value.to_be_bytes())
    };
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
