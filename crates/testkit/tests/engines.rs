//! Base images are images that engines run.

use strata_oci::media_type::Family;
use strata_oci::{Repository, Transport, open};
use strata_testkit::base_image::{BaseImage, push_index};
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::engine::Engine;
use strata_testkit::golden;

fn registry(test: &str) -> Option<(DockerRegistry, Box<dyn Repository>)> {
    let Some(registry) = DockerRegistry::start() else {
        golden::skipped(test, "docker-registry is not installed");
        return None;
    };
    let url = registry.url("base").parse().expect("a URL");
    let repository = open(&url, &Transport::default(), None).expect("a repository");
    Some((registry, repository))
}

#[test]
fn a_debian_has_a_shell() {
    let Some((registry, repository)) = registry("a_debian_has_a_shell") else { return };
    let image = match BaseImage::debian() {
        Ok(image) => image,
        Err(reason) => return golden::skipped("a_debian_has_a_shell", &reason),
    };
    for (tag, family) in [("oci", Family::Oci), ("docker", Family::Docker)] {
        image.push(&*repository, tag, family).expect("pushed");
    }
    for engine in Engine::all("a_debian_has_a_shell") {
        for tag in ["oci", "docker"] {
            let image = engine.pull(&format!("{}/base:{tag}", registry.host())).expect("pulled");
            let ran = image.run(&["sh", "-c", "cat /etc/os-release; ls -d /usr/lib; id -u; echo $PATH"]);
            assert!(ran.ok().contains("Debian"), "{engine} {tag}: {ran:?}");
            let ran = image.run(&["no-such-program"]);
            assert_eq!(ran.code, Some(127), "{engine} {tag}: {ran:?}");
        }
    }
}

#[test]
fn engines_go_through_an_index_of_either_family() {
    const TEST: &str = "engines_go_through_an_index_of_either_family";
    let Some((registry, repository)) = registry(TEST) else { return };
    let debian = match BaseImage::small_debian() {
        Ok(image) => image,
        Err(reason) => return golden::skipped(TEST, &reason),
    };
    let elsewhere = if debian.config.architecture == "amd64" { "arm64" } else { "amd64" };
    let images = [BaseImage::of_glibc(elsewhere, "2.17"), debian];
    for (tag, family) in [("oci", Family::Oci), ("docker", Family::Docker)] {
        push_index(&*repository, tag, family, &images).expect("pushed");
        for engine in Engine::all(TEST) {
            let image = engine.pull(&format!("{}/base:{tag}", registry.host())).expect("pulled");
            assert_eq!(image.run(&["sh", "-c", "echo $((6 * 7))"]).ok(), "42\n", "{engine} {tag}");
        }
    }
}
