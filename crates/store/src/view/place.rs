//! Where a view lies, and how a new one takes its place.
//!
//! As with Spack the root of a view is a symbolic link, and the files are in `._NAME/HASH` beside it, where the hash stands for
//! all that the view is made of. The link is changed by a rename, so that at any time there is the old view or the new one;
//! a new tree gets its name when it is whole, so that what has such a name never is a part of a view.

use super::ViewError;
use rustix::fs::{FlockOperation, flock};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What begins the name of what is not in use yet, or no longer.
const UNFINISHED: &str = ".strata-";

/// Where a view lies.
#[derive(Clone, Debug)]
pub struct ViewPlace {
    root: PathBuf,
    trees: PathBuf,
}

impl ViewPlace {
    /// Of the view whose root is `root`, an absolute path with a name at its end.
    ///
    /// # Errors
    /// [`ViewError::Foreign`] for `/`.
    pub fn new(root: &Path) -> Result<Self, ViewError> {
        let foreign = || ViewError::Foreign { root: root.to_owned(), what: "the root directory" };
        let name = root.file_name().ok_or_else(foreign)?;
        let mut hidden = OsString::from("._");
        hidden.push(name);
        let parent = root.parent().ok_or_else(foreign)?;
        Ok(Self { root: root.to_owned(), trees: parent.join(hidden) })
    }

    /// Where it is for those who use it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the files of the view that this hash stands for are to be.
    pub fn tree(&self, hash: &str) -> PathBuf {
        self.trees.join(hash)
    }

    /// Where the link leads that is there now, if there is one.
    ///
    /// # Errors
    /// If the system refuses to say.
    pub fn current(&self) -> Result<Option<PathBuf>, ViewError> {
        match fs::read_link(&self.root) {
            Ok(target) => Ok(Some(self.parent().join(target))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => Ok(None),
            Err(error) => Err(ViewError::io("read", &self.root)(error)),
        }
    }

    /// Whether the view is there that this hash stands for.
    ///
    /// # Errors
    /// As [`current`](Self::current).
    pub fn has(&self, hash: &str) -> Result<bool, ViewError> {
        let tree = self.tree(hash);
        Ok(self.current()? == Some(tree.clone()) && tree.is_dir())
    }

    /// Looks whether a view can be here: where nothing is, or a link, or an empty directory.
    ///
    /// # Errors
    /// [`ViewError::Foreign`].
    pub fn check(&self) -> Result<(), ViewError> {
        let foreign = |what| Err(ViewError::Foreign { root: self.root.clone(), what });
        match fs::symlink_metadata(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(ViewError::io("read", &self.root)(error)),
            Ok(found) if found.is_symlink() => Ok(()),
            Ok(found) if found.is_dir() => {
                let mut entries = fs::read_dir(&self.root).map_err(ViewError::io("read", &self.root))?;
                if entries.next().is_none() { Ok(()) } else { foreign("a directory that is not empty") }
            }
            Ok(_) => foreign("a file"),
        }
    }

    /// Begins a new tree. Waits for whoever is at it; `waiting` is called before.
    ///
    /// # Errors
    /// [`ViewError::Foreign`], and whatever the system refuses.
    pub fn begin(&self, hash: &str, waiting: impl FnOnce()) -> Result<NewView<'_>, ViewError> {
        self.check()?;
        fs::create_dir_all(&self.trees).map_err(ViewError::io("make the directory", &self.trees))?;
        let lock = self.lock(waiting)?;
        if lock.is_some() {
            self.remove_leftovers();
        }
        let new =
            NewView { place: self, tree: self.tree(hash), unfinished: self.unfinished("new"), _lock: lock };
        super::create_directory(&new.unfinished)?;
        Ok(new)
    }

