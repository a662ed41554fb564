//! What older Spacks wrote is given today's form when it is read (`update` in Spack's `schema/*.py`). Files stay as they are.

use crate::value::{Data, Key, Mapping, Value};

/// Brings what a scope says under `section` up to date.
pub(crate) fn update(section: &str, value: &mut Value) {
    let Data::Mapping(mapping) = &mut value.data else { return };
    match section {
        "config" => {
            if let Some(linking) = mapping.get_mut("shared_linking") {
                shared_linking(linking);
            }
        }
        "packages" => {
            for (_, package) in mapping.iter_mut() {
                let Data::Mapping(package) = &mut package.data else { continue };
                if let Some(Value { data: Data::List(versions), .. }) = package.get_mut("version") {
                    versions.iter_mut().for_each(version);
                }
            }
        }
        _ => {}
    }
}

/// `shared_linking: rpath`.
fn shared_linking(value: &mut Value) {
    let Data::Text(kind) = &value.data else { return };
    let of = |data| Value { data, origin: value.origin.clone() };
    let key =
        |name: &str| Key { name: name.to_owned(), mark: Default::default(), origin: value.origin.clone() };
    let kind = of(Data::Text(kind.clone()));
    let entries = vec![(key("type"), kind), (key("bind"), of(Data::Boolean(false)))];
    value.data = Data::Mapping(Mapping::new(entries));
}

/// A version that YAML takes for a number.
fn version(value: &mut Value) {
    let text = match value.data {
        Data::Integer(number) => number.to_string(),
        Data::Float(number) => crate::dump::float(number),
        _ => return,
    };
    value.data = Data::Text(text);
}
