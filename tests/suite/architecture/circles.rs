//! Files that import each other: which file names an item of which, re-exports followed to where the item is.
//!
//! A `mod.rs` only declares, so what it names is what it re-exports. A module that is named without an item of it
//! is no arrow: it only shortens the paths below it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::{is_test_file, module_path, source::Source};

/// Sources by their path inside `src`, and the arrows between them.
pub(crate) struct Imports {
    arrows: BTreeMap<String, BTreeSet<String>>,
}

/// A module's address inside the crate, such as `["web", "pages"]`.
type Address = Vec<String>;

struct Crate<'t> {
    modules: HashMap<Address, &'t str>,
    re_exports: HashMap<(Address, String), Address>,
}

impl Imports {
    pub(crate) fn read(files: &[(String, String)]) -> Self {
        let sources: Vec<(&str, Source<'_>)> = files
            .iter()
            .filter(|(file, _)| file.ends_with(".rs") && file != "main.rs" && !is_test_file(file))
            .map(|(file, text)| (file.as_str(), Source::read(text)))
            .collect();
        let mut all =
            Crate { modules: sources.iter().map(|(file, _)| (module_path(file), *file)).collect(), re_exports: HashMap::new() };
        for (file, source) in sources.iter().filter(|(file, _)| file.ends_with("mod.rs")) {
            let own = module_path(file);
            for path in source.paths() {
                if let Some(address) = all.address(&own, &path.parts, &HashMap::new()) {
                    let name = address.last().cloned().unwrap_or_default();
                    all.re_exports.insert((own.clone(), name), address);
                }
            }
        }
        let arrows = sources.iter().map(|(file, source)| ((*file).to_owned(), all.named_by(file, source))).collect();
        Self { arrows }
    }

    /// The shortest circle of files, the first file again at its end; `None` if no files import each other.
    pub(crate) fn shortest_circle(&self) -> Option<Vec<String>> {
        self.arrows.keys().filter_map(|file| self.way_back(file)).min_by_key(Vec::len)
    }

    /// The shortest way from a file along the arrows back to itself.
    fn way_back(&self, start: &str) -> Option<Vec<String>> {
        let mut ways = VecDeque::from([vec![start.to_owned()]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            for next in self.arrows.get(way.last()?).into_iter().flatten() {
                let mut longer = way.clone();
                longer.push(next.clone());
                if next == start {
                    return Some(longer);
                }
                if seen.insert(next.clone()) {
                    ways.push_back(longer);
                }
            }
        }
        None
    }
}

impl Crate<'_> {
    fn named_by(&self, file: &str, source: &Source<'_>) -> BTreeSet<String> {
        let own = module_path(file);
        if file.ends_with("mod.rs") {
            return BTreeSet::new();
        }
        let paths = source.paths();
        let mut shortened = HashMap::new();
        for path in &paths {
            if let Some(address) = self.address(&own, &path.parts, &HashMap::new())
                && self.modules.contains_key(&address)
                && let Some(name) = address.last()
            {
                shortened.insert(name.clone(), address.clone());
            }
        }
        let named = paths.iter().filter_map(|path| self.file_of(&self.address(&own, &path.parts, &shortened)?));
        named.filter(|named| *named != file).map(str::to_owned).collect()
    }

    /// The whole path that is meant; `None` if it leads out of the crate or is a name alone.
    fn address(&self, own: &[String], parts: &[String], shortened: &HashMap<String, Address>) -> Option<Address> {
        let parts = parts.strip_suffix(&["self".to_owned()][..]).filter(|rest| !rest.is_empty()).unwrap_or(parts);
        let up = parts.iter().take_while(|part| *part == "super").count();
        let (base, rest) = match parts.first()?.as_str() {
            "crate" => (Vec::new(), &parts[1..]),
            "self" => (own.to_vec(), &parts[1..]),
            "super" => (own[..own.len().checked_sub(up)?].to_vec(), &parts[up..]),
            name if parts.len() > 1 => match shortened.get(name) {
                Some(address) => (address.clone(), &parts[1..]),
                None => {
                    let child = [own, &parts[..1]].concat();
                    self.modules.contains_key(&child).then_some((child, &parts[1..]))?
                }
            },
            _ => return None,
        };
        (!rest.is_empty()).then(|| [&base[..], rest].concat())
    }

    /// The file in which the item of a path is, re-exports followed; `None` for a module without an item.
    fn file_of(&self, address: &[String]) -> Option<&str> {
        let mut address = address.to_vec();
        // No chain of re-exports is longer.
        for _ in 0..8 {
            let depth = (0..=address.len()).rev().find(|depth| self.modules.contains_key(&address[..*depth]))?;
            let (module, rest) = address.split_at(depth);
            let item = rest.first()?;
            let Some(moved) = self.re_exports.get(&(module.to_vec(), item.clone())) else {
                return self.modules.get(module).copied();
            };
            address = [&moved[..], &rest[1..]].concat();
        }
        None
    }
}
