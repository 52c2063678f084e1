//! CRLs and certificates: read or refused, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmcatcher_operator::trust::{Anchors, RevocationList};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(crl) = RevocationList::read(bytes) {
        assert_eq!(RevocationList::read(crl.to_pem().as_bytes()).unwrap().this_update(), crl.this_update());
        let _ = crl.goes_back_behind(&crl);
    }
    let mut builder = Anchors::builder();
    let _ = builder.add_certificates(bytes);
});
