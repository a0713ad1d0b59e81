#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| files_session::fuzzing::session(data));
