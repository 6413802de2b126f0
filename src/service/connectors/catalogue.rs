//! The catalogue: the connectors in the binary, and those in the folder of `--connectors`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use include_dir::{Dir, include_dir};

use crate::domain::{
    connectors::{
        Connector,
        file::{self, ConnectorFileError},
    },
    resources::ResourceKind,
};

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/connectors");

/// All connectors: first the binary's, then the folder's, each sorted by file name.
#[derive(Debug)]
pub struct Catalogue {
    connectors: Vec<Arc<Connector>>,
    guides: Vec<String>,
}

/// Why the connectors could not be loaded. The server doesn't start with part of a catalogue.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A connector file is invalid.
    #[error("--connectors: {0}")]
    File(#[from] ConnectorFileError),
    #[error("--connectors: {} cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        cause: io::Error,
    },
    /// Two files define the same connector.
    #[error("--connectors: {file}:1: id: the connector `{id}` is defined twice")]
    Twice {
        /// The later file.
        file: String,
        id: String,
    },
}

impl Catalogue {
    /// Loads the connectors of the binary, and of a folder if one is given.
    pub fn load(folder: Option<&Path>) -> Result<Self, CatalogueError> {
        let mut catalogue = Self { connectors: Vec::new(), guides: Vec::new() };
        let mut files: Vec<&Path> = EMBEDDED.files().map(|file| file.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        for path in files {
            let guide = |guide: &str| embedded(Path::new(guide)).map(str::to_owned);
            catalogue.add(&path.display().to_string(), embedded(path)?, guide)?;
        }
        if let Some(folder) = folder {
            catalogue.add_folder(folder)?;
        }
        Ok(catalogue)
    }

    fn add_folder(&mut self, folder: &Path) -> Result<(), CatalogueError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |cause| CatalogueError::Unreadable { path, cause }
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                paths.push(path);
            }
        }
        paths.sort();
        for path in paths {
            let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
            self.add(&path.display().to_string(), &text, |guide| {
                let path = folder.join(guide);
                fs::read_to_string(&path).map_err(unreadable(&path))
            })?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        name: &str,
        text: &str,
        guide: impl FnOnce(&str) -> Result<String, CatalogueError>,
    ) -> Result<(), CatalogueError> {
        let read = file::read(name, text)?;
        let mut connector = read.connector;
        if self.get(connector.id.as_str()).is_some() {
            return Err(CatalogueError::Twice { file: name.to_owned(), id: connector.id.to_string() });
        }
        connector.guide = guide(&read.guide_file)?;
        self.guides.push(sanitised_html(&connector.guide));
        self.connectors.push(Arc::new(connector));
        Ok(())
    }

    pub fn get(&self, id: &str) -> Option<&Arc<Connector>> {
        self.connectors.iter().find(|connector| connector.id.as_str() == id)
    }

    pub fn all(&self) -> &[Arc<Connector>] {
        &self.connectors
    }

    /// The connectors that a kind of resource can use.
    pub fn for_kind(&self, kind: ResourceKind) -> impl Iterator<Item = &Arc<Connector>> {
        self.connectors.iter().filter(move |connector| connector.used_for.contains(&kind))
    }

    /// The guide of a connector as sanitized HTML; empty for an unknown connector.
    pub fn guide_html(&self, id: &str) -> &str {
        let index = self.connectors.iter().position(|connector| connector.id.as_str() == id);
        index.and_then(|index| self.guides.get(index)).map_or("", String::as_str)
    }
}

fn embedded(path: &Path) -> Result<&'static str, CatalogueError> {
    let missing = || CatalogueError::Unreadable { path: path.to_owned(), cause: io::ErrorKind::NotFound.into() };
    EMBEDDED.get_file(path).and_then(|file| file.contents_utf8()).ok_or_else(missing)
}

/// Converts Markdown to HTML without scripts, styles, frames, images or event handlers.
fn sanitised_html(markdown: &str) -> String {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, pulldown_cmark::Parser::new(markdown));
    ammonia::Builder::default().rm_tags(["img"]).link_rel(Some("noopener noreferrer")).clean(&html).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guides_lose_what_could_run_or_call_out() {
        let html = sanitised_html(
            "## A\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) ![i](https://a.example/i.png) <b onclick=\"x()\">ok</b>",
        );
        assert!(html.contains("<h2>A</h2>") && html.contains("<b>ok</b>"), "{html}");
        for gone in ["alert", "javascript", "onclick", "<img", "a.example"] {
            assert!(!html.contains(gone), "{html}");
        }
    }

    #[test]
    fn a_folder_adds_connectors_and_half_a_folder_adds_none() {
        let folder = tempfile::tempdir().unwrap();
        let text = embedded(Path::new("oauth2-client-credentials.toml"))
            .unwrap()
            .replace("id = \"oauth2-client-credentials\"", "id = \"acme\"")
            .replace("oauth2-client-credentials.md", "acme.md");
        fs::write(folder.path().join("acme.toml"), &text).unwrap();
        assert!(matches!(Catalogue::load(Some(folder.path())), Err(CatalogueError::Unreadable { .. })), "the guide is missing");
        fs::write(folder.path().join("acme.md"), "## Acme").unwrap();
        let catalogue = Catalogue::load(Some(folder.path())).unwrap();
        assert_eq!(catalogue.all().len(), 3);
        assert_eq!(catalogue.guide_html("acme"), "<h2>Acme</h2>\n");
        fs::write(folder.path().join("again.toml"), &text).unwrap();
        assert!(Catalogue::load(Some(folder.path())).unwrap_err().to_string().contains("`acme` is defined twice"));
        fs::write(folder.path().join("again.toml"), "id = 1").unwrap();
        let message = Catalogue::load(Some(folder.path())).unwrap_err().to_string();
        assert!(message.contains("again.toml:1: id"), "{message}");
        assert!(Catalogue::load(Some(Path::new("/does/not/exist"))).unwrap_err().to_string().contains("/does/not/exist"));
    }
}
