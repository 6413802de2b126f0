//! Builds the settings of single sign-on from the configuration.

use std::fs;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::start_error::StartError;
use crate::{
    config::{SSO_CLIENT_SECRET_VARIABLE, SingleSignOnConfig},
    domain::access::group_role::RoleRules,
    service::auth::sso::SingleSignOn,
    upstream::SingleSignOnSettings,
    web,
};

/// Single sign-on for the public URL `address`; `None` if it isn't configured. Makes no request, so that a provider
/// that is down doesn't prevent the start.
pub(super) fn settings(config: &SingleSignOnConfig, address: &Url) -> Result<Option<SingleSignOn>, StartError> {
    let (Some(issuer), Some(client_id)) = (&config.sso_issuer, &config.sso_client_id) else { return Ok(None) };
    let provider = SingleSignOnSettings {
        issuer: issuer.clone(),
        client_id: client_id.trim().to_owned(),
        client_secret: client_secret(config)?,
        // `openid` is always requested, because OpenID Connect requires it.
        scopes: config.sso_scopes.split_whitespace().filter(|scope| *scope != "openid").map(str::to_owned).collect(),
        groups_claim: config.sso_groups_claim.trim().to_owned(),
    };
    provider.check_issuer().map_err(|reason| StartError::Setting(format!("--sso-issuer: {reason}.")))?;
    let mut callback = address.clone();
    callback.set_path(web::SINGLE_SIGN_ON_CALLBACK);
    let roles = RoleRules { by_group: config.sso_role.clone(), default: config.sso_default_role };
    Ok(Some(SingleSignOn { provider, callback, roles, only: config.sso_only, name: config.sso_name.clone() }))
}

fn client_secret(config: &SingleSignOnConfig) -> Result<Option<SecretString>, StartError> {
    let variable = std::env::var(SSO_CLIENT_SECRET_VARIABLE).ok().filter(|value| !value.trim().is_empty());
    let Some(path) = &config.sso_client_secret_file else { return Ok(variable.map(|value| value.trim().to_owned().into())) };
    if variable.is_some() {
        let words = format!("--sso-client-secret-file: {SSO_CLIENT_SECRET_VARIABLE} is also set. Use only one of them.");
        return Err(StartError::Setting(words));
    }
    let flag = "--sso-client-secret-file";
    let failed = |cause| StartError::File { setting: flag, doing: "cannot be read", path: path.clone(), cause };
    let text = SecretString::from(fs::read_to_string(path).map_err(failed)?);
    match text.expose_secret().trim() {
        "" => Err(StartError::Setting(format!("{flag}: {} is empty.", path.display()))),
        secret => Ok(Some(secret.to_owned().into())),
    }
}
