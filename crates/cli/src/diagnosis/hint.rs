//! What to do about a failure.

use super::{KIND_CORRUPT, KIND_TRY_AGAIN, KIND_UNREACHABLE, Kind, kind, repository_kind};
use std::io;
use strata_config::ConfigError;
use strata_oci::{CredentialError, Trouble};
use strata_ops::Error;
use strata_spec::AbstractSpec;
use strata_spec::lockfile::InvalidLockfile;
use strata_store::removal::RemovalError;
use strata_store::stage::StageError;
use strata_store::{AccessError, FileCacheError, LockError, StoreError};

/// What to do about it, where there is something to do that the message does not say.
pub(super) fn of(error: &Error) -> Option<String> {
    let hint = match error {
        Error::NoSuchSpec { spec, .. } => match perhaps_meant(spec) {
            Some(meant) => return Some(format!("did you mean `{meant}`? `{spec}` asks for a variant")),
            None => {
                "see what there is with `strata find -l` (a store) or `strata buildcache list -l` (a cache)"
            }
        },
        Error::NoBinary(explanation) if explanation.is_uncertain() => {
            "this is not \"there is no binary\": try again when the mirror can be reached"
        }
        Error::NoBinary(explanation) => return explanation.advice.first().cloned(),
        Error::ManyPackages { .. } => "name the package",
        Error::Conflict(_) => {
            "--unify when-possible lets them use different packages where they must, --unify false always"
        }
        Error::BadRecord { .. } => "write the index anew: `strata buildcache update-index`",
        Error::NoneRunsHere { .. } => "see all of them, with the reason for each, with --all",
        Error::NotCached { .. } => "build it, and push it with `strata buildcache push`",
        Error::NotWhole { .. } => "push the package again with --force",
        Error::NotIndexed { .. } | Error::NoIndex { .. } | Error::StaleIndex { .. } => {
            "bring it up to date with `strata buildcache update-index`"
        }
        Error::WrongHash { .. } => {
            "its tag and its contents may be right all the same: see `strata buildcache check`; a new index is written by \
             `strata buildcache update-index` once the tag `index.spack` is deleted"
        }
        Error::Ambiguous { .. } => {
            "say which one by its hash: /HASH; `uninstall` and `mark` take all of them with --all"
        }
        Error::Spool { temporary: true, .. } => {
            "layers wait there until they are uploaded: make room, or set TMPDIR to a directory that has it"
        }
        Error::Config(ConfigError::NoSuchMirror { elsewhere, .. }) if !elsewhere.is_empty() => {
            "name the scope with --scope; `strata mirror list --json` says where each mirror is configured"
        }
        Error::Config(ConfigError::NotWritable { .. }) => {
            "name one that can be with --scope; `strata config scopes` lists them"
        }
        Error::Config(ConfigError::EnvironmentExists { .. }) => {
            "name another directory, or work in that one: `strata -e DIRECTORY …`"
        }
        Error::Config(ConfigError::NoSuchSpec { .. }) => {
            "name it as it is written there; -l LIST removes from a list of definitions"
        }
        Error::Config(ConfigError::NoSuchList { .. }) => {
            "name one that `definitions` has, and whose `when` holds here; without -l it is `specs`"
        }
        Error::Config(ConfigError::NotSet { .. }) => {
            "`strata config get SECTION` shows all that is said in a section"
        }
        Error::Config(ConfigError::NoUrl { .. }) => {
            "give it one: `strata mirror set-url NAME URL`, with --fetch or --push for one direction"
        }
        Error::Config(ConfigError::Syntax { .. } | ConfigError::Invalid { .. }) => {
            "mend it there, and try again"
        }
        Error::Config(ConfigError::HalfAccessPair { .. }) => {
            "give --oci-username USER (or --oci-username-variable NAME) and --oci-password-variable NAME"
        }
        Error::Config(ConfigError::NoSuchMirror { .. }) | Error::NoMirrors => {
            "add one with `strata mirror add NAME URL`, or give the URL itself: oci://HOST/NAME, oci+http://… or \
             oci+file:///DIRECTORY"
        }
        Error::MissingDependency { .. } => {
            "push it with its dependencies: `strata buildcache push MIRROR SPEC` without --only package"
        }
        Error::DoesNotFit { .. } => {
            "use --store with a shorter path, or rebuild with config:install_tree:padded_length"
        }
        Error::PrefixLeftOut { reason: strata_store::Reason::Duplicate { .. }, .. } => {
            "remove it if nobody uses it"
        }
        Error::Differs { .. } => "uninstall it and install it again, if that was not on purpose",
        Error::PrefixLeftOut { .. } => "move it away, and install the package again",
        Error::HasDependents { .. } => {
            "uninstall those first, or with it: --dependents; --force uninstalls it all the same"
        }
        Error::Upstream { .. } => "whoever keeps that store can uninstall it there: --store names it",
        Error::SamePrefix { .. } => "put {hash} into the projections of config:install_tree",
        Error::Projection(_) => "`strata config blame config` says which file has them",
        Error::Access(AccessError::NotInGroup { .. }) => {
            "name a group that `id` lists, or let somebody install who is in it"
        }
        Error::Access(AccessError::WorldWritableGroup { .. }) => {
            "set config:allow_sgid to false, or let only the group write"
        }
        Error::Access(_) => "`strata config blame packages` says which file has them",
        Error::ForeignPrefix { .. } => {
            "it may be what another program is installing; if it is not, move it away and try again"
        }
        Error::PrefixMissing { .. } => {
            "`strata install /HASH` puts it back if a cache has it; `strata uninstall /HASH` forgets it"
        }
        Error::EnvironmentConflict { with_kept: true, .. } => {
            "`strata concretize --force` chooses anew for all specs; concretizer:unify:when_possible in spack.yaml lets them use \
             different packages where they must"
        }
        Error::EnvironmentConflict { .. } => {
            "concretizer:unify:when_possible in spack.yaml lets specs use different packages where they must, false always"
        }
        Error::NoLockfile { .. } => "make its specs concrete: `strata -e ENV concretize`",
        Error::Lockfile { source: InvalidLockfile::UnknownVersion(_), .. } => {
            "it was written by a newer Spack: use that, or a newer strata; nothing was changed"
        }
        Error::Lockfile { .. } => {
            "move the file away and write it anew: `strata -e ENV concretize`, or `spack -e ENV concretize`"
        }
        Error::UnwritableLockfile { .. } => "choose anew for all specs: `strata -e ENV concretize --force`",
        Error::EmptyEnvironment { .. } => "add specs to it: `strata -e ENV add SPEC`",
        Error::Config(ConfigError::NoManifest { .. }) => "make one with `strata env create`",
        Error::NotInstalled { .. } => {
            "install them: `spack -e ENV install`, or `strata install /HASH` if a cache has them"
        }
        Error::NothingInstalled { .. } => "see what is installed with `strata find -l`",
        Error::FileCache(FileCacheError::Unsupported { .. }) => {
            "have both on one file system that can, or use --link-mode copy, or auto, which copies where it has to"
        }
        Error::Panicked => "please report it with the command you ran",
        Error::OtherPadding { .. } => {
            "leave out --padded-length, which is for new install trees, or name another --store"
        }
        Error::InvalidIndex { .. } => "write a new one with `strata buildcache update-index`",
        Error::UnknownLayout { .. } => "a newer version of strata may know it",
        Error::Store(StoreError::Lock(lock))
        | Error::Stage(StageError::Lock(lock))
        | Error::Removal(RemovalError::Stage(StageError::Lock(lock))) => {
            return of_lock(lock).map(str::to_owned).or_else(|| by_kind(kind(error)));
        }
        // Nothing of these was fetched.
        Error::Store(StoreError::Index(index)) if is_stale(index) => STALE,
        Error::Store(StoreError::Index(_)) => {
            "see whether Spack reads it: `spack find`; `strata reindex` makes it anew from what is installed"
        }
        Error::MissingNode(_) => {
            "a database or an index is incomplete: `strata reindex` or `strata buildcache update-index` may mend it"
        }
        Error::Unasked { .. } => {
            "this is not \"there is no binary\": try again when the mirror can be reached"
        }
        Error::Config(ConfigError::NoSuchScope { .. }) => {
            "`strata config scopes --paths` shows where they are"
        }
        Error::Config(ConfigError::NoCustomScope { .. }) => {
            "-C takes a directory with files such as mirrors.yaml, a file with sections, or an environment"
        }
        Error::Config(ConfigError::Setting { .. }) => {
            "a setting is like config:build_jobs:4 or mirrors:NAME:'oci://HOST/NAME'"
        }
        Error::Config(ConfigError::VariableNotSet { .. }) => {
            "set it, or change the access pair of the mirror; other credentials are not looked for"
        }
        Error::NeededByEnvironments { .. } => {
            "remove it from them, or remove them with `strata env remove`; --force uninstalls it all the same"
        }
        Error::LeftOut { .. } => "leave out --only package, or install that first",
        Error::NotInEnvironment { .. } => {
            "add it: `strata -e ENV add SPEC`, or `strata -e ENV install --add SPEC`"
        }
        Error::Managed(error) => return super::environment::hint(error),
        Error::Image(image) => return super::image::hint(image).or_else(|| by_kind(kind(error))),
        Error::Repository(error) => return of_repository(error),
        _ => return super::view::hint(error).map(str::to_owned).or_else(|| by_kind(kind(error))),
    };
    Some(hint.to_owned())
}

