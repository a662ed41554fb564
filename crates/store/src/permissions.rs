//! [`Access`]: who may read and write an installed package (`packages:NAME:permissions`).
//!
//! Spack sets it on everything in a prefix when the package is installed (`permissions_setters.py`): what may be read may
//! be searched or, where it is a program, run; directories keep their group for what is made in them later.

use nix::unistd::{Gid, Group, getegid, geteuid, getgroups};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const SET_GROUP_ID: u32 = 0o2000;
const SPECIAL: u32 = 0o7000;

/// A class of users, each with those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Users {
    /// The owner.
    User,
    /// And the group.
    Group,
    /// And everybody else.
    World,
}

/// What configuration says of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPolicy {
    /// Who may read.
    pub read: Users,
    /// Who may write.
    pub write: Users,
    /// The name of the group that files belong to; none for that of the process.
    pub group: Option<String>,
    /// `config:allow_sgid`: whether directories pass on their group.
    pub set_group_id: bool,
}

/// Modes and the group, checked: what to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    mode: u32,
    set_group_id: bool,
    group: Option<Gid>,
}

/// The permissions that are configured cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// More may write than may read.
    #[error("packages:{package}:permissions: more users may write than read")]
    WriteWithoutRead {
        /// Name of the package.
        package: String,
    },
    /// Whoever may write into such a directory could take the group's rights.
    #[error("packages:{package}:permissions: what everybody may write cannot pass on its group")]
    WorldWritableGroup {
        /// Name of the package.
        package: String,
    },
    /// There is no such group.
    #[error("packages:{package}:permissions: there is no group `{group}` on this machine")]
    NoSuchGroup {
        /// Name of the package.
        package: String,
        /// Name of the group.
        group: String,
    },
    /// Files can only be given to a group that one is in.
    #[error(
        "packages:{package}:permissions: files cannot be given to the group `{group}`: this user is not in it"
    )]
    NotInGroup {
        /// Name of the package.
        package: String,
        /// Name of the group.
        group: String,
    },
    /// The system's groups could not be looked at.
    #[error("cannot look up the group `{group}`: {source}")]
    Lookup {
        /// Name of the group.
        group: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file or directory could not be given its permissions.
    #[error("cannot set the permissions of {}: {source}", path.display())]
    Set {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl AccessPolicy {
    /// Checks that this can be done for `package`, before anything is written.
    pub fn check(&self, package: &str) -> Result<Access, AccessError> {
        let package = || package.to_owned();
        if self.write > self.read {
            return Err(AccessError::WriteWithoutRead { package: package() });
        }
        let set_group_id = self.set_group_id && self.read >= Users::Group;
        if set_group_id && self.write == Users::World {
            return Err(AccessError::WorldWritableGroup { package: package() });
        }
        let bits = |users: Users, bit: u32| match users {
            Users::User => bit << 6,
            Users::Group => bit << 6 | bit << 3,
            Users::World => bit << 6 | bit << 3 | bit,
        };
        let mode = 0o700 | bits(self.read, 5) | bits(self.write, 2);
        let group = self.group.as_deref().map(|group| group_id(group, package)).transpose()?;
        Ok(Access { mode, set_group_id, group })
    }
}

/// The id of a group that files can be given to.
fn group_id(group: &str, package: impl Fn() -> String) -> Result<Gid, AccessError> {
    let lookup = |errno: nix::Error| AccessError::Lookup { group: group.to_owned(), source: errno.into() };
    let Some(found) = Group::from_name(group).map_err(lookup)? else {
        return Err(AccessError::NoSuchGroup { package: package(), group: group.to_owned() });
    };
    let is_member = || Ok(getegid() == found.gid || getgroups().map_err(lookup)?.contains(&found.gid));
    if geteuid().is_root() || is_member()? {
        Ok(found.gid)
    } else {
        Err(AccessError::NotInGroup { package: package(), group: group.to_owned() })
    }
}

impl Access {
    /// Sets it on `tree` and everything in it; symbolic links have none. The set-user-id bits and the like that are
    /// there stay.
    pub fn apply(&self, tree: &Path) -> Result<(), AccessError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| AccessError::Set { path, source }
        };
        let mut waiting = vec![tree.to_owned()];
        while let Some(path) = waiting.pop() {
            let metadata = path.symlink_metadata().map_err(failed(&path))?;
            if metadata.is_dir() {
                for entry in std::fs::read_dir(&path).map_err(failed(&path))? {
                    waiting.push(entry.map_err(failed(&path))?.path());
                }
            } else if !metadata.is_file() {
                continue;
            }
            if let Some(group) = self.group.filter(|group| group.as_raw() != metadata.gid()) {
                std::os::unix::fs::chown(&path, None, Some(group.as_raw())).map_err(failed(&path))?;
            }
            // After the group, whose change takes the set-group-id bit away.
            let wanted = self.mode_of(metadata.mode(), metadata.is_dir());
            std::fs::set_permissions(&path, Permissions::from_mode(wanted)).map_err(failed(&path))?;
        }
        Ok(())
    }

    /// The mode of what has the mode `now`.
    fn mode_of(&self, now: u32, is_directory: bool) -> u32 {
        let special = now & SPECIAL | if is_directory && self.set_group_id { SET_GROUP_ID } else { 0 };
        let runs = is_directory || now & 0o111 != 0;
        special | if runs { self.mode } else { self.mode & !0o111 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(read: Users, write: Users) -> AccessPolicy {
        AccessPolicy { read, write, group: None, set_group_id: true }
    }

    #[test]
    fn modes_are_spacks() {
        for (read, write, directory, program, file) in [
            (Users::World, Users::User, 0o2755, 0o755, 0o644),
            (Users::World, Users::Group, 0o2775, 0o775, 0o664),
            (Users::Group, Users::Group, 0o2770, 0o770, 0o660),
            (Users::Group, Users::User, 0o2750, 0o750, 0o640),
            (Users::User, Users::User, 0o700, 0o700, 0o600),
        ] {
            let access = policy(read, write).check("zlib").unwrap();
            assert_eq!(access.mode_of(0o755, true), directory);
            assert_eq!(access.mode_of(0o755, false), program);
            assert_eq!(access.mode_of(0o644, false), file);
        }
        let access = AccessPolicy { set_group_id: false, ..policy(Users::World, Users::World) };
        assert_eq!(access.check("zlib").unwrap().mode_of(0o755, true), 0o777);
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let error = policy(Users::User, Users::Group).check("zlib").unwrap_err();
        assert!(matches!(error, AccessError::WriteWithoutRead { .. }), "{error}");
        let error = policy(Users::World, Users::World).check("zlib").unwrap_err();
        assert!(matches!(error, AccessError::WorldWritableGroup { .. }), "{error}");
        let group = Some("no-such-group-of-anybody".to_owned());
        let error = AccessPolicy { group, ..policy(Users::World, Users::User) }.check("zlib").unwrap_err();
        assert!(error.to_string().contains("no group `no-such-group-of-anybody`"), "{error}");
    }

    #[test]
    fn links_are_left_alone_and_so_is_what_they_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        std::fs::create_dir_all(tree.join("bin")).unwrap();
        std::fs::write(&outside, "").unwrap();
        std::fs::write(tree.join("bin/tool"), "").unwrap();
        std::fs::set_permissions(&outside, Permissions::from_mode(0o600)).unwrap();
        std::fs::set_permissions(tree.join("bin/tool"), Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("link")).unwrap();
        policy(Users::World, Users::Group).check("zlib").unwrap().apply(&tree).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
        assert_eq!((mode(&outside), mode(&tree.join("bin/tool"))), (0o600, 0o775));
        assert_eq!((mode(&tree), mode(&tree.join("bin"))), (0o2775, 0o2775));
    }
}
