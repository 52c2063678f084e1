//! Who may read the pages.

use std::fs;

use harness::patience::until;
use harness::site::Site;

use super::Pages;
use crate::reconcile::process::{operator, text};

const TOKEN: &str = "a-token-of-this-test";

/// An operator whose pages need a token, and the file of the token.
fn with_token() -> (Pages, std::path::PathBuf) {
    let site = Site::new();
    let file = site.path("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    (Pages::start(site, &["--pages-token-file", file.to_str().unwrap()]), file)
}

#[test]
fn an_open_address_without_a_guard_is_refused_at_once() {
    let site = Site::new();
    let file = site.path("token");
    fs::write(&file, "short").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, expected) in [
        (&["--pages", "0.0.0.0:0"][..], "0.0.0.0:0, which others can reach"),
        (&["--pages", "[::]:0"], "--pages-token-file FILE, or --pages-behind-proxy"),
        (&["--pages", "127.0.0.1:0", "--pages-token-file", file], "16 to 1024 characters, found 5"),
        (&["--pages", "127.0.0.1:0", "--pages-token-file", "/none"], "expected a readable token file, found /none"),
        (&["--pages-behind-proxy"], "--pages <ADDRESS>"),
        (&["--pages", "[::]:0", "--pages-behind-proxy", "--pages-token-file", file], "cannot be used with"),
    ] {
        let output = operator(&site, arguments).output().unwrap();
        let told = text(&output);
        assert!(output.status.code() == Some(2) && told.contains(expected), "{arguments:?}: {told}");
        assert!(!site.path("volume").exists(), "{arguments:?}: nothing is begun");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_another_site_that_points_here_sees_nothing() {
    let pages = Pages::start(Site::new(), &[]);
    for (host, status) in [("localhost", 200), ("localhost:1", 200), ("evil.example", 421), ("192.0.2.1", 421)] {
        let response = pages.client.get(&pages.base).header("Host", host).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host}");
        let text = response.text().await.unwrap();
        assert!(status == 200 || text.starts_with("expected localhost or a loopback address"), "{text}");
    }
    let login = pages.get("/login").await;
    assert_eq!((login.status().as_u16(), &login.headers()["location"]), (303, &"/".parse().unwrap()));
    pages.end();
    let behind_proxy = Pages::start(Site::new(), &["--pages-behind-proxy"]);
    let response = behind_proxy.client.get(&behind_proxy.base).header("Host", "pages.example").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    behind_proxy.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_there_is_only_the_form() {
    let (pages, _) = with_token();
    for path in ["/", "/images?q=a", "/subscriptions", "/live", "/images/default/a/00/download", "/none"] {
        let response = pages.get(path).await;
        assert_eq!(response.status().as_u16(), 401, "{path}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"vmcatcher\"");
        let form = response.text().await.unwrap();
        assert!(form.contains("type=\"password\"") && !form.contains(TOKEN), "{form}");
    }
    assert_eq!(pages.get("/static/pages.css").await.status().as_u16(), 200);
    let bearer = |token: &str| pages.client.get(format!("{}/images", pages.base)).bearer_auth(token).send();
    assert_eq!(bearer(TOKEN).await.unwrap().status().as_u16(), 200);
    assert_eq!(bearer("a-token-of-this-tesT").await.unwrap().status().as_u16(), 401);
    pages.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_lasts_until_the_logout_and_leads_to_this_server() {
    let (pages, _) = with_token();
    let log_in = async |token: &str, next: &str| {
        let form = format!("token={token}&next={next}");
        pages.client.post(format!("{}/login", pages.base)).body(form).send().await.unwrap()
    };
    let wrong = log_in("another-token-here", "/images").await;
    assert!(wrong.status().as_u16() == 401 && wrong.headers().get("set-cookie").is_none());
    assert!(wrong.text().await.unwrap().contains("This is not the token"));
    let elsewhere = log_in(TOKEN, "%2F%2Fevil.example").await;
    assert_eq!((elsewhere.status().as_u16(), &elsewhere.headers()["location"]), (303, &"/".parse().unwrap()));
    let right = log_in(TOKEN, "%2Fimages").await;
    assert_eq!((right.status().as_u16(), &right.headers()["location"]), (303, &"/images".parse().unwrap()));
    let cookie = right.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains(TOKEN), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let get = |cookie: &str| pages.client.get(format!("{}/images", pages.base)).header("Cookie", cookie).send();
    let page = get(&cookie).await.unwrap();
    assert_eq!(page.status().as_u16(), 200);
    assert!(page.text().await.unwrap().contains("Log out"));
    assert_eq!(get(&cookie.replace('-', "-0")).await.unwrap().status().as_u16(), 401);
    let out = pages.client.post(format!("{}/logout", pages.base)).header("Cookie", &cookie).send().await.unwrap();
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let large = log_in(TOKEN, &"x".repeat(20_000)).await;
    assert_eq!(large.status().as_u16(), 400);
    pages.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_token_in_the_file_is_the_token_from_then_on() {
    let (pages, file) = with_token();
    fs::write(file, "another-token-of-this-test").unwrap();
    let status = async |token: &str| {
        let url = format!("{}/images", pages.base);
        pages.client.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    until("the other token is taken", async || status("another-token-of-this-test").await == 200).await;
    assert_eq!(status(TOKEN).await, 401);
    pages.end();
}
