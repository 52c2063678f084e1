use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::events::{
    AmqpSettings, ClientTls, ContentMode, EventFilter, EventType, ExecSettings, FileCredentials, FileSettings,
    Handlers, Phase, SinkKind, SinkName, SinkSettings, WebhookSettings,
};

/// Every field.
const ALL: &str = "
events:
  spool:
    limit: 1Gi
  sinks:
  - name: handlers
    events: [Available, Expire]
    phases: [after]
    exec:
      directory: /etc/vmcatcher-operator/hooks.d
      timeout: 1m30s
      environment: {SITE: here, _2: ''}
  - name: command
    exec: {command: [/usr/local/bin/handler, --flag, '']}
  - name: broker
    amqp:
      url: amqps://broker.example.org:5671/a%2Fb
      exchange: images
      declare: false
      usernameFile: /secrets/username
      passwordFile: /secrets/password
      timeout: 1s
      tls: {caFile: /secrets/ca.pem, certFile: /secrets/cert.pem, keyFile: /secrets/key.pem}
  - name: monitor
    phases: [after, progress]
    webhook:
      url: https://monitor.example.org/events?room=1
      mode: Binary
      hmacKeyFile: /secrets/hmac
      tokenFile: /secrets/token
      timeout: 10m
      tls: {caFile: /secrets/ca.pem}
  - name: log
    file: {path: /var/log/vmcatcher-operator/events.jsonl}
";

fn filter(types: &[EventType], phases: &[Phase]) -> EventFilter {
    EventFilter { types: types.iter().copied().collect(), phases: phases.iter().copied().collect() }
}

fn sink(name: &str, filter: EventFilter, kind: SinkKind) -> SinkSettings {
    SinkSettings { name: SinkName::new(name).unwrap(), filter, kind }
}

/// The problems of a file, one a line.
fn problems(text: &str) -> Vec<String> {
    let problems = parse(text).expect_err(text);
    problems.iter().map(|problem| problem.in_file(Path::new("c.yaml"))).collect()
}

/// The problems of a file whose one sink has these lines.
fn sink_problems(lines: &str) -> Vec<String> {
    let indented: Vec<String> = lines.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!("events:\n  sinks:\n  - name: a\n{}", indented.concat());
    problems(&text).into_iter().map(|problem| problem.replace("events.sinks[0]", "S").replace("c.yaml:", "")).collect()
}

