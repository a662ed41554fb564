//! Nodes as every version of the format has them, in specs, databases and lockfiles.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use strata_spec::dag::DependencyTypes;
use strata_spec::dag_hash::{Recomputed, Verified, recompute, verify};
use strata_spec::{ConcreteSpec, Database, Lockfile, NodeSource, format};

const APP: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const ZLIB: &str = "6mhn66ae67iweh46tg4uhwn247xusqdu";
const BUILD_HASH: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn architecture() -> Value {
    let target = json!({"name": "zen2", "vendor": "AuthenticAMD", "features": ["avx2", "bmi2"], "generation": 0, "parents": ["zen"]});
    json!({"platform": "linux", "platform_os": "ubuntu20.04", "target": target})
}

/// A node as versions 2 to 4 have it, but for its edges.
fn node(name: &str, hash: &str, dependencies: Value) -> Value {
    json!({
        "name": name, "version": "1.0", "arch": architecture(), "compiler": {"name": "gcc", "version": "9.4.0"},
        "namespace": "builtin", "parameters": {"build_system": "generic", "shared": true}, "dependencies": dependencies,
        "hash": hash
    })
}

fn spec(version: u32, nodes: &[Value]) -> ConcreteSpec {
    let json = json!({"_meta": {"version": version}, "nodes": nodes}).to_string();
    ConcreteSpec::parse(&RawValue::from_string(json).unwrap()).unwrap()
}

#[test]
fn specs_of_formats_2_to_4_have_their_compiler_as_an_attribute() {
    let by_type = json!([{"name": "zlib", "hash": ZLIB, "type": ["build", "link"]}]);
    let by_parameters = json!([
        {"name": "zlib", "hash": ZLIB, "parameters": {"deptypes": ["build", "link"], "virtuals": ["zlib-api"]}}
    ]);
    for (version, edges) in [(2, &by_type), (3, &by_type), (4, &by_parameters)] {
        let spec = spec(version, &[node("app", APP, edges.clone()), node("zlib", ZLIB, json!([]))]);
        let root = spec.root();
        assert_eq!(root.original_format, version);
        let compiler = root.compiler.as_ref().unwrap();
        assert_eq!((&*compiler.name, &*compiler.version), ("gcc", "9.4.0"));
        assert_eq!(root.dependencies[0].types, DependencyTypes::BUILD | DependencyTypes::LINK);
        assert_eq!(root.dependencies[0].virtuals.is_empty(), version < 4);
        assert_eq!(root.architecture.target, "zen2");
    }
}

#[test]
fn edges_that_name_build_hashes_lead_to_the_nodes() {
    let edges = json!([{"name": "zlib", "build_hash": BUILD_HASH, "type": ["link"]}]);
    let mut zlib = node("zlib", ZLIB, json!([]));
    zlib["build_hash"] = BUILD_HASH.into();
    let spec = spec(2, &[node("app", APP, edges), zlib]);
    let edge = &spec.root().dependencies[0];
    assert_eq!(spec.node(&edge.hash).unwrap().name, "zlib");
    assert_eq!(recompute(spec.root()).unwrap(), Recomputed::Unknowable { original_format: 2 });
}

#[test]
fn hashes_of_format_4_are_of_the_node_as_it_is_written() {
    // Computed with Python's json and hashlib: with `indent=2`, and compact.
    for hash in ["4nfipv5t6c5bfimjlitymynon2cstoqo", "gj7o4b7kzl3zoutplqj7zpvzswa25lo6"] {
        let tool = json!({
            "name": "café-tool", "version": "1.0", "arch": architecture(),
            "compiler": {"name": "gcc", "version": "9.4.0"}, "namespace": "builtin",
            "parameters": {"build_system": "generic", "cflags": ["-O2"]}, "package_hash": "wtnj3ytl====",
            "dependencies": [{
                "name": "zlib", "hash": ZLIB,
                "parameters": {"deptypes": ["build", "link"], "virtuals": ["zlib-api"]}
            }],
            "hash": hash
        });
        let spec = spec(4, &[tool, node("zlib", ZLIB, json!([]))]);
        assert_eq!(verify([spec.root()]), Verified { right: 1, ..Verified::default() });
    }
}

