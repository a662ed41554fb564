//! Q31, Q35: what somebody may not do, said so that he knows what to do about it.

use strata_oci::{ErrorKind, ManifestRef, Repository};
use strata_testkit::faults::rules::on;
use strata_testkit::faults::{Answer, Fault};
use strata_testkit::registry::TestRegistry;

use crate::client::{NAME, blob, open, open_as};
use crate::image::{Image, name};

/// Many registries let nobody delete: the reference implementation unless it is told to, GitHub's by another way.
#[test]
fn q31_deleting_is_not_supported() {
    let registry = TestRegistry::start();
    let repository = open(&registry);
    let image = Image::new("x");
    image.put(&repository, "t");
    registry.faults().add(on("DELETE", "/manifests/", |_| {
        Fault::Answer(Answer::error(405, "UNSUPPORTED", "The operation is unsupported."))
    }));
    for reference in [ManifestRef::Tag(name("t")), ManifestRef::Digest(image.digest())] {
        let error = repository.delete_manifest(&reference).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Denied), "{error}");
        let message = error.to_string();
        assert!(message.contains("The operation is unsupported.") && message.contains("delet"), "{message}");
    }
    assert_eq!(registry.log().count("DELETE", ""), 2, "there is no use in trying again");
    registry.faults().clear();
    assert!(repository.delete_manifest(&image.digest().into()).unwrap());
    assert_eq!(repository.resolve(&name("t")).unwrap(), None);
}

/// The right to push is one for each package.
#[test]
fn q35_no_right_to_push() {
    let registry = TestRegistry::builder().user("actor", "secret").start();
    let denied = |_: &_| Fault::Answer(Answer::error(403, "DENIED", "permission_denied: write_package"));
    registry.faults().add(on("POST", "/blobs/uploads/", denied));
    let error = open_as(&registry, "actor", "secret").put_blob(&blob(1000, 35)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let message = error.to_string();
    assert!(message.contains("permission_denied: write_package"), "{message}");
    assert!(message.contains(NAME), "{message}");
    assert!(message.contains("the test's own"), "who it was tried as: {message}");
    assert!(!message.contains("secret"), "{message}");
    assert_eq!(registry.log().count_status(403), 1, "there is no use in trying again");
}
