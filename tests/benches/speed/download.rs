//! Downloads: one large image, eight at once, and many small ones.

use std::fs;
use std::time::Duration;

use super::measured::{RUNS, better, report, run_and_sync, shell};
use super::publisher::{Publisher, Transport};

/// Large images at the same time, of this many MiB each.
pub(crate) fn large(count: usize, mebibytes: u64) {
    let publisher = Publisher::start();
    let names = publisher.publish(count, mebibytes << 20, true);
    let (mut ours, mut theirs) = (None, None);
    for _ in 0..RUNS {
        publisher.empty("volume");
        let mut command = publisher.once(&["--max-downloads", "8"]);
        better(&mut ours, run_and_sync(&mut command, &publisher.path("")));
        publisher.empty("volume");

        let folder = publisher.empty("theirs");
        fs::create_dir(&folder).unwrap();
        let one = |(number, name): (usize, &String)| {
            let (url, file) = (publisher.url(name, number), folder.join(name));
            format!("curl -sf {url} | tee {} | openssl dgst -sha512 &\n", file.display())
        };
        let commands: Vec<String> = names.iter().enumerate().map(one).collect();
        let script = format!("{}wait", commands.concat());
        better(&mut theirs, run_and_sync(&mut shell(&script), &publisher.path("")));
        publisher.empty("theirs");
    }
    report(&format!("{count} x {mebibytes} MiB"), ours.unwrap(), ("curl | tee | openssl", theirs.unwrap()));
}

/// Many images of 1 MiB from one server, whose bytes are on the way for this time.
pub(crate) fn small(count: usize, transport: Transport, delay: Duration) {
    let mut publisher = Publisher::over(transport);
    if !delay.is_zero() {
        publisher.move_away(delay);
    }
    let more: &[&str] =
        if delay.is_zero() { &[] } else { &["--max-downloads", "32", "--max-downloads-per-host", "32"] };
    let names = publisher.publish(count, 1 << 20, false);
    let (mut ours, mut theirs) = (None, None);
    for _ in 0..RUNS {
        publisher.put_aside("volume");
        better(&mut ours, run_and_sync(&mut publisher.once(more), &publisher.path("")));

        let folder = publisher.put_aside("theirs");
        fs::create_dir(&folder).unwrap();
        let one = |name: &String| {
            format!("url = \"{}\"\noutput = \"{}\"\n", publisher.url(name, 0), folder.join(name).display())
        };
        let list = publisher.path("curl.conf");
        fs::write(&list, names.iter().map(one).collect::<Vec<_>>().concat()).unwrap();
        let trust = publisher.authority().map(|file| format!("--cacert {}", file.display())).unwrap_or_default();
        let script = format!(
            "curl -sSf {trust} --no-progress-meter --parallel --config {}; sha512sum {}/*",
            list.display(),
            folder.display()
        );
        better(&mut theirs, run_and_sync(&mut shell(&script), &publisher.path("")));
    }
    let over = match transport {
        Transport::Plain => "",
        Transport::Http1 => " over TLS and HTTP/1.1",
        Transport::Http2 => " over TLS and HTTP/2",
    };
    let away = if delay.is_zero() { String::new() } else { format!(", a round trip of {} ms", 2 * delay.as_millis()) };
    report(&format!("{count} x 1 MiB{over}{away}"), ours.unwrap(), ("curl --parallel, sha512sum", theirs.unwrap()));
}
