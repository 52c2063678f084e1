//! An endorsed image names a file of the machine that converts it: as a backing file, a data file, an extent of its
//! descriptor. Whoever starts a virtual machine from it would read that file. Here: the signing key of the image server.

use harness::appliance::{compressed, ovf, qemu_img, tar};
use harness::image_server::Resource;
use harness::opennebula::Dialect;

use crate::reconcile::targets::{A, at, site, target, writes};

#[tokio::test]
async fn it_is_not_read() {
    let (site, cloud) = site(Dialect::V7_4);
    target(&site, &cloud, "one", "formats: [raw]");
    let key = site.path("key");
    std::fs::write(&key, vec![b'k'; 1 << 16]).unwrap();
    let key = key.display().to_string();
    let created = site.path("created").display().to_string();
    qemu_img(&["create", "-q", "-f", "qcow2", "-b", &key, "-F", "raw", &created, "64K"]);
    let qcow2 = std::fs::read(&created).unwrap();
    let descriptor = format!(
        "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 128 FLAT \"{key}\" 0\n"
    );
    // A sparse header that leaves everything to its descriptor.
    let mut sparse = vec![0; 1 << 16];
    sparse[..8].copy_from_slice(b"KDMV\x01\0\0\0");
    (sparse[28], sparse[36]) = (1, 20);
    sparse[512..][..descriptor.len()].copy_from_slice(descriptor.as_bytes());
    // QEMU passes over comments and blank lines, and takes versions 1 to 3.
    let bare = |before: &str, version: u8| {
        format!(
            "{before}version={version}\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 128 FLAT \"{key}\" 0\n"
        )
    };
    let of_version = |version: u8| [&sparse[..4], &[version], &sparse[5..]].concat();
    let in_appliance = |disk: &[u8]| tar(&[("a.ovf", ovf(&["d"]).as_bytes()), ("d", disk)]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a qcow2", qcow2.clone(), "FormatNotAccepted"),
        ("a compressed qcow2", compressed("gzip", &qcow2), "ConversionFailed"),
        ("an appliance with a qcow2", in_appliance(&qcow2), "ConversionFailed"),
        ("a descriptor", descriptor.clone().into_bytes(), "FormatNotAccepted"),
        ("an appliance with a descriptor", in_appliance(descriptor.as_bytes()), "ConversionFailed"),
        ("a header without capacity", sparse.clone(), "FormatNotAccepted"),
        ("an appliance with such a header", in_appliance(&sparse), "ConversionFailed"),
        ("a bare descriptor", bare("", 1).into_bytes(), "FormatNotAccepted"),
        ("one after comments", bare("# a\n#\n   \n \r\n", 3).into_bytes(), "FormatNotAccepted"),
        ("an appliance with a bare one", in_appliance(bare("", 2).as_bytes()), "ConversionFailed"),
        ("a compressed bare one", compressed("gzip", bare("#\n", 1).as_bytes()), "ConversionFailed"),
        ("a header of another version", of_version(9), "FormatNotAccepted"),
        ("an appliance with such a version", in_appliance(&of_version(0)), "ConversionFailed"),
        ("a COWD", [b"COWD", &sparse[4..]].concat(), "FormatNotAccepted"),
    ];
    for (number, (name, bytes, reason)) in cases.into_iter().enumerate() {
        let served = site.serve_as(A, &number.to_string(), Resource::bytes(bytes));
        site.pass_time(jiff::SignedDuration::from_mins(1));
        site.publish(&site.list(&format!("1.{number}"), &[&served]));
        let run = site.run().await;
        let condition = &at(&run, A).conditions[0];
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", reason), "{name}: {condition:?}");
        assert_eq!(writes(&cloud), 0, "{name}");
    }
    let key = [b'k'; 64];
    for (name, _) in site.volume_files() {
        let bytes = std::fs::read(site.path("volume").join(&name)).unwrap();
        assert!(!bytes.windows(64).any(|window| window == key), "{name}");
    }
}
