//! A JSON Schema of a connector's fields. Whatever the schema accepts, the form accepts too. The form accepts more:
//! it trims spaces, and extracts the account from a pasted URL.

use serde_json::{Map, Value, json};

use crate::domain::connectors::{Connector, Field, format::FieldFormat};

/// Text on a single line.
const LINE: &str = r"^[^\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069\uFEFF]*$";
/// A host name, or one label of it.
const LABEL: &str = "^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$";
const HOST: &str =
    r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\.[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$";

/// The schema of the `fields` of a credential (JSON Schema draft 2020-12).
pub(in crate::web::api) fn fields_schema(connector: &Connector) -> Value {
    let properties: Map<String, Value> = connector.fields.iter().map(|field| (field.id.to_string(), property(field))).collect();
    let is_required = |field: &&Field| !field.optional && field.default.is_none();
    let required: Vec<&str> = connector.fields.iter().filter(is_required).map(|field| field.id.as_str()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(field: &Field) -> Value {
    let mut schema = Map::new();
    let mut put = |name: &str, value: Value| drop(schema.insert(name.to_owned(), value));
    put("type", "string".into());
    put("title", field.label.clone().into());
    if !field.help.is_empty() {
        put("description", field.help.clone().into());
    }
    if !field.optional && field.default.is_none() {
        put("minLength", 1.into());
    }
    match field.format {
        FieldFormat::Text => {
            put("maxLength", field.max_length.into());
            // A required field must contain more than spaces.
            put("pattern", if field.optional || field.default.is_some() { LINE } else { REQUIRED_LINE }.into());
        }
        FieldFormat::DnsLabel => {
            put("maxLength", 63.into());
            put("pattern", LABEL.into());
        }
        FieldFormat::Host => {
            put("maxLength", field.max_length.min(253).into());
            put("pattern", HOST.into());
        }
        FieldFormat::HttpsUrl => {
            put("maxLength", field.max_length.into());
            put("format", "uri".into());
            put("pattern", "^https://".into());
        }
        FieldFormat::Uuid => put("format", "uuid".into()),
        FieldFormat::Digits => {
            put("maxLength", field.max_length.into());
            put("pattern", "^[0-9]+$".into());
        }
        FieldFormat::Enum => {
            let options = field.options.iter().map(|option| json!({ "const": option.id, "title": option.label }));
            put("oneOf", options.collect());
        }
    }
    if let Some(default) = &field.default {
        put("default", default.clone().into());
    }
    if !field.example.is_empty() {
        put("examples", json!([field.example]));
    }
    if field.secret {
        put("writeOnly", true.into());
    }
    schema.into()
}

/// The same with at least one visible character.
const REQUIRED_LINE: &str = r"^[^\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069\uFEFF]*\S[^\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069\uFEFF]*$";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::connectors::file;

    #[test]
    fn every_field_is_in_it_as_the_form_takes_it() {
        let connector = file::read("test.toml", include_str!("../../../../connectors/talkdesk.toml")).unwrap().connector;
        let schema = fields_schema(&connector);
        let names: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, connector.fields.iter().map(|field| field.id.as_str()).collect::<Vec<_>>());
        assert_eq!(schema["required"], json!(["client_id", "client_secret", "account_name"]));
        let secret = &schema["properties"]["client_secret"];
        assert_eq!((&secret["writeOnly"], &secret["minLength"]), (&json!(true), &json!(1)));
        assert_eq!(schema["properties"]["client_id"].get("writeOnly"), None);
        assert_eq!(schema["properties"]["region"]["default"], "us");
        assert_eq!(schema["properties"]["region"]["oneOf"][0]["const"], "us");
        assert_eq!(schema["properties"]["account_name"]["maxLength"], 63);
    }
}
