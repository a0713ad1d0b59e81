//! Beside ureq: a crate that has both in its tree, and exchanges a configuration with this one.

mod support;

use std::path::Path;
use std::process::Command;

use support::{start_stand_in, watchdog};

#[test]
fn a_crate_with_a_ureq_of_its_own_exchanges_a_configuration() {
    let server = start_stand_in();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["run", "--quiet", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/beside/Cargo.toml"))
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("beside"))
        .env("FILES_BASE_URL", server.base_url())
        // Its own ureq would go to loopback through a proxy.
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    let output = watchdog::busy(|| cargo.output().unwrap());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "My Site\n");
}