    /// Removes what killed processes left, unless somebody is at it right now.
    pub fn tidy(&self) {
        let Ok(directory) = File::open(&self.trees) else { return };
        if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            self.remove_leftovers();
        }
    }

    /// Only for who holds the lock. What cannot be removed does no harm.
    fn remove_leftovers(&self) {
        for entry in fs::read_dir(&self.trees).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                remove(&entry.path());
            }
        }
    }

    /// The lock on the directory of trees; none where the file system has no such locks.
    fn lock(&self, waiting: impl FnOnce()) -> Result<Option<File>, ViewError> {
        let directory = File::open(&self.trees).map_err(ViewError::io("open", &self.trees))?;
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(directory)),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(_) => return Ok(None),
        }
        waiting();
        loop {
            match flock(&directory, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Some(directory)),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Ok(None),
            }
        }
    }

    fn parent(&self) -> &Path {
        self.root.parent().unwrap_or(Path::new("/"))
    }

    fn unfinished(&self, what: &str) -> PathBuf {
        self.trees.join(format!("{UNFINISHED}{what}-{}", std::process::id()))
    }
}

/// A tree that is being filled. What is not [finished](Self::finish) is removed.
#[derive(Debug)]
pub struct NewView<'p> {
    place: &'p ViewPlace,
    tree: PathBuf,
    unfinished: PathBuf,
    /// Held until the tree is in use.
    _lock: Option<File>,
}

impl NewView<'_> {
    /// Where to put its files now.
    pub fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Where they are going to be.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Gives the tree its name, lets the root lead to it, and removes the one that it led to before, as far as it is one of
    /// this view's.
    ///
    /// # Errors
    /// What the system refuses; the view is then as it was.
    pub fn finish(self) -> Result<(), ViewError> {
        let place = self.place;
        let old = place.current()?;
        let aside = place.unfinished("old");
        // Left by somebody who was stopped before the root led there.
        match fs::rename(&self.tree, &aside) {
            Ok(()) => remove(&aside),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(ViewError::io("rename", &self.tree)(error)),
        }
        fs::rename(&self.unfinished, &self.tree).map_err(ViewError::io("rename", &self.unfinished))?;
        place.lead_to(&self.tree).inspect_err(|_| remove(&self.tree))?;
        if let Some(old) = old.filter(|old| *old != self.tree && place.is_tree(old))
            && fs::rename(&old, &aside).is_ok()
        {
            remove(&aside);
        }
        Ok(())
    }
}

impl ViewPlace {
    /// Lets the root lead to `tree`, at once.
    fn lead_to(&self, tree: &Path) -> Result<(), ViewError> {
        let link = self.unfinished("link");
        super::symbolic_link(tree, &link)?;
        self.check()?;
        if fs::symlink_metadata(&self.root).is_ok_and(|found| found.is_dir()) {
            fs::remove_dir(&self.root).map_err(ViewError::io("remove", &self.root))?;
        }
        fs::rename(&link, &self.root).map_err(ViewError::io("change the link", &self.root))
    }

    /// Whether a directory is one of the view's own trees. A link that a user made may lead anywhere.
    fn is_tree(&self, directory: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        directory.file_name().is_some() && directory.parent().and_then(real) == real(&self.trees)
    }

    /// Takes the view away: its link, and the trees that are behind it. Whether there was one.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn remove(&self) -> Result<bool, ViewError> {
        let Some(current) = self.current()? else { return Ok(false) };
        fs::remove_file(&self.root).map_err(ViewError::io("remove", &self.root))?;
        if self.is_tree(&current) {
            remove(&current);
        }
        // Stays where something else is in it.
        let _ = fs::remove_dir(&self.trees);
        Ok(true)
    }
}

impl Drop for NewView<'_> {
    fn drop(&mut self) {
        remove(&self.unfinished);
        remove(&self.place.unfinished("link"));
    }
}

/// Removes a file or a tree. What cannot be removed is tried again by the next one to make this view.
fn remove(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        let _ = fs::remove_dir_all(path);
    } else {
        let _ = fs::remove_file(path);
    }
}
