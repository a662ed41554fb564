//! No secret gets anywhere but into the requests that it is for, and into the file that is meant to keep it.

use crate::support::{World, text};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use strata_testkit::faults::Fault;
use strata_testkit::registry::TestRegistry;

const SECRETS: [&str; 5] =
    ["hush-in-the-file", "hush-in-a-variable", "hush-in-the-environment", "hush-in-docker", "hush-at-login"];

/// The forms in which a password travels: itself, and what it is in a header or a credential file.
fn forms(secret: &str) -> Vec<String> {
    let users = ["plain", "joe", "env", "docker", "typed"];
    let encoded = users.map(|user| data_encoding::BASE64.encode(format!("{user}:{secret}").as_bytes()));
    [secret.to_owned()].into_iter().chain(encoded).collect()
}

#[track_caller]
fn assert_silent(what: &str, text: &str) {
    for secret in SECRETS {
        for form in forms(secret) {
            assert!(!text.contains(&form), "{what} has {secret}: {text}");
        }
    }
}

/// What a command was seen to do while it ran.
struct Watched {
    output: String,
    /// Its command line, and those of its children, as others see them.
    command_lines: String,
}

/// The command lines of a process and of those that it started, as `ps` would show them.
fn command_lines(of: u32) -> String {
    let mut found = String::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        // After the name in parentheses come state and parent.
        let parent =
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        let own = process.file_name().to_str() == Some(&of.to_string());
        if own || parent == Some(of) {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            found += &String::from_utf8_lossy(&line).replace('\0', " ");
        }
    }
    found
}

fn watched(mut command: Command, input: Option<&str>) -> Watched {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
    drop(stdin);
    let mut pipes = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        pipes.0.read_to_string(&mut text).unwrap();
        pipes.1.read_to_string(&mut text).unwrap();
        text
    });
    let mut seen = String::new();
    while child.try_wait().unwrap().is_none() {
        seen += &command_lines(child.id());
        std::thread::sleep(Duration::from_millis(2));
    }
    Watched { output: reader.join().unwrap(), command_lines: seen }
}

/// Everything that was written below `root`, but for the files that are meant to keep secrets.
fn written(root: &Path, but_for: &[PathBuf]) -> String {
    let mut text = String::new();
    for path in crate::support::tree(root).into_iter().map(|path| root.join(path)) {
        if path.is_file() && !but_for.contains(&path) {
            text += &String::from_utf8_lossy(&std::fs::read(path).unwrap());
        }
    }
    text
}