#[test]
fn a_spliced_spec_ends_as_the_one_it_was_made_from() {
    let build_spec = "a5tusirloa4jrznljtmul5gfqj73u3hw";
    let app = json!({
        // In another order than Spack's, which does not matter.
        "hash": "nhlvg7krzswom6bsxu3fcn52pj73u3hw", "version": "2.0", "name": "app",
        "parameters": {"cflags": [], "shared": "True", "build_system": "generic"},
        "arch": {"platform_os": "debian12", "platform": "linux", "target": architecture()["target"]},
        "namespace": "builtin", "package_hash": "abc====",
        "dependencies": [{"name": "zlib", "hash": ZLIB,
            "parameters": {"virtuals": ["zlib-api"], "deptypes": ["link", "build"]}}],
        "build_spec": {"name": "app", "hash": build_spec}, "annotations": {"original_specfile_version": 5}
    });
    let spec = spec(5, &[app, node("app", build_spec, json!([])), node("zlib", ZLIB, json!([]))]);
    assert_eq!(spec.root().build_spec.as_ref().unwrap().as_str(), build_spec);
    assert_eq!(verify([spec.root()]), Verified { right: 1, ..Verified::default() });
}

#[test]
fn a_node_says_what_it_was_before_it_was_converted() {
    let mut app = node("app", APP, json!([]));
    app.as_object_mut().unwrap().remove("compiler");
    app["annotations"] = json!({"original_specfile_version": 4, "compiler": "gcc@=9.4.0"});
    let spec = spec(5, &[app]);
    assert_eq!(spec.root().original_format, 4);
    assert_eq!(spec.root().compiler.as_ref().unwrap().version, "9.4.0");
    assert_eq!(recompute(spec.root()).unwrap(), Recomputed::Unknowable { original_format: 4 });
    assert_eq!(verify([spec.root()]), Verified { unknowable: 1, ..Verified::default() });
    let template: format::Template = "{specfile_version} {%compiler} {compilers}".parse().unwrap();
    assert_eq!(template.render(spec.root(), &Database::default()).unwrap(), "v4 %gcc@=9.4.0  %gcc@=9.4.0");
}

#[test]
fn externals_come_with_modules_and_attributes() {
    let external = |value: Value| {
        let mut app = node("app", APP, json!([]));
        app["external"] = value;
        spec(5, &[app]).root().external.clone()
    };
    let found =
        external(json!({"path": "/usr", "module": ["gcc/12"], "extra_attributes": {"x": 1}})).unwrap();
    assert_eq!((found.path.as_deref(), &*found.modules), (Some("/usr"), &["gcc/12".to_owned()][..]));
    assert_eq!(found.extra_attributes["x"], 1);
    assert!(external(json!({"path": null, "module": ["gcc/12"]})).unwrap().path.is_none());
    assert!(external(json!({"path": "/usr", "module": false})).unwrap().modules.is_empty());
    assert_eq!(external(json!({"path": null, "module": null})), None, "nothing makes it external");
}

/// Nodes as version 1 has them: under their name, with edges by name and without a hash.
fn version_1(dependency: &str) -> (Value, Value) {
    let bare = |name: &str, edges: Value| {
        let mut node = node(name, APP, edges);
        let object = node.as_object_mut().unwrap();
        object.remove("name");
        object.remove("hash");
        json!({name: node})
    };
    (bare("app", json!({"zlib": {"hash": dependency, "type": ["link"]}})), bare("zlib", json!({})))
}

#[test]
fn databases_of_version_5_are_brought_into_a_newer_form() {
    let (app, zlib) = version_1(ZLIB);
    let record = |spec: Value| json!({"spec": spec, "path": "/x", "installed": true, "ref_count": 0});
    let installs = json!({APP: record(app), ZLIB: record(zlib)});
    let json = json!({"database": {"version": "5", "installs": installs}}).to_string();
    let database = Database::parse(&json).unwrap();
    let root = database.node(&strata_spec::DagHash::parse(APP).unwrap()).unwrap();
    assert_eq!((root.original_format, database.spec_version()), (1, 2));
    let passed_on = ConcreteSpec::collect(&database, root, database.spec_version()).unwrap();
    let again = ConcreteSpec::parse(&RawValue::from_string(passed_on.to_json()).unwrap()).unwrap();
    assert_eq!(again.root().name, "app");
    assert_eq!(again.node(&again.root().dependencies[0].hash).unwrap().name, "zlib");
}

