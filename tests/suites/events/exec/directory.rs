//! The directory of handlers: which run, in which order, and what is logged.

use std::io::Write;
use std::sync::{Arc, Mutex};

use vmcatcher_operator::events::{Delivery, Sink, SinkError, Verdict};

use super::*;

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    fn subscribe(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let writer = move || log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::TRACE);
        tracing::subscriber::set_default(subscriber.with_writer(writer).finish())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn handlers_run_in_byte_order_and_what_is_skipped_is_logged_once() {
    let log = Log::default();
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _guard = log.subscribe();
    let site = Site::new();
    for name in ["b", "a", "B", "10", "9", "_", "-", "x.sh", "x~", ".x", "x y"] {
        site.add(name, &format!("echo '{name}' >> \"$OUT/order\""));
    }
    site.add_text("text");
    std::os::unix::fs::symlink("a", site.handlers().join("link")).unwrap();
    let mut sink = site.sink(LONG);
    assert_eq!(sink.ask(&before()).await, Verdict::Passed);
    assert_eq!(site.written("order"), "-\n10\n9\nB\n_\na\nb\na");
    assert_eq!(sink.deliver(&[after(1), after(2)]).await.handled, 2);
    let text = log.text();
    for skipped in ["x.sh is skipped: its name", "x~ is", ".x is", "x y is", "text is skipped: it is not executable"] {
        assert_eq!(text.matches(&format!(": {skipped}")).count(), 1, "{skipped}: {text}");
    }
    std::fs::remove_file(site.handlers().join("text")).unwrap();
    assert_eq!(sink.ask(&before()).await, Verdict::Passed);
    site.add_text("text");
    assert_eq!(sink.ask(&before()).await, Verdict::Passed);
    assert_eq!(log.text().matches(": text is skipped").count(), 2, "it came again");
}

#[tokio::test]
async fn output_is_logged_in_printable_and_bounded_lines() {
    let log = Log::default();
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _guard = log.subscribe();
    let site = Site::new();
    assert_eq!(site.asked("printf 'to the log\\033[2J\\n'", LONG).await, Verdict::Passed);
    let text = log.text();
    let line = text.lines().find(|line| line.contains("to the log")).unwrap();
    assert!(line.contains("DEBUG") && line.ends_with("/handler: to the log\\u{1b}[2J"), "{line}");
    assert!(text.contains("/handler: CachedImage site/image Available before: ended with 0 in "), "{text}");
    veto(site.asked("seq -f 'line %.0f' 300000\nexit 1", LONG).await);
    let text = log.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("/handler: line ")).collect();
    assert_eq!(lines.len(), 100);
    assert!(lines.iter().all(|line| line.contains("WARN")) && lines[99].ends_with("line 300000"), "{}", lines[99]);
    assert!(text.contains("line 300000 (") && text.contains("3488895 bytes of output; the output starts before"));
}

#[tokio::test]
async fn one_that_vanishes_after_it_was_listed_vetoes_and_counts_no_more() {
    let site = Site::new();
    let script = "rm -f \"$0-b\"\necho a >> \"$OUT/order\"";
    site.add("a", script);
    site.add("a-b", "echo b >> \"$OUT/order\"");
    let line = veto(site.sink(LONG).ask(&before()).await);
    assert!(line.starts_with("it cannot be started: No such file"), "{line}");
    assert_eq!(site.sink(LONG).ask(&before()).await, Verdict::Passed);

    site.add("a-b", "echo b >> \"$OUT/order\"");
    let mut sink = site.sink(LONG);
    let Delivery { handled, refused, stopped } = sink.deliver(&[after(1)]).await;
    assert!(handled == 0 && refused.is_empty());
    let expected = format!("cannot start {}: ", site.handlers().join("a-b").display());
    assert!(stopped.unwrap().to_string().starts_with(&expected));
    let Delivery { handled, refused, stopped } = sink.deliver(&[after(1)]).await;
    assert!(handled == 1 && refused.is_empty() && stopped.is_none());
    assert_eq!(site.written("order"), "a\na\na", "what has ended is not run again");
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_vetoes_and_stops() {
    let site = Site::new();
    std::fs::remove_dir(site.handlers()).unwrap();
    let mut sink = site.sink(LONG);
    let path = site.handlers();
    let Verdict::Vetoed { handler, line } = sink.ask(&before()).await else { panic!("expected a veto") };
    assert_eq!(handler, path.display().to_string());
    assert!(line.starts_with("the directory cannot be read: No such file"), "{line}");
    for _ in 0..7 {
        let Delivery { handled, stopped, .. } = sink.deliver(&[after(1)]).await;
        let Some(SinkError::File { step: "read", path: found, .. }) = stopped else { panic!("{stopped:?}") };
        assert_eq!((handled, found), (0, path.clone()));
    }
    std::fs::create_dir(&path).unwrap();
    assert_eq!(sink.ask(&before()).await, Verdict::Passed, "an empty directory has nothing against it");
    assert_eq!(sink.deliver(&[after(1)]).await.handled, 1);
}