/// What helps when a network file system has lost sight of a file.
const STALE: &str = "the file server has replaced or removed what is known here by another name: look at the directory with \
     `ls`, try again, and mount it anew if it stays like this";

/// What to do about a lock.
fn of_lock(error: &LockError) -> Option<&'static str> {
    match error {
        LockError::NoLocks { .. } => Some(
            "nothing was changed: mount the file system with locks; if nobody else uses the store meanwhile, \
             `-c config:locks:false` does without them",
        ),
        LockError::System { source, .. } | LockError::Open { source, .. } if is_stale(source) => Some(STALE),
        LockError::Timeout { .. } => Some(
            "try again when it is done; config:db_lock_timeout and config:package_lock_timeout say how long to wait",
        ),
        _ => None,
    }
}

/// Whether it comes from a stale handle.
fn is_stale(error: &(dyn std::error::Error + 'static)) -> bool {
    let system = error.downcast_ref::<io::Error>();
    system.is_some_and(|error| error.kind() == io::ErrorKind::StaleNetworkFileHandle)
        || error.source().is_some_and(is_stale)
}

fn by_kind(kind: Kind) -> Option<String> {
    let hint = match kind {
        KIND_CORRUPT => {
            "what was fetched was thrown away; push the package again with --force if it stays like this"
        }
        KIND_UNREACHABLE => {
            "check the URL, the network and any proxy; nothing was concluded about what the cache has"
        }
        KIND_TRY_AGAIN => "try again in a while",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What to do about a registry or a layout.
fn of_repository(error: &strata_oci::Error) -> Option<String> {
    use strata_oci::Error as Oci;
    let hint = match error {
        Oci::Certificate { .. } => {
            "certificates are those of --ca-file (STRATA_CA_FILE), of --client-cert with --client-key, and of the \
             registry's directory in /etc/docker/certs.d"
                .to_owned()
        }
        Oci::Credentials(CredentialError::Helper { .. }) => {
            "the helper is named by credsStore or credHelpers in Docker's or podman's file; STRATA_USERNAME with \
             STRATA_PASSWORD come before it"
                .to_owned()
        }
        Oci::Credentials(_) => {
            "mend or remove it; an access pair, and STRATA_USERNAME with STRATA_PASSWORD, come before it".to_owned()
        }
        Oci::Unauthorized { url, .. } => format!(
            "`strata login {}` keeps credentials for it; so do the mirror's access pair, and STRATA_USERNAME with \
             STRATA_PASSWORD",
            login(url)
        ),
        Oci::TokenRefused { .. } => {
            "`strata login HOST` keeps other credentials for the registry; `strata doctor URL` says what they allow"
                .to_owned()
        }
        Oci::Authorization(error) => return of_repository(error),
        Oci::Forbidden { url, .. } => format!(
            "ask for the right there, or be somebody else: `strata login {}`; `strata doctor URL` says what is allowed",
            login(url)
        ),
        Oci::Throttled { .. } => {
            "try again in a while; many registries allow more to those they know: `strata login`".to_owned()
        }
        Oci::Transport { trouble: Trouble::UnknownHost, .. } => {
            "check the host's name; behind a proxy, set HTTPS_PROXY".to_owned()
        }
        Oci::Transport { trouble: Trouble::NoTls, url, .. } => {
            format!("write it as oci+http://{}/…, if that registry is to be spoken to without TLS", host(url))
        }
        Oci::ManyPlatforms { .. } => "say for which: `--platform OS/ARCHITECTURE`".to_owned(),
        Oci::NoSuchImage { .. } => "check the name and the tag; `HOST/NAME` alone is the tag `latest`".to_owned(),
        Oci::NoSuchMember { .. } => {
            "the image was copied there in part: copy it with all its platforms, or take it from where it is whole"
                .to_owned()
        }
        // What is wrong with a certificate comes with what helps.
        Oci::Transport { trouble: Trouble::Tls | Trouble::Redirect, .. } => return None,
        _ => return by_kind(repository_kind(error, error.kind())),
    };
    Some(hint)
}

/// How to log in to the registry of a URL: `strata login` speaks https unless it is told.
fn login(url: &str) -> String {
    let host = host(url);
    if url.starts_with("http://") { format!("--plain-http {host}") } else { host.to_owned() }
}

/// The host of a URL, with its port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn perhaps_meant(spec: &str) -> Option<String> {
    spec.parse::<AbstractSpec>().ok()?.perhaps_meant()
}

#[cfg(test)]
mod tests {
    use super::{Error, host, login, of};

    #[test]
    fn a_spec_that_looks_like_a_slip_gets_the_one_that_was_meant() {
        let hint = |spec: &str| of(&Error::NoSuchSpec { spec: spec.to_owned(), place: "here".to_owned() });
        assert!(hint("zlib=1.2").unwrap().contains("did you mean `zlib@1.2`?"));
        assert!(hint("zlib@1.2").unwrap().contains("strata find -l"));
    }

    #[test]
    fn logging_in_is_to_the_same_registry_in_the_same_way() {
        assert_eq!(login("https://ghcr.io/v2/joe/manifests/x"), "ghcr.io");
        assert_eq!(login("http://localhost:5000/v2/"), "--plain-http localhost:5000");
        assert_eq!(host("https://[::1]:5000/v2/base/manifests/1"), "[::1]:5000");
    }
}
