//! The other side of examples/quickstart/run: it makes the disk images and serves them, and counts what it sends.
//!
//! `quickstart disk qcow2|raw FILE MIB SEED` writes a disk image with so many MiB of data.
//! `quickstart serve` serves on a free port of 127.0.0.1, tells its address in its first line, and then answers each
//! line of its input with one line: `put PATH FILE` (from now on the path answers with the file), `sent` (bytes of all
//! bodies sent), `asked` (number of requests); `cloud DIR` (starts a stand-in OpenNebula that may read DIR; its
//! endpoint), `own IDENTIFIER` (a person there makes the image alice's, and everybody's to use), `images` (the cloud's
//! images as a table, its lines separated by `|`). It ends with its input.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use harness::disk_image;
use harness::image_server::{ImageServer, Resource};
use harness::opennebula::{Cloud, Dialect, World};

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
    let mut cloud = None;
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
            ["cloud", directory] => cloud.insert(start_cloud(directory)).endpoint(),
            ["own", identifier] => {
                cloud.as_ref().map_or_else(none, |cloud| cloud.world(|world| own(world, identifier)))
            }
            ["images"] => cloud.as_ref().map_or_else(none, |cloud| cloud.world(|world| table(world))),
            _ => format!("expected put, sent, asked, cloud, own or images, found {line:?}"),
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn none() -> String {
    "expected cloud first".to_owned()
}

/// A stand-in OpenNebula 7.4 with a user `alice` in the group `sites`; its datastore may read the directory.
fn start_cloud(directory: &str) -> Cloud {
    let cloud = Cloud::start(Dialect::V7_4);
    cloud.world(|world| {
        world.clock = jiff::Timestamp::now().as_second();
        world.any_file = None;
        for datastore in world.datastores.values_mut() {
            datastore.safe_dirs = vec![directory.to_owned()];
        }
        world.add_group(100, "sites");
        world.add_user(2, "alice", "alice", 100);
    });
    cloud
}

fn own(world: &mut World, identifier: &str) -> String {
    let Some(image) = world.images.values_mut().find(|image| image.name == identifier) else {
        return format!("no image has the name {identifier}");
    };
    (image.uid, image.gid, image.permissions) = (2, 100, 0o644);
    "ok".to_owned()
}

fn table(world: &World) -> String {
    let mut rows =
        vec![format!("{:<3} {:<9} {:<9} {:<4} {:<9} {:<8} NAME", "ID", "OWNER", "GROUP", "MODE", "STATE", "VERSION")];
    for image in world.images.values() {
        let owner = world.users.get(&image.uid).map_or("?", |user| &user.name);
        let group = world.groups.get(&image.gid).map_or("?", |group| &group.name);
        let version = image.attributes.get("VMCATCHER_EVENT_HV_VERSION").map_or("", String::as_str);
        let (id, mode, state) = (image.id, image.permissions, image.state.text());
        rows.push(format!("{id:<3} {owner:<9} {group:<9} {mode:<4o} {state:<9} {version:<8} {}", image.name));
    }
    rows.join("|")
}