fn lockfile(version: u32, specs: &[(&str, Value)]) -> Value {
    let specs: serde_json::Map<String, Value> =
        specs.iter().map(|(key, node)| ((*key).to_owned(), node.clone())).collect();
    json!({
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": version},
        "roots": [{"hash": specs.keys().next().unwrap(), "spec": "app ^zlib"}],
        "concrete_specs": specs
    })
}

#[test]
fn lockfiles_of_every_version_lead_from_roots_to_dependencies() {
    let by_type = |hash: &str| json!([{"name": "zlib", hash: ZLIB, "type": ["link"]}]);
    let by_parameters =
        json!([{"name": "zlib", "hash": ZLIB, "parameters": {"deptypes": ["link"], "virtuals": []}}]);
    let (app_1, zlib_1) = version_1(ZLIB);
    let mut keyed_by_build_hash =
        node("app", APP, json!([{"name": "zlib", "build_hash": ZLIB, "type": ["link"]}]));
    keyed_by_build_hash["build_hash"] = BUILD_HASH.into();
    let zlib = node("zlib", ZLIB, json!([]));
    for lockfile in [
        lockfile(1, &[(APP, app_1), (ZLIB, zlib_1)]),
        lockfile(3, &[(BUILD_HASH, keyed_by_build_hash), (ZLIB, zlib.clone())]),
        lockfile(4, &[(APP, node("app", APP, by_type("hash"))), (ZLIB, zlib.clone())]),
        lockfile(5, &[(APP, node("app", APP, by_parameters.clone())), (ZLIB, zlib.clone())]),
        lockfile(6, &[(APP, node("app", APP, by_parameters.clone())), (ZLIB, zlib.clone())]),
    ] {
        let lockfile = Lockfile::parse(&lockfile.to_string()).unwrap();
        let root = &lockfile.roots[0];
        assert_eq!((root.hash.as_str(), root.spec().unwrap().to_string()), (APP, "app ^zlib".to_owned()));
        let app = lockfile.node(&root.hash).unwrap();
        assert_eq!(lockfile.node(&app.dependencies[0].hash).unwrap().name, "zlib");
        assert_eq!(app.original_format, if lockfile.version == 1 { 1 } else { lockfile.version - 1 });
    }
}

#[test]
fn environments_that_a_lockfile_includes_bring_their_roots_and_nodes() {
    let mut outer = lockfile(6, &[(APP, node("app", APP, json!([])))]);
    let mut inner = lockfile(6, &[(ZLIB, node("zlib", ZLIB, json!([])))]);
    inner["roots"][0]["spec"] = "zlib@1".into();
    outer["include_concrete"] = json!({"/env": inner});
    let lockfile = Lockfile::parse(&outer.to_string()).unwrap();
    assert_eq!(lockfile.included["/env"][0].requested, "zlib@1");
    assert_eq!(lockfile.nodes().count(), 2);
}

#[test]
fn what_is_broken_says_where() {
    let broken = |json: Value| Lockfile::parse(&json.to_string()).unwrap_err().to_string();
    let good = lockfile(6, &[(APP, node("app", APP, json!([])))]);
    let mut unknown = good.clone();
    unknown["_meta"]["lockfile-version"] = 7.into();
    assert!(broken(unknown).contains("version 7"));
    let mut dangling = good.clone();
    dangling["roots"][0]["hash"] = ZLIB.into();
    assert!(broken(dangling).contains(ZLIB));
    let mut nameless = good.clone();
    nameless["concrete_specs"][APP].as_object_mut().unwrap().remove("version");
    let error = broken(nameless);
    assert!(error.contains(APP) && error.contains("`version`"), "{error}");
    let mut nested = good.clone();
    for _ in 0..100 {
        let inner = nested;
        nested = good.clone();
        nested["include_concrete"] = json!({"e": inner});
    }
    assert!(broken(nested).contains("deep"));

    let json = json!({"_meta": {"version": 5}, "nodes": [node("app", APP, json!([])), {"name": "zlib"}]});
    let error =
        ConcreteSpec::parse(&RawValue::from_string(json.to_string()).unwrap()).unwrap_err().to_string();
    assert!(error.contains("node 2") && error.contains("zlib"), "{error}");
    let json = json!({"database": {"version": "8", "installs": {ZLIB: {"spec": {"name": "zlib"}}}}});
    let error = Database::parse(&json.to_string()).unwrap_err().to_string();
    assert!(error.contains(ZLIB) && error.contains("`version`"), "{error}");
}
