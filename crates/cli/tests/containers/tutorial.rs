//! `docs/tutorial.md`, word for word: each command is typed into one shell, and what it prints is compared with what the page
//! shows. `STRATA_BLESS=1` writes what was printed into the page, to be looked at and shortened by hand.
//!
//! What is not the reader's machine is replaced, in commands and in files: the port of the registry, the directory of
//! the team's cache, and the base image, which the test makes and pushes. `docker run` gets `--network=none`. The
//! registry is `strata serve`, as on the page, and once more docker-registry where there is one.

mod page;
mod shell;

use crate::registries::made;
use crate::support::{World, text};
use page::{Block, Page};
use shell::Shell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use strata_oci::media_type::Family;
use strata_oci::{Transport, open};
use strata_testkit::base_image::BaseImage;
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::engine::Engine;
use strata_testkit::golden;

/// What the page calls the registry.
const REGISTRY: &str = "localhost:5000";
/// What starts it on the page.
const SERVE: &str = "strata serve ~/registry > ~/registry.log 2>&1 &";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tutorial.md")
}

/// The store that the team's cache is made of: one with python and vim on disk.
fn team_cache(world: &World, layout: &str, test: &str) -> bool {
    let store = golden::stores().into_iter().find(|store| {
        let prefix = |name| world.run(["--store", text(store), "location", "-i", name]);
        ["python", "vim"].iter().all(|name| {
            let ran = prefix(name);
            ran.code == Some(0) && Path::new(ran.stdout.trim()).is_dir()
        })
    });
    let Some(store) = store else {
        golden::skipped(test, "STRATA_STORES has no store with python and vim");
        return false;
    };
    world.ok(["--store", text(&store), "buildcache", "push", layout]);
    true
}

/// A machine for the reader, and the words of the page that mean something else on it.
struct Reader<'t> {
    shell: Shell,
    /// As the page has it, and as it is here.
    words: Vec<(String, String)>,
    /// Whether containers run here.
    has_docker: bool,
    /// A registry that runs already, in place of the one that the page starts.
    registry: Option<&'t DockerRegistry>,
    port: u16,
    base: &'t BaseImage,
}

impl<'t> Reader<'t> {
    fn new(
        world: &World,
        mirror: &Path,
        registry: Option<&'t DockerRegistry>,
        base: &'t BaseImage,
        has_docker: bool,
    ) -> Self {
        let port = registry.map_or_else(free_port, DockerRegistry::port);
        let here = format!("localhost:{port}");
        let words = vec![
            ("--base-image debian:12".to_owned(), format!("--base-image oci+http://{here}/debian:12")),
            (REGISTRY.to_owned(), here),
            ("/mirror".to_owned(), text(mirror).to_owned()),
            ("docker run".to_owned(), "docker run --network=none".to_owned()),
        ];
        Self { shell: Shell::start(world), words, has_docker, registry, port, base }
    }

    fn here(&self, words: &str) -> String {
        self.words.iter().fold(words.to_owned(), |text, (page, here)| text.replace(page, here))
    }

    fn as_on_the_page(&self, printed: &str) -> String {
        let text = self.words.iter().fold(printed.to_owned(), |text, (page, here)| text.replace(here, page));
        text.replace(&self.shell.home(), "/home/reader")
    }

    /// Types the commands of a block; what each printed. Of those that need an engine that is not there, nothing.
    fn follow(&mut self, block: &Block) -> Vec<Option<String>> {
        let mut printed = Vec::new();
        for step in &block.steps {
            if step.command.starts_with("docker ") && !self.has_docker {
                printed.push(None);
                continue;
            }
            if step.command == SERVE {
                self.serve();
                printed.push(None);
                continue;
            }
            let (output, code) = self.shell.type_in(&self.here(&step.command));
            let mut output = self.as_on_the_page(&output);
            if (code == 0) == block.fails {
                // No page says so: it is told with what else is not as it says.
                output += &format!("\n--ended with {code}--");
            }
            printed.push(Some(output));
        }
        printed
    }

    /// Starts the registry unless one runs already, and puts the base image where Docker Hub has it for a reader.
    fn serve(&mut self) {
        let port = self.port;
        if self.registry.is_none() {
            let at = format!("strata serve --listen 127.0.0.1:{port}");
            let (output, code) = self.shell.type_in(&SERVE.replace("strata serve", &at));
            assert_eq!(code, 0, "{output}");
            let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            let started = Instant::now();
            while !answers() {
                assert!(started.elapsed() < Duration::from_secs(60), "strata serve does not answer");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let url = format!("oci+http://127.0.0.1:{port}/debian").parse().unwrap();
        let repository = open(&url, &Transport::default(), None).unwrap();
        self.base.push(&*repository, "12", Family::Oci).unwrap();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn read_through(page: &mut Page, reader: &mut Reader<'_>) {
    for number in 0..page.blocks.len() {
        let block = page.blocks[number].clone();
        let Some(file) = &block.file else {
            let printed = reader.follow(&block);
            page.compare(number, &printed);
            continue;
        };
        let found = std::fs::read_to_string(reader.shell.directory().join(file)).unwrap();
        let found = reader.as_on_the_page(&found);
        assert!(found.contains(&block.text), "line {}: not in {file}:\n{found}", block.line);
    }
}

#[test]
fn the_tutorial_is_what_happens() {
    const TEST: &str = "the_tutorial_is_what_happens";
    let mirror = World::new();
    if !team_cache(&mirror, &mirror.layout("mirror"), TEST) {
        return;
    }
    let Some(base) = made(TEST, BaseImage::debian()) else { return };
    let docker = Engine::docker();
    if let Err(reason) = &docker {
        golden::skipped(&format!("{TEST}, its docker commands"), reason);
    }
    let reference = DockerRegistry::start();
    if reference.is_none() {
        golden::skipped(&format!("{TEST}, with docker-registry"), "docker-registry is not installed");
    }
    for registry in [None].into_iter().chain(reference.as_ref().map(Some)) {
        let world = World::new();
        let mut page = Page::read(page());
        let mut reader = Reader::new(&world, &mirror.path("mirror"), registry, &base, docker.is_ok());
        read_through(&mut page, &mut reader);
        page.finish();
    }
}
