//! Every direct dependency has its line in `docs/dependencies.md`, and no line speaks of one that is gone. So has every library
//! that `deny.toml` allows in two versions.

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let mut named: Vec<&str> = manifest["dependencies"].as_table().unwrap().keys().map(String::as_str).collect();
    named.sort_unstable();
    let page = include_str!("../../docs/dependencies.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let told: Vec<&str> = rows.filter(|name| *name != "crate" && !name.starts_with('-')).collect();
    assert_eq!(told, named);
    for name in manifest["dev-dependencies"].as_table().unwrap().keys() {
        assert!(page.contains(name.as_str()), "docs/dependencies.md does not name {name}");
    }
}

#[test]
fn every_duplicate_says_why_it_is_there() {
    let checks: toml::Table = include_str!("../../deny.toml").parse().unwrap();
    let mut allowed: Vec<String> =
        checks["bans"]["skip"].as_array().unwrap().iter().map(|entry| entry["crate"].as_str().unwrap().replace('@', " ")).collect();
    allowed.sort_unstable();
    let page = include_str!("../../docs/dependencies.md");
    let mut listed: Vec<String> =
        page.lines().filter_map(|line| line.strip_prefix("- `")?.split_once(": ")).map(|(name, _)| name.replace('`', "")).collect();
    listed.sort_unstable();
    assert_eq!(listed, allowed);
}
