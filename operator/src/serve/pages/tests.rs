//! Pages from resources in memory.

use std::sync::Arc;

use askama::Template as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::clouds::Clouds;
use super::endorsers::Endorsers;
use super::events::Events;
use super::frame::Request;
use super::health;
use super::image::{ImagePage, Parts};
use super::images::{Filter, Images};
use super::overview::Overview;
use super::query::Query;
use super::shown::State;
use super::site::Objects;
use super::subscription::{self, SubscriptionPage};
use super::subscriptions::Subscriptions;
use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription};
use crate::cache::Entries;
use crate::events::{Event, EventType, Phase};
use crate::serve::progress::{ProgressPage, RunningWork};

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\"'&<img src=x>";

fn now() -> Timestamp {
    "2026-11-22T07:00:00Z".parse().unwrap()
}

fn later(hours: i64) -> String {
    (now() + SignedDuration::from_hours(hours)).to_string()
}

fn request() -> Request {
    Request { here: "/".to_owned(), has_login: false, now: now() }
}

fn condition(name: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": later(-1)})
}

fn image(name: &str, title: &str, status: &Value) -> Arc<CachedImage> {
    let mut object = json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "CachedImage",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"subscriptionRef": {"name": "list"}, "identifier": name},
        "status": {
            "conditions": [condition("Ready", "True", "Succeeded", "")],
            "image": {
                "version": "1", "title": title, "os": title, "osVersion": title, "arch": "x86_64", "hypervisor": title,
                "uri": "javascript:alert(1)", "listVersion": title, "created": later(-48), "expires": later(1000),
                "wantedSince": later(-48),
            },
            "artifact": {
                "version": "1", "sha512": "00", "size": 1, "format": "raw", "path": title, "lastVerifiedTime": later(-1),
            },
        },
    });
    for (field, value) in status.as_object().unwrap() {
        object["status"][field] = value.clone();
    }
    Arc::new(serde_json::from_value(object).unwrap())
}

