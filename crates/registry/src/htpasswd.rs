//! [`Htpasswd`]: who may use the registry, by a file as `htpasswd -B` writes it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use sha2::{Digest as _, Sha256};
use strata_oci::FileStamp;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::RegistryError;
use crate::blocking::{blocking, stopping};
use crate::failure::{Code, Failure};

/// How many passwords are hashed at the same time. Hashing is slow on purpose; who guesses must not take all
/// processors.
const AT_ONCE: usize = 2;
/// How many accepted passwords are remembered before all are forgotten: one per user, in practice.
const REMEMBERED: usize = 4096;
/// Where the file has no user at all, an unknown one takes as long as with `htpasswd`'s usual cost.
const NOBODY: &str = "$2y$05$abcdefghijklmnopqrstuuC3AtYHmjQTaNbOBrqzGwLHtHWwGDxN6";

/// Users and the bcrypt hashes of their passwords. The file is read again when it changes.
pub(crate) struct Htpasswd {
    path: PathBuf,
    current: Mutex<Current>,
    /// Of this process alone: with it, a remembered digest says nothing about the password.
    key: [u8; 32],
    hashing: Semaphore,
    #[cfg(test)]
    hashed: std::sync::atomic::AtomicUsize,
}

struct Current {
    stamp: Option<FileStamp>,
    users: Arc<Users>,
    /// Keyed digests of users with the passwords that were found right.
    accepted: HashSet<[u8; 32]>,
}

/// Users and hashes.
struct Users {
    hashes: HashMap<String, String>,
    /// What an unknown user's password is compared with: the slowest of the hashes.
    decoy: String,
}

impl Htpasswd {
    /// # Errors
    /// [`RegistryError::File`] if the file cannot be read, or a line of it is not a user and a bcrypt hash.
    pub(crate) fn open(path: &Path) -> Result<Self, RegistryError> {
        let problem = |problem: String| RegistryError::File { path: path.to_path_buf(), problem };
        let stamp = stamp(path);
        let users = Arc::new(Users::read(path).map_err(problem)?);
        let mut key = [0; 32];
        key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Ok(Self {
            path: path.to_path_buf(),
            current: Mutex::new(Current { stamp, users, accepted: HashSet::new() }),
            key,
            hashing: Semaphore::new(AT_ONCE),
            #[cfg(test)]
            hashed: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    /// Lets a request pass that has the name and password of a user.
    ///
    /// # Errors
    /// `UNAUTHORIZED`; `UNAVAILABLE` while the file is one that could not be opened with.
    pub(crate) async fn admit(self: &Arc<Self>, headers: &HeaderMap) -> Result<(), Failure> {
        let Some((user, password)) = credentials(headers) else {
            return Err(Failure::unauthorized("a user and a password are needed"));
        };
        let proof = self.proof(&user, &password);
        let this = Arc::clone(self);
        if blocking(move || this.users_unless_accepted(&proof)).await?.is_none() {
            return Ok(());
        }
        let _turn = self.hashing.acquire().await.map_err(|_| stopping())?;
        let this = Arc::clone(self);
        blocking(move || {
            // A client begins with many requests at once: what one of them has shown, the others need not show again.
            let Some(users) = this.users_unless_accepted(&proof)? else { return Ok(()) };
            #[cfg(test)]
            this.hashed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if !users.accept(&user, &password) {
                return Err(Failure::unauthorized("the user or the password is wrong"));
            }
            this.remember(proof, &users);
            Ok(())
        })
        .await
    }

    /// `None` if this user's password was found right before; else the users to compare with.
    fn users_unless_accepted(&self, proof: &[u8; 32]) -> Result<Option<Arc<Users>>, Failure> {
        let mut current = self.lock();
        let present = stamp(&self.path);
        if current.stamp != present {
            // Nobody passes by a file that cannot be understood: it may be there to keep somebody out.
            let users = Users::read(&self.path).map_err(|problem| {
                Failure::new(
                    Code::Unavailable,
                    format!("the registry's password file cannot be used at the moment: {problem}"),
                )
            })?;
            *current = Current { stamp: present, users: Arc::new(users), accepted: HashSet::new() };
        }
        Ok((!current.accepted.contains(proof)).then(|| Arc::clone(&current.users)))
    }

    fn remember(&self, proof: [u8; 32], users: &Arc<Users>) {
        let mut current = self.lock();
        // The file may have changed while the password was hashed.
        if Arc::ptr_eq(&current.users, users) {
            if current.accepted.len() >= REMEMBERED {
                current.accepted.clear();
            }
            current.accepted.insert(proof);
        }
    }

    /// What is remembered instead of a password.
    fn proof(&self, user: &str, password: &str) -> [u8; 32] {
        let inner = Sha256::new()
            .chain_update(self.key)
            .chain_update((user.len() as u64).to_le_bytes())
            .chain_update(user)
            .chain_update(password)
            .finalize();
        Sha256::new().chain_update(self.key).chain_update(inner).finalize().into()
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Users {
    /// Reads `USER:HASH` lines; empty ones and those that begin with `#` are passed over. The error says what is
    /// wrong with which line, but not what is in it.
    fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
        let mut hashes = HashMap::new();
        let mut decoy = (0, NOBODY.to_string());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((user, hash)) = line.split_once(':') else {
                return Err(format!("line {number} is not USER:HASH"));
            };
            let is_bcrypt = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix));
            let Some(parts) = HashParts::from_str(hash).ok().filter(|_| is_bcrypt) else {
                return Err(format!(
                    "line {number} has a hash that is not bcrypt's; make it anew with htpasswd -B"
                ));
            };
            if parts.get_cost() > decoy.0 {
                decoy = (parts.get_cost(), hash.to_string());
            }
            hashes.insert(user.to_string(), hash.to_string());
        }
        Ok(Self { hashes, decoy: decoy.1 })
    }

    /// Whether the password is the user's. It takes as long for a user that there is not.
    fn accept(&self, user: &str, password: &str) -> bool {
        let hash = self.hashes.get(user);
        let right = bcrypt::verify(password, hash.unwrap_or(&self.decoy)).unwrap_or(false);
        right && hash.is_some()
    }
}

/// The user and the password of a `Basic` authorization (RFC 7617).
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(user, password)| (user.to_string(), password.to_string()))
}

