//! The token request of the client credentials grant (RFC 6749 section 4.4.2), as a connector describes it.

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{
    Method, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::encodings::{form_pair, raw_pair};
use crate::{
    domain::{
        connectors::{
            BasicEncoding, CLIENT_ID, CLIENT_SECRET, Choice, ClientAuth, Connector, FieldId, RequestFormat, context::Context,
            template::Template,
        },
        credentials::values::FieldValues,
    },
    upstream::{client::exchange::Outgoing, diagnosis::diagnose::InputFault},
};

/// The `User-Agent` of Keytile's own requests.
pub(in crate::upstream) const AGENT: &str = concat!("keytile/", env!("CARGO_PKG_VERSION"));

/// Builds the request, or names the field that prevents it.
pub(in crate::upstream) fn token_request(connector: &Connector, values: &FieldValues) -> Result<Outgoing, InputFault> {
    let context = Context::new(&connector.fields, values);
    let endpoint = &connector.token;
    let mut url = endpoint.url.render(&context)?;
    refuse_user_information(&url, &endpoint.url.host_fields())?;
    let id = required(&context, connector, CLIENT_ID)?;
    let secret = required(&context, connector, CLIENT_SECRET)?;
    let mut headers = own_headers();
    let mut params: Vec<(&str, Zeroizing<String>)> = vec![("grant_type", Zeroizing::new("client_credentials".into()))];
    match choose(&endpoint.client_auth, &context)? {
        ClientAuth::Basic => {
            let pair = match choose(&endpoint.basic_encoding, &context)? {
                BasicEncoding::Form => form_pair(id, secret),
                BasicEncoding::Raw => raw_pair(id, secret),
            };
            let value = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())));
            headers.insert(AUTHORIZATION, header_value(&value, CLIENT_SECRET)?);
        }
        ClientAuth::Body => {
            params.push((CLIENT_ID, Zeroizing::new(id.into())));
            params.push((CLIENT_SECRET, Zeroizing::new(secret.into())));
        }
    }
    for (name, template) in &endpoint.params {
        if let Some(value) = template.render(&context).filter(|value| !value.expose_secret().is_empty()) {
            params.push((name, Zeroizing::new(value.expose_secret().to_owned())));
        }
    }
    add_headers(&mut headers, &endpoint.headers, &context)?;
    let body = match endpoint.request_format {
        RequestFormat::Form => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(params.iter().map(|(name, value)| (name, value.as_str())));
            form.finish().into_bytes()
        }
        RequestFormat::Json => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let object = params.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
            serde_json::Value::Object(object.collect()).to_string().into_bytes()
        }
        RequestFormat::Query => {
            url.query_pairs_mut().extend_pairs(params.iter().map(|(name, value)| (name, value.as_str())));
            Vec::new()
        }
    };
    Ok(Outgoing { method: Method::POST, url, headers, body })
}

/// The headers of every request that Keytile makes itself.
pub(in crate::upstream) fn own_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers
}

/// Adds a connector's headers. A header whose template uses an empty field is left out.
pub(in crate::upstream) fn add_headers(
    headers: &mut HeaderMap,
    templates: &[(String, Template)],
    context: &Context<'_>,
) -> Result<(), InputFault> {
    for (name, template) in templates {
        let Some(value) = template.render(context).filter(|value| !value.expose_secret().is_empty()) else { continue };
        let field = template.references().find_map(|reference| reference.field()).map_or(CLIENT_SECRET, FieldId::as_str);
        // The connector loader only accepts valid header names.
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, header_value(value.expose_secret(), field)?);
        }
    }
    Ok(())
}

/// A header value marked sensitive, so that debug output hides it.
pub(in crate::upstream) fn header_value(text: &str, field: &str) -> Result<HeaderValue, InputFault> {
    let mut value = HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| blamed(field, "Remove the control characters: they cannot be sent in a header.".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Refuses a user name in a URL, because it would be sent as an `Authorization` header.
pub(in crate::upstream) fn refuse_user_information(url: &Url, fields: &[FieldId]) -> Result<(), InputFault> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    let field = fields.first().map_or(CLIENT_ID, FieldId::as_str);
    Err(blamed(field, "Remove the user name and password from the address.".into()))
}

fn required<'a>(context: &Context<'a>, connector: &Connector, field: &str) -> Result<&'a str, InputFault> {
    let label = || connector.field(field).map_or(field, |field| &field.label);
    context.value(field).ok_or_else(|| blamed(field, format!("Enter the {}.", label())))
}

fn choose<T: Copy>(choice: &Choice<T>, context: &Context<'_>) -> Result<T, InputFault> {
    choice.choose(context).ok_or_else(|| match choice {
        Choice::ByField(field, _) => InputFault { field: Some(field.clone()), reason: "Choose one of the options.".into() },
        // A fixed setting always has a value.
        Choice::Fixed(_) => blamed(CLIENT_ID, "The connector's setting is incomplete.".into()),
    })
}

fn blamed(field: &str, reason: String) -> InputFault {
    InputFault { field: FieldId::new(field), reason }
}