fn subscription(status: &Value) -> Arc<ImageListSubscription> {
    let object = json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "ImageListSubscription",
        "metadata": {"name": "list", "namespace": "default"},
        "spec": {"source": {"url": "https://user:secret@example.org/list?token=secret"},
                 "verify": {"endorserRefs": [{"name": "one"}]}},
        "status": status,
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

fn endorser(text: &str) -> Arc<Endorser> {
    let object = json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "Endorser", "metadata": {"name": "one", "namespace": "default"},
        "spec": {"description": text, "credentials": [{"name": "a", "x509": {"subject": text, "issuer": text}}]},
        "status": {
            "conditions": [condition("Ready", "True", "Succeeded", text),
                           condition("CredentialExpiring", "True", "CredentialExpiring", text)],
            "credentials": [{"name": "a", "subject": text, "issuer": text, "notAfter": later(24)}],
        },
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

fn target(text: &str) -> Arc<CloudTarget> {
    let object = json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "CloudTarget", "metadata": {"name": "one", "namespace": "default"},
        "spec": {"type": "OpenNebula", "openNebula": {
            "endpoint": "https://user:secret@cloud.example.org/RPC2", "secretRef": {"name": "s"}, "datastore": 1,
            "handOver": {"type": "Path", "path": {"prefix": "/volume"}}}},
        "status": {"conditions": [condition("Ready", "False", "LoginFailed", text)], "serverVersion": text},
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

fn list_status(text: &str, expires: i64) -> Value {
    json!({
        "conditions": [condition("Ready", "True", "Succeeded", text), condition("FetchFailed", "True", "ServerError", text)],
        "list": {
            "identifier": "l", "version": text, "digest": text, "created": later(-48), "expires": later(expires),
            "acceptedTime": later(-47), "title": text,
            "signers": [{"endorser": "one", "credential": text, "subject": text, "issuer": text}],
        },
        "candidate": {"digest": text, "reason": "SignerNotEndorsed", "message": text},
        "images": {"listed": 9, "selected": 9, "ready": 1, "late": 2, "failed": 0, "kept": 0, "refused": 0, "missing": 0},
        "notes": [{"identifier": text, "reason": "ImageMalformed", "message": text}],
    })
}

fn work(text: &str) -> ProgressPage {
    let running = vec![RunningWork {
        event: EventType::Convert,
        namespace: "default".to_owned(),
        name: "i0".to_owned(),
        target: Some(text.to_owned()),
        title: Some(text.to_owned()),
        version: Some(text.to_owned()),
        reason: None,
        message: Some(text.to_owned()),
        done: Some(1),
        total: Some(2),
        bytes_per_second: None,
    }];
    ProgressPage { queued: 0, left_out: 0, running }
}

fn everything(text: &str) -> Objects {
    let broken = json!({"failures": 3, "conditions": [condition("Ready", "False", "DownloadFailed", text)]});
    Objects {
        endorsers: vec![endorser(text)],
        subscriptions: vec![subscription(&list_status(text, 24))],
        images: vec![image("i0", text, &json!({})), image("i1", text, &broken)],
        targets: vec![target(text)],
        problems: vec![text.to_owned()],
    }
}

/// The page of the first image.
fn image_page(objects: &Objects, text: &str) -> String {
    let object = objects.images[1].clone();
    let parts = Parts { object, subscription: None, list: None, entries: Entries::default(), progress: work(text) };
    ImagePage::of(&request(), &parts).render().unwrap()
}

fn subscription_page(objects: &Objects, text: &str) -> String {
    let (object, checked) = (objects.subscriptions[0].clone(), Arc::new(Err(text.to_owned())));
    let parts = subscription::Parts { object, lists: Vec::new(), more_lists: 0, checked };
    SubscriptionPage::of(&request(), &parts).render().unwrap()
}

#[test]
fn no_text_becomes_markup_on_any_page() {
    let (objects, work) = (everything(HOSTILE), work(HOSTILE));
    let event = Event {
        reason: Some(HOSTILE.to_owned()),
        message: Some(HOSTILE.to_owned()),
        target: Some(HOSTILE.to_owned()),
        ..Event::new(uuid::Uuid::nil(), EventType::Publish, Phase::After)
    };
    let filter = Filter::of(&Query::read(b"q=%3Cscript%3Ealert(1)"));
    let pages = [
        Overview::of(&request(), &objects, &work, Some(1)).render(),
        Images::of(&request(), &objects, &work, Filter::of(&Query::default())).render(),
        Images::of(&request(), &objects, &work, filter).render(),
        Subscriptions::of(&request(), &objects).render(),
        Endorsers::of(&request(), &objects).render(),
        Clouds::of(&request(), &objects).render(),
        Events::of(&request(), true, &[(7, event)]).render(),
        Ok(image_page(&objects, HOSTILE)),
        Ok(subscription_page(&objects, HOSTILE)),
    ];
    for page in pages {
        let page = page.unwrap();
        for markup in ["<script>", "<img", "\u{202e}", "href=\"javascript", "secret", "\"'&<"] {
            assert!(!page.contains(markup), "{markup:?}: {page}");
        }
        assert!(page.contains("script&#62;alert(1)") || page.contains("0 images"), "{page}");
    }
}

#[test]
fn what_is_wrong_comes_first() {
    let mut objects = everything("x");
    objects.images.push(image("late", "y", &json!({"artifact": null})));
    objects.images.push(image("soon", "z", &json!({})));
    let page = Overview::of(&request(), &objects, &ProgressPage::default(), None).render().unwrap();
    let attention = page.split("id=\"attention\"").nth(1).unwrap();
    let badges: Vec<&str> =
        attention.split("class=\"badge ").skip(1).filter_map(|rest| rest.split(['>', '<']).nth(1)).collect();
    let expected = ["failing", "failing", "failing", "refused", "late", "late", "expiring", "expiring"];
    assert_eq!(badges, expected, "{page}");
    assert!(page.contains("<strong>4</strong> Images</a> <span>2 good</span>"), "{page}");
    let good = Objects { images: vec![image("i0", "x", &json!({}))], ..Objects::default() };
    let page = Overview::of(&request(), &good, &ProgressPage::default(), None).render().unwrap();
    assert!(page.contains("Nothing is failing, refused, late, or about to expire."), "{page}");
}

#[test]
fn the_state_of_an_image_is_what_a_person_should_do_about_it() {
    let of = |status: &Value| health::state(&health::of_image(&image("a", "t", status), now()));
    let ready = |status: &str, reason: &str| json!([condition("Ready", status, reason, "")]);
    assert_eq!(of(&json!({})), State::Good);
    assert_eq!(of(&json!({"conditions": ready("False", "NoSpace")})), State::Failing);
    assert_eq!(of(&json!({"conditions": ready("False", "Downloading")})), State::Waiting);
    assert_eq!(of(&json!({"failures": 1, "conditions": ready("False", "Downloading")})), State::Failing);
    assert_eq!(of(&json!({"conditions": ready("False", "Suspended")})), State::Suspended);
    assert_eq!(of(&json!({"conditions": ready("Unknown", "ListNotReady")})), State::Waiting);
    assert_eq!(of(&json!({"conditions": []})), State::Waiting);
    assert_eq!(of(&json!({"artifact": null})), State::Late);
    let out = json!([condition("Ready", "False", "NotInList", ""), condition("Endorsed", "False", "NotInList", "")]);
    assert_eq!(of(&json!({"artifact": null, "conditions": out})), State::Out);
    let progress = json!({"step": "Download", "bytes": 1, "totalBytes": 2, "percent": "50%", "bytesPerSecond": 1});
    assert_eq!(of(&json!({"conditions": ready("False", "Downloading"), "progress": progress})), State::Working);
}

#[test]
fn ten_thousand_images_are_searched_and_shown_in_pages() {
    let images = (0..10_000).map(|number| image(&format!("i{number}"), &format!("Title {number}"), &json!({})));
    let objects = Objects { images: images.collect(), ..Objects::default() };
    let page = |query: &str| {
        let filter = Filter::of(&Query::read(query.as_bytes()));
        Images::of(&request(), &objects, &ProgressPage::default(), filter).render().unwrap()
    };
    let first = page("");
    assert!(first.contains("10000 images") && first.contains("Page 1 of 100"), "{first}");
    assert_eq!(first.matches("href=\"/images/default/").count(), 100);
    assert!(first.contains("rel=\"next\"") && !first.contains("rel=\"prev\""));
    let last = page("page=100");
    assert!(last.contains("Page 100 of 100") && !last.contains("rel=\"next\""), "{last}");
    assert!(page("page=99999999999999999999").contains("Page 1 of 100"), "a number that is none");
    assert!(page("page=101").contains("Page 100 of 100"));
    assert!(page("q=TITLE+9999").contains("1 image<"));
    assert!(page("q=list&state=good&namespace=default&page=2").contains("state=good&#38;namespace=default&#38;page=3"));
    assert!(page("state=late").contains("0 images"));
    assert!(page("namespace=other").contains("0 images"));
}
