//! A list of as many images as any has, and a selection that asks for what is not in it: a status tells the first few.

use harness::site::Site;

/// What an API server takes of one object is some 1.5 MB; a status is far below that.
const LARGEST_STATUS: usize = 64 * 1024;

#[tokio::test]
async fn the_status_of_a_list_of_50_000_images_is_small() {
    let mut site = Site::new();
    site.list_limit = 64 << 20;
    let missing: Vec<String> = (0..1000).map(|number| format!("{number:04}-{}", "x".repeat(123))).collect();
    let missing = format!("images: {{include: {{identifiers: [{}]}}}}", missing.join(", "));
    site.subscribe_to("vo", &site.server.url("/image.list"), &missing);
    site.publish(&site.list("1.0", &[]).images(50_000));
    let run = site.run().await;
    let status = run.subscription("vo");
    assert_eq!(run.list_condition("Ready"), "True Succeeded", "{:?}", status.conditions);
    let counts = status.images.clone().unwrap();
    assert_eq!((counts.listed, counts.selected, counts.missing), (50_000, 0, 1000));
    assert_eq!(status.notes.len(), 20);
    let bytes = serde_json::to_vec(&status).unwrap().len();
    assert!(bytes < LARGEST_STATUS, "{bytes}");
}
