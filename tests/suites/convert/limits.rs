//! Bombs, slow programs, full volumes.

use std::time::Duration;

use harness::appliance::{compressed, fake_qemu_img, image, qemu_img, raw, tar};
use vmcatcher_operator::cache::Part;
use vmcatcher_operator::convert::Form;

use super::*;

#[tokio::test]
async fn a_small_file_does_not_become_a_mountain() {
    let site = Site::with(ConversionLimits { largest: 4 << 20, ..ConversionLimits::default() }, None);
    let mountain = vec![0; 100 << 20];
    let huge = site.path().join("huge");
    qemu_img(&["create", "-q", "-f", "qcow2", &huge.display().to_string(), "1T"]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("gz", compressed("gzip", &mountain)),
        ("zst", compressed("zstd", &mountain)),
        ("xz", compressed("xz", &mountain)),
        ("tar.gz with a mountain before the disk", compressed("gzip", &tar(&[("a", &mountain), ("b", b"x")]))),
        ("a virtual disk", std::fs::read(huge).unwrap()),
    ];
    for (name, bytes) in cases {
        let error = site.converted(&bytes, Form::Raw).await.expect_err(name);
        assert!(error.contains("at most") && error.contains("--max-virtual-size"), "{name}: {error}");
        assert_eq!(site.scratch(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_program_that_hangs_floods_or_grows_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let disk = raw(1, 1);
    let vmdk = image(folder.path(), &disk, "vmdk", "");
    let info = "case $1 in info) echo '{\"format\":\"vmdk\",\"virtual-size\":1048576}'; exit;; \
                measure) echo '{\"required\":1000}'; exit;; esac\n";
    let endless = "while :; do :; done";
    let cases = [
        ("hangs", endless.to_owned(), "within 1 s"),
        ("leaves a child", format!("(exec 2>&1; {endless}) & wait"), "within 1 s"),
        ("floods", "yes >&2".to_owned(), "within 1 s"),
        ("says much and fails", "head -c 3000000 /dev/zero | tr '\\0' 'x' >&2; exit 1".to_owned(), "xxx"),
        ("says bytes and fails", "printf 'a\\033[31m\\nb\\377' >&2; exit 1".to_owned(), "a [31m b\u{fffd}"),
        (
            "grows",
            format!("{info}eval \"to=\\${{$#}}\"; exec head -c 400000000 /dev/zero > \"$to\""),
            "larger file than it may",
        ),
        ("takes memory", "exec dd if=/dev/zero of=/dev/null bs=3G count=1".to_owned(), "memory exhausted"),
        ("makes nothing", format!("{info}exit 0"), "No such file"),
        ("makes something else", format!("{info}eval \"to=\\${{$#}}\"; echo hello > \"$to\""), "expected a qcow2"),
        ("is killed", "kill -9 $$".to_owned(), "signal 9"),
    ];
    for (name, script, expected) in cases {
        // Only those that never end have to be waited for.
        let seconds = if expected.starts_with("within") { 1 } else { 60 };
        let program = fake_qemu_img(folder.path(), &script);
        let limits = ConversionLimits { program, timeout: Duration::from_secs(seconds), ..ConversionLimits::default() };
        let site = Site::with(limits, None);
        let error = site.converted(&vmdk, Form::Qcow2).await.expect_err(name);
        assert!(error.contains(expected) && error.len() < 1000, "{name}: {error}");
        assert_eq!(site.scratch(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_quota_holds() {
    let disk = raw(8, 1);
    let folder = tempfile::tempdir().unwrap();
    let [vmdk, gz] = [image(folder.path(), &disk, "vmdk", ""), compressed("gzip", &disk)];
    for bytes in [vmdk, gz] {
        // The source fits, what comes of it does not.
        let site = Site::with(ConversionLimits::default(), Some(bytes.len() as u64 + (1 << 20)));
        let error = site.converted(&bytes, Form::Qcow2).await.unwrap_err();
        assert!(error.contains("of the quota of "), "{error}");
        assert_eq!(site.scratch(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_cancelled_conversion_ends_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let vmdk = image(folder.path(), &raw(1, 1), "vmdk", "");
    let began = folder.path().join("began");
    let script = format!("mkdir {}; while :; do :; done", began.display());
    let program = fake_qemu_img(folder.path(), &script);
    let site = Site::with(ConversionLimits { program, ..ConversionLimits::default() }, None);
    let source = site.blob(&vmdk);
    let key = ConversionKey { source: *source.digest(), form: Form::Raw };
    let (ended, ()) = tokio::join!(site.convert(&source, Form::Raw), async {
        while !began.exists() {
            tokio::task::yield_now().await;
        }
        site.jobs.conversions().cancel(&key);
    });
    assert_eq!(ended.unwrap_err(), "cancelled");
    assert_eq!(site.scratch(), Vec::<String>::new());
    assert!(site.jobs.conversions().look(&key).unwrap().is_none(), "nothing is held against the image");
}

#[tokio::test]
async fn a_full_volume_is_told_and_nothing_is_left() {
    let disk = raw(2, 1);
    let folder = tempfile::tempdir().unwrap();
    let [vmdk, gz] = [image(folder.path(), &disk, "vmdk", ""), compressed("gzip", &disk)];
    for bytes in [&vmdk, &gz] {
        // All that is free has to stay free.
        let site = Site::with_all(JobLimits { min_free: Some(1 << 60), ..JobLimits::default() });
        let error = site.converted(bytes, Form::Qcow2).await.unwrap_err();
        assert!(error.contains("1 EiB kept free by --min-free"), "{error}");
        assert_eq!(site.scratch(), Vec::<String>::new());
    }
    // It was estimated wrong, or something else took the space meanwhile.
    let said = "echo 'qemu-img: error while writing: No space left on device' >&2; exit 1";
    let program = fake_qemu_img(folder.path(), said);
    let site = Site::with(ConversionLimits { program, ..ConversionLimits::default() }, None);
    let error = site.converted(&vmdk, Form::Qcow2).await.unwrap_err();
    assert!(error.contains("needed for the converted image, qemu-img: error while writing"), "{error}");
}

#[tokio::test]
async fn how_far_a_conversion_is_can_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (said, go_on) = (folder.path().join("said"), folder.path().join("go-on"));
    for fifo in [&said, &go_on] {
        let made = std::process::Command::new("mkfifo").arg(fifo).status().unwrap();
        assert!(made.success());
    }
    // It says how far it is, and waits until it is told to go on.
    let wait = format!("printf '    (42.00/100%%)\\r'; : > {}; read line < {};", said.display(), go_on.display());
    let program = fake_qemu_img(
        folder.path(),
        &format!("[ \"$1\" != convert ] || {{ {wait} }}\nexec /usr/bin/env qemu-img \"$@\""),
    );
    let site = Site::with(ConversionLimits { program, ..ConversionLimits::default() }, None);
    let source = site.blob(&raw(1, 1));
    let key = ConversionKey { source: *source.digest(), form: Form::Qcow2 };
    site.jobs.conversions().start(&source, Form::Qcow2, Timestamp::now());
    let waiting = tokio::task::spawn_blocking(move || std::fs::read(&said).unwrap());
    waiting.await.unwrap();
    let figures = loop {
        match site.jobs.conversions().look(&key).unwrap() {
            Some(ConversionState::Running { part: Part::Convert, figures }) if figures.bytes > 0 => break figures,
            Some(ConversionState::Running { .. }) => tokio::task::yield_now().await,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((figures.bytes, figures.total), ((1 << 20) / 100 * 42, 1 << 20));
    tokio::task::spawn_blocking(move || std::fs::write(&go_on, "\n").unwrap()).await.unwrap();
    let (blob, _) = site.convert(&source, Form::Qcow2).await.unwrap();
    assert!(site.holds(&blob, &raw(1, 1)));
}

#[tokio::test]
async fn a_volume_in_a_folder_of_somebody_else_is_converted_in() {
    let site = Site::with(ConversionLimits::default(), None);
    // Where this is the superuser: a folder that it may enter, and would not within name spaces of its own.
    let _given = std::os::unix::fs::chown(site.path(), Some(12345), None);
    let disk = raw(1, 1);
    let vmdk = image(site.path(), &disk, "vmdk", "");
    let (blob, _) = site.converted(&vmdk, Form::Qcow2).await.unwrap();
    assert!(site.holds(&blob, &disk));
}
