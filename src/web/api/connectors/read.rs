//! Listing and reading connectors.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::fields_schema::fields_schema;
use crate::{
    domain::connectors::{Connector, EndpointOffer},
    web::{
        api::{
            caller::ApiCaller,
            problems::no_such,
            resources::bodies::{KindWord, MethodWord, ParameterBody},
        },
        http::problem::Problem,
        state::WebState,
    },
};

/// A connector in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectorSummary {
    /// The connector's id.
    id: String,
    /// The service's name.
    name: String,
    /// What the service is, in a few words.
    summary: String,
    /// The kinds of resource it can be used for.
    used_for: Vec<KindWord>,
}

/// All connectors.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectorList {
    /// The connectors.
    items: Vec<ConnectorSummary>,
    /// Always null, because the list has only one page.
    next_cursor: Option<String>,
}

/// A connector with its fields.
#[derive(Serialize, ToSchema)]
#[schema(as = Connector)]
pub(crate) struct ConnectorBody {
    /// The connector's id.
    id: String,
    /// The service's name.
    name: String,
    /// What the service is, in a few words.
    summary: String,
    /// The kinds of resource it can be used for.
    used_for: Vec<KindWord>,
    /// A JSON Schema (2020-12) for the `fields` of a credential. Fields with `writeOnly` are secret.
    #[schema(value_type = Object)]
    fields_schema: serde_json::Value,
    /// The endpoints it offers.
    endpoints: Vec<OfferBody>,
    /// Where to find the values, as Markdown.
    guide: String,
}

/// An endpoint that a connector offers.
#[derive(Serialize, ToSchema)]
#[schema(as = EndpointOffer)]
pub(crate) struct OfferBody {
    /// Its name, to use as the `offer` of an endpoint.
    name: String,
    /// The kinds of resource it can be used for.
    used_for: Vec<KindWord>,
    /// Its method.
    method: MethodWord,
    /// Its path.
    path: String,
    /// Its initial query parameters.
    query: Vec<ParameterBody>,
}

fn summary(connector: &Connector) -> ConnectorSummary {
    ConnectorSummary {
        id: connector.id.to_string(),
        name: connector.name.clone(),
        summary: connector.summary.clone(),
        used_for: connector.used_for.iter().map(|kind| KindWord::from(*kind)).collect(),
    }
}

fn offer(offer: &EndpointOffer) -> OfferBody {
    OfferBody {
        name: offer.name.clone(),
        used_for: offer.used_for.iter().map(|kind| KindWord::from(*kind)).collect(),
        method: offer.method.into(),
        path: offer.path.as_str().to_owned(),
        query: offer.query.iter().cloned().map(ParameterBody::from).collect(),
    }
}

/// Lists connectors
#[utoipa::path(
    get, path = "/api/v1/connectors", operation_id = "list_connectors", tag = "connectors",
    responses((status = 200, description = "All connectors.", body = ConnectorList)),
)]
pub(crate) async fn list(State(state): State<WebState>, _: ApiCaller) -> Response {
    let items = state.service.catalogue().all().iter().map(|connector| summary(connector)).collect();
    Json(ConnectorList { items, next_cursor: None }).into_response()
}

/// Reads a connector
///
/// Includes a JSON Schema for the fields of its credentials.
#[utoipa::path(
    get, path = "/api/v1/connectors/{id}", operation_id = "read_connector", tag = "connectors",
    params(("id" = String, Path, description = "The connector.")),
    responses((status = 200, description = "The connector.", body = ConnectorBody)),
)]
pub(crate) async fn read(
    State(state): State<WebState>,
    _: ApiCaller,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|_| no_such("connector"))?;
    let connector = state.service.catalogue().get(&id).ok_or_else(|| no_such("connector"))?;
    let ConnectorSummary { id, name, summary, used_for } = summary(connector);
    let endpoints = connector.endpoints.iter().map(offer).collect();
    let (fields_schema, guide) = (fields_schema(connector), connector.guide.clone());
    Ok(Json(ConnectorBody { id, name, summary, used_for, fields_schema, endpoints, guide }).into_response())
}
