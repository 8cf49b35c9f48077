//! The description of the JSON API (OpenAPI 3.1).

use axum::Json;
use serde_json::{Map, Value, json};

/// Method, path, what it does, the envelope's field, fields of the body.
const OPERATIONS: [(&str, &str, &str, &str, &[&str]); 17] = [
    ("get", "/systems", "All systems", "systems", &[]),
    ("get", "/systems/{system}/versions", "The versions of a system, oldest first", "versions", &[]),
    (
        "post",
        "/systems/{system}/roll-back",
        "Let the known-good version answer, after verifying it",
        "done",
        &["why"],
    ),
    (
        "get",
        "/incidents",
        "Incidents, newest first; `state=all` for closed ones too, `system` for one system's",
        "incidents",
        &[],
    ),
    ("get", "/incidents/{id}", "One incident", "incident", &[]),
    ("post", "/incidents/{id}/close", "Close an incident", "done", &["why"]),
    ("post", "/incidents/{id}/steps/{step}/apply", "Put a containment step in force", "done", &[]),
    ("post", "/incidents/{id}/steps/{step}/undo", "Take a containment step out of force", "done", &[]),
    ("get", "/reviews", "Diverted decisions that wait; `state=all` for decided ones too", "reviews", &[]),
    ("get", "/reviews/{id}", "One diverted decision", "review", &[]),
    (
        "post",
        "/reviews/{id}/decide",
        "Decide and release: ruling is release, answer or reject",
        "done",
        &["ruling", "answer", "note"],
    ),
    ("get", "/batches", "Batches of training data and where they stand", "batches", &[]),
    (
        "get",
        "/batches/{system}/{batch}",
        "One batch: what was decided about its rows, and the rows most worth a look",
        "batch",
        &[],
    ),
    (
        "post",
        "/batches/{system}/{batch}/decide",
        "A signed-in person lets a batch through or throws it out, as `digest` and `rulings` say they saw it: ruling \
         is approve or reject",
        "done",
        &["ruling", "note", "digest", "rulings"],
    ),
    ("get", "/exchanges", "The last exchanges, without what callers sent", "exchanges", &[]),
    ("get", "/audit", "The last lines of the audit log", "audit", &[]),
    ("get", "/keys", "API keys, without secrets and hashes", "keys", &[]),
];

pub(crate) async fn show() -> Json<Value> {
    Json(document())
}

fn document() -> Value {
    let mut paths = Map::new();
    for (method, path, summary, field, fields) in OPERATIONS {
        let place = paths.entry(format!("/api/v1{path}")).or_insert_with(|| json!({}));
        place[method] = operation(path, summary, field, fields);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "mantlet console", "version": env!("CARGO_PKG_VERSION"),
                  "description": "What the console shows and does. Answers carry `version`; it grows when a field changes its meaning or goes away." },
        "paths": paths,
        "security": [{ "key": [] }, { "session": [], "form": [] }],
        "components": {
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": "An API key with the scope `manage`." },
                "session": { "type": "apiKey", "in": "cookie", "name": "mantlet_session" },
                "form": { "type": "apiKey", "in": "header", "name": "X-Form-Token", "description": "The session's form token, for changes." },
            },
            "schemas": {
                "Fault": { "type": "object", "required": ["error", "detail"],
                           "properties": { "error": { "type": "string" }, "detail": { "type": "string" } } },
            },
            "responses": {
                "Fault": { "description": "Not done, and why",
                           "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Fault" } } } },
            },
        },
    })
}

fn operation(path: &str, summary: &str, field: &str, fields: &[&str]) -> Value {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let plural =
        matches!(field, "systems" | "versions" | "incidents" | "reviews" | "batches" | "exchanges" | "keys");
    let kind = match field {
        "done" => "boolean",
        _ if plural => "array",
        _ => "object",
    };
    let fault = || json!({ "$ref": "#/components/responses/Fault" });
    let mut operation = json!({
        "summary": summary,
        "operationId": path.split('/').filter(|part| !part.is_empty() && !part.starts_with('{')).collect::<Vec<_>>().join("-")
            + if path.ends_with('}') { "-one" } else { "" },
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done", "content": { "application/json": { "schema": {
                "type": "object", "required": ["version", field],
                "properties": { "version": { "const": 1 }, field: { "type": kind } },
            } } } },
            "401": fault(), "403": fault(), "404": fault(), "409": fault(), "500": fault(),
        },
    });
    if !fields.is_empty() {
        let properties: Map<String, Value> =
            fields.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
        let required = &fields[..1];
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": {
            "type": "object", "required": required, "properties": properties,
        } } } });
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_once() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let ids: Vec<&Value> = paths
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
            .map(|op| &op["operationId"])
            .collect();
        let mut names: Vec<&str> = ids.iter().map(|id| id.as_str().unwrap()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!((names.len(), count), (OPERATIONS.len(), OPERATIONS.len()));
    }
}
