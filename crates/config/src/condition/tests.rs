use super::*;
use crate::MachineFacts;

fn machine() -> Surroundings {
    Surroundings {
        host_name: "node-17".to_owned(),
        platform: "linux".to_owned(),
        machine: MachineFacts {
            os: Some("ubuntu22.04".to_owned()),
            target: "zen2".to_owned(),
            target_family: String::new(),
        }
        .into(),
        target_matches: Some(|target, asked| asked == target || (target == "zen2" && asked == "x86_64:")),
        variables: [("SITE".to_owned(), "north".to_owned()), ("EMPTY".to_owned(), String::new())].into(),
        ..Surroundings::default()
    }
}

#[test]
fn conditions_hold_as_python_has_it() {
    let machine = machine();
    let conditions = Conditions::new(&machine);
    for (text, expected) in [
        ("os == 'ubuntu22.04'", true),
        ("os != \"ubuntu22.04\"", false),
        ("platform == 'linux' and target == 'x86_64'", false),
        ("platform == 'linux' and target == 'zen2'", true),
        ("platform == 'darwin' or os in ('a', 'ubuntu22.04')", true),
        ("platform == 'darwin' or platform == 'linux' and target == 'x'", false),
        ("not platform == 'darwin'", true),
        ("not (platform == 'linux' or True)", false),
        ("re.search(r'^node-\\d+$', hostname)", true),
        ("re.match('ode', hostname)", false),
        ("re.match('NODE', hostname, re.I) is not None", true),
        ("re.fullmatch(r'(node|login)-[0-9]{2}', hostname)", true),
        ("re.search('NODE', hostname, re.IGNORECASE)", true),
        ("env.get('SITE') == 'north'", true),
        ("env.get('NOPE', 'x') == 'x'", true),
        ("env.get('NOPE')", false),
        ("env.get('EMPTY')", false),
        ("env['SITE'] == 'north'", true),
        ("\"SITE\" in env", true),
        ("\"NOPE\" not in env", true),
        ("'ubuntu' in os", true),
        ("os.startswith(('debian', 'ubuntu'))", true),
        ("os.startswith('debian')", false),
        ("hostname.split('-')[0].upper() == 'NODE'", true),
        ("arch.satisfies('target=x86_64:')", true),
        ("architecture.satisfies('platform=linux os=debian12')", false),
        ("arch.satisfies('arch=linux-ubuntu22.04-zen2')", true),
        ("arch.platform == 'linux'", true),
        ("'target=zen2' in arch_str", true),
        ("'linux' == platform != 'darwin'", true),
        ("any([False, 'x'])", true),
        ("'a' 'b' == 'ab'", true),
        ("len(hostname) >= 7", true),
        ("True", true),
        ("'NOPE' in env and env['NOPE'].startswith('x')", false),
        ("'SITE' in env or env['NOPE'] == 'x'", true),
        ("[]", false),
    ] {
        match conditions.hold_text(text) {
            Ok(holds) => assert_eq!(holds, expected, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn what_is_not_known_is_an_error_and_never_a_guess() {
    let machine = machine();
    let conditions = Conditions::new(&machine);
    for (text, part) in [
        ("user == 'joe'", "`user` is not known"),
        ("__import__('os').system('x')", "`__import__` is not known"),
        ("os.path.exists('/')", "`.path` is not known"),
        ("env['NOPE'] == 'x'", "NOPE is not set"),
        ("os ==", "ends too soon"),
        ("os == 'x", "closing"),
        ("os == 'x' )", "`)` is not expected"),
        ("(os == 'x'", "is missing"),
        ("lambda: 1", "means nothing"),
        ("re.search('(?=x)', os)", "regular expression"),
        ("f'{os}' == 'x'", "`f`"),
        ("arch.satisfies('zlib')", "says nothing"),
        ("arch == 'x'", "satisfies"),
        ("1 + 1", "`+` means nothing"),
        ("", "ends too soon"),
    ] {
        let error = conditions.hold_text(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    let deep = "(".repeat(100_000);
    assert!(conditions.hold_text(&deep).unwrap_err().contains("deep"));
}
