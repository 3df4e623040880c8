//! The escape hatch: spec.podTemplateOverlay over a pod template.
use serde_json::{Map, Value};

/// Objects are merged key by key; null takes a key away; lists of things with names are merged name by name; any
/// other value replaces what was there.
pub(super) fn merge(base: &mut Value, overlay: &Map<String, Value>) {
    let Value::Object(base) = base else { return };
    for (key, value) in overlay {
        match (base.get_mut(key), value) {
            (_, Value::Null) => {
                base.remove(key);
            }
            (Some(below @ Value::Object(_)), Value::Object(value)) => merge(below, value),
            (Some(Value::Array(below)), Value::Array(value)) if named(below) && named(value) => {
                merge_named(below, value);
            }
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

fn named(list: &[Value]) -> bool {
    list.iter().all(|it| it.get("name").is_some_and(Value::is_string))
}

fn merge_named(base: &mut Vec<Value>, overlay: &[Value]) {
    for item in overlay {
        match (base.iter_mut().find(|it| it["name"] == item["name"]), item) {
            (Some(below), Value::Object(item)) => merge(below, item),
            _ => base.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merges_by_key_and_by_name() {
        let mut base = json!({
            "metadata": {"labels": {"a": "1", "b": "2"}},
            "spec": {"containers": [{"name": "postgres", "image": "p"}], "tolerations": [{"key": "x"}]},
        });
        let overlay = json!({
            "metadata": {"labels": {"b": null, "c": "3"}},
            "spec": {
                "containers": [{"name": "postgres", "env": [{"name": "TZ", "value": "UTC"}]}, {"name": "sidecar"}],
                "tolerations": [{"key": "y"}],
            },
        });
        let Value::Object(overlay) = overlay else { unreachable!() };
        merge(&mut base, &overlay);
        let expected = json!({
            "metadata": {"labels": {"a": "1", "c": "3"}},
            "spec": {
                "containers": [
                    {"name": "postgres", "image": "p", "env": [{"name": "TZ", "value": "UTC"}]},
                    {"name": "sidecar"},
                ],
                "tolerations": [{"key": "y"}],
            },
        });
        assert_eq!(base, expected);
    }
}
