//! The form for editing a stored credential. A secret left empty keeps its stored value, and that value is
//! only sent to the origins it was verified with.

use super::{
    form::{CredentialInput, FieldError, FieldFault, Kept, RawForm, parse},
    values::FieldValues,
};
use crate::domain::connectors::{Connector, Field, context::Context, url_template::UrlTemplate};

/// Removes secrets that are only a mask, such as `••••`, and returns an error for each.
pub fn without_masked(connector: &Connector, raw: &RawForm) -> (RawForm, Vec<FieldError>) {
    let (mut raw, mut errors) = (raw.clone(), Vec::new());
    for field in connector.fields.iter().filter(|field| field.secret && is_masked(raw.typed(&field.id).trim())) {
        let message = format!(
            "This is not a {} but what is shown in its place. Leave it empty to keep the stored one, or enter it whole.",
            field.label
        );
        errors.push(FieldError::new(field.id.as_str(), message).coded(FieldFault::Masked));
    }
    for error in &errors {
        raw.fields.remove(error.field.as_str());
    }
    (raw, errors)
}

/// Parses the form of a credential that is being edited. A secret left empty has its value from an earlier
/// attempt, or else the stored value, as long as that goes to the origins it was verified with.
pub fn parse_edit(
    connector: &Connector,
    raw: &RawForm,
    tried: Option<&Kept>,
    stored: &FieldValues,
) -> Result<CredentialInput, Vec<FieldError>> {
    let mut kept = Kept::default();
    let mut from_store = Vec::new();
    for field in connector.fields.iter().filter(|field| field.secret) {
        if let Some(secret) = tried.and_then(|tried| tried.values.get(&field.id)) {
            kept.values.insert(field.id.clone(), secret.clone());
            if let Some(secrets_for) = tried.and_then(|tried| tried.secrets_for.get(&field.id)) {
                kept.secrets_for.insert(field.id.clone(), secrets_for.clone());
            }
        } else if let Some(secret) = stored.get(&field.id) {
            kept.values.insert(field.id.clone(), secret.clone());
            if raw.typed(&field.id).trim().is_empty() {
                from_store.push(field);
            }
        }
    }
    let input = parse(connector, raw, Some(&kept))?;
    if from_store.is_empty() || origins(connector, &input.values) == origins(connector, stored) {
        return Ok(input);
    }
    let again = |field: &&Field| {
        let message = format!(
            "Enter the {} again: the stored one was verified with another address than the one it would be sent to now.",
            field.label
        );
        FieldError::new(field.id.as_str(), message)
    };
    Err(from_store.iter().map(again).collect())
}

/// The origins that these values send secrets and tokens to: that of the token URL and that of the API.
/// `None` if an address is incomplete.
fn origins(connector: &Connector, values: &FieldValues) -> Option<[String; 2]> {
    let context = Context::new(&connector.fields, values);
    let origin = |url: &UrlTemplate| Some(url.render(&context).ok()?.origin().ascii_serialization());
    Some([origin(&connector.token.url)?, origin(&connector.api.base_url)?])
}

/// True for the mask that a page or a response shows instead of a secret.
fn is_masked(typed: &str) -> bool {
    !typed.is_empty() && typed.chars().all(|character| "*•●∙·‣⁎∗＊".contains(character))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::domain::{
        connectors::{FieldId, file},
        credentials::form::keep,
    };

    fn talkdesk() -> Connector {
        file::read("test.toml", include_str!("../../../connectors/talkdesk.toml")).unwrap().connector
    }

    fn typed(account: &str, secret: &str) -> RawForm {
        let mut raw = RawForm { name: "Support".into(), ..RawForm::default() };
        for (id, value) in [("client_id", "id"), ("client_secret", secret), ("account_name", account)] {
            raw.fields.insert(FieldId::new(id).unwrap(), SecretString::from(value));
        }
        raw
    }

    fn stored() -> FieldValues {
        parse(&talkdesk(), &typed("acme", "stored"), None).ok().unwrap().values
    }

    #[test]
    fn what_is_shown_in_place_of_a_secret_is_none() {
        for masked in ["•", "••••••••", "*", "********", "●●●●"] {
            let (unmasked, errors) = without_masked(&talkdesk(), &typed("acme", &format!(" {masked} ")));
            assert_eq!(errors.len(), 1, "{masked}");
            assert_eq!(errors[0].field, "client_secret");
            assert_eq!(unmasked.typed(&FieldId::new("client_secret").unwrap()), "");
        }
        for secret in ["", "a", "**a**", "••••4711"] {
            let (unmasked, errors) = without_masked(&talkdesk(), &typed("acme", secret));
            assert!(errors.is_empty(), "{secret}");
            assert_eq!(unmasked.typed(&FieldId::new("client_secret").unwrap()), secret);
        }
        // Only secrets are ever masked.
        assert!(without_masked(&talkdesk(), &typed("***", "secret")).1.is_empty());
    }

    #[test]
    fn an_empty_secret_is_the_one_of_the_last_try_or_else_the_stored_one() {
        let (talkdesk, stored) = (talkdesk(), stored());
        let secret = |raw: &RawForm, tried: Option<&Kept>| {
            let input = parse_edit(&talkdesk, raw, tried, &stored).ok()?;
            input.values.expose("client_secret").map(str::to_owned)
        };
        assert_eq!(secret(&typed("acme", ""), None).as_deref(), Some("stored"));
        let tried = keep(&talkdesk, &typed("acme", "tried"), None);
        assert_eq!(secret(&typed("acme", ""), Some(&tried)).as_deref(), Some("tried"));
        assert_eq!(secret(&typed("acme", "typed"), Some(&tried)).as_deref(), Some("typed"));
        // An attempt without a secret keeps none.
        let tried = keep(&talkdesk, &typed("acme", ""), None);
        assert_eq!(secret(&typed("acme", ""), Some(&tried)).as_deref(), Some("stored"));
    }

    #[test]
    fn a_stored_secret_goes_to_no_other_account() {
        let (talkdesk, stored) = (talkdesk(), stored());
        let Err(errors) = parse_edit(&talkdesk, &typed("other", ""), None, &stored) else { panic!("it would be sent") };
        assert_eq!(errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), ["client_secret"]);
        assert!(errors[0].message.starts_with("Enter the Client Secret again"), "{errors:?}");
        assert!(parse_edit(&talkdesk, &typed("other", "typed"), None, &stored).is_ok());
        assert!(parse_edit(&talkdesk, &typed("ACME", ""), None, &stored).is_ok(), "it is the same account");
    }
}