#[test]
fn secrets_are_nowhere_to_be_seen() {
    let world = World::new();
    let store = world.sample_store();
    // One that wants to know who asks, and is not content with anybody.
    let registry = TestRegistry::builder().user("nobody", "else").start();
    // Long enough for a look at the process list.
    registry.faults().add(|_| Some(Fault::Delay(Duration::from_millis(5))));
    let (host, open) = (registry.host(), registry.url("open"));
    let [in_file, variable, environment, docker, login] = SECRETS;

    let mirrors = world.path("user-scope/mirrors.yaml");
    std::fs::create_dir_all(mirrors.parent().unwrap()).unwrap();
    let entries = format!(
        "mirrors:\n  plain: {{url: '{}', access_pair: [plain, {in_file}]}}\n\
         \x20 pair: {{url: '{}', access_pair: {{id: joe, secret_variable: PW}}}}\n  open: '{open}'\n",
        registry.url("plain"),
        registry.url("pair"),
    );
    std::fs::write(&mirrors, entries).unwrap();
    let auth_file = world.path("home/.docker/config.json");
    std::fs::create_dir_all(auth_file.parent().unwrap()).unwrap();
    let encoded = data_encoding::BASE64.encode(format!("docker:{docker}").as_bytes());
    std::fs::write(&auth_file, format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"{encoded}\"}}}}}}"))
        .unwrap();

    let push = ["--store", text(&store.unpadded_root), "buildcache", "push"];
    let root = world.path("root");
    let commands: Vec<Vec<&str>> = vec![
        [&push[..], &["plain"]].concat(),
        [&push[..], &["pair"]].concat(),
        vec!["--store", text(&root), "install", "--mirror", "pair", "greet"],
        vec!["buildcache", "list"],
        vec!["buildcache", "update-index", "plain"],
        vec!["mirror", "list"],
        vec!["doctor", "plain"],
        vec!["doctor", "open"],
        vec!["logout", "elsewhere.example"],
        vec!["login", &host, "-u", "typed", "--password-stdin", "--plain-http"],
        // Only the environment, and only the file, know somebody for this one.
        [&push[..], &[&open]].concat(),
    ];
    let with_environment = [true, false];
    for how in [&["-v"][..], &["--json", "-v"], &["--progress", "json"]] {
        for arguments in &commands {
            for brought in with_environment {
                let mut command = world.command();
                command.args(arguments).args(how).env("PW", variable).env("RUST_LOG", "trace");
                if brought {
                    command.env("STRATA_USERNAME", "env").env("STRATA_PASSWORD", environment);
                }
                let seen = watched(command, Some(login));
                let what = format!("{arguments:?} {how:?}");
                assert_silent(&what, &seen.output);
                assert_silent(&format!("the command line of {what}"), &seen.command_lines);
                // What asks no registry may be over before anybody looks.
                let brief = ["mirror", "logout"].contains(&arguments[0]);
                assert!(brief || seen.command_lines.contains("strata"), "{what} was not seen");
            }
        }
    }
    assert_silent("what was written", &written(world.path("").as_path(), &[mirrors, auth_file]));

    // They were shown to the registry, each of those that are not for login alone: the test is not about nothing.
    let shown: Vec<String> = registry
        .log()
        .entries()
        .iter()
        .filter_map(|e| e.header("authorization").map(str::to_owned))
        .collect();
    for (user, secret) in ["plain", "joe", "env", "docker", "typed"].into_iter().zip(SECRETS) {
        let basic = format!("Basic {}", data_encoding::BASE64.encode(format!("{user}:{secret}").as_bytes()));
        assert!(shown.contains(&basic), "{user} was never tried");
    }
    // And only in headers.
    for entry in registry.log().entries() {
        assert_silent("a URL", &entry.target);
    }
}

#[test]
fn a_secret_that_a_file_or_a_command_line_has_is_not_repeated() {
    let world = World::new();
    let secret = SECRETS[0];
    let ran = world.run([
        "mirror",
        "add",
        "m",
        "oci://h.example/n",
        "--oci-username",
        "joe",
        "--oci-password",
        secret,
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: the password stands in plain text"), "{}", ran.stderr);
    assert_silent("mirror add", &format!("{}{}", ran.stdout, ran.stderr));
    let file = world.path("user-scope/mirrors.yaml");
    let expected =
        format!("mirrors:\n  m:\n    url: oci://h.example/n\n    access_pair:\n    - joe\n    - {secret}\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    // Neither by errors: of the configuration, and of the command line.
    for broken in
        [format!("[joe, {{{secret}: 1}}]"), format!("[joe, x, {secret}]"), format!("{{secret: {secret}}}")]
    {
        std::fs::write(
            &file,
            format!("mirrors:\n  m: {{url: 'oci://h.example/n', access_pair: {broken}}}\n"),
        )
        .unwrap();
        let ran = world.run(["mirror", "list"]);
        ran.fails(2, &["mirrors.yaml:2:"]);
        assert_silent(&broken, &ran.stderr);
    }
    let ran = world.run(["mirror", "add", "m", "oci://h.example/n", "--oci-password", secret]);
    ran.fails(2, &["both parts of the access pair are needed"]);
    assert_silent("mirror add", &ran.stderr);
    let url = format!("oci://joe:{secret}@h.example/n");
    for arguments in [["doctor", &url], ["login", &url]] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(2));
        assert_silent("a URL with a password", &ran.stderr);
    }
}
