//! Calls: what is sent, pages, limits, and the permit.

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;
use vmcatcher_operator::cloud::LeadershipGuard;
use vmcatcher_operator::openstack::glance::{Change, ImageFilter, NewImage, Value};
use vmcatcher_operator::openstack::{Client, DiskFormat, MemberStatus, OpenStackError, Visibility};

use super::server::{Act, ID, Server, http, image};

fn id() -> Uuid {
    ID.parse().unwrap()
}

fn new_image() -> NewImage {
    NewImage {
        id: id(),
        name: "x".to_owned(),
        disk_format: DiskFormat::Qcow2,
        visibility: Visibility::Private,
        os_hidden: true,
        protected: false,
        tags: ["vmcatcher".to_owned()].into(),
        min_disk: 0,
        min_ram: 0,
        properties: [("os_distro".to_owned(), "ubuntu".to_owned())].into(),
    }
}

/// All calls that change something, by their results.
async fn change_everything(client: &Client) -> Vec<Result<(), OpenStackError>> {
    let file = tokio::fs::File::from_std(tempfile::tempfile().unwrap());
    let change = [Change::Add { name: "a/b".to_owned(), value: Value::Text("c".to_owned()) }];
    vec![
        client.create(&new_image()).await.map(|_| ()),
        client.upload(id(), file, 1, Arc::default()).await,
        client.import(id(), &"https://o.example.org/i?ticket=t".parse().unwrap()).await,
        client.patch(id(), &change).await.map(|_| ()),
        client.add_member(id(), "p1").await,
        client.remove_member(id(), "p1").await,
        client.set_member_status(id(), "p1", MemberStatus::Accepted).await,
        client.deactivate(id()).await,
        client.reactivate(id()).await,
        client.delete(id()).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_valid_permit_nothing_is_sent_that_changes_the_cloud() {
    let server = Server::start(|_| Act::Answer(http("200 OK", &image(ID).to_string())));
    let permit = LeadershipGuard::to_extend();
    let client = server.client().with_permit(permit.clone());
    for result in change_everything(&client).await {
        assert!(matches!(result, Err(OpenStackError::NotLeading { .. })), "{result:?}");
    }
    assert_eq!(server.calls().len(), 0);
    client.image(id()).await.unwrap();
    permit.extend(Instant::now() + Duration::from_mins(1));
    client.delete(id()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_sent_as_the_reference_says() {
    let server = Server::start(|_| Act::Answer(http("200 OK", &image(ID).to_string())));
    let results = change_everything(&server.client()).await;
    let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(matches!(failed[..], [OpenStackError::File { .. }]), "only the empty file: {failed:?}");
    let sent: Vec<String> = server
        .calls()
        .iter()
        .filter(|call| !call.line().starts_with("PUT /image/v2/images/11111111-2222-4333-8444-555555555555/file"))
        .map(|call| format!("{} {}", call.line().replace(ID, "ID"), String::from_utf8_lossy(&call.body)))
        .collect();
    let expected = [
        r#"POST /image/v2/images {"os_distro":"ubuntu","id":"11111111-2222-4333-8444-555555555555","name":"x","disk_format":"qcow2","container_format":"bare","visibility":"private","os_hidden":true,"protected":false,"tags":["vmcatcher"],"min_disk":0,"min_ram":0}"#,
        r#"POST /image/v2/images/ID/import {"method":{"name":"web-download","uri":"https://o.example.org/i?ticket=t"}}"#,
        r#"PATCH /image/v2/images/ID [{"op":"add","path":"/a~1b","value":"c"}]"#,
        r#"POST /image/v2/images/ID/members {"member":"p1"}"#,
        "DELETE /image/v2/images/ID/members/p1 ",
        r#"PUT /image/v2/images/ID/members/p1 {"status":"accepted"}"#,
        "POST /image/v2/images/ID/actions/deactivate ",
        "POST /image/v2/images/ID/actions/reactivate ",
        "DELETE /image/v2/images/ID ",
    ];
    assert_eq!(sent, expected);
    let patch = server.calls().into_iter().find(|call| call.line().starts_with("PATCH")).unwrap();
    assert_eq!(patch.header("content-type"), Some("application/openstack-images-v2.1-json-patch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_tried_again_and_a_write_is_not() {
    let tries = AtomicUsize::new(0);
    let server = Server::start(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        1 => Act::Answer(http("200 OK", &image(ID).to_string())),
        _ => Act::Close(0),
    });
    let client = server.client();
    client.image(id()).await.unwrap();
    let error = client.delete(id()).await.unwrap_err();
    assert!(matches!(error, OpenStackError::Unreachable { .. }) && error.may_be_done(), "{error:?}");
    assert_eq!(server.calls().len(), 3);
}

fn page(ids: &[&str], next: &str) -> Act {
    let images: Vec<_> = ids.iter().map(|id| image(id)).collect();
    Act::Answer(http("200 OK", &json!({"images": images, "next": next}).to_string()))
}

const OTHER: &str = "99999999-0000-4000-8000-000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_read_to_the_end_and_anew_if_the_last_image_is_deleted_meanwhile() {
    let tries = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        match (request.line().contains("marker="), tries.fetch_add(1, Ordering::SeqCst)) {
            (false, _) => page(&[ID], &format!("/v2/images?limit=1&marker={ID}")),
            (true, 1) => {
                Act::Answer(http("400 Bad Request", &format!("400 Bad Request\n\nNo image found with ID {ID}")))
            }
            (true, _) => Act::Answer(http("200 OK", &json!({"images": [image(OTHER), {"id": OTHER}]}).to_string())),
        }
    });
    let filter = ImageFilter { os_hidden: Some(true), limit: Some(1), ..ImageFilter::default() };
    let listing = server.client().images(&filter).await.unwrap();
    assert_eq!(listing.images.iter().map(|image| image.id.to_string()).collect::<Vec<_>>(), [ID, OTHER]);
    assert_eq!((listing.unreadable.len(), listing.calls), (1, 4));
    let lines: Vec<String> = server.calls().iter().map(|call| call.line().to_owned()).collect();
    let first = "GET /image/v2/images?os_hidden=true&sort=created_at%3Aasc%2Cid%3Aasc&limit=1";
    let second = first.replace("&sort", &format!("&marker={ID}&sort"));
    assert_eq!(lines, [first, &second, first, &second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_neither_to_another_server_nor_in_a_circle() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let next = format!("http://{}/v2/images?marker={ID}", elsewhere.local_addr().unwrap());
    let cases = [(next, "on another server", 1), (format!("/v2/images?marker={ID}"), "pages in a circle", 2)];
    for (next, expected, calls) in cases {
        let server = Server::start(move |_| page(&[ID], &next));
        let error = server.client().images(&ImageFilter::default()).await.unwrap_err();
        assert!(matches!(error, OpenStackError::NotOpenStack { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(server.calls().len(), calls);
    }
    assert!(elsewhere.accept().is_err(), "the other server was not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_bounded_and_all_pages_together_too() {
    for head in ["Content-Length: 100000000\r\n", ""] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n{}", "x".repeat(200_000)).into_bytes();
        let server = Server::start(move |_| Act::Answer(answer.clone()));
        let mut connection = server.connection();
        connection.answer_limit = 100_000;
        let error = Client::new(connection).unwrap().image(id()).await.unwrap_err();
        assert!(matches!(error, OpenStackError::TooLarge { limit: 100_000, .. }), "{error:?}");
    }
    let server = Server::start(|request| {
        let number = request.line().split("marker=").nth(1).map_or(0, |marker| marker[..8].parse::<u32>().unwrap());
        let marker = format!("{:08}-0000-4000-8000-000000000000", number + 1);
        page(&[&marker], &format!("/v2/images?marker={marker}"))
    });
    let mut connection = server.connection();
    connection.answer_limit = 20_000;
    let error = Client::new(connection).unwrap().images(&ImageFilter::default()).await.unwrap_err();
    assert!(matches!(error, OpenStackError::TooLarge { limit: 20_000, .. }), "{error:?}");
    let server = Server::start(|_| {
        Act::Answer(format!("HTTP/1.1 403 Forbidden\r\n\r\n403 Forbidden\n\n{}", "no ".repeat(1_000_000)).into_bytes())
    });
    let error = server.client().image(id()).await.unwrap_err();
    assert!(matches!(error, OpenStackError::Forbidden(_)) && error.to_string().len() < 500, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come_ends_in_its_time() {
    let cases = [Act::Hold(0), Act::EarlyOpen(0, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{".to_vec())];
    for act in cases {
        let act = std::sync::Mutex::new(Some(act));
        let server = Server::start(move |_| act.lock().unwrap().take().unwrap());
        let mut connection = server.connection();
        connection.timeouts.call = Duration::from_millis(500);
        let error = Client::new(connection).unwrap().image(id()).await.unwrap_err();
        assert!(matches!(error, OpenStackError::TimedOut { .. }), "{error:?}");
        assert!(error.to_string().contains("within 500 ms"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_glance_is_named() {
    let cases = [
        (http("200 OK", "<html>welcome</html>"), "expected JSON from http://127.0.0.1"),
        (http("302 Found", ""), "expected a status of success or of an error"),
        (http("200 OK", &image(OTHER).to_string()), "found image 99999999-0000-4000-8000-000000000000"),
        (http("200 OK", "[]"), "found image without an id: expected an object, found a list"),
    ];
    for (answer, expected) in cases {
        let server = Server::start(move |_| Act::Answer(answer.clone()));
        let error = server.client().image(id()).await.unwrap_err();
        assert!(matches!(error, OpenStackError::NotOpenStack { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_does_not_repeat_its_signed_address_in_a_message() {
    let server = Server::start(|_| {
        let words = "URI for web-download does not pass filtering: https://o.example.org/images/ticket-1?s=2";
        Act::Answer(http("400 Bad Request", words))
    });
    let uri = "https://o.example.org/images/ticket-1?s=2".parse().unwrap();
    let error = server.client().import(id(), &uri).await.unwrap_err();
    assert!(error.to_string().ends_with("filtering: https://o.example.org(hidden)"), "{error}");
}

/// The proxy of this process's environment: run by the test after it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run in a process of its own by calls_go_through_the_proxy_of_the_environment"]
async fn log_in_through_the_proxy() {
    let server = Server::start(|_| Act::Answer(http("200 OK", &image(ID).to_string())));
    let mut connection = server.connection();
    connection.auth_url = "http://keystone.example.invalid:5000/v3".parse().unwrap();
    let error = Client::new(connection).unwrap().session().await.unwrap_err();
    assert!(error.to_string().contains("answered 503: the proxy was here"), "{error}");
}

#[test]
fn calls_go_through_the_proxy_of_the_environment() {
    let proxy = Server::with_keystone(|_| http("503 Service Unavailable", "the proxy was here"), |_| Act::Close(0));
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    command.args(["--exact", "--ignored", "openstack::client::calls::log_in_through_the_proxy"]);
    let output = command.env("http_proxy", format!("http://{}", proxy.address)).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    let lines: Vec<String> = proxy.requests().iter().map(|request| request.line().to_owned()).collect();
    assert_eq!(lines, ["POST http://keystone.example.invalid:5000/v3/auth/tokens"]);
}
