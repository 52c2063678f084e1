//! The handlers of examples/hooks, as they are, on real events, files and images.

use harness::appliance::qemu_img;
use vmcatcher_operator::events::{Delivery, EventType, ExecSink, Phase, Sink, Verdict, environment};

use super::*;

/// A sink with one of the handlers.
fn sink(site: &Site, handler: &str, variables: &[(&str, &str)], directories: CacheDirectories) -> ExecSink {
    let program = workspace().join("examples/hooks").join(handler).display().to_string();
    let mut settings = site.settings(Handlers::Command(vec![program]), LONG);
    settings.environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    ExecSink::new(settings, directories)
}

#[tokio::test]
async fn the_log_has_one_line_of_json_an_event() {
    let site = Site::new();
    let log = site.out("log").display().to_string();
    let made = || sink(&site, "log-events", &[("EVENT_LOG", &log)], directories());
    let mut events: Vec<Event> = (0..20).map(after).collect();
    let controls: String = ('\u{1}'..='\u{7f}').collect();
    for event in &mut events {
        let image = event.image.as_mut().unwrap();
        image.title = format!("{controls} é \u{1f427} \\u0041");
        image.description = "long \"text\"\n".repeat(2000);
        image.version = "007".to_owned();
    }
    // Two at the same time, each with half of them.
    let (mut one, mut other) = (made(), made());
    let (first, second) = tokio::join!(one.deliver(&events[..10]), other.deliver(&events[10..]));
    for Delivery { handled, refused, stopped } in [first, second] {
        assert!(handled == 10 && refused.is_empty() && stopped.is_none(), "{refused:?} {stopped:?}");
    }
    let mut expected: Vec<Value> = events
        .iter()
        .map(|event| {
            let variables = environment(event, &directories()).into_iter();
            variables.map(|(name, value)| (name, Value::String(value.into_string().unwrap()))).collect()
        })
        .collect();
    let written = std::fs::read_to_string(&log).unwrap();
    let mut written: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for lines in [&mut expected, &mut written] {
        lines.sort_by_key(|line| line["VMCATCHER_OPERATOR_EVENT_ID"].to_string());
    }
    assert_eq!(written, expected);
}

/// A handler in the manner of those for vmcatcher: a command line for a shell, the variables, a status of no effect.
#[tokio::test]
async fn a_handler_of_vmcatcher_gets_the_events_of_vmcatcher() {
    let site = Site::new();
    let script = "echo \"$2: $VMCATCHER_EVENT_TYPE $VMCATCHER_EVENT_FILENAME\" >> \"$OUT/$1\"\necho failed\nexit 3";
    let old = site.add("old handler", script).display().to_string();
    let (cache, subscription) = (format!("'{old}' events 'a  b'"), format!("'{old}' new list"));
    let variables = [("HANDLER_CACHE_EVENT", cache.as_str()), ("HANDLER_SUB_EVENT", &subscription)];
    let mut sink = sink(&site, "vmcatcher-handler", &variables, directories());
    let mut refused = Vec::new();
    for event_type in EventType::ALL {
        assert_eq!(sink.ask(&event(1, event_type.as_str(), "before")).await, Verdict::Passed, "{event_type}");
        for phase in [Phase::After, Phase::Progress] {
            let delivery = sink.deliver(&[event(1, event_type.as_str(), phase.as_str())]).await;
            assert_eq!(delivery.handled, 1);
            refused.extend(delivery.refused.into_iter().map(|(_, line)| (event_type, phase, line)));
        }
    }
    let file = "0ca205cc-61e9-537e-ac6d-cb5fbfa8534b";
    let types = ["Process", "Available", "Expire"];
    let line = |name: &str, end: &str| format!("a  b: {name}{end} {file}");
    let expected: Vec<String> = types.iter().flat_map(|name| [line(name, "Prefix"), line(name, "Postfix")]).collect();
    assert_eq!(site.written("events").lines().collect::<Vec<_>>(), expected);
    assert_eq!(site.written("new"), "list: SubscriptionImageNew ");
    let after_only = [EventType::Process, EventType::SubscriptionImageNew, EventType::Available, EventType::Expire];
    let found: Vec<_> = refused.iter().map(|(event, phase, _)| (*event, *phase)).collect();
    assert_eq!(found, after_only.map(|event| (event, Phase::After)));
    assert!(refused.iter().all(|(.., line)| line.ends_with("/vmcatcher-handler: failed")), "{refused:?}");
}

#[tokio::test]
async fn the_quarantine_keeps_images_out_that_name_other_files_or_are_something_else() {
    let site = Site::new();
    let folder = site.out("").display().to_string();
    let create = |arguments: &[&str], name: &str| {
        let path = site.out(name).display().to_string();
        qemu_img(&[&["create", "-q"], arguments, &[&path, "1M"]].concat());
    };
    let data = format!("data_file={folder}data.raw,data_file_raw=on");
    create(&["-f", "raw"], "raw");
    create(&["-f", "qcow2"], "qcow2");
    create(&["-f", "vdi"], "vdi");
    create(&["-f", "vpc"], "vhd");
    create(&["-f", "vmdk"], "vmdk");
    create(&["-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/shadow\nall is well"], "backed");
    create(&["-f", "qcow2", "-o", &data], "parted");
    create(&["-f", "vmdk", "-o", "subformat=monolithicFlat"], "flat");
    std::fs::write(site.out("broken"), b"QFI\xfb\0\0\0\x09").unwrap();
    let cases = [
        ("raw", "RAW", None),
        ("qcow2", "Qcow2", None),
        ("qcow2", "", None),
        ("vmdk", "VMDK", None),
        ("vhd", "vhd", None),
        ("vdi", "vdi", Some("quarantine: expected one of: raw qcow2 vmdk vpc; found vdi".to_owned())),
        ("qcow2", "raw", Some("quarantine: the list says raw, found qcow2".to_owned())),
        ("raw", "ova", Some("quarantine: the list says ova, found raw".to_owned())),
        ("backed", "qcow2", Some("quarantine: it has a backing file: \"/etc/shadow\\nall is well\"".to_owned())),
        ("parted", "qcow2", Some(format!("quarantine: a part of it is another file: [\"{folder}data.raw\"]"))),
        ("flat", "vmdk", Some(format!("quarantine: a part of it is another file: [\"{folder}/flat-flat\"]"))),
        ("broken", "qcow2", Some("quarantine: qemu-img cannot read it".to_owned())),
        ("missing", "qcow2", Some("quarantine: qemu-img cannot read it".to_owned())),
    ];
    let directories = CacheDirectories { cache: site.out(""), ..directories() };
    let sink = sink(&site, "quarantine", &[("QUARANTINE_FORMATS", "raw qcow2 vmdk vpc")], directories);
    for (file, format, expected) in cases {
        let mut event = before();
        let image = event.image.as_mut().unwrap();
        (image.file_name, image.format) = (Some(file.to_owned()), Some(format.to_owned()));
        match (sink.ask(&event).await, expected) {
            (Verdict::Passed, None) => {}
            (Verdict::Vetoed { line, .. }, Some(expected)) => assert_eq!(line, expected, "{file} as {format}"),
            (verdict, expected) => panic!("{file} as {format}: expected {expected:?}, found {verdict:?}"),
        }
    }
    let mut event = event(1, "Expire", "before");
    event.image.as_mut().unwrap().file_name = None;
    assert_eq!(sink.ask(&event).await, Verdict::Passed, "it looks at images that become available only");
}