fn stamp(path: &Path) -> Option<FileStamp> {
    fs::metadata(path).ok().as_ref().map(FileStamp::of)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    fn hash(password: &str, cost: u32) -> String {
        bcrypt::hash(password, cost).unwrap()
    }

    fn basic(user: &str, password: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        headers.insert(AUTHORIZATION, format!("basic {encoded}").parse().unwrap());
        headers
    }

    #[tokio::test]
    async fn the_right_password_passes_and_others_do_not() {
        let file = file(&format!("# users\n\nann:{}\nbob:{}\n", hash("secret", 4), hash("p:w", 4)));
        let users = Arc::new(Htpasswd::open(file.path()).unwrap());
        for _ in 0..2 {
            users.admit(&basic("ann", "secret")).await.unwrap();
            users.admit(&basic("bob", "p:w")).await.unwrap();
            for (user, password) in
                [("ann", "p:w"), ("ann", ""), ("carl", "secret"), ("", ""), ("# users", "")]
            {
                let failure = users.admit(&basic(user, password)).await.unwrap_err();
                assert_eq!(failure.code(), Code::Unauthorized, "{user}");
            }
            assert_eq!(users.admit(&HeaderMap::new()).await.unwrap_err().code(), Code::Unauthorized);
        }
        assert_eq!(users.lock().accepted.len(), 2, "refused ones are not remembered");
    }

    #[tokio::test]
    async fn a_password_is_hashed_once_and_again_after_the_file_has_changed() {
        let file = file(&format!("ann:{}\n", hash("secret", 4)));
        let users = Arc::new(Htpasswd::open(file.path()).unwrap());
        users.admit(&basic("ann", "secret")).await.unwrap();
        assert!(users.users_unless_accepted(&users.proof("ann", "secret")).unwrap().is_none());
        assert!(users.users_unless_accepted(&users.proof("ann", "other")).unwrap().is_some());
        fs::write(file.path(), format!("ann:{}\n", hash("changed", 4))).unwrap();
        let failure = users.admit(&basic("ann", "secret")).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthorized);
        users.admit(&basic("ann", "changed")).await.unwrap();
        fs::write(file.path(), "ann:plain text\n").unwrap();
        let failure = users.admit(&basic("ann", "changed")).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unavailable);
        assert!(!format!("{failure:?}").contains("plain text"), "{failure:?}");
    }

    #[tokio::test]
    async fn a_password_of_many_requests_at_once_is_hashed_by_the_first_of_them() {
        let file = file(&format!("ann:{}\n", hash("secret", 4)));
        let users = Arc::new(Htpasswd::open(file.path()).unwrap());
        let headers = basic("ann", "secret");
        let all = futures_util::future::join_all((0..64).map(|_| users.admit(&headers))).await;
        assert!(all.iter().all(Result::is_ok));
        let hashed = users.hashed.load(std::sync::atomic::Ordering::Relaxed);
        assert!((1..=AT_ONCE).contains(&hashed), "{hashed} times");
    }

    #[tokio::test]
    async fn a_user_that_there_is_not_takes_as_long_as_one_that_there_is() {
        let file = file(&format!("ann:{}\n", hash("secret", 10)));
        let users = Arc::new(Htpasswd::open(file.path()).unwrap());
        let mut times = Vec::new();
        for user in ["ann", "carl"] {
            let start = Instant::now();
            users.admit(&basic(user, "wrong")).await.unwrap_err();
            times.push(start.elapsed());
        }
        assert!(times[1] > times[0] / 10, "{times:?}");
    }

    #[test]
    fn the_hash_for_nobody_is_one() {
        assert!(HashParts::from_str(NOBODY).is_ok());
        assert!(!bcrypt::verify("", NOBODY).unwrap());
    }

    #[test]
    fn lines_that_are_not_understood_are_named_and_not_shown() {
        for (line, words) in [
            ("ann", "line 2 is not USER:HASH"),
            ("ann:$apr1$x$y", "line 2 has a hash that is not bcrypt's; make it anew with htpasswd -B"),
            ("ann:{SHA}x", "htpasswd -B"),
            ("ann:$2y$05$tooshort", "htpasswd -B"),
            ("ann:password", "htpasswd -B"),
        ] {
            let file = file(&format!("bob:{}\n{line}\n", hash("x", 4)));
            let error = Htpasswd::open(file.path()).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("ann"), "{error}");
        }
        let gone = Htpasswd::open(Path::new("/nonexistent/users")).err().unwrap().to_string();
        assert!(gone.contains("/nonexistent/users: cannot be read"), "{gone}");
    }
}
