//! Proxies of the environment: used, named where they stand in the way, and never shown with their password. Each test
//! runs a process of its own, since the environment is a process'.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Output};

use harness::image_server::{ImageServer, Resource};

/// Downloads `url` in a process with these variables and no others that name proxies.
fn download(url: &str, image: &Resource, variables: &[(&str, String)]) -> (tempfile::TempDir, Output) {
    let volume = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_download"));
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    command.arg(volume.path()).arg(url).arg(image.sha512()).arg(image.size().to_string());
    let output = command.envs(variables.iter().cloned()).output().unwrap();
    (volume, output)
}

/// What a download that fails says.
fn refusal(url: &str, variables: &[(&str, String)]) -> String {
    let (_volume, output) = download(url, &Resource::bytes("an image"), variables);
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!told.contains("s3cret"), "{told}");
    told
}

#[test]
fn proxies_are_those_of_the_environment() {
    let proxy = ImageServer::start();
    let image = Resource::bytes("an image");
    let url = "http://images.example.invalid/a.img";
    proxy.put(url, image.clone());
    let address = format!("http://{}", proxy.address());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let before = proxy.all_requests().len();
        let (_volume, output) = download(url, &image, &[(name, address.clone())]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(proxy.all_requests().len(), before + 1, "{name}");
    }
    // An image of this machine is fetched without the proxy where NO_PROXY says so.
    let server = ImageServer::start();
    server.put("/a.img", image.clone());
    let before = proxy.all_requests().len();
    for name in ["no_proxy", "NO_PROXY"] {
        let variables = [("http_proxy", address.clone()), (name, "example.org, 127.0.0.0/8".to_owned())];
        let (_volume, output) = download(&server.url("/a.img"), &image, &variables);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(proxy.all_requests().len(), before);
}

#[test]
fn a_proxy_that_wants_to_know_who_asks_is_named_and_the_source_is_not_blamed() {
    let proxy = ImageServer::start();
    let wants = Resource::status(407)
        .header("Proxy-Authenticate", "Negotiate")
        .header("Proxy-Authenticate", "Basic realm=\"p\"");
    proxy.put("http://images.example.invalid/a.img", wants.clone());
    proxy.put("images.example.invalid:443", wants);
    let bare = format!("http://{}", proxy.address());
    let named = format!("http://site:s3cret@{}", proxy.address());
    for (scheme, variable) in [("http", "http_proxy"), ("https", "https_proxy")] {
        let url = format!("{scheme}://images.example.invalid/a.img");
        let told = refusal(&url, &[(variable, bare.clone())]);
        let expected = format!(
            "{url}: the proxy {bare} wants user and password, and its variable has none (it asks for Negotiate, Basic; \
             Negotiate is not spoken here)"
        );
        assert!(told.contains(&expected), "{told}");
        let told = refusal(&url, &[(variable, named.clone())]);
        assert!(
            told.contains(&format!("the proxy {bare} refused the user and password that its variable has")),
            "{told}"
        );
    }
    let sent = proxy.all_requests();
    assert!(sent.iter().any(|request| request.headers.contains_key("proxy-authorization")), "{sent:?}");
}

#[test]
fn a_tunnel_that_is_refused_names_the_proxy_and_its_answer() {
    let proxy = ImageServer::start();
    let address = format!("http://{}", proxy.address());
    let url = "https://images.example.invalid/a.img";
    for (status, words) in [(403, "403 Forbidden"), (503, "503 Service Unavailable")] {
        proxy.put("images.example.invalid:443", Resource::status(status));
        let told = refusal(url, &[("HTTPS_PROXY", address.replace("http://", "http://site:s3cret@"))]);
        let expected = format!("{url}: the proxy {address} let no connection through: it answered {words} to CONNECT");
        assert!(told.contains(&expected), "{told}");
    }
    let requests = proxy.all_requests();
    assert!(requests.iter().all(|request| request.method == "CONNECT"), "{requests:?}");
    // Over http there is no tunnel: the answer may be the proxy's or the server's, so it says which way it came.
    proxy.put("http://images.example.invalid/a.img", Resource::status(502).header("Content-Type", "text/html"));
    let told = refusal("http://images.example.invalid/a.img", &[("http_proxy", address.clone())]);
    assert!(
        told.contains(&format!("502 Bad Gateway; the answer is text/html, came through the proxy {address}")),
        "{told}"
    );
    drop(proxy);
    let told = refusal(url, &[("https_proxy", address.clone())]);
    assert!(told.contains(&format!("(through the proxy {address})")), "{told}");
}

#[test]
fn a_variable_that_names_no_proxy_is_told_and_nothing_goes_around_it() {
    let server = ImageServer::start();
    server.put("/a.img", Resource::bytes("an image"));
    for (name, value) in [("http_proxy", "ftp://site:s3cret@proxy:21"), ("ALL_PROXY", "socks6://proxy")] {
        let told = refusal(&server.url("/a.img"), &[(name, value.to_owned())]);
        assert!(told.contains(&format!("{name}: expected a proxy's address")), "{told}");
    }
    assert!(server.all_requests().is_empty());
}

/// A SOCKS 5 server (RFC 1928) that connects to `to`, wherever it is asked to. `log_in`: user and password (RFC 1929).
fn socks(to: std::net::SocketAddr, log_in: Option<(&'static str, &'static str)>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || speak_socks(stream, to, log_in));
        }
    });
    address
}

