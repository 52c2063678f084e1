//! The message of a repository of OCI artefacts: read or refused, never a panic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vmcatcher_operator::imagelist::ListFormat;
use vmcatcher_operator::trust::read_unverified;

static FORMAT: LazyLock<ListFormat> = LazyLock::new(|| {
    let source = serde_json::json!({"oci": {"repository": "registry.example.org/images", "tags": "*"}});
    ListFormat::of(&serde_json::from_value(source).unwrap()).unwrap().1
});

fuzz_target!(|bytes: &[u8]| {
    let _ = read_unverified(bytes, &FORMAT);
});
