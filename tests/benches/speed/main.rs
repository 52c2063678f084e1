//! How fast downloads, passes and the image server are, each beside what people would use instead, in one run: `curl`,
//! `tee`, `openssl` and `sha512sum` for downloads, nginx for serving. Each pair is run three times, one after the other, and
//! the best of each counts. Where something is written, both end in a `sync` of the file system.
//!
//! Run with `cargo bench -p vmcatcher-tests --bench speed`; `-- one eight small tls serve idle many lists long verify` selects,
//! and a number is another size of the large images in MiB. It needs nginx, curl, openssl and room for five times the size
//! of eight large images. With `VMCATCHER_OPERATOR`, that program is measured instead of the one that was just built.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "figures are printed for people")]

mod download;
mod growth;
mod idle;
mod measured;
mod publisher;
mod relay;
mod serving;
mod verification;

use std::path::PathBuf;
use std::time::Duration;

use self::publisher::Transport;

/// The size of a large image, in MiB.
const LARGE: u64 = 2048;

/// How long bytes are on the way from or to a server that is far away.
const FAR: Duration = Duration::from_millis(20);

/// The program that is measured.
fn program() -> PathBuf {
    std::env::var_os("VMCATCHER_OPERATOR").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_operator")), PathBuf::from)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let large = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(LARGE);
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| argument.parse::<u64>().is_err()).collect();
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    if wanted("one") {
        download::large(1, large);
    }
    if wanted("eight") {
        download::large(8, large);
    }
    if wanted("small") {
        download::small(200, Transport::Plain, Duration::ZERO);
    }
    if wanted("tls") {
        for delay in [Duration::ZERO, FAR] {
            download::small(200, Transport::Http1, delay);
            download::small(200, Transport::Http2, delay);
        }
    }
    if wanted("serve") {
        serving::serve(large.min(1024));
    }
    if wanted("idle") {
        idle::idle(200);
    }
    if wanted("many") {
        idle::idle(10_000);
    }
    if wanted("lists") {
        growth::many_lists();
    }
    if wanted("long") {
        growth::long_list();
    }
    if wanted("verify") {
        verification::verify();
    }
}
