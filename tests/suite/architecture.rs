//! The direction of the imports, and who may name which crate: see section 8 of the design and
//! `ARCHITECTURE.md`. The rules are the tables at the top; [`source`] reads the files.

mod circles;
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
};

use self::{circles::Imports, source::Source};

/// A module of the crate and the modules that it may name. Each may name itself.
const ARROWS: [(&str, &[&str]); 16] = [
    ("threads", &[]),
    ("domain", &[]),
    ("metrics", &["domain", "threads"]),
    ("crypto", &["domain"]),
    ("store", &["domain", "crypto"]),
    ("upstream", &["domain", "threads", "crypto"]),
    ("sandbox", &["domain", "crypto"]),
    // Asks whichever server its user names, without a guard: nothing that serves may name it.
    ("client", &["domain"]),
    ("service", &["domain", "threads", "metrics", "crypto", "store", "upstream"]),
    // Not the layers below: a column of the database must not reach a template.
    ("web", &["domain", "metrics", "service"]),
    // For tests and fuzzers only.
    ("fuzz", &["domain", "upstream", "web"]),
    ("config", &["domain", "upstream"]),
    ("app", &["domain", "crypto", "store", "upstream", "sandbox", "service", "web", "config"]),
    ("cli", &["domain", "crypto", "store", "upstream", "client", "sandbox", "service", "config", "app"]),
    ("main", &["domain", "crypto", "store", "upstream", "sandbox", "service", "web", "cli", "config", "app"]),
    ("lib", &["domain", "crypto", "store", "upstream", "sandbox", "service", "web", "cli", "config", "app"]),
];

/// A crate and the modules that may name it.
const CRATES: [(&str, &[&str]); 7] = [
    ("opentelemetry_proto", &["upstream"]),
    ("prometheus_client", &["metrics"]),
    ("sqlx", &["store"]),
    ("axum", &["web", "sandbox"]),
    ("askama", &["web"]),
    ("reqwest", &["upstream", "client"]),
    ("aes_gcm", &["crypto"]),
];

/// Arrows that reach only one thing: a setting is parsed into a pin, the store keeps what is sealed but
/// cannot open it, and what calls out takes its state and nonces from the one place that has randomness.
const ONE_TYPE_ONLY: [(&str, &str, &str); 3] =
    [("config", "upstream", "EgressPin"), ("store", "crypto", "Sealed"), ("upstream", "crypto", "random")];
/// The use cases are still the methods of one type, so that its files name each other. They are to become a type for each
/// subject; until then they are left out of the search for circles.
const ONE_TYPE_YET: &str = "service/";
/// The service that only its connector file, the sandbox and tests may know.
const SERVICE: &str = "talkdesk";