fn speak_socks(mut stream: TcpStream, to: std::net::SocketAddr, log_in: Option<(&str, &str)>) -> Option<()> {
    let mut read = |count: usize| {
        let mut bytes = vec![0; count];
        stream.read_exact(&mut bytes).ok().map(|()| (bytes, stream.try_clone().unwrap()))
    };
    let (hello, mut answer) = read(2)?;
    let methods = read(usize::from(hello[1]))?.0;
    let wanted = if log_in.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        return answer.write_all(&[5, 0xff]).ok();
    }
    answer.write_all(&[5, wanted]).ok()?;
    if let Some((user, password)) = log_in {
        let length = usize::from(read(2)?.0[1]);
        let given = read(length)?.0;
        let length = usize::from(read(1)?.0[0]);
        let good = given == user.as_bytes() && read(length)?.0 == password.as_bytes();
        answer.write_all(&[1, u8::from(!good)]).ok()?;
        good.then_some(())?;
    }
    let kind = read(4)?.0[3];
    let length = match kind {
        1 => 4,
        4 => 16,
        _ => usize::from(read(1)?.0[0]),
    };
    read(length + 2)?;
    let Ok(mut server) = TcpStream::connect(to) else {
        return answer.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).ok();
    };
    answer.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    let (mut from_client, mut to_server) = (stream, server.try_clone().ok()?);
    std::thread::spawn(move || {
        let _copied = std::io::copy(&mut from_client, &mut to_server);
        to_server.shutdown(Shutdown::Write)
    });
    let _copied = std::io::copy(&mut server, &mut answer);
    answer.shutdown(Shutdown::Both).ok()
}

#[test]
fn socks_is_spoken_where_a_variable_says_so() {
    let server = ImageServer::start();
    let image = Resource::bytes("an image");
    server.put("/a.img", image.clone());
    // The name is looked up by the proxy (socks5h), so only the proxy reaches it.
    let url = "http://images.example.invalid/a.img";
    let open = socks(server.address(), None);
    let (_volume, output) = download(url, &image, &[("all_proxy", format!("socks5h://{open}"))]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.requests("/a.img")[0].headers["host"], "images.example.invalid");
    let guarded = socks(server.address(), Some(("site", "s3cret")));
    let (_volume, output) = download(url, &image, &[("all_proxy", format!("socks5h://site:s3cret@{guarded}"))]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for log_in in ["", "site:wrong-s3cret@"] {
        let told = refusal(url, &[("all_proxy", format!("socks5h://{log_in}{guarded}"))]);
        assert!(
            told.contains(&format!("the proxy socks5h://{guarded} ")) && told.contains("user and password"),
            "{told}"
        );
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = socks(closed, None);
    let told = refusal(url, &[("all_proxy", format!("socks5h://{nowhere}"))]);
    assert!(
        told.contains(&format!("the proxy socks5h://{nowhere} let no connection through: connection refused")),
        "{told}"
    );
}
