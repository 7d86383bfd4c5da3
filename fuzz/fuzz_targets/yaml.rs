//! Any bytes may be read; what was read can be written and read again, and means the same.
#![no_main]

use borax_yaml::{Format, Options, Root, decode, parse_documents, to_json, to_string, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(documents) = parse_documents(bytes, &Options::default()) {
        for document in &documents {
            let _ = write(&document.root, Format::KYAML);
            let _ = write(&document.root, Format::WIDE);
            let _ = decode(&document.root, Root::Any);
            let _ = decode(&document.root, Root::StringMap);
            let _ = document.root.clone().expand_aliases();
        }
    }
    if let Ok(value) = to_json(bytes) {
        let text = to_string(&value);
        let again = to_json(&text).expect("what was written can be read");
        assert_eq!(to_string(&again), text, "and means the same");
    }
});
