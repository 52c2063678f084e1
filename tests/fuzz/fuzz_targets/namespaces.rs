//! Namespaces files: read or refused, and a subject is judged by whatever they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmcatcher_operator::trust::{Anchors, DistinguishedName};

fuzz_target!(|bytes: &[u8]| {
    let name = |text: &str| text.parse::<DistinguishedName>().unwrap();
    let issuer = name("/C=XX/CN=CA");
    let mut builder = Anchors::builder();
    let _ = builder.add_namespaces(bytes, std::slice::from_ref(&issuer));
    let _ = builder.build().namespace_objection(&issuer, &name("/C=XX/O=People/CN=A"));
});
