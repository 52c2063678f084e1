use proptest::prelude::*;

use super::*;

const LIMIT: u64 = 1 << 40;

fn judge(bytes: &[u8]) -> Result<Disk, String> {
    inspect(&bytes, LIMIT).map_err(|error| error.to_string())
}

fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

/// A header of each format, of a disk of 1 MiB.
fn headers() -> Vec<(Format, Vec<u8>)> {
    let mut qcow2 = vec![0; 4096];
    put(&mut qcow2, 0, b"QFI\xfb\0\0\0\x03");
    put(&mut qcow2, 20, &16_u32.to_be_bytes());
    put(&mut qcow2, 24, &(1_u64 << 20).to_be_bytes());
    put(&mut qcow2, 100, &104_u32.to_be_bytes());
    let mut vmdk = vec![0; 16 * 1024];
    put(&mut vmdk, 0, b"KDMV\x01\0\0\0");
    put(&mut vmdk, 12, &2048_u64.to_le_bytes());
    put(&mut vmdk, 28, &1_u64.to_le_bytes());
    put(&mut vmdk, 36, &20_u64.to_le_bytes());
    put(&mut vmdk, 512, b"# Disk DescriptorFile\nparentCID=ffffffff\nRW 2048 SPARSE \"a.vmdk\"\n");
    let mut vdi = vec![0; 1024];
    put(&mut vdi, 64, &0xbeda_107f_u32.to_le_bytes());
    put(&mut vdi, 68, &0x0001_0001_u32.to_le_bytes());
    put(&mut vdi, 76, &1_u32.to_le_bytes());
    put(&mut vdi, 368, &(1_u64 << 20).to_le_bytes());
    let mut vhd = vec![0; 2048];
    put(&mut vhd, 0, b"conectix");
    put(&mut vhd, 16, &512_u64.to_be_bytes());
    put(&mut vhd, 48, &(1_u64 << 20).to_be_bytes());
    put(&mut vhd, 60, &3_u32.to_be_bytes());
    put(&mut vhd, 512, b"cxsparse");
    let mut vhdx = vec![0; 400 * 1024];
    put(&mut vhdx, 0, b"vhdxfile");
    for table in [192 * 1024, 256 * 1024] {
        put(&mut vhdx, table, b"regi");
        put(&mut vhdx, table + 8, &1_u32.to_le_bytes());
        put(&mut vhdx, table + 16, b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e");
        put(&mut vhdx, table + 32, &(300 * 1024_u64).to_le_bytes());
    }
    put(&mut vhdx, 300 * 1024, b"metadata\0\0\x01\0");
    put(&mut vhdx, 300 * 1024 + 32, b"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8");
    put(&mut vhdx, 300 * 1024 + 48, &65536_u32.to_le_bytes());
    put(&mut vhdx, 300 * 1024 + 65536, &(1_u64 << 20).to_le_bytes());
    vec![
        (Format::Qcow2, qcow2),
        (Format::Vmdk, vmdk),
        (Format::Vdi, vdi),
        (Format::Vhd, vhd),
        (Format::Vhdx, vhdx),
        (Format::Raw, vec![7; 1 << 20]),
    ]
}

#[test]
fn a_sound_header_tells_its_disk() {
    for (format, bytes) in headers() {
        assert_eq!(judge(&bytes), Ok(Disk { format, virtual_size: 1 << 20 }), "{format}");
        let error = inspect(&bytes.as_slice(), 1 << 19).unwrap_err().to_string();
        assert!(error.contains("at most 524288") && error.contains("1048576"), "{format}: {error}");
    }
}

#[test]
fn what_is_elsewhere_or_unreadable_is_refused() {
    let of = |wanted: Format| headers().into_iter().find(|(format, _)| *format == wanted).unwrap().1;
    let huge = u64::MAX.to_le_bytes();
    let far = (u64::MAX - 3).to_be_bytes();
    let parent = b"\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c";
    let parameters = b"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b";
    let cases: Vec<(Format, usize, &[u8], &str)> = vec![
        (Format::Qcow2, 8, &[0, 0, 0, 0, 0, 0, 1, 0], "a backing file"),
        (Format::Qcow2, 16, &[0, 0, 0, 9], "a backing file"),
        (Format::Qcow2, 20, &[0, 0, 0, 8], "2^9 to 2^21"),
        (Format::Qcow2, 20, &[255; 4], "2^9 to 2^21"),
        (Format::Qcow2, 32, &[0, 0, 0, 2], "without encryption"),
        (Format::Qcow2, 79, &[4], "an external data file"),
        (Format::Qcow2, 79, &[2], "not marked corrupt"),
        (Format::Qcow2, 72, &[1], "known features"),
        (Format::Qcow2, 100, &[0, 0, 0, 72], "a header of 104 bytes"),
        (Format::Qcow2, 100, &[255; 4], "a header of 104 bytes"),
        (Format::Qcow2, 104, b"DATA\0\0\0\x05", "an external data file"),
        (Format::Qcow2, 104, b"\x68\x03\xf8\x57\0\0\0\x01\0\0\0\0\0\0\0\0DATA\0\0\0\x05", "an external data file"),
        (Format::Qcow2, 104, b"\x05\x37\xbe\x77\0\0\0\x10", "without encryption"),
        (Format::Qcow2, 24, &[0; 8], "one of 0 bytes"),
        (Format::Qcow2, 24, &[255; 8], "at most"),
        (Format::Vmdk, 12, &[0; 8], "names other files"),
        (Format::Vmdk, 12, &huge, "a capacity in sectors"),
        (Format::Vmdk, 28, &huge, "a descriptor of at most"),
        (Format::Vmdk, 36, &[255, 255, 255], "a descriptor of at most"),
        (Format::Vmdk, 28, &[255, 255], "the end of the file"),
        (Format::Vmdk, 56, &huge, "a footer that repeats"),
        (Format::Vmdk, 534, b"parentCID=00000001\n", "a parent"),
        (Format::Vmdk, 9000, b"PARENTfileNAMEhint=\"/etc/passwd\"", "a parent"),
        (Format::Vmdk, 553, b"RW 9 FLAT \"/etc/passwd\" 0\nRW 9 FLAT \"b\" 0\n", "names other files"),
        (Format::Vdi, 76, &[4], "a parent"),
        (Format::Vdi, 76, &[9], "dynamic or fixed"),
        (Format::Vdi, 68, &[2], "version 1.1"),
        (Format::Vdi, 430, &[1], "a parent"),
        (Format::Vdi, 445, &[1], "a parent"),
        (Format::Vhd, 60, &[0, 0, 0, 4], "a parent"),
        (Format::Vhd, 60, &[0, 0, 0, 9], "fixed or dynamic"),
        (Format::Vhd, 16, &far, "the end of the file"),
        (Format::Vhd, 512 + 41, &[1], "a parent"),
        (Format::Vhdx, 192 * 1024 + 32, &huge, "the end of the file"),
        (Format::Vhdx, 192 * 1024 + 8, &[0; 4], "a metadata region"),
        (Format::Vhdx, 300 * 1024 + 32, parent, "a parent"),
        (Format::Vhdx, 300 * 1024 + 32, parameters, "a size among the metadata"),
        (Format::Vhdx, 300 * 1024 + 48, &[255; 4], "the end of the file"),
        (Format::Raw, 0, b"QED\0", "not known here"),
        (Format::Raw, 0, b"QFI\xfb\0\0\0\x01", "not known here"),
        (Format::Raw, 0, b"LUKS\xba\xbe", "not known here"),
        (Format::Raw, 0x8001, b"CD001", "ISO 9660"),
        (Format::Raw, 0, b"\x1f\x8b\x08", "a gz inside"),
    ];
    for (format, offset, value, expected) in cases {
        let mut bytes = of(format);
        put(&mut bytes, offset, value);
        let error = judge(&bytes).expect_err(expected);
        assert!(error.contains(expected), "{format}, {value:x?} at {offset}: {error}");
    }
    assert!(judge(&[]).unwrap_err().contains("one of 0 bytes"));
    let mut with_parent = of(Format::Vhdx);
    put(&mut with_parent, 300 * 1024 + 32, parameters);
    put(&mut with_parent, 300 * 1024 + 65536 + 4, &[2]);
    assert!(judge(&with_parent).unwrap_err().contains("a parent"));
}

proptest! {
    #[test]
    fn no_header_makes_it_panic_or_pass_the_limit(
        which in 0..6_usize,
        changes in prop::collection::vec((0..2048_usize, any::<[u8; 8]>()), 0..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let (_, mut bytes) = headers().swap_remove(which);
        for (offset, value) in changes {
            let offset = offset.min(bytes.len() - 8);
            put(&mut bytes, offset, &value);
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(disk) = inspect(&bytes.as_slice(), LIMIT) {
            prop_assert!(disk.virtual_size > 0 && disk.virtual_size <= LIMIT);
        }
    }
}
