//! What takes time with the number of packages, of variables or of entries takes it in proportion: closures of a thousand
//! packages, and configs that somebody made large.

use super::super::*;
use super::installed::of_installed_in;
use std::time::{Duration, Instant};

const PACKAGES: usize = 1000;
/// Far more than it takes without optimisation, and far less than what grows with the square.
const ENOUGH: Duration = Duration::from_secs(60);

fn hash(n: usize) -> DagHash {
    let letters: String = format!("{n:04}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
    DagHash::parse(&letters.repeat(8)).unwrap()
}

fn prefix(top: &str, n: usize) -> String {
    format!("{top}/linux-x86_64_v3/package-{n}-1.0-{}", hash(n))
}

/// Each package needs the next one, and one further on; their recipes are not kept.
fn database() -> Database {
    let installs: Vec<String> = (0..PACKAGES)
        .map(|n| {
            let edges: Vec<String> = [n + 1, n + 7]
                .into_iter()
                .filter(|below| *below < PACKAGES)
                .map(|below| {
                    format!(
                        r#"{{"name":"package-{below}","hash":"{}","parameters":{{"deptypes":["link","run"],"virtuals":[]}}}}"#,
                        hash(below)
                    )
                })
                .collect();
            format!(
                r#""{h}":{{"spec":{{"name":"package-{n}","version":"1.0","namespace":"mine","arch":{{"platform":"linux",
                "platform_os":"debian12","target":"x86_64"}},"dependencies":[{}],"hash":"{h}"}},"path":"{}","installed":true,
                "ref_count":1,"explicit":true}}"#,
                edges.join(","),
                prefix("/opt/spack/store", n),
                h = hash(n)
            )
        })
        .collect();
    Database::parse(&format!(r#"{{"database":{{"version":"8","installs":{{{}}}}}}}"#, installs.join(",")))
        .unwrap()
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    eprintln!("{what}: {:?}", start.elapsed());
    assert!(start.elapsed() < ENOUGH, "{what} took {:?}", start.elapsed());
    result
}

#[test]
fn a_thousand_packages_take_no_time_to_speak_of() {
    let database = database();
    let inspections = Inspections::default();
    let told = |images: &[&[DagHash]], cached: &HashMap<DagHash, Cached>| {
        let installed =
            Installed { database: &database, inspections: &inspections, spack: None, cached, unopened: None };
        of_installed_in(&installed, images, &Environment::of_base(None), &|_| true).unwrap()
    };
    let roots: Vec<DagHash> = (0..PACKAGES).map(hash).collect();
    let first = &roots[..1];
    let computed = timed("computed", || told(&[first], &HashMap::new())).remove(0).environment;
    assert_eq!(computed.get("CMAKE_PREFIX_PATH").unwrap().split(':').count(), PACKAGES);
    let images: Vec<&[DagHash]> = roots.iter().step_by(50).map(std::slice::from_ref).collect();
    timed("computed for twenty", || told(&images, &HashMap::new()));

    // The same from elsewhere, with something that a recipe set.
    let mut entries = computed.to_entries();
    entries.push(format!("ZED_HOME={}", prefix("/opt/spack/store", 500)));
    let there: Vec<String> =
        entries.iter().map(|entry| entry.replace("/opt/spack/store", "/elsewhere")).collect();
    for has_base in [false, true] {
        let cached = HashMap::from([(hash(0), Cached { env: there.clone(), has_base, unclear: Vec::new() })]);
        let moved = timed("moved", || told(&[first], &cached)).remove(0);
        assert!(moved.environment.to_entries() == entries, "{has_base}");
        assert!(moved.unknown.is_empty());
    }

    // Several roots of which only configs are known.
    let cached: HashMap<DagHash, Cached> = (0..10)
        .map(|n| n * 100)
        .map(|n| {
            let images: [&[DagHash]; 1] = [&[hash(n)]];
            let env = told(&images, &HashMap::new()).remove(0).environment.to_entries();
            (hash(n), Cached { env, has_base: false, unclear: Vec::new() })
        })
        .collect();
    let several: Vec<DagHash> = (0..10).map(|n| hash(n * 100)).collect();
    let expected = told(&[&several], &HashMap::new()).remove(0).environment;
    let together = timed("put together", || {
        of_cached(&database, &several, &cached, &Environment::of_base(None)).unwrap()
    });
    // Lists this long say nothing to anybody.
    assert!(together.environment == expected);
}

#[test]
fn configs_that_somebody_made_large_are_read() {
    let database = database();
    let many: Vec<String> = (0..300_000).map(|n| format!("A{n}=")).collect();
    let cached = HashMap::from([(hash(990), Cached { env: many, has_base: false, unclear: Vec::new() })]);
    let bare = Environment::of_base(None);
    let told = timed("many variables", || of_cached(&database, &[hash(990)], &cached, &bare).unwrap());
    assert_eq!(told.environment.to_entries().len(), 300_000);

    let prefix = prefix("/x", 990);
    let entries = |range: &mut dyn Iterator<Item = usize>| {
        range.map(|n| format!("{prefix}/{n}")).collect::<Vec<_>>().join(":")
    };
    let config =
        |list: String| Cached { env: vec![format!("X_PATH={list}")], has_base: true, unclear: Vec::new() };
    let cached = HashMap::from([
        (hash(990), config(entries(&mut (0..60_000)))),
        (hash(991), config(entries(&mut (0..60_000).rev()))),
    ]);
    let roots = [hash(990), hash(991)];
    let told = timed("long lists", || of_cached(&database, &roots, &cached, &bare).unwrap());
    assert_eq!(told.environment.get("X_PATH").unwrap().split(':').count(), 60_000);
}