#[test]
fn imports_run_one_way_only() {
    let files = files(&root().join("src"));
    assert!(files.iter().any(|path| path.ends_with("domain/time.rs")), "the sources were not found: {files:?}");
    let broken: Vec<String> = files
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .flat_map(|path| {
            let file = path.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned();
            wrong_arrows(&file, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn no_files_import_each_other() {
    let sources: Vec<(String, String)> = sources().into_iter().filter(|(file, _)| !file.starts_with(ONE_TYPE_YET)).collect();
    if let Some(circle) = Imports::read(&sources).shortest_circle() {
        panic!("these files import each other:\n{}\n", circle.join("\n-> "));
    }
}

#[test]
fn files_that_import_each_other_are_seen() {
    let circle = |files: &[(&str, &str)]| {
        let files: Vec<_> = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        Imports::read(&files).shortest_circle()
    };
    let two = [("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", "fn f(a: super::a::A) {} pub struct B;")];
    assert_eq!(circle(&two), Some(vec!["a.rs".into(), "b.rs".into(), "a.rs".into()]));
    // Through a re-export, and through the name of a module.
    let three = [
        ("x/mod.rs", "mod one; mod two; pub use self::one::One;"),
        ("x/one.rs", "use super::two; fn f() { two::g(); } pub struct One;"),
        ("x/two.rs", "use crate::x::One;"),
    ];
    assert_eq!(circle(&three).map(|files| files.len()), Some(3));
    // A module alone is no arrow, and neither is a test.
    let none = [
        ("x/mod.rs", "mod one; mod two;"),
        ("x/one.rs", "use super::two; pub struct One;"),
        ("x/two.rs", "use super::one::One; #[cfg(test)] mod tests { use super::one; }"),
    ];
    assert_eq!(circle(&none), None);
}

#[test]
fn nothing_but_the_sandbox_knows_a_service_by_name() {
    let mut broken = Vec::new();
    for folder in ["src", "templates", "static"] {
        for path in files(&root().join(folder)) {
            let file = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            broken.extend(service_named(&file, &String::from_utf8_lossy(&fs::read(path).unwrap())));
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn a_wrong_arrow_is_seen_however_it_is_written() {
    for (file, text, to) in [
        ("store/credentials.rs", "use crate::web::pages;", "web"),
        ("domain/form.rs", "use crate::{domain::naming, store};", "store"),
        ("metrics/work.rs", "use crate::service::Service;", "service"),
        ("store/credentials.rs", "use crate::metrics::Metrics;", "metrics"),
        ("domain/form.rs", "use crate::{domain::{naming, values}, crypto::{self, Key}};", "crypto"),
        ("crypto/keyring.rs", "fn f() -> crate::upstream::Client { todo!() }", "upstream"),
        ("service/verify.rs", "use super::super::web::Page;", "web"),
        ("service/mod.rs", "use super::web::Page;", "web"),
        ("upstream/egress/guard.rs", "mod inner { use super::super::super::super::store::Db; }", "store"),
        ("web/mod.rs", "pub use crate::cli;", "cli"),
        ("service/verify.rs", "use crate::client::Client;", "client"),
        ("sandbox/mod.rs", "pub use keytile::service;", "service"),
        ("config.rs", "use crate::upstream::Client;", "upstream"),
        ("domain/time.rs", "use crate::*;", "*"),
        ("domain/time.rs", "/* a comment */ fn f<'a>(x: &'a str) -> char { crate::service::g('\\'', \"\\\"\"); 'x' }", "service"),
    ] {
        let found = wrong_arrows(file, text);
        let all_of_it = found.iter().all(|reason| reason.ends_with(&format!("must not name `{to}`")));
        assert!(!found.is_empty() && all_of_it, "{file}: {text}\n{found:?}");
    }
}

#[test]
fn a_crate_out_of_its_place_is_seen() {
    for (file, text, name) in [
        ("service/resources.rs", "use sqlx::query;", "sqlx"),
        ("service/resources.rs", "#[derive(sqlx::FromRow)] struct Row;", "sqlx"),
        ("store/mod.rs", "use {std::fmt, axum::Json};", "axum"),
        ("cli/serve.rs", "async fn f() { axum::serve(a, b).await }", "axum"),
        ("app.rs", "use axum::Router;", "axum"),
        ("domain/form.rs", "use askama::Template;", "askama"),
        ("sandbox/api.rs", "fn f(client: reqwest::Client) {}", "reqwest"),
        ("service/keys.rs", "use aes_gcm as cipher;", "aes_gcm"),
        ("web/proxy.rs", "use prometheus_client::registry::Registry;", "prometheus_client"),
    ] {
        let found = wrong_arrows(file, text);
        assert!(found.len() == 1 && found[0].contains(&format!("`{name}")), "{file}: {text}\n{found:?}");
    }
}

#[test]
fn what_is_allowed_is_left_alone() {
    for (file, text) in [
        ("web/pages/home.rs", "use crate::{service::resources, domain::naming::Name}; use super::Page; use axum::Json;"),
        ("service/verify.rs", "use super::broker; // not crate::web\nconst A: &str = \"crate::web, sqlx::query\";"),
        ("service/verify.rs", "const A: &str = r#\"use crate::web;\"#; fn f() { x.sqlx; }"),
        ("store/mod.rs", "use self::rows::Row; use sqlx::{Row as _, query};"),
        ("app.rs", "use crate::{web, sandbox::Sandbox}; fn f() { web::serve(a, b); }"),
        ("config.rs", "use crate::upstream::EgressPin; use crate::upstream::egress::EgressPin as Pin;"),
        ("crypto/keyring.rs", "#[cfg(test)]\nmod tests { use crate::store::Db; }"),
        ("crypto/keyring.rs", "#[cfg(test)] use crate::store::Db; fn f() {}"),
        ("crypto/keyring/tests.rs", "use crate::store::Db;"),
        ("main.rs", "use keytile::{cli, app};"),
    ] {
        assert_eq!(wrong_arrows(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

#[test]
fn a_module_that_is_not_on_the_map_is_seen() {
    assert_eq!(wrong_arrows("helpers/mod.rs", "").len(), 1);
}

#[test]
fn the_name_of_the_service_is_seen_outside_tests() {
    let named = "//! As TALKDESK does.\n#[cfg(test)]\nmod tests { const A: &str = \"talkdesk\"; }\n";
    assert_eq!(service_named("src/web/mod.rs", named).len(), 1);
    assert_eq!(service_named("templates/home.html", "<p>TalkDesk</p>").len(), 1);
    assert!(service_named("src/sandbox/stand_in.rs", named).is_empty());
    assert!(service_named("src/domain/connectors/file/read/tests.rs", named).is_empty());
}

/// What a file of `src` names and should not. The file is given by its path inside `src`.
fn wrong_arrows(file: &str, text: &str) -> Vec<String> {
    if is_test_file(file) {
        return Vec::new();
    }
    let modules = module_path(file);
    let own = modules.first().map_or_else(|| file.trim_end_matches(".rs"), String::as_str);
    let Some((_, allowed)) = ARROWS.iter().find(|(module, _)| *module == own) else {
        return vec![format!("src/{file}: the module `{own}` is not on the map in tests/suite/architecture.rs")];
    };
    let mut broken = Vec::new();
    for path in Source::read(text).paths() {
        let at = format!("src/{file}:{}: {}", path.line, path.parts.join("::"));
        if let Some(reason) = wrong_crate(own, &path.parts) {
            broken.push(format!("{at}: {reason}"));
        }
        let Some(named) = module_named(&modules, &path.parts) else { continue };
        let to = named.first().copied().unwrap_or("*");
        let known = to == "*" || ARROWS.iter().any(|(module, _)| *module == to);
        let only = ONE_TYPE_ONLY.iter().find(|(from, part, _)| *from == own && *part == to);
        let whole_part = only.is_some_and(|(_, _, one)| !named.contains(one));
        if known && (whole_part || (to != own && !allowed.contains(&to))) {
            broken.push(format!("{at}: `{own}` must not name `{to}`"));
        }
    }
    broken
}

fn wrong_crate(own: &str, parts: &[String]) -> Option<String> {
    let (name, allowed) = CRATES.iter().find(|(name, _)| parts[0] == *name)?;
    (!allowed.contains(&own)).then(|| format!("only {} may name `{name}`", allowed.join(", ")))
}

/// The path from the root of the crate, if `parts` is a path inside the crate that says so.
fn module_named<'p>(modules: &[String], parts: &'p [String]) -> Option<Vec<&'p str>> {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[0] {
        "crate" | "keytile" if parts.len() > 1 => Some(parts[1..].to_vec()),
        "super" => {
            let up = parts.iter().take_while(|part| **part == "super").count();
            // More steps than the file is deep are those of a module inside the file.
            (up >= modules.len() && parts.len() > up).then(|| parts[up..].to_vec())
        }
        _ => None,
    }
}

/// `web/pages/home.rs` is the module `web::pages::home`; `main.rs` and `lib.rs` are the root.
fn module_path(file: &str) -> Vec<String> {
    let mut modules: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if modules.last().is_some_and(|last| last == "mod") || matches!(file, "main.rs" | "lib.rs") {
        modules.pop();
    }
    modules
}

/// Each place where a file outside the sandbox knows the service. The path is inside the project.
fn service_named(file: &str, text: &str) -> Vec<String> {
    if file.starts_with("src/sandbox/") || (file.starts_with("src/") && is_test_file(file)) {
        return Vec::new();
    }
    let lines = if file.ends_with(".rs") {
        Source::read(text).lines_with(SERVICE)
    } else {
        (1..).zip(text.lines()).filter(|(_, line)| line.to_ascii_lowercase().contains(SERVICE)).map(|(number, _)| number).collect()
    };
    lines
        .into_iter()
        .map(|line| format!("{file}:{line} knows {SERVICE}; what a service needs belongs in its connector file"))
        .collect()
}

fn is_test_file(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

/// Every source file: its path inside `src`, and its text.
fn sources() -> Vec<(String, String)> {
    let folder = root().join("src");
    let read = |path: PathBuf| {
        let file = path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
        file.ends_with(".rs").then(|| (file, fs::read_to_string(&path).unwrap()))
    };
    files(&folder).into_iter().filter_map(read).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder; none where there is no such folder yet.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
