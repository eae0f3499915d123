//! The JSON files beside a model that say something of its tensors: what an index says of their bytes, and a configuration of
//! how many layers there are and of which type.

use crate::tensor::Dtype;
use serde_json::Value;

/// Longer files are none of these.
pub const SIDE_FILE_MAX: u64 = 64 << 20;

/// An index of shards that says so many bytes in all; `None` if it says nothing of that.
pub fn index_of(bytes: &[u8], total: u64) -> Option<Vec<u8>> {
    edited(bytes, |json| {
        let size = json.get_mut("metadata")?.get_mut("total_size")?;
        (*size != total).then(|| *size = total.into())
    })
}

/// A configuration of so many layers, and of this type; `None` if it says so already, or nothing of either.
pub fn configuration_of(bytes: &[u8], layers: Option<u64>, dtype: Option<Dtype>) -> Option<Vec<u8>> {
    edited(bytes, |json| {
        let map = json.as_object_mut()?;
        let layers = layers.map(Value::from);
        let dtype = dtype.and_then(torch_name).map(Value::from);
        let fields = [
            ("num_hidden_layers", &layers),
            ("n_layer", &layers),
            ("torch_dtype", &dtype),
            ("dtype", &dtype),
        ];
        let mut changed = false;
        for (name, value) in fields {
            if let (Some(field), Some(value)) = (map.get_mut(name), value)
                && field != value
            {
                *field = value.clone();
                changed = true;
            }
        }
        changed.then_some(())
    })
}

fn torch_name(dtype: Dtype) -> Option<&'static str> {
    match dtype {
        Dtype::F16 => Some("float16"),
        Dtype::Bf16 => Some("bfloat16"),
        Dtype::F32 => Some("float32"),
        Dtype::F64 => Some("float64"),
        _ => None,
    }
}

fn edited(bytes: &[u8], edit: impl FnOnce(&mut Value) -> Option<()>) -> Option<Vec<u8>> {
    let mut json: Value = serde_json::from_slice(bytes).ok()?;
    edit(&mut json)?;
    let mut text = serde_json::to_vec_pretty(&json).ok()?;
    if bytes.ends_with(b"\n") {
        text.push(b'\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_written() {
        let config = b"{\n  \"a\": 1,\n  \"num_hidden_layers\": 2,\n  \"torch_dtype\": \"float32\"\n}\n";
        let made = configuration_of(config, Some(5), Some(Dtype::Bf16)).expect("changed");
        assert_eq!(
            made,
            b"{\n  \"a\": 1,\n  \"num_hidden_layers\": 5,\n  \"torch_dtype\": \"bfloat16\"\n}\n"
        );
        assert_eq!(configuration_of(config, Some(2), Some(Dtype::F32)), None);
        assert_eq!(configuration_of(b"[1]", Some(2), None), None);
        assert_eq!(configuration_of(b"no JSON", Some(2), None), None);
        let index = br#"{"metadata":{"total_size":8},"weight_map":{}}"#;
        assert!(
            index_of(index, 4)
                .is_some_and(|made| String::from_utf8_lossy(&made).contains("\"total_size\": 4"))
        );
        assert_eq!(index_of(index, 8), None);
    }
}
