//! Small disk images that are what they say: a qcow2 that qemu-img finds no fault with, a raw disk with a partition table.

/// The cluster size of [`qcow2`], in bytes.
const CLUSTER: usize = 1 << 16;
/// The bit of a table entry that says "mine alone" (QCOW_OFLAG_COPIED).
const COPIED: u64 = 1 << 63;

/// A qcow2 image (version 2, no backing file) of this virtual size whose first bytes are `data`.
///
/// `data` has at most 512 MiB, since one table of clusters holds no more, and at most the virtual size.
pub fn qcow2(virtual_size: u64, data: &[u8]) -> Vec<u8> {
    let clusters = data.len().div_ceil(CLUSTER);
    let first_data = 5; // header, reference table, reference counts, first level, second level
    let mut image = vec![0; (first_data + clusters) * CLUSTER];
    image[..4].copy_from_slice(b"QFI\xfb");
    let first_level_entries = virtual_size.div_ceil((CLUSTER / 8 * CLUSTER) as u64);
    let header: [(usize, u64, usize); 6] = [
        (4, 2, 4),
        (20, 16, 4),
        (24, virtual_size, 8),
        (36, first_level_entries, 4),
        (40, 3 * CLUSTER as u64, 8),
        (48, CLUSTER as u64, 8),
    ];
    for (offset, value, width) in header {
        put(&mut image, offset, value, width);
    }
    put(&mut image, 56, 1, 4);
    put(&mut image, CLUSTER, 2 * CLUSTER as u64, 8);
    for cluster in 0..first_data + clusters {
        put(&mut image, 2 * CLUSTER + 2 * cluster, 1, 2);
    }
    put(&mut image, 3 * CLUSTER, (4 * CLUSTER) as u64 | COPIED, 8);
    for cluster in 0..clusters {
        put(&mut image, 4 * CLUSTER + 8 * cluster, ((first_data + cluster) * CLUSTER) as u64 | COPIED, 8);
    }
    image[first_data * CLUSTER..][..data.len()].copy_from_slice(data);
    image
}

/// A raw disk: a partition table with one Linux partition from the second MiB on, and `data` in it.
pub fn raw(data: &[u8]) -> Vec<u8> {
    let start = 1 << 20;
    let sectors = data.len().div_ceil(512);
    let mut disk = vec![0; start + sectors * 512];
    let entry = &mut disk[446..462];
    entry[0] = 0x80;
    entry[4] = 0x83;
    entry[8..12].copy_from_slice(&2048u32.to_le_bytes());
    entry[12..16].copy_from_slice(&u32::try_from(sectors).unwrap_or(u32::MAX).to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk[start..][..data.len()].copy_from_slice(data);
    disk
}

/// Writes the last `width` bytes of a number, high byte first.
fn put(image: &mut [u8], offset: usize, value: u64, width: usize) {
    image[offset..offset + width].copy_from_slice(&value.to_be_bytes()[8 - width..]);
}
