//! Every format in every form, compared by qemu-img with the disk that it was made from.

use harness::appliance::{compressed, image, member, ovf, raw, tar};
use vmcatcher_operator::convert::{Form, Format};

use super::*;

/// Name, format and options of qemu-img, what it is then.
const FORMATS: [(&str, &str, &str, Format); 11] = [
    ("raw", "raw", "", Format::Raw),
    ("qcow2 of version 2", "qcow2", "compat=0.10", Format::Qcow2),
    ("qcow2 of version 3", "qcow2", "compat=1.1", Format::Qcow2),
    ("qcow2 with large second level entries", "qcow2", "extended_l2=on,cluster_size=128k", Format::Qcow2),
    ("sparse vmdk", "vmdk", "subformat=monolithicSparse", Format::Vmdk),
    ("stream-optimised vmdk", "vmdk", "subformat=streamOptimized", Format::Vmdk),
    ("dynamic vdi", "vdi", "", Format::Vdi),
    ("fixed vdi", "vdi", "static=on", Format::Vdi),
    ("dynamic vhd", "vpc", "force_size=on", Format::Vhd),
    ("fixed vhd", "vpc", "subformat=fixed,force_size=on", Format::Vhd),
    ("vhdx", "vhdx", "", Format::Vhdx),
];

#[tokio::test]
async fn each_format_becomes_each_form() {
    let (site, disk) = (Site::new(), raw(8, 1));
    for (name, format, options, is) in FORMATS {
        let source = site.blob(&image(site.path(), &disk, format, options));
        assert_eq!(source.format(), is, "{name}");
        for form in [Form::Qcow2, Form::Raw].into_iter().filter(|form| form.format() != is) {
            let (blob, left_out) = site.convert(&source, form).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((blob.format(), blob.virtual_size()), (form.format(), Some(8 << 20)), "{name} to {form}");
            assert!(site.holds(&blob, &disk) && left_out.is_empty(), "{name} to {form}");
            assert_ne!(blob.digest(), source.digest());
        }
    }
    assert_eq!(site.scratch(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_packed_is_unpacked() {
    let (site, disk) = (Site::new(), raw(4, 2));
    let qcow2 = image(site.path(), &disk, "qcow2", "");
    let vmdk = image(site.path(), &disk, "vmdk", "subformat=streamOptimized");
    let appliance = tar(&[("a.ovf", ovf(&["a.vmdk"]).as_bytes()), ("a.mf", b"SHA1"), ("a.vmdk", &vmdk)]);
    let late = tar(&[("a.vmdk", &vmdk), ("./a.ovf", ovf(&["a.vmdk"]).as_bytes())]);
    let zipped = ovf(&["a.vmdk.gz"]);
    let zipped = tar(&[("a.ovf", zipped.as_bytes()), ("a.vmdk.gz", &compressed("gzip", &vmdk))]);
    let fixed = image(site.path(), &disk, "vpc", "subformat=fixed,force_size=on");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("raw.gz", compressed("gzip", &disk)),
        ("raw.gz of two parts", [compressed("gzip", &disk[..1 << 20]), compressed("gzip", &disk[1 << 20..])].concat()),
        ("raw.bz2", compressed("bzip2", &disk)),
        ("qcow2.xz", compressed("xz", &qcow2)),
        ("qcow2.xz of two parts", [compressed("xz", &qcow2[..70_000]), compressed("xz", &qcow2[70_000..])].concat()),
        ("qcow2.zst", compressed("zstd", &qcow2)),
        ("raw.zst of two parts", [compressed("zstd", &disk[..1 << 20]), compressed("zstd", &disk[1 << 20..])].concat()),
        ("fixed vhd.gz", compressed("gzip", &fixed)),
        ("ova", appliance.clone()),
        ("ova whose OVF comes last", late),
        ("ova whose disk is compressed", zipped),
        ("ova.gz", compressed("gzip", &appliance)),
        ("tar.xz with one file", compressed("xz", &tar(&[("disk.raw", &disk)]))),
        ("tar with a directory", [member("d/", b'5', &[]), tar(&[("d/disk.raw", &disk)])].concat()),
    ];
    for (name, bytes) in cases {
        let source = site.blob(&bytes);
        for form in [Form::Qcow2, Form::Raw] {
            let (blob, _) = site.convert(&source, form).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(blob.format() == form.format() && site.holds(&blob, &disk), "{name} to {form}");
        }
    }
    assert_eq!(site.scratch(), Vec::<String>::new());
}

#[tokio::test]
async fn an_appliance_with_several_disks_gives_the_one_that_it_boots_from() {
    let (site, first, second) = (Site::new(), raw(2, 3), raw(2, 4));
    let [one, two] = [&first, &second].map(|disk| image(site.path(), disk, "vmdk", ""));
    // The order at the controller decides, not that of the files.
    let text = ovf(&["two.vmdk", "one.vmdk"]);
    let appliance = tar(&[("a.ovf", text.as_bytes()), ("one.vmdk", &one), ("two.vmdk", &two)]);
    let (blob, left_out) = site.converted(&appliance, Form::Raw).await.unwrap();
    assert!(site.holds(&blob, &second));
    assert_eq!(left_out, ["one.vmdk"]);
}

#[tokio::test]
async fn what_is_unpacked_already_needs_no_qemu_img() {
    let program = std::path::PathBuf::from("no-such-program");
    let site = Site::with(ConversionLimits { program, ..ConversionLimits::default() }, None);
    let disk = raw(2, 5);
    let packed = compressed("gzip", &disk);
    let (blob, _) = site.converted(&packed, Form::Raw).await.unwrap();
    assert!(site.holds(&blob, &disk));
    let error = site.converted(&packed, Form::Qcow2).await.unwrap_err();
    assert!(error.contains("no-such-program (Debian package qemu-utils)"), "{error}");
    assert_eq!(site.scratch(), Vec::<String>::new());
}

#[tokio::test]
async fn zeros_are_holes() {
    use std::os::unix::fs::MetadataExt;
    let site = Site::new();
    let mut disk = vec![0; 64 << 20];
    disk[10 << 20..][..5].copy_from_slice(b"hello");
    let sources = [compressed("gzip", &disk), image(site.path(), &disk, "qcow2", "")];
    for source in sources {
        let (blob, _) = site.converted(&source, Form::Raw).await.unwrap();
        let about = std::fs::metadata(blob.path()).unwrap();
        assert_eq!((about.len(), about.mode() & 0o777), (64 << 20, 0o444));
        assert!(about.blocks() * 512 < 2 << 20, "{} blocks", about.blocks());
    }
}
