//! The types that describe a connector: its form, its token endpoint, its API and the endpoints it offers.
//!
//! See [`super`] for what a connector is. Values here come from a connector file that has passed every check.

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

/// The field that holds the OAuth 2.0 client identifier (RFC 6749 section 2.2).
pub const CLIENT_ID: &str = "client_id";
/// The field that holds the OAuth 2.0 client secret (RFC 6749 section 2.3.1).
pub const CLIENT_SECRET: &str = "client_secret";

/// What Keytile knows about one service.
#[derive(Debug, Clone)]
pub struct Connector {
    pub id: ConnectorId,
    /// The service's name, as the vendor writes it.
    pub name: String,
    /// One or two letters, shown on tiles.
    pub badge: String,
    /// What the service is, in a few words.
    pub summary: String,
    /// The kinds of resource it can be used for.
    pub used_for: Vec<ResourceKind>,
    /// The heading above its fields.
    pub section: String,
    /// The setup guide, in Markdown.
    pub guide: String,
    /// What a tile shows below a credential's name.
    pub account: Template,
    /// In the order of the form.
    pub fields: Vec<Field>,
    pub token: TokenEndpoint,
    pub api: Api,
    pub probe: Option<Probe>,
    /// The endpoints that Configure offers.
    pub endpoints: Vec<EndpointOffer>,
}

impl Connector {
    pub fn field(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.id.as_str() == id)
    }

    pub fn endpoints_for(&self, kind: ResourceKind) -> impl Iterator<Item = &EndpointOffer> {
        self.endpoints.iter().filter(move |endpoint| endpoint.used_for.contains(&kind))
    }

    /// The label of a field, or its id if the connector no longer has the field.
    pub fn label<'a>(&'a self, id: &'a FieldId) -> &'a str {
        self.field(id.as_str()).map_or(id.as_str(), |field| &field.label)
    }

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
    pub url: UrlTemplate,
    pub client_auth: Choice<ClientAuth>,
    /// Matters only for [`ClientAuth::Basic`].
    pub basic_encoding: Choice<BasicEncoding>,
    pub request_format: RequestFormat,
    /// The lifetime of a token in seconds, if the response has no `expires_in`.
    pub lifetime: u64,
    /// Parameters in addition to `grant_type` and, for [`ClientAuth::Body`], the client's own. A parameter
    /// whose template refers to an empty field is left out.
    pub params: Vec<(String, Template)>,
    /// Headers, with the same rule.
    pub headers: Vec<(String, Template)>,
}

/// Where the client id and secret go (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    Basic,
    Body,
}

/// How the client id and secret are encoded before base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BasicEncoding {
    /// As `application/x-www-form-urlencoded`, which RFC 6749 section 2.3.1 requires.
    Form,
    /// Not encoded (RFC 7617), for servers that don't decode.
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFormat {
    /// `application/x-www-form-urlencoded` in the body.
    Form,
    /// A JSON object in the body.
    Json,
    /// In the query string. Only for parameters that aren't secret.
    Query,
}

/// A setting that the connector fixes, or leaves to an `enum` field.
#[derive(Debug, Clone)]
pub enum Choice<T> {
    /// The same for every credential.
    Fixed(T),
    /// Chosen by the field; one entry for each of its options.
    ByField(FieldId, Vec<(String, T)>),
}

impl<T: Copy> Choice<T> {
    /// `None` if the field has no value, or one that isn't among its options.
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
    /// Paths are appended to it.
    pub base_url: UrlTemplate,
    /// The value of the `Authorization` header.
    pub authorization: Template,
    /// More headers for every request.
    pub headers: Vec<(String, Template)>,
    /// The status codes that mean the API rejected the token, so that a new token may help: 401, and for some
    /// services 403.
    pub token_refused: Vec<u16>,
}

/// A `GET` request that shows whether the API accepts a token.
#[derive(Debug, Clone)]
pub struct Probe {
    pub path: ApiPath,
    /// The `enum` field whose other options are tried if the API responds with 401.
    pub compare: Option<FieldId>,
}

/// An endpoint that Configure offers.
#[derive(Debug, Clone)]
pub struct EndpointOffer {
    /// The kinds of resource it can be used for.
    pub used_for: Vec<ResourceKind>,
    pub name: String,
    pub method: Method,
    pub path: ApiPath,
    /// Query parameters to start with.
    pub query: Vec<(String, String)>,
    /// An example body for Test, or empty.
    pub sample_body: String,
}
