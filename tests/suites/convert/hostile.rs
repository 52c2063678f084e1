//! Images that name other files, that lie, that unpack into mountains: refused, before qemu-img sees them where it would
//! follow.

use harness::appliance::{compressed, image, member, ovf, qemu_img, raw, sign_header, tar};
use vmcatcher_operator::convert::Form;

use super::*;

fn patched(mut bytes: Vec<u8>, offset: usize, value: &[u8]) -> Vec<u8> {
    bytes[offset..offset + value.len()].copy_from_slice(value);
    bytes
}

/// An image as a stream writes it: the header says that the grain directory is told by the footer, which repeats it.
fn with_footer(stream: &[u8], change: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let header = patched(stream.to_vec(), 56, &u64::MAX.to_le_bytes());
    let footer = change(stream[..512].to_vec());
    [header.as_slice(), &[0; 512], &footer, &[0; 512]].concat()
}

/// An image that qemu-img made with these arguments of `create`, its file name last.
fn created(site: &Site, arguments: &[&str]) -> Vec<u8> {
    let path = site.path().join("created");
    let _none_before = std::fs::remove_file(&path);
    let text = path.display().to_string();
    qemu_img(&[&["create", "-q"], arguments, &[&text, "4M"]].concat());
    std::fs::read(path).unwrap()
}

/// A program that fails the test's expectation when it is run at all.
const NEVER: &str = "echo 'it was run' >&2; exit 1";

#[tokio::test]
async fn what_names_other_files_never_gets_to_qemu_img() {
    let folder = tempfile::tempdir().unwrap();
    let program = harness::appliance::fake_qemu_img(folder.path(), NEVER);
    let site = Site::with(ConversionLimits { program, ..ConversionLimits::default() }, None);
    let secret = site.path().join("secret");
    std::fs::write(&secret, vec![b's'; 4 << 20]).unwrap();
    let secret = secret.display().to_string();
    let disk = raw(4, 1);
    let plain = |format: &str, options: &str| image(site.path(), &disk, format, options);
    let parent = site.path().join("parent");
    std::fs::write(&parent, plain("vmdk", "")).unwrap();
    let parent = parent.display().to_string();
    let external = format!("data_file={}", site.path().join("data").display());
    let sparse = plain("vmdk", "subformat=monolithicSparse");
    let hint = format!("parentFileNameHint=\"{secret}\"\n");
    let stream = plain("vmdk", "subformat=streamOptimized");
    let capacity = 0_u64.to_le_bytes();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("qcow2 over a file", created(&site, &["-f", "qcow2", "-b", &secret, "-F", "raw"]), "a backing file"),
        ("qcow2 with data elsewhere", created(&site, &["-f", "qcow2", "-o", &external]), "an external data file"),
        (
            "qcow2 that names a data file",
            patched(plain("qcow2", ""), 112, b"\x44\x41\x54\x41\0\0\0\x08/etc/abc"),
            "an external data file",
        ),
        ("qcow2 of unknown features", patched(plain("qcow2", ""), 72, &(1_u64 << 40).to_be_bytes()), "known features"),
        ("corrupt qcow2", patched(plain("qcow2", ""), 72, &2_u64.to_be_bytes()), "not marked corrupt"),
        ("encrypted qcow2", patched(plain("qcow2", ""), 32, &1_u32.to_be_bytes()), "without encryption"),
        ("vmdk over a file", created(&site, &["-f", "vmdk", "-b", &parent, "-F", "vmdk"]), "a parent"),
        ("vmdk with a hidden parent", patched(sparse.clone(), 512 + 9000, hint.as_bytes()), "a parent"),
        ("vmdk of no capacity", patched(sparse.clone(), 12, &capacity), "names other files"),
        ("vmdk of two sizes", with_footer(&stream, |footer| patched(footer, 12, &7_u64.to_le_bytes())), "repeats"),
        ("vmdk without its footer", with_footer(&stream, |footer| vec![0; footer.len()]), "repeats"),
        (
            "vmdk whose footer has no capacity",
            with_footer(&stream, |footer| patched(footer, 12, &capacity)),
            "other files",
        ),
        ("vdi over another", patched(plain("vdi", ""), 76, &4_u32.to_le_bytes()), "a parent"),
        ("vdi with a link", patched(plain("vdi", ""), 424, &[1; 16]), "a parent"),
        ("vhd over another", patched(plain("vpc", ""), 60, &4_u32.to_be_bytes()), "a parent"),
        ("vhd with a parent", patched(plain("vpc", ""), 512 + 40, &[1; 16]), "a parent"),
        ("nothing", Vec::new(), "0 bytes"),
        ("qed", patched(disk.clone(), 0, b"QED\0"), "not known here"),
        ("cut vhdx", plain("vhdx", "")[..100_000].to_vec(), "the end of the file"),
    ];
    for (name, bytes, expected) in cases {
        // As it is, and packed, so that only the header that was unpacked tells.
        for packed in [bytes.clone(), compressed("gzip", &bytes)] {
            for form in [Form::Qcow2, Form::Raw] {
                let source = site.blob(&packed);
                if source.format() == form.format() {
                    continue;
                }
                let error = site.convert(&source, form).await.expect_err(name);
                assert!(error.contains(expected) && !error.contains("it was run"), "{name} to {form}: {error}");
            }
        }
    }
    assert_eq!(site.scratch(), Vec::<String>::new());
}

