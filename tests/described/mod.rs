//! Whether JSON is as docs/json describes it, and has nothing that is described nowhere.

use jsonschema::Validator;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;

/// The folder of descriptions.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json");

/// Every description by its name.
pub struct Described(pub BTreeMap<String, Validator>);

impl Described {
    pub fn read() -> Self {
        let validator = |path: &std::path::Path| {
            let text = fs::read_to_string(path).expect("a description");
            let mut schema: Value = serde_json::from_str(&text).expect("JSON");
            close(&mut schema, false);
            jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let files = fs::read_dir(FOLDER).expect("docs/json").map(|entry| entry.expect("a file").path());
        let name = |path: &std::path::Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
        Self(files.map(|path| (name(&path), validator(&path))).collect())
    }

    /// Fails with what is wrong, where and of which value.
    pub fn check(&self, name: &str, value: &Value) {
        let validator = self.0.get(name).unwrap_or_else(|| panic!("docs/json has no {name}.json"));
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?} in {value:#}");
    }
}

/// Whoever reads what is printed passes over fields that he does not know; here there are none. One of several forms of an
/// object that has fields of its own is closed with it.
fn close(schema: &mut Value, is_form: bool) {
    let Value::Object(fields) = schema else { return };
    let is_object = fields.contains_key("properties");
    if is_object && !is_form {
        fields.insert("unevaluatedProperties".into(), false.into());
    }
    for (key, value) in fields.iter_mut() {
        match (key.as_str(), value) {
            // These are names, not words of a schema.
            ("properties" | "$defs", Value::Object(named)) => close_all(named),
            ("anyOf" | "oneOf", Value::Array(forms)) => {
                forms.iter_mut().for_each(|form| close(form, is_object));
            }
            ("items" | "additionalProperties", value) => close(value, false),
            _ => {}
        }
    }
}

fn close_all(named: &mut Map<String, Value>) {
    named.values_mut().for_each(|schema| close(schema, false));
}
