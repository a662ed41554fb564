//! Scripts whose first line is too long for the kernel: a line for `sbang` is put before it.
//!
//! Linux up to 5.0 cuts `#!` lines at 127 bytes. `sbang` is a shell script in the install tree that reads the second
//! line of the script it is called for. Limits and comment styles as in Spack's `hooks/sbang.py`.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use sha1::{Digest, Sha1};

use super::RelocateError;
use super::beneath::{Tree, open_in};
use crate::unpack::Notes;

/// The longest `#!` line every kernel takes, newline included, and the longest path of `sbang`, in bytes.
pub const SHEBANG_LIMIT: usize = 127;

/// A first line longer than this, in bytes, is no shebang line but something else that starts with `#!`.
const RELAXED_LIMIT: usize = 4096;

/// How much of the start of a file [`has_long_shebang`] looks at, in bytes.
pub(crate) const FIRST_LINE_LIMIT: usize = RELAXED_LIMIT;

/// Whether [`filter_shebang`] could have something to do with a file that begins with `start`.
pub(crate) fn has_long_shebang(start: &[u8]) -> bool {
    start.starts_with(b"#!") && first_line(start).len() > SHEBANG_LIMIT
}

/// With its newline, if there is one within the limit.
fn first_line(start: &[u8]) -> &[u8] {
    let start = &start[..start.len().min(RELAXED_LIMIT)];
    &start[..memchr::memchr(b'\n', start).map_or(start.len(), |newline| newline + 1)]
}

/// What takes the place of a first line that is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongShebang {
    /// Length of the old first line, newline included, in bytes.
    pub length: usize,
    /// The sbang line and the old line in a form the interpreter takes for a comment.
    pub replacement: Vec<u8>,
}

/// What to do with a file that begins with `start` (its first 4096 bytes, or all of it): `None` if its first line
/// is no `#!` line, short enough, longer than 4096 bytes, names no interpreter, or calls `sbang` already.
///
/// The second line is for lua and luajit a `--!` line, for node a `//!` line, and for php wrapped as `<?php #! … ?>`.
pub fn filter_shebang(sbang: &[u8], start: &[u8]) -> Option<LongShebang> {
    if !has_long_shebang(start) {
        return None;
    }
    let line = first_line(start);
    if line.len() == RELAXED_LIMIT && !line.ends_with(b"\n") {
        return None;
    }
    let mut replacement = [b"#!/bin/sh ", sbang, b"\n"].concat();
    let interpreter = interpreter(line)?;
    if line == replacement {
        return None;
    }
    if interpreter.ends_with(b"/lua") || interpreter.ends_with(b"/luajit") {
        replacement.extend_from_slice(b"--!");
        replacement.extend_from_slice(&line[2..]);
    } else if interpreter.ends_with(b"/node") {
        replacement.extend_from_slice(b"//!");
        replacement.extend_from_slice(&line[2..]);
    } else if interpreter.ends_with(b"/php") {
        replacement.extend_from_slice(b"<?php ");
        replacement.extend_from_slice(line);
        replacement.extend_from_slice(b" ?>");
    } else {
        replacement.extend_from_slice(line);
    }
    Some(LongShebang { length: line.len(), replacement })
}

/// The interpreter of a `#!` line: after blanks, up to a blank, NUL or newline.
fn interpreter(line: &[u8]) -> Option<&[u8]> {
    let rest = &line[2..];
    let rest = &rest[rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?..];
    let end = rest.iter().position(|byte| matches!(byte, b' ' | b'\t' | 0 | b'\n')).unwrap_or(rest.len());
    (end > 0).then_some(&rest[..end])
}

/// Applies [`filter_shebang`] to all executable regular files of the tree, in place, so that hard links and modes
/// stay; returns how many files were changed.
pub(super) fn filter_shebangs(tree: &Tree, sbang: &[u8]) -> Result<u64, RelocateError> {
    let mut changed = 0;
    let mut seen = HashSet::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(path) = directories.pop() {
        let failed = |source| RelocateError::Io { action: "read directory", path: path.clone(), source };
        let directory = tree.directory(&path).map_err(failed)?;
        for entry in Dir::read_from(&directory).map_err(|errno| failed(errno.into()))? {
            let entry = entry.map_err(|errno| failed(errno.into()))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let child = || path.join(OsStr::from_bytes(name.to_bytes()));
            let failed =
                |source| RelocateError::Io { action: "rewrite the first line of", path: child(), source };
            if matches!(entry.file_type(), FileType::Directory) {
                directories.push(child());
                continue;
            }
            if !matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown) {
                continue;
            }
            let stat = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| failed(errno.into()))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => directories.push(child()),
                FileType::RegularFile
                    if stat.st_mode & 0o111 != 0
                        && (stat.st_nlink == 1 || seen.insert((stat.st_dev, stat.st_ino))) =>
                {
                    changed += u64::from(filter_file(&directory, name, sbang).map_err(failed)?);
                }
                _ => {}
            }
        }
    }
    Ok(changed)
}

/// As [`filter_shebangs`], for files of which it was noted whether their first line is long.
pub(super) fn filter_noted_shebangs(
    tree: &Tree,
    sbang: &[u8],
    notes: &mut Notes,
) -> Result<u64, RelocateError> {
    let mut changed = 0;
    for (number, path) in notes.long_shebangs() {
        let failed =
            |source| RelocateError::Io { action: "rewrite the first line of", path: path.clone(), source };
        let mut file = tree.file(&path).map_err(failed)?;
        let mut start = Vec::new();
        file.read_to_end(&mut start).map_err(failed)?;
        let Some(LongShebang { length, replacement }) = filter_shebang(sbang, &start) else { continue };
        let content = [&replacement, &start[length..]].concat();
        file.write_all_at(&content, 0).map_err(failed)?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| failed(errno.into()))?;
        notes.rewritten(number, &stat, Sha1::digest(&content).into(), has_long_shebang(&content));
        changed += 1;
    }
    Ok(changed)
}

