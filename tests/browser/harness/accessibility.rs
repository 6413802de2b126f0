//! The violations that `axe-core` finds in a page.

use std::{env, fmt, fs, path::PathBuf, sync::LazyLock};

use serde::Deserialize;

use super::Browser;

/// A rule that a page violates.
#[derive(Debug, Deserialize)]
pub(crate) struct Violation {
    pub(crate) id: String,
    /// How serious it is, in axe's terms.
    pub(crate) impact: Option<String>,
    /// What to do about it.
    pub(crate) help: String,
    pub(crate) nodes: Vec<Node>,
}

/// One place in a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    /// The element, cut short by axe.
    pub(crate) html: String,
    /// Why it is wrong.
    #[serde(default)]
    pub(crate) failure_summary: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}): {}", self.id, self.impact.as_deref().unwrap_or("no impact given"), self.help)?;
        self.nodes.iter().try_for_each(|node| writeln!(f, "  {}\n    {}", node.html, node.failure_summary.replace('\n', "\n    ")))
    }
}

static AXE: LazyLock<String> = LazyLock::new(|| {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    let file = env::var_os("KEYTILE_TEST_NPM").map_or_else(own, PathBuf::from).join("node_modules/axe-core/axe.min.js");
    fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}. Run scripts/test, which installs axe-core", file.display()))
});

impl Browser {
    /// Checks the current page against every rule of axe. Needs JavaScript. The driver injects it, so that the
    /// page's `Content-Security-Policy` stays in force.
    pub(crate) async fn axe(&self) -> Vec<Violation> {
        self.run_axe("{}").await
    }

    /// Fails with a list of the violations, if there are any.
    pub(crate) async fn assert_accessible(&self) {
        let violations = self.axe().await;
        self.assert_none(&violations).await;
    }

    /// The same for colour contrast alone, which takes less time.
    pub(crate) async fn assert_colours(&self) {
        let violations = self.run_axe("{ runOnly: ['color-contrast'] }").await;
        self.assert_none(&violations).await;
    }

    async fn run_axe(&self, options: &str) -> Vec<Violation> {
        if self.value("typeof window.axe === 'object'").await != true {
            self.client().execute(&AXE, Vec::new()).await.unwrap();
        }
        let script = format!(
            "const done = arguments[arguments.length - 1];
             axe.run(document, {{ resultTypes: ['violations'], ...{options} }})
                .then((results) => done({{ violations: results.violations }}), (error) => done({{ error: String(error) }}));"
        );
        let mut answer = self.client().execute_async(&script, Vec::new()).await.unwrap();
        assert!(answer["error"].is_null(), "axe failed: {}", answer["error"]);
        serde_json::from_value(answer["violations"].take()).unwrap()
    }

    async fn assert_none(&self, violations: &[Violation]) {
        let list: String = violations.iter().map(ToString::to_string).collect();
        let url = self.client().current_url().await.unwrap();
        assert!(violations.is_empty(), "{url} has accessibility violations:\n{list}");
    }
}