#[test]
fn all_fields_are_settings() {
    let file = |name: &str| PathBuf::from("/secrets").join(name);
    let environment = [("SITE", "here"), ("_2", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let handlers = ExecSettings {
        handlers: Handlers::Directory("/etc/vmcatcher-operator/hooks.d".into()),
        timeout: Duration::from_secs(90),
        environment: environment.into(),
    };
    let command = ExecSettings {
        handlers: Handlers::Command(["/usr/local/bin/handler", "--flag", ""].map(str::to_owned).into()),
        timeout: Duration::from_secs(10),
        environment: [].into(),
    };
    let broker = AmqpSettings {
        url: "amqps://broker.example.org:5671/a%2Fb".parse().unwrap(),
        credentials: Some(FileCredentials { username: file("username"), password: file("password") }),
        exchange: "images".to_owned(),
        declare: false,
        timeout: Duration::from_secs(1),
        tls: ClientTls { authorities: Some(file("ca.pem")), identity: Some((file("cert.pem"), file("key.pem"))) },
    };
    let monitor = WebhookSettings {
        url: "https://monitor.example.org/events?room=1".parse().unwrap(),
        mode: ContentMode::Binary,
        hmac_key: Some(file("hmac")),
        token: Some(file("token")),
        timeout: Duration::from_mins(10),
        tls: ClientTls { authorities: Some(file("ca.pem")), identity: None },
    };
    let log = FileSettings { path: "/var/log/vmcatcher-operator/events.jsonl".into() };
    let [before_and_after, after] = [&[Phase::Before, Phase::After][..], &[Phase::After]];
    let expected = [
        sink("handlers", filter(&[EventType::Available, EventType::Expire], after), SinkKind::Exec(handlers)),
        sink("command", filter(&EventType::ALL, before_and_after), SinkKind::Exec(command)),
        sink("broker", filter(&EventType::ALL, after), SinkKind::Amqp(broker)),
        sink("monitor", filter(&EventType::ALL, &[Phase::After, Phase::Progress]), SinkKind::Webhook(monitor)),
        sink("log", filter(&EventType::ALL, after), SinkKind::File(log)),
    ];
    assert_eq!(parse(ALL), Ok(Config { events: EventSettings { spool_limit: 1 << 30, sinks: expected.into() } }));
}

#[test]
fn what_is_not_said_has_its_default() {
    for text in
        ["", "# nothing\n", "---\n", "{}", "events:", "\u{feff}events: {sinks: [], spool: }\n", "events: {sinks: }"]
    {
        assert_eq!(parse(text), Ok(Config::default()), "{text:?}");
    }
    assert_eq!(Config::default().events.spool_limit, 256 << 20);
    let config = parse(
        "events: {sinks: [{name: a, amqp: {url: amqp://b}}, {name: b, webhook: {url: http://c}}], spool: {limit: 1.048576e6}}",
    );
    let events = config.unwrap().events;
    assert_eq!(events.spool_limit, 1 << 20, "Helm writes whole numbers so");
    let SinkKind::Amqp(amqp) = &events.sinks[0].kind else { panic!("{events:?}") };
    assert_eq!((amqp.exchange.as_str(), amqp.declare, amqp.timeout), ("vmcatcher", true, Duration::from_secs(30)));
    assert_eq!((&amqp.credentials, &amqp.tls), (&None, &ClientTls::default()));
    let SinkKind::Webhook(webhook) = &events.sinks[1].kind else { panic!("{events:?}") };
    assert_eq!((webhook.mode, webhook.timeout), (ContentMode::Structured, Duration::from_secs(10)));
    assert_eq!((&webhook.hmac_key, &webhook.token), (&None, &None));
}

/// Files as wholes.
#[test]
fn a_bad_file_is_refused_with_its_line() {
    let cases: &[(&str, &[&str])] = &[
        ("[]", &["c.yaml:1: expected an object (events), found a list"]),
        ("event: {}", &["c.yaml:1: event: expected events, found this field; did you mean events?"]),
        ("\n\nunheard-of: 1", &["c.yaml:3: unheard-of: expected events, found this field"]),
        ("events: {}\n---\nevents: {}\n", &["c.yaml:2: expected one document, found another; remove the ---"]),
        (
            "events: {}\nevents: {}\n",
            &["c.yaml:2: expected each key once in its object, found \"events\" again at line 2 column 1"],
        ),
        (
            "events:\n\tsinks: []\n",
            &[
                "c.yaml:2: found character that cannot start any token at line 2 column 1, while scanning for the next token; YAML is indented by spaces, and a tab is here",
            ],
        ),
        (
            "events: {sinks: {a: b}}",
            &["c.yaml:1: events.sinks: expected a list, found an object; write - before each item"],
        ),
        (
            "events: {spool: {limit: 1023Ki}}",
            &["c.yaml:1: events.spool.limit: expected at least 1Mi, found the text \"1023Ki\""],
        ),
        (
            "events:\n  spool:\n    limit: 1GB\n",
            &[
                "c.yaml:3: events.spool.limit: expected a number of bytes such as 268435456 or 256Mi (units Ki, Mi, Gi, Ti, Pi, Ei), found \"1GB\"",
            ],
        ),
        (
            "events: {spool: {limit: -1}}",
            &["c.yaml:1: events.spool.limit: expected a number of bytes such as 256Mi, found the number -1"],
        ),
        (
            "events: {spool: {limit: 1e30}}",
            &["c.yaml:1: events.spool.limit: expected a number of bytes such as 256Mi, found the number 1e+30"],
        ),
        ("\"a\\nb: \\u202e\": 1", &["c.yaml:1: a b: \\u{202e}: expected events, found this field"]),
    ];
    for (text, expected) in cases {
        assert_eq!(&problems(text), expected, "{text}");
    }
    let long = format!("# {}", "x".repeat(LARGEST));
    assert_eq!(problems(&long), ["c.yaml: expected a file of at most 1048576 bytes, found 1048578"]);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    assert_eq!(parse_bytes(ALL.as_bytes()), parse(ALL));
    let told = |bytes: &[u8]| parse_bytes(bytes).unwrap_err()[0].to_string();
    assert_eq!(told(b"# a\n# \xff\n"), "line 2: expected UTF-8, found other bytes");
    assert_eq!(told(&vec![b'#'; LARGEST + 1]), "expected a file of at most 1048576 bytes, found more");
}

/// The common fields of sinks.
#[test]
fn a_bad_sink_is_refused_with_its_line() {
    let cases: &[(&str, &[&str])] = &[
        ("", &["3: S: expected one of exec, amqp, webhook or file, found none"]),
        (
            "exce: {directory: /a}\nphases: [before]",
            &[
                "3: S: expected one of exec, amqp, webhook or file, found none",
                "4: S.exce: expected name, events, phases, exec, amqp, webhook or file, found this field; did you mean exec?",
            ],
        ),
        (
            "exec: {directory: /a}\nfile: {path: /b}",
            &["3: S: expected one of exec, amqp, webhook or file, found exec and file"],
        ),
        ("file: {path: b}", &["4: S.file.path: expected an absolute path, found the text \"b\""]),
        ("file: {path: /b/}", &["4: S.file.path: expected the path of a file, found the text \"/b/\""]),
        ("file: {path: 1}", &["4: S.file.path: expected an absolute path, found the number 1; quote it"]),
        ("file:", &["4: S.file: expected the field path, found none"]),
        ("file: /b", &["4: S.file: expected an object (path), found the text \"/b\""]),
        (
            "events:\n- available\nfile: {path: /b}",
            &[
                "5: S.events[0]: expected Process, SubscriptionImageNew, Available, Expire, ListAccepted, ListRefused, RemovalBlocked, HookVetoed, Download, Convert, Publish or Retire, found the text \"available\"; did you mean Available?",
            ],
        ),
        (
            "events: [Expire, Expire]\nfile: {path: /b}",
            &["4: S.events[1]: expected each once, found the text \"Expire\" again"],
        ),
        (
            "events: []\nfile: {path: /b}",
            &["4: S.events: expected at least one item, found none; remove the field for its default"],
        ),
        ("phases:\nfile: {path: /b}", &["4: S.phases: expected a list, found nothing; write - before each item"]),
        (
            "phases: [befor]\nexec: {directory: /b}",
            &["4: S.phases[0]: expected before, after or progress, found the text \"befor\"; did you mean before?"],
        ),
        (
            "phases: [after, before]\nfile: {path: /b}",
            &["4: S.phases[1]: expected after or progress, found before, which only an exec sink gets"],
        ),
        (
            "events: [Download]\nfile: {path: /b}",
            &[
                "4: S.events[0]: expected an event of the phases after, found Download, which has progress; add one to phases, or remove the event",
            ],
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(&sink_problems(lines), expected, "{lines}");
    }
    let text = "events:\n  sinks:\n  - {name: A_b, file: {path: /a}}\n  - {file: {path: /a}}\n  - {name: b, file: {path: /b}}\n  - name: b\n    file: {path: /c}\n";
    let expected = [
        "c.yaml:3: events.sinks[0].name: expected a name of 1 to 63 characters a-z, 0-9 and -, with no - at its ends (RFC 1123), found the text \"A_b\"",
        "c.yaml:4: events.sinks[1]: expected the field name, found none",
        "c.yaml:4: events.sinks[1].file.path: expected another path for each sink, found that of events.sinks[0]",
        "c.yaml:6: events.sinks[3].name: expected another name for each sink, found that of events.sinks[2]",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn a_bad_exec_sink_is_refused_with_its_line() {
    let cases: &[(&str, &[&str])] = &[
        ("exec: {}", &["4: S.exec: expected directory or command, found neither"]),
        ("exec:\n  directory: /a\n  command: [/b]", &["6: S.exec.command: expected directory or command, found both"]),
        ("exec: {directory: hooks.d}", &["4: S.exec.directory: expected an absolute path, found the text \"hooks.d\""]),
        (
            "exec: {command: /b}",
            &["4: S.exec.command: expected a list, found the text \"/b\"; write - before each item"],
        ),
        (
            "exec: {command: []}",
            &["4: S.exec.command: expected the absolute path of a program and its arguments, found no item"],
        ),
        ("exec: {command: [b]}", &["4: S.exec.command[0]: expected an absolute path, found the text \"b\""]),
        ("exec: {command: [/b, 4711]}", &["4: S.exec.command[1]: expected text, found a number; quote it"]),
        ("exec: {command: [/b, \"a\\0\"]}", &["4: S.exec.command[1]: expected text without NUL characters, found one"]),
        (
            "exec: {directory: /a, timeout: 10}",
            &["4: S.exec.timeout: expected a duration such as 10s, found the number 10"],
        ),
        ("exec: {directory: /a, timeout: 999ms}", &["4: S.exec.timeout: expected at least 1s, found \"999ms\""]),
        ("exec: {directory: /a, timeout: 601s}", &["4: S.exec.timeout: expected at most 10m, found \"601s\""]),
        (
            "exec: {directory: /a, timeout: 1d}",
            &[
                "4: S.exec.timeout: expected a duration such as 90s, 6h or 1h30m (units h, m, s, ms; no days), found \"1d\"",
            ],
        ),
        (
            "exec:\n  directory: /a\n  environment:\n    A-B: c\n    VMCATCHER_X: d\n    C: 4711\n    1D: e",
            &[
                "7: S.exec.environment.A-B: expected a name of letters, digits and _ that begins with no digit, found this one",
                "8: S.exec.environment.VMCATCHER_X: expected a name that does not begin with VMCATCHER_ (events use it), found this one",
                "9: S.exec.environment.C: expected text, found a number; quote it",
                "10: S.exec.environment.1D: expected a name of letters, digits and _ that begins with no digit, found this one",
            ],
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(&sink_problems(lines), expected, "{lines}");
    }
}

#[test]
fn a_bad_receiver_is_refused_with_its_line() {
    let vhost = "expected one virtual host after the host, such as /vhost (a / in it is %2F), found another form";
    let amqp: &[(&str, String)] = &[
        ("", "S.amqp: expected the field url, found none".into()),
        ("url: 1", "S.amqp.url: expected an address such as amqps://broker.example.org/vhost, found a number; quote it".into()),
        ("url: broker", "S.amqp.url: expected an address such as amqps://broker.example.org/vhost, found another form: relative URL without a base".into()),
        ("url: http://b", "S.amqp.url: expected the scheme amqp or amqps, found http".into()),
        ("url: 'amqp:///a'", "S.amqp.url: expected an address with a host, such as amqps://broker.example.org/vhost, found none".into()),
        ("url: 'amqp://b/a?heartbeat=1'", "S.amqp.url: expected an address without a query, found a part after ?".into()),
        ("url: 'amqp://b/a#c'", "S.amqp.url: expected an address without #, found a part after it".into()),
        ("url: ' amqp://b'", "S.amqp.url: expected an address without blanks, found some".into()),
        ("url: amqp://b/a/c", format!("S.amqp.url: {vhost}")),
        ("url: amqp://b/%ff", format!("S.amqp.url: {vhost}")),
        ("url: amqp://b, exchange: ''", "S.amqp.exchange: expected the name of an exchange (1 to 127 letters, digits and -_.:), found the text \"\"".into()),
        ("url: amqp://b, exchange: amq.topic", "S.amqp.exchange: expected a name that does not begin with amq. (or declare: false), found the text \"amq.topic\"".into()),
        ("url: amqp://b, declare: yes", "S.amqp.declare: expected true or false, found the text \"yes\"".into()),
        ("url: amqp://b, usernameFile: /u", "S.amqp.usernameFile: expected usernameFile and passwordFile together, found usernameFile alone".into()),
        ("url: amqp://b, tls: {caFile: /c}", "S.amqp.tls: expected no such field for an address of amqp, found it; amqps uses TLS".into()),
        ("url: amqps://b, tls: {keyFile: /c}", "S.amqp.tls.keyFile: expected certFile and keyFile together, found keyFile alone".into()),
        ("url: amqps://b, tls: {cafile: /c}", "S.amqp.tls.cafile: expected caFile, certFile or keyFile, found this field; did you mean caFile?".into()),
    ];
    for (fields, expected) in amqp {
        assert_eq!(sink_problems(&format!("amqp: {{{fields}}}")), [format!("4: {expected}")], "{fields}");
    }
    let webhook = [
        ("url: ftp://b", "url: expected the scheme http or https, found another"),
        (
            "url: https://b, mode: structured",
            "mode: expected Structured or Binary, found the text \"structured\"; did you mean Structured?",
        ),
        ("url: https://b, tokenFile: token", "tokenFile: expected an absolute path, found another text"),
        ("url: http://b, tls: {}", "tls: expected no such field for an address of http, found it; https uses TLS"),
    ];
    for (fields, expected) in webhook {
        assert_eq!(sink_problems(&format!("webhook: {{{fields}}}")), [format!("4: S.webhook.{expected}")], "{fields}");
    }
}

#[test]
fn no_message_has_a_secret() {
    let cases = [
        "amqp: {url: 'amqps://user:Hidden@broker.example.org/a'}",
        "amqp: {url: 'Hidden@broker.example.org'}",
        "amqp: {url: 'Hidden:x@broker.example.org'}",
        "amqp: {url: amqps://b, usernameFile: /u, passwordFile: Hidden}",
        "webhook: {url: 'https://Hidden@monitor.example.org/'}",
        "webhook: {url: 'http://monitor.example.org:x/?token=Hidden'}",
        "webhook: {url: https://b, hmacKeyFile: Hidden, tokenFile: [Hidden]}",
        "exec: {command: [/a, \"Hidden\\0\"], environment: {A: \"Hidden\\0\"}}",
    ];
    for lines in cases {
        let found = sink_problems(lines).join("\n");
        assert!(!found.is_empty() && !found.to_lowercase().contains("hidden"), "{lines}: {found}");
    }
    let found = sink_problems(cases[0]).join("\n");
    assert!(found.ends_with("found one with them; usernameFile and passwordFile take the files with them"), "{found}");
}

/// All problems are found at once; very many are counted.
#[test]
fn many_problems_are_bounded() {
    let fields: Vec<String> = (0..5_000).map(|number| format!("unknown{number}: 1\n")).collect();
    let found = problems(&fields.concat());
    assert_eq!(found.len(), faults::MOST + 1);
    assert_eq!(found.last().unwrap(), "c.yaml: 4980 more problems are not shown");
    let sinks: Vec<String> = (0..65).map(|number| format!("{{name: a{number}, file: {{path: /{number}}}}}")).collect();
    let text = |count: usize| format!("events: {{sinks: [{}]}}", sinks[..count].join(", "));
    assert_eq!(parse(&text(64)).unwrap().events.sinks.len(), 64);
    assert_eq!(problems(&text(65)), ["c.yaml:1: events.sinks: expected at most 64 items, found 65"]);
    let bomb = format!("a: &a {}\nb: [{}]\n", "x".repeat(50_000), "*a,".repeat(50_000));
    assert!(problems(&bomb)[0].contains("many aliases"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "(\\PC|[\n\t\u{0}\u{feff}]){0,200}") {
        let _ = parse(&text);
    }

    /// A character of a good file is replaced, removed or added.
    #[test]
    fn no_mistake_panics(place in 0..ALL.len(), cut in 0..20_usize, new in "[-a:{}\\[\\]\"'&*!|>%@# \t\n0]{0,3}") {
        let (before, after) = (&ALL[..place], ALL.get(place + cut..).unwrap_or_default());
        let text = format!("{before}{new}{after}");
        if let Err(problems) = parse(&text) {
            let lines = text.lines().count();
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.line.is_none_or(|line| (1..=lines + 1).contains(&line)), "{problem}");
                prop_assert!(problem.to_string().lines().count() == 1, "{problem}");
            }
        }
    }
}
