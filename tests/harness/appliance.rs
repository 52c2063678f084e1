//! Archives as appliances come in: tar, OVA, compressed; and disk images made by qemu-img.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program;

/// A tar archive of regular files.
pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive: Vec<u8> = members.iter().flat_map(|(name, bytes)| member(name, b'0', bytes)).collect();
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// One member of a tar archive, of any type.
pub fn member(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    sign_header(&mut header);
    header.extend(bytes);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

/// Writes the checksum of a header that was changed.
pub fn sign_header(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u64 = header[..512].iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// An OVF whose machine has these disks, in this order at one controller. Each is a file of its name.
pub fn ovf(disks: &[&str]) -> String {
    let each = |text: &dyn Fn(usize, &str) -> String| -> String {
        disks.iter().enumerate().map(|(number, name)| text(number, name)).collect::<Vec<_>>().concat()
    };
    let files = each(&|number, name| format!("<File ovf:id=\"file{number}\" ovf:href=\"{name}\"/>"));
    let sections = each(&|number, _| format!("<Disk ovf:diskId=\"disk{number}\" ovf:fileRef=\"file{number}\"/>"));
    let items = each(&|number, _| {
        format!(
            "<Item><rasd:InstanceID>{}</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType><rasd:HostResource>\
             ovf:/disk/disk{number}</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:AddressOnParent>{number}\
             </rasd:AddressOnParent></Item>",
            number + 10
        )
    });
    format!(
        "<?xml version=\"1.0\"?>\n<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\" \
         xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\" xmlns:rasd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData\">\
         <References>{files}</References><DiskSection><Info>d</Info>{sections}</DiskSection><VirtualSystem \
         ovf:id=\"vm\"><VirtualHardwareSection><Info>h</Info><Item><rasd:InstanceID>3</rasd:InstanceID>\
         <rasd:ResourceType>6</rasd:ResourceType></Item>{items}</VirtualHardwareSection></VirtualSystem></Envelope>"
    )
}

/// Bytes as `gzip`, `bzip2`, `xz` or `zstd` compress them.
pub fn compressed(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(["-c", "-1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let (mut input, bytes) = (child.stdin.take().expect("a pipe"), bytes.to_vec());
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("a thread").expect("it reads all");
    assert!(output.status.success(), "{program}: {output:?}");
    output.stdout
}

/// Runs qemu-img; what it says.
pub fn qemu_img(arguments: &[&str]) -> String {
    let output = Command::new("qemu-img").args(arguments).output().expect("qemu-img is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A disk as qemu-img writes it in a format, from a raw one; `options` as its `-o` takes them.
pub fn image(folder: &Path, raw: &[u8], format: &str, options: &str) -> Vec<u8> {
    let (from, to) = (folder.join("raw"), folder.join("image"));
    std::fs::write(&from, raw).unwrap();
    let (from, made) = (from.display().to_string(), to.display().to_string());
    let mut arguments = vec!["convert", "-f", "raw", "-O", format];
    if !options.is_empty() {
        arguments.extend(["-o", options]);
    }
    qemu_img(&[arguments, vec![&from, &made]].concat());
    let bytes = std::fs::read(&to).unwrap();
    std::fs::remove_file(to).unwrap();
    bytes
}

/// A raw disk of so many MiB with some blocks of data, different for each seed.
pub fn raw(mebibytes: usize, seed: u8) -> Vec<u8> {
    let mut disk = vec![0; mebibytes << 20];
    for (index, block) in disk.chunks_mut(1 << 16).enumerate().filter(|(index, _)| index % 5 == 0) {
        let start = u8::try_from(index % 251).unwrap_or(0) ^ seed;
        block.iter_mut().zip((0..253).cycle()).for_each(|(byte, count)| *byte = start.wrapping_add(count));
    }
    disk
}

/// A program in a folder: a shell script of this text, under the name of qemu-img.
pub fn fake_qemu_img(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("qemu-img");
    program::script(&path, script);
    path
}
