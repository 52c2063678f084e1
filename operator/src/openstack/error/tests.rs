use super::*;

fn refusal(status: u16, text: &str) -> OpenStackError {
    let endpoint = "http://glance.example.org".to_owned();
    OpenStackError::from_refusal(Refusal { call: "DELETE /v2/images/{id}", endpoint, status, text: text.to_owned() })
}

#[test]
fn refusals_are_sorted_by_status_and_words() {
    let cases = [
        (400, "Malformed JSON in request body.", Reason::ImportFailed, Class::Stalled),
        (401, "This server could not verify", Reason::NotAuthorized, Class::Transient),
        (402, "?", Reason::ImportFailed, Class::Transient),
        (403, "You are not authorized to complete add_image action.", Reason::NotAuthorized, Class::Stalled),
        (404, "No image found with ID x", Reason::Importing, Class::Transient),
        (409, "Image ID x already exists!", Reason::Importing, Class::Waiting),
        (
            409,
            "Image x could not be deleted because it is in use: The image cannot be deleted because it has snapshot(s).",
            Reason::Importing,
            Class::Waiting,
        ),
        (410, "Image x not found", Reason::Importing, Class::Transient),
        (413, "Project x is over a limit for [..]", Reason::QuotaExceeded, Class::Stalled),
        (415, "Image disk_format qcow2 does not match stream data raw", Reason::ImportFailed, Class::Stalled),
        (429, "Too many requests", Reason::ImportFailed, Class::Transient),
        (503, "No server is available", Reason::CloudUnreachable, Class::Transient),
    ];
    for (status, text, reason, class) in cases {
        let error = refusal(status, text);
        assert_eq!((error.reason(), error.class()), (reason, class), "{error}");
        let shown = error.to_string();
        let expected = format!("DELETE /v2/images/{{id}}: http://glance.example.org answered {status}: {text}");
        assert!(shown.ends_with(&expected), "{shown}");
        assert_eq!(error.may_be_done(), status == 503, "{status}");
        assert_eq!(error.ends_the_pass(), status == 401, "{status}");
    }
}

#[test]
fn what_was_cut_may_be_done() {
    let (call, endpoint) = ("POST /v2/images", "http://glance.example.org".to_owned());
    let cut = OpenStackError::Unreachable { call, endpoint: endpoint.clone(), message: "reset".to_owned() };
    assert!(cut.may_be_done() && cut.ends_the_pass());
    let late = OpenStackError::TimedOut { call, endpoint, after: Duration::from_millis(200) };
    assert!(late.may_be_done() && !late.ends_the_pass());
    assert!(late.to_string().contains("within 200 ms"), "{late}");
    let stopped = OpenStackError::NotLeading { call };
    assert!(!stopped.may_be_done() && stopped.ends_the_pass());
}
