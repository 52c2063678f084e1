use proptest::prelude::*;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::json;

use super::*;
use crate::openstack::credentials::Credentials;

/// Shortened from the recorded exchange 003.
fn recorded() -> Value {
    json!({"token": {
        "methods": ["application_credential"],
        "user": {"domain": {"id": "9e95", "name": "egi"}, "id": "1653", "name": "publisher"},
        "expires_at": "2026-11-29T06:48:21.000000Z", "issued_at": "2026-11-29T05:48:21.000000Z",
        "project": {"domain": {"id": "9e95", "name": "egi"}, "id": "532012dc", "name": "publisher"},
        "roles": [{"id": "4ad2", "name": "member"}, {"id": "f2dc", "name": "reader"}],
        "catalog": [{"type": "image", "name": "glance", "endpoints": [
            {"id": "3db7", "interface": "public", "region_id": "RegionOne", "url": "http://127.0.0.1:19292"}
        ]}]
    }})
}

fn connection() -> Connection {
    let credentials =
        Credentials::ApplicationCredentialId { id: "81cc".to_owned(), secret: "s3cret".to_owned().into() };
    Connection::new("http://k.example.org:5000/v3".parse().unwrap(), credentials)
}

fn read_answer(token: Option<&'static str>, body: Vec<u8>) -> Result<Session, OpenStackError> {
    let connection = connection();
    let call = Call { name: "POST /v3/auth/tokens", endpoint: &connection.auth_url };
    let headers = token.map(|token| ("x-subject-token".parse().unwrap(), HeaderValue::from_static(token)));
    let headers: HeaderMap = headers.into_iter().collect();
    Session::read(call, &Answer { status: StatusCode::CREATED, headers, body }, Instant::now(), &connection)
}

fn read(body: &Value) -> Result<Session, OpenStackError> {
    read_answer(Some("gAAA-token"), body.to_string().into_bytes())
}

#[tokio::test(start_paused = true)]
async fn a_session_has_what_keystone_says_and_lasts_by_both_clocks() {
    let session = read(&recorded()).unwrap();
    assert_eq!((session.project_id.as_str(), session.user_name.as_str()), ("532012dc", "publisher"));
    assert_eq!(session.roles, ["member", "reader"].map(str::to_owned).into());
    assert_eq!(session.image_endpoint.as_str(), "http://127.0.0.1:19292/");
    assert!(!format!("{session:?}").contains("gAAA"), "{session:?}");
    let after = |minutes| session.asked_at + Duration::from_mins(minutes);
    assert!(session.is_fresh(after(57)) && !session.is_fresh(after(58)) && !session.is_fresh(after(1000)));
    assert!(session.is_young(after(30)) && !session.is_young(after(31)));
    let mut short = recorded();
    short["token"]["expires_at"] = "2026-11-29T05:48:31Z".into();
    let session = read(&short).unwrap();
    let after = |milliseconds| session.asked_at + Duration::from_millis(milliseconds);
    assert!(session.is_fresh(after(8_900)) && !session.is_fresh(after(9_000)), "a tenth of ten seconds");
}

#[test]
fn what_is_no_session_is_named() {
    let with = |name: &str, value: Value| {
        let mut body = recorded();
        body["token"][name] = value;
        read(&body).unwrap_err()
    };
    let unscoped = with("project", Value::Null);
    assert!(matches!(unscoped, OpenStackError::NoProject { .. }), "{unscoped}");
    let nothing = with("catalog", Value::Null);
    let expected = "expected one image service with a public address in the catalogue of http://k.example.org:5000/v3, \
                    found no catalogue";
    assert_eq!(nothing.to_string(), expected);
    for (name, value, words) in [
        ("expires_at", json!("2026-11-29T05:48:21Z"), "expected a token that expires after it is issued"),
        ("expires_at", json!("never"), "found no expires_at"),
        ("issued_at", Value::Null, "found no issued_at"),
    ] {
        let error = with(name, value);
        assert!(matches!(error, OpenStackError::NotOpenStack { .. }) && error.to_string().contains(words), "{error}");
    }
    let body = recorded().to_string().into_bytes();
    let none = read_answer(None, body).unwrap_err();
    assert!(none.to_string().contains("expected a token in the header X-Subject-Token"), "{none}");
    assert!(read_answer(Some("t"), b"<html>".to_vec()).unwrap_err().to_string().contains("a body that is not"));
    assert!(read_answer(Some("t"), b"{}".to_vec()).unwrap_err().to_string().contains("an object without one"));
}

proptest! {
    #[test]
    fn nothing_panics(name in 0_usize..7, text in "(\\PC{0,10}|[0-9]{4}-11-29T05:48:2[0-9]Z|-?[0-9]{1,6}-01-01T00:00Z)") {
        let names = ["user", "expires_at", "issued_at", "project", "roles", "catalog", "methods"];
        let mut body = recorded();
        body["token"][names[name]] = text.into();
        let _ = read(&body);
    }
}
