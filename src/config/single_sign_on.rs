//! The settings of single sign-on. All are optional; issuer and client id enable it, and the others require these
//! two.

use std::path::PathBuf;

use clap::{Args, builder::BoolishValueParser};
use url::Url;

use super::text::listed;
use crate::domain::{
    access::group_role::{GroupRole, role_of_word},
    naming::Name,
    setting::Setting,
    users::Role,
};

/// The variable that contains the client secret. It has no flag, because every user of the machine can read the
/// command line.
pub const SSO_CLIENT_SECRET_VARIABLE: &str = "KEYTILE_SSO_CLIENT_SECRET";

/// Who signs people in, and what they may do.
#[derive(Debug, Clone, Args)]
pub struct SingleSignOnConfig {
    /// Let people sign in with this OpenID Connect provider: its issuer, an `https` address, exactly as the provider
    /// writes it.
    #[arg(long, env = "KEYTILE_SSO_ISSUER", value_name = "URL")]
    pub sso_issuer: Option<Url>,

    /// Keytile's client ID at the provider.
    #[arg(long, env = "KEYTILE_SSO_CLIENT_ID", value_name = "ID")]
    pub sso_client_id: Option<String>,

    /// A file with the client secret. You can also put the secret itself in the variable `KEYTILE_SSO_CLIENT_SECRET`.
    /// A public client has none.
    #[arg(long, env = "KEYTILE_SSO_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub sso_client_secret_file: Option<PathBuf>,

    /// The scopes to request from the provider, separated by spaces.
    #[arg(long, env = "KEYTILE_SSO_SCOPES", value_name = "SCOPES", default_value = "openid profile email")]
    pub sso_scopes: String,

    /// The claim that lists a person's groups. Use dots for nested objects, as in `realm_access.roles`.
    #[arg(long, env = "KEYTILE_SSO_GROUPS_CLAIM", value_name = "CLAIM", default_value = "groups")]
    pub sso_groups_claim: String,

    /// The role of people in this group of the provider. The highest one counts, and it's set at every sign-in. Can be
    /// repeated; in the variable, separate them with commas.
    #[arg(long, env = "KEYTILE_SSO_ROLE", value_name = "GROUP=ROLE", value_delimiter = ',')]
    pub sso_role: Vec<GroupRole>,

    /// The role of people who are in none of these groups. Without it, they can't sign in.
    #[arg(long, env = "KEYTILE_SSO_DEFAULT_ROLE", value_name = "ROLE", value_parser = role_of_word)]
    pub sso_default_role: Option<Role>,

    /// Make single sign-on the only way to sign in. Passwords aren't accepted.
    #[arg(long, env = "KEYTILE_SSO_ONLY", value_parser = BoolishValueParser::new())]
    pub sso_only: bool,

    /// The name on the sign-in button.
    #[arg(long, env = "KEYTILE_SSO_NAME", value_name = "NAME", default_value = "single sign-on", value_parser = name)]
    pub sso_name: String,
}

impl SingleSignOnConfig {
    /// Checks settings that can be parsed but not used together. The error is a sentence that names the setting.
    pub fn check(&self) -> Result<(), String> {
        let given = [
            ("--sso-client-secret-file", self.sso_client_secret_file.is_some()),
            ("--sso-role", !self.sso_role.is_empty()),
            ("--sso-default-role", self.sso_default_role.is_some()),
            ("--sso-only", self.sso_only),
        ];
        match (&self.sso_issuer, &self.sso_client_id) {
            (Some(_), Some(id)) if id.trim().is_empty() => Err("--sso-client-id: the value is empty.".into()),
            (Some(_), Some(_)) => Ok(()),
            (Some(_), None) => Err("--sso-client-id: missing, but --sso-issuer needs it.".into()),
            (None, Some(_)) => Err("--sso-issuer: missing, but --sso-client-id needs it.".into()),
            (None, None) => match given.into_iter().find(|(_, given)| *given) {
                Some((flag, _)) => Err(format!("{flag}: needs --sso-issuer and --sso-client-id, which are missing.")),
                None => Ok(()),
            },
        }
    }

    /// See [`super::Config::settings`].
    pub(super) fn settings(&self) -> Vec<Setting> {
        let setting = |name, value: String, default| Setting { name, value, default, secret: false };
        let file = self.sso_client_secret_file.as_ref().map(|path| path.display().to_string());
        vec![
            setting("sso-issuer", self.sso_issuer.as_ref().map(Url::to_string).unwrap_or_default(), ""),
            setting("sso-client-id", self.sso_client_id.clone().unwrap_or_default(), ""),
            setting("sso-client-secret-file", file.unwrap_or_default(), ""),
            setting("sso-scopes", self.sso_scopes.clone(), "openid profile email"),
            setting("sso-groups-claim", self.sso_groups_claim.clone(), "groups"),
            setting("sso-role", listed(&self.sso_role), ""),
            setting("sso-default-role", self.sso_default_role.map(|role| role.as_str().to_owned()).unwrap_or_default(), ""),
            setting("sso-only", if self.sso_only { "true".to_owned() } else { String::new() }, ""),
            setting("sso-name", self.sso_name.clone(), "single sign-on"),
        ]
    }
}

fn name(text: &str) -> Result<String, String> {
    Name::parse(text).map(|name| name.as_str().to_owned())
}
