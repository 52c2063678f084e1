//! The index and the products file of a simplestreams mirror, with a signature for both: read or refused, never a panic.
//! Zero bytes separate the three.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vmcatcher_operator::imagelist::{ListFormat, SignedFile, write_signed_files};
use vmcatcher_operator::trust::{SIMPLE_STREAMS, read_unverified};

static FORMAT: LazyLock<ListFormat> = LazyLock::new(|| {
    let source = serde_json::json!({"simpleStreams": {
        "url": "https://example.org/streams/v1/index.sjson",
        "contentId": "com.ubuntu.cloud:released:download",
        "products": ["*"],
        "fileType": "disk1.img",
    }});
    ListFormat::of(&serde_json::from_value(source).unwrap()).unwrap().1
});

fuzz_target!(|bytes: &[u8]| {
    let mut files = bytes.splitn(3, |byte| *byte == 0);
    let mut next = || files.next().unwrap_or_default();
    let (index, products, signature) = (next(), next(), Some(next()));
    let file = |text| SignedFile { text, signature };
    let [first, second] = SIMPLE_STREAMS;
    let _ = read_unverified(&write_signed_files(&[(first, file(index)), (second, file(products))]), &FORMAT);
});
