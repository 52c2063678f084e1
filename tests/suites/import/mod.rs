//! Moving in: what vmcatcher, cloudkeeper and atrope left becomes manifests that work, and their images are not
//! downloaded again.

mod ages;
pub(crate) mod old;

use std::process::{Command, Output};

use harness::site::Site;

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) shown: String,
    pub(crate) told: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), shown: text(output.stdout), told: text(output.stderr) }
    }
}

/// Runs the program as it was just built, without vmcatcher's variables.
pub(crate) fn operator(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.env_remove("VMCATCHER_RDBMS").env_remove("VMCATCHER_CACHE_EVENT").env_remove("ONE_AUTH");
    command.args(arguments).output().unwrap().into()
}

/// Whether a site's manifests are valid and complete.
pub(crate) fn check(site: &Site) -> Ran {
    operator(&["reconcile", "--check", "--manifests", site.path("manifests").to_str().unwrap()])
}
