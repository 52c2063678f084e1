//! Downloads of versions, and the script for them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::{A, Pages, two_versions};

#[tokio::test(flavor = "multi_thread")]
async fn any_version_on_the_volume_comes_whole_and_in_parts() {
    let (site, versions) = two_versions().await;
    let pages = Pages::start(site, &[]);
    for (shelf, version) in ["expired", "endorsed"].into_iter().zip(&versions) {
        let path = format!("/images/default/{A}/{}/download", version.sha512);
        pages.page_with(&format!("/images/default/{A}"), &path).await;
        let folder = pages.site.path("volume").join(shelf).join("default").join(A);
        let name = format!("{}-{}.raw", version.version, &version.sha512[..12]);
        let bytes = fs::read(folder.join(name)).unwrap();
        let whole = pages.get(&path).await;
        assert_eq!(whole.headers()["etag"], format!("\"{}\"", version.sha512));
        assert_eq!(
            whole.headers()["content-disposition"],
            format!("attachment; filename=\"{A}-{}.raw\"", version.version)
        );
        assert_eq!(whole.headers()["content-type"], "application/octet-stream");
        assert!(whole.bytes().await.unwrap() == bytes, "{shelf}");
        let url = format!("{}{path}", pages.base);
        let part = pages.client.get(&url).header("Range", "bytes=1000-").send().await.unwrap();
        assert_eq!(part.status().as_u16(), 206);
        assert!(part.bytes().await.unwrap() == bytes[1000..], "{shelf}");
        let head = pages.client.head(&url).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], version.size.to_string());
        let after = pages.client.get(&url).header("Range", format!("bytes={}-", version.size)).send().await.unwrap();
        assert_eq!(after.status().as_u16(), 416);
    }
    for other in ["00", &"0".repeat(128), "..%2f..%2fetc%2fpasswd"] {
        assert_eq!(pages.get(&format!("/images/default/{A}/{other}/download")).await.status().as_u16(), 404, "{other}");
    }
    pages.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_and_excluded_bytes_are_not_given_out() {
    let (site, [first, second]) = two_versions().await;
    let images = format!("images: {{include: {{match: [{{name: all}}]}}, exclude: {{sha512: [{}]}}}}", first.sha512);
    site.subscribe_to("vo", &site.server.url("/image.list"), &images);
    let pages = Pages::start(site, &[]);
    let image = format!("/images/default/{A}");
    let refused = async |sha512: &str, reason: &str| {
        pages.page_with(&image, &format!("not given out: {reason}")).await;
        for path in ["", "/script", "/download"] {
            let refused = pages.get(&format!("{image}/{sha512}{path}")).await;
            assert_eq!(refused.status().as_u16(), 403, "{path}");
            let text = refused.text().await.unwrap();
            assert!(text.contains(&format!("This version is not given out. {reason}")), "{text}");
        }
    };
    refused(&first.sha512, "Excluded").await;
    pages.page_with(&image, &format!("{}/download", second.sha512)).await;
    pages.site.trust("endorser", &pages.site.pki.endorser, "trust: Revoked");
    refused(&second.sha512, "EndorserRevoked").await;
    pages.end();
}

/// A folder with programs that write their arguments into `called`, in place of those that start machines.
fn fakes(folder: &Path) -> String {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["qemu-system-x86_64", "virt-install"] {
        let path = bin.join(name);
        harness::program::script(&path, &format!("echo {name} \"$@\" >called"));
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_resumes_checks_and_starts_that_very_version() {
    let (site, [first, _]) = two_versions().await;
    let token = site.path("token");
    fs::write(&token, "a-token-of-this-test").unwrap();
    let pages = Pages::start(site, &["--pages-token-file", token.to_str().unwrap()]);
    let path = format!("{}/images/default/{A}/{}/script", pages.base, first.sha512);
    let get = async || {
        let response = pages.client.get(&path).bearer_auth("a-token-of-this-test").send().await.unwrap();
        (response.status().as_u16() == 200).then_some(response)
    };
    let response = harness::patience::found(get).await.unwrap();
    assert_eq!(response.headers()["content-disposition"], format!("attachment; filename=\"get-{A}-1.raw.sh\""));
    let script = response.text().await.unwrap();
    let here = tempfile::tempdir().unwrap();
    let folder = here.path().to_owned();
    let file = folder.join("get.sh");
    fs::write(&file, &script).unwrap();
    let programs = fakes(&folder);
    let run = |arguments: &[&str], token: &str| -> Output {
        let mut command = Command::new("sh");
        command.arg("get.sh").args(arguments).current_dir(&folder).env("PATH", &programs).env("VMCATCHER_TOKEN", token);
        command.output().unwrap()
    };
    let name = format!("{A}-1.raw");
    let (image, part) = (folder.join(&name), folder.join(format!("{name}.part")));
    let shellcheck = Command::new("shellcheck").arg(&file).output().unwrap();
    assert!(shellcheck.status.success(), "{}", String::from_utf8_lossy(&shellcheck.stdout));
    tokio::task::block_in_place(|| {
        let refused = run(&[], "another-token-here");
        assert!(!refused.status.success() && !image.exists(), "{refused:?}");
        // Half of the bytes are there. If they were fetched again, the file would be too long.
        let bytes =
            fs::read(pages.site.path("volume/expired/default").join(A).join(format!("1-{}.raw", &first.sha512[..12])));
        let bytes = bytes.unwrap();
        fs::write(&part, &bytes[..150_000]).unwrap();
        let got = run(&[], "a-token-of-this-test");
        assert!(got.status.success(), "{got:?}");
        assert!(fs::read(&image).unwrap() == bytes && !part.exists());
        // Other bytes are never started, and never taken for the image.
        fs::write(&image, b"other bytes").unwrap();
        let other = run(&["qemu"], "a-token-of-this-test");
        assert!(!other.status.success() && !folder.join("called").exists(), "{other:?}");
        fs::remove_file(&image).unwrap();
        fs::write(&part, vec![0; 300_000]).unwrap();
        let wrong = run(&[], "a-token-of-this-test");
        assert!(!wrong.status.success() && !part.exists() && !image.exists(), "{wrong:?}");
        for (program, expected) in
            [("qemu", "qemu-system-x86_64 -accel kvm"), ("virt-install", "virt-install --import")]
        {
            let started = run(&[program], "a-token-of-this-test");
            assert!(started.status.success(), "{started:?}");
            let called = fs::read_to_string(folder.join("called")).unwrap();
            assert!(called.starts_with(expected) && called.contains(&format!("{name}.disk.qcow2")), "{called}");
        }
        assert!(fs::read(&image).unwrap() == bytes);
        let unknown = run(&["xen"], "a-token-of-this-test");
        assert!(String::from_utf8_lossy(&unknown.stderr).contains("expected get, qemu or virt-install, found xen"));
    });
    pages.end();
}
