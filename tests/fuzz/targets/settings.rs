//! A setting is valid, or an `InvalidInput` whose sentence is suitable for a terminal.

#![no_main]

use files_session::{ErrorKind, Session, Site};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let site = || Site::new("https://localhost");
    let sites = [
        Site::new(text),
        site().ca_pem(text),
        site().proxy(text),
        site().language(text),
        site().user_agent(text),
    ];
    let results = sites.iter().map(|site| Session::resume(site, "id"));
    for result in results.chain([Session::resume(&site(), text)]) {
        match result {
            Ok(session) => {
                // An origin stays the same.
                let again = Session::resume(&Site::new(session.base_url()), &session.id).unwrap();
                assert_eq!(again.base_url(), session.base_url());
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let sentence = error.to_string();
                assert!(sentence.len() < 16_000 && !sentence.chars().any(char::is_control));
            }
        }
    }
});
