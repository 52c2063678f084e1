//! The JSON of a list: read or refused, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmcatcher_operator::imagelist::ImageList;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(list) = ImageList::parse(bytes) {
        let _ = list.to_json();
    }
});
