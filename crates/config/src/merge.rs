//! How the value of one scope goes over that of the scopes below (`merge_yaml` in Spack's `schema/__init__.py`).

use crate::value::{Data, Key, Mapping, Mark, Value};

/// `over` on top of `below`: mappings are merged key by key, what is new coming first; lists are put before; everything else
/// replaces.
pub(crate) fn merge(below: Value, over: Value) -> Value {
    let origin = over.origin;
    match (below.data, over.data) {
        (Data::List(below), Data::List(mut items)) => {
            // As Spack: what is in both is kept once, where the higher scope has it.
            let rest: Vec<Value> =
                below.into_iter().filter(|item| !items.iter().any(|known| same(known, item))).collect();
            items.extend(rest);
            Value { data: Data::List(items), origin }
        }
        (Data::Mapping(below), Data::Mapping(over)) => {
            Value { data: Data::Mapping(merge_mappings(below, over)), origin }
        }
        (_, data) => Value { data, origin },
    }
}

fn merge_mappings(mut below: Mapping, over: Mapping) -> Mapping {
    let mut entries: Vec<(Key, Value)> = Vec::new();
    for (key, value) in over.into_entries() {
        let value = match (below.remove(&key.name), key.mark) {
            (None, _) | (_, Mark::Replace) => value,
            (Some((_, lower)), Mark::Merge) => merge(lower, value),
            (Some((_, lower)), mark) => concatenate(lower, value, mark),
        };
        entries.push((key, value));
    }
    entries.extend(below.into_entries());
    Mapping::new(entries)
}

/// `key+:` and `key-:` join strings; `key-:` puts lists after.
fn concatenate(below: Value, over: Value, mark: Mark) -> Value {
    match (&below.data, &over.data, mark) {
        (Data::Text(low), Data::Text(high), Mark::Prepend) => {
            Value { data: Data::Text(format!("{high}{low}")), origin: over.origin }
        }
        (Data::Text(low), Data::Text(high), Mark::Append) => {
            Value { data: Data::Text(format!("{low}{high}")), origin: over.origin }
        }
        (Data::List(low), Data::List(high), Mark::Append) => {
            let rest = low.iter().filter(|item| !high.iter().any(|known| same(known, item)));
            let items = rest.chain(high).cloned().collect();
            Value { data: Data::List(items), origin: over.origin }
        }
        _ => merge(below, over),
    }
}

/// Whether two values say the same, wherever they are written.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (&a.data, &b.data) {
        (Data::Null, Data::Null) => true,
        (Data::Boolean(a), Data::Boolean(b)) => a == b,
        (Data::Integer(a), Data::Integer(b)) => a == b,
        (Data::Float(a), Data::Float(b)) => a == b,
        (Data::Text(a), Data::Text(b)) => a == b,
        (Data::List(a), Data::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Data::Mapping(a), Data::Mapping(b)) => {
            a.iter().count() == b.iter().count()
                && a.iter().all(|(key, value)| b.get(&key.name).is_some_and(|other| same(value, other)))
        }
        _ => false,
    }
}