fn filter_file(directory: &OwnedFd, name: &CStr, sbang: &[u8]) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?);
    let mut start = Vec::with_capacity(RELAXED_LIMIT);
    (&file).take(RELAXED_LIMIT as u64).read_to_end(&mut start)?;
    let Some(LongShebang { length, replacement }) = filter_shebang(sbang, &start) else { return Ok(false) };
    let mut content = replacement;
    content.extend_from_slice(&start[length..]);
    (&file).read_to_end(&mut content)?;
    open_in(directory, name)?.write_all_at(&content, 0)?;
    Ok(true)
}

/// Whether `sbang` can be called by its path.
pub(super) fn check_sbang(sbang: &[u8]) -> Result<(), RelocateError> {
    if sbang.len() <= SHEBANG_LIMIT {
        return Ok(());
    }
    Err(RelocateError::SbangTooLong {
        path: Path::new(OsStr::from_bytes(sbang)).to_owned(),
        length: sbang.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    const SBANG: &[u8] = b"/store/bin/sbang";

    fn long(interpreter: &str) -> String {
        format!("#!/{}/{interpreter}\n", "a".repeat(140))
    }

    fn filtered(content: &str) -> Option<String> {
        let long = filter_shebang(SBANG, content.as_bytes())?;
        Some(String::from_utf8(long.replacement).unwrap() + &content[long.length..])
    }

    #[test]
    fn the_old_line_becomes_a_comment_of_its_language() {
        let sbang = "#!/bin/sh /store/bin/sbang\n";
        let path = "a".repeat(140);
        for (interpreter, expected) in [
            ("perl -w", format!("#!/{path}/perl -w\nx")),
            ("lua", format!("--!/{path}/lua\nx")),
            ("luajit -e", format!("--!/{path}/luajit -e\nx")),
            ("node", format!("//!/{path}/node\nx")),
            ("php", format!("<?php #!/{path}/php\n ?>x")),
            ("xlua", format!("#!/{path}/xlua\nx")),
        ] {
            let content = long(interpreter) + "x";
            assert_eq!(filtered(&content).unwrap(), format!("{sbang}{expected}"));
            assert_eq!(filtered(&(sbang.to_owned() + &expected)), None, "and only once");
        }
    }

    #[test]
    fn the_limits_count_the_newline() {
        let line = |length: usize| format!("#!/{}\n", "b".repeat(length - 4));
        assert_eq!(filtered(&line(127)), None);
        assert!(filtered(&line(128)).is_some());
        assert!(filtered(line(129).trim_end()).is_some(), "a file may end without newline");
        assert_eq!(filtered(line(128).trim_end()), None);
        assert!(filtered(&line(4096)).is_some());
        assert_eq!(filtered(&line(4097)), None);
        assert_eq!(filtered(&("#!/".to_owned() + &"c".repeat(5000))), None);
    }

    #[test]
    fn without_an_interpreter_nothing_happens() {
        let blanks = " ".repeat(200);
        assert_eq!(filtered(&format!("#!{blanks}\n/bin/sh")), None);
        assert_eq!(filtered(&format!("#!{blanks}\0/bin/sh\n")), None);
        assert!(filtered(&format!("#!{blanks}/bin/sh\n")).is_some());
        assert_eq!(filtered("#"), None);
        assert_eq!(filtered(&format!("no shebang {blanks}\n")), None);
    }

    #[test]
    fn a_line_that_calls_a_long_sbang_is_left() {
        let sbang = format!("/{}", "s".repeat(126));
        let content = format!("#!/bin/sh {sbang}\n#!/x\n");
        assert!(content.lines().next().unwrap().len() > SHEBANG_LIMIT);
        assert_eq!(filter_shebang(sbang.as_bytes(), content.as_bytes()), None);
    }

    #[test]
    fn files_keep_inode_links_and_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("bin")).unwrap();
        let content = long("python3") + &"pass\n".repeat(5000);
        for (name, mode) in [("bin/script", 0o755), ("bin/read-only", 0o555), ("data", 0o644)] {
            std::fs::write(path(name), &content).unwrap();
            std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::hard_link(path("bin/script"), path("other")).unwrap();
        std::os::unix::fs::symlink("../data", path("bin/link")).unwrap();
        let inode = path("bin/script").metadata().unwrap().ino();
        let tree = Tree::open(directory.path()).unwrap();
        assert_eq!(filter_shebangs(&tree, SBANG).unwrap(), 2);
        assert_eq!(filter_shebangs(&tree, SBANG).unwrap(), 0);
        let expected = "#!/bin/sh /store/bin/sbang\n".to_owned() + &content;
        assert_eq!(std::fs::read_to_string(path("bin/script")).unwrap(), expected);
        assert_eq!(std::fs::read_to_string(path("bin/read-only")).unwrap(), expected);
        assert_eq!(std::fs::read_to_string(path("data")).unwrap(), content);
        for (name, mode) in [("bin/script", 0o755), ("bin/read-only", 0o555)] {
            assert_eq!(path(name).metadata().unwrap().mode() & 0o7777, mode);
        }
        assert_eq!(path("bin/script").metadata().unwrap().ino(), inode);
        assert_eq!(path("other").metadata().unwrap().ino(), inode);
    }

    #[test]
    fn sbang_itself_must_be_short() {
        assert!(check_sbang(&[b'/'; 127]).is_ok());
        assert!(matches!(check_sbang(&[b'/'; 128]), Err(RelocateError::SbangTooLong { length: 128, .. })));
    }
}
