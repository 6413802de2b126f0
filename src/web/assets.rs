//! Style sheet, scripts and icon: embedded in the binary and served under names with a hash of their content, so
//! that browsers can cache them forever and never mix two versions.

use std::{collections::HashMap, sync::LazyLock};

use axum::{
    body::Bytes,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use sha2::{Digest, Sha256};

/// The parts of the one style sheet, in the order of its layers.
const STYLES: [&str; 8] = [
    include_str!("../../static/css/tokens.css"),
    include_str!("../../static/css/base.css"),
    include_str!("../../static/css/layout.css"),
    include_str!("../../static/css/components.css"),
    include_str!("../../static/css/tiles.css"),
    include_str!("../../static/css/overlay.css"),
    include_str!("../../static/css/settings.css"),
    include_str!("../../static/css/history.css"),
];

/// The script modules, each after those that it imports.
const MODULES: [(&str, &str); 10] = [
    ("announce", include_str!("../../static/js/announce.js")),
    ("page", include_str!("../../static/js/page.js")),
    ("secret", include_str!("../../static/js/secret.js")),
    ("live-url", include_str!("../../static/js/live-url.js")),
    ("tiles", include_str!("../../static/js/tiles.js")),
    ("confirm", include_str!("../../static/js/confirm.js")),
    ("configure", include_str!("../../static/js/configure.js")),
    ("save", include_str!("../../static/js/save.js")),
    ("overlay", include_str!("../../static/js/overlay.js")),
    ("app", include_str!("../../static/js/app.js")),
];

const ICON: &str = include_str!("../../static/icon.svg");

static ASSETS: LazyLock<Assets> = LazyLock::new(Assets::build);

/// Everything under `/static`.
pub(crate) struct Assets {
    pub(crate) style: String,
    /// Path of the module that starts all others.
    pub(crate) script: String,
    /// Paths of the modules that it imports, for preloading.
    pub(crate) modules: Vec<String>,
    pub(crate) icon: String,
    files: HashMap<String, Asset>,
}

struct Asset {
    content_type: &'static str,
    etag: HeaderValue,
    content: Bytes,
}

impl Assets {
    /// The assets of this binary.
    pub(crate) fn get() -> &'static Self {
        &ASSETS
    }

    fn build() -> Self {
        let mut files = HashMap::new();
        let style = add(&mut files, "keytile", "css", "text/css; charset=utf-8", STYLES.concat());
        let icon = add(&mut files, "icon", "svg", "image/svg+xml", ICON.to_owned());
        let mut modules: Vec<String> = Vec::with_capacity(MODULES.len());
        for (name, text) in MODULES {
            // An import names the file and must be replaced by the name with the hash.
            let mut text = text.to_owned();
            for ((imported, _), address) in MODULES.iter().zip(&modules) {
                text = text.replace(&format!("\"./{imported}.js\""), &format!("\"{address}\""));
            }
            modules.push(add(&mut files, name, "js", "text/javascript; charset=utf-8", text));
        }
        let script = modules.pop().unwrap_or_default();
        Self { style, script, modules, icon, files }
    }
}

/// Adds a file under a name with the hash of its content, and returns its path.
fn add(files: &mut HashMap<String, Asset>, stem: &str, extension: &str, content_type: &'static str, content: String) -> String {
    let hash: String = Sha256::digest(content.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{stem}.{hash}.{extension}");
    let address = format!("/static/{name}");
    let etag = HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
    files.insert(name, Asset { content_type, etag, content: content.into() });
    address
}

/// `GET /static/{name}`.
pub(crate) async fn serve(Path(name): Path<String>, request: HeaderMap) -> Response {
    let Some(asset) = Assets::get().files.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::ETAG, asset.etag.clone()),
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
    ];
    if request.get(header::IF_NONE_MATCH).is_some_and(|known| *known == asset.etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, asset.content.clone()).into_response()
}

/// `GET /favicon.ico`, which browsers request by themselves for pages without an icon. Without this they would be
/// redirected to the sign-in, which sets a cookie.
pub(crate) async fn favicon() -> Redirect {
    Redirect::to(&Assets::get().icon)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> &str {
        std::str::from_utf8(&Assets::get().files[name].content).unwrap()
    }

    #[test]
    fn every_import_leads_to_a_module_that_is_served() {
        let assets = Assets::get();
        let mut imports = 0;
        for name in assets.files.keys().filter(|name| name.ends_with(".js")) {
            for line in text(name).lines().filter(|line| line.contains(" from \"") || line.starts_with("import \"")) {
                let address = line.split('"').nth(1).unwrap();
                assert!(assets.files.contains_key(address.strip_prefix("/static/").unwrap_or_default()), "{name}: {line}");
                imports += 1;
            }
        }
        assert!(imports > 5, "{imports}");
    }

    #[test]
    fn a_page_names_files_that_exist() {
        let assets = Assets::get();
        for address in assets.modules.iter().chain([&assets.style, &assets.script, &assets.icon]) {
            assert!(assets.files.contains_key(address.strip_prefix("/static/").unwrap()), "{address}");
        }
    }

    #[test]
    fn nothing_asks_another_host() {
        for (name, asset) in &Assets::get().files {
            let text = std::str::from_utf8(&asset.content).unwrap().replace("http://www.w3.org/", "");
            assert!(!text.contains("http://") && !text.contains("@import"), "{name}");
            assert!(!text.contains("url(http") && !text.contains("url(\"http"), "{name}");
        }
    }

    #[tokio::test]
    async fn a_file_is_kept_for_ever_and_known_again() {
        let name = Assets::get().style.strip_prefix("/static/").unwrap().to_owned();
        let first = serve(Path(name.clone()), HeaderMap::new()).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert!(first.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        let again = HeaderMap::from_iter([(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone())]);
        assert_eq!(serve(Path(name), again).await.status(), StatusCode::NOT_MODIFIED);
        let other = serve(Path("keytile.css".into()), HeaderMap::new()).await;
        assert_eq!(other.status(), StatusCode::NOT_FOUND);
    }
}
