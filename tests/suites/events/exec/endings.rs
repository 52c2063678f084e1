//! How handlers end, or do not: each is survived, has a clear line, and leaves no process in its group.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::patience::{found, until};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use vmcatcher_operator::events::Verdict;

use super::*;

#[tokio::test]
async fn one_that_hangs_is_ended() {
    let site = Site::new();
    let line = veto(site.asked("echo waiting for a lock\nexec sleep 1000", SHORT).await);
    assert_eq!(line, "no end within 2 s; its last line: waiting for a lock");
    assert_none_survives(&site);
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_5_s_later() {
    let site = Site::new();
    let began = Instant::now();
    let script = "trap '' TERM\n(trap '' TERM; while :; do sleep 1; done) &\nwhile :; do sleep 1; done";
    assert_eq!(veto(site.asked(script, SHORT).await), "no end within 2 s");
    assert_none_survives(&site);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn one_that_ends_after_sigterm_was_too_late_and_can_clean_up() {
    let site = Site::new();
    let script = "trap 'echo clean > \"$OUT/clean\"; exit 0' TERM\nsleep 1000 & wait";
    assert_eq!(veto(site.asked(script, Duration::from_secs(3)).await), "no end within 3 s");
    assert_eq!(site.written("clean"), "clean");
    assert_none_survives(&site);
    // The shell ends at once, its child needs a moment.
    let child = "trap \"sleep 1; echo child > $OUT/child; exit\" TERM; while :; do sleep 0.1; done";
    let script = format!("sh -c '{child}' &\nwait");
    let line = veto(site.asked(&script, Duration::from_secs(3)).await);
    assert!(line.starts_with("no end within 3 s"), "{line}");
    assert_eq!(site.written("child"), "child");
    assert_none_survives(&site);
}

#[tokio::test]
async fn one_that_floods_is_read_and_its_end_is_kept() {
    let site = Site::new();
    // A line of eight bytes. The signal cuts what is written at a page of the pipe, which holds whole ones.
    let line = veto(site.asked("exec yes a-flood", SHORT).await);
    assert_eq!(line, "no end within 2 s; its last line: a-flood");
    assert_none_survives(&site);
    let script = "head -c 100000000 /dev/zero | tr '\\0' x\necho\nprintf 'no \\033[31mroom\\n\\n' >&2\nexit 3";
    assert_eq!(veto(site.asked(script, LONG).await), "no [31mroom");
    let script = "head -c 100000000 /dev/zero | tr '\\0' x\nexit 3";
    assert_eq!(veto(site.asked(script, LONG).await), format!("{}…", "x".repeat(400)));
}

#[tokio::test]
async fn one_whose_children_hold_its_output_has_ended() {
    let site = Site::new();
    let began = Instant::now();
    assert_eq!(site.asked("sleep 1000 &\nyes &\n(trap '' TERM; sleep 1000) &", LONG).await, Verdict::Passed);
    assert_none_survives(&site);
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
    assert_eq!(veto(site.asked("sleep 1000 &\necho children stay\nexit 1", LONG).await), "children stay");
    assert_none_survives(&site);
}

#[tokio::test]
async fn one_that_leaves_its_group_is_let_go_and_its_output_is_closed() {
    let site = Site::new();
    let wait = "while [ ! -s \"$OUT/far\" ]; do sleep 0.01; done";
    let far = |program: &str| format!("setsid sh -c 'echo $$ > \"$OUT/far\"; exec {program}' &\n{wait}");
    assert_eq!(site.asked(&far("sleep 1000"), LONG).await, Verdict::Passed);
    let process = Pid::from_raw(site.written("far").parse().unwrap()).unwrap();
    assert!(test_kill_process(process).is_ok(), "it is out of reach");
    kill_process(process, Signal::KILL).unwrap();
    assert_none_survives(&site);

    std::fs::remove_file(site.out("far")).unwrap();
    assert_eq!(site.asked(&far("yes"), LONG).await, Verdict::Passed);
    let group = site.written("far").parse().unwrap();
    until("SIGPIPE ends it", async || survivors(group).is_empty()).await;
}

#[tokio::test]
async fn one_that_ends_by_a_signal_vetoes() {
    let site = Site::new();
    assert_eq!(veto(site.asked("kill -9 $$", LONG).await), "it was killed by signal 9");
    let line = veto(site.asked("echo so far\nkill -SEGV $$", LONG).await);
    assert_eq!(line, "it was killed by signal 11; its last line: so far");
    assert_eq!(veto(site.asked("kill -TERM 0", LONG).await), "it was killed by signal 15");
    assert_none_survives(&site);
}

#[tokio::test]
async fn one_that_ends_with_a_status_vetoes_with_its_last_line() {
    let site = Site::new();
    assert_eq!(veto(site.asked("exit 7", LONG).await), "it ended with status 7");
    assert_eq!(veto(site.asked("echo one\necho two >&2\necho\nexit 1", LONG).await), "two");
    let path = site.handlers().join("handler").display().to_string();
    let expected = Verdict::Vetoed { handler: path, line: "it ended with status 255".to_owned() };
    assert_eq!(site.asked("exit 255", LONG).await, expected);
    assert_eq!(site.asked("echo all is well", LONG).await, Verdict::Passed);
}

#[tokio::test]
async fn one_that_cannot_be_started_vetoes_and_says_why() {
    let site = Site::new();
    let asked = async |path: &PathBuf| veto(site.command(&[path.to_str().unwrap()], LONG).ask(&before()).await);
    let text = site.add_text("text");
    assert!(asked(&text).await.starts_with("it cannot be started: Permission denied"));
    let line = asked(&site.handlers().join("none")).await;
    assert!(line.starts_with("it cannot be started: No such file"), "{line}");
    let script = site.handlers().join("script");
    program::write(&script, "#!/nothing/here\n");
    let line = asked(&script).await;
    assert!(line.starts_with("it cannot be started: its interpreter or loader is missing: No such file"), "{line}");
    let noise = site.handlers().join("noise");
    program::write(&noise, "\u{1}\u{2}");
    assert!(asked(&noise).await.starts_with("it cannot be started: Exec format error"));

    let busy = site.add("busy", "exit 0");
    let mut writer =
        Command::new("tee").arg("-a").arg(&busy).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writer.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    writer.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let line = asked(&busy).await;
    assert!(line.starts_with("it cannot be started: Text file busy"), "{line}");
    writer.stdin.take();
    assert!(writer.wait().unwrap().success());
    assert_eq!(site.command(&[busy.to_str().unwrap()], LONG).ask(&before()).await, Verdict::Passed);
}

#[tokio::test]
async fn one_whose_step_is_given_up_is_killed() {
    let site = Site::new();
    site.add("handler", "trap '' TERM\nsleep 1000 &\necho $$ > \"$OUT/group\"\nwhile :; do sleep 1; done");
    let sink = site.sink(LONG);
    let event = before();
    tokio::select! {
        verdict = sink.ask(&event) => panic!("{verdict:?}"),
        group = found(async || (!site.written("group").is_empty()).then_some(())) => group.unwrap(),
    }
    let group = site.group();
    until("no process survives", async || survivors(group).is_empty()).await;
}
