//! Whatever a Git server sends, and whatever stands in known_hosts and .gitmodules, is read or refused.
#![no_main]

use borax_source::git::{RemoteUrl, untrusted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (what, piece, bytes) = input;
    let text = String::from_utf8_lossy(bytes);
    match what % 6 {
        0 => untrusted::answer(bytes),
        1 => untrusted::pack(bytes, piece.into()),
        2 => untrusted::object(bytes),
        3 => untrusted::known_hosts(bytes, "git.example.com"),
        4 => untrusted::gitmodules(&text),
        _ => {
            if let Ok(url) = RemoteUrl::parse(&text) {
                let shown = url.to_string();
                assert_eq!(RemoteUrl::parse(&shown).map(|u| u.to_string()), Ok(shown));
            }
        }
    }
});