#[tokio::test]
async fn a_disk_whose_bytes_are_an_image_themselves_is_not_made_one() {
    let site = Site::new();
    let secret = site.path().join("secret");
    std::fs::write(&secret, vec![b's'; 1 << 20]).unwrap();
    let inner = created(&site, &["-f", "qcow2", "-b", &secret.display().to_string(), "-F", "raw"]);
    let mut disk = inner;
    disk.resize(4 << 20, 0);
    let outer = image(site.path(), &disk, "vmdk", "");
    let error = site.converted(&outer, Form::Raw).await.unwrap_err();
    assert!(error.contains("a backing file"), "{error}");
    assert!(site.converted(&outer, Form::Qcow2).await.is_ok(), "as a qcow2 it is what it says");
}

#[tokio::test]
async fn what_is_no_disk_is_told() {
    let site = Site::new();
    let (disk, gz) = (raw(1, 1), |bytes: &[u8]| compressed("gzip", bytes));
    let vmdk = image(site.path(), &disk, "vmdk", "");
    let appliance = |text: &str, name: &str| tar(&[("a.ovf", text.as_bytes()), (name, &vmdk)]);
    let good = ovf(&["a.vmdk"]);
    let two_machines = good.replace("</Envelope>", "<VirtualSystem ovf:id=\"b\"/></Envelope>");
    let mut iso = raw(1, 2);
    iso[0x8001..0x8006].copy_from_slice(b"CD001");
    let mut long_name = member("././@LongLink", b'L', &vec![b'a'; 100_000]);
    long_name.extend(tar(&[("a", &disk)]));
    let mut bad_sum = tar(&[("a.img", &disk)]);
    bad_sum[148..154].copy_from_slice(b"000000");
    let mut negative = member("a.img", b'0', &disk);
    negative[124..136].fill(0xff);
    sign_header(&mut negative);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("gz in gz", gz(&gz(&disk)), "a gz inside a gz"),
        ("gz in gz in tar", tar(&[("a.gz", &gz(&gz(&disk)))]), "a gz inside a gz inside a tar"),
        ("tar in tar", tar(&[("a.tar", &tar(&[("a.img", &disk)]))]), "a tar inside"),
        ("tar.gz in gz", gz(&gz(&tar(&[("a.img", &disk)]))), "a gz inside a gz"),
        ("iso in gz", gz(&iso), "ISO 9660"),
        ("tar of two", tar(&[("a.img", &disk), ("b.img", &disk)]), "2 files and no OVF: \"a.img\", \"b.img\""),
        ("tar with links", [member("a", b'2', &[]), member("b", b'5', &[]), vec![0; 1024]].concat(), "without a file"),
        ("cut gz", gz(&disk)[..5000].to_vec(), "cannot unpack the gz"),
        ("cut tar", tar(&[("a.img", &disk)])[..100_000].to_vec(), "found the end"),
        ("tar with a long name", long_name, "at most 4096 bytes of a name"),
        ("tar with a wrong sum", bad_sum, "the header of a member"),
        ("tar of a negative size", negative, "size"),
        ("sparse tar", [member("a", b'S', &[]), vec![0; 1024]].concat(), "no sparse file"),
        ("OVF that is no XML", appliance("hello", "a.vmdk"), "one whole root element"),
        ("OVF with entities", appliance("<!DOCTYPE a [<!ENTITY b 'c'>]><Envelope/>", "a.vmdk"), "document type"),
        ("OVF of two machines", appliance(&two_machines, "a.vmdk"), "one VirtualSystem, found 2"),
        ("OVF without the file", appliance(&good, "b.vmdk"), "\"a.vmdk\" that the OVF names"),
        ("OVF with a path", appliance(&ovf(&["../../etc/passwd"]), "a.vmdk"), "a file beside the OVF"),
        ("OVF with an address", appliance(&ovf(&["http://x/a.vmdk"]), "a.vmdk"), "a file beside the OVF"),
        ("OVF in pieces", appliance(&good.replace("ovf:href", "ovf:chunkSize=\"9\" ovf:href"), "a.vmdk"), "in chunks"),
        (
            "OVF of a child",
            appliance(&good.replace("ovf:fileRef", "ovf:parentRef=\"p\" ovf:fileRef"), "a"),
            "parentRef",
        ),
        ("OVF without disks", appliance(&ovf(&[]), "a.vmdk"), "a disk with a file"),
    ];
    for (name, bytes, expected) in cases {
        let error = site.converted(&bytes, Form::Raw).await.expect_err(name);
        assert!(error.contains(expected), "{name}: {error}");
    }
    assert_eq!(site.scratch(), Vec::<String>::new());
}
