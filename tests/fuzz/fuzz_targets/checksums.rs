//! A file of checksums and its signature: read or refused, never a panic. A zero byte separates the two.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vmcatcher_operator::imagelist::{ListFormat, SignedFile, write_signed_files};
use vmcatcher_operator::trust::{CHECKSUMS, read_unverified};

static FORMAT: LazyLock<ListFormat> = LazyLock::new(|| {
    let source = serde_json::json!({"checksums": {
        "url": "https://example.org/SHA512SUMS",
        "images": [{"name": "image", "file": "*"}],
    }});
    ListFormat::of(&serde_json::from_value(source).unwrap()).unwrap().1
});

fuzz_target!(|bytes: &[u8]| {
    let mut files = bytes.splitn(2, |byte| *byte == 0);
    let file = SignedFile { text: files.next().unwrap_or_default(), signature: files.next() };
    let _ = read_unverified(&write_signed_files(&[(CHECKSUMS[0], file)]), &FORMAT);
});
