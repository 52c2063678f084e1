//! Names: what is read is shown so that it reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmcatcher_operator::trust::DistinguishedName;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<DistinguishedName>() {
        let shown = name.to_string();
        if shown.len() <= DistinguishedName::MAXIMUM_LENGTH {
            assert_eq!(shown.parse(), Ok(name));
        }
    }
});
