//! Password files as `htpasswd -B` writes them.

/// How cheap the hashes are: the least that bcrypt does.
const BCRYPT_COST: u32 = 4;

/// The lines of a password file for these users and their passwords.
///
/// # Panics
/// If there is no randomness for salts.
pub fn htpasswd(users: &[(String, String)]) -> String {
    let line = |(name, password): &(String, String)| {
        format!("{name}:{}\n", bcrypt::hash(password, BCRYPT_COST).expect("a password's hash"))
    };
    users.iter().map(line).collect()
}
