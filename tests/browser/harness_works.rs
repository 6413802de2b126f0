//! The harness does what the other tests rely on, shown on a small page of its own.

use axum::{Router, http::header, response::Html, routing::get};
use fantoccini::key::Key;
use tokio::net::TcpListener;

use crate::harness::Wanted;

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>A page</title><link rel="stylesheet" href="/style.css"><script src="/script.js" defer></script></head>
<body><main>
<h1 id="heading">Without script</h1>
<noscript><p>No script runs.</p></noscript>
<form><label for="name">Name</label> <input id="name" name="name" value="old"> <button id="send" type="button">Send</button></form>
</main></body>
</html>"#;
const STYLE: &str = "
    body { background: #fff; color: #111; }
    @media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } }
    @media (max-width: 400px) { h1 { text-transform: uppercase; } }
";
const SCRIPT: &str = "
    const heading = document.getElementById('heading');
    heading.textContent = 'With script';
    document.getElementById('send').addEventListener('click', () => fetch('/later').then(r => r.text()).then((text) => {
        const p = document.createElement('p');
        p.id = 'later';
        p.textContent = text;
        heading.after(p);
    }));
";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'";

/// Serves the page under a strict policy until the test ends; returns its address.
async fn serve(page: &'static str) -> String {
    let policy = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    let router = Router::new()
        .route("/", get(move || async move { (policy, Html(page)) }))
        .route("/style.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], STYLE) }))
        .route("/script.js", get(|| async { ([(header::CONTENT_TYPE, "text/javascript")], SCRIPT) }))
        .route("/later", get(|| async { "It came later" }));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/")
}

#[tokio::test]
async fn scripts_run_and_what_they_do_can_be_waited_for() {
    let browser = Wanted::default().open().await;
    browser.goto(&serve(PAGE).await).await;
    browser.wait_until("document.getElementById('heading').textContent === 'With script'").await;
    browser.click("#send").await;
    assert_eq!(browser.text("#later").await, "It came later");
}

#[tokio::test]
async fn without_javascript_no_script_of_the_page_runs() {
    let browser = Wanted::default().without_javascript().open().await;
    browser.goto(&serve(PAGE).await).await;
    assert_eq!(browser.text("#heading").await, "Without script");
    assert_eq!(browser.text("noscript").await, "No script runs.");
}

#[tokio::test]
async fn colours_and_sizes_are_as_wanted() {
    let url = serve(PAGE).await;
    let colour = "getComputedStyle(document.body).backgroundColor";
    {
        let browser = Wanted::default().dark().size(360, 740).open().await;
        browser.goto(&url).await;
        assert_eq!(browser.value(colour).await, "rgb(17, 17, 17)");
        assert_eq!(browser.value("[innerWidth, innerHeight].join()").await, "360,740");
        assert_eq!(browser.text("#heading").await, "WITH SCRIPT");
        browser.resize(1600, 900).await;
        browser.wait_until("innerWidth === 1600").await;

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.png");
        browser.screenshot(&file).await;
        // The size stands in the header of a PNG file.
        let png = std::fs::read(file).unwrap();
        assert_eq!((&png[1..4], &png[16..20]), (b"PNG".as_slice(), 1600_u32.to_be_bytes().as_slice()));
    }
    let browser = Wanted::default().open().await;
    browser.goto(&url).await;
    assert_eq!(browser.value(colour).await, "rgb(255, 255, 255)");
}

#[tokio::test]
async fn the_keyboard_moves_the_focus_and_types() {
    let browser = Wanted::default().open().await;
    browser.goto(&serve(PAGE).await).await;
    assert_eq!(browser.focused().await, "body");
    browser.press_key(Key::Tab).await;
    assert_eq!(browser.focused().await, "name");
    browser.press_key(Key::Tab).await;
    assert_eq!(browser.focused().await, "send");
    browser.press(&[Key::Shift.into(), Key::Tab.into()]).await;
    assert_eq!(browser.focused().await, "name");
    browser.fill("#name", "new & näher").await;
    assert_eq!(browser.value("document.getElementById('name').value").await, "new & näher");
}

#[tokio::test]
async fn axe_passes_a_good_page_and_leaves_its_policy_in_force() {
    let browser = Wanted::default().dark().open().await;
    browser.goto(&serve(PAGE).await).await;
    browser.assert_accessible().await;
    const INLINE: &str = "(() => {
        const script = document.createElement('script');
        script.textContent = 'window.ran = true';
        document.head.append(script);
        return window.ran ?? 'refused';
    })()";
    assert_eq!(browser.value(INLINE).await, "refused");
}

#[tokio::test]
async fn axe_finds_what_was_planted() {
    let planted =
        r#"<!doctype html><html lang="en"><title>A page</title><main><h1>Page</h1><img src="/style.css"><input></main></html>"#;
    let browser = Wanted::default().open().await;
    browser.goto(&serve(planted).await).await;
    let violations = browser.axe().await;
    let mut found: Vec<&str> = violations.iter().map(|violation| violation.id.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["image-alt", "label"], "{violations:?}");
    assert!(violations[0].to_string().contains("<img"), "{}", violations[0]);
}

#[tokio::test]
async fn the_console_tells_of_a_violation_of_the_policy() {
    let inline = "<!doctype html><html lang=en><title>A page</title><script>document.title = 'Inline'</script><h1>Page</h1></html>";
    let browser = Wanted::default().open().await;
    browser.goto(&serve(inline).await).await;
    assert_eq!(browser.client().title().await.unwrap(), "A page");
    let said = browser.console().await;
    assert!(said.iter().any(|line| line.starts_with("SEVERE") && line.contains("Content Security Policy")), "{said:?}");
}
