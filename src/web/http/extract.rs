//! Extractors: path parameters, and the only way to read a form.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use uuid::Uuid;

use super::error::PageError;
use crate::{
    domain::{connectors::Connector, resources::ResourceKind},
    web::state::WebState,
};

/// The fields of a checked form. They can be taken once.
#[derive(Clone)]
pub(crate) struct CheckedForm(Arc<Mutex<Option<Fields>>>);

impl CheckedForm {
    /// Only the CSRF middleware makes one.
    pub(crate) fn new(fields: Fields) -> Self {
        Self(Arc::new(Mutex::new(Some(fields))))
    }

    /// Takes the fields.
    pub(crate) fn take(&self) -> Option<Fields> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The kind of resource that `{kind}` of an address stands for; any other word is a page that does not exist.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind(pub(crate) ResourceKind);

impl FromRequestParts<WebState> for Kind {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let word = segment(parts, state, "kind").await?;
        ResourceKind::parse_plural(&word).map(Self).ok_or(PageError::NotFound)
    }
}

/// The path segment `{id}`. Anything that isn't an id gets 404.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) Uuid);

impl FromRequestParts<WebState> for Id {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let word = segment(parts, state, "id").await?;
        Uuid::try_parse(&word).map(Self).map_err(|_| PageError::NotFound)
    }
}

/// The steps of creating a resource: its kind, and the connector in `{connector}`, which must support that kind.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) kind: ResourceKind,
    pub(crate) connector: Arc<Connector>,
}

impl FromRequestParts<WebState> for Flow {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let Kind(kind) = Kind::from_request_parts(parts, state).await?;
        let id = segment(parts, state, "connector").await?;
        let connector = state.service.catalogue().get(&id).filter(|connector| connector.used_for.contains(&kind));
        connector.map(|connector| Self { kind, connector: Arc::clone(connector) }).ok_or(PageError::NotFound)
    }
}

async fn segment(parts: &mut Parts, state: &WebState, name: &str) -> Result<String, PageError> {
    let segments = RawPathParams::from_request_parts(parts, state).await.map_err(|_| PageError::NotFound)?;
    segments.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).ok_or(PageError::NotFound)
}

/// The fields of a form, in order. Has no `Debug`, because some of them are secret.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// Removes and returns the first value of a field; empty if there is none.
    pub(crate) fn take(&mut self, name: &str) -> String {
        let found = self.0.iter().position(|(field, _)| field == name);
        found.map(|index| self.0.remove(index).1).unwrap_or_default()
    }

    /// Removes and returns every value of a field.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        self.0.extract_if(.., |(field, _)| field == name).map(|(_, value)| value).collect()
    }

    /// Removes and returns an id. An error if it is missing, because every form of Keytile sends it.
    pub(crate) fn take_id(&mut self, name: &str) -> Result<Uuid, PageError> {
        Uuid::try_parse(&self.take(name)).map_err(|_| PageError::BadRequest)
    }

    /// The remaining fields.
    pub(crate) fn rest(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter()
    }
}

/// A form that can be read from its fields.
pub(crate) trait FromFields: Sized {
    /// Reads the form. Invalid input isn't an error here, but a form that no page sends is.
    fn from_fields(fields: Fields) -> Result<Self, PageError>;
}

/// The form of a request, after the check that a page of the session sent it.
pub(crate) struct Form<T>(pub(crate) T);

impl<T: FromFields> FromRequestParts<WebState> for Form<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, PageError> {
        let checked = parts.extensions.get::<CheckedForm>().and_then(CheckedForm::take);
        T::from_fields(checked.ok_or(PageError::BadRequest)?).map(Self)
    }
}

/// An id in a query; anything that isn't one counts as none, so that a shortened link still shows a page.
pub(crate) fn id_of(text: Option<&str>) -> Option<Uuid> {
    text.and_then(|text| Uuid::try_parse(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_taken_once_and_in_order() {
        let mut fields = Fields::read(b"name=A+%26+B&query_name=x&query_name=&query_name=z&draft=nonsense&rest=1");
        assert_eq!(fields.take("name"), "A & B");
        assert_eq!(fields.take("absent"), "");
        assert_eq!(fields.take_all("query_name"), ["x", "", "z"]);
        assert!(matches!(fields.take_id("draft"), Err(PageError::BadRequest)));
        let rest: Vec<_> = fields.rest().collect();
        assert_eq!(rest, [("rest".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn an_id_in_a_query_is_an_id_or_nothing() {
        assert_eq!(
            id_of(Some("01890000-0000-7000-8000-000000000001")),
            Uuid::try_parse("01890000-0000-7000-8000-000000000001").ok()
        );
        assert_eq!(id_of(Some("")), None);
        assert_eq!(id_of(None), None);
    }

    proptest! {
        #[test]
        fn any_body_is_read_and_each_field_is_given_once(
            body in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), "[a-c=&%+0-9]{0,60}".prop_map(String::into_bytes)],
        ) {
            let all: Vec<(String, String)> = Fields::read(&body).rest().collect();
            let mut fields = Fields::read(&body);
            let of = |name: &str| all.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone()).collect::<Vec<_>>();
            prop_assert_eq!(fields.take("a"), of("a").first().cloned().unwrap_or_default());
            prop_assert_eq!(fields.take_all("a").len(), of("a").len().saturating_sub(1));
            prop_assert_eq!(fields.take_all("b"), of("b"));
            prop_assert!(fields.rest().all(|(name, _)| name != "a" && name != "b"));
        }
    }
}
