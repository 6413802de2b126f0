//! The pages of Settings, and which of them a user may open.

use crate::{domain::access::permission::Permission, web::session::SignedIn};

/// The pages: path, label, and the permission needed.
const PAGES: [(&str, &str, Permission); 5] = [
    ("/settings", "Your account", Permission::Look),
    ("/settings/sessions", "Sessions", Permission::Look),
    ("/settings/people", "People", Permission::ManageAccounts),
    ("/settings/groups", "Groups", Permission::ManageAccounts),
    ("/settings/keys", "API keys", Permission::ManageKeys),
];

/// The navigation of Settings, as shown by `parts/settings_nav.html`.
pub(crate) struct SettingsNav {
    /// Path, label, and whether it is the current page.
    pub(crate) entries: Vec<(&'static str, &'static str, bool)>,
}

impl SettingsNav {
    pub(crate) fn new(signed: &SignedIn, present: &str) -> Self {
        let role = signed.person.role;
        let entries = PAGES.into_iter().filter(|(_, _, permission)| role.may(*permission));
        Self { entries: entries.map(|(address, label, _)| (address, label, address == present)).collect() }
    }
}
