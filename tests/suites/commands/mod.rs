//! The commands that people of a site without a cluster use, as they run them.

mod config;
mod doctor;
mod dry_run;
mod endorser;
mod events;
mod get;
mod image;
mod least;
mod lists;
mod manual;
mod pages;
mod pin;
mod quiet;
mod refresh;
mod service;
mod sources;
mod twins;
mod watch;

use std::process::{Command, Output};

use harness::site::Site;

/// The image that the commands are about.
const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

/// What a command left behind.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    shown: String,
    told: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), shown: text(output.stdout), told: text(output.stderr) }
    }
}

/// Runs the program as it was just built.
fn operator(arguments: &[&str]) -> Ran {
    Command::new(env!("CARGO_BIN_EXE_operator")).args(arguments).output().unwrap().into()
}

/// The same over the volume of a site.
fn over(site: &Site, arguments: &[&str]) -> Ran {
    let volume = site.path("volume");
    operator(&[arguments, &["--volume", volume.to_str().unwrap()]].concat())
}

/// One run of the site's operator.
fn once(site: &Site, more: &[&str]) -> Ran {
    crate::reconcile::process::operator(site, &[&["--once"], more].concat()).output().unwrap().into()
}
