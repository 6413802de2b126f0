//! Every direct dependency has its line in `docs/dependencies.md`, and no line speaks of one that is gone.

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
