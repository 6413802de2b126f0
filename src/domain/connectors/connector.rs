//! A connector: what Keytile knows about one service, read from a TOML file.
//!
//! Connectors are data. Nothing here, or anywhere in `src` outside the sandbox, knows a service by
//! name; whatever a service needs that others do not is a key of its file. [`mod@file`] reads the format,
//! [`template`] fills its texts, [`url_template`] its addresses, [`mod@format`] says what a field accepts.

use super::{
    context::Context,
    field::Field,
    template::Template,
    url_template::{RenderError, UrlTemplate},
};
use crate::domain::{
    credentials::values::FieldValues,
    ids::{ConnectorId, FieldId},
    resources::{ApiPath, Method, ResourceKind},
};

/// The field that holds the OAuth2 client identifier (RFC 6749 section 2.2).
pub const CLIENT_ID: &str = "client_id";
/// The field that holds the OAuth2 client secret (RFC 6749 section 2.3.1).
pub const CLIENT_SECRET: &str = "client_secret";

/// What Keytile knows about one service.
#[derive(Debug, Clone)]
pub struct Connector {
    /// Its id.
    pub id: ConnectorId,
    /// The service's name, as its makers write it.
    pub name: String,
    /// One or two letters that stand for it on tiles.
    pub badge: String,
    /// What the service is, in a few words.
    pub summary: String,
    /// What a resource of it can be.
    pub used_for: Vec<ResourceKind>,
    /// The heading over its fields.
    pub section: String,
    /// The setup guide, as Markdown.
    pub guide: String,
    /// What a tile shows below a credential's name.
    pub account: Template,
    /// Its fields, in the order of the form.
    pub fields: Vec<Field>,
    /// Where access tokens come from.
    pub token: TokenEndpoint,
    /// Where requests go.
    pub api: Api,
    /// A request that shows whether the API takes a token.
    pub probe: Option<Probe>,
    /// What Configure offers.
    pub endpoints: Vec<EndpointOffer>,
}

impl Connector {
    /// The field of this id.
    pub fn field(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.id.as_str() == id)
    }

    /// The endpoints offered for resources of a kind.
    pub fn endpoints_for(&self, kind: ResourceKind) -> impl Iterator<Item = &EndpointOffer> {
        self.endpoints.iter().filter(move |endpoint| endpoint.used_for.contains(&kind))
    }

    /// The label of a field, or its id where the connector has no such field any more.
    pub fn label<'a>(&'a self, id: &'a FieldId) -> &'a str {
        self.field(id.as_str()).map_or(id.as_str(), |field| &field.label)
    }

    /// The address that tokens are fetched from with these values.
    pub fn token_url(&self, values: &FieldValues) -> Result<url::Url, RenderError> {
        self.token.url.render(&Context::new(&self.fields, values))
    }

    /// What a tile shows below the credential's name.
    pub fn account_of(&self, values: &FieldValues) -> String {
        self.account.render_plain(&Context::new(&self.fields, values))
    }
}

/// Where and how access tokens are fetched (RFC 6749 section 4.4).
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    /// Its address.
    pub url: UrlTemplate,
    /// Where the client id and secret go.
    pub client_auth: Choice<ClientAuth>,
    /// How they are encoded in an `Authorization: Basic` header.
    pub basic_encoding: Choice<BasicEncoding>,
    /// How the parameters are sent.
    pub request_format: RequestFormat,
    /// The lifetime of a token in seconds, where the answer has no `expires_in`.
    pub lifetime: u64,
    /// Parameters beside `grant_type`, and the client's where it goes into the body. A parameter whose
    /// template names an empty field is left out.
    pub params: Vec<(String, Template)>,
    /// Headers, likewise.
    pub headers: Vec<(String, Template)>,
}

/// Where the client id and secret go (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// In an `Authorization: Basic` header.
    Basic,
    /// In the parameters.
    Body,
}

/// How client id and secret are encoded before base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BasicEncoding {
    /// As `application/x-www-form-urlencoded`, which RFC 6749 section 2.3.1 asks for.
    Form,
    /// As they are (RFC 7617), for servers that do not decode.
    Raw,
}

/// How the parameters of a token request are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFormat {
    /// `application/x-www-form-urlencoded` in the body.
    Form,
    /// A JSON object in the body.
    Json,
    /// In the query; for parameters that are no secret.
    Query,
}

/// A setting that the connector fixes, or leaves to an `enum` field.
#[derive(Debug, Clone)]
pub enum Choice<T> {
    /// Fixed in the file.
    Fixed(T),
    /// Chosen by the field, one entry for each of its options.
    ByField(FieldId, Vec<(String, T)>),
}

impl<T: Copy> Choice<T> {
    /// The setting that these values choose; `None` if the field holds none of its options.
    pub fn choose(&self, context: &Context<'_>) -> Option<T> {
        match self {
            Self::Fixed(value) => Some(*value),
            Self::ByField(field, options) => {
                let chosen = context.value(field.as_str())?;
                options.iter().find(|(option, _)| option == chosen).map(|(_, value)| *value)
            }
        }
    }
}

/// Where requests go and how they are authorised.
#[derive(Debug, Clone)]
pub struct Api {
    /// What paths are appended to.
    pub base_url: UrlTemplate,
    /// The value of the `Authorization` header.
    pub authorization: Template,
    /// More headers of each request.
    pub headers: Vec<(String, Template)>,
    /// The status codes with which it says that it does not take the token, so that another one may help: 401, and of
    /// some services 403 as well.
    pub token_refused: Vec<u16>,
}

/// A request that shows whether the API takes a token: a `GET` of a path.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The path.
    pub path: ApiPath,
    /// The `enum` field whose other options are tried when the API answers 401.
    pub compare: Option<FieldId>,
}

/// An endpoint that Configure offers.
#[derive(Debug, Clone)]
pub struct EndpointOffer {
    /// What a resource of it can be.
    pub used_for: Vec<ResourceKind>,
    /// What people call it.
    pub name: String,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: ApiPath,
    /// Query parameters it begins with.
    pub query: Vec<(String, String)>,
    /// A body to try it with, or an empty text.
    pub sample_body: String,
}
