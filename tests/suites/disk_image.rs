//! The harness's disk images are real ones: qemu-img, where it is installed, finds no fault and reads the data back.

use std::process::Command;

use harness::disk_image;

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|place| u8::try_from(place * 31 % 251).unwrap()).collect()
}

#[test]
fn qcow2_images_are_sound() {
    let folder = tempfile::tempdir().unwrap();
    for (virtual_size, length) in [(1 << 20, 0), (1 << 20, 1), (1 << 30, 300_000), (3 << 30, 1 << 20)] {
        let (image, disk) = (folder.path().join("image"), folder.path().join("disk"));
        let data = data(length);
        let bytes = disk_image::qcow2(virtual_size, &data);
        assert_eq!(&bytes[..8], b"QFI\xfb\0\0\0\x02");
        std::fs::write(&image, bytes).unwrap();
        std::fs::write(&disk, &data).unwrap();
        std::fs::File::options().write(true).open(&disk).unwrap().set_len(virtual_size).unwrap();
        let Ok(checked) = Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(&image).output() else { return };
        assert!(checked.status.success(), "{checked:?}");
        let same = Command::new("qemu-img").args(["compare", "-f", "qcow2", "-F", "raw"]).args([image, disk]).output();
        assert!(same.as_ref().unwrap().status.success(), "{same:?}");
    }
}
