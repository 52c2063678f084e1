//! The other side of examples/quickstart/run: it makes the disk images and serves them, and counts what it sends.
//!
//! `quickstart disk qcow2|raw FILE MIB SEED` writes a disk image with so many MiB of data.
//! `quickstart serve` serves on a free port of 127.0.0.1, tells its address in its first line, and then answers each
//! line of its input with one line: `put PATH FILE` (from now on the path answers with the file), `sent` (bytes of all
//! bodies sent), `asked` (number of requests). It ends with its input.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use harness::disk_image;
use harness::image_server::{ImageServer, Resource};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["disk", format, file, mebibytes, seed] => disk(format, file, mebibytes.parse()?, seed.parse()?)?,
        ["serve"] => serve()?,
        _ => bail!("usage: quickstart disk qcow2|raw FILE MIB SEED | quickstart serve"),
    }
    Ok(ExitCode::SUCCESS)
}

fn disk(format: &str, file: &str, mebibytes: usize, seed: u64) -> anyhow::Result<()> {
    let mut data = vec![0; mebibytes << 20];
    fastrand::Rng::with_seed(seed).fill(&mut data);
    let image = match format {
        "qcow2" => disk_image::qcow2(10 << 30, &data),
        "raw" => disk_image::raw(&data),
        other => bail!("expected qcow2 or raw, found {other:?}"),
    };
    std::fs::write(file, image).with_context(|| format!("cannot write {file}"))
}

fn serve() -> anyhow::Result<()> {
    let server = ImageServer::start();
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", server.url(""))?;
    output.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["put", path, file] => {
                let bytes = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
                let resource = Resource::bytes(bytes);
                let tag = format!("\"{}\"", &resource.sha512()[..16]);
                server.put(path, resource.etag(&tag));
                "ok".to_owned()
            }
            ["sent"] => server.all_requests().iter().map(|request| request.sent).sum::<u64>().to_string(),
            ["asked"] => server.all_requests().len().to_string(),
            _ => format!("expected put, sent or asked, found {line:?}"),
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}
