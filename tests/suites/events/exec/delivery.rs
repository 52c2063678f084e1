//! What becomes of events: handled, refused, or tried again.

use vmcatcher_operator::events::{Delivery, Sink, SinkError, Verdict};

use super::*;

fn ids(delivery: &Delivery) -> Vec<String> {
    delivery.refused.iter().map(|(id, line)| format!("{}: {line}", &id.to_string()[34..])).collect()
}

#[tokio::test]
async fn a_status_refuses_an_event_and_it_is_not_tried_again() {
    let site = Site::new();
    site.add("a", "echo a >> \"$OUT/order\"\ncase $VMCATCHER_OPERATOR_EVENT_ID in *2) echo 'no room'; exit 1;; esac");
    site.add("b", "echo b >> \"$OUT/order\"\ncase $VMCATCHER_OPERATOR_EVENT_ID in *2) kill -9 $$;; esac");
    let delivery = site.sink(LONG).deliver(&[after(1), after(2), after(3)]).await;
    assert_eq!(delivery.handled, 3);
    assert!(delivery.stopped.is_none());
    let folder = site.handlers().display().to_string();
    assert_eq!(ids(&delivery), [format!("02: {folder}/a: no room; {folder}/b: it was killed by signal 9")]);
    assert_eq!(site.written("order"), "a\nb\na\nb\na\nb", "each handler has each event once, in their order");
}

#[tokio::test]
async fn a_time_out_is_tried_again_with_the_handlers_that_are_left_and_at_most_five_times() {
    let site = Site::new();
    site.add("a", "echo a >> \"$OUT/order\"\nexit 1");
    site.add("b", "echo b >> \"$OUT/order\"\ncase $VMCATCHER_OPERATOR_EVENT_ID in *1) exec sleep 1000;; esac");
    site.add("c", "echo c >> \"$OUT/order\"");
    let mut sink = site.sink(SHORT);
    let events = [after(1), after(2)];
    let path = |name: &str| site.handlers().join(name).display().to_string();
    for _ in 1..5 {
        let delivery = sink.deliver(&events).await;
        assert!(delivery.handled == 0 && delivery.refused.is_empty());
        let Some(SinkError::TimedOut { address, after }) = delivery.stopped else { panic!("{:?}", delivery.stopped) };
        assert_eq!((address, after), (path("b"), SHORT));
    }
    let delivery = sink.deliver(&events).await;
    assert_eq!(delivery.handled, 2);
    assert!(delivery.stopped.is_none());
    let (a, b) = (format!("{}: it ended with status 1", path("a")), path("b"));
    assert_eq!(ids(&delivery), [format!("01: {a}; {b}: no end within 2 s, 5 times"), format!("02: {a}")]);
    assert_eq!(site.written("order"), "a\nb\nc\nb\nb\nb\nb\na\nb\nc");
}

#[tokio::test]
async fn one_that_ends_in_time_in_the_end_has_handled_the_event() {
    let site = Site::new();
    site.add("a", "[ -e \"$OUT/tried\" ] || { touch \"$OUT/tried\"; exec sleep 1000; }");
    let mut sink = site.sink(SHORT);
    assert!(sink.deliver(&[after(1)]).await.stopped.is_some());
    let delivery = sink.deliver(&[after(1)]).await;
    assert!(delivery.handled == 1 && delivery.refused.is_empty() && delivery.stopped.is_none());
}

#[tokio::test]
async fn the_first_veto_ends_the_question_but_not_an_announcement() {
    let site = Site::new();
    for (name, status) in [("a", 0), ("b", 1), ("c", 2)] {
        site.add(name, &format!("echo {name} >> \"$OUT/order\"\nexit {status}"));
    }
    let vetoed = |status: u32| Verdict::Vetoed {
        handler: site.handlers().join("b").display().to_string(),
        line: format!("it ended with status {status}"),
    };
    assert_eq!(site.sink(LONG).ask(&before()).await, vetoed(1));
    assert_eq!(site.written("order"), "a\nb");
    assert_eq!(site.sink(LONG).announce(&before()).await, vetoed(1));
    assert_eq!(site.written("order"), "a\nb\na\nb\nc");
}

/// Each handler waits for the other one, so that they end only if nothing is locked while one runs.
#[tokio::test]
async fn two_questions_are_asked_at_the_same_time() {
    let site = Site::new();
    let script = "touch \"$OUT/$VMCATCHER_OPERATOR_EVENT_ID\"\nset -- \"$OUT\"/*\nwhile [ $# -lt 2 ]; do\n\
                  sleep 0.01\nset -- \"$OUT\"/*\ndone";
    site.add("a", script);
    let sink = site.sink(LONG);
    let (first, second) = (event(1, "Publish", "before"), event(2, "Publish", "before"));
    let verdicts = tokio::join!(sink.ask(&first), sink.ask(&second));
    assert_eq!(verdicts, (Verdict::Passed, Verdict::Passed));
}
