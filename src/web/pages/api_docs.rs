//! `/api/docs`: the API reference for people, generated from `/api/openapi.json`.

use std::sync::OnceLock;

use askama::Template;
use axum::{extract::State, response::Response};
use serde_json::Value;

use crate::web::{
    api,
    http::error::PageError,
    layout::{self, Layout},
    session::Visitor,
    state::WebState,
};

struct Description {
    groups: Vec<Group>,
    schemas: Vec<Schema>,
}

/// Operations on one kind of object.
struct Group {
    name: String,
    description: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    /// The key needs one of these scopes; if empty, any key is allowed.
    scopes: Vec<String>,
    parameters: Vec<Member>,
    /// The schema of the request body.
    body: Option<String>,
    answers: Vec<Reply>,
}

/// A possible response.
struct Reply {
    status: String,
    description: String,
    /// The schema of the response body.
    body: Option<String>,
}

struct Schema {
    name: String,
    description: String,
    members: Vec<Member>,
    /// The description of a type without members.
    words: String,
}

/// A member of a body, or a parameter.
struct Member {
    name: String,
    kind: String,
    required: bool,
    description: String,
}

#[derive(Template)]
#[template(path = "api_docs.html")]
struct ApiDocs {
    layout: Layout,
    /// The public URL of this installation.
    address: String,
    description: &'static Description,
}

/// `GET /api/docs`. Available to everyone, like the description.
pub(crate) async fn show(State(state): State<WebState>, visitor: Visitor) -> Result<Response, PageError> {
    static DESCRIPTION: OnceLock<Description> = OnceLock::new();
    let description = DESCRIPTION.get_or_init(|| {
        // Strings and maps always serialize.
        Description::of(&serde_json::to_value(api::described()).unwrap_or_default())
    });
    let address = state.settings.public_url.as_str().trim_end_matches('/').to_owned();
    layout::ok(&ApiDocs { layout: Layout::for_visitor(&state, Some(&visitor), "API reference"), address, description })
}

impl Description {
    fn of(api: &Value) -> Self {
        let mut groups: Vec<Group> = list(&api["tags"])
            .map(|tag| Group { name: text(&tag["name"]), description: sentence(&tag["description"]), operations: Vec::new() })
            .collect();
        for (path, item) in members(&api["paths"]) {
            for (method, operation) in members(item) {
                let group = groups.iter_mut().find(|group| operation["tags"][0] == group.name.as_str());
                if let Some(group) = group {
                    group.operations.push(Operation::of(path, method, operation));
                }
            }
        }
        let schemas = members(&api["components"]["schemas"]).map(|(name, schema)| Schema::of(name, schema)).collect();
        Self { groups, schemas }
    }
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value) -> Self {
        let scopes = list(&operation["security"]).flat_map(|one| list(&one["api_key"])).map(text).collect();
        let parameter = |parameter: &Value| Member {
            name: text(&parameter["name"]),
            kind: format!(
                "{} in {}",
                kind(&parameter["schema"]),
                if parameter["in"] == "query" { "the query" } else { in_words(parameter) }
            ),
            required: parameter["required"] == true,
            description: sentence(&parameter["description"]),
        };
        let reply = |(status, response): (&String, &Value)| Reply {
            status: if status == "default" { "other".to_owned() } else { status.clone() },
            description: sentence(&response["description"]),
            body: body_schema(&response["content"]),
        };
        Self {
            id: text(&operation["operationId"]),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(&operation["summary"]),
            description: sentence(&operation["description"]),
            scopes,
            parameters: list(&operation["parameters"]).map(parameter).collect(),
            body: body_schema(&operation["requestBody"]["content"]),
            answers: members(&operation["responses"]).map(reply).collect(),
        }
    }
}

fn in_words(parameter: &Value) -> &'static str {
    if parameter["in"] == "header" { "a header" } else { "the path" }
}

impl Schema {
    fn of(name: &str, schema: &Value) -> Self {
        let required: Vec<String> = list(&schema["required"]).map(text).collect();
        let member = |(name, member): (&String, &Value)| Member {
            name: name.clone(),
            kind: kind(member),
            required: required.contains(name),
            description: sentence(&member["description"]),
        };
        let members: Vec<Member> = members(&schema["properties"]).map(member).collect();
        let words = if members.is_empty() { kind(schema) } else { String::new() };
        Self { name: name.to_owned(), description: sentence(&schema["description"]), members, words }
    }
}

/// The name of the schema of a body.
fn body_schema(content: &Value) -> Option<String> {
    let (_, content) = members(content).next()?;
    let named = |schema: &Value| schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
    named(&content["schema"]).or_else(|| list(&content["schema"]["oneOf"]).find_map(named))
}

/// The type of a value in words.
fn kind(schema: &Value) -> String {
    if let Some(path) = schema["$ref"].as_str() {
        return path.rsplit('/').next().unwrap_or(path).to_owned();
    }
    if schema["oneOf"].is_array() {
        return list(&schema["oneOf"]).map(kind).collect::<Vec<_>>().join(" or ");
    }
    if schema["enum"].is_array() {
        return list(&schema["enum"]).map(text).collect::<Vec<_>>().join(", ");
    }
    let types: Vec<String> = match &schema["type"] {
        Value::String(one) => vec![one.clone()],
        several => list(several).map(text).collect(),
    };
    let words = types.iter().map(|one| match one.as_str() {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => format!("object of {}", kind(&schema["additionalProperties"])),
        other => schema["format"].as_str().filter(|_| other == "string").map_or(other.to_owned(), str::to_owned),
    });
    let mut words = words.collect::<Vec<_>>().join(" or ");
    let limits = [("minLength", "maxLength", "characters"), ("minimum", "maximum", ""), ("minItems", "maxItems", "entries")];
    for (least, most, unit) in limits {
        let (least, most) = (schema[least].as_u64(), schema[most].as_u64());
        let said = match (least, most) {
            (Some(least), Some(most)) => format!(", {least} to {most} {unit}"),
            (None, Some(most)) => format!(", at most {most} {unit}"),
            (Some(least), None) if least > 0 && !unit.is_empty() => format!(", at least {least} {unit}"),
            _ => continue,
        };
        words.push_str(said.trim_end());
    }
    words
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A description, which is Markdown, as plain text.
fn sentence(value: &Value) -> String {
    text(value).replace('`', "")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
