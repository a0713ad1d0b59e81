#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| files_session::fuzzing::settings(data));
