//! The name and version of a Linux distribution, as Spack spells them: `debian12`, `ubuntu22.04`, `rhel9`.

use std::fs;
use std::path::Path;
use strata_spec::host::Libc;

/// The operating system that is installed at `root`; none if nothing there says what it is.
pub fn detect(root: &Path, libc: Option<&Libc>) -> Option<String> {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let release = read("etc/os-release").or_else(|| read("usr/lib/os-release"))?;
    os_name(&release, read("etc/debian_version").as_deref(), libc)
}

/// The name, from the text of `os-release`, that of `debian_version`, and the C library, by which Spack tells the states of a
/// distribution without versions from one another.
pub fn os_name(release: &str, debian_version: Option<&str>, libc: Option<&Libc>) -> Option<String> {
    let id = attribute(release, "ID")?.to_lowercase().replace(' ', "_");
    let id = match id.as_str() {
        "ol" => "oracle",
        "opensuse-leap" => "opensuse",
        other => other,
    };
    let like = attribute(release, "ID_LIKE").unwrap_or_default();
    let is_debian = id == "debian" || like.split_whitespace().any(|like| like == "debian");
    let version = attribute(release, "VERSION_ID")
        .or_else(|| debian_version.filter(|_| is_debian).map(|text| text.trim().to_owned()))
        .unwrap_or_default();
    let mut parts = version.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
    let major = parts.next().unwrap_or_default();
    let name = match id {
        id if id.contains("ubuntu") => match parts.next() {
            Some(minor) => format!("{id}{major}.{minor}"),
            None => format!("{id}{major}"),
        },
        "opensuse-tumbleweed" | "opensusetumbleweed" => {
            let glibc = libc.filter(|libc| libc.name == "glibc").map(|libc| libc.version.as_str());
            format!("opensusetumbleweed{}", glibc.unwrap_or(major))
        }
        id => format!("{id}{major}"),
    };
    Some(name.replace('-', "_"))
}

/// The value of a line `NAME=value` of the file, without the quotes of the shell; none if it is not there or empty.
fn attribute(release: &str, name: &str) -> Option<String> {
    let value = release.lines().rev().find_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        (key == name).then_some(value)
    })?;
    let mut text = String::new();
    let mut quote = None;
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('"' | '\'', None) => quote = Some(character),
            (end, Some(open)) if end == open => quote = None,
            ('\\', None | Some('"')) => text.extend(characters.next()),
            (blank, None) if blank.is_whitespace() => break,
            (other, _) => text.push(other),
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_named_as_spack_does() {
        for (release, expected) in [
            ("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n", "debian12"),
            ("NAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nID=ubuntu\nID_LIKE=debian\n", "ubuntu22.04"),
            ("ID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"\n", "rhel9"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.3\"\n", "rocky9"),
            ("ID=\"almalinux\"\nVERSION_ID=\"8.10\"\n", "almalinux8"),
            ("ID=\"centos\"\nVERSION_ID=\"7\"\n", "centos7"),
            ("ID=\"ol\"\nVERSION_ID=\"8.9\"\n", "oracle8"),
            ("ID=\"amzn\"\nVERSION_ID=\"2023\"\n", "amzn2023"),
            ("ID=\"amzn\"\nVERSION_ID=\"2\"\n", "amzn2"),
            ("ID=\"opensuse-leap\"\nVERSION_ID=\"15.6\"\n", "opensuse15"),
            ("ID=\"opensuse-tumbleweed\"\nVERSION_ID=\"20240607\"\n", "opensusetumbleweed2.39"),
            ("ID=\"sles\"\nVERSION_ID=\"15.5\"\n", "sles15"),
            ("ID=fedora\nVERSION_ID=40\n", "fedora40"),
            ("ID=alpine\nVERSION_ID=3.20.1\n", "alpine3"),
            ("ID=arch\nBUILD_ID=rolling\n", "arch"),
            ("ID='my distro-x'\nVERSION_ID='1-2.3'\n", "my_distro_x1_2"),
        ] {
            let libc = Libc { name: "glibc".to_owned(), version: "2.39".to_owned() };
            assert_eq!(os_name(release, None, Some(&libc)).as_deref(), Some(expected), "{release}");
        }
    }

    #[test]
    fn a_debian_without_a_version_has_it_in_another_file() {
        let release = "PRETTY_NAME=\"Debian GNU/Linux trixie/sid\"\nID=debian\n";
        assert_eq!(os_name(release, Some("trixie/sid\n"), None).as_deref(), Some("debiantrixie"));
        assert_eq!(os_name("NAME=nothing\n", None, None), None);
    }

    #[test]
    fn values_may_be_quoted() {
        let release = "ID=\"a \\\"b\\\"\"\nONE='it''s' # more\nEMPTY=\"\"\nID_LIKE=two\n";
        assert_eq!(attribute(release, "ID").as_deref(), Some("a \"b\""));
        assert_eq!(attribute(release, "ONE").as_deref(), Some("its"));
        assert_eq!((attribute(release, "EMPTY"), attribute(release, "LIKE")), (None, None));
    }
}
